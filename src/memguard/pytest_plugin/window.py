"""What is created while a test function runs.

Covers: telling objects of the call from those that were there before, and
looking for cycles among them.
Does not cover: whose cycles they are (``origin``).
"""

import contextlib
import gc
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

from memguard.heap.cuts import DEFAULT_CUTS, Cut
from memguard.heap.report import ScanReport
from memguard.heap.scan import scan_around

_ITERATOR: type = type(reversed([]))
_CUTS_BUT_TYPES = DEFAULT_CUTS - {Cut.TYPES, Cut.INSTANCE_TYPES}


class Window:
    """The time between `open` and `close`, in which automatic collection is off.

    New objects start in the youngest generation of the collector, and only a
    collection moves them. It is emptied when the window opens, so what is in
    it later was created since; collections that the test runs itself are
    noted, with what was young before each.

    Thread-safety: the thread that runs the tests.
    """

    def __init__(self) -> None:
        self._was_enabled = True
        self._moved_ids: set[int] = set()
        # One and the same, and older than what the test creates.
        self._callback = self._note_collection

    def open(self) -> None:
        """Begin: what exists from here back is not the test's."""
        self._was_enabled = gc.isenabled()
        gc.disable()
        gc.collect(0)
        gc.callbacks.append(self._callback)

    def close(self) -> None:
        """End, and let the collector run as before."""
        # A test may have taken it away.
        if self._callback in gc.callbacks:
            gc.callbacks.remove(self._callback)
        if self._was_enabled:
            gc.enable()

    def _note_collection(self, phase: str, _info: dict[str, Any]) -> None:
        # An id that is used again later belongs to an object of the call, too.
        if phase == "start":
            self._moved_ids.update(map(id, gc.get_objects(generation=0)))

    def created(self, item: object) -> list[object]:
        """Give what was created since `open` and still exists.

        Args:
            item: What runs. How pluggy passes it to hooks is left out: from
                there the search would go through all that pytest holds.
        """
        objects = self._all_created()
        # Made after that list, or it would be in it. And a closure or a
        # partial would be new, too, and lead to the item.
        kept = []
        for one in objects:
            if not _is_hook_call(one, item):
                kept.append(one)  # noqa: PERF401 - a comprehension has a closure on 3.11
        return kept

    def clear_frames(self, may_clear: Callable[[CodeType], bool]) -> int:
        """Empty frames of finished calls that an exception or a traceback holds.

        A frame holds the variables of its call, and those of a test function
        or of pytest hold what is alive outside tests no longer than the call.

        Args:
            may_clear: Tells whether frames of some code are to be emptied.

        Returns:
            How many were.
        """
        cleared_count = 0
        for one in self._all_created():
            if type(one) is FrameType and may_clear(one.f_code):
                # Frames that still run refuse, and stay.
                with contextlib.suppress(RuntimeError):
                    one.clear()
                    cleared_count += 1
        return cleared_count

    def _all_created(self) -> list[object]:
        objects = gc.get_objects(generation=0)
        if self._moved_ids:
            moved_ids = self._moved_ids.difference(map(id, objects))
            # The ids of what is gone may be those of our own by now.
            moved_ids -= {id(objects), id(moved_ids)}
            objects += _with_ids(moved_ids)
        return objects


def _with_ids(ids: set[int]) -> list[object]:
    return [one for one in gc.get_objects() if id(one) in ids]


def _is_hook_call(one: object, item: object) -> bool:
    if type(one) is list:
        return len(one) == 1 and one[0] is item
    return type(one) is _ITERATOR


def find_garbage(created: list[object]) -> ScanReport:
    """Look for cycles with one of *created* that the collector would free now."""
    makes_types = any(issubclass(cls, type) for cls in set(map(type, created)))
    # A class is on a cycle with its own methods. Following types costs more,
    # and says nothing where none was made.
    return scan_around(created, cuts=_CUTS_BUT_TYPES if makes_types else DEFAULT_CUTS)


def find_live(created: list[object], garbage: ScanReport) -> ScanReport:
    """Look for cycles with one of *created* that are in use."""
    known_ids = {member for cycle in garbage.cycles for member in cycle.object_ids}
    report = scan_around(created, "live")
    return report.where(lambda shape: known_ids.isdisjoint(shape.exemplar.object_ids))
