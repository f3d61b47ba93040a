"""Whether a container says itself how long it may become.

Covers: lengths that are given, and what is cleared once there is much of it; nothing
here runs code of the program.
Does not cover: where a container is (``places``).
"""

import functools
import re
import weakref
from collections import deque
from collections.abc import Iterator, Sequence
from types import MemberDescriptorType
from typing import Any, cast

from memguard import _names
from memguard.heap.caches import is_cache
from memguard.heap.growth.entries import newest_entries
from memguard.heap.names import bases_of, namespace_of, type_name

_MOST_DEAD = 1000
_MOST_CALLS = 100
_MAXLEN = deque.__dict__["maxlen"]
_CACHE_INFO: Any = type(functools.lru_cache(abs)).__dict__["cache_info"]
_LIMIT = re.compile(
    r"_*(\w+__)?(max_?(size|len|length|entries|items|cache)|capacity|cache_?size)\d*", re.IGNORECASE
)
_MOST_ENTRIES = 100_000
"""What is larger is a limit of something else, such as bytes, or none [count]."""


def is_bounded(steps: Sequence[object], owner: object, length: int) -> bool:
    """Whether a container says itself how long it may become.

    Args:
        steps: The objects on the way to it, it last.
        owner: The object whose attribute it is.
        length: Its entries [count].
    """
    container = steps[-1]
    if issubclass(type(container), deque) and _MAXLEN.__get__(container) is not None:
        return True
    if _holds_dead_references(container) or _holds_cancelled_timers(container):
        return True
    if len(steps) > 1 and is_cache(steps[-2]):
        has_limit = _CACHE_INFO(steps[-2]).maxsize is not None
        return has_limit and not _keeps_instances(steps[-2], container)
    # What lies deeper in it is something else.
    before = steps[-2] if len(steps) > 1 else None
    is_attribute = before is owner or before is _names.instance_dict(owner)
    things = (owner, container) if is_attribute else (container,)
    return any(length <= limit <= _MOST_ENTRIES for thing in things for limit in _limits_of(thing))


def _limits_of(thing: object) -> Iterator[int]:
    """Give the numbers among its attributes that are called as limits are."""
    attributes: list[tuple[object, object]] = [
        *_names.inline_attributes(thing),
        *dict.items(_names.instance_dict(thing) or {}),
    ]
    for cls in bases_of(cast("type", thing) if issubclass(type(thing), type) else type(thing)):
        attributes += [(name, _slot_of(thing, value)) for name, value in namespace_of(cls).items()]
    for name, value in attributes:
        if type(value) is int and type(name) is str and _LIMIT.fullmatch(name):
            yield value


def _slot_of(thing: object, value: object) -> object:
    if type(value) is not MemberDescriptorType:
        return value
    try:
        return value.__get__(thing, type(thing))
    except (AttributeError, TypeError):
        return None  # of a class, or empty


def _keeps_instances(cache: object, calls: object) -> bool:
    """Whether it is of a method, and most of its calls are of another instance each.

    Its limit is one of calls; the instances, and all that they hold, are kept meanwhile.
    """
    keys = newest_entries(calls, _MOST_CALLS)[::2]
    instances = [key[0] for key in keys if type(key) is tuple and key]
    if len({id(instance) for instance in instances}) <= len(keys) / 2:
        return False
    classes = {cls for instance in instances for cls in bases_of(type(instance))}
    return any(value is cache for cls in classes for value in namespace_of(cls).values())


def _holds_dead_references(container: object) -> bool:
    """Whether it has nothing but weak references to what is gone, and not too many.

    They are mostly taken out once there are some hundreds, as sqlite3 does with cursors.
    """
    if type(container) is not list or len(container) > _MOST_DEAD:
        return False
    return all(type(item) is weakref.ref and item() is None for item in container)


def _holds_cancelled_timers(container: object) -> bool:
    """Whether more than half are timers that were cancelled: asyncio clears those."""
    if type(container) is not list:
        return False
    entries = newest_entries(container, _MOST_DEAD)
    return sum(map(_is_cancelled_timer, entries)) > len(entries) / 2


def _is_cancelled_timer(thing: object) -> bool:
    for cls in bases_of(type(thing)):
        if type(cls) is type and type_name(cls) == "asyncio.events.Handle":
            return _slot_of(thing, namespace_of(cls).get("_cancelled")) is True
    return False
