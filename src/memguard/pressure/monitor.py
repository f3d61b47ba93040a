"""May one more agent be started?

Covers: a yes or no from what is in use, promised and asked for; promises; and a
throttle, since a burst is over before its memory can be seen.
Does not cover: waiting, queues, depth (``admission``).

See also: ``spawning`` for the rule.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

from memguard._admission import Spare
from memguard.errors import LimitOutOfRangeError
from memguard.events import EventBus
from memguard.pressure.memory import MemoryReader
from memguard.pressure.reading import MemoryUse
from memguard.pressure.spawning import (
    GRANTED,
    Asked,
    Decision,
    MonitorState,
    assumed_bytes,
    decide,
    learn,
    spare_bytes,
)
from memguard.settings import PressureSettings

_FASTEST_BYTES_PER_SECOND = 10e9
"""Memory does not get into use faster: a processor that does nothing but touch new pages
reaches 2e9 to 4e9 [bytes/s]."""


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

    Attributes:
        spare: Call it to do as `can_spawn` where all limits are far; False means to
            ask, and counts for nothing.

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
        self.spare = Spare(clock)
        self._unsized_count = 0
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
        return self._ask(needed_bytes, promise=False)[0]

    def overrule(self, *, needed_bytes: int = 0) -> None:
        """Count a start that was refused and happens all the same, as a person said so.

        Args:
            needed_bytes: As for `can_spawn`.
        """
        with self._lock:
            self._granted_count += 1
            self._unsized_count += needed_bytes == 0
            size_bytes = needed_bytes or assumed_bytes(self.settings, self._state)
            # Nothing is granted unseen meanwhile: what is spare was before this start.
            self.spare.close()
            self.spare.note(self._clock(), size_bytes)

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
        if not (needed_bytes or promise) and self.spare():
            return GRANTED, None
        made = None
        with self._lock:
            # Nobody takes from it what is decided about here.
            self.spare.close()
            now = self._clock()
            self.spare.forget(now - self.settings.ramp_seconds)
            last_seconds = self.spare.last_seconds()
            use = self._reader.read_use()
            self._settle(use.rss_bytes)
            start_count = self.spare.granted_count + self._unsized_count
            self._state = learn(now, use.rss_bytes, start_count, self.settings, self._state)
            asked = Asked(
                use,
                needed_bytes,
                self._promised_bytes(),
                self.spare.unseen_bytes,
                None if last_seconds is None else now - last_seconds,
                self.spare.unseen_count,
            )
            decision, self._state, events = decide(asked, self.settings, self._state)
            if decision.granted:
                self._granted_count += 1
                if promise:
                    made = Reservation(self, needed_bytes)
                    self._promises.append(made)
                else:
                    self._unsized_count += needed_bytes == 0
                    size_bytes = needed_bytes or assumed_bytes(self.settings, self._state)
                    self.spare.note(now, size_bytes)
            else:
                self._refused_count += 1
            self._open_spare(use, now)
        # Listeners may ask the monitor.
        for event in events:
            self._bus.emit(event)
        return decision, made

    def _open_spare(self, use: MemoryUse, now_seconds: float) -> None:
        """Let starts be granted by this reading, if all limits are far.

        Then they need neither a new reading nor a decision each. Half of what is left
        is for them; the reading is too old before the other half can be in use, or as
        soon as the limits are.
        """
        settings = self.settings
        half = spare_bytes(use, settings) / 2
        if self._state.refusing or self._promises or half <= 0:
            return
        seconds = min(half / _FASTEST_BYTES_PER_SECOND, settings.limit_seconds)
        each_bytes = assumed_bytes(settings, self._state)
        self.spare.open(half, now_seconds + seconds, each_bytes, settings.ramp_seconds)

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
                self._granted_count + self.spare.granted_count,
                self._refused_count,
                self._promised_bytes(),
                len(self._promises),
            )
