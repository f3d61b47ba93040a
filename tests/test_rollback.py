"""What memguard changed is undone: when it is asked for, and when a trigger fires."""

import asyncio
import contextlib
import gc
import json
import math
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from unittest.mock import Mock

import pytest

import memguard
from memguard import (
    Decision,
    DelegationCircuitBreaker,
    Guard,
    GuardSettings,
    PressureSettings,
    Rollback,
    RollbackReading,
    RollbackSettings,
    WrongTypeError,
)
from memguard.journal import Journal
from memguard.rollbacks.events import RolledBack, TriggerFired
from memguard.rollbacks.heartbeat import Heartbeat, Heartbeats
from memguard.rollbacks.triggers import TriggerState, decide

MB = 1_000_000


# The journal.


def test_changes_are_undone_in_reverse_and_once():
    """Since a moment, or all."""
    journal, done = Journal(), []
    journal.note("a", "first", lambda: done.append(1))
    here = journal.checkpoint()
    journal.note("b", "second", lambda: done.append(2))
    journal.note("c", "third", lambda: done.append(3))
    assert journal.names() == ("third", "second", "first")
    assert journal.undo(here).names == ("third", "second")
    assert journal.undo(here).names == ()
    assert journal.undo().names == ("first",)
    assert done == [3, 2, 1]


def test_of_several_changes_of_the_same_the_first_is_undone():
    """It knows how it was; after a checkpoint the next one counts again."""
    journal, value = Journal(), [0]

    def change(new):
        old = value[0]
        value[0] = new
        journal.note("value", "value", lambda: value.__setitem__(0, old))

    change(1)
    change(2)
    here = journal.checkpoint()
    change(3)
    change(4)
    journal.undo(here)
    assert value == [2]
    journal.undo()
    assert value == [0]


def test_one_that_cannot_be_undone_does_not_stop_the_others(caplog):
    """It is told and logged."""
    journal, done = Journal(), []
    journal.note("a", "first", lambda: done.append(1))
    journal.note("b", "second", lambda: 1 / 0)
    undone = journal.undo()
    assert undone.names == ("first",)
    assert undone.failed == ("second: ZeroDivisionError: division by zero",)
    assert "second could not be undone" in caplog.text


def test_what_was_set_back_otherwise_is_forgotten():
    """And again does nothing."""
    journal = Journal()
    forget = journal.note("a", "first", pytest.fail)
    forget()
    forget()
    assert journal.undo().names == ()


# The process.


@pytest.fixture(autouse=True)
def as_it_was():
    """Each test begins and ends with nothing changed."""
    before = memguard.rollback()
    yield before
    memguard.rollback()


def state_of_collector():
    return gc.get_threshold(), gc.isenabled(), gc.get_debug(), list(gc.callbacks)


@pytest.mark.parametrize("profile", ["report", "default", "bytes"])
def test_the_collector_goes_back_to_what_it_was(profile):
    """Thresholds, callbacks, whether it is enabled."""
    before = state_of_collector()
    memguard.configure_optimized_gc(profile)
    assert memguard.rollback().names == (f"the collector's profile {profile!r}",)
    assert state_of_collector() == before
    assert memguard.rollback().names == ()


def test_several_changes_go_back_to_a_moment_and_then_all_the_way():
    """Newest first."""
    before = state_of_collector()
    memguard.configure_optimized_gc("report")
    here = memguard.checkpoint()
    middle = state_of_collector()
    memguard.configure_optimized_gc("default")
    breaker = DelegationCircuitBreaker(max_depth=5)
    breaker.max_depth = 2
    breaker.max_depth = 1
    breaker.max_parallel = 3
    assert memguard.rollback(here).names == (
        "limits of a breaker",
        "the collector's profile 'default'",
    )
    assert state_of_collector() == middle
    assert (breaker.max_depth, breaker.max_parallel) == (5, 10)
    memguard.rollback()
    assert state_of_collector() == before


def test_what_was_restored_by_hand_is_not_undone_again():
    """The handle forgets."""
    with memguard.configure_optimized_gc("report"):
        pass
    gc.set_threshold(600, 5, 5)
    try:
        assert memguard.rollback().names == ()
        assert gc.get_threshold()[:2] == (600, 5)
    finally:
        gc.set_threshold(700, 10, 10)


def test_a_breaker_that_is_gone_is_forgotten():
    """The journal keeps nobody alive."""
    breaker = DelegationCircuitBreaker()
    breaker.max_depth = 1
    gone = weakref.ref(breaker)
    del breaker
    gc.collect()
    assert gone() is None
    assert memguard.rollback().names == ()


def test_a_guard_only_observes_after_a_rollback():
    """Agents that run go on; nothing is refused, nobody is asked."""
    asked = []
    with Guard(
        settings=GuardSettings(), max_depth=1, approve=lambda request: asked.append(1) or False
    ) as guard:
        with guard.agent("a"), guard.delegate("b"):
            with pytest.raises(memguard.DepthExceeded):
                guard.delegate("c").__enter__()
            assert memguard.rollback().names == ("a guard that refuses",)
            with guard.delegate("c"), guard.delegate("d"), guard.delegate("e") as deep:
                assert deep.depth == 4
        assert guard.statistics().admission.live_count == 0
        assert guard.statistics().admission.let_pass_counts
    assert asked == []
    assert memguard.rollback().names == ()


# Triggers: loads that deserve it, and loads that do not.


def noise(seed, width):
    chance = random.Random(seed)
    return lambda: chance.uniform(-width, width)


def memory_load(shape, *, live=lambda at: 10, seed=1, seconds=1200, every=5, wobble=1.0):
    """Readings of memory in use [MB] that follows a shape over time [s]."""
    shake = noise(seed, wobble)
    return [
        RollbackReading(float(at), int((100 + shape(at) + shake()) * MB), live(at))
        for at in range(0, seconds, every)
    ]


def sawtooth(at, period, height):
    return at % period / period * height


def lag_load(lag, seconds=120):
    return [RollbackReading(float(at), lag_seconds=lag(at)) for at in range(seconds)]


def effect_load(*ratios):
    return [
        RollbackReading(600.0 * at, effectiveness_ratio=ratio) for at, ratio in enumerate(ratios)
    ]


def decision_load(*pairs):
    """Of each pair (decided, denied) since the last reading."""
    decided = denied = 0
    readings = [RollbackReading(0.0)]
    for at, (more_decided, more_denied) in enumerate(pairs, 1):
        decided += more_decided
        denied += more_denied
        readings.append(RollbackReading(60.0 * at, decided_count=decided, denied_count=denied))
    return readings


DESERVED = {
    "a steady leak": ("leak", memory_load(lambda at: at * 0.05)),
    "a leak below a sawtooth of collections": (
        "leak",
        memory_load(lambda at: at * 0.06 + sawtooth(at, 40, 60)),
    ),
    "a leak in steps": ("leak", memory_load(lambda at: at // 60 * 3.5)),
    "a leak while load goes up and down": (
        "leak",
        memory_load(
            lambda at: at * 0.06 + (20 if at // 50 % 2 else 0),
            live=lambda at: 30 if at // 50 % 2 else 10,
        ),
    ),
    "a collector that frees half": ("effectiveness", effect_load(0.5, 0.52, 0.48)),
    "a collector that gets worse": ("effectiveness", effect_load(1.0, 0.6, 0.5, 0.4)),
    "a loop that stands still": ("unresponsive", lag_load(lambda at: float(max(0, at - 60)))),
    "a loop that is late most of the time": (
        "unresponsive",
        lag_load(lambda at: 1.5 if at % 3 else 0.1),
    ),
    "people who deny most": ("blocked", decision_load(*[(5, 3)] * 10)),
    "people who deny all": ("blocked", decision_load((20, 20))),
}

QUIET = {
    "leak": {
        "memory that stays": memory_load(lambda at: 0),
        "a sawtooth of collections": memory_load(lambda at: sawtooth(at, 60, 80)),
        "a slow sawtooth of collections": memory_load(lambda at: sawtooth(at, 300, 80)),
        "caches that fill once": memory_load(lambda at: 60 if at > 200 else 0),
        "a warm-up that levels off": memory_load(lambda at: 80 * (1 - 0.99**at)),
        "a large cache that fills for half an hour": memory_load(
            lambda at: 200 * (1 - math.exp(-at / 500)), seconds=3600
        ),
        "a load that comes and goes": memory_load(
            lambda at: 80 if 300 < at < 600 else 0, live=lambda at: 90 if 300 < at < 600 else 10
        ),
        "a load that rises, and memory with it": memory_load(
            lambda at: at * 0.1, live=lambda at: 10 + at // 5, seconds=1800
        ),
        "growth below the limit": memory_load(lambda at: at * 0.015, seconds=1800),
        "one large object that is kept": memory_load(lambda at: 40 if at == 450 else 0),
        "wild memory without a trend": memory_load(lambda at: 0, wobble=50),
        "memory that falls": memory_load(lambda at: 90 - at * 0.05, seconds=1800),
        "a leak that nobody has looked at for long": memory_load(lambda at: at * 0.2, seconds=300),
        **{
            f"a cache of {size} MB that fills evenly for {fill} s from {start} s, then stops": (
                memory_load(
                    lambda at, size=size, fill=fill, start=start: (
                        size * min(1, max(0, (at - start) / fill))
                    ),
                    seconds=2400,
                    wobble=wobble,
                )
            )
            for size in (25, 60, 200)
            for fill, start, wobble in ((300, 0, 1), (600, 0, 1), (600, 300, 1), (600, 300, 5))
        },
    },
    "effectiveness": {
        "a collector that frees all": effect_load(1.0, 1.0, 0.99, 1.0),
        "one bad collection": effect_load(1.0, 0.2, 1.0, 0.95),
        "two measurements are not enough": effect_load(0.1, 0.1),
        "as much as is asked, and not less": effect_load(*[0.70] * 8),
        "somewhat more than is asked": effect_load(0.72, 0.78, 0.71, 0.75, 0.74),
        "a collector that frees now more, now less": effect_load(*[1.0, 0.75, 0.5] * 4),
        "every third collection frees nothing": effect_load(*[1.0, 1.0, 0.0] * 4),
        "a bad start, and all is well then": effect_load(0.3, 1.0, 1.0, 1.0, 1.0),
        "a collector that gets better": effect_load(0.5, 0.75, 0.9, 1.0),
        "nothing was ever measured": effect_load(*[None] * 12),
    },
    "unresponsive": {
        "one long pause": lag_load(lambda at: 5.0 if at == 60 else 0.01),
        "a pause of just below the longest": lag_load(lambda at: 29.9 if at == 60 else 0.01),
        "a pause now and then": lag_load(lambda at: 1.2 if at % 5 == 0 else 0.05),
        "a busy start": lag_load(lambda at: 2.0 if at < 15 else 0.02),
        "a busy quarter of each minute": lag_load(lambda at: 3.0 if at % 60 < 15 else 0.02, 600),
        "two of five looks are late": lag_load(lambda at: 1.5 if at % 5 < 2 else 0.1, 600),
        "lags below the limit": lag_load(lambda at: 0.9),
        "a loop that was only seen for a short time": lag_load(lambda at: 2.0, seconds=15),
        "late looks of long ago": lag_load(lambda at: 2.0 if at < 25 else 0.1, seconds=600),
        "no event loop at all": lag_load(lambda at: None),
    },
    "blocked": {
        "people who deny some": decision_load(*[(5, 2)] * 10),
        "people who deny one in ten": decision_load(*[(10, 1)] * 20),
        "a few denials at the start": decision_load((3, 3), (2, 2)),
        "one too few, all denied": decision_load((19, 19)),
        "half of them, which is not more than half": decision_load((20, 10)),
        "half of them for hours": decision_load(*[(10, 5)] * 200),
        "people who allow all": decision_load(*[(5, 0)] * 10),
        "denials after many that were allowed": decision_load((30, 0), (10, 10), (10, 10)),
        "denials of long ago": [
            *decision_load(*[(5, 5)] * 3),
            *(
                RollbackReading(4000.0 + at, decided_count=15 + at, denied_count=15)
                for at in range(40)
            ),
        ],
        "nothing happens": [RollbackReading(float(at)) for at in range(0, 4000, 10)],
    },
}


def fired_by(readings, settings=None):
    state, fired = TriggerState(), []
    for reading in readings:
        state, more = decide(reading, settings or RollbackSettings(), state)
        fired += more
    return fired


@pytest.mark.parametrize("name", DESERVED)
def test_a_trigger_fires_on_a_load_that_deserves_it(name):
    """With the numbers in its reason."""
    trigger, readings = DESERVED[name]
    fired = fired_by(readings)
    assert {each.trigger for each in fired} == {trigger}
    assert "the limit is" in fired[0].reason
    assert any(character.isdigit() for character in fired[0].reason)


@pytest.mark.parametrize(
    ("trigger", "name"), [(trigger, name) for trigger, loads in QUIET.items() for name in loads]
)
def test_no_trigger_fires_on_a_load_that_does_not(trigger, name):
    """Healthy services go up and down, fill caches, start, and pause."""
    assert fired_by(QUIET[trigger][name]) == []


def test_each_trigger_is_tried_on_ten_loads_that_do_not_deserve_it():
    """And on one that does."""
    assert {trigger for trigger, _ in DESERVED.values()} == set(QUIET)
    assert all(len(loads) >= 10 for loads in QUIET.values())


@pytest.mark.parametrize("megabytes_per_second", [0.05, 0.2, 2.0])
@pytest.mark.parametrize("start", [0, 900])
def test_a_steady_leak_is_told_within_a_window_and_a_half(megabytes_per_second, start):
    """Of more than 20 MB in the window, whatever was before."""
    readings = memory_load(
        lambda at: max(0, at - start) * megabytes_per_second, seconds=start + 1000
    )
    settings = RollbackSettings(leak_bytes=20_000_000)
    state, first = TriggerState(), None
    for reading in readings:
        state, fired = decide(reading, settings, state)
        if fired and first is None:
            first = reading.now_seconds
    assert first is not None
    assert (
        start + settings.leak_window_seconds < first <= start + 1.5 * settings.leak_window_seconds
    )


@pytest.mark.parametrize("seed", range(20))
def test_noise_alone_is_no_leak(seed):
    """A walk that is pulled back to where it began, as allocators do."""
    chance, level, readings = random.Random(seed), 0.0, []
    for at in range(0, 1800, 6):
        level = level * 0.94 + chance.gauss(0, 5)
        readings.append(RollbackReading(float(at), int((200 + level) * MB), 10))
    assert fired_by(readings) == []


def test_what_is_remembered_is_bounded():
    """However often it is looked."""
    state = TriggerState()
    for number in range(1_500):
        reading = RollbackReading(number * 1.0, 10**8, 1, lag_seconds=0.0)
        state, _ = decide(reading, RollbackSettings(), state)
    assert len(state.memory) <= 310
    assert len(state.lags) <= 310
    assert len(state.decisions) <= 310


# What is done.


def blocked():
    """A reading that fires, after one that does not."""
    return [RollbackReading(0.0), RollbackReading(60.0, decided_count=20, denied_count=20)]


def take_all(rollback, readings):
    return [done for done in map(rollback.take, readings) if done is not None]


def test_it_is_undone_once_until_it_is_reset():
    """And told: which trigger, why, and what was undone."""
    journal, undone = Journal(), []
    rollback = Rollback(journal=journal)
    seen = []
    rollback.events.subscribe(TriggerFired, seen.append)
    rollback.events.subscribe(RolledBack, seen.append)
    for _ in range(2):
        journal.note("a", "a setting", lambda: undone.append(1))
        (done,) = take_all(rollback, blocked())
        assert (done.trigger, done.undone) == ("blocked", ("a setting",))
        assert rollback.done == done
        assert take_all(rollback, [RollbackReading(61.0, decided_count=40, denied_count=40)]) == []
        rollback.reset()
        assert rollback.done is None
    assert undone == [1, 1]
    assert [type(event) for event in seen] == [TriggerFired, RolledBack] * 2
    assert "20 of 20 operations were denied" in seen[0].reason


def test_a_dry_run_tells_and_does_nothing(tmp_path, caplog):
    """What would be undone, and run."""
    journal = Journal()
    journal.note("a", "a setting", pytest.fail)
    made = tmp_path / "made"
    command = [sys.executable, "-c", f"open({str(made)!r}, 'w')"]
    (done,) = take_all(Rollback(journal=journal, command=command, is_dry=True), blocked())
    assert done.is_dry
    assert (done.undone, done.command) == (("a setting",), tuple(command))
    assert journal.names() == ("a setting",)
    assert not made.exists()
    assert "would be undone: a setting" in caplog.text


def test_the_command_is_run_after_undoing_without_a_shell(tmp_path):
    """Its arguments are taken as they are; its exit code and output are told."""
    journal, made = Journal(), tmp_path / "undone"
    journal.note("a", "a setting", made.touch)
    code = "import os, sys; print(sys.argv[1], os.path.exists(sys.argv[2])); sys.exit(3)"
    rollback = Rollback(
        journal=journal, command=[sys.executable, "-c", code, "$HOME; ls", str(made)]
    )
    done = rollback.act("somebody asked")
    assert (done.trigger, done.reason) == ("asked", "somebody asked")
    assert (done.exit_code, done.output) == (3, "$HOME; ls True")


def test_a_command_that_does_not_end_is_ended():
    """After the time that the settings give it."""
    settings = RollbackSettings(command_timeout_seconds=0.2)
    command = [sys.executable, "-c", "import threading; threading.Event().wait()"]
    done = Rollback(settings, journal=Journal(), command=command).act("asked")
    assert done.exit_code is None
    assert "ended after 0.2 s" in done.output


def test_what_a_command_starts_is_not_waited_for():
    """A service goes on, with the output of who started it."""
    code = (
        "import subprocess, sys; print('started', flush=True);"
        " service = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
        " print(service.pid)"
    )
    done = Rollback(journal=Journal(), command=[sys.executable, "-c", code]).act("asked")
    started, process_id = done.output.split()
    os.kill(int(process_id), signal.SIGTERM)
    assert (done.exit_code, started) == (0, "started")


def test_a_command_runs_where_no_file_can_be_written(monkeypatch):
    """Its exit code is told, and its output is not."""
    monkeypatch.setattr(tempfile, "TemporaryFile", Mock(side_effect=FileNotFoundError))
    command = [sys.executable, "-c", "import sys; print('lost'); sys.exit(4)"]
    done = Rollback(journal=Journal(), command=command).act("asked")
    assert (done.exit_code, done.output) == (4, "")


def test_a_command_that_is_not_there_is_told(tmp_path):
    """And what was undone is undone."""
    done = Rollback(journal=Journal(), command=[str(tmp_path / "missing")]).act("asked")
    assert "could not be run" in done.output


@pytest.mark.parametrize("command", ["rm -rf x", b"ls", ["ls", 1]])
def test_a_command_is_a_list_of_words(command):
    """A string would want a shell."""
    with pytest.raises(WrongTypeError, match="a list of a program and its arguments"):
        Rollback(command=command)


# Event loops.


def test_a_loop_that_stands_still_is_seen_while_it_does():
    """From another thread, and it is well again once it goes on."""
    clock = [100.0]
    stands, may_go_on = threading.Event(), threading.Event()

    async def run():
        heart.append(Heartbeat(asyncio.get_running_loop(), clock=lambda: clock[0]))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        stands.set()
        may_go_on.wait(10)
        await asyncio.sleep(0)

    heart = []
    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    assert stands.wait(10)
    assert heart[0].read_lag() == 0.0
    clock[0] += 7.0
    assert heart[0].read_lag() == pytest.approx(6.75)
    assert not heart[0].has_ended
    may_go_on.set()
    thread.join()
    assert heart[0].has_ended
    assert heart[0].read_lag() == 0.0


def test_loops_are_watched_once_and_forgotten_when_they_are_closed():
    """And a loop that nobody runs is not late."""
    hearts = Heartbeats(1.0)
    assert hearts.read_lag() is None
    loop = asyncio.new_event_loop()
    hearts.watch(loop)
    hearts.watch(loop)
    assert len(hearts._each) == 1
    assert hearts.read_lag() == 0.0
    loop.close()
    assert hearts.read_lag() is None
    other = asyncio.new_event_loop()
    hearts.watch(other)
    hearts.stop()
    assert hearts.read_lag() is None
    other.run_until_complete(asyncio.sleep(0))
    other.close()


class Clocks:
    """Of a process that is paused, computes, or waits."""

    def __init__(self):
        self.now, self.cpu = 100.0, 5.0

    def pass_by(self, seconds, cpu_seconds):
        self.now += seconds
        self.cpu += cpu_seconds


@pytest.mark.parametrize("comes_round_first", [False, True])
@pytest.mark.parametrize(("cpu_seconds", "lag_seconds"), [(0.1, 0.0), (29.0, 29.75)])
def test_a_process_that_was_stopped_is_not_a_loop_that_was(
    cpu_seconds, lag_seconds, comes_round_first
):
    """Its clock went on, its processors did not; and if they did, something kept the loop."""
    clocks = Clocks()
    hearts = Heartbeats(1.0, clock=lambda: clocks.now, cpu_clock=lambda: clocks.cpu)

    async def run():
        hearts.watch(asyncio.get_running_loop())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        clocks.pass_by(1.0, 0.0)
        hearts._each[0]._note()
        hearts.read_lag()
        clocks.pass_by(30.0, cpu_seconds)
        if comes_round_first:
            hearts._each[0]._note()
        first = hearts.read_lag()
        # The loop comes round as soon as it can.
        hearts._each[0]._note()
        clocks.pass_by(0.2, 0.0)
        return first, hearts.read_lag()

    first, second = asyncio.run(run())
    assert first == pytest.approx(lag_seconds, abs=1)
    assert second == pytest.approx(0.0 if comes_round_first else lag_seconds, abs=1)


STOPPABLE = """
import asyncio, json, sys, threading, time
from memguard import Guard, GuardSettings, PressureSettings, RollbackSettings
from memguard.rollbacks.events import TriggerFired

settings = GuardSettings(
    pressure=PressureSettings(sample_seconds=0.05),
    rollback=RollbackSettings(unresponsive_seconds=1.0),
)
looks, moments, fired, ended = threading.Semaphore(0), [], [], threading.Event()
has_fired = threading.Event()


def note(event):
    fired.append(event.trigger)
    has_fired.set()


def look_on(count):
    for _ in range(count):
        looks.acquire()


def compute():
    while not ended.is_set():
        sum(range(1000))


async def run(guard):
    loop = asyncio.get_running_loop()
    async with guard.agent("agent"):
        await loop.run_in_executor(None, look_on, 20)
        print("ready", flush=True)
        await loop.run_in_executor(None, sys.stdin.readline)
        while looks.acquire(blocking=False):
            pass
        await loop.run_in_executor(None, look_on, 20)
        of_the_stop = list(fired)
        longest = max(after - before for before, after in zip(moments, moments[1:]))
        # Now the loop does stand still, until that is told.
        has_fired.wait(60)
        print(json.dumps([of_the_stop, longest, fired]), flush=True)


with Guard(settings=settings, rollback="report") as guard:
    guard.events.subscribe(TriggerFired, note)
    take = guard.rollback.take

    def counted(reading):
        done = take(reading)
        moments.append(reading.now_seconds)
        looks.release()
        return done

    guard.rollback.take = counted
    if sys.argv[1] == "busy":
        threading.Thread(target=compute, daemon=True).start()
    asyncio.run(run(guard))
    ended.set()
"""


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="this system stops no process")
@pytest.mark.parametrize("load", ["idle", "busy"])
def test_a_process_that_was_really_stopped_is_not_unresponsive(load):
    """By a signal, for five times the limit; the same loop is, once it really blocks."""
    with subprocess.Popen(
        [sys.executable, "-c", STOPPABLE, load],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout.readline() == "ready\n"
            process.send_signal(signal.SIGSTOP)
            assert os.WIFSTOPPED(os.waitpid(process.pid, os.WUNTRACED)[1])
            # Time has to pass for real: that is what is tested.
            time.sleep(5.0)
            process.send_signal(signal.SIGCONT)
            out, _ = process.communicate("go on\n", timeout=120)
        finally:
            process.kill()
    of_the_stop, longest_seconds, fired = json.loads(out)
    assert longest_seconds >= 4.5
    assert of_the_stop == []
    assert fired == ["unresponsive"]


# In a guard.


def test_a_guard_whose_people_deny_most_observes_from_then_on():
    """It undoes itself, the collector too, and says why."""
    settings = GuardSettings(
        pressure=PressureSettings(sample_seconds=0.01),
        rollback=RollbackSettings(blocked_sample_count=5),
    )
    before = state_of_collector()
    rolled_back = threading.Event()
    with Guard(
        settings=settings,
        gc="report",
        approve=lambda request: Decision.deny("dora", "no"),
        max_depth=9,
        rollback="act",
    ) as guard:
        guard.events.subscribe(RolledBack, lambda event: rolled_back.set())
        with guard.agent("0"), guard.delegate("1"), guard.delegate("2"), guard.delegate("3"):
            # It fires by what is denied between two looks, whenever the first one is.
            while not rolled_back.wait(0.005):
                if not guard.breaker.observe_only:
                    with contextlib.suppress(memguard.ApprovalDenied), guard.delegate("4"):
                        pass
            assert guard.statistics().admission.refused_counts
            with guard.delegate("4") as deep:
                assert deep.depth == 4
        done = guard.rollback.done
        assert done.trigger == "blocked"
        assert set(done.undone) == {"a guard that refuses", "the collector's profile 'report'"}
        assert gc.get_threshold() == before[0]
    assert state_of_collector() == before


def test_a_guard_watches_the_loops_of_its_agents():
    """From the first agent on, as long as it is open."""

    async def run():
        async with guard.agent("a"):
            assert guard._harm._heartbeats.read_lag() is not None

    with Guard(settings=GuardSettings(), rollback="report") as guard:
        asyncio.run(run())
        assert guard._harm._heartbeats.read_lag() is None
    with pytest.raises(memguard.UnknownOptionError, match="rollback"):
        Guard(settings=GuardSettings(), rollback="maybe")
