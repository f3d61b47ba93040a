"""Ends something once, for all who want it ended.

Covers: who does it, and how the others wait until it is done.
Does not cover: what is to be done.
"""

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar

_LOG = logging.getLogger("memguard.guard")
_LOOK_SECONDS = 0.01
_WAIT_SECONDS = 60.0

_own: ContextVar[tuple["Ending", ...]] = ContextVar("memguard_endings", default=())


class Ending:
    """Who asks first ends it; who asks meanwhile waits until it has ended.

    What the end itself calls waits for nothing, as the end waits for it: cleanups, and
    all that runs in `within`.

    Thread-safety: any thread, any task.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_done = threading.Event()
        self._process_id: int | None = None

    def begin(self) -> bool:
        """Say whether the caller is the one who has to do it, in `within`."""
        with self._lock:
            if self._process_id is not None:
                return False
            self._process_id = os.getpid()
            return True

    @contextmanager
    def within(self) -> Iterator[None]:
        """Mark what is called here as a part of the end."""
        token = _own.set((*_own.get(), self))
        try:
            yield
        finally:
            _own.reset(token)

    def done(self) -> None:
        """Let all go on that wait."""
        self._is_done.set()

    def wait(self) -> None:
        """Wait until it has ended, a minute at most."""
        if not self._is_waited_for():
            self._complain(self._is_done.wait(_WAIT_SECONDS))

    async def await_it(self) -> None:
        """Do as `wait`, and let the task wait."""
        if self._is_waited_for():
            return
        until = time.monotonic() + _WAIT_SECONDS
        while not self._is_done.is_set() and time.monotonic() < until:
            await asyncio.sleep(_LOOK_SECONDS)
        self._complain(self._is_done.is_set())

    def _is_waited_for(self) -> bool:
        # In a child process nobody goes on with what the parent began.
        return self in _own.get() or self._process_id != os.getpid()

    def _complain(self, is_done: bool) -> None:
        if not is_done:
            _LOG.warning("a guard has not ended after %g s; its cleanups go on", _WAIT_SECONDS)


async def call_aside(function: Callable[[], object]) -> None:
    """Call a function that waits on a thread of its own; it goes on if this is cancelled."""
    pool = ThreadPoolExecutor(1, "memguard-ending")
    called = asyncio.get_running_loop().run_in_executor(pool, function)
    try:
        await called
    finally:
        # The thread is gone after this, except if it still calls.
        pool.shutdown(wait=called.done() and not called.cancelled())
