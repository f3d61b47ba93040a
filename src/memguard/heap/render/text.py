"""A report for people to read in a terminal."""

import re
import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from memguard.heap.names import short_name
from memguard.heap.render.remedy import advice_dict, advice_lines, advised

if TYPE_CHECKING:
    from memguard.heap.report import ScanReport
    from memguard.heap.saved import SavedReport, SavedShape
    from memguard.heap.shapes import Shape

SHAPES_ADVISED = 5
"""Entries with advice, which is found only for what is shown [count]."""

_MOST_TYPES = 6
_MOST_ORIGINS = 4
_POSITION = re.compile(r"(?<=\[)\d+(?=\])|(?<=<reference )\d+ (?=of )")
NOUNS = {"garbage": "garbage", "live": "live", "created": "new"}


@dataclass(frozen=True, slots=True)
class Path:
    """What a person reads as one: shapes whose loop is the same but for positions in lists.

    Trees of all sizes, and classes that each call makes anew, are many shapes
    and one reference to cut. The line is that of the shape with most objects.
    """

    text: str
    shape_count: int
    cycle_count: int
    object_count: int
    shallow_bytes: int
    retained_bytes: int
    shape: "Shape | SavedShape"
    owners: "dict[str, int]"

    @property
    def cycles(self) -> str:
        """Write the number of cycles, and of shapes if it tells something."""
        cycles = count(self.cycle_count, "cycle")
        return cycles if self.shape_count == 1 else f"{cycles} in {self.shape_count:,} shapes"


def alike(path: str) -> str:
    """Give a loop without positions, by which loops are told apart."""
    return _POSITION.sub("", path)


def merge_by_path(shapes: "Iterable[Shape | SavedShape]", *, verbose: bool = False) -> list[Path]:
    """Add up shapes that read alike, those with most objects first."""
    merged: dict[str, list[Shape | SavedShape]] = {}
    for shape in shapes:
        merged.setdefault(alike(shape.path), []).append(shape)
    paths = [path_of(same, verbose=verbose) for same in merged.values()]
    return sorted(paths, key=lambda path: (-path.object_count, path.text))


def path_of(same: "Sequence[Shape | SavedShape]", *, verbose: bool = False) -> Path:
    """Add up shapes that are one to a person; the first stands for all."""
    return Path(
        text=same[0].verbose_path if verbose else same[0].path,
        shape_count=len(same),
        cycle_count=sum(shape.cycle_count for shape in same),
        object_count=sum(shape.object_count for shape in same),
        shallow_bytes=sum(shape.shallow_bytes for shape in same),
        retained_bytes=sum(shape.retained_bytes for shape in same),
        shape=same[0],
        owners=_owners(same),
    )


def _owners(same: "Sequence[Shape | SavedShape]") -> dict[str, int]:
    counts: Counter[str] = Counter()
    for shape in same:
        counts.update(shape.told_owners)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def left_out(paths: Sequence[Path]) -> list[str]:
    """Say what was not shown."""
    if not paths:
        return []
    shapes = sum(path.shape_count for path in paths)
    cycles = sum(path.cycle_count for path in paths)
    return [f"... and {count(shapes, 'more shape')} with {count(cycles, 'cycle')}"]


def render_text(
    report: "ScanReport | SavedReport", *, width: int, most_shapes: int, verbose: bool = False
) -> str:
    """Write a report: verdict, shapes, what was left out."""
    lines = [verdict(report)]
    lines += unreachable(report)
    paths = merge_by_path(report.shapes, verbose=verbose)
    shown = paths[:most_shapes]
    for number, (path, advice) in enumerate(zip(shown, advice_on(shown, width), strict=True), 1):
        lines.append("")
        lines += _entry(number, path, width)
        lines += advice
    hidden = left_out(paths[most_shapes:])
    if hidden:
        lines += ["", *hidden]
    closing = notes(report)
    if closing:
        lines += ["", *closing]
    return "\n".join(lines)


def verdict(report: "ScanReport | SavedReport") -> str:
    """Say in one line what was found."""
    noun = NOUNS[report.kind]
    looked = f"{report.object_count:,} objects in {report.duration_seconds * 1e3:,.1f} ms"
    if report.mode == "snapshot":
        looked += f", {report.pause_seconds * 1e3:,.1f} ms of them a pause"
    cycles = report.cycle_count
    if cycles == 0:
        return f"No {noun} cycles found among {looked}."
    members = sum(shape.object_count for shape in report.shapes)
    return (
        f"{count(cycles, f'{noun} cycle')} in {count(len(report.shapes), 'shape')}:"
        f" {count(members, 'object')}; looked at {looked}."
    )


def unreachable(report: "ScanReport | SavedReport") -> list[str]:
    """Say what waits for the collector: cycles and what only they hold."""
    if report.kind == "live" or report.unreachable_count == 0:
        return []
    types = list(report.unreachable_types.items())
    listed = ", ".join(f"{number:,} {short_name(name)}" for name, number in types[:_MOST_TYPES])
    unlisted = len(types) - _MOST_TYPES
    more = f", {count(unlisted, 'more type')}" if unlisted > 0 else ""
    return [
        (
            f"{count(report.unreachable_count, 'object')} cannot be reached and wait for the"
            f" collector: {listed}{more}."
        )
    ]


def _entry(number: int, entry: Path, width: int) -> list[str]:
    head = (
        f"{number:>3}. {entry.cycles}, {count(entry.object_count, 'object')},"
        f" {size(entry.shallow_bytes)}, holding {size(entry.retained_bytes)}"
    )
    return [head, *path_lines(entry.text, width), *_origin_lines(entry, width)]


def _origin_lines(entry: Path, width: int) -> list[str]:
    """Say whose the cycles are, and where one of them was made, as far as it is known."""
    lines = []
    for word, counts in (("of", entry.owners), ("made at", entry.shape.allocated_at)):
        if counts:
            lines += path_lines(f"{word} {_listed(counts)}", width)
    return lines


def _listed(counts: Mapping[str, int]) -> str:
    shown = [f"{name} ({number:,})" for name, number in counts.items()]
    more = [f"{len(shown) - _MOST_ORIGINS:,} more"] * (len(shown) > _MOST_ORIGINS)
    return ", ".join([*shown[:_MOST_ORIGINS], *more])


def path_lines(path: str, width: int) -> list[str]:
    """Write a loop below the line that counts it."""
    return textwrap.wrap(
        path,
        width=max(width, 40),
        initial_indent="     ",
        subsequent_indent="       ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def advice_on(paths: Sequence[Path], width: int) -> list[list[str]]:
    """Say for each entry what to cut; nothing where no advice can be given."""
    return [
        [] if advice is None else advice_lines(advice_dict(advice), width)
        for advice in advised((path.shape for path in paths), SHAPES_ADVISED)
    ]


def notes(report: "ScanReport | SavedReport") -> list[str]:
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
