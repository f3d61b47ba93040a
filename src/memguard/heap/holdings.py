"""What only a cycle holds, by type.

Covers: the objects that would be freed with the members of one small cycle.
Does not cover: their sizes (the native scanner weighs them), large cycles.

The kernel counts them exactly; here they are named, by trial deletion in
Python. An answer that does not agree with the kernel's count is none.
"""

import sys
from collections import Counter
from types import ModuleType

from memguard import _names
from memguard.heap.names import count_by_name, type_name

MOST_REACHED = 2_000
"""Objects that are looked at; where there are more, none are named [count]."""


def held_types(members: list[object], held_count: int) -> dict[str, int]:
    """Count what only the members of a cycle hold, by type, most first.

    Args:
        members: All of them.
        held_count: How many such objects there are, as the kernel found.

    Returns:
        Counts by "module.QualName"; empty when they are not known for sure.
    """
    if not 0 < held_count <= MOST_REACHED or len(members) > MOST_REACHED:
        return {}
    reached, references = _reach(members)
    if len(reached) > MOST_REACHED:
        return {}
    held = _not_held_from_outside(reached, references)
    if len(held) != held_count:
        return {}
    counts = Counter(type_name(type(reached[place])) for place in held)
    return count_by_name(counts.items())


def _reach(members: list[object]) -> tuple[list[object], list[list[int]]]:
    """List what members reach without passing classes and modules, and which refers to which.

    The first list of places is that of all members, the others are those of
    each object that is reached.
    """
    own = {id(member) for member in members}
    places: dict[int, int] = {}
    reached: list[object] = []
    references: list[list[int]] = [[]]
    waiting = [(member, 0) for member in members]
    while waiting and len(reached) <= MOST_REACHED:
        source, row = waiting.pop()
        for target in _names.referents_of(source):
            if id(target) in own or issubclass(type(target), type | ModuleType):
                continue
            if id(target) not in places:
                places[id(target)] = len(reached)
                reached.append(target)
                references.append([])
                waiting.append((target, len(reached)))
            references[row].append(places[id(target)])
    return reached, references


def _not_held_from_outside(reached: list[object], references: list[list[int]]) -> set[int]:
    inside = Counter(place for row in references for place in row)
    probe = [object()]
    ours = sys.getrefcount(probe[0])
    waiting = [
        place
        for place in range(len(reached))
        if sys.getrefcount(reached[place]) - ours > inside[place]
    ]
    alive = set(waiting)
    while waiting:
        for place in references[waiting.pop() + 1]:
            if place not in alive:
                alive.add(place)
                waiting.append(place)
    return set(range(len(reached))) - alive
