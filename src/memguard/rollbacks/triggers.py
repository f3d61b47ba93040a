"""The report's four triggers, decided from what was measured.

Covers: windows, least numbers of samples, and a reason with the numbers.
Does not cover: measuring, and what is done about it (``rollback``).

A trigger must not fire for what a healthy service does: memory goes up and down with
collections, caches fill once, load comes and goes, one pause is long.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median
from typing import TypeVar

from memguard.rollbacks.events import TriggerFired
from memguard.settings import RollbackSettings

_Sample = TypeVar("_Sample", bound=tuple[float, ...])

_PARTS = 5
"""Into so many parts the window of the leak is cut."""

_LEAST_SHARE = 0.4
"""Of an even growth each part has at least this share, or it is none that goes on."""

_STEADY_SHARE = 2 / 3
"""Of the first half's growth the second one has at least this share, or it levels off."""

_HELD_SHARE = 0.6
"""For so much of the window more it has to go on. What fills evenly for a whole window
and then stops looks like a leak for just below half of it."""

_MOST_SAMPLES = 300
"""Kept of each window; more would say the same."""


@dataclass(frozen=True, slots=True)
class RollbackReading:
    """What was measured at one moment; None for what was not.

    Attributes:
        now_seconds: The time, on a clock that only grows [s].
        in_use_bytes: What the allocators gave out [bytes].
        live_count: Agents that are alive [count].
        effectiveness_ratio: Share of the garbage that a collection freed, if that was
            measured now.
        lag_seconds: How much too late an event loop came round at worst since the last
            reading, or has not come round yet [s].
        decided_count: Operations on which people decided so far [count].
        denied_count: Of those, how many were denied [count].
    """

    now_seconds: float
    in_use_bytes: int | None = None
    live_count: int = 0
    effectiveness_ratio: float | None = None
    lag_seconds: float | None = None
    decided_count: int = 0
    denied_count: int = 0


@dataclass(frozen=True, slots=True)
class TriggerState:
    """What is remembered between two readings: readings of each window.

    Attributes:
        memory: (when [s], in use [bytes], agents alive).
        effectiveness: (when [s], share).
        lags: (when [s], lag [s]).
        decisions: (when [s], decided so far, denied so far).
        leak_seconds: Since when memory looks like a leak without a break [s]; None if
            it does not.
    """

    memory: tuple[tuple[float, int, int], ...] = ()
    effectiveness: tuple[tuple[float, float], ...] = ()
    lags: tuple[tuple[float, float], ...] = ()
    decisions: tuple[tuple[float, int, int], ...] = ()
    leak_seconds: float | None = None


def decide(
    reading: RollbackReading, settings: RollbackSettings, state: TriggerState
) -> tuple[TriggerState, tuple[TriggerFired, ...]]:
    """Say which triggers fire.

    Returns:
        What to remember, and what fired; it fires again for as long as it holds.
    """
    state = _remembering(reading, settings, state)
    leak = _leak(state.memory, settings)
    since = state.leak_seconds if leak is not None else None
    if leak is not None and since is None:
        since = reading.now_seconds
    state = replace(state, leak_seconds=since)
    # What only swings looks like a leak for a moment, what fills for longer.
    held_seconds = 0.0 if since is None else reading.now_seconds - since
    found = (
        leak if held_seconds >= _HELD_SHARE * settings.leak_window_seconds else None,
        _effectiveness(state.effectiveness, settings),
        _unresponsive(reading, state.lags, settings),
        _blocked(state.decisions, settings),
    )
    return state, tuple(fired for fired in found if fired is not None)


def _remembering(
    reading: RollbackReading, settings: RollbackSettings, state: TriggerState
) -> TriggerState:
    now = reading.now_seconds
    if reading.in_use_bytes is not None:
        entry = (now, reading.in_use_bytes, reading.live_count)
        memory = _with(state.memory, entry, settings.leak_window_seconds)
        state = replace(state, memory=memory)
    if reading.effectiveness_ratio is not None:
        measured = (now, reading.effectiveness_ratio)
        window = settings.effectiveness_window_seconds
        state = replace(state, effectiveness=_with(state.effectiveness, measured, window))
    if reading.lag_seconds is not None:
        lag = (now, reading.lag_seconds)
        state = replace(state, lags=_with(state.lags, lag, settings.lag_window_seconds))
    counts = (now, reading.decided_count, reading.denied_count)
    decisions = _with(state.decisions, counts, settings.blocked_window_seconds)
    return replace(state, decisions=decisions)


def _with(
    samples: tuple[_Sample, ...], sample: _Sample, window_seconds: float
) -> tuple[_Sample, ...]:
    now = sample[0]
    kept = tuple(each for each in samples if each[0] >= now - window_seconds)
    # Two that are close say the same; the newest one is always there.
    if len(kept) > 1 and kept[-1][0] - kept[-2][0] < window_seconds / _MOST_SAMPLES:
        kept = kept[:-1]
    return (*kept, sample)


def _covers(samples: Sequence[tuple[float, ...]], window_seconds: float) -> bool:
    return samples[-1][0] - samples[0][0] >= 0.9 * window_seconds


def _leak(
    samples: Sequence[tuple[float, int, int]], settings: RollbackSettings
) -> TriggerFired | None:
    """Fire if the floor of memory rises from part to part, at no higher load than usual."""
    window = settings.leak_window_seconds
    if len(samples) < settings.leak_sample_count or not _covers(samples, window):
        return None
    usual_count = median(live_count for _, _, live_count in samples)
    start, end = samples[0][0], samples[-1][0]
    parts: list[list[int]] = [[] for _ in range(_PARTS)]
    for at, in_use_bytes, live_count in samples:
        if live_count <= usual_count:
            parts[min(_PARTS - 1, int((at - start) / (end - start) * _PARTS))].append(in_use_bytes)
    if not all(parts):
        return None  # the load rose, or fell: like is not compared with like
    floors = [min(part) for part in parts]
    grown = floors[-1] - floors[0]
    if grown <= settings.leak_bytes:
        return None
    least = _LEAST_SHARE * grown / (_PARTS - 1)
    if any(later - earlier < least for earlier, later in pairwise(floors)):
        return None
    # A cache that fills slows down; what leaks does not.
    middle = len(floors) // 2
    if floors[-1] - floors[-1 - middle] < _STEADY_SHARE * (floors[middle] - floors[0]):
        return None
    told = ", ".join(f"{floor / 1e6:.1f}" for floor in floors)
    reason = (
        f"memory in use grew by {grown / 1e6:.1f} MB in {end - start:.0f} s, with at most"
        f" {usual_count:.0f} agents alive (least of each fifth: {told} MB;"
        f" {len(samples)} samples); the limit is {settings.leak_bytes / 1e6:.1f} MB"
    )
    return TriggerFired("leak", reason)


def _effectiveness(
    samples: Sequence[tuple[float, float]], settings: RollbackSettings
) -> TriggerFired | None:
    if len(samples) < settings.effectiveness_sample_count:
        return None
    middle = median(ratio for _, ratio in samples)
    if middle >= settings.effectiveness_ratio:
        return None
    reason = (
        f"the collector freed {middle:.0%} of the garbage, as the median of {len(samples)}"
        f" measurements in {samples[-1][0] - samples[0][0]:.0f} s; the limit is"
        f" {settings.effectiveness_ratio:.0%}"
    )
    return TriggerFired("effectiveness", reason)


def _unresponsive(
    reading: RollbackReading,
    samples: Sequence[tuple[float, float]],
    settings: RollbackSettings,
) -> TriggerFired | None:
    if reading.lag_seconds is not None and reading.lag_seconds >= settings.unresponsive_seconds:
        reason = (
            f"an event loop has not come round for {reading.lag_seconds:.1f} s; the limit is"
            f" {settings.unresponsive_seconds:g} s"
        )
        return TriggerFired("unresponsive", reason)
    if len(samples) < settings.lag_sample_count or not _covers(
        samples, settings.lag_window_seconds
    ):
        return None
    late_count = sum(lag >= settings.lag_seconds for _, lag in samples)
    if late_count <= settings.lag_ratio * len(samples):
        return None
    reason = (
        f"an event loop came round {settings.lag_seconds:g} s or more too late at {late_count}"
        f" of {len(samples)} looks in {samples[-1][0] - samples[0][0]:.0f} s; the limit is"
        f" {settings.lag_ratio:.0%}"
    )
    return TriggerFired("unresponsive", reason)


def _blocked(
    samples: Sequence[tuple[float, int, int]], settings: RollbackSettings
) -> TriggerFired | None:
    decided_count = samples[-1][1] - samples[0][1]
    denied_count = samples[-1][2] - samples[0][2]
    if decided_count < settings.blocked_sample_count:
        return None
    if denied_count <= settings.blocked_ratio * decided_count:
        return None
    reason = (
        f"{denied_count} of {decided_count} operations were denied in"
        f" {samples[-1][0] - samples[0][0]:.0f} s; the limit is {settings.blocked_ratio:.0%}"
    )
    return TriggerFired("blocked", reason)
