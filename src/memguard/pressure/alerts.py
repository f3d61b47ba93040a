"""Alerts for people, by the original report's table.

Covers: memory, circular references, depth of delegation and effectiveness of the
collector; who is told.
Does not cover: when a level changes (``levels``), doing something about it
(``relief``), sending alerts elsewhere (``memguard.exporters.webhook``).

See also: ``docs/memory-limits.md``.
"""

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from memguard._admission import Quiet
from memguard.errors import LimitOutOfRangeError
from memguard.events import Event, EventBus
from memguard.pressure.events import AlertCleared, AlertRaised
from memguard.pressure.levels import LEVELS, Ladder, LevelState, Step, decide
from memguard.settings import AlertSettings

Alert = AlertRaised | AlertCleared
QUANTITIES = ("memory", "circular_references", "delegation_depth", "gc_effectiveness")

_LOG_LEVELS = {
    "normal": logging.INFO,
    "warning": logging.WARNING,
    "critical": logging.ERROR,
    "emergency": logging.CRITICAL,
}


@dataclass(frozen=True, slots=True)
class AlertStatistics:
    """What was told.

    Attributes:
        reading_count: Readings of all quantities.
        raised_count: Levels that were entered, and told.
        cleared_count: Levels that were left, and told.
        held_back_count: Levels that are not told yet, or came and went untold since the
            last event of their quantity.
    """

    reading_count: int
    raised_count: int
    cleared_count: int
    held_back_count: int


class MemoryPressureAlertSystem:
    """Tell people when memory is short, and when it no longer is.

    Each check answers at once, from the one reading alone, as in the original report.
    What is told is another matter: `AlertRaised` and `AlertCleared`, once a change,
    after noise was taken out.

    Args:
        settings: When people are told.
        bus: Where events go.
        clock: Seconds that only grow.

    Attributes:
        alert_thresholds: Where levels of memory begin [percent], by level; may be
            changed while it runs.
        bus: Where events go.
        quiet_depths: Counts depths of which nobody needs to hear, for whoever has many.

    Thread-safety:
        Any thread; events are told in their order, one at a time.
    """

    def __init__(
        self,
        settings: AlertSettings | None = None,
        *,
        bus: EventBus | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings or AlertSettings()
        self.bus = bus or EventBus()
        self.alert_thresholds = {
            "warning": _percent(self.settings.warning_ratio),
            "critical": _percent(self.settings.critical_ratio),
            "emergency": _percent(self.settings.emergency_ratio),
        }
        self._clock = clock
        self._lock = threading.Lock()
        self._states = {quantity: LevelState() for quantity in QUANTITIES}
        # Depths are told at each delegation, and hardly ever there is anything to decide.
        self.quiet_depths = Quiet()
        self.quiet_depths.most = self.settings.delegation_depth
        self._outbox: deque[Event] = deque()
        self._is_telling = False
        self._counts = {"reading": 0, "raised": 0, "cleared": 0}

    def check_memory_pressure(self, current_usage_mb: float, total_mb: float) -> str:
        """Say at which level memory is.

        Args:
            current_usage_mb: What is in use [MB].
            total_mb: The limit [MB]; ``read_memory().tightest`` knows the true one.

        Returns:
            "normal", "warning", "critical" or "emergency".

        Raises:
            LimitOutOfRangeError: The limit is not above 0, or the usage below it.
        """
        if not 0 < total_mb < math.inf:
            raise LimitOutOfRangeError("total_mb", total_mb, "a number of megabytes above 0")
        if not 0 <= current_usage_mb < math.inf:
            raise LimitOutOfRangeError(
                "current_usage_mb", current_usage_mb, "a number of megabytes of at least 0"
            )
        percent = (current_usage_mb / total_mb) * 100
        level = self._take(self._memory_ladder(), percent)
        hook = {
            "warning": self._warning_alert,
            "critical": self._critical_alert,
            "emergency": self._emergency_alert,
        }.get(level)
        if hook is not None:
            hook(current_usage_mb, percent)
        return level

    def check_circular_references(self, count: int) -> str:
        """Say at which level a number of circular references is, such as a scan's."""
        bound = self.settings.circular_reference_count
        return self._take(Ladder("circular_references", (Step("warning", bound, bound),)), count)

    def check_delegation_depth(self, depth: int) -> str:
        """Say at which level the depth of a delegation is."""
        bound = self.settings.delegation_depth
        steps = (Step("critical", bound, bound),)
        return self._take(Ladder("delegation_depth", steps, strict=True), depth)

    def check_gc_effectiveness(self, effectiveness_ratio: float) -> str:
        """Say at which level ``calculate_gc_effectiveness()`` is."""
        bound = self.settings.gc_effectiveness_ratio
        left = bound + self.settings.leave_effectiveness_ratio
        ladder = Ladder(
            "gc_effectiveness", (Step("emergency", bound, left),), falling=True, strict=True
        )
        return self._take(ladder, effectiveness_ratio)

    def level(self, quantity: str | None = None) -> str:
        """Give the level that was confirmed, of one quantity or the highest of all."""
        with self._lock:
            if quantity is not None:
                return self._states[quantity].level
            return max((state.level for state in self._states.values()), key=LEVELS.index)

    def on_alert(self, listener: Callable[[Alert], object]) -> Callable[[], None]:
        """Call *listener* with each level that is entered or left.

        Returns:
            A function that ends it.
        """
        ends = [
            self.bus.subscribe(AlertRaised, listener),
            self.bus.subscribe(AlertCleared, listener),
        ]

        def end() -> None:
            for each in ends:
                each()

        return end

    def log_alerts(self, logger: logging.Logger | None = None) -> Callable[[], None]:
        """Write each level that is entered or left to a log, "memguard.pressure" for None.

        Returns:
            A function that ends it.
        """
        log = logger or logging.getLogger("memguard.pressure")
        return self.on_alert(lambda event: log.log(_LOG_LEVELS[event.level], describe(event)))

    def statistics(self) -> AlertStatistics:
        """Say how much was told so far."""
        with self._lock:
            held_back = sum(
                state.held_back_count + (state.level != state.told)
                for state in self._states.values()
            )
            return AlertStatistics(
                self._counts["reading"] + self.quiet_depths.count,
                self._counts["raised"],
                self._counts["cleared"],
                held_back,
            )

    def _warning_alert(self, current_usage_mb: float, percent: float) -> None:
        """Do nothing; the report's classes call it at each reading of that level."""

    def _critical_alert(self, current_usage_mb: float, percent: float) -> None:
        """Do nothing; the report's classes call it at each reading of that level."""

    def _emergency_alert(self, current_usage_mb: float, percent: float) -> None:
        """Do nothing; the report's classes call it at each reading of that level."""

    def _memory_ladder(self) -> Ladder:
        margin = self.settings.leave_ratio * 100
        steps = tuple(
            Step(level, self.alert_thresholds[level], self.alert_thresholds[level] - margin)
            for level in LEVELS[1:]
        )
        return Ladder("memory", steps, noisy=True)

    def _take(self, ladder: Ladder, value: float) -> str:
        with self._lock:
            now = self._clock()
            state, events = decide(ladder, value, now, self.settings, self._states[ladder.quantity])
            self._states[ladder.quantity] = state
            if ladder.quantity == "delegation_depth":
                is_normal = state.level == state.told == "normal"
                self.quiet_depths.most = self.settings.delegation_depth if is_normal else -1
            self._counts["reading"] += 1
            for event in events:
                self._counts["raised" if isinstance(event, AlertRaised) else "cleared"] += 1
            self._outbox.extend(events)
        self._tell()
        return ladder.level_at(value)

    def _tell(self) -> None:
        """Emit what is in the outbox, in its order; one thread at a time does."""
        while True:
            with self._lock:
                if self._is_telling or not self._outbox:
                    return
                self._is_telling = True
                event = self._outbox.popleft()
            try:
                self.bus.emit(event)
            finally:
                with self._lock:
                    self._is_telling = False


def describe(event: Alert) -> str:
    """Say an alert in a sentence."""
    value = f"{event.value:.1f}%" if event.quantity == "memory" else f"{event.value:g}"
    name = event.quantity.replace("_", " ")
    held = f"; {event.held_back_count} came and went untold" if event.held_back_count else ""
    if isinstance(event, AlertRaised):
        beyond = f"{event.threshold:g}{'%' if event.quantity == 'memory' else ''}"
        return f"{event.level}: {name} at {value}, the threshold is {beyond}{held}"
    return f"{event.level} again: {name} at {value}, after {event.previous}{held}"


def _percent(ratio: float) -> float:
    percent = round(ratio * 100, 9)
    return int(percent) if percent == int(percent) else percent
