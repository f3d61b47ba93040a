"""A full collection that is due, run on the thread where it does least harm.

Covers: the main thread, between two of its instructions, as an automatic collection
would be; another one, if the main thread is busy elsewhere.

Why the main thread: an automatic collection of a program with one thread runs
finalizers there, and they may rely on it.
"""

import contextlib
import ctypes
import gc
import threading
from collections.abc import Callable

from memguard.pressure.costly import cost_clock


class Due:
    """A full collection that one thread, whichever comes first, runs once.

    Args:
        thaw: What was frozen is looked at, too, and what is left frozen again.
        look: Called right after it, before the program goes on.

    Attributes:
        ran: It took place; within another collection none does.
        cost_seconds: What it cost [s].
        freed_count: Objects that it freed.
    """

    def __init__(self, *, thaw: bool = False, look: Callable[[], object] = lambda: None) -> None:
        self.ran = False
        self.cost_seconds = 0.0
        self.freed_count = 0
        self._thaw = thaw
        self._look = look
        self._tokens = [self]
        self._done = threading.Event()

    def run_soon(self, patience_seconds: float) -> bool:
        """Have it run on the main thread, or after some time on this one.

        Returns:
            Whether it ran on this one.
        """
        if threading.current_thread() is not threading.main_thread():
            _waiting.append(self)
            if _ask_main_thread():
                self._done.wait(patience_seconds)
        if self.run():
            # A main thread that waits for long must not find thousands of them.
            with contextlib.suppress(ValueError):
                _waiting.remove(self)
            return True
        self._done.wait()
        return False

    def run(self) -> bool:
        """Collect here, unless another thread did or does.

        Returns:
            Whether this thread did.
        """
        try:
            self._tokens.pop()
        except IndexError:
            return False
        try:
            self._collect()
        finally:
            self._done.set()
        return True

    def _collect(self) -> None:
        count, freed = _full_collections()
        begun = cost_clock()
        if self._thaw:
            gc.unfreeze()
        gc.collect()
        if self._thaw:
            gc.freeze()
        self.cost_seconds = cost_clock() - begun
        count_after, freed_after = _full_collections()
        self.ran = count_after > count
        self.freed_count = freed_after - freed
        self._look()


def _full_collections() -> tuple[int, int]:
    """Give how many there were, and how many objects they freed."""
    oldest = gc.get_stats()[-1]
    return oldest["collections"], oldest["collected"]


_waiting: list[Due] = []
_asked: list[bool] = []


def _ask_main_thread() -> bool:
    """Have the main thread run what waits; says whether it was, or is being, asked."""
    if _asked:
        return True
    _asked.append(True)
    # The interpreter's queue holds 32 calls; full, it says no.
    if ctypes.pythonapi.Py_AddPendingCall(_run_waiting, None) == 0:
        return True
    _asked.clear()
    return False


def _run_all_waiting(_: object) -> int:
    _asked.clear()
    while _waiting:
        _waiting.pop().run()
    return 0


# Kept for good: the interpreter may call it when nobody else does any more.
_run_waiting = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(_run_all_waiting)


def forget() -> None:
    """Forget what waits, in a child process: the threads that did are not there."""
    _waiting.clear()
    _asked.clear()
