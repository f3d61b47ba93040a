"""Numbers of a running process as words, and what grew between its scans.

Covers: lines about statistics, rows about shapes.
Does not cover: putting them on a screen (``screen``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from memguard.heap.difference import difference_between
from memguard.heap.render.text import size
from memguard.heap.saved import SavedReport

SORTS = ("growth", "cycles", "holding")
_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


@dataclass(frozen=True, slots=True)
class GrowthRow:
    """One shape of cycles, over the scans so far.

    Attributes:
        kind: "garbage" or "live".
        path: Its loop.
        cycle_count: Cycles in the last scan.
        grown_count: How many more than in the first scan; None after one scan.
        per_minute_count: The same by time; None after one scan.
        retained_bytes: What they hold [bytes].
    """

    kind: str
    path: str
    cycle_count: int
    grown_count: int | None
    per_minute_count: float | None
    retained_bytes: int


@dataclass(frozen=True, slots=True)
class TimedScan:
    """Reports of all kinds, made together.

    Attributes:
        at_seconds: When, by a clock that only grows [s].
        reports: The reports, by kind.
        documents: The same, as they are saved.
    """

    at_seconds: float
    reports: Mapping[str, SavedReport]
    documents: tuple[dict[str, Any], ...]

    @property
    def pause_seconds(self) -> float:
        """How long the process stood still for it, together [s]."""
        return sum(report.pause_seconds for report in self.reports.values())

    @property
    def object_count(self) -> int:
        """Objects that were looked at."""
        return max(report.object_count for report in self.reports.values())


def growth_rows(first: TimedScan, last: TimedScan, sort: str = "growth") -> list[GrowthRow]:
    """Compare two scans shape by shape, or list the only one.

    Args:
        first: The first scan; the last one itself where there is no other.
        last: The newest scan.
        sort: One of `SORTS`: the most of it first.
    """
    minutes = (last.at_seconds - first.at_seconds) / 60
    rows = [
        GrowthRow(
            kind,
            change.path,
            change.cycle_count,
            grown if minutes > 0 else None,
            grown / minutes if minutes > 0 else None,
            change.retained_bytes,
        )
        for kind, report in last.reports.items()
        for change in difference_between(first.reports[kind], report).changes
        for grown in (change.cycle_count - change.earlier_cycle_count,)
        # Garbage that is gone was collected, which is as it should be.
        if kind == "live" or change.change != "gone"
    ]
    keys = {
        "growth": lambda row: (-(row.grown_count or 0), -row.cycle_count, row.path),
        "cycles": lambda row: (-row.cycle_count, row.path),
        "holding": lambda row: (-row.retained_bytes, row.path),
    }
    return sorted(rows, key=keys[sort])


def duration(seconds: float) -> str:
    """Write a time in its two largest units."""
    left = int(seconds)
    parts: list[str] = []
    for unit_seconds, name in _UNITS:
        number, left = divmod(left, unit_seconds)
        if number or (parts and len(parts) < 2):
            parts.append(f"{number} {name}")
    return " ".join(parts[:2]) or "0 s"


def milliseconds(seconds: float) -> str:
    """Write a short time."""
    return f"{seconds * 1e3:,.1f} ms"


def memory_lines(memory: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Give names and values about memory."""
    limit = memory["limit"]
    lines = [("resident", size(memory["rss_bytes"]))]
    if memory["in_use_bytes"] is not None:
        lines.append(("in use", size(memory["in_use_bytes"])))
    if limit is not None:
        lines.append(("limit", f"{size(limit['limit_bytes'])} ({source_of(limit)})"))
    return lines


def source_of(limit: Mapping[str, Any]) -> str:
    """Say where a limit is from, briefly."""
    source = str(limit["source"])
    return "control group" if source.startswith("/") else source


def collector_lines(collector: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Give names and values about what the collector has to look at."""
    pending = zip(collector["pending_counts"], collector["thresholds"], strict=False)
    lines = [
        (f"generation {number}", f"{count:,} of {threshold:,}")
        for number, (count, threshold) in enumerate(pending)
    ]
    lines.append(("freed so far", f"{collector['collected_count']:,}"))
    lines.append(("frozen", f"{collector['frozen_count']:,}"))
    if not collector["is_enabled"]:
        lines.append(("automatic", "off"))
    return lines


def pause_lines(pauses: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Give names and values about pauses."""
    since = max(pauses["since_seconds"], 1e-9)
    return [
        ("collections", f"{pauses['collection_count']:,} in {duration(since)}"),
        ("longest", milliseconds(pauses["longest_seconds"])),
        ("99 of 100 below", milliseconds(pauses["p99_seconds"])),
        ("share of time", f"{pauses['total_seconds'] / since:.2%}"),
    ]


def agent_lines(agents: Mapping[str, int] | None) -> list[tuple[str, str]]:
    """Give names and values about agents."""
    if agents is None:
        return [("", "no Guard runs there")]
    names = ("active", "waiting", "begun", "ended", "died", "refused")
    return [(name, f"{agents.get(f'{name}_count', 0):,}") for name in names]


def plain_lines(stats: Mapping[str, Any]) -> list[str]:
    """Write statistics for a script or a log."""
    sections: Sequence[tuple[str, list[tuple[str, str]]]] = (
        ("Memory", memory_lines(stats["memory"])),
        ("Objects", collector_lines(stats["collector"])),
        ("Pauses", pause_lines(stats["pauses"])),
        ("Agents", agent_lines(stats["agents"])),
    )
    lines = [f"Process {stats['pid']}, Python {stats['python']}, {stats['threads_count']} threads"]
    for title, values in sections:
        lines.append(title)
        lines += [f"  {name:<16} {value}".rstrip() for name, value in values]
    if stats["scanning_seconds"] is not None:
        lines.append(f"A scan has run for {stats['scanning_seconds']:.1f} s.")
    return lines
