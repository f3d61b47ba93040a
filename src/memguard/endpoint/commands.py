"""What a process tells of itself when it is asked from outside.

Covers: the commands ``scan``, ``stats`` and ``gc``, over plain values.
Does not cover: carrying them (``server``), opening the door (``listening``).
"""

import gc
import os
import platform
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from memguard.endpoint.server import Command, Slow
from memguard.errors import ScanUnderWayError
from memguard.heap.arguments import ScanMode
from memguard.heap.scan import scan_beyond
from memguard.pressure.allocator import estimate_small_bytes
from memguard.pressure.costly import Costly
from memguard.pressure.memory import MemoryReader
from memguard.pressure.pauses import PauseRecorder, PauseStatistics
from memguard.pressure.reading import MemoryReading

SCAN = "scan"
STATS = "stats"
GC = "gc"

DEFAULT_MODE: ScanMode = "snapshot"
"""How a scan that somebody outside asks for runs, if they do not say: so that the service
goes on meanwhile."""

IDLE_SECONDS = 30.0
"""Who has not asked for statistics in this time has left, and pauses are not counted."""

_BLOCKS_SECONDS = 1.0
_MOST_OF_TIME_RATIO = 0.01

AgentCounts = Callable[[], Mapping[str, int]]
"""Gives numbers of agents, by the name of each number."""

_agents: list[AgentCounts] = []
_scanning: dict[int, float] = {}
"""By process, since when one scans: in a forked child, the parent's scan is nobody's."""


def tell_agents(counts: AgentCounts) -> Callable[[], None]:
    """Let statistics tell of somebody's agents, too.

    Returns:
        A function that ends it; to call it again does nothing.
    """
    _agents.append(counts)

    def forget() -> None:
        # By identity: two bound methods of one object are equal.
        _agents[:] = [kept for kept in _agents if kept is not counts]

    return forget


class Inquiries:
    """Answer what is asked of this process from outside.

    Args:
        clock: Seconds that only grow.

    Cost:
        Statistics take no scan: half a millisecond, 2 ms with five million objects,
        where the allocators are asked; see ``docs/running-process.md``.
        While somebody asks for them, about a microsecond for each collection.

    Thread-safety:
        Any thread. One scan runs at a time in the whole process.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._begun_seconds = clock()
        self._reader = MemoryReader()
        self._blocks = Costly(estimate_small_bytes, _BLOCKS_SECONDS, _MOST_OF_TIME_RATIO)
        self._lock = threading.Lock()
        self._pauses: PauseRecorder | None = None
        self._pauses_since_seconds = 0.0
        self._asked_seconds = clock()
        self._is_closed = False

    @property
    def idle_seconds(self) -> float:
        """How long nobody has asked for anything [s]; 0 while a scan runs."""
        return 0.0 if os.getpid() in _scanning else self._clock() - self._asked_seconds

    def commands(self) -> dict[str, Command | Slow]:
        """Give the commands, by name."""
        return {SCAN: Slow(self._scan), STATS: self._stats, GC: self._collect}

    def look(self) -> None:
        """Stop counting pauses if nobody has asked for a while."""
        if self._pauses is not None and self._clock() - self._asked_seconds > IDLE_SECONDS:
            self._rest()

    def close(self) -> None:
        """Count no pauses any more; again does nothing."""
        self._is_closed = True
        self._rest()

    def _rest(self) -> None:
        # Without the lock, which in a forked child may be held by nobody who is there.
        pauses, self._pauses = self._pauses, None
        if pauses is not None:
            pauses.stop()

    # Scans.

    def _scan(
        self, arguments: Mapping[str, Any], _caller: str, is_cancelled: Callable[[], bool]
    ) -> dict[str, Any]:
        self._asked_seconds = self._clock()
        process_id = os.getpid()
        begun = self._clock()
        if _scanning.setdefault(process_id, begun) is not begun:
            since = _scanning.get(process_id, begun)
            raise ScanUnderWayError(process_id, max(0.0, begun - since))
        try:
            return self._scan_now(arguments, is_cancelled)
        finally:
            del _scanning[process_id]
            self._asked_seconds = self._clock()

    def _scan_now(
        self, arguments: Mapping[str, Any], is_cancelled: Callable[[], bool]
    ) -> dict[str, Any]:
        with scan_beyond(
            None,
            arguments.get("kind", "garbage"),
            types=arguments.get("types") or None,
            max_objects=arguments.get("max_objects"),
            budget_seconds=arguments.get("budget_seconds"),
            mode=arguments.get("mode", DEFAULT_MODE),
            is_cancelled=is_cancelled,
        ) as report:
            wants_all = bool(arguments.get("include_stdlib", False))
            kept = report.where(lambda shape: wants_all or not shape.is_library_only)
            return {
                "trigger": "asked",
                "pid": os.getpid(),
                "elapsed_seconds": self._clock() - self._begun_seconds,
                **kept.to_dict(),
                "shapes_left_out_count": len(report.shapes) - len(kept.shapes),
            }

    # Statistics.

    def _stats(self, _arguments: Mapping[str, Any], _caller: str) -> dict[str, Any]:
        now = self._clock()
        self._asked_seconds = now
        with self._lock:
            pauses, since = self._counted_pauses(now)
            small_bytes = self._blocks.get(self._clock)
        begun = _scanning.get(os.getpid())
        return {
            "pid": os.getpid(),
            "at": time.time(),
            "python": platform.python_version(),
            "memory": _told_memory(self._reader.read(), small_bytes),
            "collector": _told_collector(),
            "pauses": {
                "since_seconds": now - since,
                **_told_pauses(pauses.total()),
                "by_generation": {
                    str(generation): _told_pauses(each)
                    for generation, each in pauses.statistics().items()
                },
            },
            "agents": _told_agents(),
            "scanning_seconds": None if begun is None else max(0.0, now - begun),
            "threads_count": threading.active_count(),
        }

    def _counted_pauses(self, now: float) -> tuple[PauseRecorder, float]:
        pauses = self._pauses
        if pauses is None:
            pauses = PauseRecorder()
            self._pauses_since_seconds = now
            if not self._is_closed:
                self._pauses = pauses
                pauses.start()
        return pauses, self._pauses_since_seconds

    def _collect(self, _arguments: Mapping[str, Any], _caller: str) -> dict[str, Any]:
        self._asked_seconds = self._clock()
        before = self._reader.read(fresh=True).rss_bytes
        begun = self._clock()
        collected_count = gc.collect()
        seconds = self._clock() - begun
        return {
            "collected_count": collected_count,
            "duration_seconds": seconds,
            "rss_before_bytes": before,
            "rss_bytes": self._reader.read(fresh=True).rss_bytes,
        }


def _told_memory(reading: MemoryReading, small_bytes: int | None) -> dict[str, Any]:
    tightest = reading.tightest
    return {
        "rss_bytes": reading.rss_bytes,
        "private_bytes": reading.private_bytes,
        "swap_bytes": reading.swap_bytes,
        "in_use_bytes": reading.in_use_bytes,
        "small_bytes_estimate": small_bytes,
        "fragmentation_ratio": reading.fragmentation_ratio,
        "limit": None
        if tightest is None
        else {
            "limit_bytes": tightest.limit.limit_bytes,
            "used_bytes": tightest.used_bytes,
            "used_ratio": tightest.used_ratio,
            "source": tightest.limit.source,
        },
    }


def _told_collector() -> dict[str, Any]:
    generations = gc.get_stats()
    return {
        "is_enabled": gc.isenabled(),
        "pending_counts": list(gc.get_count()),
        "thresholds": list(gc.get_threshold()),
        "collection_counts": [each["collections"] for each in generations],
        "collected_count": sum(each["collected"] for each in generations),
        "uncollectable_count": sum(each["uncollectable"] for each in generations),
        "frozen_count": gc.get_freeze_count(),
    }


def _told_pauses(pauses: PauseStatistics) -> dict[str, Any]:
    return {
        "collection_count": pauses.collection_count,
        "total_seconds": pauses.total_seconds,
        "longest_seconds": pauses.longest_seconds,
        "p99_seconds": pauses.quantile_seconds(0.99) if pauses.collection_count else 0.0,
        "collected_count": pauses.collected_count,
    }


def _told_agents() -> dict[str, int] | None:
    told: dict[str, int] = {}
    for counts in tuple(_agents):  # one may go meanwhile
        for name, count in counts().items():
            told[name] = told.get(name, 0) + count
    return told or None
