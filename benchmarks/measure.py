"""Measure calls side by side in one process.

Covers: alternating rounds, medians, the refusal of a build whose times would
mean nothing.
Does not cover: what is measured (``heaps``, ``peers``) nor the table.
"""

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import memguard
from memguard import _core


class WrongBuildError(RuntimeError):
    """This build is not the one that users get."""


def require_release_build() -> None:
    """Refuse a build that is not optimised, or is watched by a sanitizer."""
    build = _core.build_info()
    if not build["optimised"] or build["sanitized"] or build["traced"] or build["assertions"]:
        raise WrongBuildError(
            f"this build is {build}; benchmarks need MEMGUARD_BUILD=release (the default)"
        )


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds of each round, by name of the call."""

    rounds: Mapping[str, list[float]]

    def median_seconds(self, name: str) -> float:
        """Give the median of all rounds."""
        return statistics.median(self.rounds[name])

    def ratio(self, name: str, to: str) -> float:
        """Give the ratio of two medians."""
        return self.median_seconds(name) / self.median_seconds(to)


def measure(
    calls: Mapping[str, Callable[[], object]],
    *,
    least_rounds: int = 5,
    least_seconds: float = 2.0,
    most_rounds: int = 51,
) -> Measured:
    """Time calls in turn, so that what disturbs the machine disturbs all.

    What a call returns is dropped within its own time.
    """
    return measure_timed(
        {name: partial(_seconds, call) for name, call in calls.items()},
        least_rounds=least_rounds,
        least_seconds=least_seconds,
        most_rounds=most_rounds,
    )


def _seconds(call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def measure_timed(
    timers: Mapping[str, Callable[[], float]],
    *,
    least_rounds: int = 5,
    least_seconds: float = 2.0,
    most_rounds: int = 51,
) -> Measured:
    """Ask each in turn for the seconds that it took, without what it had to prepare."""
    rounds: dict[str, list[float]] = {name: [] for name in timers}
    first = rounds[next(iter(rounds))]
    started = time.perf_counter()
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        for timer in timers.values():
            timer()
        while len(first) < least_rounds or (
            time.perf_counter() - started < least_seconds and len(first) < most_rounds
        ):
            for name, timer in timers.items():
                rounds[name].append(timer())
    finally:
        if was_enabled:
            gc.enable()
    return Measured(rounds)


def scan_garbage() -> None:
    """Find all garbage; the report is dropped at once."""
    memguard.scan("garbage", explain=False)


def scan_live() -> None:
    """Find all live cycles; the report is dropped at once."""
    memguard.scan("live", explain=False)


def scan_live_on_one_thread() -> None:
    """Do the same as where there is one processor."""
    _core._force_threads(1)
    try:
        memguard.scan("live", explain=False)
    finally:
        _core._force_threads(0)


def explain_live() -> None:
    """Find all live cycles, group them and name their references."""
    memguard.scan("live")


SCANS: dict[str, Callable[[], object]] = {
    "collect": gc.collect,
    "garbage": scan_garbage,
    "live": scan_live,
    "explained": explain_live,
    "one_thread": scan_live_on_one_thread,
}
"""By name; "collect" is the yardstick."""
