"""A thread that looks at memory, for as long as a guard is open."""

import logging
import threading
from collections.abc import Callable

_LOG = logging.getLogger("memguard.guard")


class Sampler:
    """Call a function every so often, on a thread of its own.

    Args:
        look: What to call; what it raises is logged, and the next call comes.
        every_seconds: How long to wait between two calls [s].
    """

    def __init__(self, look: Callable[[], object], every_seconds: float) -> None:
        self._look = look
        self._every_seconds = every_seconds
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="memguard-guard", daemon=True)

    def start(self) -> None:
        """Begin; the first look is at once."""
        self._thread.start()

    def stop(self) -> None:
        """End, and wait until the thread is gone, unless it is this one."""
        self._ended.set()
        if self._thread is not threading.current_thread() and self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        while True:
            try:
                self._look()
            except Exception:  # a reading that fails must not end the guard
                _LOG.exception("a look at memory failed")
            if self._ended.wait(self._every_seconds):
                return
