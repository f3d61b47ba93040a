"""Counts of types and lengths of containers are those that there are."""

import collections
import gc
import struct
import sys
import weakref

import pytest

from hostile import failures
from memguard import _core, _growth

RECORD = struct.Struct("=6Q")


class Node:
    """An object of the program."""


def census(floor=4, most=1 << 16):
    return _growth.Census(floor, most)


def changes_of(one):
    changes, types = one.take()
    return {record[0]: record[2:] for record in RECORD.iter_unpack(changes)}, types


class Own(dict):
    """A dict of the program that lies about its length."""

    def __len__(self):
        raise AssertionError("asked")


CONTAINERS = {
    "dict": (dict, lambda it, n: it.__setitem__(n, None)),
    "untracked dict": (lambda: dict.fromkeys("abcdefgh"), lambda it, n: it.__setitem__(str(n), 1)),
    "list": (list, list.append),
    "set": (set, set.add),
    "deque": (collections.deque, collections.deque.append),
    "OrderedDict": (collections.OrderedDict, lambda it, n: it.__setitem__(n, None)),
    "defaultdict": (lambda: collections.defaultdict(list), lambda it, n: it[n]),
    "Counter": (collections.Counter, lambda it, n: it.update([n])),
    "subclass": (Own, lambda it, n: it.__setitem__(n, None)),
}


@pytest.mark.native
@pytest.mark.parametrize("name", CONTAINERS)
def test_each_kind_of_container_is_counted(name):
    """Also a dict that the collector does not track, since it holds strings only."""
    make, add = CONTAINERS[name]
    container = make()
    holder = Node()
    holder.held = container
    for number in range(10):
        add(container, number)
    length = container.__len__() if name != "subclass" else dict.__len__(container)
    one = census()
    one.take()
    for number in range(10, 15):
        add(container, number)
    changes, _ = changes_of(one)
    assert changes[id(container)][:2] == (length, length + 5)


@pytest.mark.native
def test_what_is_gone_or_shorter_than_the_floor_has_no_length():
    """And is told once."""
    gone, shorter = [list(range(9)) for _ in range(2)]
    one = census(8)
    one.take()
    address = id(gone)
    del gone, shorter[5:]
    changes, _ = changes_of(one)
    assert changes[address][:2] == (9, 0)
    assert changes[id(shorter)][:2] == (9, 0)
    assert id(shorter) not in changes_of(one)[0]


@pytest.mark.native
def test_the_floor_rises_when_there_are_too_many_containers():
    """The table stays bounded, and what fell below the floor is not called gone."""
    held = [list(range(size)) for size in range(100) for _ in range(3)]
    one = census(4, 128)
    one.take()
    assert one.floor > 4
    assert one.container_count <= 128
    assert not {id(item) for item in held} & changes_of(one)[0].keys()


@pytest.mark.native
def test_a_census_holds_nothing():
    """No object, no reference count, no weak reference."""
    target = Node()
    target.items = [1, 2, 3, 4, 5, 6, 7, 8]
    watched = weakref.ref(target)
    counts = [sys.getrefcount(target.items)]
    one = census()
    for _ in range(3):
        one.take()
    counts.append(sys.getrefcount(target.items))
    assert counts[0] == counts[1]
    del target
    assert watched() is None


@pytest.mark.native
def test_a_container_is_found_only_while_it_is_there():
    """By address and type: what took its address is another thing."""
    kept = list(range(9))
    one = census()
    found = one.find([(id(kept), id(list)), (id(kept), id(dict)), (16, id(list))])
    assert found[0] is kept
    assert found[1:] == [None, None]


@pytest.mark.native
def test_containers_are_found_that_the_collector_does_not_walk_over():
    """A dict that is not tracked, one that was frozen, and one that has both as neighbours."""
    untracked = dict.fromkeys("abcdefgh")
    holder = [untracked]
    frozen = list(range(9))
    gc.collect()
    gc.freeze()
    later = [*range(9)]
    try:
        found = census().find([(id(one), id(type(one))) for one in (untracked, frozen, later)])
    finally:
        gc.unfreeze()
    is_walked = _core.build_info()["enumeration"] == "list_walk"
    assert found[0] is untracked
    assert found[1] is (frozen if is_walked else found[1])
    assert found[2] is later
    assert holder


@pytest.mark.native
def test_to_find_without_memory_changes_nothing():
    """Whether a walk is enough or a look is needed; so for the newest objects of types."""
    kept = list(range(9))
    untracked = dict.fromkeys("abcdefgh")
    one = census()
    places = [(id(kept), id(list)), (id(untracked), id(dict))]
    assert len([*failures(lambda: one.find(places[:1]))]) >= 3
    assert len([*failures(lambda: census().find(places))]) >= 5
    assert len([*failures(lambda: one.newest([f"{__name__}.Node"]))]) >= 2
    assert one.find(places[:1]) == [kept]


@pytest.mark.native
def test_a_census_without_memory_is_as_it_was():
    """Every native allocation may fail, and the next pass sees what changed since the last."""
    growing = list(range(20))
    one = census()
    one.take()
    growing.append(1)
    before_bytes = _core._native_bytes()
    found = []
    assert len([*failures(lambda one=one: found.append(changes_of(one)))]) >= 4
    [(changes, _)] = found
    assert changes[id(growing)][:2] == (20, 21)
    del one
    assert _core._native_bytes() < before_bytes


def test_types_are_counted_as_the_collector_knows_them():
    """By name, with their bytes."""
    held = [Node() for _ in range(123)]
    _, types = census().take()
    [(count, size_bytes)] = [found for name, *found in types if name == f"{__name__}.Node"]
    assert count >= len(held)
    assert size_bytes >= count * object.__sizeof__(held[0])


def test_a_container_that_was_frozen_is_still_seen():
    """``gc.freeze`` puts aside what services fill afterwards."""
    held = list(range(10))
    gc.freeze()
    one = census()
    one.take()
    held.append(1)
    frozen = _core.build_info()["enumeration"] == "list_walk"
    assert (id(held) in changes_of(one)[0]) or not frozen
