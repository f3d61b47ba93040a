"""Advice as text and as plain values.

Covers: both from the same values, so that advice read from a document is shown
like that of a live report.
"""

import textwrap
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from memguard.heap.advice import Advice
    from memguard.heap.saved import SavedAdvice, SavedShape
    from memguard.heap.shapes import Shape

MOST_MEMBERS_SEARCHED = 50_000
"""Members of all exemplars that are searched for one output [count]."""


def advised(
    shapes: "Iterable[Shape | SavedShape]", most: int
) -> "Iterator[Advice | SavedAdvice | None]":
    """Give the advice on shapes at a bounded cost.

    It is looked for on the first *most* [count], as far as their cycles are
    not too large together; on others it is given if it was read before.
    """
    members = 0
    for number, shape in enumerate(shapes):
        members += sum(shape.type_names.values())
        is_affordable = number < most and (number == 0 or members <= MOST_MEMBERS_SEARCHED)
        yield shape.advice if is_affordable or shape.is_advised else None


def advice_dict(advice: "Advice | SavedAdvice") -> dict[str, Any]:
    """Give advice as plain values."""
    return {
        "sentence": advice.sentence,
        "code": advice.code,
        "cuts": [
            {"source": edge.source, "label": edge.label, "target": edge.target}
            for edge in advice.cuts
        ],
        "action": advice.action,
        "dissolved_cycle_count": advice.dissolved_cycle_count,
        "cycle_count": advice.cycle_count,
        "remedy": advice.remedy,
    }


def advice_lines(advice: Mapping[str, Any], width: int) -> list[str]:
    """Write advice: what to do, how often that was proved, and two lines of Python."""
    said = textwrap.wrap(
        f"{advice['sentence']} {proof(advice)}",
        width=max(width, 40),
        initial_indent="     * ",
        subsequent_indent="       ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [*said, *(f"           {line}" for line in advice["code"].splitlines())]


def proof(advice: Mapping[str, Any]) -> str:
    """Say on how many cycles the cut was tried."""
    if not advice["cuts"]:
        return ""
    dissolved, tried = advice["dissolved_cycle_count"], advice["cycle_count"]
    cycles = "cycle" if tried == 1 else "cycles"
    return f"It dissolves {dissolved:,} of {tried:,} {cycles} tried."
