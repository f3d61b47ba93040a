"""How a thread and a task sleep until their turn comes.

Covers: deadlines, cancellation at any moment, looking again for holders that
nobody will hear of.
Does not cover: whose turn it is (``line``).
"""

import math
import time
from _thread import allocate_lock
from collections.abc import Callable
from typing import TYPE_CHECKING

from memguard._admission import Run
from memguard.admission.line import Line, Outcome, Waiter

if TYPE_CHECKING:
    import asyncio


class Sleep:
    """One wait in the line, from joining it to what came of it.

    Attributes:
        line: Where to wait.
        seconds: How long [s]; None without end.
        look_again: Called every *look_again_seconds*.
        look_again_seconds: How often [s].
    """

    __slots__ = ("line", "look_again", "look_again_seconds", "seconds")

    def __init__(
        self,
        line: Line,
        seconds: float | None,
        look_again: Callable[[], object],
        look_again_seconds: float,
    ) -> None:
        self.line = line
        self.seconds = seconds
        self.look_again = look_again
        self.look_again_seconds = look_again_seconds

    def _left_seconds(self, deadline_seconds: float, now_seconds: float) -> float:
        return min(deadline_seconds - now_seconds, self.look_again_seconds)

    def _deadline(self, now_seconds: float) -> float:
        return math.inf if self.seconds is None else now_seconds + self.seconds

    def in_thread(self, parent: Run | None, agent: str, cost_bytes: int) -> Outcome | None:
        """Block this thread; None when time ran out."""
        asleep = allocate_lock()
        asleep.acquire()
        waiter = Waiter(parent, agent, cost_bytes, asleep.release)
        deadline = self._deadline(time.monotonic())
        try:
            self.line.join(waiter)
            while waiter.outcome is None:
                left = self._left_seconds(deadline, time.monotonic())
                if left <= 0:
                    self.line.withdraw(waiter)
                    break
                if not asleep.acquire(timeout=left):
                    self.look_again()
        except BaseException:  # KeyboardInterrupt: what came of it meanwhile goes back
            self.line.abandon(waiter)
            raise
        return waiter.outcome

    async def in_task(
        self, loop: "asyncio.AbstractEventLoop", parent: Run | None, agent: str, cost_bytes: int
    ) -> Outcome | None:
        """Let this task wait; None when time ran out."""
        bell = _Bell(loop)
        waiter = Waiter(parent, agent, cost_bytes, bell.ring_from_anywhere, loop)
        deadline = self._deadline(loop.time())
        try:
            self.line.join(waiter)
            while waiter.outcome is None:
                left = self._left_seconds(deadline, loop.time())
                if left <= 0:
                    self.line.withdraw(waiter)
                    break
                if not await bell.rings_within(left):
                    self.look_again()
        except BaseException:  # cancelled, or its coroutine was dropped
            self.line.abandon(waiter)
            raise
        return waiter.outcome


class _Bell:
    """Wakes one task, from any thread."""

    __slots__ = ("_future", "_loop")

    def __init__(self, loop: "asyncio.AbstractEventLoop") -> None:
        self._loop = loop
        self._future = loop.create_future()

    def ring_from_anywhere(self) -> None:
        self._loop.call_soon_threadsafe(self._ring)

    def _ring(self) -> None:
        if not self._future.done():
            self._future.set_result(True)

    def _is_late(self) -> None:
        if not self._future.done():
            self._future.set_result(False)

    async def rings_within(self, seconds: float) -> bool:
        timer = self._loop.call_later(seconds, self._is_late)
        try:
            has_rung: bool = await self._future
        finally:
            timer.cancel()
        if not has_rung:
            self._future = self._loop.create_future()
        return has_rung
