"""One program run and scanned, as it is or in its changed copy, in its own process."""

import gc
import importlib
import inspect
import os
import platform
import sys
from dataclasses import dataclass
from pathlib import Path

from process import measured_apart, run_to_end
from repairs import copies
from repairs.repair import Repair


@dataclass(frozen=True, slots=True)
class Measurement:
    """What a scan finds after one run of a program.

    Attributes:
        title: What the program does.
        python: The version that ran it.
        versions: Versions by library; empty for those of the standard library.
        cycle_count: All cycles that it leaves [count].
        unreachable_count: All objects that wait for the collector [count].
        changed_lines: Where the copy differs, "module:line".
        shapes: Path, number of cycles, and advice of each shape, as a report
            gives them, and the lines that its advice leads to.
    """

    title: str
    python: str
    versions: dict[str, str]
    cycle_count: int
    unreachable_count: int
    changed_lines: list[str]
    shapes: list[dict]

    def shapes_with(self, cut: str) -> list[dict]:
        """Give the shapes whose advice names a reference."""
        return [
            shape
            for shape in self.shapes
            if shape["advice"] and any(_name(edge) == cut for edge in shape["advice"]["cuts"])
        ]


def measure_apart(repair: Repair, *, changed: bool, python: str = sys.executable) -> Measurement:
    """Measure in a fresh process, in which nothing else has run."""
    command = [python, str(Path(__file__).parent), "--in-this-process", repair.name]
    if changed:
        command.append("--changed")
    return Measurement(**measured_apart(command, repair.name))


def measure(repair: Repair, *, changed: bool) -> Measurement:
    """Measure in this process, which should be fresh and end after it."""
    changed_lines = copies.install(repair.changes if changed else ())
    # Not before: memguard imports modules that a repair may change.
    import memguard

    gc.disable()
    run = getattr(importlib.import_module(repair.module), repair.function)
    for _ in range(2):
        run_to_end(run)
    while gc.collect():
        pass
    with memguard.scan_created(lambda: run_to_end(run)) as report:
        found = report.to_dict()
        lines = [
            [_short(line) for line in shape.advice.assignments()] if shape.advice else []
            for shape in report.shapes
        ]
    return Measurement(
        title=inspect.cleandoc(run.__doc__ or repair.function).removesuffix("."),
        python=platform.python_version(),
        versions={name: _version(name) for name in repair.libraries},
        cycle_count=found["cycle_count"],
        unreachable_count=found["unreachable_count"],
        changed_lines=changed_lines,
        shapes=[
            {
                "path": shape["path"],
                "cycle_count": shape["cycle_count"],
                "advice": shape["advice"],
                "lines": own_lines,
            }
            for shape, own_lines in zip(found["shapes"], lines, strict=True)
        ],
    )


def _name(edge: dict) -> str:
    return f"{edge['source']}{edge['label']}"


def _short(line) -> str:
    """Give file and line without the folder of the installation."""
    path = str(line)
    for folder in ("site-packages", f"python{sys.version_info[0]}.{sys.version_info[1]}", "tests"):
        path = path.rpartition(f"{os.sep}{folder}{os.sep}")[2]
    return path


def _version(library: str) -> str:
    if library.partition(".")[0] in sys.stdlib_module_names:
        return ""
    from importlib import metadata  # late, since it imports much that a repair may change

    return metadata.version(library)
