"""Which control groups bound the memory of this process.

Covers: version 1, version 2 and both at once; mounts that show a part of the
tree; what a cgroup namespace hides.
Does not cover: the limits themselves (``limits``).

See also: ``Documentation/admin-guide/cgroup-v2.rst`` and ``cgroup-v1/memory.rst``
of Linux, ``proc_pid_mountinfo(5)``, ``cgroup_namespaces(7)``.
"""

import posixpath
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from memguard.pressure.files import read_text

_ESCAPED = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Cgroup:
    """The memory control group of this process, and those above it.

    Attributes:
        version: Of the hierarchy that controls memory.
        folders: Its own first, then each ancestor that can be seen.
        whole: Its own and all ancestors up to the root of the mount can be seen.
        contained: Its own is the topmost that this process can see, and others are
            above it: so it is a container.
    """

    version: Literal[1, 2]
    folders: tuple[Path, ...]
    whole: bool
    contained: bool

    @property
    def own(self) -> Path:
        """Folder of the group that this process is in, or the next above it."""
        return self.folders[0]


@dataclass(frozen=True, slots=True)
class _Mount:
    top: str
    point: str
    version: Literal[1, 2]
    controls_memory: bool


def find_cgroup(root: Path = Path("/")) -> Cgroup | None:
    """Find the group that bounds the memory of this process.

    Args:
        root: Where ``proc`` and the mounts are; another one for tests.

    Returns:
        None where there is no such group.
    """
    paths = _own_paths(read_text(root / "proc/self/cgroup") or "")
    mounts = _mounts(read_text(root / "proc/self/mountinfo") or "")
    # A controller is in one hierarchy only: with both versions mounted, in that
    # of version 1 where that lists it.
    version: Literal[1, 2] = 1 if 1 in paths else 2
    if version not in paths:
        return None
    candidates = [mount for mount in mounts if mount.version == version and mount.controls_memory]
    if not candidates:
        return None
    own = paths[version]
    # The mount that shows most ancestors; of two alike the later one hides the other.
    showing = [mount for mount in candidates if _below(own, mount.top) is not None]
    if showing:
        mount = min(reversed(showing), key=lambda mount: len(mount.top))
        below = _below(own, mount.top)
    else:
        mount, below = candidates[-1], None
    point = root / mount.point.lstrip("/")
    folders = _folders(point, below or "")
    return Cgroup(
        version,
        folders,
        whole=below is not None and folders[0] == point / below,
        contained=len(folders) == 1 and _is_not_the_root(folders[0], mount, version),
    )


def _own_paths(text: str) -> dict[int, str]:
    """Give the path of the process in the hierarchy of each version."""
    paths = {}
    for line in text.splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not path.startswith("/"):
            continue
        if "memory" in controllers.split(","):
            paths[1] = path
        elif number == "0" and not controllers:
            paths[2] = path
    return paths


def _mounts(text: str) -> list[_Mount]:
    mounts = []
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(" "), after.split(" ")
        if len(fields) < 6 or len(kind) < 3 or kind[0] not in ("cgroup", "cgroup2"):
            continue
        second = kind[0] == "cgroup2"
        mounts.append(
            _Mount(
                top=_unescaped(fields[3]),
                point=_unescaped(fields[4]),
                version=2 if second else 1,
                controls_memory=second or "memory" in kind[2].split(","),
            )
        )
    return mounts


def _unescaped(path: str) -> str:
    return _ESCAPED.sub(lambda match: chr(int(match[1], 8)), path)


def _below(own: str, top: str) -> str | None:
    """Give the path from the top of a mount to the own group; None if it is not there."""
    # Each ".." leads out of the namespace, where names are not known.
    if ".." in own.split("/") or ".." in top.split("/"):
        return None
    relative = posixpath.relpath(own, top)
    if relative == ".":
        return ""
    return None if relative.startswith("..") else relative


def _folders(point: Path, below: str) -> tuple[Path, ...]:
    """Give the folders from the lowest that exists up to the mount."""
    steps = below.split("/") if below else []
    chain = [point.joinpath(*steps[:length]) for length in range(len(steps), -1, -1)]
    return tuple(folder for folder in chain if folder.is_dir()) or (point,)


def _is_not_the_root(folder: Path, mount: _Mount, version: int) -> bool:
    # Only groups below the root of version 2 have a usage of their own.
    return mount.top != "/" or (version == 2 and (folder / "memory.current").exists())
