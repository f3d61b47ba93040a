"""Giving memory back: what came back, and the ladder."""

import logging
import threading

import pytest

import memguard
from memguard.events import EventBus
from memguard.pressure.limits import Limit
from memguard.pressure.reading import Bound, MemoryReading
from memguard.pressure.relief import LadderClimbed, ReliefLadder, StepDone
from process import run_fresh


class Memory:
    """Stands for the reader; steps change what it says."""

    def __init__(self, used=0.9):
        self.used = used

    def read(self, *, fresh):
        unknown = dict.fromkeys(MemoryReading.__dataclass_fields__)
        bound = Bound(Limit(1000, "the group", "process"), round(self.used * 1000))
        values = {"rss_bytes": bound.used_bytes, "bounds": (bound,), "unknown": {}}
        return MemoryReading(**unknown | values)

    def free(self, share):
        self.used -= share


class Climber:
    def __init__(self, used=0.9):
        self.memory, self.now, self.told = Memory(used), 100.0, []
        bus = EventBus()
        bus.subscribe(StepDone, self.told.append)
        bus.subscribe(LadderClimbed, self.told.append)
        self.ladder = ReliefLadder(bus=bus, reader=self.memory, clock=lambda: self.now)


def test_steps_are_taken_until_enough_is_free():
    """In their order, each with what it freed; what is above is not needed."""
    climber = Climber(0.9)
    climber.ladder.add_step("shrink pools", lambda: climber.memory.free(0.1))
    climber.ladder.add_step("drop cache", lambda: climber.memory.free(0.1))
    climber.ladder.add_step("refuse work", lambda: pytest.fail("it was not needed"))
    climbed = climber.ladder.relieve()
    assert [(step.name, step.freed_bytes) for step in climbed.steps] == [
        *(("collect", 0), ("trim", 0)),
        *(("shrink pools", 100), ("drop cache", 100)),
    ]
    assert climbed.relieved
    assert climbed.used_ratio == pytest.approx(0.7)
    assert climber.told == [*climbed.steps, climbed]


def test_nothing_is_done_while_there_is_room():
    """Nor said."""
    climber = Climber(0.79)
    assert climber.ladder.relieve() is None
    assert climber.told == []


def test_a_ladder_that_does_not_help_is_not_climbed_again_at_once():
    """A collection after the other would make it worse."""
    climber = Climber(0.9)
    assert not climber.ladder.relieve().relieved
    climber.now += 0.5
    assert climber.ladder.relieve() is None
    climber.now += 0.5
    assert climber.ladder.relieve() is not None


def test_a_step_that_raises_is_logged_and_the_next_is_taken(caplog):
    """What it raised is in the answer."""
    climber = Climber(0.9)
    climber.ladder.add_step("broken", lambda: 1 / 0)
    climber.ladder.add_step("drop cache", lambda: climber.memory.free(0.2))
    with caplog.at_level(logging.ERROR, logger="memguard.pressure"):
        climbed = climber.ladder.relieve()
    assert climbed.steps[2].error == "ZeroDivisionError: division by zero"
    assert climbed.relieved
    assert "broken" in caplog.text


def test_a_step_can_be_taken_away():
    """By what adding it gave back, also twice."""
    climber = Climber(0.9)
    remove = climber.ladder.add_step("gone", lambda: pytest.fail("it is gone"))
    remove()
    remove()
    assert len(climber.ladder.relieve().steps) == 2


def test_while_one_climbs_others_pass_by():
    """Also a step that asks for relief itself."""
    climber = Climber(0.9)
    answers = []

    def nested():
        answers.append(climber.ladder.relieve())
        thread = threading.Thread(target=lambda: answers.append(climber.ladder.relieve()))
        thread.start()
        thread.join()

    climber.ladder.add_step("nested", nested)
    climber.ladder.relieve()
    assert answers == [None, None]


def test_garbage_and_free_memory_come_back():
    """The resident size falls by about what the cycles held."""
    printed = run_fresh(
        """
        import gc, memguard
        gc.disable()
        for _ in range(200):
            loop = [b"x" * 100_000]
            loop.append(loop)
        del loop
        released = memguard.release_memory()
        print(released.collected_count >= 200, released.resident_bytes > 15_000_000)
        print(released.in_use_bytes is None or released.in_use_bytes > 15_000_000)
        print(released.duration_seconds > 0)
        """
    )
    assert printed.split() == ["True"] * 4


def test_what_was_frozen_is_looked_at_when_asked():
    """Garbage among it comes back, and the rest is frozen again."""
    printed = run_fresh(
        """
        import gc, memguard
        loop = [b"x" * 10_000_000]
        loop.append(loop)
        gc.freeze()
        del loop
        print(memguard.release_memory().resident_bytes > 5_000_000)
        print(memguard.release_memory(thaw=True).resident_bytes > 5_000_000)
        print(gc.get_freeze_count() > 1000)
        """
    )
    assert printed.split() == ["False", "True", "True"]


def test_the_public_names_are_these():
    """As the documents use them."""
    assert memguard.ReliefLadder is ReliefLadder
