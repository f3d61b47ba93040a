"""Whose the cycles of one report are.

Covers: finding it when it is first asked for, and once; when it costs next to nothing.
Does not cover: how it is found (``estates``), where objects were made (``allocation``).
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from memguard._core import HeapGraph
from memguard.errors import ReportReleasedError
from memguard.heap.estates import find_estates, owner_of_garbage
from memguard.heap.owner import Owner, may_tell

MOST_TOLD_UNASKED = 1_000
"""Garbage cycles of a report that is shown with their owners without being asked [count]."""


class CycleOwners:
    """Finds the owners of a report's cycles.

    Thread-safety: any thread; two that ask first at a time both look.
    """

    def __init__(self, graphs: Sequence[HeapGraph]) -> None:
        self._graphs = graphs
        self._found: dict[int, tuple[Owner, ...]] = {}
        self._garbage: dict[tuple[int, int], Owner] = {}

    def owner_of(self, graph: HeapGraph, index: int) -> Owner:
        """Tell whose a cycle is.

        Raises:
            ReportReleasedError: The report no longer holds it, and it was not asked before.
            MemoryError: A native table could not be had.

        Cost:
            For garbage the cycle and what is near; for the first live cycle of a report
            the whole heap, see `memguard.owners`, and nothing for the others.
        """
        if graph.kind == "garbage":
            key = id(graph), index
            if key not in self._garbage:
                _require_held(graph)
                self._garbage[key] = owner_of_garbage(graph, index)
            return self._garbage[key]
        if id(graph) not in self._found:
            _require_held(graph)
            live = [each for each in self._graphs if each.kind != "garbage"]
            found = find_estates(live).cycle_owners
            self._found.update(zip(map(id, live), found, strict=True))
        return self._found[id(graph)][index]

    def count(self, graph: HeapGraph, indexes: Iterable[int]) -> dict[Owner, int]:
        """Count the cycles of each owner, those of most cycles first."""
        counts = Counter(self.owner_of(graph, index) for index in indexes)
        return dict(sorted(counts.items(), key=lambda item: (-item[1], str(item[0]))))

    def is_cheap(self, graph: HeapGraph) -> bool:
        """Whether the owners of cycles of a graph cost next to nothing to be told."""
        if graph.kind != "garbage":
            return id(graph) in self._found
        # A snapshot would have to look for each of them again.
        is_held = not graph.released and not graph.is_snapshot
        return is_held and graph.cycle_count <= MOST_TOLD_UNASKED and may_tell()


def _require_held(graph: HeapGraph) -> None:
    if graph.released:
        raise ReportReleasedError
