"""Who holds the newest objects of types that become more.

Covers: the most frequent holder of a few of them.
Does not cover: which types are asked about (``folding``), ways (``memguard.heap.ways``).
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from memguard.heap.growth.owners import is_held_by_looks
from memguard.heap.ways import ways_with_steps
from memguard.heap.wording import Way


@dataclass(frozen=True, slots=True)
class Held:
    """Who holds most of the newest objects of a type.

    Attributes:
        holder: What a person would call the holder.
        path: The way to one of them, in words.
        steps: The objects on that way, from the root.
        is_most: Whether it holds more than half of those that were looked at.
        is_own: Whether memguard notes them of the heap.
    """

    holder: str
    path: str
    steps: list[object]
    is_most: bool
    is_own: bool


def find_holders(
    names: Sequence[str],
    newest: Callable[[list[str]], list[list[object]]],
    root: object = None,
) -> dict[str, Held]:
    """Say for each type who holds most of its newest objects, where that is known.

    Args:
        names: Of the types.
        newest: Gives their newest objects.
        root: What counts as a root of ways, too.

    Raises:
        MemoryError: A native table could not be had.
    """
    if not names:
        return {}
    found = newest([*names])
    owners = [name for name, objects in zip(names, found, strict=True) for _ in objects]
    by_type: dict[str, list[tuple[Way, list[object]]]] = {}
    for place, way, steps in ways_with_steps([one for objects in found for one in objects], root):
        by_type.setdefault(owners[place], []).append((way, steps))
    chosen = {}
    for name, held in by_type.items():
        [(holder, count)] = Counter(way.holder for way, _ in held).most_common(1)
        way, steps = next(one for one in held if one[0].holder == holder)
        is_most = count > len(held) / 2
        chosen[name] = Held(holder, way.text, steps, is_most, is_held_by_looks(steps))
    return chosen
