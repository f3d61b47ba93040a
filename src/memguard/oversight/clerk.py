"""A thread that writes down what is asked and decided, so that nobody waits for a disk for long.

Covers: one piece of work after another, waiting for it no longer than wanted.
Does not cover: what becomes of a request whose audit takes too long (``desk``).
"""

import asyncio
import atexit
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import TypeVar

_Result = TypeVar("_Result")

EXIT_SECONDS = 5.0
"""How long the end, of a manager or of the interpreter, waits for what is still to be written."""

_Work = Callable[[], object]


class Clerk:
    """Do one piece of work after another, on a thread of its own, if any of it may block.

    Args:
        is_needed: Whether it may; otherwise all is done at once, where it is asked for.

    Thread-safety:
        Any thread. The thread begins with the first piece of work, and ends with
        `close`. It is a daemon: at the end of the interpreter it is waited for, but no
        longer than `EXIT_SECONDS`.
    """

    def __init__(self, *, is_needed: bool) -> None:
        self._is_needed = is_needed
        self._thread: threading.Thread | None = None
        self._waiting: SimpleQueue[_Work | None] = SimpleQueue()
        self._lock = threading.RLock()
        self._is_closed = False

    def __del__(self) -> None:
        # Nobody is left who could ask for more.
        self._waiting.put(None)

    def call(self, work: Callable[[], _Result]) -> "Future[_Result]":
        """Do it after all that was asked for before; gives what will come of it."""
        future: Future[_Result] = Future()
        # Never cancelled: what is to be written down is, also when nobody waits for it.
        future.set_running_or_notify_cancel()

        def do() -> None:
            try:
                result = work()
            except BaseException as error:  # for who waits for it
                future.set_exception(error)
            else:
                future.set_result(result)

        # A listener on the thread itself, which asks again, would wait for its own end.
        if threading.current_thread() is self._thread:
            do()
        else:
            self.submit(do)
        return future

    async def run(self, work: Callable[[], _Result]) -> _Result:
        """Do it, and wait without stopping the loop; it is done also when cancelled."""
        return await asyncio.shield(asyncio.wrap_future(self.call(work)))

    def submit(self, work: _Work) -> None:
        """Do it after all that was asked for before, without waiting."""
        # Under the lock, so that nothing is put behind the end.
        with self._lock:
            is_put = self._is_open()
            if is_put:
                self._waiting.put(work)
        if not is_put:
            work()

    def end(self) -> None:
        """Do what was asked for, then end the thread; later work is done where it is asked for."""
        with self._lock:
            if not self._is_closed:
                self._is_closed = True
                if self._thread is not None:
                    self._waiting.put(None)

    def close(self, seconds: float = EXIT_SECONDS) -> None:
        """Do as `end`, and wait for it, so long at most."""
        self.end()
        thread = self._thread
        # A listener that runs on it may close, too.
        if thread is not None and thread is not threading.current_thread():
            thread.join(seconds)

    @property
    def is_working(self) -> bool:
        """Whether the thread lives, and is another one than this."""
        thread = self._thread
        if thread is None or thread is threading.current_thread():
            return False
        return thread.is_alive()

    def _is_open(self) -> bool:
        if not self._is_needed or self._is_closed:
            return False
        if self._thread is None:
            thread = threading.Thread(
                target=_work_off, args=(self._waiting,), name="memguard-audit", daemon=True
            )
            try:
                thread.start()
            except RuntimeError:  # the interpreter ends
                return False
            self._thread = thread
            _working.add(self)
            # Not at import, which changes nothing in the process; once is enough.
            atexit.unregister(_close_all)
            atexit.register(_close_all)
        return True


def _work_off(waiting: "SimpleQueue[_Work | None]") -> None:
    while (work := waiting.get()) is not None:
        try:
            work()
        except BaseException:  # of a listener, or of the audit: the next must be written, too
            _report()
        # What it refers to must not live until the next comes.
        del work


def _report() -> None:
    import logging

    logging.getLogger("memguard.oversight").exception("what was to be written down failed")


_working: "weakref.WeakSet[Clerk]" = weakref.WeakSet()


def _close_all() -> None:
    until = time.monotonic() + EXIT_SECONDS
    for clerk in list(_working):
        clerk.close(max(0.0, until - time.monotonic()))
