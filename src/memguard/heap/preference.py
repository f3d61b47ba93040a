"""Which reference a person would rather cut.

Covers: what each tie costs, as numbers that only order them. Back references,
from a child to its parent or from a callback to its owner, cost least; what
only a library can change costs most.
Does not cover: the cheapest set together (``feedback``).
"""

from collections.abc import Sequence

from memguard.heap.origin import Origin
from memguard.heap.ties import FUTURES, TargetKind, Tie, TieKind

_EACH = 100
"""One reference less is worth more than any preference between two of one origin."""

_KINDS = {
    TieKind.VARIABLE: 16,
    TieKind.ATTRIBUTE: 20,
    TieKind.TRACEBACK: 18,
    TieKind.CLOSURE: 26,
    TieKind.CHAINED: 30,
    TieKind.ITEM: 35,
    TieKind.SUSPENDED: 40,
    TieKind.FIELD: 600,
}

_TARGETS = {
    TargetKind.METHOD: -20,
    TargetKind.GENERATOR: 0,
    TargetKind.CALL: 0,
    TargetKind.EXCEPTION: 0,
    TargetKind.INSTANCE: 0,
    TargetKind.FUNCTION: 8,
    TargetKind.UNWEAKABLE: 10,
    TargetKind.CONTAINER: 25,
}

_ORIGINS = {Origin.PROGRAM: 0, Origin.PACKAGE: 150, Origin.INTERPRETER: 180}

_BACK_NAMES = {
    *("parent", "owner", "root", "document", "container", "previous", "prev", "outer", "host"),
    *("manager", "session", "app", "application", "context", "master", "controller", "engine"),
    *("backref", "parser", "graph", "tree", "registry"),
}
"""Attributes that lead to what holds their object, by common usage."""

_INNOCENT = 32
"""A variable that leads to an object like ``self``, and to no exception: nobody drops it at the end
of a function, and what keeps the frame is better cut."""

_BACK = -15
_BY_NAME = -4
_PRIVATE = -2
_MOST_STEPS = 400_000
_MOST_EXAMPLES = 16
_LONGEST_CONTAINMENT = 4
"""Attribute dict, attribute, container and item: how a parent keeps a child [count]."""

TieEdge = tuple[int, int, int]
"""Source, target, and the number of the tie or a negative one."""


def costs_of(size: int, ties: Sequence[Tie], edges: Sequence[TieEdge]) -> list[int]:
    """Give what cutting each tie of a component costs, all above 0.

    Args:
        size: Members [count].
        ties: What can be cut.
        edges: References among the members.
    """
    sources: list[set[int]] = [set() for _ in ties]
    targets: list[set[int]] = [set() for _ in ties]
    examples: list[list[tuple[int, int]]] = [[] for _ in ties]
    for source, target, group in edges:
        if group >= 0:
            sources[group].add(source)
            targets[group].add(target)
            examples[group].append((source, target))
    returns = _ReturnPaths(size, ties, edges)
    costs = []
    for number, tie in enumerate(ties):
        cost = _EACH + _KINDS[tie.kind] + _TARGETS[tie.target_kind] + _ORIGINS[tie.source.origin]
        if tie.kind is TieKind.VARIABLE and _is_innocent(tie):
            cost += _INNOCENT
        if tie.kind is TieKind.ATTRIBUTE and tie.target_kind is not TargetKind.CONTAINER:
            is_many_to_one = len(sources[number]) > len(targets[number])
            tried = examples[number][:_MOST_EXAMPLES]
            if is_many_to_one or any(returns.through_items(*edge) for edge in tried):
                cost += _BACK
            if tie.name.startswith("_"):
                cost += _PRIVATE
            if _sounds_back(tie.name):
                cost += _BY_NAME
        costs.append(cost)
    return costs


def _is_innocent(tie: Tie) -> bool:
    is_object = tie.target_kind in (TargetKind.INSTANCE, TargetKind.UNWEAKABLE)
    return is_object and tie.target not in FUTURES


def _sounds_back(name: str) -> bool:
    words = name.strip("_").lower().split("_")
    return not _BACK_NAMES.isdisjoint(words) or name.lower().endswith(("parent", "document"))


class _ReturnPaths:
    """Shortest ways from what a reference leads to back to what holds it."""

    def __init__(self, size: int, ties: Sequence[Tie], edges: Sequence[TieEdge]) -> None:
        self._children: list[list[tuple[int, int]]] = [[] for _ in range(size)]
        for source, target, group in edges:
            self._children[source].append((target, group))
        self._is_item = [tie.kind is TieKind.ITEM for tie in ties]
        self._steps = 0

    def through_items(self, source: int, target: int) -> bool:
        """Tell whether the target keeps the source in a container, as parents keep children."""
        # Of each member, whether the way to it went through an item.
        through = {target: False}
        last = [target]
        for _ in range(_LONGEST_CONTAINMENT):
            reached = []
            for node in last:
                for child, group in self._children[node]:
                    self._steps += 1
                    if child not in through:
                        through[child] = through[node] or (group >= 0 and self._is_item[group])
                        reached.append(child)
            if source in through or self._steps > _MOST_STEPS:
                break
            last = reached
        return through.get(source, False)
