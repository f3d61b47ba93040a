"""Cycles, and the shapes that group them.

Covers: what is told of one cycle and of all that are like it.
Does not cover: the loop that stands for a shape (``loops``), finding cycles
(the native scanner).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import NamedTuple

from memguard._core import MOST_HELD_MEMBERS, HeapGraph
from memguard.errors import ReportReleasedError
from memguard.heap.advice import Advice, advise
from memguard.heap.allocation import places_of
from memguard.heap.loops import Edge, Loop, find_loop, is_library_only
from memguard.heap.names import (
    count_by_name,
    is_library_module,
    module_of,
    short_name,
    type_name,
)
from memguard.heap.owner import Owner
from memguard.heap.whose import CycleOwners


@dataclass(frozen=True, slots=True)
class Cycle:
    """Objects that all reach each other: one strongly connected component.

    Attributes:
        size: Members [count].
        type_names: Members by type, "module.QualName", most first.
        shallow_bytes: The members alone [bytes].
        retained_count: Objects that would be freed with it, members included.
        retained_bytes: The same [bytes].
        outside_reference_count: References to members from anything that is
            not a member: other objects, running code, C extensions. Counted
            when sizes are first asked for; the variables by which a program
            looks at a cycle, and a list that it gave as ``roots`` and kept,
            are running code and an object like others.
        object_ids: ``id()`` of each member.
        shape: The shape it belongs to.
    """

    size: int
    type_names: Mapping[str, int] = field(hash=False)
    shallow_bytes: int
    retained_count: int
    retained_bytes: int
    outside_reference_count: int
    object_ids: tuple[int, ...]
    shape: "Shape" = field(repr=False)
    index: int = field(repr=False)

    @property
    def owner(self) -> Owner:
        """Whose it is; see ``docs/owners.md``.

        Raises:
            ReportReleasedError: The report no longer holds it, and it was not asked before.

        Cost:
            For garbage next to nothing; the first live cycle of a report asks the whole heap.
        """
        return self.shape.whose.owner_of(self.shape.graph, self.index)

    @property
    def allocated_at(self) -> Mapping[str, int]:
        """Where its members were made, "file:line", most first; empty without tracemalloc.

        Raises:
            ReportReleasedError: The report no longer holds it.
        """
        return self.shape.places_of(self.index)


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """Cycles of the same types, tied together in the same way.

    Attributes:
        path: The loop as one line, from the object that a person would call
            the owner back to it; steps that say nothing are folded.
        verbose_path: The same with every step.
        key: Tells this kind of cycle from others, the same in every process
            and on every version of Python: 12 hexadecimal digits of the path
            without positions, in lists or of references of C types, and
            without lengths of chains. Shapes that
            differ only in those have the same.
        edges: The same, reference by reference; the first
            `loops.LONGEST_NAMED_LOOP` of a longer one.
        type_names: Types of one cycle, "module.QualName", most first.
        cycle_count: Cycles of this shape.
        object_count: Their members together [count].
        shallow_bytes: The members alone [bytes].
        retained_bytes: What would be freed with them [bytes].
        is_library_only: No class and no code of the program takes part, only
            those of the standard library and of memguard.
    """

    path: str
    verbose_path: str
    key: str
    edges: tuple[Edge, ...]
    type_names: Mapping[str, int]
    cycle_count: int
    object_count: int
    shallow_bytes: int
    retained_bytes: int
    is_library_only: bool
    graph: HeapGraph = field(repr=False)
    number: int = field(repr=False)
    whose: CycleOwners = field(repr=False)
    indexes: tuple[int, ...] | None = field(default=None, repr=False)
    is_named: bool = field(default=False, repr=False)
    _advised: list[Advice | None] = field(default_factory=list, init=False, repr=False)

    @property
    def advice(self) -> Advice | None:
        """Which references to cut, proved on the cycles; found when first read.

        None without ``explain``, for cycles too large to search, and after
        the report was released unless it was read before.
        """
        if not self._advised and self.is_named and not self.graph.released:
            self._advised.append(advise(self.graph, self._exemplar(), self.cycle_indexes()))
        return self._advised[0] if self._advised else None

    @property
    def owners(self) -> Mapping[Owner, int]:
        """Whose its cycles are, and how many each has, most first; see `Cycle.owner`."""
        return self.whose.count(self.graph, self.cycle_indexes())

    @property
    def told_owners(self) -> Mapping[str, int]:
        """The same as text, without unknown ones; empty where it would cost something."""
        if not self.whose.is_cheap(self.graph):
            return {}
        return {str(owner): number for owner, number in self.owners.items() if owner.name}

    @property
    def allocated_at(self) -> Mapping[str, int]:
        """Where the members of its `exemplar` were made; empty if nobody can tell."""
        return {} if self.graph.released else self.places_of(self._exemplar())

    def places_of(self, index: int) -> Mapping[str, int]:
        """Give where the members of one of its cycles were made."""
        if self.graph.released:
            raise ReportReleasedError
        is_there = not self.graph.is_snapshot or self.graph.hold(index)
        return places_of(self.graph.cycle_objects(index) if is_there else ())

    @property
    def is_advised(self) -> bool:
        """Whether `advice` was read already, and costs nothing."""
        return bool(self._advised)

    @property
    def exemplar(self) -> Cycle:
        """One cycle of this shape, one like that which `path` describes."""
        return cycle_of(self.graph, self._exemplar(), self)

    def _exemplar(self) -> int:
        _, _, exemplar = self.graph.shape_outline(self.number)
        return exemplar if self.indexes is None else self.indexes[0]

    def cycle_indexes(self) -> Sequence[int]:
        """Give the numbers of its cycles in the native answer."""
        return self.graph.shape_cycles(self.number) if self.indexes is None else self.indexes

    def narrowed_to(self, indexes: Sequence[int]) -> "Shape":
        """Give the same shape with some of its cycles only."""
        facts = [self.graph.cycle_facts(index) for index in indexes]
        return replace(
            self,
            cycle_count=len(indexes),
            object_count=sum(fact[0] for fact in facts),
            shallow_bytes=sum(fact[1] for fact in facts),
            retained_bytes=sum(fact[3] for fact in facts),
            indexes=tuple(indexes),
        )


def cycle_of(graph: HeapGraph, index: int, shape: Shape) -> Cycle:
    """Describe one cycle."""
    size, shallow_bytes, retained_count, retained_bytes, outside, _ = graph.cycle_facts(index)
    return Cycle(
        size=size,
        type_names=shape.type_names,
        shallow_bytes=shallow_bytes,
        retained_count=retained_count,
        retained_bytes=retained_bytes,
        outside_reference_count=outside,
        object_ids=graph.cycle_ids(index),
        shape=shape,
        index=index,
    )


class Sketch(NamedTuple):
    """What is told of a shape, noted within the scan; `shape_of` puts it into words."""

    loop: Loop
    type_names: list[tuple[str, int]]
    is_library_only: bool
    graph: HeapGraph
    number: int


def sketch_of(graph: HeapGraph, number: int, *, named: bool) -> Sketch:
    """Note all of one shape that can change, the names of its references if wanted."""
    _, _, exemplar = graph.shape_outline(number)
    if graph.is_snapshot and not graph.hold(exemplar):
        return _sketch_of_unheld(graph, number, exemplar)
    counts = graph.cycle_types(exemplar)
    type_names = [(type_name(cls), count) for cls, count in counts]
    program_classes = [
        (name, cls)
        for (name, _), (cls, _) in zip(type_names, counts, strict=True)
        if not is_library_module(module_of(cls))
    ]
    return Sketch(
        find_loop(graph, exemplar, counts, program_classes, named=named),
        type_names,
        not program_classes and is_library_only(graph, exemplar, counts),
        graph,
        number,
    )


def _sketch_of_unheld(graph: HeapGraph, number: int, exemplar: int) -> Sketch:
    """Note what a snapshot told of a shape of which no cycle is held."""
    seen = graph.seen_types(exemplar)
    of_program = [name for name, module, _ in seen if not is_library_module(module)]
    owner = min(of_program or [name for name, _, _ in seen])
    return Sketch(
        Loop([], [short_name(owner)], [], (), 0, _why_unheld(graph, exemplar)),
        [(name, count) for name, _, count in seen],
        not of_program,
        graph,
        number,
    )


def _why_unheld(graph: HeapGraph, exemplar: int) -> str:
    if graph.cycle_size(exemplar) > MOST_HELD_MEMBERS:
        return f"of {graph.cycle_size(exemplar):,} objects: too many to look for after the snapshot"
    return "not found again after the snapshot"


def shape_of(sketch: Sketch, whose: CycleOwners) -> Shape:
    """Describe one shape."""
    cycle_count, object_count, shallow_bytes, retained_bytes, _ = sketch.graph.shape_facts(
        sketch.number
    )
    loop = sketch.loop
    return Shape(
        path=loop.path,
        verbose_path=loop.verbose_path,
        key=_key(loop),
        edges=loop.edges,
        type_names=MappingProxyType(count_by_name(sketch.type_names)),
        cycle_count=cycle_count,
        object_count=object_count,
        shallow_bytes=shallow_bytes,
        retained_bytes=retained_bytes,
        is_library_only=sketch.is_library_only,
        graph=sketch.graph,
        number=sketch.number,
        whose=whose,
        is_named=any(loop.labels),
    )


def _key(loop: Loop) -> str:
    import hashlib  # which loads OpenSSL, for nothing where no shape is described

    text = loop.canonical_text or loop.path
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()
