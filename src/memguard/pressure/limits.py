"""The true memory limits of this process.

Covers: its control group and every one above it that can be seen, RAM, the limits
of address space and data, and what the user says.
Does not cover: ``memory.low`` and ``memory.min``, which protect; limits of swap;
version 1's soft limit, which only orders reclaim; ``RLIMIT_RSS``, which Linux
ignores.

See also: ``cgroup`` for which groups these are, ``memory`` for what is in use.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from memguard.pressure.cgroup import Cgroup, find_cgroup
from memguard.pressure.files import read_count, read_named, read_text

NO_LIMIT_BYTES = 1 << 60
"""From here on a number stands for "no limit": version 1 rounds 2^63 down to pages."""

Counted = Literal["cgroup", "machine", "process", "virtual", "data"]


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit.

    Attributes:
        limit_bytes: It [bytes].
        source: Where it is from: a file of the kernel, or its name.
        counts: What it bounds: the memory of a control group, of the machine, of
            this process; or the process's address space, or its private data.
        is_soft: It slows the process down, and kills nothing.
        folder: The control group, of those that are one's.
    """

    limit_bytes: int
    source: str
    counts: Counted
    is_soft: bool = False
    folder: Path | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """All limits of this process.

    Attributes:
        each: Those that there are.
        cgroup: The control group that bounds memory; None where none does.
        unknown: What could not be found out, and why.
    """

    each: tuple[Limit, ...]
    cgroup: Cgroup | None
    unknown: dict[str, str]

    @property
    def hard_bytes(self) -> int | None:
        """The smallest limit of resident memory [bytes]; beyond it something is killed."""
        return self._smallest(soft=False)

    @property
    def soft_bytes(self) -> int | None:
        """The smallest limit beyond which the kernel slows the process down [bytes]."""
        return self._smallest(soft=True)

    def _smallest(self, *, soft: bool) -> int | None:
        found = [
            limit.limit_bytes
            for limit in self.each
            if limit.is_soft is soft and limit.counts not in ("virtual", "data")
        ]
        return min(found, default=None)


def read_limits(root: Path = Path("/"), override_bytes: int | None = None) -> Limits:
    """Read all limits of this process as they are now.

    Args:
        root: Where ``proc`` and the mounts are; another one for tests.
        override_bytes: One more limit, that cannot be seen from here.

    Cost:
        Tens of microseconds, and a few for each control group.
    """
    cgroup = find_cgroup(root)
    unknown = {}
    each = [*_ram(root), *_rlimits()]
    if not any(limit.counts == "machine" for limit in each):
        unknown["RAM"] = "the system does not say how much there is"
    if cgroup is None:
        unknown["cgroup"] = "no control group of memory is mounted"
    else:
        each += _of_cgroup(cgroup)
        if not cgroup.whole or cgroup.contained:
            unknown["cgroup ancestors"] = (
                "groups above this one are hidden; say what they allow with pressure.limit_bytes"
            )
    if override_bytes is not None:
        # In a container all processes share what it allows.
        contained = cgroup is not None and cgroup.contained
        each.append(
            Limit(
                override_bytes,
                "pressure.limit_bytes",
                "cgroup" if contained else "process",
                folder=cgroup.own if cgroup is not None and contained else None,
            )
        )
    return Limits(tuple(each), cgroup, unknown)


def _of_cgroup(cgroup: Cgroup) -> Iterator[Limit]:
    for folder in cgroup.folders:
        if cgroup.version == 2:
            yield from _from_file(folder, "memory.max")
            yield from _from_file(folder, "memory.high", is_soft=True)
        # A group of version 1 counts those below it only if it is told to.
        elif folder == cgroup.own or read_count(folder / "memory.use_hierarchy") != 0:
            yield from _from_file(folder, "memory.limit_in_bytes")
    if cgroup.version == 1:
        # This one knows groups, too, that cannot be seen from here.
        stat = cgroup.own / "memory.stat"
        limit = read_named(stat, {"hierarchical_memory_limit"}).get("hierarchical_memory_limit")
        if limit is not None and limit < NO_LIMIT_BYTES:
            source = f"{stat}: hierarchical_memory_limit"
            yield Limit(limit, source, "cgroup", folder=cgroup.own)


def _from_file(folder: Path, name: str, *, is_soft: bool = False) -> Iterator[Limit]:
    limit = read_count(folder / name)
    if limit is not None and limit < NO_LIMIT_BYTES:
        yield Limit(limit, str(folder / name), "cgroup", is_soft, folder)


def _ram(root: Path) -> Iterator[Limit]:
    if read_text(root / "proc/meminfo") is not None:
        for kib in read_named(root / "proc/meminfo", {"MemTotal"}).values():
            yield Limit(kib * 1024, "RAM", "machine")
    elif root == Path("/"):
        import psutil

        yield Limit(psutil.virtual_memory().total, "RAM", "machine")


def _rlimits() -> Iterator[Limit]:
    try:
        import resource
    except ImportError:  # Windows
        return
    names: tuple[tuple[str, Counted], ...] = (("RLIMIT_AS", "virtual"), ("RLIMIT_DATA", "data"))
    for name, counts in names:
        soft, _ = resource.getrlimit(getattr(resource, name))
        if soft != resource.RLIM_INFINITY and soft < NO_LIMIT_BYTES:
            yield Limit(soft, name, counts)
