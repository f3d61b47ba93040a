"""Where reports go: standard error, or a file.

A report is written in one piece and past Python's buffers. So it can be made
inside a signal handler that interrupted a ``print``, and a process that was
forked meanwhile has no copy of half of it.
"""

import contextlib
import os
import select
import sys
from pathlib import Path

from memguard.errors import MemguardError
from memguard.heap.baseline import replace_file


class UnwritableOutputError(MemguardError):
    """The file for the reports cannot be opened.

    Attributes:
        path: What was given.
        reason: Why not.
    """

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(path, reason)

    def __str__(self) -> str:
        return (
            f"--output {str(self.path)!r} cannot be written: {self.reason};"
            " name a file in an existing folder, or leave it out for standard error"
        )


class MissingOutputError(MemguardError):
    """A page was to be made, and no file was named for it."""

    def __str__(self) -> str:
        return "--format html makes a page for a browser; name its file with --output FILE"


class Sink:
    """Takes whole texts.

    Thread-safety: any thread; texts do not mix.
    """

    def __init__(self, path: Path | None) -> None:
        """Check that it can be written.

        Raises:
            UnwritableOutputError: It cannot.
        """
        # The program may go elsewhere; the file stays where it was named.
        self._path = None if path is None else path.absolute()
        if self._path is not None:
            try:
                os.close(self._open())
            except OSError as error:
                raise UnwritableOutputError(self._path, error.strerror or str(error)) from None

    @property
    def has_terminal(self) -> bool:
        """Tell whether a person watches the reports come in."""
        return self._path is None and _is_terminal()

    def _open(self) -> int:
        assert self._path is not None
        # Each time anew: the file may have been rotated away.
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)

    def write(self, text: str) -> None:
        """Write a whole text.

        Raises:
            OSError: It cannot be written.
        """
        if self._path is None:
            _write_error(text)
            return
        descriptor = self._open()
        try:
            _write_all(descriptor, text.encode("utf-8", "backslashreplace"))
        finally:
            os.close(descriptor)

    def replace(self, text: str) -> None:
        """Write a whole text in place of what the file has.

        Raises:
            OSError: It cannot be written.
        """
        if self._path is None:
            _write_error(text)
        else:
            replace_file(self._path, text)


def complain(message: str) -> None:
    """Tell what went wrong, if there is anybody left to be told."""
    with contextlib.suppress(Exception):  # whatever has become of the stream
        _write_error(f"memguard: {message}\n")


def show_status(text: str) -> None:
    """Show what goes on, on a terminal only, until the next text replaces it."""
    with contextlib.suppress(Exception):  # as above
        if _is_terminal() and os.environ.get("TERM") != "dumb":
            _write_error(f"\r\x1b[K{text}")


def _is_terminal() -> bool:
    stream = sys.__stderr__
    return stream is not None and not stream.closed and stream.isatty()


def _write_error(text: str) -> None:
    stream = sys.__stderr__
    if stream is not None and not stream.closed:
        _write_all(stream.fileno(), text.encode(stream.encoding, "backslashreplace"))


def _write_all(descriptor: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        try:
            left = left[os.write(descriptor, left) :]
        except BlockingIOError:  # an event loop of the program made it so
            select.select([], [descriptor], [])
