"""Whether numbers rise steadily, and how fast.

Covers: one series of numbers; pure functions.
Does not cover: where they come from (``history``), what is told (``folding``).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from statistics import median

LEAST_LOOKS = 8
"""Numbers below which nothing is said: less are too easily in order by chance [count]."""

_CERTAIN = 3.4
"""Standard deviations by which an order must be beyond chance: once in 3,000 series."""

_SLOWER = 1.645
"""Standard deviations beyond which the end is slower than the begin: by chance once in 20."""

_LEAST_PART_OF_THIRDS = 0.2
_LEAST_NET_RATIO = 0.5
_LEAST_LAST_RATIO = 0.5


@dataclass(frozen=True, slots=True)
class Rise:
    """How fast a series rises.

    Attributes:
        per_unit: Median of the slopes between any two points.
        amount: From the first number to the last.
    """

    per_unit: float
    amount: float


def steady_rise(places: Sequence[float], values: Sequence[float], least: float) -> Rise | None:
    """Tell how fast numbers rise, if they rise steadily.

    Steady is what rises in each third and in the last as fast as before, falls much
    less than it rises, and is in order beyond chance. So a cache that fills and
    stops, or becomes ever slower, a pool that was made larger once, a queue that comes
    and goes, and a saw-tooth are not.

    Args:
        places: Where the numbers were taken, such as the number of the run; rising.
        values: The numbers.
        least: The rise below which nothing is said.

    Returns:
        The rise; None when it is not steady.

    Source:
        H. B. Mann, "Nonparametric tests against trend", 1945; P. K. Sen, "Estimates
        of the regression coefficient based on Kendall's tau", 1968.
    """
    amount = values[-1] - values[0] if values else 0
    if len(values) < LEAST_LOOKS or amount < least:
        return None
    variation = sum(abs(after - before) for before, after in pairwise(values))
    if amount < _LEAST_NET_RATIO * variation:
        return None
    third = len(values) // 3
    begin, early, late, end = values[0], values[third], values[-1 - third], values[-1]
    if min(early - begin, late - early, end - late) < _LEAST_PART_OF_THIRDS * amount / 3:
        return None
    points = list(zip(places, values, strict=True))
    if _order(values) < _CERTAIN or _slowing(points, third) > _SLOWER:
        return None
    per_unit = _slope(points)
    last = _slope(points[-max(third, LEAST_LOOKS // 2) :])
    mean = amount / (places[-1] - places[0])
    if max(last, _mean_slope(points[-third:])) < _LEAST_LAST_RATIO * mean:
        return None
    # Numbers that rise now and then only have a median slope of 0.
    return Rise(per_unit if per_unit > mean / 2 else mean, amount)


def _slope(points: Sequence[tuple[float, float]]) -> float:
    return median((y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in combinations(points, 2))


def _mean_slope(points: Sequence[tuple[float, float]]) -> float:
    (x1, y1), (x2, y2) = points[0], points[-1]
    return (y2 - y1) / (x2 - x1)


def _slowing(points: Sequence[tuple[float, float]], third: int) -> float:
    """Give how much faster the first third rises than the last [standard deviations].

    The steps themselves say how far apart two halves of one rate are by chance: few
    large steps further than many small ones.
    """
    begin, end = points[: third + 1], points[-1 - third :]
    variance = 0.0
    for part in (begin, end):
        steps = sum((after[1] - before[1]) ** 2 for before, after in pairwise(part))
        variance += steps / (part[-1][0] - part[0][0]) ** 2
    return float((_mean_slope(begin) - _mean_slope(end)) / variance**0.5)


def _order(values: Sequence[float]) -> float:
    """Give how much more often later numbers are larger than by chance [standard deviations]."""
    surplus = sum((after > before) - (after < before) for before, after in combinations(values, 2))
    n = len(values)
    return float(surplus / (n * (n - 1) * (2 * n + 5) / 18) ** 0.5)
