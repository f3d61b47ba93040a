"""A report for people to read in a terminal."""

import textwrap
from typing import TYPE_CHECKING

from memguard.heap.names import short_name

if TYPE_CHECKING:
    from memguard.heap.report import ScanReport
    from memguard.heap.shapes import Shape

_MOST_TYPES = 6
_NOUNS = {"garbage": "garbage", "live": "live", "created": "new"}


def render_text(report: "ScanReport", *, width: int, most_shapes: int) -> str:
    """Write a report: verdict, shapes, what was left out."""
    lines = [verdict(report)]
    lines += unreachable(report)
    shown = report.shapes[:most_shapes]
    for number, shape in enumerate(shown, 1):
        lines.append("")
        lines += _shape(number, shape, width)
    hidden = report.shapes[most_shapes:]
    if hidden:
        cycles = sum(shape.cycle_count for shape in hidden)
        lines += ["", f"... and {count(len(hidden), 'more shape')} with {count(cycles, 'cycle')}"]
    closing = notes(report)
    if closing:
        lines += ["", *closing]
    return "\n".join(lines)


def verdict(report: "ScanReport") -> str:
    """Say in one line what was found."""
    noun = _NOUNS[report.kind]
    looked = f"{report.object_count:,} objects in {report.duration_seconds * 1e3:,.1f} ms"
    cycles = report.cycle_count
    if cycles == 0:
        return f"No {noun} cycles found among {looked}."
    members = sum(shape.object_count for shape in report.shapes)
    return (
        f"{count(cycles, f'{noun} cycle')} in {count(len(report.shapes), 'shape')}:"
        f" {count(members, 'object')}; looked at {looked}."
    )


def unreachable(report: "ScanReport") -> list[str]:
    """Say what waits for the collector: cycles and what only they hold."""
    if report.kind == "live" or report.unreachable_count == 0:
        return []
    types = list(report.unreachable_types.items())
    listed = ", ".join(f"{number:,} {short_name(name)}" for name, number in types[:_MOST_TYPES])
    more = f", {len(types) - _MOST_TYPES} more types" if len(types) > _MOST_TYPES else ""
    return [
        (
            f"{count(report.unreachable_count, 'object')} cannot be reached and wait for the"
            f" collector: {listed}{more}."
        )
    ]


def _shape(number: int, shape: "Shape", width: int) -> list[str]:
    head = (
        f"{number:>3}. {count(shape.cycle_count, 'cycle')}, {count(shape.object_count, 'object')},"
        f" {size(shape.shallow_bytes)}, holding {size(shape.retained_bytes)}"
    )
    path = textwrap.wrap(
        shape.path,
        width=max(width, 40),
        initial_indent="     ",
        subsequent_indent="       ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [head, *path]


def notes(report: "ScanReport") -> list[str]:
    """Say what the report does not cover."""
    lines = []
    if not report.complete:
        lines.append(f"Partial: stopped by {report.stopped_by}; there may be more.")
    if report.cuts:
        lines.append(f"Not followed: {', '.join(sorted(report.cuts))} (cuts=() follows all).")
    if report.suspect_count:
        lines.append(
            f"{count(report.suspect_count, 'object')} with contradictory reference counts"
            " (a C extension at fault?) taken as alive."
        )
    return lines


def count(number: int, noun: str) -> str:
    """Write a count with its noun."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def size(number_bytes: int) -> str:
    """Write bytes in a unit that leaves few digits."""
    if number_bytes < 1024:
        return f"{number_bytes} B"
    for unit in ("KiB", "MiB"):
        number_bytes_in_unit = number_bytes / (1024 if unit == "KiB" else 1024**2)
        if number_bytes_in_unit < 1024:
            return f"{number_bytes_in_unit:,.1f} {unit}"
    return f"{number_bytes / 1024**3:,.1f} GiB"
