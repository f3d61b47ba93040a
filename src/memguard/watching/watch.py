"""Look at the heap of a running service, and tell what changes.

Covers: the schedule, the history, events and log.
Does not cover: what is told (``trend``), full collections (``explaining``).
"""

import logging
import os
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import TracebackType

from memguard.errors import MemguardError
from memguard.events import Event, EventBus
from memguard.heap.arguments import ScanKind, ScanMode, checked_kind, checked_mode
from memguard.heap.growth.tracker import GrowthTracker
from memguard.heap.report import ScanReport
from memguard.heap.scan import scan_beyond
from memguard.heap.snapshot import can_fork
from memguard.settings import WatchSettings
from memguard.watching.events import CollectionExplained
from memguard.watching.explaining import CollectionExplainer
from memguard.watching.growing import ContainerLooks
from memguard.watching.lines import describe
from memguard.watching.trend import Look, Trend, decide, look_of

_LOG = logging.getLogger("memguard.watch")


class Watch:
    """Scan on a schedule, and tell which shapes of cycles are new, grow, or are too many.

    Each event is one line of the log "memguard.watch" and goes to the bus; the same is
    told again only once there is twice as much of it. Looks are put off when they would
    take more than their share of the time or memory is short.

    Args:
        kind: "live" sees what a program piles up; "garbage" what waits for the
            collector.
        mode: "snapshot" stops the program for a fork only; see `memguard.scan`.
        budgets: Objects of a shape that are allowed [count], by its key or by a
            pattern of its path such as ``"*Session*"``.
        settings: The schedule and the rules.
        events: Who is told.
        explain_collections: Say after long full collections what they freed; by
            snapshots, so on Linux only.
        growth: Tell of containers and types that grow, too.
        clock: Seconds that only grow; tests give their own.

    Raises:
        UnknownOptionError: *kind* or *mode* does not exist.

    Thread-safety:
        Any thread. In a forked child it does not look; one of its own can be made there.
    """

    def __init__(
        self,
        kind: ScanKind = "live",
        *,
        mode: ScanMode = "snapshot",
        budgets: Mapping[str, int] | None = None,
        settings: WatchSettings | None = None,
        events: EventBus | None = None,
        explain_collections: bool = True,
        growth: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings or WatchSettings()
        self.events = events or EventBus()
        self._failure_count = 0
        self._kind = checked_kind(kind)
        self._mode = checked_mode(mode)
        self._budgets = dict(budgets or {})
        self._clock = clock
        self._trend = Trend()
        self._containers = ContainerLooks(self.settings, self._mode) if growth else None
        self._paths: dict[frozenset[str], str] = {}
        self._has_told_of_fallback = False
        self._looking = threading.Lock()
        self._ended = threading.Event()
        self._wake = threading.Event()
        self._pid = os.getpid()
        self._thread: threading.Thread | None = None
        self._explainer = (
            CollectionExplainer(self.settings, self._wake.set)
            if explain_collections and can_fork()
            else None
        )

    @property
    def history(self) -> tuple[Look, ...]:
        """The last looks, oldest first."""
        return self._trend.looks[-self.settings.history_count :]

    @property
    def failure_count(self) -> int:
        """Looks, and explanations of collections, that failed or were not begun [count]."""
        return self._failure_count + (self._explainer.failure_count if self._explainer else 0)

    def look(self) -> tuple[Event, ...]:
        """Scan now, and tell what is to be told.

        Returns:
            The events, which were also logged and given to the bus.

        Raises:
            MemguardError: As `memguard.scan`.
        """
        with self._looking:
            with scan_beyond(
                None, self._kind, mode=self._mode, is_cancelled=self._ended.is_set
            ) as report:
                look = look_of(report, self._clock())
                self._remember_paths(report)
            self._trend, events = decide(look, self._budgets, self.settings, self._trend)
        self._tell_of_fallback(look)
        for event in events:
            self._tell(event)
        return (*events, *self._look_at_containers())

    def _look_at_containers(self) -> tuple[Event, ...]:
        if self._containers is None:
            return ()
        with self._looking:
            events = self._containers.look(self._clock(), self._ended.is_set)
        self._tell_of_fallback(self._containers.tracker)
        for event in events:
            self._tell(event)
        return events

    def _tell_of_fallback(self, look: Look | GrowthTracker) -> None:
        if look.fallback_reason and not self._has_told_of_fallback:
            self._has_told_of_fallback = True
            _LOG.warning(
                "looks stop the program for as long as they take (%.0f ms): %s",
                look.pause_seconds * 1e3,
                look.fallback_reason,
            )

    def _remember_paths(self, report: ScanReport) -> None:
        for shape in report.shapes:
            if shape.edges:
                self._paths[frozenset(shape.type_names)] = shape.path

    def start(self) -> "Watch":
        """Look every so often, on a thread of its own, until `close`."""
        if self._thread is None and not self._ended.is_set():
            self._thread = threading.Thread(target=self._run, name="memguard-watch", daemon=True)
            if self._explainer is not None:
                self._explainer.start()
            self._thread.start()
        return self

    def close(self) -> None:
        """End it, a scan that is at work included; to do it again does nothing."""
        self._ended.set()
        self._wake.set()
        if self._explainer is not None:
            self._explainer.stop()
        thread = self._thread
        # After a fork there is no such thread in the child.
        is_elsewhere = thread is threading.current_thread() or os.getpid() != self._pid
        if thread is not None and not is_elsewhere:
            thread.join()

    def __enter__(self) -> "Watch":
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _run(self) -> None:
        next_seconds = time.monotonic() + self._wait_seconds(0.0)
        while not self._ended.is_set():
            self._wake.wait(max(0.0, next_seconds - time.monotonic()))
            self._wake.clear()
            if self._ended.is_set():
                break
            self._attempt(self._explain)
            if time.monotonic() >= next_seconds:
                begun_seconds = time.monotonic()
                self._attempt(self.look)
                next_seconds = time.monotonic() + self._wait_seconds(
                    time.monotonic() - begun_seconds
                )

    def _wait_seconds(self, taken_seconds: float) -> float:
        """How long to wait after a look that took so long."""
        settings = self.settings
        jitter = 1 + settings.jitter_ratio * random.uniform(-1, 1)
        share = settings.most_time_ratio
        return max(settings.every_seconds * jitter, taken_seconds / share - taken_seconds)

    def _attempt(self, action: Callable[[], object]) -> None:
        try:
            action()
        except Exception as error:  # a look that fails must not end the watch
            if self._ended.is_set():
                return
            self._failure_count += 1
            if self._failure_count == 1 or not isinstance(error, MemguardError):
                is_known = isinstance(error, MemguardError)
                _LOG.warning("no look was had: %s", error, exc_info=not is_known)

    def _explain(self) -> None:
        if self._explainer is None:
            return
        explained = self._explainer.explain(self._paths, self._ended.is_set)
        if explained is not None:
            self._tell(explained)

    def _tell(self, event: Event) -> None:
        level = logging.INFO if isinstance(event, CollectionExplained) else logging.WARNING
        _LOG.log(level, "%s", describe(event))
        self.events.emit(event)


def watch(
    every_seconds: float | None = None,
    *,
    kind: ScanKind = "live",
    mode: ScanMode = "snapshot",
    budgets: Mapping[str, int] | None = None,
    settings: WatchSettings | None = None,
    events: EventBus | None = None,
    explain_collections: bool = True,
    growth: bool = False,
) -> Watch:
    """Look at the heap every so often, and tell what changes, until it is closed.

    Args:
        every_seconds: Time between two looks [s]; None for that of *settings*, 60.
        kind: See `Watch`, like all that follows.
        mode: See `Watch`.
        budgets: See `Watch`.
        settings: See `Watch`.
        events: See `Watch`.
        explain_collections: See `Watch`.
        growth: See `Watch`.

    Returns:
        The watch, started; close it, or use it in a ``with`` block.

    Raises:
        UnknownOptionError: *kind* or *mode* does not exist.
        WrongSettingError: *every_seconds* is out of range.

    Cost:
        A thread, and a scan every so often; see `memguard.scan` for a snapshot's. For
        *growth* another snapshot each time, and `GrowthTracker.report` every so often.
    """
    settings = settings or WatchSettings()
    if every_seconds is not None:
        settings = replace(settings, every_seconds=every_seconds)
    return Watch(
        kind,
        mode=mode,
        budgets=budgets,
        settings=settings,
        events=events,
        explain_collections=explain_collections,
        growth=growth,
    ).start()
