"""Containers and types that grow, from look to look of a watch.

Covers: the looks, and what is told of a report: once, until there is twice as much.
Does not cover: what grows (``memguard.heap.growth``), the schedule (``watch``).
"""

import re
from collections.abc import Callable, Mapping

from memguard.heap.arguments import ScanMode
from memguard.heap.growth.history import Place
from memguard.heap.growth.report import GrowthFinding, GrowthReport
from memguard.heap.growth.tracker import GrowthTracker
from memguard.settings import WatchSettings
from memguard.watching.events import ContainerGrows

_NUMBER = re.compile(r"\d+")

Named = tuple[str, str]
"""Of a finding: its name, and the way to it."""

Rising = Place | str
"""A container, or the name of a type."""


def decide(
    report: GrowthReport, told: Mapping[Named, int]
) -> tuple[dict[Named, int], tuple[ContainerGrows, ...]]:
    """Say what is to be told of a report.

    Args:
        report: By the minute.
        told: How many there were when something was told last, by name and way [count].

    Returns:
        What was told, and the events.
    """
    now = dict(told)
    events = []
    for finding in report.findings:
        named = _named(finding)
        if finding.entry_count >= 2 * told.get(named, 0):
            now[named] = finding.entry_count
            events.append(
                ContainerGrows(
                    name=finding.name,
                    kind=finding.kind,
                    path=finding.path,
                    holder=finding.holder,
                    count=finding.entry_count,
                    per_minute_count=finding.entries_per_run,
                    per_minute_bytes=finding.bytes_per_run,
                )
            )
    return now, tuple(events)


def _named(finding: GrowthFinding) -> Named:
    """Tell containers of one name apart, such as an attribute of two objects.

    Numbers in a way may be others in the next report, as may the way to a type.
    """
    return finding.name, "" if finding.kind == "type" else _NUMBER.sub("", finding.path)


def newly_counted(rising: Mapping[Rising, int], before: Mapping[Rising, int]) -> dict[Rising, int]:
    """Say how many there were of what rises when it was news, the last time that it was.

    Args:
        rising: How many there are now [count].
        before: What this gave before.

    Returns:
        For each the number now if that is twice as many as then; else the number then.
    """
    return {
        key: count if count >= 2 * before.get(key, 0) else before[key]
        for key, count in rising.items()
    }


class ContainerLooks:
    """Look at containers and types whenever a watch looks.

    Attributes:
        tracker: What looks.

    Args:
        settings: How often it is asked what grows, and after how many looks.
        mode: See `GrowthTracker`.

    Thread-safety:
        One caller at a time.
    """

    def __init__(self, settings: WatchSettings, mode: ScanMode = "inline") -> None:
        self._settings = settings
        self.tracker = GrowthTracker("minute", warmup_looks=settings.warmup_count, mode=mode)
        self._look_count = 0
        self._told: dict[Named, int] = {}
        self._news: dict[Rising, int] = {}

    def look(
        self, at_seconds: float, is_cancelled: Callable[[], bool] = bool
    ) -> tuple[ContainerGrows, ...]:
        """Look at the heap, and every so often say what is to be told.

        Args:
            at_seconds: When, by the clock of the watch; later than before [s].
            is_cancelled: Asked while a snapshot runs; true ends it.

        Raises:
            LimitOutOfRangeError: The clock did not go on.
            MemoryError: A native table could not be had.
            SnapshotFailedError: The child of a snapshot was killed, or hung.
        """
        self.tracker.observe(at_seconds / 60, is_cancelled=is_cancelled)
        self._look_count += 1
        settings = self._settings
        seen_count = self._look_count - settings.warmup_count
        if seen_count < settings.steady_count or seen_count % settings.growth_count:
            return ()
        news = newly_counted(self.tracker.rising(), self._news)
        # A report holds everything up, and would tell of nothing that was not told.
        if news.items() <= self._news.items():
            return ()
        self._told, events = decide(self.tracker.report(), self._told)
        self._news = news
        return events
