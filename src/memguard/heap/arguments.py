"""Arguments of a scan, checked.

Covers: what each may be, and the error that says so. What is checked is not
asked for its class, since a metaclass can answer that with any code.
See also: ``cuts`` for the names of cuts.
"""

import operator
import sys
from collections.abc import Iterable
from typing import Literal, SupportsIndex, TypeVar, get_args

from memguard.errors import LimitOutOfRangeError, UnknownOptionError, WrongTypeError
from memguard.heap.cuts import DEFAULT_CUTS, Cut, parse_cuts
from memguard.heap.names import short_name, type_name

ScanKind = Literal["garbage", "live"]

ScanMode = Literal["inline", "snapshot"]

_Item = TypeVar("_Item")


def checked_kind(kind: str) -> ScanKind:
    """Give the kind of a scan as the native scanner wants it."""
    known: ScanKind
    for known in get_args(ScanKind):
        if kind == known:
            return known
    raise UnknownOptionError("kind", kind, get_args(ScanKind))


def checked_mode(mode: str) -> ScanMode:
    """Give where a scan is to run."""
    known: ScanMode
    for known in get_args(ScanMode):
        if mode == known:
            return known
    raise UnknownOptionError("mode", mode, get_args(ScanMode))


def checked_explain(explain: bool | str) -> bool | Literal["values"]:
    """Give what a report shall say of its cycles."""
    if type(explain) is not str:
        return bool(explain)
    if explain == "values":
        return "values"
    raise UnknownOptionError("explain", explain, ("values",))


def checked_types(types: Iterable[type | str]) -> tuple[type | str, ...]:
    """Give the classes, and names of classes, that a report is limited to."""
    remedy = "classes, or names 'module.QualName'"
    if _is_type_or_name(types):
        return (types,)  # type: ignore[return-value]
    checked = _items_of("types", types, remedy)
    for item in checked:
        if not _is_type_or_name(item):
            raise wrong_type("an item of types", item, remedy)
    return checked


def _is_type_or_name(item: object) -> bool:
    # isinstance() would ask a class of a metaclass for its ``__class__``.
    return issubclass(type(item), str | type)


def checked_roots(roots: Iterable[object]) -> tuple[object, ...]:
    """Give the objects that a scan starts from."""
    remedy = "the objects in a list, such as [context]"
    if issubclass(type(roots), str):
        raise wrong_type("roots", roots, remedy)
    if issubclass(type(roots), dict):
        raise wrong_type("roots", roots, "the dict in a list, or its values()")
    return _items_of("roots", roots, remedy)


def checked_cuts(cuts: Iterable[str]) -> frozenset[Cut]:
    """Give the cuts that are named."""
    if cuts is DEFAULT_CUTS:
        return DEFAULT_CUTS
    if issubclass(type(cuts), str):
        return parse_cuts((cuts,))  # type: ignore[arg-type]
    return parse_cuts(_items_of("cuts", cuts, "names of cuts, () for none"))


def checked_max_objects(value: SupportsIndex | None) -> int:
    """Give the limit as the native scanner wants it, 0 for none."""
    if value is None:
        return 0
    try:
        number = 0 if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = 0
    if number < 1:
        raise LimitOutOfRangeError(
            "max_objects", value, "a whole number of at least 1, or None for no limit"
        )
    return min(number, sys.maxsize)


def checked_budget_seconds(value: float | None) -> float:
    """Give the limit as the native scanner wants it, 0 for none [s]."""
    if value is None:
        return 0.0
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise LimitOutOfRangeError(
            "budget_seconds", value, "a number of seconds above 0, or None for no limit"
        )
    return float(min(value, sys.float_info.max))


def _items_of(option: str, value: Iterable[_Item], remedy: str) -> tuple[_Item, ...]:
    try:
        items = iter(value)
    except TypeError:
        raise wrong_type(option, value, remedy) from None
    return tuple(items)


def wrong_type(option: str, value: object, remedy: str) -> WrongTypeError:
    """Make the error for an argument of a wrong type."""
    return WrongTypeError(option, short_name(type_name(type(value))), remedy)
