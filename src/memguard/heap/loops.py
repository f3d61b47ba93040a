"""The loop that stands for a shape of cycles.

Covers: where it starts, how each step reads, and what of it is folded.
Does not cover: naming one reference (``explain``), finding the shortest loop
(the native scanner).
"""

import itertools
import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from memguard import _names
from memguard._core import HeapGraph
from memguard.heap.explain import closure_variable, name_reference
from memguard.heap.names import (
    is_library_file,
    is_library_module,
    module_of,
    plain_text,
    short_name,
    type_name,
)

LONGEST_NAMED_LOOP = 24
"""References of a loop that are named; the others are counted [count]."""

_OWNERS_TRIED = 8
_MEMBERS_RANKED = 64
_MEMBERS_WALKED = 100_000


@dataclass(frozen=True, slots=True)
class Edge:
    """One reference of a loop.

    Attributes:
        source: Type of the object that holds it, "module.QualName".
        label: Its name, such as ".parent", "[0]" or ".__self__"; empty when
            the report was made with ``explain=False``.
        target: Type of the object referred to.
    """

    source: str
    label: str
    target: str


@dataclass(frozen=True, slots=True)
class Loop:
    """References from an object back to it, and the line that says them."""

    text: str
    edges: tuple[Edge, ...]


def best_loop(
    graph: HeapGraph, exemplar: int, counts: list[tuple[type, int]], *, named: bool
) -> Loop:
    """Choose where to start, the same in every process.

    Members lie in memory in any order, so each equally good start is tried
    and the first in the order of length and text is taken.
    """
    owners = _owners(graph, exemplar, counts)
    size = sum(count for _, count in counts)
    tried = owners[: max(1, min(_OWNERS_TRIED, _MEMBERS_WALKED // size))]
    loops = []
    for position, _ in tried:
        loop = graph.shortest_loop(exemplar, position)
        if loop:
            # One more than is named: the last reference needs its target.
            shown = [graph.member(exemplar, step) for step in loop[: LONGEST_NAMED_LOOP + 1]]
            loops.append(_describe(shown, len(loop), named=named))
    if not loops:
        # Described late, and the program has taken the cycle apart meanwhile.
        return Loop(f"{_display_name(owners[0][1])} (broken since the scan)", ())
    return min(loops, key=lambda loop: (len(loop.edges), loop.text))


def _owners(
    graph: HeapGraph, exemplar: int, counts: list[tuple[type, int]]
) -> list[tuple[int, object]]:
    """Give position and object of the members that a person would call the owner."""
    best: tuple[int, str] | None = None
    owners: list[tuple[int, object]] = []
    for cls, _ in counts:
        members = graph.members_of_type(exemplar, cls, _MEMBERS_RANKED)
        for position, member in members if _varies(cls, members[0][1]) else members[:1]:
            rank = _owner_rank(member)
            if best is None or rank < best:
                best, owners = rank, []
            if rank == best:
                owners.append((position, member))
        if rank == best and not _varies(cls, members[0][1]):
            owners.extend(members[1:])
    return owners


def _varies(cls: type, member: object) -> bool:
    """Tell whether members of one type differ in rank: classes, and what has code."""
    return issubclass(cls, type) or _names.code_of(member) is not None


def _owner_rank(member: object) -> tuple[int, str]:
    """Order members by how likely a person would call them the owner."""
    cls = type(member)
    name = type_name(cls)
    made_by_library = _is_library_made(member)
    if not is_library_module(module_of(cls)):
        return 0, name
    if issubclass(cls, type) and not made_by_library:
        return 1, type_name(cast("type", member))
    if _names.code_of(member) is not None and not made_by_library:
        return 2, name
    return 4 if name.startswith("builtins.") else 3, name


def _describe(loop: list[object], length: int, *, named: bool) -> Loop:
    shown = loop[:LONGEST_NAMED_LOOP]
    targets = (loop[1:] + loop[:1])[:LONGEST_NAMED_LOOP]
    edges = tuple(
        Edge(
            type_name(type(source)),
            _label(loop, position, target) if named else "",
            type_name(type(target)),
        )
        for position, (source, target) in enumerate(zip(shown, targets, strict=True))
    )
    return Loop(_text(edges, [_display_name(source) for source in shown], length), edges)


def _display_name(member: object) -> str:
    """Name an object for people: by its type, classes and what has code by their own name."""
    cls = type(member)
    if cls is types.FunctionType:
        qualname = types.FunctionType.__dict__["__qualname__"].__get__(member)
        return f"function {plain_text(qualname)}()"
    code = _names.code_of(member)
    if code is not None:
        return f"{short_name(type_name(cls))} {plain_text(code.co_qualname)}()"
    if issubclass(cls, type):
        return f"class {short_name(type_name(cast('type', member)))}"
    return short_name(type_name(cls))


def _label(loop: list[object], position: int, target: object) -> str:
    source = loop[position]
    if type(source) is tuple:
        variable = closure_variable(loop[position - 1], target)
        if variable is not None:
            return f"[{variable}]"
    if type(source) is dict:
        # The dict of an instance, a class or a function is a namespace: its
        # keys are attribute names.
        before = name_reference(loop[position - 1], source)
        if before == ".__dict__":
            return _attribute_name(source, target) or name_reference(source, target)
    return name_reference(source, target)


def _attribute_name(namespace: dict[object, object], target: object) -> str | None:
    found = _names.key_of(namespace, target)
    return f"[.{found[0]}]" if found and type(found[0]) is str else None


def _text(edges: tuple[Edge, ...], names: list[str], length: int) -> str:
    """Write a loop as a line, folding steps that say nothing.

    Folded: an instance's dict, the tuple and cell between a function and its
    closure variable, and three or more equal steps in a row.
    """
    steps: list[str] = []
    after_closure = False
    for edge, name in zip(edges, names, strict=True):
        label = edge.label
        if steps and edge.source == "builtins.dict" and label.startswith("[."):
            steps[-1] = steps[-1].removesuffix(".__dict__") + label[1:-1]
            continue
        if after_closure and not label[1:2].isdigit():
            steps[-1] = steps[-1].removesuffix(".__closure__") + f".<closure {label[1:-1]}>"
            after_closure = False
            continue
        if steps and edge.source == "builtins.cell" and steps[-1].endswith(">"):
            continue
        steps.append(name + label)
        after_closure = label == ".__closure__"
    if length > len(edges):
        steps.append(f"({length - len(edges)} more)")
    return " -> ".join([*_each_once(steps), names[0]])


def _each_once(steps: list[str]) -> Iterator[str]:
    for step, equal in itertools.groupby(steps):
        same = list(equal)
        yield from same if len(same) < 3 else [f"{step} ({len(same)} times)"]


def is_library_only(graph: HeapGraph, exemplar: int, counts: list[tuple[type, int]]) -> bool:
    """Tell whether no class and no code of the program takes part."""
    if not all(is_library_module(module_of(cls)) for cls, _ in counts):
        return False
    for cls, count in counts:
        members = graph.members_of_type(exemplar, cls, 1)
        if _varies(cls, members[0][1]):
            members = graph.members_of_type(exemplar, cls, count)
        if not all(_is_library_made(member) for _, member in members):
            return False
    return True


def _is_library_made(member: object) -> bool:
    cls = type(member)
    code = _names.code_of(member)
    if code is not None:
        return is_library_file(plain_text(code.co_filename))
    if issubclass(cls, type):
        return is_library_module(module_of(cast("type", member)))
    return True
