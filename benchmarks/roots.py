"""What looking at one context costs, in a small heap and in a large one.

Usage: python -m benchmarks.roots

Prints one JSON object: seconds for ``scan("live", roots=[context])`` on a
context of 100 objects, and for refcycle on a list of those 100 objects, so
that it has nothing else to look at.
"""

import gc
import json
import statistics
import time
from collections.abc import Callable

import memguard
from benchmarks import heaps
from benchmarks.measure import require_release_build

SIZES = (10**4, 10**6)
CONTEXT_OBJECTS = 100
BLOCKS = 30
CALLS = 100


def make_context() -> heaps.Context:
    """Make a context with its subtasks: 100 objects that the collector tracks."""
    root = heaps.Context()
    for _ in range(CONTEXT_OBJECTS // 2 - 1):
        heaps.Context(root)
    return root


def _block_seconds(call: Callable[[], object], calls: int) -> float:
    begun = time.perf_counter()
    for _ in range(calls):
        call()
    return (time.perf_counter() - begun) / calls


def _scan_seconds(context: heaps.Context, *, explain: bool) -> float:
    roots = [context]

    def call() -> object:
        return memguard.scan("live", roots=roots, explain=explain)

    _block_seconds(call, CALLS)
    return statistics.median(_block_seconds(call, CALLS) for _ in range(BLOCKS))


def _reached_objects(context: heaps.Context) -> list[object]:
    subtasks = [item for child in context.subtasks for item in (child, child.subtasks)]
    return [context, context.subtasks, *subtasks]


def _refcycle_seconds(objects: list[object]) -> float:
    import refcycle

    def call() -> object:
        return refcycle.ObjectGraph(objects).strongly_connected_components()

    return statistics.median(_block_seconds(call, 5) for _ in range(BLOCKS))


def compare() -> dict[str, object]:
    """Measure the same context in heaps of growing size."""
    require_release_build()
    gc.disable()
    context = make_context()
    held: list[object] = []
    seconds: dict[str, float] = {}
    explained_seconds: dict[str, float] = {}
    for size in SIZES:
        held.append(heaps.HEAPS["flat, __dict__"](size - len(gc.get_objects())))
        gc.collect()
        seconds[str(size)] = _scan_seconds(context, explain=False)
        explained_seconds[str(size)] = _scan_seconds(context, explain=True)
    objects = _reached_objects(context)
    return {
        "context_object_count": len(objects),
        "scan_seconds": seconds,
        "scan_explained_seconds": explained_seconds,
        "refcycle_seconds": _refcycle_seconds(objects),
    }


if __name__ == "__main__":
    print(json.dumps(compare()))
