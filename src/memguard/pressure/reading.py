"""What memory is in use at one moment, as values.

Covers: what each number means, and what follows from several of them.
Does not cover: reading them (``memory``).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from memguard.pressure.limits import Limit


@dataclass(frozen=True, slots=True)
class Bound:
    """One limit, and what is in use of it.

    Attributes:
        limit: The limit.
        used_bytes: What counts towards it [bytes].
    """

    limit: Limit
    used_bytes: int

    @property
    def used_ratio(self) -> float:
        """Share that is in use; above 1 where a limit was lowered below it."""
        return self.used_bytes / max(1, self.limit.limit_bytes)

    @property
    def free_bytes(self) -> int:
        """What is left [bytes]."""
        return max(0, self.limit.limit_bytes - self.used_bytes)


@dataclass(frozen=True, slots=True)
class MemoryUse:
    """The part of a reading that a start asks for; what costs most is not in it.

    Attributes:
        rss_bytes: Resident size of the process [bytes].
        bounds: Each limit, with what is in use of it.
    """

    rss_bytes: int
    bounds: tuple[Bound, ...]


@dataclass(frozen=True, slots=True)
class MemoryReading:
    """Memory at one moment; None is what cannot be known here.

    Attributes:
        rss_bytes: Resident size of the process [bytes].
        virtual_bytes: Its address space [bytes].
        data_bytes: Its private data and stacks [bytes].
        private_bytes: Resident pages of no file [bytes].
        swap_bytes: What of it is swapped out [bytes].
        malloc_in_use_bytes: What ``malloc`` gave out [bytes].
        malloc_free_bytes: What it keeps free [bytes], resident or not.
        small_bytes_estimate: What Python's own allocator gave out, from its
            number of blocks [bytes].
        cgroup_used_bytes: What the control group uses, but for files that can be
            dropped at once [bytes].
        stall_ratio: Share of the last 10 s in which some task of the control group
            waited for memory.
        bounds: Each limit, with what is in use of it.
        unknown: Names of what is None, and why.
    """

    rss_bytes: int
    virtual_bytes: int | None
    data_bytes: int | None
    private_bytes: int | None
    swap_bytes: int | None
    malloc_in_use_bytes: int | None
    malloc_free_bytes: int | None
    small_bytes_estimate: int | None
    cgroup_used_bytes: int | None
    stall_ratio: float | None
    bounds: tuple[Bound, ...]
    unknown: Mapping[str, str]

    @property
    def tightest(self) -> Bound | None:
        """The limit of which the largest share is in use."""
        return max(self.bounds, key=lambda bound: bound.used_ratio, default=None)

    @property
    def used_ratio(self) -> float | None:
        """The largest share that is in use of any limit."""
        return self.tightest.used_ratio if self.tightest else None

    @property
    def free_bytes(self) -> int | None:
        """What is left before the first limit that kills [bytes]."""
        hard = [bound.free_bytes for bound in self.bounds if not bound.limit.is_soft]
        return min(hard, default=None)

    @property
    def in_use_bytes(self) -> int | None:
        """What both allocators gave out, the small blocks as an estimate [bytes]."""
        known = [self.malloc_in_use_bytes, self.small_bytes_estimate]
        return None if None in known[:1] else sum(part or 0 for part in known)

    @property
    def fragmentation_ratio(self) -> float | None:
        """Share of the private resident pages in which no block is in use.

        0.9 says that nine of ten resident pages would not be needed, were all
        blocks in use side by side. An estimate, as `small_bytes_estimate` is.
        Where it is high, ``release_memory`` helps as far as pages are wholly free.
        """
        if self.in_use_bytes is None or not self.private_bytes:
            return None
        return max(0.0, 1 - self.in_use_bytes / self.private_bytes)
