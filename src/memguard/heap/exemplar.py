"""One cycle that stands for its shape, as a graph that can be drawn.

Covers: which members and references of a cycle are shown, their names, which
of them are the loop of the shape.
Does not cover: drawing them (``render.picture``), the values of objects
(``values``).
"""

import itertools
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from memguard import _names
from memguard._core import HeapGraph
from memguard.heap.explain import name_reference, part_of_function
from memguard.heap.holdings import MOST_REACHED, held_types
from memguard.heap.loops import NAMES_OF_PARTS, loop_members
from memguard.heap.names import module_of, plain_text, short_name, type_name
from memguard.heap.shapes import Shape

MOST_MEMBERS = 60
"""Members of a cycle that are shown; the others are counted [count]."""

MOST_REFERENCES = 240
"""References between them that are named [count]."""

_LARGEST_CYCLE = 100_000


@dataclass(frozen=True, slots=True)
class Member:
    """An object of a cycle.

    Attributes:
        name: Its class without the module; classes and what has code by their
            own name, such as "class Model" and "frame handle()".
        module: The module of that class; "" for built-in ones.
        type_name: Its class, "module.QualName".
        value: What it looks like; "" unless values were asked for.
    """

    name: str
    module: str
    type_name: str
    value: str = ""


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference from one member to another, by their numbers.

    Attributes:
        source: The member that holds it.
        label: Its name.
        target: The member that it leads to.
        is_cut: The advice is to cut it, if there was any when this was read.
    """

    source: int
    label: str
    target: int
    is_cut: bool = False


@dataclass(frozen=True, slots=True)
class Exemplar:
    """A cycle to be drawn.

    Attributes:
        members: Those of the loop first, in its order, then what is near.
        references: Named references between them.
        loop_count: How many of the members are the loop [count].
        size: Members of the cycle, shown or not [count].
        shallow_bytes: They alone [bytes].
        retained_count: Objects that would be freed with it, members included.
        retained_bytes: The same [bytes].
        outside_reference_count: References to members from outside.
        held_types: What would be freed with it beside the members, by type;
            empty when it is not known.
    """

    members: tuple[Member, ...]
    references: tuple[Reference, ...]
    loop_count: int
    size: int
    shallow_bytes: int
    retained_count: int
    retained_bytes: int
    outside_reference_count: int
    held_types: Mapping[str, int] = field(default_factory=dict, hash=False)


def exemplar_of(shape: Shape, value_of: Callable[[object], str] | None = None) -> Exemplar:
    """Read the graph of the cycle that stands for a shape.

    Args:
        shape: Of a report that still holds its objects.
        value_of: Says what an object looks like; None for no values.

    Returns:
        Its members and references, without any when the cycle is huge or was
        taken apart since the scan.

    Cost:
        O(members + references) of that cycle, and the names of what is shown.
    """
    cycle = shape.exemplar
    graph, number = shape.graph, cycle.index
    is_there = cycle.size <= _LARGEST_CYCLE and graph.hold(number)
    loop, hidden_count = _loop(graph, number) if is_there else ([], 0)
    shown = loop
    pairs = graph.cycle_edges(number) if loop else []
    if not hidden_count:
        shown = _with_neighbours(shown, pairs)
    objects = [graph.member(number, position) for position in shown]
    references = (
        list(_named(objects, shown, pairs))
        if any(e.label for e in shape.edges)
        else [Reference(source, "", target) for source, target in _between(shown, pairs)]
    )
    if shape.is_advised and shape.advice:
        references = [
            replace(each, is_cut=(shown[each.source], shown[each.target]) in shape.advice.pairs)
            for each in references
        ]
    if hidden_count:
        references.append(Reference(len(shown) - 1, f"({hidden_count} more)", 0))
    return Exemplar(
        members=tuple(_member(item, value_of) for item in objects),
        references=tuple(references),
        loop_count=len(loop),
        size=cycle.size,
        shallow_bytes=cycle.shallow_bytes,
        retained_count=cycle.retained_count,
        retained_bytes=cycle.retained_bytes,
        outside_reference_count=cycle.outside_reference_count,
        held_types=_held_types(graph, number, cycle.retained_count - cycle.size) if loop else {},
    )


def _held_types(graph: HeapGraph, number: int, held_count: int) -> dict[str, int]:
    if not 0 < held_count <= MOST_REACHED:
        return {}
    return held_types(graph.cycle_objects(number), held_count)


def _loop(graph: HeapGraph, number: int) -> tuple[list[int], int]:
    """Find the members of the loop by position, and how many more it has."""
    objects, hidden_count = loop_members(graph, number, MOST_MEMBERS)
    positions = {id(item): place for place, item in enumerate(graph.cycle_objects(number))}
    shown = objects[:MOST_MEMBERS]
    return [positions[id(item)] for item in shown], hidden_count + len(objects) - len(shown)


def _with_neighbours(loop: list[int], pairs: list[tuple[int, int]]) -> list[int]:
    """Add what is near the loop, nearest first, as far as there is room."""
    following: dict[int, list[int]] = {}
    for source, target in pairs:
        following.setdefault(source, []).append(target)
    shown = dict.fromkeys(loop)
    waiting = deque(loop)
    while waiting and len(shown) < MOST_MEMBERS:
        for target in following.get(waiting.popleft(), ()):
            if target not in shown and len(shown) < MOST_MEMBERS:
                shown[target] = None
                waiting.append(target)
    return list(shown)


def _between(shown: list[int], pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    numbers = {position: number for number, position in enumerate(shown)}
    found = {
        (numbers[source], numbers[target])
        for source, target in pairs
        if source in numbers and target in numbers
    }
    in_loop_first = sorted(found, key=lambda pair: (pair[0], pair[1] != pair[0] + 1, pair[1]))
    return list(itertools.islice(in_loop_first, MOST_REFERENCES))


def _named(
    objects: list[object], shown: list[int], pairs: list[tuple[int, int]]
) -> Iterator[Reference]:
    """Name references; attributes and closure variables by the name of the variable."""
    between = _between(shown, pairs)
    labels = {
        (source, target): name_reference(objects[source], objects[target])
        for source, target in between
    }
    holders = {
        target: source
        for (source, target), label in labels.items()
        if label == ".__dict__" or label in NAMES_OF_PARTS
    }
    for source, target in between:
        name = None
        if source in holders:
            holder = holders[source]
            way = labels[holder, source]
            name = _variable_name(objects[holder], way, objects[source], objects[target])
        yield Reference(source, name or labels[source, target], target)


def _variable_name(holder: object, way: str, namespace: object, target: object) -> str | None:
    """Name what a namespace or a part of a function holds, as the references of a shape do."""
    if way != ".__dict__":
        return part_of_function(holder, way, namespace, target)
    if type(namespace) is not dict:
        return None
    found = _names.key_of(namespace, target)
    return f"[.{found[0]}]" if found and type(found[0]) is str else None


def _member(member: object, value_of: Callable[[object], str] | None) -> Member:
    cls = type(member)
    name = type_name(cls)
    module = module_of(cls)
    code = _names.code_of(member)
    if code is not None:
        shown, module = f"{short_name(name)} {plain_text(code.co_qualname)}()", ""
    elif issubclass(cls, type):
        module = module_of(member)  # type: ignore[arg-type]
        shown = f"class {type_name(member).removeprefix(module + '.')}"  # type: ignore[arg-type]
    else:
        shown = name.removeprefix(f"{module}.")
    return Member(
        name=shown,
        module="" if module == "builtins" else module,
        type_name=name,
        value=value_of(member) if value_of else "",
    )
