"""Larger random graphs: wide objects, cut ones in between, several roots, every limit."""

import gc
import random
import types

import pytest

import memguard
from graphs import KINDS
from memguard import _core
from memguard.heap.cuts import flags_of
from oracles import collected_objects, components, reached_from

# What is frozen is in no list of the interpreter, from which the search begins.
pytestmark = pytest.mark.whole_heap

CUTS = flags_of(memguard.DEFAULT_CUTS)
# What tp_traverse hands over is gathered up to 256 references at a time.
WIDTHS = (1, 254, 255, 256, 257, 511, 512, 513, 1_500)
WIDE = ("list", "list_subclass", "deque", "dict_value", "tuple")
TARGETS = {
    "anywhere": lambda rng, _source, size: rng.randrange(size),
    "near": lambda rng, source, size: (source + rng.randrange(-2, 4)) % size,
    "onward": lambda rng, source, size: (
        rng.randrange(size) if rng.random() < 0.03 else min(size - 1, source + rng.randrange(1, 6))
    ),
    "few": lambda rng, source, size: (
        rng.randrange(size // 10 + 1) if rng.random() < 0.1 else min(size - 1, source + 1)
    ),
}
GRAPHS = pytest.mark.parametrize(
    ("size", "target"),
    [(size, target) for size in (100, 300, 2_000) for target in TARGETS],
)


def grow(size, target):
    """Make a graph with references of every kind, some objects wide, some cut."""
    rng = random.Random(f"{size} {target}")
    kinds = [rng.choice(tuple(KINDS)) for _ in range(size)]
    nodes = [KINDS[kind][0]() for kind in kinds]
    for number in range(size * 3 // 2):
        source = rng.randrange(size)
        KINDS[kinds[source]][1](nodes[source], number, nodes[TARGETS[target](rng, source, size)])
    for kind, holder in zip(kinds, nodes, strict=True):
        if kind in WIDE:
            others = rng.choices([*nodes, None], k=rng.choice(WIDTHS))
            through = types.ModuleType("made")
            through.nodes = rng.choices(nodes, k=2)
            KINDS[kind][1](holder, "once", rng.choice([tuple(others), through]))
            for number, other in enumerate(others if rng.random() < 0.2 else ()):
                KINDS[kind][1](holder, -number, other)
    return nodes, rng


def cycles_of(graph):
    return {frozenset(graph.cycle_ids(index)) for index in range(graph.cycle_count)}


@GRAPHS
def test_cycles_from_roots_equal_an_independent_search(size, target):
    """From one root and from several, also when one root is reached from another."""
    nodes, rng = grow(size, target)
    found_count = 0
    for root_count in (1, 2, 5, 2):
        roots = tuple(rng.choices(nodes, k=root_count))
        expected = components(reached_from(roots), cut=True)
        graph = _core.scan_heap("live", CUTS, roots, 0, 0.0, describe=root_count == 1)
        assert cycles_of(graph) == expected
        assert graph.suspect_count == 0
        found_count += len(expected)
    assert found_count > 0


@GRAPHS
def test_garbage_cycles_equal_what_the_collector_finds(size, target):
    """Of a graph of which little is still held."""
    gc.collect()
    nodes, rng = grow(size, target)
    held = rng.choices(nodes, k=rng.choice([0, 1, size // 30]))
    nodes.clear()
    graph = _core.scan_heap("garbage", 0, None, 0, 0.0, describe=False)
    found, found_count = cycles_of(graph), graph.unreachable_count
    assert graph.suspect_count == 0
    del graph
    collected = collected_objects()
    assert found_count == len(collected)
    assert found == components(collected)
    assert len(held) in (0, 1, size // 30)


@pytest.mark.parametrize("target", TARGETS)
def test_limits_find_parts_of_what_there_is(target):
    """At whichever object or reading of the clock the search ends."""
    nodes, _rng = grow(300, target)
    roots = (nodes[0], nodes[-1])
    whole = _core.scan_heap("live", CUTS, roots, 0, 0.0)
    cycles = cycles_of(whole)
    parts = [
        _core.scan_heap("live", CUTS, roots, limit, 0.0, describe=False)
        for limit in range(1, whole.object_count, 7)
    ]
    _core._step_clock(1.0)
    try:
        parts += [
            _core.scan_heap("live", CUTS, roots, 0, reading_count - 0.5, describe=False)
            for reading_count in range(1, 12)
        ]
    finally:
        _core._step_clock(0.0)
    assert not all(part.complete for part in parts)
    for part in parts:
        assert all(any(cycle <= one for one in cycles) for cycle in cycles_of(part))
