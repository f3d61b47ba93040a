"""A scan or a look in a child process, while the process itself goes on.

Covers: whether there is memory for it, waiting for the child, and what became of
it when it does not answer.
Does not cover: the child (``_core``, ``_growth``); checking what was asked (``scan``).
"""

import errno
import functools
import gc
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, NamedTuple, Protocol, TypeVar, cast

from memguard import _core
from memguard.errors import HeadroomShortError, SnapshotFailedError

if TYPE_CHECKING:
    from memguard.pressure.memory import MemoryReader

LONGEST_SECONDS = 300.0
"""A child that has not answered after so long, or twice the budget, is killed [s]."""

LEAST_FREE_BYTES = 64 << 20
"""Memory that must be free before a child is forked [bytes], and"""

LEAST_FREE_RATIO = 0.25
"""as a share of what the process holds: for tables, and for pages that are written to."""


class Asked(NamedTuple):
    """What the native scanner is asked for; see `_core.scan_heap`."""

    kind: str
    cut_flags: int
    roots: tuple[object, ...] | None
    max_objects: int
    budget_seconds: float
    root_source: object


_Answer = TypeVar("_Answer")
_Begun = TypeVar("_Begun")
_Answer_co = TypeVar("_Answer_co", covariant=True)


class Answering(Protocol[_Answer_co]):
    """A child that is at work; see ``_core.Snapshot``."""

    def answer(self, is_given_up: Callable[[], bool]) -> tuple[_Answer_co | None, str, int]:
        """Wait for it; gives the answer, how the child ended, and its status."""


class Child(Generic[_Answer]):
    """A child process that is at work, and is killed when that takes too long.

    Args:
        snapshot: It.
        longest_seconds: How long it may take, if that is more than usual [s].
    """

    def __init__(self, snapshot: Answering[_Answer], longest_seconds: float = 0.0) -> None:
        self._longest_seconds = max(LONGEST_SECONDS, longest_seconds)
        self._deadline_seconds = time.monotonic() + self._longest_seconds
        self._snapshot = snapshot

    def wait(self, is_cancelled: Callable[[], bool]) -> _Answer:
        """Wait for the answer.

        Args:
            is_cancelled: Asked every 50 ms; the child is killed when it says true.

        Raises:
            SnapshotFailedError: The child did not answer.
            MemoryError: No memory for the answer.
        """
        answer, end, status = self._snapshot.answer(
            lambda: is_cancelled() or time.monotonic() > self._deadline_seconds
        )
        if end != "answered":
            raise SnapshotFailedError(_what_happened(end, status, self._longest_seconds))
        return cast("_Answer", answer)


class ChildScan(Child[_core.HeapGraph]):
    """A scan in a child process, which begins when this is made.

    Args:
        asked: What to look for.

    Raises:
        OSError: The system refused to fork a child.
        MemoryError: No memory for the tables.
    """

    def __init__(self, asked: Asked) -> None:
        super().__init__(_core.Snapshot(*asked), 2 * asked.budget_seconds)


def scan_in_child(asked: Asked, is_cancelled: Callable[[], bool]) -> _core.HeapGraph | str:
    """Scan in a child process, if there can be one.

    Args:
        asked: What to look for.
        is_cancelled: Asked every 50 ms; the child is killed when it says true.

    Returns:
        The answer; or why no child is to be had, so that the scan must be done here.

    Raises:
        HeadroomShortError: Too little memory is free; nothing was started.
        SnapshotFailedError: The child did not answer.
        MemoryError: No memory for the tables or the answer.
    """
    child = begin_child(lambda: ChildScan(asked))
    return child if isinstance(child, str) else child.wait(is_cancelled)


def begin_child(begin: Callable[[], _Begun]) -> _Begun | str:
    """Let a child process begin, if there can be one.

    Args:
        begin: Forks it.

    Returns:
        The child; or why none is to be had.

    Raises:
        HeadroomShortError: Too little memory is free; nothing was started.
        MemoryError: No memory for the tables.
    """
    if not can_fork():
        return f"a snapshot needs Linux, and this is {sys.platform}"
    require_headroom()
    try:
        return begin()
    except OSError as error:
        name = errno.errorcode.get(error.errno or 0, "unknown error")
        return f"the system refused to fork a child ({name}: {error.strerror})"


def can_fork() -> bool:
    """Whether a child process can scan on this system and Python."""
    return bool(_core.build_info()["snapshots"])


def _what_happened(end: str, status: int, longest_seconds: float) -> str:
    if end == "had no memory":
        return "the child had no memory for its tables"
    if end == "was given up":
        return f"it was cancelled, or the child did not answer within {longest_seconds:g} s"
    import signal  # which makes classes anew, for names that are hardly ever needed

    number = status & 0x7F
    if not number:
        return f"the child ended with status {status >> 8} before it had answered"
    names = {one.value: one.name for one in signal.Signals}
    why = "; the system does that when memory is short" if number == signal.SIGKILL else ""
    return f"the child was killed by {names.get(number, f'signal {number}')}{why}"


@functools.cache
def _reader() -> "MemoryReader":
    # Loaded when first used, for inline scans need none of it; without a collection,
    # which would free the garbage that the scan is for.
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        from memguard.pressure.memory import MemoryReader
    finally:
        if was_enabled:
            gc.enable()
    return MemoryReader()


def require_headroom() -> None:
    """Make sure that there is memory for a child.

    Raises:
        HeadroomShortError: There is not.
    """
    use = _reader().read_use()
    needed_bytes = max(LEAST_FREE_BYTES, int(use.rss_bytes * LEAST_FREE_RATIO))
    for bound in use.bounds:
        if not bound.limit.is_soft and bound.free_bytes < needed_bytes:
            raise HeadroomShortError(bound.free_bytes, needed_bytes, bound.limit.source)
