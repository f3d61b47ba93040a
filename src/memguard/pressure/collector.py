"""How the collector of this process is set up, and how well it does.

Covers: profiles, what was there before, and the share of garbage that is freed.
Does not cover: when a collection is due (``bytes_rule``), giving memory back under
pressure (``relief``).

See also: ``docs/collector.md``.
"""

import dataclasses
import gc
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

from memguard import _core
from memguard.errors import UnknownOptionError
from memguard.journal import OF_PROCESS
from memguard.pressure.allocator import trim_malloc
from memguard.pressure.pauses import PauseRecorder, PauseStatistics
from memguard.pressure.watcher import HeapWatcher, WatcherStatistics
from memguard.settings import PROFILES, REPORT_THRESHOLDS, CollectorSettings

if TYPE_CHECKING:
    import asyncio

_YOUNG_COUNT = 20_000
"""Threshold of the youngest generation where bytes are watched [count]. Agents that run
hold a few hundred objects each: by default, 700 more of them have all the young ones
looked at again, which took 4 % of LangGraph's time and freed nothing. So many should not
come together between two collections by bytes; freeing them took 15 ms there."""

_NEVER = 1_000_000_000
"""As a threshold of the oldest generation: no automatic full collection."""


class ConfiguredCollector:
    """What `configure_optimized_gc` set up; it holds until `restore`, or the process's end.

    Also a context manager that restores. Several are to be restored in reverse order.

    Attributes:
        profile: What was set up.

    Thread-safety:
        Any thread.
    """

    def __init__(
        self, settings: CollectorSettings, loop: "asyncio.AbstractEventLoop | None"
    ) -> None:
        self.profile = settings.profile
        self._thresholds = gc.get_threshold()
        self._was_enabled = gc.isenabled()
        self._is_frozen = False
        self._is_restored = False
        self._pauses = PauseRecorder()
        self._watcher = _watcher_of(settings, loop)
        self._forget: Callable[[], None] | None = None

    def _set_up(self) -> None:
        if self.profile == "default":
            return
        gc.enable()
        if self.profile == "report":
            gc.set_threshold(*REPORT_THRESHOLDS)
        elif self._watcher is not None:
            gc.set_threshold(*_thresholds_by_bytes(self.profile, self._thresholds))
            self.freeze()
            self._watcher.start()

    def _start(self) -> None:
        self._pauses.start()
        self._set_up()
        name = f"the collector's profile {self.profile!r}"
        self._forget = OF_PROCESS.note(object(), name, self.restore)

    def freeze(self) -> None:
        """Collect, take what is left out of later collections, give free memory back.

        For when the program has warmed up: modules, compiled graphs and clients are
        there, and no agent runs. What is frozen is not freed as garbage until `thaw`.
        """
        gc.collect()
        gc.freeze()
        self._is_frozen = True
        trim_malloc()

    def thaw(self) -> None:
        """Let the next collection look at everything again."""
        gc.unfreeze()
        self._is_frozen = False

    def restore(self) -> None:
        """Set back what was there before; to do it again does nothing.

        What the program froze itself before is thawed, if this froze more.
        """
        if self._is_restored:
            return
        self._is_restored = True
        if self._forget is not None:
            self._forget()
        if self._watcher is not None:
            self._watcher.stop()
        self._pauses.stop()
        if self._is_frozen:
            self.thaw()
        gc.set_threshold(*self._thresholds)
        (gc.enable if self._was_enabled else gc.disable)()

    def pauses(self) -> dict[int, PauseStatistics]:
        """Give the pauses since it was set up, by generation."""
        return self._pauses.statistics()

    def total_pauses(self) -> PauseStatistics:
        """Give the pauses since it was set up, of all generations together."""
        return self._pauses.total()

    def statistics(self) -> WatcherStatistics:
        """Give what was done by bytes; zeros for profiles that do not watch them."""
        return self._watcher.statistics if self._watcher else WatcherStatistics()

    def __enter__(self) -> "ConfiguredCollector":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.restore()


def configure_optimized_gc(
    profile: str | None = None,
    *,
    settings: CollectorSettings | None = None,
    loop: "asyncio.AbstractEventLoop | None" = None,
) -> ConfiguredCollector:
    """Set the collector up for programs whose agents hold more than they are.

    * "bytes": what is there now is frozen, and a full collection runs when what the
      allocators have in use grew by a share of the working set, within a share of
      the time; then free memory goes back to the system. Call it when the program
      has warmed up.
    * "latency": the same, and full collections run earlier when the event loop is
      idle; the automatic ones of the oldest generation do not.
    * "report": the thresholds of the original report, 300, 8 and 8, which collect more
      often: more time, and not less memory for what is in use.
    * "default": nothing is changed, pauses are recorded.

    Debug flags are not touched: ``DEBUG_LEAK``, which the report sets, makes each
    garbage object immortal.

    Args:
        profile: One of those; None for what the settings say, "bytes" by default.
        settings: When, and how much time it may take.
        loop: For "latency"; None for the one that runs here.

    Returns:
        What sets back what was there before, and tells what happened; it need not
        be kept.

    Raises:
        UnknownOptionError: There is no such profile.
    """
    settings = settings or CollectorSettings()
    if profile is not None:
        if profile not in PROFILES:
            raise UnknownOptionError("profile", profile, PROFILES)
        settings = dataclasses.replace(settings, profile=profile)
    configured = ConfiguredCollector(settings, loop)
    configured._start()
    return configured


def _thresholds_by_bytes(profile: str, thresholds: tuple[int, int, int]) -> tuple[int, int, int]:
    """Give those for profiles that watch bytes; who chose none, or more, has a reason."""
    young, middle, old = thresholds
    return (
        max(young, _YOUNG_COUNT) if young > 0 else young,
        middle,
        _NEVER if profile == "latency" else old,
    )


def _watcher_of(
    settings: CollectorSettings, loop: "asyncio.AbstractEventLoop | None"
) -> HeapWatcher | None:
    if settings.profile == "bytes":
        return HeapWatcher(settings)
    if settings.profile != "latency":
        return None
    # Only who wants it pays for asyncio.
    import asyncio

    from memguard.pressure.idle import IdleLoop

    return HeapWatcher(settings, IdleLoop(loop or asyncio.get_running_loop()))


def calculate_gc_effectiveness() -> float:
    """Measure which share of the garbage one full collection frees.

    The garbage that there is now is counted without touching it, then collected, and
    what the collector says it freed is divided by that. What finalizers bring back
    to life, and what cannot be freed, lowers it; 1 where there is no garbage.

    Returns:
        The share, 0 to 1.

    Raises:
        UnsupportedPythonError: Garbage cannot be counted on this build.

    Cost:
        A scan and a full collection.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        graph = _core.scan_heap("garbage", 0, None, 0, 0.0, describe=False)
        unreachable_count = graph.unreachable_count
        graph.release()
        before = gc.get_stats()[-1]["collected"]
        gc.collect()
        freed_count = gc.get_stats()[-1]["collected"] - before
    finally:
        if was_enabled:
            gc.enable()
    if unreachable_count == 0:
        return 1.0
    return float(min(1.0, freed_count / unreachable_count))
