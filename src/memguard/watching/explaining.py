"""What full collections free, and how long that takes.

Covers: a snapshot when a full collection starts, and what it says once the child
answered.
Does not cover: other looks (``watch``); counting pauses (``memguard.pressure.pauses``).
"""

import gc
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from memguard.errors import HeadroomShortError
from memguard.heap.report import ScanReport
from memguard.heap.selection import Selection
from memguard.heap.snapshot import Asked, ChildScan, require_headroom
from memguard.settings import WatchSettings
from memguard.watching.events import CollectionExplained

_LOG = logging.getLogger("memguard.watch")
_FULL = 2
_ASKED = Asked("garbage", 0, None, 0, 0.0, None)


class CollectionExplainer:
    """Take a snapshot at the start of full collections.

    When the collector says that it starts, all objects are still in its lists, and what
    is garbage is what it is about to free.

    Args:
        settings: How often, and which.
        ready: Called when there is something for `explain`; on the thread that collects.

    Attributes:
        failure_count: Collections of which no snapshot was to be had [count].

    Cost:
        A fork for each collection that is looked at, before it begins; nothing else on
        the thread that collects.

    Thread-safety:
        The collector calls it on whichever thread collects, one at a time; `explain` is
        for one other thread.
    """

    def __init__(self, settings: WatchSettings, ready: Callable[[], object]) -> None:
        self._settings = settings
        self._ready = ready
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._child: ChildScan | None = None
        self._begun_seconds = 0.0
        self._waiting: list[tuple[ChildScan, float, int]] = []
        self._next_seconds = 0.0
        self.failure_count = 0
        # One object, so that it can be found again among the callbacks.
        self._callback = self._note

    def start(self) -> None:
        """Begin."""
        # What that loads must not be loaded while the collector runs.
        with suppress(HeadroomShortError):
            require_headroom()
        gc.callbacks.append(self._callback)

    def stop(self) -> None:
        """End; children that are at work are killed."""
        if self._callback in gc.callbacks:
            gc.callbacks.remove(self._callback)
        self._child = None
        self._waiting.clear()

    def _note(self, phase: str, info: Mapping[str, Any]) -> None:
        if info["generation"] != _FULL or os.getpid() != self._pid:
            return
        try:
            if phase == "start":
                self._begin()
            else:
                self._end(info["collected"])
        except Exception:  # the program collects, and must not be told of this
            self.failure_count += 1
            level = logging.WARNING if self.failure_count == 1 else logging.DEBUG
            _LOG.log(level, "a full collection is not explained", exc_info=True)

    def _begin(self) -> None:
        now = time.monotonic()
        self._child = None
        if now >= self._next_seconds and not self._waiting:
            self._next_seconds = now + self._settings.explain_every_seconds
            require_headroom()
            self._child = ChildScan(_ASKED)
        self._begun_seconds = time.perf_counter()

    def _end(self, collected_count: int) -> None:
        pause_seconds = time.perf_counter() - self._begun_seconds
        child, self._child = self._child, None
        if child is None:
            return
        if pause_seconds < self._settings.explain_pause_seconds:
            # It cost a fork, but no look was had: the next collection may have one.
            self._next_seconds = 0.0
            return
        self._waiting.append((child, pause_seconds, collected_count))
        self._ready()

    def explain(
        self, known: Mapping[frozenset[str], str], is_cancelled: Callable[[], bool]
    ) -> CollectionExplained | None:
        """Wait for the child that saw what a collection freed.

        Args:
            known: Loops of shapes that were seen before, by the types of their members.
            is_cancelled: As for a scan.

        Returns:
            What was freed; None when no collection waits to be explained.

        Raises:
            SnapshotFailedError: The child did not answer.
        """
        if not self._waiting:
            return None
        child, pause_seconds, collected_count = self._waiting[0]
        try:
            graph = child.wait(is_cancelled)
        finally:
            # Only now may there be another child.
            self._waiting.clear()
        with ScanReport(
            "garbage", (graph,), frozenset(), explain=False, selection=Selection()
        ) as report:
            counts: dict[str, int] = {}
            for shape in report.shapes:
                name = known.get(frozenset(shape.type_names)) or ", ".join(shape.type_names)
                counts[name] = counts.get(name, 0) + shape.object_count
        most_first = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        return CollectionExplained(pause_seconds, collected_count, tuple(most_first))
