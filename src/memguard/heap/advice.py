"""Which references to cut so that a shape of cycles dissolves, proved on its cycles.

Covers: searching the exemplar for the smallest set of references, and taking
those out of the shape's cycles to count how many are cycles no more.
Does not cover: how to say it (``catalogue``), what a person prefers
(``preference``).

Holds the members only while it looks; an `Advice` is text and numbers.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from memguard._core import HeapGraph
from memguard.heap.assignment import Assignment, find_assignments
from memguard.heap.catalogue import words_for
from memguard.heap.component import Component
from memguard.heap.feedback import FIXED, cheapest_cut, is_acyclic
from memguard.heap.loops import Edge
from memguard.heap.preference import TieEdge, costs_of
from memguard.heap.ties import Tie

MOST_MEMBERS = 20_000
"""Members of an exemplar that is searched; a larger one gets no advice [count]."""

MOST_CYCLES_PROVED = 100
"""Cycles of a shape on which advice is proved, spread over all [count]."""

_MOST_MEMBERS_PROVED = 20_000


@dataclass(frozen=True, slots=True)
class Advice:
    """What to change so that a shape of cycles does not come about.

    Attributes:
        sentence: What to do, in one sentence.
        code: How, in two lines of Python.
        cuts: The references that dissolve the cycle when weak or cleared; none
            where that is not possible. An attribute stands for the same one of
            all classes of a package that derive from one, an item for all of
            its container that are of its type.
        action: "weaken" or "clear" them; "library" where they are made by a
            package or the standard library; "reuse" where none can be cut and
            the object should be made once.
        dissolved_cycle_count: Cycles without one after these cuts [count].
        cycle_count: Cycles that were tried: all of the shape, or up to
            `MOST_CYCLES_PROVED` of them [count].
        remedy: Name of the entry in the catalogue; "" for none.
        pairs: The same cuts in the exemplar: positions, in the order of its
            ``object_ids``, of what holds a reference and what it leads to.
    """

    sentence: str
    code: str
    cuts: tuple[Edge, ...]
    action: Literal["weaken", "clear", "library", "reuse"]
    dissolved_cycle_count: int
    cycle_count: int
    remedy: str
    pairs: frozenset[tuple[int, int]] = field(default=frozenset(), repr=False, compare=False)

    def assignments(self) -> tuple[Assignment, ...]:
        """Find the lines that make the references to cut, where there is source.

        Cost:
            Reads and parses source files; see `find_assignments`.
        """
        return tuple(line for edge in self.cuts for line in find_assignments(edge))


def advise(graph: HeapGraph, exemplar: int, indexes: Sequence[int]) -> Advice | None:
    """Find what dissolves the cycles of one shape.

    Args:
        graph: The native answer, not released.
        exemplar: The cycle to search.
        indexes: All cycles of the shape.

    Returns:
        The advice, or None for a cycle with more than `MOST_MEMBERS` members and
        for one that a snapshot saw and the program has changed since.

    Cost:
        O(members + references) of the exemplar for each of its few kinds of
        reference, and of the cycles that it is proved on.
    """
    if graph.cycle_size(exemplar) > MOST_MEMBERS or not graph.hold(exemplar):
        return None
    component = _component(graph, exemplar)
    ties, edges = _grouped(component)
    costs = costs_of(len(component.members), ties, edges)
    cut = cheapest_cut(len(component.members), edges, costs)
    chosen = [ties[group] for group in sorted(cut or (), key=lambda group: (costs[group], group))]
    words = words_for(chosen, component.members)
    del component
    tried = _spread(graph, indexes)
    return Advice(
        sentence=words.sentence,
        code=words.code,
        cuts=tuple(tie.edge for tie in chosen),
        action=words.action,
        dissolved_cycle_count=sum(_dissolves(graph, index, frozenset(chosen)) for index in tried),
        cycle_count=len(tried),
        remedy=words.remedy,
        pairs=_pairs(edges, cut or frozenset()),
    )


def _component(graph: HeapGraph, index: int) -> Component:
    return Component(graph.cycle_objects(index), graph.cycle_edges(index))


def _grouped(component: Component) -> tuple[list[Tie], list[TieEdge]]:
    """Number the ties of a component, the same in every process."""
    found = {edge: component.ties(*edge) for edge in component.multiplicity}
    # Equal ties differ in what they happen to lead to: the most frequent is shown.
    counts = Counter(_shown(tie) for ties in found.values() for tie in ties)
    shown: dict[Tie, Tie] = {}
    for ties in found.values():
        for tie in ties:
            known = shown.setdefault(tie, tie)
            shown[tie] = min(known, tie, key=lambda one: (-counts[_shown(one)], _shown(one)))
    ordered = sorted(shown.values(), key=_shown)
    numbers = {tie: number for number, tie in enumerate(ordered)}
    edges = [
        (source, target, group)
        for (source, target), ties in found.items()
        for group in ([numbers[tie] for tie in ties] or [FIXED])
    ]
    return ordered, edges


def _shown(tie: Tie) -> tuple[str, ...]:
    return (tie.owner, tie.name, tie.target, tie.kind, tie.holder, tie.family)


def _pairs(edges: Sequence[TieEdge], cut: frozenset[int]) -> frozenset[tuple[int, int]]:
    """Give the references of which no name is left."""
    left = {(source, target) for source, target, group in edges if group not in cut}
    return frozenset((source, target) for source, target, _ in edges) - left


def _spread(graph: HeapGraph, indexes: Sequence[int]) -> list[int]:
    """Choose cycles to prove advice on, evenly from all of the shape."""
    step = max(1, -(-len(indexes) // MOST_CYCLES_PROVED))
    chosen: list[int] = []
    members = 0
    for index in filter(graph.hold, indexes[::step]):
        members += graph.cycle_size(index)
        if chosen and members > _MOST_MEMBERS_PROVED:
            break
        chosen.append(index)
    return chosen


def _dissolves(graph: HeapGraph, index: int, chosen: frozenset[Tie]) -> bool:
    component = _component(graph, index)
    left = [
        (source, target, FIXED)
        for source, target in component.multiplicity
        if not _all_in(component.ties(source, target), chosen)
    ]
    return is_acyclic(len(component.members), left)


def _all_in(ties: Sequence[Tie], chosen: frozenset[Tie]) -> bool:
    return bool(ties) and all(tie in chosen for tie in ties)
