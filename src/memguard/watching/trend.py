"""What became of the shapes of cycles from look to look.

Covers: the looks, and the rules by which something is told of them: pure functions.
Does not cover: looking (``watch``).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from itertools import combinations
from statistics import median

from memguard._core import MOST_HELD_MEMBERS
from memguard.events import Event
from memguard.heap.report import ScanReport
from memguard.settings import WatchSettings
from memguard.watching.events import ShapeGrows, ShapeOutgrown, ShapeOverBudget

CYCLES = "cycles"
OBJECTS = "objects of a cycle"

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

    def count(self, quantity: str) -> int:
        """Give the number of cycles, or the mean of their objects, rounded up [count]."""
        return self.cycle_count if quantity == CYCLES else -(-self.object_count // self.cycle_count)


class _Shapes(dict[str, SeenShape]):
    """Of a class of its own: looks at what grows would take a dict for the program's."""

    __slots__ = ()


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
            it was when the answer came, and by their types those that are too large to
            look for.
        unnamed_object_count: Members of cycles of all others [count].
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
    shapes = _Shapes()
    unnamed_object_count = 0
    for shape in report.shapes:
        if shape.is_library_only:
            continue
        key, path = shape.key, shape.path
        if not shape.edges:
            if sum(shape.type_names.values()) <= MOST_HELD_MEMBERS:
                unnamed_object_count += shape.object_count
                continue
            # Their number is part of the path, and changes.
            key = path = f"a large cycle of {', '.join(sorted(shape.type_names))}"
        known = shapes.get(key, SeenShape(path, 0, 0, 0))
        shapes[key] = SeenShape(
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
        most: The most of each shape and quantity in any look but the last two [count].
        told: How many cycles, or objects, there were when something was told last,
            by shape and rule [count].
    """

    looks: tuple[Look, ...] = ()
    look_count: int = 0
    most: Mapping[tuple[str, str], int] = field(default_factory=dict)
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


def _most_before(looks: tuple[Look, ...], trend: Trend) -> Mapping[tuple[str, str], int]:
    most = dict(trend.most)
    for key, shape in looks[-3].shapes.items() if len(looks) > 2 else ():
        for quantity in (CYCLES, OBJECTS):
            before = most.get((key, quantity), 0)
            most[key, quantity] = max(before, shape.count(quantity))
    return most


def _count(look: Look, key: str, quantity: str) -> int:
    return look.shapes[key].count(quantity) if key in look.shapes else 0


def _watched(look: Look, settings: WatchSettings) -> Iterable[tuple[str, SeenShape, str, int]]:
    """List what may grow of each shape, and from how many more on it is told [count]."""
    for key, shape in look.shapes.items():
        yield key, shape, CYCLES, settings.outgrown_count
        yield key, shape, OBJECTS, settings.outgrown_object_count


def _outgrown(look: Look, settings: WatchSettings, trend: Trend) -> Iterable[_Found]:
    if len(trend.looks) < 2:
        return
    for key, shape, quantity, least in _watched(look, settings):
        most = trend.most.get((key, quantity), 0)
        limit = max(most * settings.outgrown_ratio, most + least)
        before, now = _count(trend.looks[-2], key, quantity), shape.count(quantity)
        if before >= limit and now > before:
            event = ShapeOutgrown(key, shape.path, quantity, now, most, shape.retained_bytes)
            yield (key, quantity), now, event


def _growing(look: Look, settings: WatchSettings, trend: Trend) -> Iterable[_Found]:
    looks = trend.looks[-settings.steady_count :]
    if len(looks) < settings.steady_count:
        return
    minutes = (look.at_seconds - looks[0].at_seconds) / 60
    for key, shape, quantity, least in _watched(look, settings):
        counts = [_count(one, key, quantity) for one in looks]
        rise = _steady_rise(counts)
        least_rise = max(least, settings.steady_ratio * (counts[-1] - rise))
        if rise >= least_rise and _order(counts) >= _CERTAIN:
            event = ShapeGrows(
                key,
                shape.path,
                quantity,
                counts[-1],
                (counts[-1] - counts[0]) / minutes if minutes else 0.0,
                shape.retained_bytes,
            )
            yield (key, quantity), counts[-1], event


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
