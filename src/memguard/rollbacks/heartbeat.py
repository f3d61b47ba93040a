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

    def read_lag(self) -> float:
        """Give how late the loop was at worst since the last call, or is now [s]."""
        loop = self._loop()
        is_running = loop is not None and loop.is_running()
        with self._lock:
            now = self._clock()
            worst = max(self._worst_seconds, now - self._expected_seconds, 0.0)
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

    Thread-safety:
        Any thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._each: list[Heartbeat] = []

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Watch a loop, if that is not done yet."""
        with self._lock:
            if not any(known._loop() is loop for known in self._each):
                self._each.append(Heartbeat(loop))

    def read_lag(self) -> float | None:
        """Give the worst lag of all loops since the last call [s]; None of no loop."""
        with self._lock:
            self._each = [known for known in self._each if not known.has_ended]
            return max((known.read_lag() for known in self._each), default=None)

    def stop(self) -> None:
        """Watch none any more."""
        with self._lock:
            each, self._each = self._each, []
        for known in each:
            known.stop()
