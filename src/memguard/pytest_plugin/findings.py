"""What was found, as plain values that pass between processes.

Covers: the facts of one test, the sum of all tests, and the lines that say
them.
Does not cover: deciding what counts (``guard``).
"""

import textwrap
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from memguard.heap.baseline import KnownShape
from memguard.heap.render.markup import visible
from memguard.heap.render.remedy import advice_lines
from memguard.heap.render.text import count, path_lines, size

ShapeFacts = dict[str, Any]
"""A shape as in `ScanReport.to_dict`, with "in_use" from a look at live cycles."""

_SUMS = ("cycle_count", "object_count", "shallow_bytes", "retained_bytes")


def known_shape(shape: ShapeFacts) -> KnownShape:
    """Give what tells a shape again, in a baseline, too."""
    kind = "live" if shape["in_use"] else "garbage"
    return KnownShape(kind, shape["key"], visible(shape["path"]))


def identity(shape: ShapeFacts) -> tuple[bool, str]:
    """Give that by which shapes are added up."""
    return shape["in_use"], shape["key"]


@dataclass(slots=True)
class TestFacts:
    """What one test left behind.

    Attributes:
        shapes: Those that count.
        left_out: Those that do not, by reason.
        first_call: Those that a second run did not leave.
        cleared_frame_count: Frames of the test and of pytest that exceptions
            held, emptied before the look.
        object_count: Objects looked at.
        seconds: What looking took [s].
    """

    __test__ = False

    shapes: list[ShapeFacts] = field(default_factory=list)
    left_out: dict[str, list[ShapeFacts]] = field(default_factory=dict)
    first_call: list[ShapeFacts] = field(default_factory=list)
    cleared_frame_count: int = 0
    object_count: int = 0
    seconds: float = 0.0

    def leave_out(self, reason: str, shape: ShapeFacts) -> None:
        """Note a shape that does not count."""
        self.left_out.setdefault(reason, []).append(shape)

    def to_dict(self) -> dict[str, Any]:
        """Give plain values, for a report of pytest to carry."""
        return {
            "shapes": self.shapes,
            "left_out": self.left_out,
            "first_call": self.first_call,
            "cleared_frame_count": self.cleared_frame_count,
            "object_count": self.object_count,
            "seconds": self.seconds,
        }


@dataclass(slots=True)
class Group:
    """Shapes of several tests that are the same."""

    shape: ShapeFacts
    tests: list[str]

    def add(self, shape: ShapeFacts, nodeid: str) -> None:
        """Add what one more test left."""
        for name in _SUMS:
            self.shape[name] += shape[name]
        if nodeid not in self.tests:
            self.tests.append(nodeid)


def add_up(found: Iterable[tuple[str, ShapeFacts]]) -> list[Group]:
    """Group shapes of tests, those with most cycles first."""
    groups: dict[tuple[bool, str], Group] = {}
    for nodeid, shape in found:
        name = identity(shape)
        if name in groups:
            groups[name].add(shape, nodeid)
        else:
            groups[name] = Group(dict(shape), [nodeid])
    return sorted(
        groups.values(), key=lambda group: (-group.shape["cycle_count"], group.shape["path"])
    )


def failure_text(facts: TestFacts, *, width: int = 92) -> str:
    """Say why a test fails."""
    in_use = [shape for shape in facts.shapes if shape["in_use"]]
    garbage = [shape for shape in facts.shapes if not shape["in_use"]]
    lines = []
    for shapes, what in (
        (garbage, "that only the collector frees"),
        (in_use, "in use, which will need the collector"),
    ):
        if shapes:
            cycles = count(sum(shape["cycle_count"] for shape in shapes), "reference cycle")
            lines.append(f"memguard: the test left {cycles} {what}")
            for number, shape in enumerate(shapes, 1):
                lines += ["", *shape_lines(number, shape, width)]
            lines.append("")
    return "\n".join([*lines, *_how_to_allow(facts.shapes, width)])


def _how_to_allow(shapes: list[ShapeFacts], width: int) -> list[str]:
    """Say what marker lets all shapes pass, by key and, where each has one, by class."""
    keys = list(dict.fromkeys(shape["key"] for shape in shapes))
    what = "this shape" if len(keys) == 1 else "these shapes"
    lines = _wrapped(f"To allow {what}: @pytest.mark.memguard(allow={keys})", width)
    own = [_first_own_type(shape) for shape in shapes]
    if all(own):
        names = list(dict.fromkeys(own))
        what = "this class" if len(names) == 1 else "these classes"
        lines += _wrapped(f"or every cycle of {what}: allow={names}", width)
    return lines


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)


def _first_own_type(shape: ShapeFacts) -> str:
    return next((name for name in shape["type_names"] if not name.startswith("builtins.")), "")


def shape_lines(number: int, shape: ShapeFacts, width: int, tests: int = 0) -> list[str]:
    """Say what one shape is and what to do about it."""
    within = f" in {count(tests, 'test')}" if tests else ""
    head = (
        f"{number:>3}. {count(shape['cycle_count'], 'cycle')}{within},"
        f" {count(shape['object_count'], 'object')}, {size(shape['shallow_bytes'])},"
        f" holding {size(shape['retained_bytes'])}  [{shape['key']}]"
    )
    advice = shape["advice"]
    return [
        head,
        *path_lines(shape["path"], width),
        *(advice_lines(advice, width) if advice else ()),
    ]
