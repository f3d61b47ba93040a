"""Containers and types that grow, from look to look of a watch.

Covers: the looks, and what is told of a report: once, until there is twice as much.
Does not cover: what grows (``memguard.heap.growth``), the schedule (``watch``).
"""

import re
from collections.abc import Mapping

from memguard.heap.growth.report import GrowthFinding, GrowthReport
from memguard.heap.growth.tracker import GrowthTracker
from memguard.settings import WatchSettings
from memguard.watching.events import ContainerGrows

_NUMBER = re.compile(r"\d+")

Named = tuple[str, str]
"""Of a finding: its name, and the way to it."""


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


class ContainerLooks:
    """Look at containers and types whenever a watch looks.

    Args:
        settings: How often it is asked what grows, and after how many looks.

    Thread-safety:
        One caller at a time.
    """

    def __init__(self, settings: WatchSettings) -> None:
        self._settings = settings
        self._tracker = GrowthTracker("minute", warmup_looks=settings.warmup_count)
        self._look_count = 0
        self._told: dict[Named, int] = {}

    def look(self, at_seconds: float) -> tuple[ContainerGrows, ...]:
        """Look at the heap, and every so often say what is to be told.

        Args:
            at_seconds: When, by the clock of the watch; later than before [s].

        Raises:
            LimitOutOfRangeError: The clock did not go on.
            MemoryError: A native table could not be had.
        """
        self._tracker.observe(at_seconds / 60)
        self._look_count += 1
        settings = self._settings
        seen_count = self._look_count - settings.warmup_count
        if seen_count < settings.steady_count or seen_count % settings.growth_count:
            return ()
        self._told, events = decide(self._tracker.report(), self._told)
        return events
