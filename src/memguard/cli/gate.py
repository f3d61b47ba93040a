"""Shapes of cycles against a file of known ones: what is new, and the exit code.

Covers: what ``--write-baseline`` and ``--fail-on`` do with each report.
Does not cover: the file (``heap.baseline``).
"""

import contextlib
import os
import sys
import textwrap
from pathlib import Path
from typing import NamedTuple

from memguard.heap.baseline import Baseline, KnownShape, add_to_baseline
from memguard.heap.render.text import count
from memguard.heap.report import ScanReport
from memguard.heap.saved import SavedReport, SavedShape
from memguard.heap.shapes import Shape

NEW_SHAPE = 3
"""Exit code when a shape is not in the file of ``--fail-on``."""


class _Sight(NamedTuple):
    """A shape when it was first seen, and what to say of it."""

    cycle_count: int
    is_new: bool
    advice: tuple[str, ...]


class Gate:
    """Collects the shapes of all reports, and judges them in the end.

    Thread-safety: none; reports come one after another.
    """

    def __init__(self, write_to: Path | None, fail_on: Path | None) -> None:
        """Read the files, so that what is wrong with them shows before the program runs.

        Raises:
            UnreadableBaselineError: One cannot be used.
        """
        # The program may go elsewhere; the files stay where they were named.
        self._write_to = write_to.absolute() if write_to else None
        self._fail_on = fail_on.absolute() if fail_on else None
        self._write_name, self._fail_name = write_to, fail_on
        self._known = Baseline.read(self._fail_on) if self._fail_on else Baseline()
        if self._write_to and self._write_to.exists():
            Baseline.read(self._write_to)
        self._seen: dict[KnownShape, _Sight] = {}
        self._exit_code = 0
        self.program_failed = False

    def see(self, report: ScanReport | SavedReport) -> None:
        """Remember the shapes of a report, and ask for advice while it holds its objects."""
        if self._write_to or self._fail_on:
            for shape in report.shapes:
                known = KnownShape.of(report.kind, shape)
                if known not in self._seen:
                    is_new = self._fail_on is not None and not self._known.knows(known)
                    advice = _advice(shape) if is_new else ()
                    self._seen[known] = _Sight(shape.cycle_count, is_new, advice)

    def judge(self) -> tuple[str, int]:
        """Write the file if wanted, and tell what is new.

        Returns:
            What to say, and the exit code: 3 when something is new.

        Raises:
            UnreadableBaselineError: The file cannot be written.
        """
        lines: list[str] = []
        if self._fail_on:
            lines += self._news()
        if self._write_to:
            added = add_to_baseline(self._write_to, self._seen)
            lines.append(
                f"memguard: {count(added, 'shape')} added to {self._write_name},"
                f" {len(self._seen) - added:,} of those seen were there."
            )
        return "".join(f"{line}\n" for line in lines), self._exit_code

    def _news(self) -> list[str]:
        new = {seen: sight for seen, sight in self._seen.items() if sight.is_new}
        if not new:
            return [f"memguard: no shape of cycles is missing from {self._fail_name}."]
        self._exit_code = NEW_SHAPE
        lines = [f"memguard: {count(len(new), 'new shape')} of cycles, not in {self._fail_name}:"]
        for seen, sight in new.items():
            cycles = count(sight.cycle_count, f"{seen.kind} cycle")
            lines += ["", f"  {cycles}: {seen.path}", *sight.advice]
        return [*lines, "", "To accept: --write-baseline with the same file, once."]

    def exit_if_failed(self) -> None:
        """End the process with exit code 3 when something is new.

        The exit code of a program that failed by itself stays. Made for the
        last exit handler: the interpreter does not ask handlers for a code.
        """
        if self._exit_code and not self.program_failed:
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(Exception):  # whatever the program made of it
                    stream.flush()
            os._exit(self._exit_code)


def _advice(shape: Shape | SavedShape) -> tuple[str, ...]:
    advice = shape.advice
    if advice is None:
        return ("    Make the reference that points back weak, or clear it when done.",)
    sentence = textwrap.wrap(advice.sentence, 96, initial_indent="    ", subsequent_indent="    ")
    return (*sentence, *textwrap.indent(advice.code, "        ").splitlines())
