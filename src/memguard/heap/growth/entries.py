"""What containers hold, and what leads from there.

Covers: a look at a few of their entries; nothing here runs code of the program.
Does not cover: what is told of them (``folding``), where they are (``places``).
"""

import gc
import sys
import weakref
from collections import deque
from collections.abc import Iterable
from itertools import islice
from types import ModuleType
from typing import cast

from memguard import _names

_MOST_LOOKED_AT = 1000
_MOST_PASSED = 5000


def newest_entries(container: object, most: int) -> list[object]:
    """Give up to so many entries, the newest of those that have an order.

    Of a dict keys and values, in turns. Nothing while another thread changes it.
    """
    kind = type(container)
    # By the methods of the built-in classes, whatever a subclass has.
    try:
        if issubclass(kind, dict):
            items = [*islice(reversed(dict.items(cast("dict[object, object]", container))), most)]
            return [part for item in items for part in item]
        if issubclass(kind, list):
            return [*islice(list.__reversed__(cast("list[object]", container)), most)]
        if issubclass(kind, deque):
            return [*islice(deque.__reversed__(cast("deque[object]", container)), most)]
        if issubclass(kind, set):
            return [*islice(set.__iter__(cast("set[object]", container)), most)]
    except RuntimeError:  # changed meanwhile
        return []
    return []


def is_weak(container: object) -> bool:
    """Whether each entry is, or has, a weak reference: it follows what others hold."""
    entries = newest_entries(container, _MOST_LOOKED_AT)
    step = 2 if issubclass(type(container), dict) else 1
    pairs = zip(*(entries[first::step] for first in range(step)), strict=True)
    return bool(entries) and all(any(map(_is_reference, pair)) for pair in pairs)


def _is_reference(entry: object) -> bool:
    """Whether it is a weak reference, or a tuple of one and of what refers to nothing."""
    if type(entry) is not tuple:
        return issubclass(type(entry), weakref.ref)
    references = [one for one in entry if issubclass(type(one), weakref.ref)]
    return bool(references) and all(
        issubclass(type(one), weakref.ref) or not _refers(one) for one in entry
    )


def _refers(thing: object) -> bool:
    if type(thing) is tuple:
        return any(map(_refers, thing))
    return gc.is_tracked(thing)


def holds_subclasses(container: object) -> bool:
    """Whether it is where a class, which does not show it, notes its subclasses weakly."""
    if type(container) is not dict:
        return False
    entries = newest_entries(container, _MOST_LOOKED_AT)
    return all(
        type(key) is int and type(value) is weakref.ref and issubclass(type(value()), type)
        for key, value in zip(entries[::2], entries[1::2], strict=True)
    )


class Leads:
    """Whether references lead from the newest entry of a container to one of another.

    What was found out of a container is remembered, for each is asked about with all others.

    Args:
        containers: All of them, alive as long as this is asked; references are not
            followed through them, for they lead everywhere.
    """

    def __init__(self, containers: Iterable[object]) -> None:
        self._closed = {id(one) for one in containers} | _namespaces()
        self._reached: dict[int, set[int]] = {}
        self._entries: dict[int, set[int]] = {}

    def to(self, container: object, other: object) -> bool:
        """Say it of two."""
        if id(container) not in self._reached:
            self._reached[id(container)] = _reached_from(container, self._closed)
        if id(other) not in self._entries:
            entries = newest_entries(other, _MOST_LOOKED_AT)
            self._entries[id(other)] = {id(one) for one in entries if gc.is_tracked(one)}
        return not self._reached[id(container)].isdisjoint(self._entries[id(other)])


def _reached_from(container: object, closed: set[int]) -> set[int]:
    reached: set[int] = set()
    waiting = deque(newest_entries(container, 1))
    for _ in range(_MOST_PASSED):
        if not waiting:
            break
        thing = waiting.popleft()
        if id(thing) in reached:
            continue
        reached.add(id(thing))
        if id(thing) in closed or issubclass(type(thing), (type, ModuleType)):
            continue
        waiting.extend(one for one in _names.referents_of(thing) if gc.is_tracked(one))
    return reached


def _namespaces() -> set[int]:
    """Give the addresses of the dicts of all modules, and of the table of modules."""
    modules = [*dict.values(sys.modules)]
    found = {id(_names.instance_dict(one)) for one in modules if issubclass(type(one), ModuleType)}
    return found | {id(sys.modules)}
