"""One place that counts: everything that memguard knows, at one moment and over time.

Covers: snapshots of all parts, those of the last hour, the last events, numbers by name
for exporters.
Does not cover: counting within a part, which each does itself; showing it
(``dashboard``).
"""

import dataclasses
import gc
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from memguard.admission.events import CircuitChanged, DelegationTurnedAway
from memguard.admission.statistics import AdmissionStatistics
from memguard.agents.tally import LifecycleStatistics
from memguard.events import Event, EventBus
from memguard.heap.scan import detect_circular_references
from memguard.oversight.approvals import OversightStatistics
from memguard.oversight.events import ApprovalDecided, ApprovalRequested
from memguard.pressure.alerts import AlertStatistics
from memguard.pressure.collector import calculate_gc_effectiveness
from memguard.pressure.events import AlertCleared, AlertRaised, SpawnsAllowed, SpawnsRefused
from memguard.pressure.memory import MemoryReader
from memguard.pressure.monitor import MonitorStatistics
from memguard.pressure.pauses import PauseStatistics
from memguard.pressure.reading import MemoryReading
from memguard.pressure.relief import LadderClimbed
from memguard.settings import MetricsSettings

WATCHED: tuple[type[Event], ...] = (
    AlertCleared,
    AlertRaised,
    ApprovalDecided,
    ApprovalRequested,
    CircuitChanged,
    DelegationTurnedAway,
    LadderClimbed,
    SpawnsAllowed,
    SpawnsRefused,
)
"""Events that are counted; not those of each agent, so that none has to be made for this."""


@dataclass(frozen=True, slots=True)
class CycleReading:
    """What looking for cycles found.

    Attributes:
        at: When [Unix time, s].
        circular_reference_count: Cycles of the program's own, garbage and live ones.
        gc_effectiveness_ratio: Share of the garbage that a full collection freed.
    """

    at: float
    circular_reference_count: int
    gc_effectiveness_ratio: float


@dataclass(frozen=True, slots=True)
class CollectorReading:
    """What the collector did.

    Attributes:
        collection_counts: Collections since the process began, by generation.
        collected_count: Objects that they freed.
        uncollectable_count: Objects that they could not free.
        tracked_count: Objects that were made since the youngest generation was
            collected last, net.
        frozen_count: Objects that it does not look at.
        pauses: Pauses since it was set up; None where memguard did not.
    """

    collection_counts: tuple[int, ...]
    collected_count: int
    uncollectable_count: int
    tracked_count: int
    frozen_count: int
    pauses: PauseStatistics | None = None


@dataclass(frozen=True, slots=True)
class MetricsSnapshot:
    """Everything at one moment; None is a part that is not there.

    Attributes:
        at: When [Unix time, s].
        memory: The process, its allocators and its limits.
        collector: Python's collector.
        admission: Delegations.
        lifecycle: Agents.
        spawning: What the resource monitor granted and refused.
        alerts: What people were told.
        oversight: What people were asked.
        cycles: The last count of circular references.
        event_counts: Events so far, by the name of their class.
    """

    at: float
    memory: MemoryReading
    collector: CollectorReading
    admission: AdmissionStatistics | None = None
    lifecycle: LifecycleStatistics | None = None
    spawning: MonitorStatistics | None = None
    alerts: AlertStatistics | None = None
    oversight: OversightStatistics | None = None
    cycles: CycleReading | None = None
    event_counts: Mapping[str, int] = dataclasses.field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Give all of it as JSON has it."""
        said: dict[str, Any] = plain(self)
        return said

    def numbers(self) -> dict[str, float]:
        """Give every number by its place, such as "admission.live_count".

        Also ratios that follow from others: ``memory.used_ratio``,
        ``memory.fragmentation_ratio``, ``oversight.coverage_ratio`` and
        ``oversight.blocked_ratio``. What is unknown is left out.
        """
        found = dict(_numbers("", self.to_dict()))
        derived = {
            "memory.used_ratio": self.memory.used_ratio,
            "memory.fragmentation_ratio": self.memory.fragmentation_ratio,
        }
        if self.oversight is not None:
            derived["oversight.coverage_ratio"] = self.oversight.coverage_ratio
            derived["oversight.blocked_ratio"] = self.oversight.blocked_ratio
        found |= {name: value for name, value in derived.items() if value is not None}
        return found


@dataclass(frozen=True, slots=True)
class Parts:
    """Where the numbers of each part come from; None for a part that is not there.

    Attributes:
        admission: Gives statistics of delegations.
        lifecycle: ... of agents.
        spawning: ... of the resource monitor.
        alerts: ... of alerts.
        oversight: ... of approvals.
    """

    admission: Callable[[], AdmissionStatistics] | None = None
    lifecycle: Callable[[], LifecycleStatistics] | None = None
    spawning: Callable[[], MonitorStatistics] | None = None
    alerts: Callable[[], AlertStatistics] | None = None
    oversight: Callable[[], OversightStatistics] | None = None


class Metrics:
    """Take snapshots of all parts, and keep the last ones.

    Args:
        parts: Where numbers come from.
        events: The bus whose events are counted; None counts none.
        reader: Where memory is read.
        settings: How much is kept.
        wall_clock: Unix time [s].

    Attributes:
        settings: How much is kept.
        pauses: Gives pauses of the collector, once it was set up; None until then.

    Cost:
        A snapshot is tens of microseconds, `count_cycles` two scans and more.

    Thread-safety:
        Any thread.
    """

    def __init__(
        self,
        parts: Parts | None = None,
        *,
        events: EventBus | None = None,
        reader: MemoryReader | None = None,
        settings: MetricsSettings | None = None,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings or MetricsSettings()
        self._parts = parts or Parts()
        self._events = events
        self._reader = reader or MemoryReader()
        self._wall_clock = wall_clock
        self._lock = threading.RLock()
        self._history: deque[MetricsSnapshot] = deque(maxlen=self.settings.history_count)
        self._recent: deque[tuple[float, Event]] = deque(maxlen=self.settings.event_count)
        self._event_counts: Counter[str] = Counter()
        self._cycles: CycleReading | None = None
        self._ends: list[Callable[[], None]] = []
        self.pauses: Callable[[], PauseStatistics] | None = None

    # Events.

    def start(self) -> None:
        """Begin to count events; again does nothing."""
        if self._events is not None and not self._ends:
            self._ends = [self._events.subscribe(kind, self._note) for kind in WATCHED]

    def stop(self) -> None:
        """Count no more; what was counted stays."""
        ends, self._ends = self._ends, []
        for end in ends:
            end()

    def _note(self, event: Event) -> None:
        with self._lock:
            self._event_counts[type(event).__name__] += 1
            self._recent.append((self._wall_clock(), event))

    def recent_events(self) -> tuple[tuple[float, Event], ...]:
        """Give the last events with their times [Unix time, s], the oldest first."""
        with self._lock:
            return tuple(self._recent)

    # Snapshots.

    def snapshot(self) -> MetricsSnapshot:
        """Give everything as it is now; nothing is kept."""
        parts = self._parts
        with self._lock:
            counts, cycles = dict(self._event_counts), self._cycles
        return MetricsSnapshot(
            self._wall_clock(),
            self._reader.read(),
            _read_collector(self.pauses),
            parts.admission and parts.admission(),
            parts.lifecycle and parts.lifecycle(),
            parts.spawning and parts.spawning(),
            parts.alerts and parts.alerts(),
            parts.oversight and parts.oversight(),
            cycles,
            counts,
        )

    def sample(self) -> MetricsSnapshot:
        """Take a snapshot and keep it."""
        snapshot = self.snapshot()
        with self._lock:
            self._history.append(snapshot)
        return snapshot

    def history(self) -> tuple[MetricsSnapshot, ...]:
        """Give the snapshots that were kept, the oldest first."""
        with self._lock:
            return tuple(self._history)

    # What is costly.

    def count_cycles(self, *, fresh: bool = False) -> CycleReading:
        """Count circular references, and measure the collector's effectiveness.

        Args:
            fresh: Also where the last count is younger than ``scan_seconds``.

        Raises:
            UnsupportedPythonError: This build of Python cannot be scanned.

        Cost:
            Three scans of the heap and a full collection.
        """
        now = self._wall_clock()
        with self._lock:
            last = self._cycles
        if last is not None and not fresh and 0 <= now - last.at < self.settings.scan_seconds:
            return last
        # Counted first: the other one collects.
        count = detect_circular_references()
        reading = CycleReading(now, count, calculate_gc_effectiveness())
        with self._lock:
            self._cycles = reading
        return reading


def _read_collector(pauses: Callable[[], PauseStatistics] | None) -> CollectorReading:
    generations = gc.get_stats()
    return CollectorReading(
        tuple(generation["collections"] for generation in generations),
        sum(generation["collected"] for generation in generations),
        sum(generation["uncollectable"] for generation in generations),
        gc.get_count()[0],
        gc.get_freeze_count(),
        pauses and pauses(),
    )


def plain(value: Any) -> Any:
    """Give a value as JSON has it: dataclasses as dicts, words of enums, paths as text."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)
        }
    if isinstance(value, Mapping):
        return {str(plain(key)): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)  # a path of a control group


def _numbers(place: str, value: object) -> Iterator[tuple[str, float]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _numbers(f"{place}.{key}" if place else str(key), item)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _numbers(f"{place}.{number}", item)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield place, value
