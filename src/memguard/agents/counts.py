"""What pools counted, as plain values."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PoolStatistics:
    """What happened to the objects of a pool so far.

    At any time ``created_count == in_use_count + pooled_count + dropped_count +
    lost_count``.

    Attributes:
        created_count: Made, by need or by ``prefill`` [count].
        reused_count: Handed out again [count].
        returned_count: Came back [count].
        dropped_count: Let go: there was no room, or they were trimmed or cleared [count].
        lost_count: Died without being returned [count]; of a `FreeList`, those that
            were noticed.
        in_use_count: Handed out and not back [count].
        pooled_count: Kept now [count].
        peak_in_use_count: The most that were ever in use at a time [count].
        hit_ratio: What was asked for and could be handed out again, of all that was
            asked for [0 to 1]; 0 before the first.
    """

    created_count: int
    reused_count: int
    returned_count: int
    dropped_count: int
    lost_count: int
    in_use_count: int
    pooled_count: int
    peak_in_use_count: int
    hit_ratio: float
