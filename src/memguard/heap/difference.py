"""What changed from one report to a later one.

Covers: telling shapes again, counting their cycles.
Does not cover: which single cycles are the same; ids are used anew.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from memguard.errors import MismatchedReportsError
from memguard.heap.render.text import Path, alike, count, merge_by_path, path_of, size
from memguard.heap.saved import SavedReport, SavedShape
from memguard.heap.shapes import Shape

if TYPE_CHECKING:
    from memguard.heap.report import ScanReport

Change = Literal["new", "grown", "smaller", "gone", "unchanged"]


@dataclass(frozen=True, slots=True)
class ShapeChange:
    """What became of a shape.

    Attributes:
        change: "new", "grown", "smaller", "gone" or "unchanged", by the number
            of cycles.
        path: The loop, as in `Shape.path`.
        earlier_cycle_count: Cycles in the earlier report.
        cycle_count: Cycles in the later report.
        earlier_retained_bytes: What they retained [bytes].
        retained_bytes: The same, in the later report [bytes].
    """

    change: Change
    path: str
    earlier_cycle_count: int
    cycle_count: int
    earlier_retained_bytes: int
    retained_bytes: int


@dataclass(frozen=True, slots=True)
class ReportDifference:
    """Shapes of two reports, compared.

    Attributes:
        kind: That of both reports.
        changes: Each shape, those with most new cycles first.
        complete: False when one of the reports is partial; then what seems
            new or gone may only not have been looked at.
    """

    kind: str
    changes: tuple[ShapeChange, ...]
    complete: bool

    def _only(self, change: Change) -> tuple[ShapeChange, ...]:
        return tuple(item for item in self.changes if item.change == change)

    @property
    def new(self) -> tuple[ShapeChange, ...]:
        """Shapes that the earlier report does not have."""
        return self._only("new")

    @property
    def grown(self) -> tuple[ShapeChange, ...]:
        """Shapes with more cycles than before."""
        return self._only("grown")

    @property
    def smaller(self) -> tuple[ShapeChange, ...]:
        """Shapes with fewer cycles than before."""
        return self._only("smaller")

    @property
    def gone(self) -> tuple[ShapeChange, ...]:
        """Shapes that the later report does not have."""
        return self._only("gone")

    def to_text(self) -> str:
        """Write it for people: a verdict, then each shape that changed."""
        counts = ", ".join(
            f"{len(found)} {name}"
            for name in ("new", "grown", "smaller", "gone")
            if (found := self._only(name))
        )
        lines = [f"Shapes of {self.kind} cycles since the earlier report: {counts or 'no change'}."]
        for item in self.changes:
            if item.change != "unchanged":
                lines += ["", f"  {_words(item)}", f"     {item.path}"]
        if not self.complete:
            lines += ["", "Partial: one of the reports was stopped early, so this is a part, too."]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Give it as plain values."""
        changes = [
            {name: getattr(item, name) for name in ShapeChange.__dataclass_fields__}
            for item in self.changes
        ]
        return {"kind": self.kind, "complete": self.complete, "changes": changes}

    def to_json(self, *, indent: int | None = 2) -> str:
        """Write `to_dict` as JSON."""
        return json.dumps(self.to_dict(), indent=indent)

    def __str__(self) -> str:
        return self.to_text()


def _words(item: ShapeChange) -> str:
    held = size(item.retained_bytes)
    if item.change == "new":
        return f"new: {count(item.cycle_count, 'cycle')}, holding {held}"
    if item.change == "gone":
        return f"gone: {count(item.earlier_cycle_count, 'cycle')}"
    return (
        f"{item.change}: {count(item.cycle_count, 'cycle')},"
        f" {item.cycle_count - item.earlier_cycle_count:+,}, holding {held}"
    )


def difference_between(
    earlier: "ScanReport | SavedReport", later: "ScanReport | SavedReport"
) -> ReportDifference:
    """Compare two reports shape by shape.

    Raises:
        MismatchedReportsError: They are of different kinds.
    """
    if earlier.kind != later.kind:
        raise MismatchedReportsError(earlier.kind, later.kind)
    before: list[Shape | SavedShape] = list(earlier.shapes)
    after: list[Shape | SavedShape] = list(later.shapes)
    # A document from before shapes had keys is compared by loops.
    by_key = all(shape.key for shape in [*before, *after])
    found_before, found_after = _merged(before, by_key=by_key), _merged(after, by_key=by_key)
    changes = [
        _change(found_before.get(identity), found_after.get(identity))
        for identity in dict.fromkeys([*found_after, *found_before])
    ]
    changes.sort(key=lambda item: (item.earlier_cycle_count - item.cycle_count, item.path))
    return ReportDifference(later.kind, tuple(changes), earlier.complete and later.complete)


def _merged(shapes: Iterable[Shape | SavedShape], *, by_key: bool) -> dict[str, Path]:
    if not by_key:
        return {alike(path.text): path for path in merge_by_path(shapes)}
    groups: dict[str, list[Shape | SavedShape]] = {}
    for shape in shapes:
        groups.setdefault(shape.key, []).append(shape)
    return {key: path_of(same) for key, same in groups.items()}


def _change(before: Path | None, after: Path | None) -> ShapeChange:
    earlier_count = before.cycle_count if before else 0
    later_count = after.cycle_count if after else 0
    change: Change = "unchanged"
    if before is None:
        change = "new"
    elif after is None:
        change = "gone"
    elif later_count != earlier_count:
        change = "grown" if later_count > earlier_count else "smaller"
    shown = after or before
    assert shown is not None
    return ShapeChange(
        change=change,
        path=shown.text,
        earlier_cycle_count=earlier_count,
        cycle_count=later_count,
        earlier_retained_bytes=before.retained_bytes if before else 0,
        retained_bytes=after.retained_bytes if after else 0,
    )
