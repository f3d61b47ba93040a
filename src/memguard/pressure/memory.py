"""What memory is in use, and how much of what is allowed.

Covers: the process, its allocators, its control groups, the machine; each source
read no more often than it is worth.
Does not cover: what to do about it (``monitor``, ``alerts``, ``relief``).

See also: ``docs/memory-limits.md``.
"""

import os
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from memguard.pressure.allocator import MallocUse, estimate_small_bytes, read_malloc
from memguard.pressure.cgroup import Cgroup
from memguard.pressure.costly import Clock, Costly
from memguard.pressure.files import read_count, read_named, read_text
from memguard.pressure.limits import Limit, Limits, read_limits
from memguard.pressure.reading import Bound, MemoryReading, MemoryUse
from memguard.settings import PressureSettings

_MOST_OF_TIME_RATIO = 0.01
"""Share of the time that asking allocators may take; they are asked less often otherwise."""


@dataclass(frozen=True, slots=True)
class _Slow:
    malloc: MallocUse | None
    swap_bytes: int | None
    small_bytes_estimate: int | None


@dataclass(frozen=True, slots=True)
class _Process:
    rss_bytes: int
    virtual_bytes: int | None = None
    data_bytes: int | None = None
    private_bytes: int | None = None


@dataclass  # slots would leave a class behind that only the collector frees
class _Usage:
    """Reads what counts towards limits, each group and file once."""

    root: Path
    process: _Process
    cgroup: Cgroup | None
    _of_groups: dict[Path, int | None] = field(default_factory=dict)

    def of(self, limit: Limit) -> int | None:
        if limit.counts == "cgroup" and limit.folder is not None:
            return self.of_group(limit.folder)
        if limit.counts == "machine":
            return self._of_machine(limit.limit_bytes)
        return {
            "process": self.process.rss_bytes,
            "virtual": self.process.virtual_bytes,
            "data": self.process.data_bytes,
        }.get(limit.counts)

    def of_group(self, folder: Path) -> int | None:
        if folder not in self._of_groups:
            self._of_groups[folder] = self._read_group(folder)
        return self._of_groups[folder]

    def _read_group(self, folder: Path) -> int | None:
        second = self.cgroup is not None and self.cgroup.version == 2
        used = read_count(folder / ("memory.current" if second else "memory.usage_in_bytes"))
        if used is None:
            return None
        name = "inactive_file" if second else "total_inactive_file"
        return max(0, used - read_named(folder / "memory.stat", {name}).get(name, 0))

    def _of_machine(self, total_bytes: int) -> int | None:
        available = read_named(self.root / "proc/meminfo", {"MemAvailable"}).get("MemAvailable")
        if available is not None:
            return max(0, total_bytes - available * 1024)
        if self.root != Path("/"):
            return None
        import psutil

        return max(0, total_bytes - int(psutil.virtual_memory().available))


class MemoryReader:
    """Read memory again and again, each source at its own rate.

    What is in use is read anew after `usage_seconds`, allocators after
    `allocator_seconds`, limits after `limit_seconds`. Allocators that turn out to be
    costly are asked later, so that it takes at most a hundredth of the time.

    Args:
        settings: Those rates, and a limit of the user's.
        root: Where ``proc`` and the mounts are; another one for tests.
        clock: Seconds that only grow.

    Thread-safety:
        Any thread; one reads while others wait.
    """

    def __init__(
        self,
        settings: PressureSettings | None = None,
        *,
        root: Path = Path("/"),
        clock: Clock = time.monotonic,
    ) -> None:
        self.settings = settings or PressureSettings()
        self._root = root
        self._clock = clock
        self._lock = threading.Lock()
        self._start()

    def _start(self) -> None:
        settings = self.settings
        self._pid = os.getpid()
        self._limits = Costly(
            lambda: read_limits(self._root, settings.limit_bytes), settings.limit_seconds
        )
        self._allocators = Costly(
            lambda: _Slow(read_malloc(), _read_swap(self._root), estimate_small_bytes()),
            settings.allocator_seconds,
            _MOST_OF_TIME_RATIO,
        )
        self._reading = Costly(self._read, settings.usage_seconds)
        self._use = Costly(self._read_use, settings.usage_seconds)

    def read(self, *, fresh: bool = False) -> MemoryReading:
        """Give what memory is in use, as new as the rates allow.

        Args:
            fresh: Read every source now.
        """
        with self._lock:
            if fresh or self._pid != os.getpid():
                self._start()
            return self._reading.get(self._clock)

    def read_use(self) -> MemoryUse:
        """Give what is in use of each limit, as new as the rates allow.

        Cost:
            A third of `read`: no allocator is asked.
        """
        with self._lock:
            if self._pid != os.getpid():
                self._start()
            return self._use.get(self._clock)

    def limits(self) -> Limits:
        """Give the limits, as new as their rate allows."""
        with self._lock:
            return self._limits.get(self._clock)

    def _read_use(self) -> MemoryUse:
        limits = self._limits.get(self._clock)
        process = _read_process(self._root)
        usage = _Usage(self._root, process, limits.cgroup)
        return MemoryUse(process.rss_bytes, _bounds_of(limits, usage))

    def _read(self) -> MemoryReading:
        limits = self._limits.get(self._clock)
        allocators = self._allocators.get(self._clock)
        process = _read_process(self._root)
        usage = _Usage(self._root, process, limits.cgroup)
        bounds = _bounds_of(limits, usage)
        malloc = allocators.malloc
        unknown = dict(limits.unknown)
        own = limits.cgroup.own if limits.cgroup else None
        cgroup_used = usage.of_group(own) if own else None
        stall = _read_stall(limits.cgroup)
        swap = allocators.swap_bytes
        if malloc is None:
            unknown["malloc"] = "no mallinfo2: glibc 2.33 or later has it"
        if allocators.small_bytes_estimate is None:
            unknown["small blocks"] = "this Python does not count them"
        if process.private_bytes is None:
            unknown["private pages"] = "only Linux tells them apart"
        if swap is None:
            unknown["swap"] = "only Linux tells it of one process"
        if stall is None:
            unknown["stall"] = "no memory.pressure of a group of its own"
        return MemoryReading(
            rss_bytes=process.rss_bytes,
            virtual_bytes=process.virtual_bytes,
            data_bytes=process.data_bytes,
            private_bytes=process.private_bytes,
            swap_bytes=swap,
            malloc_in_use_bytes=malloc.in_use_bytes if malloc else None,
            malloc_free_bytes=malloc.free_bytes if malloc else None,
            small_bytes_estimate=allocators.small_bytes_estimate,
            cgroup_used_bytes=cgroup_used,
            stall_ratio=stall,
            bounds=bounds,
            unknown=unknown,
        )


def _bounds_of(limits: Limits, usage: _Usage) -> tuple[Bound, ...]:
    each = [(limit, usage.of(limit)) for limit in limits.each]
    return tuple(Bound(limit, used) for limit, used in each if used is not None)


def read_memory(
    settings: PressureSettings | None = None, *, root: Path = Path("/")
) -> MemoryReading:
    """Read all that can be known of memory, now.

    Args:
        settings: A limit of the user's is taken from them.
        root: Where ``proc`` and the mounts are; another one for tests.

    Returns:
        The reading; what is not known on this system is None, and `unknown` says why.
    """
    return MemoryReader(settings, root=root).read()


def read_private_bytes() -> int:
    """Read the resident pages of no file [bytes], or all where they cannot be told apart.

    Cost:
        The cheapest source there is: about ten microseconds.
    """
    process = _read_process(Path("/"))
    return process.rss_bytes if process.private_bytes is None else process.private_bytes


def _read_process(root: Path) -> _Process:
    statm = read_text(f"{root}/proc/self/statm")
    if statm is not None:
        page_bytes = os.sysconf("SC_PAGE_SIZE")
        virtual, resident, shared, _, _, data, *_ = (int(n) * page_bytes for n in statm.split())
        return _Process(resident, virtual, data, resident - shared)
    import psutil

    memory = psutil.Process().memory_info()
    # Windows' private data is what it commits; macOS does not tell.
    data_bytes = getattr(memory, "private", None)
    return _Process(memory.rss, memory.vms, data_bytes)


def _read_swap(root: Path) -> int | None:
    kib = read_named(root / "proc/self/status", {"VmSwap"}).get("VmSwap")
    return None if kib is None else kib * 1024


def _read_stall(cgroup: Cgroup | None) -> float | None:
    """Read how much of the time tasks of the own group waited for memory.

    Only where that group's hierarchy controls memory: with version 1 mounted beside
    it, the file of version 2 tells of the whole machine.
    """
    if cgroup is None or cgroup.version != 2 or not cgroup.whole:
        return None
    for line in (read_text(cgroup.own / "memory.pressure") or "").splitlines():
        if line.startswith("some "):
            for part in line.split():
                name, _, number = part.partition("=")
                if name == "avg10":
                    return float(number) / 100
    return None
