"""What each owner holds, and whose cycles are, by one look at the heap.

Covers: the native search, its numbers with their owners.
Does not cover: which objects belong to whom (``marks``), what is told of it (``owners``).

The lists of what is owned are held by frames of this package only while it is asked,
and the native search leaves those out.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from memguard import _owners
from memguard._core import HeapGraph
from memguard.heap.marks import Marks, find_marks
from memguard.heap.names import OWN_FOLDER
from memguard.heap.owner import SHARED, UNKNOWN, Owner


@dataclass(frozen=True, slots=True)
class Amount:
    """How much.

    Attributes:
        size_bytes: Of the objects together [bytes].
        count: How many there are [count].
    """

    size_bytes: int = 0
    count: int = 0

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(self.size_bytes + other.size_bytes, self.count + other.count)


@dataclass(frozen=True, slots=True)
class Estate:
    """What one owner holds.

    Attributes:
        owner: Who.
        retained: What would be freed without its objects.
        own: Of that, what belongs to no other owner in between.
        garbage: What is held by garbage cycles of its own, and by nothing alive.
    """

    owner: Owner
    retained: Amount
    own: Amount
    garbage: Amount


@dataclass(frozen=True, slots=True)
class Estates:
    """What all owners hold.

    Attributes:
        estates: By owner, those that hold nothing, too.
        cycle_owners: For each graph and each of its cycles, whose it is.
        shared: What owners hold together, and none of them alone.
        alive: What is alive.
        object_count: Objects that the collector tracks and that were looked at [count].
        side_table_bytes: Native memory at its largest, freed since [bytes].
        duration_seconds: Of the native search [s].
    """

    estates: tuple[Estate, ...]
    cycle_owners: tuple[tuple[Owner, ...], ...]
    shared: Amount
    alive: Amount
    object_count: int
    side_table_bytes: int
    duration_seconds: float


@dataclass(frozen=True, slots=True)
class _Cycle:
    """A cycle while it is asked whose it is."""

    graph: HeapGraph
    index: int
    is_held: bool
    owner: Owner | None

    @property
    def is_garbage(self) -> bool:
        """Whether nothing alive holds it."""
        return self.graph.kind == "garbage"

    @property
    def members(self) -> list[object]:
        """What is on it; in lists of memguard's another thread's question would find it."""
        return self.graph.cycle_objects(self.index) if self.is_held else []


def find_estates(graphs: Sequence[HeapGraph] = ()) -> Estates:
    """Find what each owner holds, and whose cycles are.

    Args:
        graphs: Answers of scans. Cycles of a snapshot that are no longer there have no
            owner that is known.

    Raises:
        MemoryError: A native table could not be had.
        RuntimeError: A graph was released.
    """
    marks = find_marks()
    cycles = [_cycle(marks, graph, i) for graph in graphs for i in range(graph.cycle_count)]
    garbage = [cycle for cycle in cycles if cycle.is_garbage]
    asked = [cycle for cycle in cycles if cycle.is_held and not cycle.is_garbage]
    owners_of_garbage = list(dict.fromkeys(cycle.owner or UNKNOWN for cycle in garbage))
    owners, found, belongings, facts = _weigh(marks, garbage, owners_of_garbage, asked)
    held_by = {id(cycle): number for cycle, number in zip(asked, belongings, strict=True)}
    whose = iter([_owner_of(marks, owners, each, held_by.get(id(each))) for each in cycles])
    shared, alive, object_count, side_table_bytes, duration_seconds = facts
    return Estates(
        tuple(_estates(marks, owners, owners_of_garbage, found)),
        tuple(tuple(next(whose) for _ in range(graph.cycle_count)) for graph in graphs),
        Amount(*shared),
        Amount(*alive),
        object_count,
        side_table_bytes,
        duration_seconds,
    )


def owner_of_garbage(graph: HeapGraph, index: int) -> Owner:
    """Tell whose a garbage cycle is; nothing but what it refers to is looked at."""
    return _cycle(Marks(), graph, index).owner or UNKNOWN


def _cycle(marks: Marks, graph: HeapGraph, index: int) -> _Cycle:
    if graph.is_snapshot and not graph.hold(index):
        return _Cycle(graph, index, False, None)
    members = graph.cycle_objects(index)
    owner = marks.owner_of_any(members)
    if owner is None and graph.kind == "garbage":
        owner = marks.owner_near(members)
    return _Cycle(graph, index, True, owner)


def _weigh(
    marks: Marks, garbage: Iterable[_Cycle], owners_of_garbage: list[Owner], asked: list[_Cycle]
) -> tuple[list[Owner], list[tuple[int, int, int, int, int]], list[int], tuple[Any, ...]]:
    """Ask the kernel: all owners, what each has, whose is each that is asked about, the rest."""
    first_of_garbage = len(marks.owners)
    numbers = {owner: first_of_garbage + i for i, owner in enumerate(owners_of_garbage)}
    waste = [(each, numbers[c.owner or UNKNOWN]) for c in garbage for each in c.members]
    found, belongings, *facts = _owners.weigh_owners(
        # Garbage first: what is said of an object first counts.
        (*(each for each, _ in waste), *marks.objects, *(cycle.members[0] for cycle in asked)),
        OWN_FOLDER,
        [*(number for _, number in waste), *marks.numbers],
        marks.threads + [0] * len(owners_of_garbage),
        first_of_garbage,
    )
    owners = marks.owners + owners_of_garbage
    owners += [marks.thread_owner(each[4]) for each in found[len(owners) :]]
    return owners, found, [number for *_, number in belongings], tuple(facts)


def _owner_of(marks: Marks, owners: list[Owner], cycle: _Cycle, number: int | None) -> Owner:
    """Tell whose a cycle is: by its members, by who holds it, by what it refers to."""
    if cycle.owner is not None:
        return cycle.owner
    if number is None:
        return UNKNOWN
    holder = SHARED if number == _owners.SHARED else UNKNOWN if number < 0 else owners[number]
    if holder.kind in ("thread", "unknown"):
        return marks.owner_near(cycle.members) or holder
    return holder


def _estates(
    marks: Marks,
    owners: list[Owner],
    owners_of_garbage: list[Owner],
    found: list[tuple[int, int, int, int, int]],
) -> Iterable[Estate]:
    first_of_garbage = len(marks.owners)
    end_of_garbage = first_of_garbage + len(owners_of_garbage)
    garbage = {
        owner: Amount(*found[first_of_garbage + i][:2]) for i, owner in enumerate(owners_of_garbage)
    }
    retained: dict[Owner, Amount] = {}
    own: dict[Owner, Amount] = {}
    for number, (retained_bytes, retained_count, own_bytes, own_count, _) in enumerate(found):
        owner = owners[number]
        if not first_of_garbage <= number < end_of_garbage:
            # Several threads may have one name; none of them holds another.
            retained[owner] = retained.get(owner, Amount()) + Amount(retained_bytes, retained_count)
            own[owner] = own.get(owner, Amount()) + Amount(own_bytes, own_count)
    for owner in dict.fromkeys((*retained, *garbage)):
        nothing = Amount()
        yield Estate(
            owner,
            retained.get(owner, nothing),
            own.get(owner, nothing),
            garbage.get(owner, nothing),
        )
