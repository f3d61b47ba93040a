"""Giving memory back, step by step, when it is short.

Covers: a full collection and the allocator's free pages, what came back by it, and a
ladder with steps of the program's own.
Does not cover: when memory is short (``monitor``, ``alerts``).
"""

import gc
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from memguard.events import Event, EventBus
from memguard.pressure.allocator import trim_malloc
from memguard.pressure.memory import MemoryReader, read_memory
from memguard.settings import ReliefSettings

_LOG = logging.getLogger("memguard.pressure")


@dataclass(frozen=True, slots=True)
class Released:
    """What came back.

    Attributes:
        collected_count: Objects that the collector found unreachable.
        in_use_bytes: By how much less the allocators have in use [bytes]; None where
            they cannot be asked.
        resident_bytes: By how much less is resident [bytes]; below 0 if it grew.
        trimmed: Free pages were given back; not every ``malloc`` can.
        duration_seconds: How long it took [s].
    """

    collected_count: int
    in_use_bytes: int | None
    resident_bytes: int
    trimmed: bool
    duration_seconds: float


def release_memory(*, thaw: bool = False) -> Released:
    """Collect all garbage, and give free memory back to the system.

    Args:
        thaw: Look at objects that were frozen, too, and freeze what is left again.

    Returns:
        What came back, as the process sees it: what others allocate meanwhile counts.

    Cost:
        A full collection, and about 0.1 ms for each MB that goes back.
    """
    begun = time.perf_counter()
    before = read_memory()
    was_frozen = thaw and gc.get_freeze_count() > 0
    if was_frozen:
        gc.unfreeze()
    collected_count = gc.collect()
    if was_frozen:
        gc.freeze()
    trimmed = trim_malloc()
    after = read_memory()
    known = before.in_use_bytes is not None and after.in_use_bytes is not None
    return Released(
        collected_count,
        (before.in_use_bytes or 0) - (after.in_use_bytes or 0) if known else None,
        before.rss_bytes - after.rss_bytes,
        trimmed,
        time.perf_counter() - begun,
    )


@dataclass(frozen=True, slots=True)
class StepDone(Event):
    """A step of the ladder was taken.

    Attributes:
        name: Which.
        freed_bytes: By how much less is resident [bytes]; below 0 if it grew.
        duration_seconds: How long it took [s].
        error: What it raised; "" if nothing.
    """

    name: str
    freed_bytes: int
    duration_seconds: float
    error: str = ""


@dataclass(frozen=True, slots=True)
class LadderClimbed(Event):
    """The ladder was climbed.

    Attributes:
        steps: What was done, in order.
        used_ratio: Share of the tightest limit that is in use afterwards.
        relieved: That is below the target now.
    """

    steps: tuple[StepDone, ...]
    used_ratio: float
    relieved: bool


class ReliefLadder:
    """Free memory by one step after another, until enough is free.

    First garbage is collected, then the allocator's free pages go back, then come the
    steps that were added: the mild ones first, such as shrinking a pool, and last the
    ones that hurt, such as dropping a cache. A step that raises is logged, and the
    next one is taken.

    Args:
        settings: From where on, and until where.
        bus: Who is told of each climb, and each step.
        reader: Where memory is read.
        clock: Seconds that only grow.

    Thread-safety:
        Any thread; while one climbs, the others pass by. Steps run on the thread that
        climbs.
    """

    def __init__(
        self,
        settings: ReliefSettings | None = None,
        *,
        bus: EventBus | None = None,
        reader: MemoryReader | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings or ReliefSettings()
        self._bus = bus or EventBus()
        self._reader = reader or MemoryReader()
        self._clock = clock
        self._climbing = threading.Lock()
        self._climbed_seconds = float("-inf")
        self._steps: list[tuple[str, Callable[[], object]]] = [
            ("collect", gc.collect),
            ("trim", trim_malloc),
        ]

    def add_step(self, name: str, step: Callable[[], object]) -> Callable[[], None]:
        """Add a step after those that are there.

        Returns:
            A function that takes it away again.
        """
        entry = (name, step)
        self._steps = [*self._steps, entry]

        def remove() -> None:
            self._steps = [each for each in self._steps if each is not entry]

        return remove

    def relieve(self) -> LadderClimbed | None:
        """Climb, if memory is short and the last climb is not just over.

        Returns:
            What was done; None if nothing was to be done, or another thread does it.
        """
        if not self._climbing.acquire(blocking=False):
            return None
        try:
            ratio = self._ratio()
            now = self._clock()
            if ratio is None or ratio < self.settings.start_ratio:
                return None
            if now - self._climbed_seconds < self.settings.pause_seconds:
                return None
            climbed = self._climb(ratio)
            self._climbed_seconds = self._clock()
        finally:
            self._climbing.release()
        self._bus.emit(climbed)
        return climbed

    def _climb(self, ratio: float) -> LadderClimbed:
        target = self.settings.start_ratio - self.settings.leave_ratio
        done = []
        for name, step in self._steps:
            done.append(self._take(name, step))
            self._bus.emit(done[-1])
            ratio = self._ratio() or 0.0
            if ratio < target:
                break
        return LadderClimbed(tuple(done), ratio, ratio < target)

    def _take(self, name: str, step: Callable[[], object]) -> StepDone:
        before = self._reader.read(fresh=True).rss_bytes
        begun = time.perf_counter()
        error = ""
        try:
            step()
        except Exception as raised:  # the program's own code: the next step may help
            error = f"{type(raised).__qualname__}: {raised}"
            _LOG.exception("the relief step %s failed", name)
        seconds = time.perf_counter() - begun
        after = self._reader.read(fresh=True).rss_bytes
        return StepDone(name, before - after, seconds, error)

    def _ratio(self) -> float | None:
        return self._reader.read(fresh=True).used_ratio
