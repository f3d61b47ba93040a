"""Advice put into words: the remedy that fits a cycle, filled with its names.

Covers: choosing from ``remedies`` and saying who has to act.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from memguard.heap.case import case_of
from memguard.heap.origin import Origin
from memguard.heap.remedies import REMEDIES
from memguard.heap.remedy import Action
from memguard.heap.ties import Tie

_MOST_LISTED = 3


@dataclass(frozen=True, slots=True)
class Words:
    """How advice is put."""

    sentence: str
    code: str
    action: Action
    remedy: str


def words_for(chosen: Sequence[Tie], members: Sequence[object]) -> Words:
    """Put advice into words.

    Args:
        chosen: The ties to cut, the cheapest first; none if it cannot be cut.
        members: All members of the cycle.
    """
    case = case_of(chosen, members)
    remedy = next(remedy for remedy in REMEDIES if remedy.matches(case))
    fields = case.fields()
    sentence = remedy.sentence.format_map(fields)
    action: Action = remedy.action
    if not remedy.is_door:
        if any(tie.source.origin is not Origin.PROGRAM for tie in chosen):
            action = "library"
        if chosen and chosen[0].source.package:
            sentence = f"In {chosen[0].source.package}: {sentence[:1].lower()}{sentence[1:]}"
        if len(chosen) > 1:
            sentence = f"{sentence.removesuffix('.')}; {_others(chosen[1:])}."
    return Words(sentence, remedy.code.format_map(fields), action, remedy.name)


def _others(ties: Sequence[Tie]) -> str:
    listed = ", ".join(_placed(tie) for tie in ties[:_MOST_LISTED])
    more = len(ties) - _MOST_LISTED
    return f"and cut {listed}" + (f" and {more} more" if more > 0 else "")


def _placed(tie: Tie) -> str:
    package = tie.source.package
    # The name of a class says where it is, that of a function does not.
    return f"{tie.text} (in {package})" if package and tie.owner.endswith("()") else tie.text
