"""How much of what some work took comes back when it is cleaned up.

Covers: bytes that the allocators have given out: before, at the peak, after.
Does not cover: resident memory, which allocators keep, and how much of the garbage the
collector frees (``collector.calculate_gc_effectiveness``).
"""

from dataclasses import dataclass

from memguard.pressure.allocator import estimate_small_bytes, read_malloc


@dataclass(frozen=True, slots=True)
class CleanupEffectiveness:
    """What was in use before some work, at its peak, and after cleaning up.

    Attributes:
        before_bytes: Before [bytes].
        peak_bytes: The most that was seen [bytes].
        after_bytes: After [bytes].
    """

    before_bytes: int
    peak_bytes: int
    after_bytes: int

    @property
    def percent(self) -> float:
        """How much of what was taken came back [percent]; 100 where nothing was taken.

        Above 100 where more came back, as of a cache that was there before.

        Source:
            The original report: 100 * (peak - after) / (peak - before).
        """
        taken_bytes = self.peak_bytes - self.before_bytes
        if taken_bytes <= 0:
            return 100.0
        return 100 * (self.peak_bytes - self.after_bytes) / taken_bytes


def read_allocated_bytes() -> int:
    """Read what the allocators have given out [bytes]: ``malloc``, and Python's own."""
    malloc = read_malloc()
    return (malloc.in_use_bytes if malloc else 0) + (estimate_small_bytes() or 0)


class CleanupMeter:
    """Measures one cleanup: make it before the work, and look while it lasts.

    Where ``malloc`` cannot be asked only Python's small objects count.

    Thread-safety: one thread at a time.
    """

    __slots__ = ("_before_bytes", "_peak_bytes")

    def __init__(self) -> None:
        self._before_bytes = self._peak_bytes = read_allocated_bytes()

    def look(self) -> None:
        """Note what is in use now, if it is the most so far."""
        self._peak_bytes = max(self._peak_bytes, read_allocated_bytes())

    def finish(self) -> CleanupEffectiveness:
        """Give the result, with what is in use now as what was left."""
        return CleanupEffectiveness(self._before_bytes, self._peak_bytes, read_allocated_bytes())
