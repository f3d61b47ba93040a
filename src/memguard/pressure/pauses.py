"""How long the collector stops the program, and how much it finds.

Covers: every collection of the process, automatic or asked for, by generation.
Does not cover: when to collect (``bytes_rule``), what is garbage (``memguard.scan``).

See also: ``gc.callbacks``.
"""

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

SHORTEST_SECONDS = 1e-5
"""Upper end of the first bucket [s]; each further one ends at twice as much."""

BUCKET_COUNT = 20


@dataclass(frozen=True, slots=True)
class PauseStatistics:
    """Collections of one generation.

    Attributes:
        collection_count: How many there were.
        total_seconds: How long they took together [s].
        longest_seconds: How long the longest took [s].
        collected_count: Objects that they freed.
        uncollectable_count: Objects that they could not free.
        buckets: How many took at most 10, 20, 40, ... microseconds and more than
            the bucket before; the last has all that is longer.
    """

    collection_count: int = 0
    total_seconds: float = 0.0
    longest_seconds: float = 0.0
    collected_count: int = 0
    uncollectable_count: int = 0
    buckets: tuple[int, ...] = (0,) * BUCKET_COUNT

    def quantile_seconds(self, share: float) -> float:
        """Give a time that *share* of the collections did not exceed [s].

        The upper end of a bucket, or the longest pause where that is less.
        """
        wanted, seen = share * self.collection_count, 0
        for position, count in enumerate(self.buckets[:-1]):
            seen += count
            if seen >= wanted:
                return min(SHORTEST_SECONDS * float(2**position), self.longest_seconds)
        return self.longest_seconds


class PauseRecorder:
    """Record the pauses of the collector while it is started.

    Args:
        clock: Seconds that only grow.

    Cost:
        About a microsecond a collection.

    Thread-safety:
        The collector calls it on whichever thread collects, one at a time.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._begun_seconds: float | None = None
        # For each generation: count, seconds, longest, collected, uncollectable.
        self._sums: dict[int, list[float]] = {}
        self._buckets: dict[int, list[int]] = {}
        # One object, so that it can be found again among the callbacks.
        self._callback = self._note

    def start(self) -> None:
        """Begin to record; to do it again does nothing."""
        if self._callback not in gc.callbacks:
            gc.callbacks.append(self._callback)

    def stop(self) -> None:
        """Record no more; what was recorded stays."""
        if self._callback in gc.callbacks:
            gc.callbacks.remove(self._callback)
        self._begun_seconds = None

    def _note(self, phase: str, info: dict[str, Any]) -> None:
        if phase == "start":
            self._begun_seconds = self._clock()
            return
        if self._begun_seconds is None:
            return
        seconds = self._clock() - self._begun_seconds
        self._begun_seconds = None
        generation = info["generation"]
        sums = self._sums.setdefault(generation, [0, 0.0, 0.0, 0, 0])
        sums[0] += 1
        sums[1] += seconds
        sums[2] = max(sums[2], seconds)
        sums[3] += info["collected"]
        sums[4] += info["uncollectable"]
        self._buckets.setdefault(generation, [0] * BUCKET_COUNT)[_bucket(seconds)] += 1

    def statistics(self) -> dict[int, PauseStatistics]:
        """Give what was recorded, by generation."""
        return {
            generation: PauseStatistics(
                int(sums[0]),
                sums[1],
                sums[2],
                int(sums[3]),
                int(sums[4]),
                tuple(self._buckets[generation]),
            )
            for generation, sums in sorted(self._sums.items())
        }

    def total(self) -> PauseStatistics:
        """Give what was recorded of all generations together."""
        each = self.statistics().values()
        return PauseStatistics(
            sum(one.collection_count for one in each),
            sum(one.total_seconds for one in each),
            max((one.longest_seconds for one in each), default=0.0),
            sum(one.collected_count for one in each),
            sum(one.uncollectable_count for one in each),
            tuple(map(sum, zip(*(one.buckets for one in each), strict=True)))
            or (0,) * BUCKET_COUNT,
        )


def _bucket(seconds: float) -> int:
    position = 0
    end = SHORTEST_SECONDS
    while seconds > end and position < BUCKET_COUNT - 1:
        end *= 2
        position += 1
    return position
