"""Machines made of files: a root with ``proc`` and control groups."""

import os
from pathlib import Path

from memguard.pressure.cgroup import find_cgroup

MIB = 2**20
GIB = 2**30
V1_NONE = 9223372036854771712


class Machine:
    """A root under which the kernel's files can be written.

    Args:
        root: An empty folder.
        ram_bytes: What ``MemTotal`` says.
        rss_bytes: Resident size of the process.
    """

    def __init__(self, root, ram_bytes=64 * GIB, rss_bytes=100 * MIB):
        self.root = Path(root)
        self.ram_bytes = ram_bytes
        self.write("proc/self/cgroup", "")
        self.write("proc/self/mountinfo", "22 1 0:21 / /proc rw - proc proc rw\n")
        self.set_ram(available_bytes=ram_bytes // 2)
        self.set_process(rss_bytes)

    def write(self, path, text):
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n" if text and not str(text).endswith("\n") else str(text))

    def set_ram(self, available_bytes):
        self.write(
            "proc/meminfo",
            f"MemTotal: {self.ram_bytes // 1024} kB\nMemFree: 1 kB\n"
            f"MemAvailable: {available_bytes // 1024} kB\n",
        )

    def set_process(self, rss_bytes, virtual_bytes=GIB, data_bytes=200 * MIB):
        pages = [size // 4096 for size in (virtual_bytes, rss_bytes, MIB)]
        self.write("proc/self/statm", f"{' '.join(map(str, pages))} 1 0 {data_bytes // 4096} 0")
        self.write("proc/self/status", "Name:\tpython\nVmSwap:\t       8 kB\n")

    def join(self, *lines):
        """Say in which groups the process is."""
        self.write("proc/self/cgroup", "\n".join(lines))

    def mount(self, kind, point, top="/", options="rw"):
        with (self.root / "proc/self/mountinfo").open("a") as file:
            escaped = point.replace(" ", "\\040")
            file.write(f"30 22 0:26 {top} {escaped} rw,nosuid shared:9 - {kind} cgroup {options}\n")

    def group(self, folder, version=2, *, current=10 * MIB, inactive_file=0, **files):
        """Write a control group; files are named with underscores, as ``memory_max``."""
        used, cached = (
            ("memory.current", "inactive_file")
            if version == 2
            else ("memory.usage_in_bytes", "total_inactive_file")
        )
        self.write(f"{folder}/{used}", current)
        hierarchical = files.pop("hierarchical_memory_limit", None)
        lines = [f"anon {current}", f"{cached} {inactive_file}"]
        if hierarchical is not None:
            lines.append(f"hierarchical_memory_limit {hierarchical}")
        self.write(f"{folder}/memory.stat", "\n".join(lines))
        for name, value in files.items():
            self.write(f"{folder}/{name.replace('_', '.', 1)}", value)


def make_group(limit_bytes):
    """Make a real control group below the own one, as root may; None elsewhere."""
    cgroup = find_cgroup()
    if cgroup is None or not cgroup.whole:
        return None
    folder = cgroup.own / f"memguard-test-{os.getpid()}"
    name = "memory.max" if cgroup.version == 2 else "memory.limit_in_bytes"
    try:
        folder.mkdir()
    except OSError:
        return None
    try:
        (folder / name).write_text(str(limit_bytes))
    except OSError:
        folder.rmdir()
        return None
    return folder
