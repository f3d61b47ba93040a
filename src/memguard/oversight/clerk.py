"""A thread that writes down what tasks ask and decide, so that no event loop waits for a disk."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_Result = TypeVar("_Result")


class Clerk:
    """Do one piece of work after another, on a thread of its own, if any of it may block.

    Args:
        is_needed: Whether it may; otherwise all is done at once, where it is asked for.

    Thread-safety:
        Any thread. The thread begins with the first piece of work, and ends with `close`.
    """

    def __init__(self, *, is_needed: bool) -> None:
        self._is_needed = is_needed
        self._pool: ThreadPoolExecutor | None = None
        self._lock = threading.RLock()
        self._is_closed = False

    async def run(self, work: Callable[[], _Result]) -> _Result:
        """Do it, and wait without stopping the loop; it is done also when cancelled."""
        pool = self._opened()
        if pool is None:
            return work()
        return await asyncio.shield(asyncio.wrap_future(pool.submit(work)))

    def submit(self, work: Callable[[], object]) -> None:
        """Do it after all that was asked for before, without waiting."""
        pool = self._opened()
        if pool is None:
            work()
        else:
            pool.submit(work)

    def close(self) -> None:
        """Do what was asked for, and end the thread; later work is done where it is asked for."""
        with self._lock:
            self._is_closed = True
            pool, self._pool = self._pool, None
        if pool is not None:
            # A listener that runs on it may close, too.
            pool.shutdown(wait=threading.current_thread() not in pool._threads)

    def _opened(self) -> ThreadPoolExecutor | None:
        with self._lock:
            if not self._is_needed or self._is_closed:
                return None
            if self._pool is None:
                self._pool = ThreadPoolExecutor(1, thread_name_prefix="memguard-audit")
            return self._pool
