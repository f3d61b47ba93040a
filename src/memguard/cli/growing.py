"""What grows while a program runs in the same process.

Covers: looks on a thread, more seldom the longer it runs, and the report at the end.
Does not cover: what grows (``memguard.heap.growth``), reports of cycles (``reporter``).
"""

import atexit
import json
import os
import threading
import time

from memguard.cli.sink import Sink, complain
from memguard.errors import UnknownOptionError
from memguard.heap.growth.tracker import GrowthTracker

_FIRST_PERIOD_SECONDS = 0.05
_MOST_TIME_RATIO = 0.05
_LOOKS_BETWEEN_REPORTS = 5


class GrowthSampler:
    """Looks at the heap from `start` until the process ends, then reports.

    Only the process that was started reports. A failure is printed and changes
    nothing in the program.

    Args:
        sink: Where the report goes.
        form: "text" or "json".

    Raises:
        UnknownOptionError: *form* cannot show it.

    Thread-safety:
        It runs a thread of its own; `start` is for the main thread.
    """

    def __init__(self, sink: Sink, form: str) -> None:
        if form not in ("text", "json"):
            raise UnknownOptionError("--format with --growth", form, ("text", "json"))
        self._sink = sink
        self._form = form
        self._pid = os.getpid()
        self._tracker = GrowthTracker()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="memguard-growth", daemon=True)

    def start(self) -> None:
        """Begin to look, and arrange for the report."""
        atexit.register(self._at_end)
        self._thread.start()

    def _run(self) -> None:
        period_seconds = wait_seconds = _FIRST_PERIOD_SECONDS
        try:
            looks = 0
            while not self._stopped.wait(wait_seconds):
                begun_seconds = time.monotonic()
                if self._tracker.observe():
                    period_seconds *= 2
                looks += 1
                if looks % _LOOKS_BETWEEN_REPORTS == 0:
                    # What a function holds is gone at the end, and has its name from here.
                    self._tracker.report()
                taken_seconds = time.monotonic() - begun_seconds
                wait_seconds = max(period_seconds, taken_seconds / _MOST_TIME_RATIO)
        except Exception as error:  # the program must not suffer from being looked at
            complain(f"no more looks for growth: {type(error).__name__}: {error}")

    def _at_end(self) -> None:
        if os.getpid() != self._pid:
            return
        self._stopped.set()
        self._thread.join()
        try:
            report = self._tracker.report()
            if self._form == "json":
                self._sink.write(json.dumps({"kind": "growth", **report.to_dict()}) + "\n")
            else:
                self._sink.write(f"\nmemguard: process {self._pid}\n{report.to_text()}\n")
        except Exception as error:  # as above
            complain(f"no report of growth: {type(error).__name__}: {error}")
