"""Work for the moments in which an event loop has nothing else to do."""

import asyncio
import time
from collections.abc import Callable

_IDLE_SECONDS = 0.001
"""A loop that comes round within this time had next to nothing to do [s]."""

_ROUNDS = 3
"""So often in a row it has to come round so fast."""


class IdleLoop:
    """An event loop that does something when it is idle.

    Any loop will do, for nothing of its inside is looked at: it is idle when it comes
    round several times within a moment.

    Args:
        loop: The loop.

    Thread-safety:
        `when_idle` may be called from any thread.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._is_asking = False

    def when_idle(self, work: Callable[[], object]) -> None:
        """Do *work* on the loop if it is idle now; else nothing happens.

        While the loop is being asked, it is not asked again; nor if it is closed.
        """
        if self._is_asking or self._loop.is_closed():
            return
        self._is_asking = True
        try:
            self._loop.call_soon_threadsafe(self._come_round, work, time.monotonic(), _ROUNDS)
        except RuntimeError:  # closed in between
            self._is_asking = False

    def _come_round(self, work: Callable[[], object], since_seconds: float, rounds: int) -> None:
        now = time.monotonic()
        # The first round is late by what the loop did when it was asked.
        if rounds < _ROUNDS and now - since_seconds > _IDLE_SECONDS:
            self._is_asking = False
        elif rounds > 0:
            self._loop.call_soon(self._come_round, work, now, rounds - 1)
        else:
            try:
                work()
            finally:
                self._is_asking = False
