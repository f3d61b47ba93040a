"""May one more agent be started?

Covers: a yes or no from what is in use, promised and asked for; promises; and a
throttle, since a burst is over before its memory can be seen.
Does not cover: waiting, queues, depth (``admission``).

See also: ``spawning`` for the rule.
"""

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

from memguard.errors import LimitOutOfRangeError
from memguard.events import EventBus
from memguard.pressure.memory import MemoryReader
from memguard.pressure.spawning import (
    Asked,
    Decision,
    MonitorState,
    count_room,
    decide,
    with_starts,
)
from memguard.settings import PressureSettings


@dataclass(frozen=True, slots=True)
class MonitorStatistics:
    """What the monitor did.

    Attributes:
        granted_count: Spawns that were granted.
        refused_count: Spawns that were refused.
        promised_bytes: What is promised and not in use yet [bytes].
        reservation_count: Reservations that are open.
    """

    granted_count: int
    refused_count: int
    promised_bytes: int
    reservation_count: int


_GRANTED = Decision(True)

_FAR_COUNT = 100
"""Memory for so many more, each taken for what starts took lately, is far from a limit."""

_FAR_FACTOR = 10
"""So much longer a reading is good then: a look takes as long as a hundred starts."""


class Reservation:
    """Memory promised to one agent, until it is used or given back.

    What the process grows by is taken from the oldest promise first: so an agent
    that has its memory counts once, as memory in use.

    Thread-safety:
        Any thread.
    """

    __slots__ = ("_monitor", "needed_bytes", "open_bytes")

    def __init__(self, monitor: "ResourceMonitor", needed_bytes: int) -> None:
        self._monitor = monitor
        self.needed_bytes = needed_bytes
        self.open_bytes = needed_bytes

    def release(self) -> None:
        """Give back what was not used; to do it again does nothing."""
        self._monitor._release(self)

    def __enter__(self) -> "Reservation":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()


class ResourceMonitor:
    """Say whether there is memory for one more agent.

    Args:
        settings: Limits and rates.
        bus: Who is told when spawns begin or cease to be refused.
        reader: Where memory is read.
        clock: Seconds that only grow.

    Thread-safety:
        Any thread; a question and the promise that follows are one step.
    """

    def __init__(
        self,
        settings: PressureSettings | None = None,
        *,
        bus: EventBus | None = None,
        reader: MemoryReader | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings or PressureSettings()
        self._bus = bus or EventBus()
        self._clock = clock
        self._reader = reader or MemoryReader(self.settings, clock=clock)
        self._lock = threading.Lock()
        self._state = MonitorState()
        self._promises: list[Reservation] = []
        self._highest_bytes = 0
        # Until then so many more may start without another look.
        self._easy_until_seconds = -math.inf
        self._easy_left_count = 0
        self._easy_count = 0
        self._granted_count = 0
        self._refused_count = 0

    def can_spawn(self, *, needed_bytes: int = 0) -> bool:
        """Say whether one more agent may be started now; a yes counts as one start.

        Args:
            needed_bytes: What it will take [bytes]; 0 if nobody knows. Nothing is
                promised: `reserve` does that.

        Raises:
            LimitOutOfRangeError: *needed_bytes* is no whole number of at least 0.
        """
        return self.ask(needed_bytes=needed_bytes).granted

    def ask(self, *, needed_bytes: int = 0) -> Decision:
        """Do as `can_spawn`, and say why not, and when to ask again."""
        if needed_bytes == 0:
            with self._lock:
                if self._easy_left_count and self._clock() < self._easy_until_seconds:
                    self._easy_left_count -= 1
                    self._easy_count += 1
                    self._granted_count += 1
                    return _GRANTED
        return self._ask(needed_bytes, promise=False)[0]

    def reserve(self, needed_bytes: int) -> Reservation | None:
        """Promise memory to one more agent.

        Returns:
            The promise, to be used in a ``with`` block or released; None if there
            is no memory for it. `ask` says why.

        Raises:
            LimitOutOfRangeError: *needed_bytes* is no whole number of at least 0.
        """
        return self._ask(needed_bytes, promise=True)[1]

    def _ask(self, needed_bytes: int, *, promise: bool) -> tuple[Decision, Reservation | None]:
        if type(needed_bytes) is not int or needed_bytes < 0:
            raise LimitOutOfRangeError(
                "needed_bytes", needed_bytes, "a whole number of bytes of at least 0"
            )
        made = None
        with self._lock:
            reading = self._reader.read()
            self._settle(reading.rss_bytes)
            asked = Asked(reading, needed_bytes, self._promised_bytes(), self._clock(), promise)
            state = with_starts(self._state, self._easy_count, asked.now_seconds, self.settings)
            decision, self._state, events = decide(asked, self.settings, state)
            self._easy_count = 0
            self._easy_left_count = count_room(asked, self.settings, self._state)
            good_seconds = self.settings.usage_seconds
            if self._easy_left_count >= _FAR_COUNT:
                good_seconds *= _FAR_FACTOR
            self._easy_until_seconds = asked.now_seconds + good_seconds
            if decision.granted:
                self._granted_count += 1
                if promise:
                    made = Reservation(self, needed_bytes)
                    self._promises.append(made)
                    self._easy_left_count = 0
            else:
                self._refused_count += 1
        # Listeners may ask the monitor.
        for event in events:
            self._bus.emit(event)
        return decision, made

    def _settle(self, used_bytes: int) -> None:
        """Take what the process grew by from the oldest promises."""
        grown = used_bytes - self._highest_bytes
        if not self._promises:
            self._highest_bytes = used_bytes
            return
        if grown <= 0:
            return
        self._highest_bytes = used_bytes
        for promise in self._promises:
            part = min(grown, promise.open_bytes)
            promise.open_bytes -= part
            grown -= part

    def _promised_bytes(self) -> int:
        return sum(promise.open_bytes for promise in self._promises)

    def _release(self, promise: Reservation) -> None:
        with self._lock:
            if promise in self._promises:
                self._promises.remove(promise)
                promise.open_bytes = 0

    def statistics(self) -> MonitorStatistics:
        """Say what was granted, refused and promised so far."""
        with self._lock:
            return MonitorStatistics(
                self._granted_count,
                self._refused_count,
                self._promised_bytes(),
                len(self._promises),
            )
