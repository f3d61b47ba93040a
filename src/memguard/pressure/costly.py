"""A source that is read again after some time, and the later the more it costs."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

Value = TypeVar("Value")
Clock = Callable[[], float]
"""Gives seconds that only grow."""

_NEVER = float("-inf")

cost_clock: Clock = time.perf_counter if sys.platform == "win32" else time.thread_time
"""What work costs [s]: the time of this thread, for while it waits for its turn it costs
nothing. Windows counts that in steps of 16 ms, which are too long."""


@dataclass  # slots would leave a class behind that only the collector frees
class Costly(Generic[Value]):
    """What was read last, and when to read it again.

    Attributes:
        read: Reads it.
        seconds: It is good for so long [s] ...
        most_ratio: ... and for longer, if reading would else take more than this
            share of the time.
    """

    read: Callable[[], Value]
    seconds: float
    most_ratio: float = 1.0
    _value: Value | None = None
    _due_seconds: float = _NEVER

    def get(self, clock: Clock) -> Value:
        """Give it, read anew if it is time."""
        now = clock()
        if now >= self._due_seconds:
            begun = cost_clock()
            self._value = self.read()
            cost_seconds = cost_clock() - begun
            self._due_seconds = now + max(self.seconds, cost_seconds / self.most_ratio)
        return self._value  # type: ignore[return-value]  # read at least once by now

    def expire(self) -> None:
        """Read it anew the next time."""
        self._due_seconds = _NEVER
