"""Which of what was found a report tells of.

Covers: choosing by type and by what is new, and describing what is left.
See also: ``report`` for the report, ``shapes`` for what is told of each shape.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import cast

from memguard._core import HeapGraph
from memguard.heap.names import bases_of, type_name
from memguard.heap.shapes import Shape, Sketch, shape_of, sketch_of
from memguard.heap.whose import CycleOwners

TypeCounts = Iterable[tuple[type | str, int]]


@dataclass(frozen=True, slots=True)
class Selection:
    """A choice of shapes and of cycles.

    Attributes:
        keeps_type: Tells whether cycles of these types count; None for all.
        is_new: Tells whether one cycle of a graph counts; None for all.
    """

    keeps_type: Callable[[TypeCounts], bool] | None = None
    is_new: Callable[[HeapGraph, int], bool] | None = None

    @property
    def is_all(self) -> bool:
        """Nothing is left out."""
        return self.keeps_type is None and self.is_new is None

    def sketches(self, graphs: Sequence[HeapGraph], *, named: bool) -> list[Sketch]:
        """Note the shapes that are chosen by type, which all their cycles share."""
        keeps_type = self.keeps_type
        return [
            sketch_of(graph, number, named=named)
            for graph in graphs
            for number in range(graph.shape_count)
            if keeps_type is None or keeps_type(_types_of(graph, number))
        ]

    def shapes(self, sketches: Iterable[Sketch], whose: CycleOwners) -> tuple[Shape, ...]:
        """Describe shapes with the cycles that count, those with most objects first."""
        shapes = (shape_of(sketch, whose) for sketch in sketches)
        kept = shapes if self.is_new is None else filter(None, map(self._only_new, shapes))
        return tuple(sorted(kept, key=lambda shape: (-shape.object_count, shape.path)))

    def _only_new(self, shape: Shape) -> Shape | None:
        assert self.is_new is not None
        indexes = [i for i in shape.cycle_indexes() if self.is_new(shape.graph, i)]
        return shape.narrowed_to(indexes) if indexes else None


def _types_of(graph: HeapGraph, shape: int) -> TypeCounts:
    """Give the types of a shape; of one that is gone since a snapshot, their names."""
    _, _, exemplar = graph.shape_outline(shape)
    if graph.is_snapshot and not graph.hold(exemplar):
        return [(name, count) for name, _, count in graph.seen_types(exemplar)]
    return graph.cycle_types(exemplar)


def keeps_any_of(wanted: tuple[type | str, ...]) -> Callable[[TypeCounts], bool]:
    """Make a filter: does a cycle have an instance of one of these classes?

    Subclasses count. A class is told by its own method resolution order, not
    by ``__subclasscheck__``, and by identity; a name by "module.QualName". Of types
    that are no longer there only the name is known.
    """
    classes = [item for item in wanted if issubclass(type(item), type)]
    names = {item for item in wanted if issubclass(type(item), str)}

    def is_wanted(base: type) -> bool:
        return any(base is cls for cls in classes) or bool(names and type_name(base) in names)

    def keeps(counts: TypeCounts) -> bool:
        return any(
            member in names
            if type(member) is str
            else any(map(is_wanted, bases_of(cast("type", member))))
            for member, _ in counts
        )

    return keeps
