"""The bus: who is told what, and what a listener may do."""

import logging
from dataclasses import dataclass

import pytest

from memguard._admission import Flag
from memguard.events import Event, EventBus


@dataclass(frozen=True, slots=True)
class Rose(Event):
    used_bytes: int


@dataclass(frozen=True, slots=True)
class Fell(Event):
    used_bytes: int


def test_an_event_reaches_those_who_asked_for_its_type_in_their_order():
    """And nobody else."""
    bus, told = EventBus(), []
    bus.subscribe(Rose, lambda event: told.append(("first", event)))
    bus.subscribe(Rose, lambda event: told.append(("second", event)))
    bus.subscribe(Fell, lambda event: told.append(("other", event)))
    bus.emit(Rose(1))
    assert told == [("first", Rose(1)), ("second", Rose(1))]


def test_who_asks_for_the_base_is_told_everything():
    """After those who asked for just this."""
    bus, told = EventBus(), []
    bus.subscribe(Event, told.append)
    bus.emit(Rose(1))
    bus.emit(Fell(2))
    assert told == [Rose(1), Fell(2)]


def test_nobody_wants_what_nobody_asked_for():
    """So that an event need not be made."""
    bus = EventBus()
    assert not bus.wants(Rose)
    end = bus.subscribe(Rose, print)
    assert bus.wants(Rose)
    assert not bus.wants(Fell)
    end()
    assert not bus.wants(Rose)
    bus.subscribe(Event, print)
    assert bus.wants(Fell)


@pytest.mark.parametrize("kind", [Rose, Fell, Event])
def test_a_flag_is_up_while_somebody_asks_for_one_of_its_types_or_for_all(kind):
    """Whether they asked before it was made or after; those of the same types share it."""
    bus = EventBus()
    flag = bus.flag_for(frozenset({Rose, Fell}), Flag)
    alone = bus.flag_for(frozenset({Rose}), Flag)
    assert bus.flag_for(frozenset({Fell, Rose}), Flag) is flag
    ends = [bus.subscribe(kind, print), bus.subscribe(kind, print)]
    assert flag.is_up
    assert alone.is_up is (kind is not Fell)
    assert bus.flag_for(frozenset({kind}), Flag).is_up
    ends[0]()
    ends[0]()
    assert flag.is_up
    ends[1]()
    assert not flag.is_up
    assert not alone.is_up


def test_to_end_twice_takes_nobody_else_away():
    """Also where the same listener was given twice."""
    bus, told = EventBus(), []
    end = bus.subscribe(Rose, told.append)
    bus.subscribe(Rose, told.append)
    end()
    end()
    bus.emit(Rose(1))
    assert told == [Rose(1)]


def test_a_listener_that_raises_is_logged_and_the_others_are_told(caplog):
    """The one who emits notices nothing."""
    bus, told = EventBus(), []

    def raises(event):
        raise RuntimeError("no")

    bus.subscribe(Rose, raises)
    bus.subscribe(Rose, told.append)
    with caplog.at_level(logging.ERROR, logger="memguard.events"):
        bus.emit(Rose(1))
    assert told == [Rose(1)]
    assert bus.failure_count == 1
    assert "Rose" in caplog.text
    assert "RuntimeError: no" in caplog.text


def test_what_ends_the_program_is_not_held_back():
    """KeyboardInterrupt is not the listener's failure."""
    bus = EventBus()

    def interrupts(event):
        raise KeyboardInterrupt

    bus.subscribe(Rose, interrupts)
    with pytest.raises(KeyboardInterrupt):
        bus.emit(Rose(1))


def test_a_listener_may_subscribe_and_unsubscribe():
    """It takes part from the next event on."""
    bus, told = EventBus(), []
    ends = []

    def once(event):
        told.append(event)
        ends.pop()()
        bus.subscribe(Rose, lambda event: told.append("later"))

    ends.append(bus.subscribe(Rose, once))
    bus.emit(Rose(1))
    bus.emit(Rose(2))
    assert told == [Rose(1), "later"]
