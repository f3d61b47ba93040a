"""Where sockets lie: a folder that only this user may enter.

Covers: which folder, and that it is safe; the sockets in it.
Does not cover: what is said over them (``server``, ``client``).
"""

import os
import re
import stat
import tempfile
from pathlib import Path

from memguard.errors import UnsafeFolderError

FOLDER_VARIABLE = "MEMGUARD_RUNTIME_DIR"
_NAME = re.compile(r"(?P<pid>\d+)-(?P<number>\d+)\.sock")


def folder() -> Path:
    """Give the folder, made if need be.

    ``MEMGUARD_RUNTIME_DIR``, else one in ``XDG_RUNTIME_DIR``, else one in the folder for
    temporary files.

    Raises:
        UnsafeFolderError: It is a link, another user's, or open to others.
    """
    given = os.environ.get(FOLDER_VARIABLE)
    run_time = os.environ.get("XDG_RUNTIME_DIR")
    if given:
        path = Path(given)
    elif run_time and os.access(run_time, os.W_OK):
        path = Path(run_time) / "memguard"
    else:
        path = Path(tempfile.gettempdir()) / f"memguard-{os.getuid()}"
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check(path)
    except OSError as error:
        raise UnsafeFolderError(path, error.strerror or str(error), FOLDER_VARIABLE) from error
    return path


def _check(path: Path) -> None:
    # lstat: a link could lead to where somebody else listens.
    seen = path.lstat()
    problem = ""
    if not stat.S_ISDIR(seen.st_mode):
        problem = "it is a link, or no folder"
    elif seen.st_uid != os.getuid():
        problem = f"it belongs to user {seen.st_uid}, and this is user {os.getuid()}"
    elif stat.S_IMODE(seen.st_mode) & 0o077:
        problem = f"its mode is {stat.S_IMODE(seen.st_mode):o}, and others may enter"
    if problem:
        raise UnsafeFolderError(path, problem, FOLDER_VARIABLE)


def socket_path(number: int) -> Path:
    """Give the path of one of this process's sockets."""
    return folder() / f"{os.getpid()}-{number}.sock"


def sockets(pid: int | None = None) -> list[tuple[int, Path]]:
    """Give the sockets of all processes, or of one: process id and path.

    Some may be left over from processes that were killed.
    """
    found = []
    for path in folder().iterdir():
        match = _NAME.fullmatch(path.name)
        if match is not None and pid in (None, int(match["pid"])):
            found.append((int(match["pid"]), int(match["number"]), path))
    return [(owner, path) for owner, _, path in sorted(found)]
