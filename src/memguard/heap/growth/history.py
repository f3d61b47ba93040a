"""Looks at the heap, remembered in few bytes.

Covers: what changed from look to look, and the series of numbers made from that.
Does not cover: what a series says (``trend``).

What is remembered is kept as bytes and text: it must not be a part of what grows.
"""

import json
import struct
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_NONE = [0, 0]
_RECORD = struct.Struct("=6Q")

Place = tuple[int, int]
"""Address of a container, and of its type."""

Sizes = tuple[int, int, int]
"""Of a container: length, own bytes, bytes of what only it holds."""


@dataclass(frozen=True, slots=True)
class Series:
    """The numbers of one container or type.

    Attributes:
        places: Where each was taken.
        counts: Entries, or objects [count].
        shallow_bytes: Bytes of its own.
        leaf_bytes: Bytes of what only it holds and the collector does not know.
    """

    places: list[float]
    counts: list[int]
    shallow_bytes: list[int]
    leaf_bytes: list[int]


class History:
    """The looks so far. When there are too many, each two become one.

    Args:
        most_looks: How many at most [count, even].
    """

    def __init__(self, most_looks: int) -> None:
        self._most = most_looks
        self._places: deque[float] = deque(maxlen=most_looks)
        self._changes: deque[bytes] = deque(maxlen=most_looks)
        self._types: deque[str] = deque(maxlen=most_looks)
        self._last_types = json.dumps({})

    @property
    def look_count(self) -> int:
        """How many looks are remembered [count]."""
        return len(self._places)

    @property
    def places(self) -> Sequence[float]:
        """Where each was taken."""
        return tuple(self._places)

    def add(self, place: float, changes: bytes, types: list[tuple[str, int, int]]) -> bool:
        """Remember a look.

        Args:
            place: Where it was taken, such as the number of the run.
            changes: Of containers, as from ``Census.take``.
            types: Of all types, as from there.

        Returns:
            Whether looks became one to make room.
        """
        now: dict[str, list[int]] = {}
        for name, count, size_bytes in types:
            before = now.get(name, _NONE)
            now[name] = [before[0] + count, before[1] + size_bytes]
        last = json.loads(self._last_types)
        names = {**last, **now}
        delta = {name: now.get(name, _NONE) for name in names if now.get(name) != last.get(name)}
        is_full = len(self._places) == self._most
        if is_full:
            self._halve()
        self._places.append(place)
        self._changes.append(changes)
        self._types.append(json.dumps(delta))
        self._last_types = json.dumps(now)
        return is_full

    def _halve(self) -> None:
        for _ in range(self._most // 2):
            self._places.append((self._places.popleft(), self._places.popleft())[1])
            self._changes.append(_joined(self._changes.popleft(), self._changes.popleft()))
            types = {
                **json.loads(self._types.popleft()),
                **json.loads(self._types.popleft()),
            }
            self._types.append(json.dumps(types))

    def containers(self, first: int) -> Iterator[tuple[Place, Series]]:
        """Give the series of each container that changed, from a look on."""
        places = list(self._places)
        events: dict[Place, list[tuple[int, int, Sizes]]] = {}
        for look, changes in enumerate(self._changes):
            for address, kind, before, *sizes in _RECORD.iter_unpack(changes):
                events.setdefault((address, kind), []).append((look, before, tuple(sizes)))
        for place, steps in events.items():
            if steps[-1][2][0] > 0:
                yield place, _filled(places, steps, first)

    def types(self, first: int) -> Iterator[tuple[str, Series]]:
        """Give the series of each type whose number changed, from a look on."""
        places = list(self._places)[first:]
        state: dict[str, list[int]] = {}
        seen: dict[str, list[list[int]]] = {}
        looks = [json.loads(one) for one in self._types]
        changed = {name for look in looks[first + 1 :] for name in look}
        for number, look in enumerate(looks):
            state.update(look)
            if number >= first:
                for name in changed:
                    seen.setdefault(name, []).append(state.get(name, _NONE))
        for name, numbers in seen.items():
            counts = [count for count, _ in numbers]
            sizes = [size_bytes for _, size_bytes in numbers]
            yield name, Series(places, counts, sizes, [0] * len(counts))


def _joined(earlier: bytes, later: bytes) -> bytes:
    """Make one of the changes of two looks: lengths before the first, and after the last."""
    records = {record[:2]: record for record in _RECORD.iter_unpack(earlier)}
    for record in _RECORD.iter_unpack(later):
        known = records.get(record[:2])
        records[record[:2]] = record if known is None else (*record[:2], known[2], *record[3:])
    return b"".join(_RECORD.pack(*record) for record in records.values())


def _filled(places: list[float], steps: list[tuple[int, int, Sizes]], first: int) -> Series:
    """Give a number for each look: that of the last change, or that before the first."""
    series = Series([], [], [], [])
    following = iter([*steps, (len(places), 0, (0, 0, 0))])
    look, before, sizes = next(following)
    now: Sizes | None = (before, sizes[1], sizes[2]) if before else None
    for number, place in enumerate(places):
        if number == look:
            now = sizes
            look, _, sizes = next(following)
        if number >= first and now is not None:
            series.places.append(place)
            series.counts.append(now[0])
            series.shallow_bytes.append(now[1])
            series.leaf_bytes.append(now[2])
    return series
