"""What watches the heap, and has it collected when that is due.

Covers: reading cheaply, having it collected, giving memory back.
Does not cover: when that is due (``bytes_rule``), how the main thread is told
(``_bell``), what happens if it does not come round (``due``).

Why a thread: a callback of the collector is not called while a program makes few
tracked objects, however many bytes they hold, and no collection can begin within
it. It only rings a bell; looking takes place in the main thread, which has the GIL.
"""

import atexit
import gc
import logging
import os
import threading
import time
import weakref
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from memguard import _bell
from memguard.pressure.allocator import estimate_small_bytes, malloc_addresses, read_malloc
from memguard.pressure.bytes_rule import (
    STEP_SECONDS,
    Collected,
    HeapSample,
    HeapState,
    after_collection,
    after_tare,
    after_trim,
    decide,
    is_tare_due,
    is_trim_due,
    next_look,
    start_state,
)
from memguard.pressure.costly import Costly
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
        self._thread: threading.Thread | None = None
        self._heap = _Heap(settings.trim_bytes)
        self._state = HeapState(0, 0, 0.0)
        self._set_up()
        self.statistics = WatcherStatistics()
        """What was done so far."""

    def _set_up(self) -> None:
        self._bell = _bell.Bell(self._look, *malloc_addresses())
        # One look at a time. The thread that looks may stop it, within a finalizer.
        self._looking = threading.RLock()

    def start(self) -> None:
        """Begin; what is in use now is taken for the program's own."""
        self._state = start_state(self._heap.read(time.monotonic()), self._settings)
        self._start_thread()
        if not _watchers:
            # Once is enough, but it cannot be asked whether it is there.
            atexit.unregister(_stop_all)
            atexit.register(_stop_all)
        _watchers.add(self)

    def stop(self) -> None:
        """End; a collection that is under way ends first. To do it again does nothing."""
        _watchers.discard(self)
        self._bell.stop()
        thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            thread.join()
        with self._looking:
            pass

    def _start_thread(self) -> None:
        self._set_bell()
        self._thread = threading.Thread(
            target=self._watch, args=(self._bell,), name="memguard-collector", daemon=True
        )
        self._thread.start()

    def start_again(self) -> None:
        """Go on in a child process, into which no thread came along."""
        self._set_up()
        self._start_thread()

    def _watch(self, bell: _bell.Bell) -> None:
        while bell.wait(self._settings.settle_seconds):
            self._look()

    def _look(self, is_due: bool = False) -> None:
        if not self._looking.acquire(blocking=False):
            return
        try:
            if self._thread is not None:
                self._count(check_count=1)
                self._act(is_due)
                self._set_bell()
        except Exception:  # it must not end in silence, nor end the watching
            _LOG.exception("looking at the heap failed")
        finally:
            self._looking.release()

    def _set_bell(self) -> None:
        following = next_look(self._settings, self._state, watched=self._heap.is_watched)
        # Small blocks are looked at by the main thread alone.
        due_bytes = max(0, following.due_bytes - self._heap.small_bytes) if gc.isenabled() else 0
        self._bell.set(following.wait_seconds, STEP_SECONDS, due_bytes)

    def _act(self, is_due: bool) -> None:
        self._note_trims()
        if not gc.isenabled():
            return
        if is_due:
            self._heap.expire()
        sample = self._heap.read(time.monotonic())
        action, self._state = decide(sample, self._settings, self._state)
        if action.collect:
            self._collect(thaw=action.thaw)
        elif action.trim:
            self._bell.trim()
        elif self._idle is not None and self._is_worth_idle_time(sample):
            self._idle.when_idle(self._collect_here)

    def _is_worth_idle_time(self, sample: HeapSample) -> bool:
        grown = sample.in_use_bytes - self._state.floor_bytes
        return grown >= self._settings.idle_bytes

    def _collect_here(self) -> None:
        # Whoever looks now decides, and must not be waited for: it may wait for this.
        if self._looking.acquire(blocking=False):
            try:
                if self._thread is not None:
                    due = Due(look=self._heap.look)
                    due.run()
                    self._note(due, thaw=False, apart=False)
                    self._set_bell()
            finally:
                self._looking.release()

    def _collect(self, *, thaw: bool) -> None:
        due = Due(thaw=thaw, look=self._heap.look)
        ran_here = due.run_soon(self._settings.settle_seconds)
        self._note(due, thaw=thaw, apart=ran_here and self._is_watching_thread())

    def _is_watching_thread(self) -> bool:
        return threading.current_thread() is self._thread

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
            if self._is_watching_thread():
                again.run_soon(self._settings.settle_seconds)
            else:
                again.run()
            self._state = after_tare(self._state, again.cost_seconds)
        if is_trim_due(sample, self._settings, self._state):
            self._bell.trim()
        self._count(
            collection_count=1,
            thaw_count=int(thaw),
            apart_count=int(apart),
            collection_seconds=due.cost_seconds,
        )

    def _note_trims(self) -> None:
        count, cost_seconds = self._bell.take_trims()
        self._state = after_trim(self._state, cost_seconds)
        self._count(trim_count=count, trim_seconds=cost_seconds)

    def _count(self, **more: float) -> None:
        now = {name: getattr(self.statistics, name) + number for name, number in more.items()}
        self.statistics = replace(self.statistics, **now)


class _Heap:
    """Reads what is in use, each allocator no more often than it is worth.

    Attributes:
        is_watched: A bell can watch ``malloc``.
        small_bytes: What other blocks took when they were last counted [bytes].
        seen: What there was right after the last collection.
    """

    def __init__(self, trim_bytes: int) -> None:
        self._trim_bytes = trim_bytes
        self._malloc = Costly(read_malloc, 0.0, _ASK_RATIO)
        self._small = Costly(estimate_small_bytes, 0.0, _ASK_RATIO)
        self.is_watched = malloc_addresses()[0] != 0
        self.small_bytes = 0
        self.seen = HeapSample(0, 0, 0, 0.0)

    def look(self) -> None:
        """Read all of it now, right after a collection, and keep it as `seen`."""
        self.expire()
        self._small.expire()
        self.seen = self.read(time.monotonic())

    def expire(self) -> None:
        """Ask ``malloc`` anew the next time."""
        self._malloc.expire()

    def read(self, now_seconds: float) -> HeapSample:
        """Read what there is to be known."""
        malloc = self._malloc.get(time.monotonic)
        self.small_bytes = self._small.get(time.monotonic) or 0
        if malloc is None:
            # What resident memory grew by since a collection is all that is known.
            return HeapSample(read_private_bytes(), 0, 0, now_seconds)
        in_use_bytes = malloc.in_use_bytes + self.small_bytes
        idle_bytes = 0
        if malloc.free_bytes >= self._trim_bytes:
            # Only then can there be enough to give back, and it has to be known how much.
            idle_bytes = max(0, read_private_bytes() - in_use_bytes)
        return HeapSample(in_use_bytes, malloc.free_bytes, idle_bytes, now_seconds)


_watchers: "weakref.WeakSet[HeapWatcher]" = weakref.WeakSet()


def _watch_on() -> None:
    forget()
    _bell.forget()
    for watcher in list(_watchers):
        watcher.start_again()


def _stop_all() -> None:
    """Stop before the interpreter goes: to ring, it has to be there."""
    for watcher in list(_watchers):
        watcher.stop()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_watch_on)
