"""Heaps that are large or deep."""

import functools
import gc
import threading

import pytest

import memguard
from graphs import Vertex, self_loop
from memguard import _core
from memguard.heap.cuts import flags_of

LARGE = pytest.param(1_000_000, marks=pytest.mark.large)
SMALL_STACK_BYTES = 256 * 1024
DEFAULT_CUT_FLAGS = flags_of(memguard.DEFAULT_CUTS)


class Link:
    """Gets few attributes: with many a class gives each instance a dict of its own."""


class Record:
    def __init__(self, number):
        self.number = number
        self.tags = [number]


class Row:
    __slots__ = ("name", "tags")

    def __init__(self, number):
        self.name = number
        self.tags = [number, {number: []}]

    def method(self):
        return self.name


def counter(start):
    seen = [start]

    def count():
        return seen

    return count


def countdown(box):
    while box:
        yield box.pop()


def started(generator):
    next(generator)
    return generator


ACYCLIC = [
    (2, Record),
    (4, Row),
    (2, lambda number: Row(number).method),
    (3, counter),
    (2, lambda number: functools.partial(len, [number])),
    (2, lambda number: started(countdown([number, number]))),
    (5, lambda number: {"id": number, "author": {"scores": [number, (number, [])]}}),
]
"""(objects that the collector tracks, at least; maker)"""


def acyclic_heap(object_count):
    held, made_count, number = [], 0, 0
    while made_count < object_count:
        tracked_count, make = ACYCLIC[number % len(ACYCLIC)]
        held.append(make(number))
        made_count += tracked_count
        number += 1
    return held


def live_ids():
    with memguard.scan("live", explain=False) as report:
        return {frozenset(cycle.object_ids) for cycle in report.cycles}


@pytest.mark.parametrize("object_count", [100_000, LARGE])
def test_an_acyclic_heap_has_no_cycles(object_count):
    """Neither live ones, nor garbage."""
    before = live_ids()
    held = acyclic_heap(object_count)
    with memguard.scan("live", roots=held) as report:
        assert report.object_count > object_count
        assert report.cycle_count == 0
    assert live_ids() - before == set()
    assert memguard.scan("garbage").unreachable_count == 0


@pytest.mark.parametrize(("object_count", "cycle_count"), [(100_000, 5_000), (1_000_000, 50_000)])
@pytest.mark.large
def test_planted_cycles_are_found_exactly_and_in_one_shape(object_count, cycle_count):
    """Among many objects, each planted cycle and nothing else."""
    before = live_ids()
    held = acyclic_heap(object_count - 2 * cycle_count)
    every = len(held) // cycle_count
    planted = set()
    for number in range(cycle_count):
        one, two = Link(), Link()
        one.other, two.other = two, one
        planted.add(frozenset([id(one), id(two)]))
        held.insert(number * every, one) if number < 100 else held.append(one)
    assert live_ids() - before == planted
    with memguard.scan("live", types=[Link]) as report:
        (shape,) = report.shapes
        assert (shape.cycle_count, shape.object_count) == (cycle_count, 2 * cycle_count)
        assert (
            shape.path
            == "test_large_heaps.Link.other -> test_large_heaps.Link.other -> test_large_heaps.Link"
        )


def nested_lists(depth):
    innermost = outer = []
    for _ in range(depth - 1):
        outer = [outer]
    return innermost, outer


def chain(depth):
    innermost = outer = Link()
    for _ in range(depth - 1):
        link = Link()
        link.next = outer
        outer = link
    return innermost, outer


def with_small_stack(function):
    """Call in a thread whose C stack holds no recursion of any depth."""
    answers = []
    before = threading.stack_size(SMALL_STACK_BYTES)
    try:
        thread = threading.Thread(target=lambda: answers.append(function()))
        thread.start()
    finally:
        threading.stack_size(before)
    thread.join()
    (answer,) = answers
    return answer


def look(kind, *roots):
    """Give size and retained count of each cycle, natively found and weighed."""
    graph = _core.scan_heap(kind, DEFAULT_CUT_FLAGS, roots or None, 0, 0.0)
    return [graph.cycle_facts(cycle)[0:3:2] for cycle in range(graph.cycle_count)]


@pytest.mark.parametrize("depth", [10_000, LARGE])
@pytest.mark.parametrize("nest", [nested_lists, chain])
def test_depth_is_bounded_by_memory_not_by_the_stack(nest, depth):
    """Objects nested a million deep are followed, weighed and named."""
    innermost, outer = nest(depth)
    assert with_small_stack(functools.partial(look, "live", outer)) == []
    anchor = [outer]
    anchor.append(anchor)
    assert with_small_stack(functools.partial(look, "live", anchor)) == [(1, 1)]
    del innermost, outer
    assert with_small_stack(functools.partial(look, "live", anchor)) == [(1, depth + 1)]
    del anchor
    assert with_small_stack(functools.partial(look, "garbage")) == [(1, depth + 1)]
    assert gc.collect() == depth + 1


@pytest.mark.native
def test_what_ways_of_any_length_lead_to_is_held_by_the_cycle():
    """An object that a cycle reaches in two ways, one short and one long, is retained once."""
    shared = [[], []]
    elsewhere = [[]]
    innermost, outer = nested_lists(40)
    innermost += [shared, elsewhere]
    loop = self_loop()
    loop += [outer, [shared], [[[shared]]]]
    del innermost, outer, shared
    assert look("live", loop) == [(1, 1 + 40 + 1 + 3 + 3)]
    del elsewhere
    assert look("live", loop) == [(1, 1 + 40 + 1 + 3 + 3 + 2)]


def test_a_long_loop_is_named_at_its_beginning():
    """The first references are named, the others counted."""
    loop = last = self_loop()
    loop.clear()
    for _ in range(9_999):
        last.append(Vertex())
        last = last[0]
    last.append(loop)
    with memguard.scan("live", roots=[loop]) as report:
        (shape,) = report.shapes
    assert shape.path == "graphs.Vertex[0] (24 times) -> (9976 more) -> graphs.Vertex"
    assert len(shape.edges) == 24


@pytest.mark.parametrize("size", [10_000, LARGE])
@pytest.mark.parametrize("nest", [nested_lists, chain])
def test_a_ring_of_any_length_is_one_cycle(nest, size):
    """A million objects that each refer to the next are one component."""
    innermost, outer = nest(size)
    if nest is chain:
        innermost.next = outer
    else:
        innermost.append(outer)
    assert with_small_stack(functools.partial(look, "live", outer)) == [(size, size)]
    del innermost, outer
    assert with_small_stack(functools.partial(look, "garbage")) == [(size, size)]
    assert gc.collect() == size
