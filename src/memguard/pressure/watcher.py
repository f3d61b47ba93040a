"""A thread that watches the heap, and has it collected when that is due.

Covers: reading cheaply, having it collected, giving memory back.
Does not cover: when that is due (``bytes_rule``), on which thread (``due``).

Why a thread: a callback of the collector is not called while a program makes few
tracked objects, however many bytes they hold, and no collection can begin within
it.
"""

import gc
import logging
import os
import threading
import time
import weakref
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from memguard.pressure.allocator import estimate_small_bytes, read_malloc, trim_malloc
from memguard.pressure.bytes_rule import (
    Collected,
    HeapSample,
    HeapState,
    after_collection,
    after_tare,
    after_trim,
    decide,
    is_tare_due,
    is_trim_due,
    wait_seconds,
)
from memguard.pressure.costly import Costly, cost_clock
from memguard.pressure.due import Due, forget
from memguard.pressure.memory import read_private_bytes
from memguard.settings import CollectorSettings

if TYPE_CHECKING:
    from memguard.pressure.idle import IdleLoop

_LOG = logging.getLogger("memguard.pressure")

_ASK_RATIO = 0.01
"""Share of the time that asking each of the allocators may take."""


@dataclass(frozen=True, slots=True)
class WatcherStatistics:
    """What was done.

    Attributes:
        check_count: How often memory was looked at.
        collection_count: Full collections.
        thaw_count: ... of which objects that were frozen were looked at, too.
        trim_count: How often memory was given back.
        collection_seconds: How long the collections took [s].
        trim_seconds: How long giving back took [s], without the GIL.
        apart_count: Collections on the watching thread, for the main one was busy
            elsewhere.
    """

    check_count: int = 0
    collection_count: int = 0
    thaw_count: int = 0
    trim_count: int = 0
    collection_seconds: float = 0.0
    trim_seconds: float = 0.0
    apart_count: int = 0


class HeapWatcher:
    """Watch what the allocators have in use, and collect when garbage may hold much.

    While the collector is disabled, nothing is collected. In a child of `os.fork` the
    watching goes on.

    Args:
        settings: When, and how much time it may take.
        idle: Where to collect earlier, if there is nothing else to do.

    Thread-safety:
        One daemon thread, between `start` and `stop`; those may be called from any.
    """

    def __init__(self, settings: CollectorSettings, idle: "IdleLoop | None" = None) -> None:
        self._settings = settings
        self._idle = idle
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._deciding = threading.Lock()
        self._heap = _Heap(settings.trim_bytes)
        self._state = HeapState(0, 0, 0.0)
        self.statistics = WatcherStatistics()
        """What was done so far."""

    def start(self) -> None:
        """Begin; what is in use now is taken for the program's own."""
        sample = self._heap.read(time.monotonic())
        now = sample.now_seconds
        self._state = HeapState(
            sample.in_use_bytes, sample.in_use_bytes, now, collected_seconds=now
        )
        self._start_thread()
        _watchers.add(self)

    def stop(self) -> None:
        """End; a collection that is under way ends first. To do it again does nothing."""
        _watchers.discard(self)
        self._stopped.set()
        thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _start_thread(self) -> None:
        self._stopped = threading.Event()
        self._deciding = threading.Lock()
        self._thread = threading.Thread(
            target=self._watch, args=(self._stopped,), name="memguard-collector", daemon=True
        )
        self._thread.start()

    def _watch(self, stopped: threading.Event) -> None:
        while not stopped.wait(wait_seconds(self._settings, self._state)):
            try:
                with self._deciding:
                    self._look()
            except Exception:  # it must not end in silence, nor end the watching
                _LOG.exception("looking at the heap failed")

    def _look(self) -> None:
        self._count(check_count=1)
        if not gc.isenabled():
            return
        sample = self._heap.read(time.monotonic())
        action, self._state = decide(sample, self._settings, self._state)
        if action.collect:
            self._collect(thaw=action.thaw)
        elif action.trim:
            self._trim()
        elif self._idle is not None and self._is_worth_idle_time(sample):
            self._idle.when_idle(self._collect_here)

    def _is_worth_idle_time(self, sample: HeapSample) -> bool:
        grown = sample.in_use_bytes - self._state.floor_bytes
        return grown >= self._settings.idle_bytes

    def _collect_here(self) -> None:
        # What the watching thread is about to do need not be done twice, and must
        # not be waited for: it may wait for this one.
        if self._deciding.acquire(blocking=False):
            try:
                due = Due(look=self._heap.look)
                due.run()
                self._note(due, thaw=False, apart=False)
            finally:
                self._deciding.release()

    def _collect(self, *, thaw: bool) -> None:
        due = Due(thaw=thaw, look=self._heap.look)
        apart = due.run_soon(self._settings.settle_seconds)
        self._note(due, thaw=thaw, apart=apart)

    def _note(self, due: Due, *, thaw: bool, apart: bool) -> None:
        if not due.ran:
            return
        sample = self._heap.seen
        collected = Collected(
            sample.in_use_bytes, sample.now_seconds, due.cost_seconds, due.freed_count, thaw
        )
        weigh = is_tare_due(self._state, collected)
        self._state = after_collection(self._state, collected)
        if weigh:
            again = Due()
            if threading.current_thread() is self._thread:
                again.run_soon(self._settings.settle_seconds)
            else:
                again.run()
            self._state = after_tare(self._state, again.cost_seconds)
        if is_trim_due(sample, self._settings, self._state):
            self._trim()
        self._count(
            collection_count=1,
            thaw_count=int(thaw),
            apart_count=int(apart),
            collection_seconds=due.cost_seconds,
        )

    def _trim(self) -> None:
        begun = cost_clock()
        trim_malloc()
        cost_seconds = cost_clock() - begun
        self._state = after_trim(self._state, cost_seconds)
        self._count(trim_count=1, trim_seconds=cost_seconds)

    def _count(self, **more: float) -> None:
        now = {name: getattr(self.statistics, name) + number for name, number in more.items()}
        self.statistics = replace(self.statistics, **now)


class _Heap:
    """Reads what is in use, each allocator no more often than it is worth."""

    def __init__(self, trim_bytes: int) -> None:
        self._trim_bytes = trim_bytes
        self._malloc = Costly(read_malloc, 0.0, _ASK_RATIO)
        self._small = Costly(estimate_small_bytes, 0.0, _ASK_RATIO)
        self.seen = HeapSample(0, 0, 0, 0.0)

    def look(self) -> None:
        """Read all of it now, right after a collection, and keep it as `seen`.

        The watching thread may get its turn only when much has been allocated since.
        """
        self._malloc.expire()
        self._small.expire()
        self.seen = self.read(time.monotonic())

    def read(self, now_seconds: float) -> HeapSample:
        """Read what there is to be known."""
        malloc = self._malloc.get(time.monotonic)
        small_bytes = self._small.get(time.monotonic) or 0
        if malloc is None:
            # What resident memory grew by since a collection is all that is known.
            return HeapSample(read_private_bytes(), 0, 0, now_seconds)
        in_use_bytes = malloc.in_use_bytes + small_bytes
        idle_bytes = 0
        if malloc.free_bytes >= self._trim_bytes:
            # Only then can there be enough to give back, and it has to be known how much.
            idle_bytes = max(0, read_private_bytes() - in_use_bytes)
        return HeapSample(in_use_bytes, malloc.free_bytes, idle_bytes, now_seconds)


_watchers: "weakref.WeakSet[HeapWatcher]" = weakref.WeakSet()


def _watch_on() -> None:
    """Go on in a child process, into which no thread came along."""
    forget()
    for watcher in list(_watchers):
        watcher._start_thread()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_watch_on)
