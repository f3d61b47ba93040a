"""Look at the heap again and again, and tell what grows.

Covers: the looks, and which containers and types rise.
Does not cover: what is told of them (``folding``), running a function (``measure``).
"""

import gc
import math
import sys
import threading
import time
from collections.abc import Callable

from memguard import _growth
from memguard.errors import LimitOutOfRangeError
from memguard.heap.arguments import ScanMode, checked_mode
from memguard.heap.growth.folding import Told, fold
from memguard.heap.growth.history import History, Place, Series
from memguard.heap.growth.owners import is_of_looks
from memguard.heap.growth.places import Growing, length_of
from memguard.heap.growth.report import GrowthFinding, GrowthReport
from memguard.heap.growth.trend import LEAST_LOOKS, Rise, steady_rise
from memguard.heap.snapshot import Child, begin_child

_MOST_LOOKS = 64
_MOST_CONTAINERS = 1 << 16
_MOST_NAMED = 1000
"""Containers that rise, those that rose most first; the rest is left out [count]."""
_LEAST_ENTRIES = 4
_LEAST_OBJECTS = 6
_WARMUP_PART = 5

_Seen = tuple[bytes, list[tuple[str, int, int]]]


class GrowthTracker:
    """Tell what grows from look to look.

    The first fifth of the looks is left out of the trend, for programs fill caches
    when they begin. It holds no object of the program between looks. From the
    65th look on each two that lie beside each other become one, so it takes as much memory
    after a year as after an hour.

    Args:
        unit: What the places of looks count: "minute", or "run" of something.
        floor: Containers are seen once they have so many entries [count, 1 to
            ``sys.maxsize``].
        collect: Let the collector run before each look, so that cyclic garbage does
            not count.
        warmup_looks: Looks to leave out [count]; None: a fifth of them.
        clock: Seconds that only grow, for looks whose place is not given.
        mode: "inline" stops the process for as long as a look takes. "snapshot" forks a
            child, which looks at the memory as it was then, and stops the process
            for the fork only; see `memguard.scan`.

    Raises:
        LimitOutOfRangeError: *floor* or *warmup_looks* is out of range.
        UnknownOptionError: *mode* does not exist.

    Thread-safety:
        Any thread.
    """

    def __init__(
        self,
        unit: str = "minute",
        *,
        floor: int = 4,
        collect: bool = False,
        warmup_looks: int | None = None,
        clock: Callable[[], float] = time.monotonic,
        mode: ScanMode = "inline",
    ) -> None:
        if type(floor) is not int or not 1 <= floor <= sys.maxsize:
            raise LimitOutOfRangeError("floor", floor, f"a whole number from 1 to {sys.maxsize}")
        if warmup_looks is not None and (type(warmup_looks) is not int or warmup_looks < 0):
            raise LimitOutOfRangeError(
                "warmup_looks", warmup_looks, "a whole number of at least 0, or None for a fifth"
            )
        self._unit = unit
        self._floor = floor
        self._collect = collect
        self._warmup = warmup_looks
        self._clock = clock
        self._census = _growth.Census(floor, _MOST_CONTAINERS)
        self._history = History(_MOST_LOOKS)
        self._told: list[Told] = []
        # Once more by the same thread: a signal or a finalizer may come amid a look.
        self._lock = threading.RLock()
        self._begun: float | None = None
        self._wanted_mode = checked_mode(mode)
        self._mode: ScanMode = "inline"
        self._fallback_reason = ""

    @property
    def mode(self) -> ScanMode:
        """Where the last look ran: in this process, or in a child of it."""
        return self._mode

    @property
    def fallback_reason(self) -> str:
        """Why it ran in this process though a snapshot was asked for; else ""."""
        return self._fallback_reason

    @property
    def pause_seconds(self) -> float:
        """How long everything stood still for it: for all of it, or the fork and its answer [s]."""
        return self._census.pause_seconds

    @property
    def look_count(self) -> int:
        """Looks that are remembered [count]."""
        return self._history.look_count

    def observe(
        self, place: float | None = None, *, is_cancelled: Callable[[], bool] = bool
    ) -> bool:
        """Look at the heap.

        Args:
            place: The number of the run, or the time in minutes; larger than
                before. None: minutes since the first look.
            is_cancelled: Asked while a snapshot runs; true ends it.

        Returns:
            Whether looks were put together, so that half as many are enough from now on.

        Raises:
            LimitOutOfRangeError: *place* is not finite, or not larger than before.
            MemoryError: A native table could not be had; this look is left out.
            HeadroomShortError: Too little memory is free for a snapshot; likewise.
            SnapshotFailedError: The child of a snapshot was killed, or hung; likewise.

        Cost:
            Everything stands still for 0.3 to 0.5 of a ``gc.collect()`` with a million
            objects, or for a snapshot while the page tables are copied; see
            ``benchmarks/growth.py``.
        """
        if self._collect:
            gc.collect()
        with self._lock:
            places = self._history.places
            if place is None:
                now = self._clock() / 60
                self._begun = now if self._begun is None else self._begun
                place = now - self._begun
            if not math.isfinite(place):
                raise LimitOutOfRangeError("place", place, "a finite number")
            if places and place <= places[-1]:
                raise LimitOutOfRangeError("place", place, f"a number above {places[-1]:g}")
            changes, types = self._look(is_cancelled)
            if self._history.places is not places:
                return False  # what ran meanwhile has looked, and later
            return self._history.add(place, changes, types)

    def _look(self, is_cancelled: Callable[[], bool]) -> _Seen:
        child: Child[_Seen] | str = ""
        if self._wanted_mode == "snapshot":
            child = begin_child(lambda: Child(_growth.CensusSnapshot(self._census)))
        if isinstance(child, str):
            seen = self._census.take()
            self._mode, self._fallback_reason = "inline", child
        else:
            seen = child.wait(is_cancelled)
            self._mode, self._fallback_reason = "snapshot", ""
        return seen

    def rising(self) -> dict[Place | str, int]:
        """Count what rises: containers by their addresses, types by their names.

        That is what `report` would look for in the heap, some of which it does not tell of.
        Nothing is held up for it.
        """
        with self._lock:
            first = self._first()
            if self._history.look_count - first < LEAST_LOOKS:
                return {}
            rising: dict[Place | str, int] = {}
            for place, _, series in self._rising_containers(first):
                rising[place] = series.counts[-1]
            for name, _, series in self._rising_types(first):
                rising[name] = series.counts[-1]
        return rising

    def _first(self) -> int:
        return self._history.look_count // _WARMUP_PART if self._warmup is None else self._warmup

    def report(self, root: object = None) -> GrowthReport:
        """Tell what grew steadily in the looks so far.

        Args:
            root: What things may be held by besides modules, frames and threads, such
                as the function that was run.

        Raises:
            MemoryError: A native table could not be had.

        Cost:
            Everything stands still for 0.35 to 0.6 of a ``gc.collect()`` with a million
            objects if something rises, see there; else the heap is not looked at.
        """
        with self._lock:
            history = self._history
            first = self._first()
            places = history.places[first:]
            is_enough = len(places) >= LEAST_LOOKS
            containers = self._rising_containers(first) if is_enough else []
            types = self._rising_types(first) if is_enough else []
            # Not its own table: what changed until the next look would be lost.
            census = _growth.Census(self._floor, _MOST_CONTAINERS)
            told = fold(
                _alive(containers, census),
                types,
                self._unit,
                census.newest,
                root,
                hides_short=self._census.floor > self._floor,
            )
            return GrowthReport(
                findings=self._with_gone(told, {key for key, _, _ in containers}),
                look_count=len(places),
                extent=places[-1] - places[0] if places else 0.0,
                unit=self._unit,
                floor=self._census.floor,
                object_count=self._census.object_count,
                duration_seconds=self._census.duration_seconds,
                is_enough=is_enough,
                pause_seconds=self.pause_seconds,
                mode=self._mode,
                fallback_reason=self._fallback_reason,
            )

    def _with_gone(self, told: list[Told], rising: set[Place]) -> tuple[GrowthFinding, ...]:
        """Add what rose until it went after the last look, by the name that it had.

        What only a function of the program holds goes when that ends.
        """
        found = frozenset().union(*(keys for _, keys in told))
        names = {finding.name for finding, _ in told}
        gone = [
            one
            for one in self._told
            if one.keys & rising and not one.keys & found and one.finding.name not in names
        ]
        explained = {name for finding, _ in gone for name, _ in finding.types}
        kept = [one for one in told if one.keys or one.finding.name not in explained]
        self._told = [*gone, *(one for one in told if one.keys)]
        return tuple(one.finding for one in [*gone, *kept])

    def _rising_containers(self, first: int) -> list[tuple[Place, Rise, Series]]:
        rising = []
        for place, series in self._history.containers(first, _LEAST_ENTRIES):
            rise = steady_rise(series.places, series.counts, _LEAST_ENTRIES)
            if rise is not None:
                rising.append((place, rise, series))
                if len(rising) == _MOST_NAMED:
                    break
        return rising

    def _rising_types(self, first: int) -> list[tuple[str, Rise, Series]]:
        rising = []
        for name, series in self._history.types(first, _LEAST_OBJECTS):
            if is_of_looks(name):
                continue
            rise = steady_rise(series.places, series.counts, _LEAST_OBJECTS)
            if rise is not None:
                rising.append((name, rise, series))
        return rising


def _alive(rising: list[tuple[Place, Rise, Series]], census: _growth.Census) -> list[Growing]:
    """Hold what is still there and was not replaced by something else."""
    found = census.find([place for place, _, _ in rising]) if rising else []
    return [
        Growing(container, rise, series, key)
        for container, (key, rise, series) in zip(found, rising, strict=True)
        if container is not None and length_of(container) >= series.counts[-1] / 2
    ]
