"""Large components of references that lead anywhere, which are searched in a way of their own."""

import random

import pytest

import memguard
from graphs import Vertex
from memguard import _core
from memguard.heap.cuts import flags_of
from oracles import components, reached_from

VERTEX_COUNT = 75_000
"""The search looks up from a path of 32,768 nodes; a random graph has one of most of its nodes."""

DEFAULT_CUT_FLAGS = flags_of(memguard.DEFAULT_CUTS)


def tangle(count=VERTEX_COUNT, seed=1):
    """Make lists that refer to three of each other each."""
    choose = random.Random(seed).randrange
    vertices = [[] for _ in range(count)]
    for vertex in vertices:
        vertex.extend(vertices[choose(count)] for _ in range(3))
    return vertices


def ring(count, seed=2):
    vertices = [[] for _ in range(count)]
    random.Random(seed).shuffle(vertices)
    for place, vertex in enumerate(vertices):
        vertex.append(vertices[place - 1])
    return vertices


def alone():
    return tangle()


def with_cycles_below_and_above():
    """Small components lead to the large one, and others are led to."""
    vertices = tangle()
    for number in range(0, 1000, 2):
        below, above = ring(3, seed=number), ring(2, seed=number)
        vertices[number].append(below[0])
        above[1].append(vertices[number + 1])
        vertices.append(above[0])
    return vertices


def one_leads_to_another():
    first, second = tangle(seed=3), tangle(seed=4)
    first[7].append(second[7])
    return first + second


def back_by_a_long_way():
    """What leads back is a ring in random order: too long to be found in sweeps."""
    vertices = tangle()
    way = ring(10_000)
    vertices[5].append(way[0])
    way[5_000].append(vertices[9])
    return vertices


def through_what_is_cut():
    """A class that the large component refers to, whose attribute is a cycle."""
    vertices = tangle()

    class Holder:
        held = Vertex()

    Holder.held.append(Holder.held)
    vertices[11].append(Holder)
    return vertices


GRAPHS = [
    alone,
    with_cycles_below_and_above,
    one_leads_to_another,
    back_by_a_long_way,
    through_what_is_cut,
]


@pytest.mark.parametrize("make", GRAPHS)
def test_components_equal_an_independent_search(make):
    """From roots and in the whole process, all components are found, and none is made up."""
    held = make()
    expected = components(reached_from(held), cut=True)
    assert max(map(len, expected)) > VERTEX_COUNT // 2
    for report in (
        memguard.scan("live", roots=held, explain=False),
        memguard.scan("live", explain=False),
    ):
        with report:
            found = {frozenset(cycle.object_ids) for cycle in report.cycles}
        assert expected <= found


@pytest.mark.native
def test_references_inside_are_those_there_are():
    """The answer that shapes are made of lists each reference of the component."""
    vertices = tangle()
    graph = _core.scan_heap("live", DEFAULT_CUT_FLAGS, tuple(vertices), 0, 0.0)
    index = max(range(graph.cycle_count), key=lambda number: len(graph.cycle_ids(number)))
    ids = graph.cycle_ids(index)
    members = set(ids)
    edges = sorted((ids[source], ids[target]) for source, target in graph.cycle_edges(index))
    expected = (
        (id(vertex), id(target))
        for vertex in vertices
        if id(vertex) in members
        for target in vertex
        if id(target) in members
    )
    assert edges == sorted(expected)


@pytest.mark.native
def test_no_memory_for_it_is_an_error_that_leaves_nothing_behind():
    """Whichever allocation fails, the scan that follows is right."""
    held = tangle()
    expected = len(components(reached_from(held), cut=True))
    before_bytes = _core._native_bytes()
    failure_count = 0
    while True:
        _core._fail_allocation_at(failure_count + 1)
        try:
            graph = _core.scan_heap("live", DEFAULT_CUT_FLAGS, (held,), 0, 0.0, describe=False)
        except MemoryError:
            failure_count += 1
        else:
            break
        finally:
            _core._fail_allocation_at(0)
        assert _core._native_bytes() == before_bytes
    assert failure_count > 5
    assert graph.cycle_count == expected
