"""Cycles in which one of some objects takes part, and no others."""

import gc

import pytest

from memguard.heap.scan import scan_around

pytestmark = pytest.mark.native


class Node:
    """Refers to others."""

    def __init__(self, *others):
        self.others = list(others)


def ring():
    first = Node()
    second = Node(first)
    first.others.append(second)
    return first


def test_garbage_is_what_only_the_list_holds():
    """A list of objects does not keep them alive for the look."""
    objects = [ring()]
    with scan_around(objects) as report:
        assert (report.cycle_count, report.shapes[0].object_count) == (1, 4)


def test_an_object_that_is_held_elsewhere_is_no_garbage():
    """One variable is enough."""
    held = ring()
    assert scan_around([held]).cycle_count == 0


def test_a_cycle_that_is_only_referred_to_does_not_count():
    """The object is dropped, and with it a ring; it is on no cycle itself."""
    objects = [Node(ring())]
    assert scan_around(objects).cycle_count == 0


def test_live_cycles_are_found_around_objects_in_use():
    """Again only those with one of the objects."""
    held = ring()
    assert scan_around([held], "live").cycle_count == 1
    assert scan_around([Node(held)], "live").cycle_count == 0


def test_the_cost_is_what_the_objects_reach():
    """Not the heap."""
    assert scan_around([ring()]).object_count == 4 < len(gc.get_objects())
