"""The report of a scan.

Covers: what was found, as values that a program can use; rendering is in
``render``.
Does not cover: finding it (``scan``), leaving some of it out (``selection``).
See also: ``shapes`` for cycles and their shapes.
"""

import copy
import itertools
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, Literal

from memguard._core import HeapGraph, raise_when_released
from memguard.errors import CycleGoneError, ReportReleasedError
from memguard.heap.cuts import Cut
from memguard.heap.names import count_by_name
from memguard.heap.selection import Selection
from memguard.heap.shapes import Cycle, Shape, Sketch, cycle_of
from memguard.heap.whose import CycleOwners

if TYPE_CHECKING:
    from memguard.heap.difference import ReportDifference
    from memguard.heap.owned import OwnedCycles
    from memguard.heap.saved import SavedReport

# Another thread may release a report while this one reads it.
raise_when_released(ReportReleasedError, CycleGoneError)

SHAPES_NAMED_AT_ONCE = 64
"""Shapes whose references are named within the scan; others when looked at [count]."""

Kind = Literal["garbage", "live", "created"]


class ScanReport:
    """What one scan found.

    Holds a reference to every member of every cycle, so that they can be
    looked at; that of a snapshot only to those of one cycle of each shape, and of
    others once they were asked for. Later scans see through these references; the collector does
    not: garbage stays until the report is dropped, released, or its ``with``
    block ends. Counts, names and ids stay readable after that; without
    ``explain``, those that were read before.

    Thread-safety: any thread; values never change.
    """

    def __init__(
        self,
        kind: Kind,
        graphs: tuple[HeapGraph, ...],
        cuts: frozenset[Cut],
        *,
        explain: bool | Literal["values"],
        selection: Selection,
        fallback_reason: str = "",
    ) -> None:
        self._kind = kind
        self._cuts = cuts
        self._graphs = graphs
        self._explain = bool(explain)
        self._shows_values = explain == "values"
        self._selection = selection
        self._fallback_reason = fallback_reason
        self._whose = CycleOwners(graphs)
        self._sketches: list[Sketch] | None = None
        self._shapes: tuple[Shape, ...] | None = None
        self._cycles: tuple[Cycle, ...] | None = None
        self._unreachable_types = MappingProxyType(count_by_name(graphs[0].unreachable_names))
        if explain and sum(graph.shape_count for graph in graphs) <= SHAPES_NAMED_AT_ONCE:
            self._sketches = self._sketch_shapes()

    @property
    def kind(self) -> Kind:
        """What was looked for: "garbage", "live", or "created" by `scan_created`."""
        return self._kind

    @property
    def cuts(self) -> frozenset[Cut]:
        """References left out of live cycles."""
        return self._cuts

    @property
    def shows_values(self) -> bool:
        """Written reports say what objects look like: ``explain="values"`` asked for it."""
        return self._shows_values

    @property
    def unreachable_types(self) -> Mapping[str, int]:
        """Objects that the collector would free now, by type "module.QualName", most first."""
        return self._unreachable_types

    @property
    def complete(self) -> bool:
        """False when a limit ended the scan early; then all that is reported is true."""
        return all(graph.complete for graph in self._graphs)

    @property
    def stopped_by(self) -> str:
        """The limit, "max_objects" or "budget_seconds"; else ""."""
        return next((graph.stopped_by for graph in self._graphs if not graph.complete), "")

    @property
    def graphs(self) -> tuple[HeapGraph, ...]:
        """The native answers that it tells of."""
        return self._graphs

    @property
    def object_count(self) -> int:
        """Objects looked at."""
        return max(graph.object_count for graph in self._graphs)

    @property
    def edge_count(self) -> int:
        """References that their types reported."""
        return max(graph.edge_count for graph in self._graphs)

    @property
    def mode(self) -> Literal["inline", "snapshot"]:
        """Where the scan ran: in this process, or in a child of it."""
        return "snapshot" if self._graphs[0].is_snapshot else "inline"

    @property
    def fallback_reason(self) -> str:
        """Why it ran in this process though a snapshot was asked for; else ""."""
        return self._fallback_reason

    @property
    def duration_seconds(self) -> float:
        """The native scan, from the first object to the last answer [s]."""
        return sum(graph.duration_seconds for graph in self._graphs)

    @property
    def pause_seconds(self) -> float:
        """How long everything stood still: all of the scan, or the fork [s].

        Of a snapshot also the time in which cycles were looked for again, to hold
        and name one of each shape.
        """
        return sum(graph.pause_seconds for graph in self._graphs)

    @property
    def copied_bytes(self) -> int:
        """Memory that a snapshot cost beside its tables, at its end [bytes].

        The pages that this process wrote to meanwhile, and that the child kept as
        they were; 0 for a scan in this process.
        """
        return sum(graph.private_bytes for graph in self._graphs)

    @property
    def side_table_bytes(self) -> int:
        """Native memory at its largest, freed since [bytes]."""
        return max(graph.side_table_bytes for graph in self._graphs)

    @property
    def suspect_count(self) -> int:
        """Objects whose counts contradict what their types report; they count as alive."""
        return max(graph.suspect_count for graph in self._graphs)

    @property
    def unreachable_count(self) -> int:
        """Objects that the collector would free now: on garbage cycles and held by them."""
        return self._graphs[0].unreachable_count

    def _sketch_shapes(self) -> list[Sketch]:
        return self._selection.sketches(self._graphs, named=self._explain)

    def _describe_shapes(self) -> tuple[Shape, ...]:
        if self._sketches is None:
            self._require_held()
            self._sketches = self._sketch_shapes()
        return self._selection.shapes(self._sketches, self._whose)

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """Kinds of cycles, those with most objects first."""
        if self._shapes is None:
            self._shapes = self._describe_shapes()
        return self._shapes

    @property
    def cycles(self) -> tuple[Cycle, ...]:
        """Every cycle, shape by shape."""
        if self._cycles is None:
            self._cycles = tuple(self._each_cycle())
        return self._cycles

    @property
    def owners(self) -> "tuple[OwnedCycles, ...]":
        """Whose the cycles are, and what would be freed with them, most first.

        Written reports then tell of owners of live cycles, too.

        Raises:
            ReportReleasedError: The cycles are no longer held, and were not asked before.

        Cost:
            See `Cycle.owner`.
        """
        from memguard.heap.owned import owners_of

        return owners_of(self._each_cycle())

    def first_cycles(self, most: int) -> tuple[Cycle, ...]:
        """Give the first of `cycles`, at the cost of those alone."""
        return tuple(itertools.islice(self._cycles or self._each_cycle(), most))

    def _each_cycle(self) -> Iterator[Cycle]:
        for shape in self.shapes:
            for index in shape.cycle_indexes():
                yield cycle_of(shape.graph, index, shape)

    def where(self, keep: Callable[[Shape], bool]) -> "ScanReport":
        """Give the same report with some of its shapes only."""
        narrowed = copy.copy(self)
        narrowed._shapes = tuple(shape for shape in self.shapes if keep(shape))
        narrowed._cycles = None
        return narrowed

    @property
    def cycle_count(self) -> int:
        """Cycles [count], without describing them where possible."""
        if self._selection.is_all and self._shapes is None:
            return sum(graph.cycle_count for graph in self._graphs)
        return sum(shape.cycle_count for shape in self.shapes)

    def objects(self, cycle: Cycle) -> list[object]:
        """Give the members of a cycle themselves, in the order of ``object_ids``.

        Raises:
            ReportReleasedError: The report of the cycle no longer holds them.
            CycleGoneError: A snapshot found it, and the program has freed or
                changed it since.
        """
        graph = cycle.shape.graph
        try:
            return graph.cycle_objects(cycle.index)
        except RuntimeError:
            # Asked afterwards: another thread may release at any moment before.
            if graph.released:
                raise ReportReleasedError from None
            raise

    @property
    def is_released(self) -> bool:
        """Tell whether the objects are no longer held."""
        return any(graph.released for graph in self._graphs)

    def _require_held(self) -> None:
        if self.is_released:
            raise ReportReleasedError

    def release(self) -> None:
        """Drop the references to what was found; may be called again.

        What an explained report says of shapes is worked out before, sizes
        included, if it was not read yet.
        """
        if self._explain and self._shapes is None and not self.is_released:
            self._shapes = self._describe_shapes()
        for graph in self._graphs:
            graph.release()

    def __enter__(self) -> "ScanReport":
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()

    def to_text(self, *, width: int = 100, most_shapes: int = 20, verbose: bool = False) -> str:
        """Write the report for people: a verdict, then a table of shapes.

        Args:
            width: Of a line [characters].
            most_shapes: Shapes that are shown; others are counted [count].
            verbose: Show every step of each loop, nothing folded.
        """
        from memguard.heap.render.text import render_text

        return render_text(self, width=width, most_shapes=most_shapes, verbose=verbose)

    def to_dict(self) -> dict[str, Any]:
        """Give the report as plain values: counts, and names of types and attributes."""
        from memguard.heap.render.plain import render_dict

        return render_dict(self)

    def to_json(self, *, indent: int | None = 2) -> str:
        """Write `to_dict` as JSON."""
        import json

        return json.dumps(self.to_dict(), indent=indent)

    def to_html(self) -> str:
        """Write a page that a browser shows by itself: it asks for no other file.

        For each shape it draws one cycle with its loop marked; the extra
        "html" draws all of that cycle, else only the loop is. Write it while
        the report holds its objects: of a released report only loops are left.
        """
        from memguard.heap.render.html import render_page
        from memguard.heap.saved import SavedReport

        return render_page([SavedReport.from_dict(self.to_dict())])

    def to_dot(self) -> str:
        """Write one cycle of each shape as a graph for Graphviz, loops marked."""
        from memguard.heap.render.dot import render_dot
        from memguard.heap.saved import SavedReport

        return render_dot([SavedReport.from_dict(self.to_dict())])

    def _repr_html_(self) -> str:
        """Show it in a notebook: the verdict, and the first shapes with their pictures."""
        from memguard.heap.render.notebook import render_fragment
        from memguard.heap.saved import SavedReport

        return render_fragment(SavedReport.from_dict(self.to_dict()))

    def diff(self, earlier: "ScanReport | SavedReport") -> "ReportDifference":
        """Say what is new, grown, smaller and gone since an earlier report.

        Raises:
            MismatchedReportsError: They are of different kinds.
        """
        from memguard.heap.difference import difference_between

        return difference_between(earlier, self)

    def __str__(self) -> str:
        return self.to_text()

    def __repr__(self) -> str:
        try:
            cycle_count = self.cycle_count
        except ReportReleasedError:
            return f"<ScanReport {self.kind}, released unread>"
        return (
            f"<ScanReport {self.kind}: {cycle_count} cycle{'' if cycle_count == 1 else 's'},"
            f" {self.object_count} objects looked at>"
        )
