"""How many of a set of objects outlive their use, and what it takes to free the rest.

Covers: counting them by weak references, collector pass by collector pass.
Does not cover: which reference keeps them (``memguard.scan``).
"""

import gc
import weakref
from collections.abc import Iterable
from dataclasses import dataclass

from memguard.errors import LimitOutOfRangeError, WrongTypeError


@dataclass(frozen=True, slots=True)
class Survival:
    """What became of a set of objects.

    Attributes:
        object_count: How many there were [count].
        alive_counts: How many lived without a pass of the collector, after one, after
            two, and so on, until none did [count].
    """

    object_count: int
    alive_counts: tuple[int, ...]

    @property
    def survived_count(self) -> int:
        """How many were not freed by counting references alone [count]."""
        return self.alive_counts[0]

    @property
    def survival_ratio(self) -> float:
        """Share of those; 0 of no objects."""
        return self.survived_count / self.object_count if self.object_count else 0.0

    @property
    def passes_needed(self) -> int | None:
        """Passes of the collector until none was left; None if some are still there."""
        return None if self.alive_counts[-1] else len(self.alive_counts) - 1


def measure_survival(objects: Iterable[object], *, max_passes: int = 5) -> Survival:
    """Tell how many objects outlive their use.

    The objects are taken one by one, and let go at once: give a generator that makes
    them, lets them do what they are for, and keeps none. What is still alive when it is
    through is what only the collector frees, or what somebody holds. Automatic
    collections wait until this is done.

    Args:
        objects: Those; each must support weak references.
        max_passes: Full collections to try at most [count, >= 0].

    Raises:
        WrongTypeError: An object cannot be referred to weakly.
        LimitOutOfRangeError: *max_passes* is no whole number of at least 0.

    Cost:
        About 80 bytes and 0.2 microseconds an object, and a full collection a pass.

    Source:
        The original report, "Circular Reference Survival": 20 of 200 after 5 passes.
    """
    if type(max_passes) is not int or max_passes < 0:
        raise LimitOutOfRangeError("max_passes", max_passes, "a whole number of at least 0")
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        references = [_refer(each) for each in objects]
        object_count = len(references)
        references = _alive(references)
        counts = [len(references)]
        while references and len(counts) <= max_passes:
            gc.collect()
            references = _alive(references)
            counts.append(len(references))
    finally:
        if was_enabled:
            gc.enable()
    return Survival(object_count, tuple(counts))


def _refer(each: object) -> "weakref.ref[object]":
    try:
        return weakref.ref(each)
    except TypeError:
        raise WrongTypeError(
            "objects", type(each).__qualname__, "objects that can be referred to weakly"
        ) from None


def _alive(references: list["weakref.ref[object]"]) -> list["weakref.ref[object]"]:
    return [reference for reference in references if reference() is not None]
