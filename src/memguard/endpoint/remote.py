"""Asking one process: over its socket, or by making it open one.

Covers: finding the socket of a process; on Python 3.14 and later, letting a process that
listens nowhere do so for a while; saying why one cannot be asked, and what to do.
Does not cover: what is asked (``commands``).
"""

import contextlib
import os
import sys
import tempfile
import time
from pathlib import Path

from memguard.endpoint.client import Gone, call, is_alive
from memguard.endpoint.commands import STATS
from memguard.endpoint.place import folder, sockets
from memguard.endpoint.server import is_supported
from memguard.errors import EndpointError, UnreachableProcessError

OPEN_SECONDS = 60.0
"""A door that was opened from outside closes when nobody asks for so long [s]."""

_WAIT_SECONDS = 10.0
_LOOK_SECONDS = 0.05

# One expression, so that no name is left in the namespace that it runs in. What goes
# wrong is written where the asker looks: the streams are the program's.
_SCRIPT = """\
exec('''
try:
    from memguard.endpoint.listening import listen_while_asked
    listen_while_asked({seconds!r})
except BaseException as error:
    with open({failure!r}, "w", encoding="utf-8") as file:
        file.write(f"{{type(error).__name__}}: {{error}}")
''', {{}})
"""


def find_process(pid: int) -> Path:
    """Give the socket of a process that answers statistics, scans and collections.

    Raises:
        UnreachableProcessError: There is none; it says why, and what to do.
    """
    if not is_supported():
        raise EndpointError("there are no Unix sockets on this system")
    if pid < 1 or not is_alive(pid):
        raise UnreachableProcessError(
            pid, "there is no such process", "pgrep -af python shows those that there are"
        )
    owner = _owner_of(pid)
    if owner not in (None, os.getuid()):
        raise UnreachableProcessError(
            pid,
            f"it belongs to user {owner}, and this is user {os.getuid()}",
            f"ask as that user: sudo -u '#{owner}' memguard ...",
        )
    found = _answering(pid)
    if found is None and hasattr(sys, "remote_exec"):
        open_from_outside(pid)
        found = _answering(pid)
    if found is None:
        raise UnreachableProcessError(
            pid,
            f"it listens nowhere in {folder()}",
            "let the program call memguard.listen(); if it does, give both the same"
            " MEMGUARD_RUNTIME_DIR; from Python 3.14 on for both, neither is needed",
        )
    return found


def _owner_of(pid: int) -> int | None:
    try:
        return Path(f"/proc/{pid}").stat().st_uid
    except OSError:
        pass
    try:
        os.kill(pid, 0)
    except PermissionError:
        return -1
    except OSError:
        return None
    return None


def _answering(pid: int) -> Path | None:
    problem: EndpointError | None = None
    for _, path in sockets(pid):
        try:
            call(path, STATS)
        except Gone:
            continue  # left over from an earlier process of the same id
        except EndpointError as error:
            problem = error
        else:
            return path
    if problem is not None:
        raise UnreachableProcessError(
            pid, f"it does not answer ({problem})", "it may be stopped, or busy; try again"
        )
    return None


def open_from_outside(pid: int) -> None:
    """Make a process listen for a while, through its interpreter; Python 3.14 and later.

    The process runs a few lines in its main thread, the next time that this executes
    Python code. Both must be of the same minor version of Python, memguard must be
    installed there, and the system must allow to write its memory.

    Raises:
        UnreachableProcessError: It was refused, or the process failed to listen.

    Source:
        CPython 3.14, ``sys.remote_exec(pid, script)``, PEP 768.
    """
    with tempfile.TemporaryDirectory(prefix="memguard-") as name:
        script, failure = Path(name) / "listen.py", Path(name) / "failure.txt"
        script.write_text(
            _SCRIPT.format(seconds=OPEN_SECONDS, failure=str(failure)), encoding="utf-8"
        )
        try:
            sys.remote_exec(pid, str(script))  # type: ignore[attr-defined,unused-ignore]
        except (OSError, RuntimeError) as error:
            raise UnreachableProcessError(
                pid,
                f"it listens nowhere in {folder()}, and cannot be made to"
                f" ({type(error).__name__}: {error})",
                "let the program call memguard.listen(); or see docs/running-process.md for"
                " what the system must allow",
            ) from error
        _wait_until_open(pid, failure)


def _wait_until_open(pid: int, failure: Path) -> None:
    # The script must lie there until the process has read it.
    until = time.monotonic() + _WAIT_SECONDS
    while time.monotonic() < until:
        if sockets(pid):
            return
        with contextlib.suppress(OSError):
            # Written in one go; an empty one is about to be.
            if problem := failure.read_text(encoding="utf-8"):
                raise UnreachableProcessError(
                    pid, f"it could not listen ({problem})", "install memguard where it runs"
                )
        time.sleep(_LOOK_SECONDS)
    raise UnreachableProcessError(
        pid,
        f"its main thread ran no Python code for {_WAIT_SECONDS:g} s",
        "it may wait in a system call: try again, or let the program call memguard.listen()",
    )
