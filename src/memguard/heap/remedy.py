"""One entry of the catalogue, and the conditions by which entries are told apart.

See also: ``remedies`` for the entries.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from memguard.heap.case import Case
from memguard.heap.ties import FUTURES, TargetKind, TieKind

Action = Literal["weaken", "clear", "library", "reuse"]
Condition = Callable[[Case], bool]

_FRAME_KINDS = (TieKind.VARIABLE, TieKind.TRACEBACK, TieKind.CHAINED)


@dataclass(frozen=True, slots=True)
class Remedy:
    """What is done about one shape.

    Attributes:
        name: What it is called in the cookbook; "" for the general ones.
        matches: Whether it is this shape.
        sentence: What to do; fields in braces are those of `Case.fields`.
        code: How.
        action: What it does to the reference.
        is_door: The program does it from outside, also where a library makes
            the reference.
    """

    name: str
    matches: Condition
    sentence: str
    code: str
    action: Action
    is_door: bool = field(default=False)


def all_of(*conditions: Condition) -> Condition:
    """Make a condition of several."""
    return lambda case: all(condition(case) for condition in conditions)


def kind_is(*kinds: TieKind) -> Condition:
    """Ask what holds the reference to cut."""
    return lambda case: case.first.kind in kinds


def leads_to(*kinds: TargetKind) -> Condition:
    """Ask what it leads to."""
    return lambda case: case.first.target_kind in kinds


def name_is(name: str) -> Condition:
    """Ask what it is called."""
    return lambda case: case.first.name == name


def touches(*prefixes: str) -> Condition:
    """Ask for the classes at its ends."""
    return lambda case: case.touches(*prefixes)


def has_type(*prefixes: str) -> Condition:
    """Ask for the classes of all members."""
    return lambda case: case.has_type_of(*prefixes)


def is_in_frame(case: Case) -> bool:
    """Tell whether an exception and a frame that it passed keep each other."""
    return case.first.kind in _FRAME_KINDS and "builtins.traceback" in case.types


def is_unnamed(case: Case) -> bool:
    """Tell whether an item is to be cut of a container that the cycle has no name for."""
    return case.is_unnamed


def is_partial(case: Case) -> bool:
    """Tell whether what is kept is a partial."""
    return case.first.target == "functools.partial"


def has_future(case: Case) -> bool:
    """Tell whether a task or future takes part."""
    return not FUTURES.isdisjoint(case.types)


is_attribute = kind_is(TieKind.ATTRIBUTE)
is_item = kind_is(TieKind.ITEM)
is_traceback = kind_is(TieKind.TRACEBACK, TieKind.CHAINED)
to_instance = leads_to(TargetKind.INSTANCE)
