"""What other tools take for the same heap, in one process with memguard.

Usage: python -m benchmarks.peers PEER OBJECT_COUNT

Prints one JSON object. The heap is that of `heaps` with a tenth of its objects
in cycles; "live" peers look at it while it is held, "garbage" peers after it
was dropped, each at a heap of its own. The collector and memguard are measured
beside, on the same heap just before.
"""

import gc
import importlib.metadata
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import memguard
from benchmarks import heaps
from benchmarks.measure import measure, require_release_build

CYCLE_SHARE = 0.05
ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Peer:
    """One way to look at the heap.

    Attributes:
        package: Distribution that it needs; "" for the standard library.
        what: What it does, in a few words.
        is_garbage: Looks at what was dropped.
        most_objects: More than this takes it too long [count].
    """

    package: str
    what: str
    is_garbage: bool
    most_objects: int
    run: Callable[[], object]


def _refcycle_live() -> object:
    import refcycle

    return refcycle.snapshot().strongly_connected_components()


def _refcycle_garbage() -> object:
    import refcycle

    return refcycle.garbage().strongly_connected_components()


def _objgraph() -> object:
    import objgraph

    return objgraph.get_leaking_objects()


def _guppy() -> object:
    import guppy

    return guppy.hpy().heap()


def _pympler() -> object:
    from pympler.garbagegraph import GarbageGraph

    return GarbageGraph(reduce=True)


def _networkx_of(objects: list[object]) -> object:
    import networkx

    graph = networkx.DiGraph()
    known = {id(thing) for thing in objects}
    for thing in objects:
        graph.add_node(id(thing))
        for child in gc.get_referents(thing):
            if id(child) in known:
                graph.add_edge(id(thing), id(child))
    return [c for c in networkx.strongly_connected_components(graph) if len(c) > 1]


def _saveall_networkx() -> object:
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        gc.collect()
        return _networkx_of(list(gc.garbage))
    finally:
        gc.set_debug(0)
        gc.garbage.clear()


PEERS: dict[str, Peer] = {
    "refcycle": Peer("refcycle", "snapshot + components", False, 10**6, _refcycle_live),
    "objgraph": Peer("objgraph", "get_leaking_objects: no cycles", False, 10**6, _objgraph),
    "guppy3": Peer("guppy3", "heap: sizes by type, no cycles", False, 10**6, _guppy),
    "refcycle, garbage": Peer("refcycle", "garbage + components", True, 10**6, _refcycle_garbage),
    "pympler, garbage": Peer("pympler", "GarbageGraph, reduced", True, 10**6, _pympler),
    "networkx, garbage": Peer(
        "networkx", "DEBUG_SAVEALL + components", True, 10**6, _saveall_networkx
    ),
}


def _seconds(call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    result = call()
    elapsed_seconds = time.perf_counter() - begun
    del result
    return elapsed_seconds


def compare(name: str, object_count: int) -> dict[str, Any]:
    """Measure one peer, memguard and the collector."""
    require_release_build()
    peer = PEERS[name]
    kind = "garbage" if peer.is_garbage else "live"
    held = heaps.planted(object_count, int(object_count * CYCLE_SHARE))
    gc.collect()
    gc.disable()
    beside = measure(
        {
            "collect": gc.collect,
            "memguard": lambda: memguard.scan(kind, explain=False),
            "memguard, explained": lambda: memguard.scan(kind),
        },
        least_rounds=ROUNDS,
        least_seconds=0,
    )
    if peer.is_garbage:
        del held
        # On the garbage itself, which a scan does not free.
        beside_garbage = measure(
            {
                "memguard": lambda: memguard.scan(kind, explain=False),
                "memguard, explained": lambda: memguard.scan(kind),
            },
            least_rounds=ROUNDS,
            least_seconds=0,
        )
    else:
        beside_garbage = beside
    return {
        "peer": name,
        "package": f"{peer.package} {importlib.metadata.version(peer.package)}",
        "what": peer.what,
        "object_count": object_count,
        "collect_seconds": beside.median_seconds("collect"),
        "memguard_seconds": beside_garbage.median_seconds("memguard"),
        "memguard_explained_seconds": beside_garbage.median_seconds("memguard, explained"),
        "peer_seconds": _seconds(peer.run),
    }


if __name__ == "__main__":
    print(json.dumps(compare(sys.argv[1], int(float(sys.argv[2])))))
