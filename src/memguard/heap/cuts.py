"""References that a live cycle may not use.

Every object reaches its class, the class its functions, those their module's
dict, and that everything: uncut, a heap is one useless component. What is cut
stands in every report and can be undone, since a hidden cut can hide a leak.
"""

import functools
import operator
from collections.abc import Iterable
from enum import StrEnum

from memguard import _core
from memguard.errors import UnknownOptionError


class Cut(StrEnum):
    """A kind of reference to leave out of live cycles."""

    MODULES = "modules"
    """References to modules."""
    MODULE_DICTS = "module_dicts"
    """References to the dict of a module, such as from its functions."""
    TYPES = "types"
    """References to classes."""
    INSTANCE_TYPES = "instance_types"
    """References from an instance to its own class."""


DEFAULT_CUTS: frozenset[Cut] = frozenset(Cut)

_FLAGS = {
    Cut.MODULES: _core.CUT_MODULES,
    Cut.MODULE_DICTS: _core.CUT_MODULE_DICTS,
    Cut.TYPES: _core.CUT_TYPES,
    Cut.INSTANCE_TYPES: _core.CUT_INSTANCE_TYPES,
}


_DEFAULT_FLAGS = functools.reduce(operator.or_, _FLAGS.values())


def parse_cuts(cuts: Iterable[str]) -> frozenset[Cut]:
    """Check the names of cuts.

    Raises:
        UnknownOptionError: One is not a cut.
    """
    parsed = set()
    for cut in cuts:
        try:
            parsed.add(Cut(cut))
        except ValueError:
            raise UnknownOptionError("cuts", cut, [str(known) for known in Cut]) from None
    return frozenset(parsed)


def flags_of(cuts: Iterable[Cut]) -> int:
    """Give the cuts as the native scanner wants them."""
    if cuts is DEFAULT_CUTS:
        return _DEFAULT_FLAGS
    flags = 0
    for cut in cuts:
        flags |= _FLAGS[cut]
    return flags
