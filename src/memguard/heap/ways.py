"""Ways from a root to objects.

Covers: one native search for all objects of a question.
Does not cover: which way is shortest (the native search), its words (``wording``),
the answer (``retention``).
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from memguard import _retention
from memguard.heap.loops import display_names
from memguard.heap.wording import Way, Wording

_OWN_FOLDER = str(Path(__file__).parent.parent) + os.sep
_OWN_VARIABLE = re.compile(r"^frame [\w.<>]+\(\)\.\w+")


@dataclass(frozen=True, slots=True)
class Found:
    """What one search found.

    Attributes:
        ways: For each object, in the order in which they were given.
        freed_count: Objects that would be freed without the last references of all
            these ways [count].
        freed_bytes: The same [bytes].
        object_count: Objects that were looked at [count].
        duration_seconds: Of the search, without names [s].
    """

    ways: tuple[tuple[Way, ...], ...]
    freed_count: int
    freed_bytes: int
    object_count: int
    duration_seconds: float


def find_ways(
    objects: Sequence[object], question: object, *, most: int = 1, weighs: bool = False
) -> Found:
    """Find the shortest named ways from a root to objects, all in one search.

    Args:
        objects: What is asked about.
        question: The object in which the caller keeps them; it does not count.
        most: Ways for each object, which share none but modules [count, >= 1].
        weighs: Find out what cutting would free, which takes two more searches.

    Raises:
        MemoryError: A native table could not be had.
    """
    # In one tuple: what is handed to native code by itself has references of the call.
    found, freed_count, freed_bytes, object_count, _, duration_seconds = _retention.find_ways(
        (question, *objects), _OWN_FOLDER, most, weighs
    )
    ways: list[list[Way]] = [[] for _ in objects]
    wording = Wording([steps for _, _, steps, _ in found])
    for place, root, steps, hidden_count in found:
        ways[place].append(wording.way(root, steps, hidden_count))
    return Found(tuple(map(tuple, ways)), freed_count, freed_bytes, object_count, duration_seconds)


def named_ways(objects: Sequence[object]) -> list[str | None]:
    """Name the shortest way to each object; None where nothing is known to hold it.

    Raises:
        MemoryError: A native table could not be had.
    """
    return [ways[0].text if ways else None for ways in find_ways(objects, objects).ways]


def ways_with_steps(
    objects: Sequence[object], root: object = None
) -> list[tuple[int, Way, list[object]]]:
    """Find the shortest way to each object that has one, with the objects on it.

    Args:
        objects: What is asked about; the sequence itself does not count, but variables
            of the frame that asks do.
        root: What counts as a root, though only memguard's own variables hold it; it
            is called by what it is.

    Returns:
        The place in *objects*, the way, and what lies on it, the object itself last;
        the middle of a long one is left out.

    Raises:
        MemoryError: A native table could not be had.
    """
    if not objects:
        return []
    found = _retention.find_ways(
        (objects, *objects), _OWN_FOLDER, 1, False, asker_holds=True, own_root=root
    )[0]
    wording = Wording([steps for _, _, steps, _ in found])
    ways = [wording.way(begin, steps, hidden) for _, begin, steps, hidden in found]
    return [
        (place, _named_by(root, way) if root is not None and steps[0] is root else way, steps)
        for way, (place, _, steps, _) in zip(ways, found, strict=True)
    ]


def _named_by(root: object, way: Way) -> Way:
    """Call a root by what it is, not by the variable of memguard that holds it."""
    [name] = display_names([root])
    text, holder = (_OWN_VARIABLE.sub(name, line, count=1) for line in (way.text, way.holder))
    return replace(way, text=text, holder=holder)
