"""Names of what large containers hold, in one pass over each.

Covers: lists, tuples, deques, sets, dicts and what is made from them, caches of functions.
Does not cover: one reference by itself (``explain``).
"""

import itertools
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Sequence

from memguard import _retention
from memguard.heap.caches import cached_labels, is_cache
from memguard.heap.explain import referents
from memguard.heap.names import short_name, type_name

_DICTS = (dict, OrderedDict, defaultdict, Counter)
_SETS = (set, frozenset)

KEEPERS = (*_DICTS, *_SETS, list, tuple, deque)
"""Containers that hold nothing but their items."""

Known = dict[tuple[int, int], str]


def labels_in(ways: Sequence[Sequence[object]]) -> Known:
    """Name what containers hold on several ways, by the ids of both ends.

    To look through a large one for each way would make a thousand ways take longer than
    all the rest.
    """
    wanted: dict[int, tuple[object, dict[int, object]]] = {}
    for source, target in itertools.chain.from_iterable(map(itertools.pairwise, ways)):
        if type(source) in KEEPERS or is_cache(source):
            wanted.setdefault(id(source), (source, {}))[1][id(target)] = target
    known: Known = {}
    for source, targets in wanted.values():
        if len(targets) > 1:
            found = _labels_in(source, list(targets.values()))
            for place, label in zip(targets, found, strict=True):
                if label is not None:
                    known[id(source), place] = label
    return known


def _labels_in(source: object, targets: list[object]) -> Sequence[str | None]:
    cls = type(source)
    if cls in _SETS:
        return ["{element}" for _ in targets]
    if cls in _DICTS:
        return [
            None
            if found is None
            else "[key]"
            if found[0] is target
            else f"[{short_name(type_name(type(found[0])))}]"
            for target, found in zip(targets, _retention.keys_of(source, targets), strict=True)
        ]
    if is_cache(source):
        return cached_labels(referents(source), targets)
    if cls is deque:
        try:
            source = list(source)  # type: ignore[call-overload]
        except RuntimeError:  # another thread changed it meanwhile
            return [None for _ in targets]
    indices = _retention.indices_of(source, targets)
    return [None if index is None else f"[{index}]" for index in indices]
