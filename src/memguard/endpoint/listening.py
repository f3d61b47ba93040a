"""The door of a running process: `listen` opens it, and what it gives closes it.

Covers: opening, closing, forks; a door that closes itself.
Does not cover: what is answered (``commands``).
See also: ``memguard scan`` and ``memguard top``, which ask.
"""

import atexit
import os
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from memguard.endpoint.commands import Inquiries
from memguard.endpoint.server import Endpoint


class Listener:
    """An open endpoint, until `close` or the end of the process; what `listen` gives.

    Nobody has to hold it.

    Attributes:
        path: Its socket; None once it is closed, and in a forked child.

    Thread-safety:
        Any thread. In a child of `os.fork` it is closed, and the parent's goes on; a
        child that shall answer, too, calls `listen` itself.
    """

    def __init__(self, idle_seconds: float | None = None) -> None:
        self._closing = threading.Lock()
        self._idle_seconds = idle_seconds
        self._inquiries = Inquiries()
        self._endpoint: Endpoint | None = Endpoint(self._inquiries.commands(), self._look)
        self._endpoint.open()
        with _changing:
            if not _open:
                atexit.register(_close_all)
            _open.add(self)

    @property
    def path(self) -> Path | None:
        """The socket; None once it is closed."""
        endpoint = self._endpoint
        return None if endpoint is None else endpoint.path

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.path or 'closed'}>"

    def _look(self) -> None:
        self._inquiries.look()
        if self._idle_seconds is not None and self._inquiries.idle_seconds > self._idle_seconds:
            self._idle_seconds = None
            # The thread that looks is the one that closing waits for.
            threading.Thread(target=self.close, name="memguard-closing", daemon=True).start()

    def close(self) -> None:
        """Answer no more, and leave nothing behind; again does nothing.

        A scan that runs is given up, and who waits for it is told so.
        """
        with self._closing:
            endpoint, self._endpoint = self._endpoint, None
        with _changing:
            _open.discard(self)
            if not _open:
                atexit.unregister(_close_all)
        if endpoint is not None:
            endpoint.close()
            self._inquiries.close()

    def _abandon(self) -> None:
        self._closing = threading.Lock()
        endpoint, self._endpoint = self._endpoint, None
        if endpoint is not None:
            endpoint.abandon()
        self._inquiries.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


_open: set[Listener] = set()
_changing = threading.Lock()


def _close_all() -> None:
    for listener in tuple(_open):
        listener.close()


def listen() -> Listener:
    """Let this process be asked from outside: by ``memguard scan`` and ``memguard top``.

    Opens a Unix socket in a folder that only this user may enter (``MEMGUARD_RUNTIME_DIR``,
    else ``XDG_RUNTIME_DIR``, else the folder for temporary files); the system says who
    calls, and other users get no answer. Nothing is measured until somebody asks. A
    `Guard` that asks people answers the same without it.

    Returns:
        What closes it: by `Listener.close`, or at the end of a ``with`` block. Without
        either it is open until the process ends.

    Raises:
        EndpointError: The socket cannot be made, or this system has none.
        UnsafeFolderError: The folder is open to others.

    Cost:
        A thread that looks for callers twenty times a second.

    Thread-safety:
        Any thread; no event loop is needed, and none is blocked: commands run on
        threads of their own, scans in a child process where that is possible.
    """
    return Listener()


def listen_while_asked(idle_seconds: float) -> None:
    """Open a door that closes itself when nobody asks for so long [s]."""
    Listener(idle_seconds)


def _begin_in_child() -> None:
    global _changing
    # Another thread of the parent may have held it.
    _changing = threading.Lock()
    for listener in tuple(_open):
        listener._abandon()
    _open.clear()
    atexit.unregister(_close_all)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_in_child)
