"""Whether an event loop still comes round, seen from another thread.

Covers: how late it is, also while it stands still.
Does not cover: what that means (``triggers``).
"""

import asyncio
import threading
import time
import weakref
from collections.abc import Callable

BEAT_SECONDS = 0.25
"""How often a loop is to come round."""


class Heartbeat:
    """Beats in one event loop.

    It neither keeps the loop open nor alive, and ends with it.

    Args:
        loop: That loop.
        clock: Seconds that only grow.

    Thread-safety:
        Any thread.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._loop = weakref.ref(loop)
        self._clock = clock
        self._lock = threading.Lock()
        self._expected_seconds = clock()
        self._worst_seconds = 0.0
        self._has_ended = False
        loop.call_soon_threadsafe(_beat, weakref.ref(self))

    @property
    def has_ended(self) -> bool:
        """Whether it was stopped, or its loop was closed, or is gone."""
        loop = self._loop()
        return self._has_ended or loop is None or loop.is_closed()

    def read_lag(self, paused_seconds: float = 0.0) -> float:
        """Give how late the loop was at worst since the last call, or is now [s].

        Args:
            paused_seconds: How long the whole process stood still meanwhile [s].
        """
        loop = self._loop()
        is_running = loop is not None and loop.is_running()
        with self._lock:
            now = self._clock()
            if self._expected_seconds < now:
                # It may not have come round since the pause, and will when it does.
                self._expected_seconds = min(now, self._expected_seconds + paused_seconds)
            worst = max(self._worst_seconds - paused_seconds, now - self._expected_seconds, 0.0)
            self._worst_seconds = 0.0
            if not is_running:
                # A loop that nobody runs at the moment is not late, nor was it meanwhile.
                self._expected_seconds = now + BEAT_SECONDS
                return 0.0
        return worst

    def stop(self) -> None:
        """Beat no more; the beat that is due does nothing."""
        self._has_ended = True

    def _note(self) -> float:
        with self._lock:
            now = self._clock()
            self._worst_seconds = max(self._worst_seconds, now - self._expected_seconds)
            self._expected_seconds = now + BEAT_SECONDS
        return BEAT_SECONDS


def _beat(heartbeat: "weakref.ref[Heartbeat]") -> None:
    beating = heartbeat()
    if beating is None or beating.has_ended:
        return
    loop = beating._loop()
    if loop is not None:
        loop.call_later(beating._note(), _beat, heartbeat)


class Heartbeats:
    """The heartbeats of all loops that were seen.

    Args:
        every_seconds: How often they are read [s]; what comes much later, without the
            process having used its processors meanwhile, is a pause of the process, as
            of a stopped one or of a machine that was suspended, and not of a loop.
        clock: Seconds that only grow.
        cpu_clock: Seconds of processor time.

    Thread-safety:
        Any thread.
    """

    def __init__(
        self,
        every_seconds: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        cpu_clock: Callable[[], float] = time.process_time,
    ) -> None:
        self._every_seconds = every_seconds
        self._clock = clock
        self._cpu_clock = cpu_clock
        self._lock = threading.Lock()
        self._each: list[Heartbeat] = []
        self._read_seconds = clock(), cpu_clock()

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Watch a loop, if that is not done yet."""
        with self._lock:
            if not any(known._loop() is loop for known in self._each):
                self._each.append(Heartbeat(loop, clock=self._clock))

    def read_lag(self) -> float | None:
        """Give the worst lag of all loops since the last call [s]; None of no loop."""
        with self._lock:
            self._each = [known for known in self._each if not known.has_ended]
            paused_seconds = self._paused_seconds()
            return max((known.read_lag(paused_seconds) for known in self._each), default=None)

    def _paused_seconds(self) -> float:
        """Say how long the process stood still since the last reading [s]."""
        (before, cpu_before), now, cpu_now = self._read_seconds, self._clock(), self._cpu_clock()
        self._read_seconds = now, cpu_now
        late_seconds = now - before - self._every_seconds
        # What keeps the interpreter to itself stops this thread, too, but computes.
        is_paused = late_seconds > self._every_seconds and cpu_now - cpu_before < late_seconds / 2
        return late_seconds if is_paused else 0.0

    def stop(self) -> None:
        """Watch none any more."""
        with self._lock:
            each, self._each = self._each, []
        for known in each:
            known.stop()
