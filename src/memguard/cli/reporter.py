"""Reports about a program that runs in the same process.

Covers: when to report (at the end, on SIGUSR1, every N seconds), what counts
as the program's own.
Does not cover: running the program (``program``), where reports go (``sink``),
how they look (``terminal``), the scan.
"""

import atexit
import contextlib
import gc
import json
import os
import signal
import sys
import threading
import time
from collections import Counter, deque
from dataclasses import dataclass
from types import FrameType
from typing import Any

from memguard._core import HeapGraph
from memguard.cli.gate import Gate
from memguard.cli.sink import Sink, complain, show_status
from memguard.cli.terminal import render
from memguard.errors import MemguardError
from memguard.heap.arguments import ScanKind
from memguard.heap.render.text import count
from memguard.heap.report import ScanReport
from memguard.heap.saved import SavedReport
from memguard.heap.scan import hold_live_cycles, scan, scan_beyond
from memguard.heap.selection import keeps_any_of
from memguard.heap.shapes import Shape

_WHEN = {"end": "at its end", "signal": "on SIGUSR1", "timer": "at an interval"}
_HINT_COLLECTED = "The collector ran {} meanwhile and may have freed others; --gc off keeps them."
_HINT_WEAK = (
    "Next: make the reference that points back weak (weakref.ref, WeakMethod), or clear it when"
    " done."
)


@dataclass(frozen=True, slots=True)
class ReportOptions:
    """What to report.

    Attributes:
        kinds: Kinds of cycles, in order.
        format: "text", "json", "html" or "dot".
        min_size: Smallest cycle to report [objects].
        types: Report only cycles with one of these, "module.QualName".
        verbose: Show every step of each loop.
        include_stdlib: Report cycles of the standard library alone, too.
        max_objects: See `scan`.
        budget_seconds: See `scan`.
    """

    kinds: tuple[ScanKind, ...]
    format: str
    min_size: int
    types: tuple[str, ...]
    verbose: bool
    include_stdlib: bool
    max_objects: int | None
    budget_seconds: float | None


class Reporter:
    """Reports on the program, from `start` until the process ends.

    Only the process that was started reports: a fork has a copy of this and
    stays silent. A failure to report is printed and never changes what the
    program does.

    Thread-safety: reports come one after another, from whichever thread; one
    asked for during another follows it.
    """

    def __init__(self, options: ReportOptions, sink: Sink, gate: Gate) -> None:
        self._options = options
        self._sink = sink
        self._gate = gate
        self._pid = os.getpid()
        self._started_seconds = time.monotonic()
        self._collections_before = 0
        self._known: HeapGraph | None = None
        self._asked: deque[str] = deque()
        self._reporting = threading.Lock()
        self._stopped = threading.Event()
        self._timer: threading.Thread | None = None

    def start(self, every_seconds: float | None) -> None:
        """Arrange for reports at the end, on SIGUSR1 and at intervals."""
        if every_seconds is not None:
            self._timer = threading.Thread(
                target=self._at_intervals,
                args=(every_seconds,),
                name="memguard-report",
                daemon=True,
            )
        self._remember_what_is_there()
        # Registered before the program's own, so run after them; by then
        # the interpreter has joined the program's threads.
        atexit.register(self._at_end)
        if hasattr(signal, "SIGUSR1"):
            signal.signal(signal.SIGUSR1, self._on_signal)
        if self._timer is not None:
            self._timer.start()

    def _remember_what_is_there(self) -> None:
        """Tell cycles of the interpreter and of memguard from the program's."""
        # A report for nobody brings what reports bring with them: modules,
        # caches, and the classes that rich makes.
        with scan("live") as report:
            self._rendered([self._described("live", report, Counter(), "end")])
        gc.collect()
        self._known = hold_live_cycles()
        self._collections_before = _collection_count()

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.report("signal")

    def _at_intervals(self, every_seconds: float) -> None:
        while not self._stopped.wait(every_seconds):
            self.report("timer")

    def _at_end(self) -> None:
        if os.getpid() != self._pid:
            return
        self._stopped.set()
        sys.settrace(None)
        sys.setprofile(None)
        try:
            if self._timer is not None:
                self._timer.join()
            if sys.__stdout__ is not None:
                with contextlib.suppress(OSError, ValueError):
                    sys.__stdout__.flush()  # the program's words before ours
            # A program that failed has ended, too: what the interpreter keeps
            # of it is the traceback with all its frames.
            for name in ("last_exc", "last_type", "last_value", "last_traceback"):
                sys.__dict__.pop(name, None)
            self.report("end")
            self._judge()
        except KeyboardInterrupt:
            complain("no report: interrupted")
        if hasattr(signal, "SIGUSR1") and signal.getsignal(signal.SIGUSR1) == self._on_signal:
            # Too late to report, and no reason to die of it.
            signal.signal(signal.SIGUSR1, signal.SIG_IGN)

    def report(self, trigger: str) -> None:
        """Scan and write; what goes wrong is printed only."""
        if os.getpid() != self._pid:
            return
        # Never waiting: a signal may interrupt a report of the same thread,
        # which then makes this one, too.
        self._asked.append(trigger)
        while self._asked and self._reporting.acquire(blocking=False):
            try:
                while self._asked:
                    self._write(self._asked.popleft())
            except Exception as error:  # the program must not suffer from its report
                show_status("")
                complain(f"no report: {type(error).__name__}: {error}")
            finally:
                self._reporting.release()

    def _write(self, trigger: str) -> None:
        described = []
        found = False
        for kind in self._options.kinds:
            show_status(f"memguard: looking for {kind} cycles ...")
            with self._scan(kind) as report:
                kept, left_out = self._sift(report)
                found = found or bool(kept.shapes)
                self._gate.see(kept)
                described.append(self._described(kind, kept, left_out, trigger))
        text = self._rendered(described)
        show_status("")
        if self._options.format in ("html", "dot"):
            self._sink.replace(text)
        else:
            hint = f"\n{_HINT_WEAK}\n" if found and self._options.format == "text" else ""
            self._sink.write(text + hint)

    def _judge(self) -> None:
        """Tell what is new, on standard error in any case."""
        try:
            verdict, _ = self._gate.judge()
        except MemguardError as error:
            verdict = f"memguard: {error}\n"
        if verdict:
            complain(verdict.removeprefix("memguard: ").removesuffix("\n"))

    def _scan(self, kind: ScanKind) -> ScanReport:
        return scan_beyond(
            self._known,
            kind,
            max_objects=self._options.max_objects,
            budget_seconds=self._options.budget_seconds,
        )

    def _sift(self, report: ScanReport) -> tuple[ScanReport, Counter[str]]:
        """Narrow a report to what was asked for, and count what that leaves out."""
        reasons = {shape: self._reason_against(shape) for shape in report.shapes}
        kept = report.where(lambda shape: not reasons[shape])
        return kept, Counter(filter(None, reasons.values()))

    def _reason_against(self, shape: Shape) -> str:
        """Say why a shape is left out; empty when it is not."""
        options = self._options
        if not options.include_stdlib and shape.is_library_only:
            return "of the standard library alone (see --include-stdlib)"
        if sum(shape.type_names.values()) < options.min_size:
            return f"with fewer than {count(options.min_size, 'object')} (--min-size)"
        if options.types:
            types = shape.graph.cycle_types(shape.exemplar.index)
            if not keeps_any_of(options.types)(types):
                return f"without an instance of {' or '.join(options.types)} (--type)"
        return ""

    def _described(
        self, kind: ScanKind, report: ScanReport, left_out: Counter[str], trigger: str
    ) -> str | dict[str, Any]:
        """Give a report as text, or as a document with when and where it was made."""
        elapsed_seconds = time.monotonic() - self._started_seconds
        if self._options.format != "text":
            return {
                "trigger": trigger,
                "pid": self._pid,
                "elapsed_seconds": elapsed_seconds,
                **report.to_dict(),
                "shapes_left_out_count": left_out.total(),
            }
        hints = [f"Left out: {count(number, 'shape')} {why}." for why, number in left_out.items()]
        collections = _collection_count() - self._collections_before
        if kind == "garbage" and collections:
            hints.append(_HINT_COLLECTED.format(count(collections, "time")))
        stream = sys.__stderr__ if self._sink.has_terminal else None
        shown = render(report, stream, verbose=self._options.verbose)
        lines = ["", self._title(kind, trigger, elapsed_seconds), shown]
        if hints:
            lines += ["", *hints]
        return "\n".join(lines) + "\n"

    def _rendered(self, described: list[str | dict[str, Any]]) -> str:
        documents = [item for item in described if isinstance(item, dict)]
        if self._options.format == "html":
            from memguard.heap.render.html import render_page

            return render_page([SavedReport.from_dict(document) for document in documents])
        if self._options.format == "dot":
            from memguard.heap.render.dot import render_dot

            return render_dot([SavedReport.from_dict(document) for document in documents])
        return "".join(
            item if isinstance(item, str) else json.dumps(item) + "\n" for item in described
        )

    def _title(self, kind: str, trigger: str, elapsed_seconds: float) -> str:
        when = f"{_WHEN[trigger]}, after {elapsed_seconds:,.1f} s"
        return f"memguard: {kind} cycles of process {self._pid}, {when}"


def _collection_count() -> int:
    return sum(int(generation["collections"]) for generation in gc.get_stats())
