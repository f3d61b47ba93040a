"""Free lists: objects of any kind, whose they are, and when they are handed out again."""

import collections
import copy
import gc
import logging
import random
import sys
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest

import memguard
from memguard import FreeList

pytestmark = pytest.mark.native


class Buffer:
    def __init__(self):
        self.parts = []

    def clear(self):
        self.parts.clear()


class Slotted:
    __slots__ = ("part",)


def counts(free):
    """Give created, reused, returned, dropped, lost, in use and pooled, which must add up."""
    s = free.statistics()
    assert s.created_count == s.in_use_count + s.pooled_count + s.dropped_count + s.lost_count
    return (
        *(s.created_count, s.reused_count, s.returned_count, s.dropped_count),
        *(s.lost_count, s.in_use_count, s.pooled_count),
    )


ANY_FACTORY = pytest.mark.parametrize(
    "factory", [list, dict, set, bytearray, collections.deque, Buffer, Slotted, object]
)


@ANY_FACTORY
def test_an_object_is_handed_out_again_when_nobody_holds_it(factory):
    """Whether it can carry a mark, be weakly referenced, or neither."""
    free = FreeList(factory)
    first = free.acquire()
    place = id(first)
    assert type(first) is factory
    free.release(first)
    assert free.acquire() is not first
    del first
    again = free.acquire()
    assert id(again) == place
    assert counts(free)[:3] == (2, 1, 1)


@ANY_FACTORY
def test_returning_twice_and_strangers_are_errors(factory):
    """They say the type; nothing changes, and reset is not called."""
    seen = []
    free = FreeList(factory, seen.append)
    first, second = free.acquire(), factory()
    free.release(first)
    seen.clear()
    before = counts(free)
    with pytest.raises(memguard.ReturnedTwiceError, match=factory.__name__):
        free.release(first)
    for stranger in second, None, 7, free:
        with pytest.raises(memguard.StrangerError, match=type(stranger).__name__):
            free.release(stranger)
    assert (counts(free), seen) == (before, [])


def test_what_was_dropped_is_a_stranger():
    """By a full list, or by clear."""
    free = FreeList(list, max_size=1)
    first, second, third = (free.acquire() for _ in range(3))
    free.release(first)
    free.release(second)
    with pytest.raises(memguard.StrangerError, match="returned before and dropped"):
        free.release(second)
    free.clear()
    with pytest.raises(memguard.StrangerError):
        free.release(first)
    free.release(third)
    assert counts(free) == (3, 0, 3, 2, 0, 0, 1)


def test_a_weak_reference_holds_an_object_back():
    """Who has one could reach into what the next user does."""
    free = FreeList(Buffer, Buffer.clear)
    first = free.acquire()
    seen = weakref.ref(first)
    free.release(first)
    del first
    assert free.acquire() is not seen()
    del seen
    free.acquire()
    assert free.statistics().reused_count == 1


def test_reset_lets_go_of_what_an_object_has():
    """When it is released, not when it is handed out."""
    free = FreeList(Buffer, Buffer.clear)
    buffer, part = free.acquire(), Buffer()
    buffer.parts.append(part)
    seen = weakref.ref(part)
    del part
    free.release(buffer)
    assert seen() is None


def test_what_reset_raises_is_logged_and_the_object_dropped(caplog):
    """The one who releases it notices nothing, but for what ends the program."""

    def fails(obj):
        raise error

    free = FreeList(list, fails)
    error = ValueError("no")
    with caplog.at_level(logging.ERROR, logger="memguard.agents"):
        free.release(free.acquire())
    assert "ValueError: no" in caplog.text
    error = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        free.release(free.acquire())
    assert counts(free) == (2, 0, 2, 2, 0, 0, 0)


def test_reset_may_use_the_list():
    """Release the same object, acquire others, clear: all adds up."""

    def hostile(obj):
        with pytest.raises(memguard.ReturnedTwiceError):
            free.release(obj)
        if free.statistics().in_use_count < 3:
            assert free.acquire() is not obj
        free.clear()
        kept.append(obj)

    kept, free = [], FreeList(list, hostile)
    for _ in range(5):
        free.release(free.acquire())
    counts(free)
    assert len({id(obj) for obj in kept}) == 5
    assert all(free.acquire() is not obj for obj in kept)


def test_a_factory_that_fails_changes_nothing():
    """Its error is the caller's."""

    def fails():
        raise LookupError("no")

    free = FreeList(fails)
    for act in free.acquire, lambda: free.prefill(1):
        with pytest.raises(LookupError):
            act()
    assert counts(free) == (0,) * 7


def test_a_factory_must_make_new_objects():
    """One that lies in the list cannot be given at the same time."""
    one = []
    free = FreeList(lambda: one)
    free.release(free.acquire())
    before = counts(free)
    with pytest.raises(memguard.NotNewError, match="list"):
        free.acquire()
    assert counts(free) == before


def test_what_was_lost_is_noticed_when_its_place_is_used_again():
    """A list that dies tells nobody; the next at its address does."""
    free, addresses = FreeList(list), set()
    for _ in range(1000):
        addresses.add(id(free.acquire()))
    lost, in_use = counts(free)[4:6]
    assert (lost, in_use) == (1000 - len(addresses), len(addresses))


def test_size_prefill_and_trim():
    """As those of a pool."""
    free = FreeList(list, list.clear, 3)
    free.prefill(2)
    assert (counts(free), len(free.pooled)) == ((2, 0, 0, 0, 0, 0, 2), 2)
    objects = [free.acquire() for _ in range(4)]
    for obj in objects:
        free.release(obj)
    assert counts(free) == (4, 2, 4, 1, 0, 0, 3)
    assert (free.trim(1), free.trim(1), free.max_size) == (2, 0, 3)
    free.max_size = 0
    assert free.pooled == ()
    with pytest.raises(memguard.LimitOutOfRangeError, match="at most max_size, which is 0"):
        free.prefill(1)


def test_a_factory_may_prefill_and_clear_itself():
    """No more is kept than there is room for."""

    def make():
        if not active:
            active.append(1)
            free.prefill(3)
            free.max_size = 2
        return []

    active, free = [], FreeList(make, max_size=3)
    free.prefill(3)
    assert len(free.pooled) == 2
    counts(free)


def test_arguments_that_mean_nothing_are_refused():
    """By name."""
    wrong = {"factory": (7,), "reset": (list, 7), "max_size": (list, None, "1")}
    for name, arguments in wrong.items():
        with pytest.raises(memguard.WrongTypeError, match=name):
            FreeList(*arguments)
    with pytest.raises(memguard.LimitOutOfRangeError, match="max_size"):
        FreeList(list, max_size=-1)
    with pytest.raises(memguard.CannotCopyError, match="FreeList"):
        copy.copy(FreeList(list))
    assert repr(FreeList(list)) == "<FreeList 0 kept, 0 in use>"
    assert FreeList[int].__origin__ is FreeList


def test_one_that_was_not_initialised_keeps_nothing_and_works():
    """As a subclass that forgets has it."""
    free = FreeList.__new__(FreeList)
    free.release(free.acquire())
    assert counts(free) == (1, 0, 1, 1, 0, 0, 0)


def test_identities_are_told_apart_among_thousands():
    """Against a set in Python, in random order, with a table that grows and has gaps."""
    free, chance = FreeList(list, max_size=500), random.Random(7)
    lent, places = [], set()
    for _ in range(20_000):
        if lent and chance.random() < 0.48:
            obj = lent.pop(chance.randrange(len(lent)))
            places.remove(id(obj))
            free.release(obj)
            with pytest.raises(memguard.PoolError):
                free.release(obj)
            del obj
        else:
            lent.append(free.acquire())
            assert id(lent[-1]) not in places
            places.add(id(lent[-1]))
        if chance.random() < 0.001:
            free.clear()
    assert free.statistics().in_use_count == len(lent) > 500
    for obj in lent:
        free.release(obj)
    assert counts(free)[4:] == (0, 0, 500)


def test_no_object_is_ever_in_two_hands():
    """Eight threads that mark what they have."""
    free, switch = FreeList(list, list.clear, 10), sys.getswitchinterval()

    def hammer(number):
        for _ in range(2000):
            first, second = free.acquire(), free.acquire()
            first.append(number)
            second.append(-number)
            assert (first, second) == ([number], [-number])
            free.release(first)
            free.release(second)

    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(hammer, range(1, 9)))
    finally:
        sys.setswitchinterval(switch)
    assert counts(free)[4:6] == (0, 0)


def test_cycles_through_a_list_are_found_by_the_collector():
    """Through its factory, and through what it keeps."""

    class Owner(FreeList):
        def __init__(self):
            super().__init__(self.make, None, 5)

        def make(self):
            made = Buffer()
            made.owner = self
            return made

    owner = Owner()
    owner.prefill(2)
    seen = weakref.ref(owner)
    del owner
    gc.collect()
    assert seen() is None


def every_use():
    for factory, reset in (list, list.clear), (Buffer, Buffer.clear), (object, None):
        free = FreeList(factory, reset, 3)
        objects = [free.acquire() for _ in range(100)]
        while objects:
            free.release(objects.pop())
        with pytest.raises(memguard.StrangerError):
            free.release([])
        free.acquire()
        free.prefill(3)
        free.trim(2)
        free.statistics()
        free.clear()


def test_nothing_leaks():
    """Blocks after many rounds are as many as before."""
    for _ in range(20):
        every_use()
    gc.collect()
    before = sys.getallocatedblocks()
    for _ in range(200):
        every_use()
    gc.collect()
    assert sys.getallocatedblocks() - before < 50
