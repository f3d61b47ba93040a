"""Settings of the collector's profiles and of relief."""

from dataclasses import dataclass
from typing import ClassVar

from memguard.settings.values import Choice, Number, Room, Size, setting

PROFILES = ("report", "default", "latency", "bytes")
"""What ``configure_optimized_gc`` can set up."""

REPORT_THRESHOLDS = (300, 8, 8)
"""Thresholds of the collector in the original report [count]."""

_MIB = 2**20


@dataclass(frozen=True, slots=True)
class CollectorSettings(Room):
    """When garbage is collected, by the bytes that it may hold.

    Attributes:
        profile: What ``configure_optimized_gc`` sets up when it is not told.
        growth_bytes: A full collection is due when what the allocators have in use
            grew by this [bytes] ...
        growth_ratio: ... and by this share of the working set, whichever is more.
        budget_ratio: Share of the time that collections may take.
        pause_seconds: Where time allows, collections come earlier for freeing to take
            no longer than this [s]; looking at what lives comes on top.
        check_seconds: How often memory is looked at [s].
        settle_seconds: A due collection that the main thread did not run in this
            time [s] runs on the watching thread.
        trim_bytes: Free memory that the allocator keeps, from which on it is given
            back to the system [bytes].
        idle_bytes: For "latency": growth from which on an idle loop collects [bytes].
    """

    name: ClassVar[str] = "collector"

    profile: str = setting("bytes", Choice(PROFILES), "docs/collector.md")
    growth_bytes: int = setting(32 * _MIB, Size(1), "benchmarks/collector.py")
    growth_ratio: float = setting(0.5, Number("ratio"), "benchmarks/collector.py")
    budget_ratio: float = setting(
        0.05,
        Number("ratio", 0, 1, above_minimum=True),
        "dask distributed: ThrottledGC, max_in_gc_frac",
    )
    pause_seconds: float = setting(
        0.01, Number("seconds", 0, 10, above_minimum=True), "benchmarks/collector.py"
    )
    check_seconds: float = setting(
        0.02, Number("seconds", 0, 60, above_minimum=True), "benchmarks/collector.py"
    )
    settle_seconds: float = setting(0.1, Number("seconds", 0, 60), "five checks")
    trim_bytes: int = setting(32 * _MIB, Size(1), "benchmarks/collector.py")
    idle_bytes: int = setting(8 * _MIB, Size(1), "a quarter of growth_bytes")


@dataclass(frozen=True, slots=True)
class ReliefSettings(Room):
    """When memory is given back under pressure.

    Attributes:
        start_ratio: Share of the limit from which on the ladder is climbed.
        leave_ratio: It is climbed until the share is so far below that.
        pause_seconds: Least time between two climbs [s].
    """

    name: ClassVar[str] = "relief"

    start_ratio: float = setting(
        0.80, Number("ratio", 0, 1, above_minimum=True), "original report: critical level"
    )
    leave_ratio: float = setting(0.05, Number("ratio", 0, 1), "where spawns are allowed again")
    pause_seconds: float = setting(1.0, Number("seconds"), "a full collection may take 0.1 s")
