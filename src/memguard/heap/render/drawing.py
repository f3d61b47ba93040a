"""What of a cycle is drawn: objects as nodes, references as links.

Covers: folding what only passes a reference on, so that a picture shows the
objects a person knows; joining references between the same two objects.
Does not cover: where things lie (``layout``), how they look (``picture``).
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

from memguard.heap.exemplar import Exemplar, Member
from memguard.heap.loops import Edge

MOST_NODES = 12
"""Nodes beyond the loop that are drawn, the others are counted [count]."""

_POSITION = re.compile(r"\[\d+\]")
_ANY_POSITION = "[\u2026]"
_PASSES_ON = frozenset(
    {
        "builtins.cell",
        "builtins.dict",
        "builtins.frozenset",
        "builtins.list",
        "builtins.method",
        "builtins.set",
        "builtins.tuple",
        "collections.deque",
    }
)


@dataclass(frozen=True, slots=True)
class Link:
    """References from one node to another.

    Attributes:
        source: Number of a node.
        target: Number of a node.
        labels: The names of these references, that of the loop first.
        is_on_loop: The loop of the shape goes this way.
        is_cut: The advice is to cut it.
    """

    source: int
    target: int
    labels: tuple[str, ...]
    is_on_loop: bool
    is_cut: bool


@dataclass(frozen=True, slots=True)
class Drawing:
    """A cycle as nodes and links.

    Attributes:
        nodes: Objects; the first one is the owner.
        counts: How many objects each stands for: equal ones beside the loop
            are one node.
        links: References between them.
        loop: Numbers of the nodes on the loop, in its order.
        folded_count: Objects that are part of a label [count].
        hidden_count: Members of the cycle that are not drawn [count].
    """

    nodes: tuple[Member, ...]
    counts: tuple[int, ...]
    links: tuple[Link, ...]
    loop: tuple[int, ...]
    folded_count: int
    hidden_count: int


@dataclass(frozen=True, slots=True)
class _Way:
    """One reference, or several in a row."""

    source: int
    target: int
    label: str
    is_on_loop: bool
    is_cut: bool


def drawing_of(
    exemplar: Exemplar,
    cuts: Iterable[Edge] = (),
    *,
    verbose: bool = False,
    most_nodes: int = MOST_NODES,
) -> Drawing:
    """Choose what to draw of a cycle.

    Args:
        exemplar: The cycle.
        cuts: References that the advice cuts, to be found by their names where
            the exemplar does not mark its own.
        verbose: Fold and join nothing.
        most_nodes: Nodes beyond the loop that are drawn [count].
    """
    # Frames of different functions may each have such a variable: a mark is
    # exact, a name is not.
    is_marked = any(reference.is_cut for reference in exemplar.references)
    to_cut = set() if is_marked else {(cut.source, cut.label, cut.target) for cut in cuts}
    ways = _ways(exemplar, to_cut)
    folded: set[int] = set()
    if not verbose:
        ways, folded = _folded(exemplar, ways)
        # Advice may name a reference as it reads once it is folded.
        ways = [replace(way, is_cut=way.is_cut or _is_among(exemplar, way, to_cut)) for way in ways]
    alike: dict[int, int] = {}
    if not verbose:
        ways, alike = _without_twins(exemplar, ways)
    kept = _kept(exemplar, ways, folded, most_nodes)
    counts = tuple(alike.get(member, 1) for member in kept)
    numbers = {member: number for number, member in enumerate(kept)}
    return Drawing(
        nodes=tuple(exemplar.members[member] for member in kept),
        counts=counts,
        links=_links([way for way in ways if {way.source, way.target} <= set(numbers)], numbers),
        loop=tuple(numbers[member] for member in range(exemplar.loop_count) if member in numbers),
        folded_count=len(folded),
        hidden_count=exemplar.size - len(folded) - sum(counts),
    )


def _ways(exemplar: Exemplar, to_cut: set[tuple[str, str, str]]) -> list[_Way]:
    count = exemplar.loop_count
    ways = [
        _Way(
            reference.source,
            reference.target,
            reference.label,
            reference.source < count and reference.target == (reference.source + 1) % count,
            reference.is_cut,
        )
        for reference in exemplar.references
    ]
    return [replace(way, is_cut=way.is_cut or _is_among(exemplar, way, to_cut)) for way in ways]


def _is_among(exemplar: Exemplar, way: _Way, cuts: set[tuple[str, str, str]]) -> bool:
    source = exemplar.members[way.source].type_name
    target = exemplar.members[way.target].type_name
    # All positions of a list are one way to hold something.
    labels = (way.label, _POSITION.sub("[]", way.label))
    return any((source, label, target) in cuts for label in labels)


def _folded(exemplar: Exemplar, ways: list[_Way]) -> tuple[list[_Way], set[int]]:
    """Let containers that one reference leads to be part of that reference."""
    folded: set[int] = set()
    for number, member in enumerate(exemplar.members):
        if number == 0 or member.type_name not in _PASSES_ON:
            continue
        into = [way for way in ways if way.target == number]
        out_of = [way for way in ways if way.source == number]
        if len(into) != 1 or not out_of or into[0].source == number:
            continue
        folded.add(number)
        rest = [way for way in ways if way is not into[0] and way not in out_of]
        ways = rest + [_joined(into[0], way) for way in out_of]
    return ways, folded


def _joined(first: _Way, second: _Way) -> _Way:
    return _Way(
        first.source,
        second.target,
        _joined_label(first.label, second.label),
        first.is_on_loop and second.is_on_loop,
        first.is_cut or second.is_cut,
    )


def _joined_label(first: str, second: str) -> str:
    if second == ".cell_contents":
        return first
    if first.endswith(".__dict__") and second.startswith("[."):
        return first.removesuffix(".__dict__") + second[1:-1]
    if second.startswith("[") and not second[1:2].isdigit():
        for part, word in ((".__closure__", "closure"), (".__globals__", "global")):
            if first.endswith(part):
                return f"{first.removesuffix(part)}.<{word} {second[1:-1]}>"
    return first + second


def _without_twins(exemplar: Exemplar, ways: list[_Way]) -> tuple[list[_Way], dict[int, int]]:
    """Let one object stand for all that are tied to the same others in the same way.

    Returns:
        The references that are left, and how many objects one stands for.
    """
    ties: dict[int, list[tuple[int, bool, str, bool]]] = {}
    for way in ways:
        label = _POSITION.sub(_ANY_POSITION, way.label)
        ties.setdefault(way.source, []).append((way.target, True, label, way.is_cut))
        ties.setdefault(way.target, []).append((way.source, False, label, way.is_cut))
    twins: dict[tuple[object, ...], list[int]] = {}
    for number in range(exemplar.loop_count, len(exemplar.members)):
        if number in ties:
            looks = (exemplar.members[number], tuple(sorted(ties[number])))
            twins.setdefault(looks, []).append(number)
    counts = {same[0]: len(same) for same in twins.values() if len(same) > 1}
    dropped = {number for same in twins.values() for number in same[1:]}
    left = [way for way in ways if way.source not in dropped and way.target not in dropped]
    return [
        replace(way, label=_POSITION.sub(_ANY_POSITION, way.label))
        if way.source in counts or way.target in counts
        else way
        for way in left
    ], counts


def _kept(exemplar: Exemplar, ways: list[_Way], folded: set[int], room: int) -> list[int]:
    """Keep the loop, and the nearest of what is on a way both in and out."""
    counts = Counter(way.source for way in ways)
    kept = [number for number in range(exemplar.loop_count) if number not in folded]
    for number in range(exemplar.loop_count, len(exemplar.members)):
        if number not in folded and counts[number] and room > 0:
            kept.append(number)
            room -= 1
    return kept


def _links(ways: list[_Way], numbers: dict[int, int]) -> tuple[Link, ...]:
    alike: dict[tuple[int, int], list[_Way]] = {}
    for way in sorted(ways, key=lambda way: (not way.is_on_loop, not way.is_cut, way.label)):
        alike.setdefault((numbers[way.source], numbers[way.target]), []).append(way)
    return tuple(
        Link(
            source,
            target,
            tuple(dict.fromkeys(way.label for way in same if way.label)),
            any(way.is_on_loop for way in same),
            any(way.is_cut for way in same),
        )
        for (source, target), same in sorted(alike.items())
    )
