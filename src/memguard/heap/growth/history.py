"""Looks at the heap, remembered in few bytes.

Covers: what changed from look to look, and the series of numbers made from that.
Does not cover: what a series says (``trend``).

What is remembered is kept as bytes: it must not be a part of what grows.
"""

import json
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

_NONE = [0, 0]
_RECORD = struct.Struct("=16sQQ16s")
_KEY = struct.Struct("=2Q")
_SIZES = struct.Struct("=2Q")
_MOST_AT_ONCE = 4096
"""Containers whose numbers are made out at once, each some kilobytes of objects [count]."""

Place = tuple[int, int]
"""Address of a container, and of its type."""

Sizes = tuple[int, int, int]
"""Of a container: length, own bytes, bytes of what only it holds."""

_Change = tuple[bytes, int, int, bytes]
"""Of a container: which it is, length before, length, both sizes."""


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


class _Looks(NamedTuple):
    """What is remembered: an item for each look, and the types of the last.

    It is replaced as a whole, so that a call that fails halfway leaves it as it was.
    """

    places: tuple[float, ...] = ()
    changes: tuple[bytes, ...] = ()
    types: tuple[bytes, ...] = ()
    last_types: bytes = zlib.compress(b"{}")


class History:
    """The looks so far. When there are too many, each two become one.

    Args:
        most_looks: How many at most [count, even].
    """

    def __init__(self, most_looks: int) -> None:
        self._most = most_looks
        self._looks = _Looks()

    @property
    def look_count(self) -> int:
        """How many looks are remembered [count]."""
        return len(self._looks.places)

    @property
    def places(self) -> Sequence[float]:
        """Where each was taken."""
        return self._looks.places

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
        looks = self._looks
        last = _unpacked(looks.last_types)
        names = {**last, **now}
        delta = {name: now.get(name, _NONE) for name in names if now.get(name) != last.get(name)}
        is_full = len(looks.places) == self._most
        if is_full:
            looks = _halved(looks)
        self._looks = _Looks(
            (*looks.places, place),
            (*looks.changes, zlib.compress(changes, 1)),
            (*looks.types, _packed(delta)),
            _packed(now),
        )
        return is_full

    def containers(self, first: int, least: int = 1) -> Iterator[tuple[Place, Series]]:
        """Give the series of each container that became longer, from a look on.

        Args:
            first: The look.
            least: By how many entries it became longer at least [count].

        Returns:
            Those that are there in the last look; what became longer by most first.
        """
        amounts = self._amounts(first)
        keys = sorted((key for key in amounts if amounts[key] >= least), key=lambda k: -amounts[k])
        for start in range(0, len(keys), _MOST_AT_ONCE):
            yield from self._series(keys[start : start + _MOST_AT_ONCE], first)

    def _amounts(self, first: int) -> dict[bytes, int]:
        """Say by how many entries containers became longer that are still there."""
        begun: dict[bytes, int] = {}
        now: dict[bytes, int] = {}
        for look, changes in enumerate(self._looks.changes):
            for key, before, length, _ in _changes(changes):
                if look <= first:
                    begun[key] = length
                elif key not in begun:
                    begun[key] = before or length
                now[key] = length
        return {key: length - begun[key] for key, length in now.items() if length}

    def _series(self, keys: Sequence[bytes], first: int) -> Iterator[tuple[Place, Series]]:
        events: dict[bytes, list[tuple[int, int, Sizes]]] = {key: [] for key in keys}
        for look, changes in enumerate(self._looks.changes):
            for key, before, length, sizes in _changes(changes):
                if key in events:
                    events[key].append((look, before, (length, *_SIZES.unpack(sizes))))
        places = self._looks.places
        for key, steps in events.items():
            address, kind = _KEY.unpack(key)
            yield (address, kind), _filled(places, steps, first)

    def types(self, first: int, least: int = 1) -> Iterator[tuple[str, Series]]:
        """Give the series of each type whose objects became more, from a look on.

        Args:
            first: The look.
            least: By how many they became more at least [count].
        """
        places = list(self._looks.places)[first:]
        looks = [_unpacked(one) for one in self._looks.types]
        begun, end = _united(looks[: first + 1]), _united(looks)
        grown = [
            name for name, (count, _) in end.items() if count - begun.get(name, _NONE)[0] >= least
        ]
        state: dict[str, list[int]] = {}
        seen: dict[str, list[list[int]]] = {name: [] for name in grown}
        for number, look in enumerate(looks):
            state.update(look)
            if number >= first:
                for name, numbers in seen.items():
                    numbers.append(state.get(name, _NONE))
        for name, numbers in seen.items():
            counts = [count for count, _ in numbers]
            sizes = [size_bytes for _, size_bytes in numbers]
            yield name, Series(places, counts, sizes, [0] * len(counts))


def _packed(types: dict[str, list[int]]) -> bytes:
    return zlib.compress(json.dumps(types).encode(), 1)


def _unpacked(types: bytes) -> dict[str, list[int]]:
    found: dict[str, list[int]] = json.loads(zlib.decompress(types))
    return found


def _changes(packed: bytes) -> Iterator[_Change]:
    return _RECORD.iter_unpack(zlib.decompress(packed))


def _united(looks: Iterable[dict[str, list[int]]]) -> dict[str, list[int]]:
    """Put the changes of types of looks together, the last ones first in force."""
    united: dict[str, list[int]] = {}
    for look in looks:
        united.update(look)
    return united


def _halved(looks: _Looks) -> _Looks:
    """Make one of each two looks."""
    state: dict[str, list[int]] = {}
    types = []
    for earlier, later in zip(looks.types[::2], looks.types[1::2], strict=True):
        joined = _united([_unpacked(earlier), _unpacked(later)])
        # What came and went is forgotten, or names made for one run would pile up.
        kept = {name: one for name, one in joined.items() if state.get(name, _NONE) != one}
        state.update(kept)
        types.append(_packed(kept))
    changes = map(_joined, looks.changes[::2], looks.changes[1::2])
    return _Looks(looks.places[1::2], tuple(changes), tuple(types), looks.last_types)


def _joined(earlier: bytes, later: bytes) -> bytes:
    """Make one of the changes of two looks: lengths before the first, and after the last.

    What is as long as it was is forgotten, such as what came and went.
    """
    records: dict[bytes, tuple[int, int, bytes]] = {}
    for key, before, length, sizes in chain(_changes(earlier), _changes(later)):
        known = records.get(key)
        records[key] = (before if known is None else known[0], length, sizes)
    joined = [
        _RECORD.pack(key, before, length, sizes)
        for key, (before, length, sizes) in records.items()
        if before != length
    ]
    return zlib.compress(b"".join(joined), 1)


def _filled(places: Sequence[float], steps: list[tuple[int, int, Sizes]], first: int) -> Series:
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
