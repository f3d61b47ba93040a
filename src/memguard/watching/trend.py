"""What became of the shapes of cycles from look to look.

Covers: the looks, and the rules by which something is told of them: pure functions.
Does not cover: looking (``watch``).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from itertools import combinations
from statistics import median

from memguard.events import Event
from memguard.heap.report import ScanReport
from memguard.settings import WatchSettings
from memguard.watching.events import ShapeGrows, ShapeOutgrown, ShapeOverBudget

_CERTAIN = 4.0
"""Standard deviations by which an order must be beyond chance: once in 30,000 looks."""


@dataclass(frozen=True, slots=True)
class SeenShape:
    """One shape in one look.

    Attributes:
        path: Its loop, for people.
        cycle_count: Cycles [count].
        object_count: Their members [count].
        retained_bytes: What would be freed with them [bytes].
    """

    path: str
    cycle_count: int
    object_count: int
    retained_bytes: int


@dataclass(frozen=True, slots=True)
class Look:
    """What one scan of a watch saw.

    Attributes:
        at_seconds: When, by the clock of the watch [s].
        mode: "snapshot" or "inline".
        fallback_reason: Why it was inline though a snapshot was asked for.
        pause_seconds: How long everything stood still [s].
        duration_seconds: How long the scan took [s].
        object_count: Objects looked at [count].
        copied_bytes: Memory that the snapshot cost beside its tables [bytes].
        shapes: The shapes by key. Of a snapshot, those of which a cycle was still as
            it was when the answer came; others have no key.
        unnamed_object_count: Members of cycles of the others [count].
    """

    at_seconds: float
    mode: str
    fallback_reason: str
    pause_seconds: float
    duration_seconds: float
    object_count: int
    copied_bytes: int
    shapes: Mapping[str, SeenShape]
    unnamed_object_count: int


def look_of(report: ScanReport, at_seconds: float) -> Look:
    """Note what a report says; shapes that differ in the length of chains are one."""
    shapes: dict[str, SeenShape] = {}
    unnamed_object_count = 0
    for shape in report.shapes:
        if shape.is_library_only:
            continue
        if not shape.edges:
            unnamed_object_count += shape.object_count
            continue
        known = shapes.get(shape.key, SeenShape(shape.path, 0, 0, 0))
        shapes[shape.key] = SeenShape(
            known.path,
            known.cycle_count + shape.cycle_count,
            known.object_count + shape.object_count,
            known.retained_bytes + shape.retained_bytes,
        )
    return Look(
        at_seconds=at_seconds,
        mode=report.mode,
        fallback_reason=report.fallback_reason,
        pause_seconds=report.pause_seconds,
        duration_seconds=report.duration_seconds,
        object_count=report.object_count,
        copied_bytes=report.copied_bytes,
        shapes=shapes,
        unnamed_object_count=unnamed_object_count,
    )


@dataclass(frozen=True, slots=True)
class Trend:
    """What is remembered from look to look.

    Attributes:
        looks: The last ones, oldest first.
        look_count: How many there were in all [count].
        most: The most cycles of each shape in any look but the last two [count].
        told: How many cycles, or objects, there were when something was told last,
            by shape and rule [count].
    """

    looks: tuple[Look, ...] = ()
    look_count: int = 0
    most: Mapping[str, int] = field(default_factory=dict)
    told: Mapping[tuple[str, str], int] = field(default_factory=dict)


def decide(
    look: Look, budgets: Mapping[str, int], settings: WatchSettings, trend: Trend
) -> tuple[Trend, tuple[Event, ...]]:
    """Say what is to be told after one more look.

    The same is told again only once there is twice as much of it.

    Args:
        look: The look.
        budgets: Objects that are allowed [count], by a pattern of paths or by key.
        settings: The rules.
        trend: What was remembered; nothing at first.

    Returns:
        What to remember, and the events.
    """
    looks = (*trend.looks, look)
    trend = Trend(
        looks[-max(settings.history_count, settings.steady_count) :],
        trend.look_count + 1,
        _most_before(looks, trend),
        trend.told,
    )
    found = [*_over_budget(look, budgets)]
    if trend.look_count > settings.warmup_count:
        found += [*_outgrown(look, settings, trend), *_growing(look, settings, trend)]
    told = dict(trend.told)
    events: list[Event] = []
    for rule, amount, event in found:
        if amount >= 2 * told.get(rule, 0):
            told[rule] = amount
            events.append(event)
    return replace(trend, told=told), tuple(events)


_Found = tuple[tuple[str, str], int, Event]


def _most_before(looks: tuple[Look, ...], trend: Trend) -> Mapping[str, int]:
    most = dict(trend.most)
    for key, shape in looks[-3].shapes.items() if len(looks) > 2 else ():
        most[key] = max(most.get(key, 0), shape.cycle_count)
    return most


def _count(look: Look, key: str) -> int:
    return look.shapes[key].cycle_count if key in look.shapes else 0


def _outgrown(look: Look, settings: WatchSettings, trend: Trend) -> Iterable[_Found]:
    if len(trend.looks) < 2:
        return
    for key, shape in look.shapes.items():
        most = trend.most.get(key, 0)
        limit = max(most * settings.outgrown_ratio, most + settings.outgrown_count)
        before = _count(trend.looks[-2], key)
        if before >= limit and shape.cycle_count > before:
            event = ShapeOutgrown(key, shape.path, shape.cycle_count, most, shape.retained_bytes)
            yield (key, "grows"), shape.cycle_count, event


def _growing(look: Look, settings: WatchSettings, trend: Trend) -> Iterable[_Found]:
    looks = trend.looks[-settings.steady_count :]
    if len(looks) < settings.steady_count:
        return
    minutes = (look.at_seconds - looks[0].at_seconds) / 60
    for key, shape in look.shapes.items():
        counts = [_count(one, key) for one in looks]
        rise = _steady_rise(counts)
        least = max(settings.outgrown_count, settings.steady_ratio * (counts[-1] - rise))
        if rise >= least and _order(counts) >= _CERTAIN:
            event = ShapeGrows(
                key,
                shape.path,
                shape.cycle_count,
                (counts[-1] - counts[0]) / minutes if minutes else 0.0,
                shape.retained_bytes,
            )
            yield (key, "grows"), shape.cycle_count, event


def _steady_rise(counts: Sequence[int]) -> float:
    """Give the rise from the first third to the last, by medians; 0 when it came at once."""
    third = len(counts) // 3
    first, middle, last = (
        median(counts[begin : begin + third]) for begin in (0, third, len(counts) - third)
    )
    rise = last - first
    # A rise in one step is a pool that was made larger.
    return rise if min(middle - first, last - middle) >= rise / 4 else 0


def _order(counts: Sequence[int]) -> float:
    """Give how much more often later counts are larger than by chance [standard deviations].

    Source:
        H. B. Mann, "Nonparametric tests against trend", 1945.
    """
    pairs = combinations(counts, 2)
    surplus = sum((after > before) - (after < before) for before, after in pairs)
    n = len(counts)
    return float(surplus / (n * (n - 1) * (2 * n + 5) / 18) ** 0.5)


def _over_budget(look: Look, budgets: Mapping[str, int]) -> Iterable[_Found]:
    for key, shape in look.shapes.items():
        for pattern, budget_count in budgets.items():
            if shape.object_count > budget_count and (
                pattern == key or fnmatchcase(shape.path, pattern)
            ):
                event = ShapeOverBudget(key, shape.path, shape.object_count, budget_count, pattern)
                yield (key, pattern), shape.object_count, event
