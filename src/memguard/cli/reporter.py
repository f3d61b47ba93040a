"""Reports about a program that runs in the same process.

Covers: when to report (at the end, on SIGUSR1, every N seconds), what counts
as the program's own, where it is written.
Does not cover: running the program (``program``), the scan.
"""

import atexit
import contextlib
import gc
import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from memguard.cli.terminal import print_report
from memguard.heap.render.text import count
from memguard.heap.report import ScanReport
from memguard.heap.scan import ScanKind, hold_live_cycles, scan_beyond
from memguard.heap.shapes import Shape


@dataclass(frozen=True, slots=True)
class ReportOptions:
    """What to report, and where to.

    Attributes:
        kinds: Kinds of cycles, in order.
        output: File to append to; None for standard error.
        as_json: One JSON object per line instead of text.
        min_size: Smallest cycle to report [objects].
        types: Report only cycles with one of these, "module.QualName".
        include_stdlib: Report cycles of the standard library alone, too.
        max_objects: See `scan`.
        budget_seconds: See `scan`.
    """

    kinds: tuple[ScanKind, ...]
    output: Path | None
    as_json: bool
    min_size: int
    types: tuple[str, ...]
    include_stdlib: bool
    max_objects: int | None
    budget_seconds: float | None


class Reporter:
    """Reports on the program, from `start` until the process ends.

    A failure to report is printed and never changes what the program does.
    """

    def __init__(self, options: ReportOptions) -> None:
        self._options = options
        # Cycles of the interpreter's and of memguard's own start are not the
        # program's. The answer keeps them alive, so their ids stay theirs.
        gc.collect()
        self._known = hold_live_cycles()
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._collections_before = _collection_count()

    def start(self, every_seconds: float | None) -> None:
        """Arrange for reports at the end, on SIGUSR1 and at intervals."""
        # Registered before the program's own, so run after them; by then
        # the interpreter has joined the program's threads.
        atexit.register(self._at_end)
        if hasattr(signal, "SIGUSR1"):
            signal.signal(signal.SIGUSR1, lambda _number, _frame: self.report("signal"))
        if every_seconds is not None:
            threading.Thread(
                target=self._at_intervals,
                args=(every_seconds,),
                name="memguard-report",
                daemon=True,
            ).start()

    def _at_end(self) -> None:
        self._stopped.set()
        self.report("end")

    def _at_intervals(self, every_seconds: float) -> None:
        while not self._stopped.wait(every_seconds):
            self.report("timer")

    def report(self, trigger: str) -> None:
        """Scan and write; what goes wrong is printed only."""
        try:
            # Not waiting: a signal may interrupt a report of the same thread.
            if self._lock.acquire(blocking=False):
                try:
                    self._write(trigger)
                finally:
                    self._lock.release()
        except Exception as error:  # the program must not suffer from its report
            print(f"memguard: no report: {type(error).__name__}: {error}", file=sys.__stderr__)

    def _write(self, trigger: str) -> None:
        with self._stream() as stream:
            for kind in self._options.kinds:
                with self._scan(kind) as report:
                    kept = report.where(self._is_wanted)
                    hidden = len(report.shapes) - len(kept.shapes)
                    if self._options.as_json:
                        line = {"trigger": trigger, "pid": os.getpid(), **kept.to_dict()}
                        line["shapes_hidden_count"] = hidden
                        print(json.dumps(line), file=stream)
                    else:
                        print(f"\n--- memguard: {kind} cycles ({trigger}) ---", file=stream)
                        print_report(kept, stream)
                        self._print_hints(kind, hidden, stream)

    def _print_hints(self, kind: str, hidden: int, stream: TextIO) -> None:
        if hidden:
            print(
                f"Hidden: {count(hidden, 'shape')} (standard library alone, too small, or of"
                " other types); --include-stdlib, --min-size and --type decide.",
                file=stream,
            )
        collections = _collection_count() - self._collections_before
        if kind == "garbage" and collections:
            print(
                f"The collector ran {count(collections, 'time')} meanwhile and may have freed"
                " others before; --gc off keeps all for the report.",
                file=stream,
            )

    def _scan(self, kind: ScanKind) -> ScanReport:
        return scan_beyond(
            self._known,
            kind,
            types=self._options.types or None,
            max_objects=self._options.max_objects,
            budget_seconds=self._options.budget_seconds,
        )

    def _is_wanted(self, shape: Shape) -> bool:
        if not self._options.include_stdlib and shape.is_library_only:
            return False
        return sum(shape.type_names.values()) >= self._options.min_size

    @contextlib.contextmanager
    def _stream(self) -> Iterator[TextIO]:
        if self._options.output is None:
            yield sys.__stderr__ or sys.stderr
        else:
            with self._options.output.open("a", encoding="utf-8") as file:
                yield file


def _collection_count() -> int:
    return sum(int(generation["collections"]) for generation in gc.get_stats())
