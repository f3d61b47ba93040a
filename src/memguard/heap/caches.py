"""Names of what ``functools.lru_cache`` keeps.

Covers: arguments and results of calls, by the order in which the cache reports them.
Does not cover: other references of C types (``explain``).
"""

import functools
from collections.abc import Sequence

from memguard.heap.names import type_name

_CACHE = type(functools.lru_cache(lambda: None))


def is_cache(source: object) -> bool:
    """Tell whether an object is what ``functools.lru_cache`` makes of a function."""
    return type(source) is _CACHE


def cached_labels(referents: Sequence[object], targets: Sequence[object]) -> list[str | None]:
    """Name what an ``lru_cache`` keeps: arguments and results of calls, and the function.

    Args:
        referents: What it reports: arguments, result and the class of the link for
            each call, then its table and the function.
        targets: What is to be named; None for what is not there.
    """
    places = {id(target): place for place, target in enumerate(targets)}
    found: list[str | None] = [None] * len(targets)
    end = 0
    while len(referents) > end + 2 and _is_link_class(referents[end + 2]):
        end += 3
    rest = ("<cached arguments>", "<cached result>", "") * (end // 3)
    for item, name in zip(referents, (*rest, "<calls>", "__wrapped__"), strict=False):
        place = places.get(id(item))
        if place is not None and found[place] is None and name:
            found[place] = f".{name}"
    return found


def _is_link_class(thing: object) -> bool:
    return type(thing) is type and type_name(thing) == "functools._lru_list_elem"
