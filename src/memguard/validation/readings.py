"""Readings of memory whose truth is known, and how good a rule for alerts is on them.

Covers: made-up readings with the noise of real ones, rules, their scores.
Does not cover: recorded readings (``benchmarks/alerts.py``).
"""

import random
import statistics
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

from memguard.pressure.alerts import MemoryPressureAlertSystem
from memguard.pressure.events import AlertCleared, AlertRaised

READING_COUNT = 10_000
LEAST_READINGS = 10
"""A level that is true for so many readings is owed to be told."""

LAG_READINGS = 10
"""An alert is false if its level was not true in so many readings before it."""

LEVELS = {"warning": 60.0, "critical": 80.0, "emergency": 95.0}


@dataclass(frozen=True, slots=True)
class Reading:
    """What was true, and what was read, both in percent of the limit.

    Attributes:
        truth: What was true [percent].
        value: What was read [percent].
        spike_count: How many readings the spike lasts that this one is of [count].
    """

    truth: float
    value: float
    spike_count: int = 0


@dataclass(frozen=True, slots=True)
class Alert:
    """A level that was told at a reading."""

    position: int
    level: str


@dataclass(frozen=True, slots=True)
class Told:
    """What a rule told, and which level stood at each reading."""

    alerts: list[Alert]
    levels: list[str]


Rule = Callable[[list[float]], Told]
RANKS = {"normal": 0, "warning": 1, "critical": 2, "emergency": 3}


def report_level(value: float) -> str:
    """Give the level of a reading, as the original report's class does."""
    return next((level for level in reversed(LEVELS) if value >= LEVELS[level]), "normal")


def report_rule(values: list[float]) -> Told:
    """Alert at every reading at a level, as the original report's class does."""
    levels = [report_level(value) for value in values]
    alerts = [Alert(at, level) for at, level in enumerate(levels) if level != "normal"]
    return Told(alerts, levels)


def report_rule_once(values: list[float]) -> Told:
    """Alert when the report's rule says a higher level than at the reading before."""
    levels = [report_level(value) for value in values]
    alerts = [
        Alert(at, level)
        for at, (before, level) in enumerate(pairwise(["normal", *levels]))
        if RANKS[level] > RANKS[before]
    ]
    return Told(alerts, levels)


def memguard_rule(values: list[float]) -> Told:
    """Alert as memguard does, with one reading a second."""
    position = 0
    system = MemoryPressureAlertSystem(clock=lambda: float(position))
    alerts: list[Alert] = []
    told = ["normal"]

    def note(event: AlertRaised | AlertCleared) -> None:
        told[0] = event.level
        if isinstance(event, AlertRaised):
            alerts.append(Alert(position, event.level))

    system.on_alert(note)
    levels = []
    for position, value in enumerate(values):  # noqa: B007  # the clock reads it
        system.check_memory_pressure(value, 100)
        levels.append(told[0])
    return Told(alerts, levels)


@dataclass(frozen=True, slots=True)
class Score:
    """How good a rule was.

    Attributes:
        alert_count: Alerts that were told.
        false_count: ... of which the level was not true.
        owed_count: Times that a level was reached and kept.
        missed_count: ... of which nobody was told.
        delay_readings: Median of readings from the truth to the alert.
    """

    alert_count: int
    false_count: int
    owed_count: int
    missed_count: int
    delay_readings: float

    @property
    def false_ratio(self) -> float:
        """Share of the alerts that were false."""
        return self.false_count / max(1, self.alert_count)


def episodes(readings: list[Reading], threshold: float) -> list[range]:
    """Give the stretches in which a level was true."""
    found, start = [], None
    for position, reading in enumerate([*readings, Reading(0, 0)]):
        if reading.truth >= threshold and start is None:
            start = position
        elif reading.truth < threshold and start is not None:
            found.append(range(start, position))
            start = None
    return found


def score(readings: list[Reading], told: Told) -> Score:
    """Compare what was told with the truth; a level that still stands is told."""
    false = sum(
        all(
            readings[at].truth < LEVELS[alert.level]
            for at in range(max(0, alert.position - LAG_READINGS), alert.position + 1)
        )
        for alert in told.alerts
    )
    missed, delays = 0, []
    for level, threshold in LEVELS.items():
        for episode in episodes(readings, threshold):
            if len(episode) < LEAST_READINGS:
                continue
            standing = (at for at in episode if RANKS[told.levels[at]] >= RANKS[level])
            first = next(standing, None)
            if first is None:
                missed += 1
            else:
                delays.append(first - episode.start)
    owed = missed + len(delays)
    return Score(len(told.alerts), false, owed, missed, statistics.median(delays or [0]))


def synthetic(seed: int, longest_spike_count: int = 1) -> list[Reading]:
    """Make levels that are kept for a while, with what moves readings on top.

    Args:
        seed: Of what happens by chance.
        longest_spike_count: How many readings a spike lasts at most [count].
    """
    chance = random.Random(seed)
    noise = _Noise(chance, longest_spike_count)
    readings: list[Reading] = []
    truth = 40.0
    while len(readings) < READING_COUNT:
        goal = chance.uniform(30, 99)
        for _ in range(chance.randint(5, 20)):
            truth += (goal - truth) / 5
            readings.append(noise.read(truth))
        truth = goal
        count = chance.randint(40, 200)
        readings += [noise.read(truth) for _ in range(count)]
    return readings[:READING_COUNT]


class _Noise:
    """What moves readings: always a little, now and then by a spike."""

    def __init__(self, chance: random.Random, longest_spike_count: int) -> None:
        self._chance = chance
        self._longest_count = longest_spike_count
        self._height = 0.0
        self._count = 0
        self._left_count = 0

    def read(self, truth: float) -> Reading:
        value = truth + self._chance.gauss(0, 1.0)
        # A buffer, or a page cache that was not given back yet.
        if self._left_count == 0 and self._chance.random() < 0.03:
            self._count = 1
            if self._longest_count > 1:
                self._count = self._chance.randint(1, self._longest_count)
            self._left_count = self._count
            self._height = self._chance.uniform(3, 25)
        if self._left_count == 0:
            return Reading(truth, max(0.0, value))
        self._left_count -= 1
        return Reading(truth, max(0.0, value + self._height), self._count)


def with_sustained(readings: list[Reading], least_count: int) -> list[Reading]:
    """Take spikes of at least so many readings for the truth: pressure, and no noise."""
    return [
        replace(reading, truth=max(reading.truth, reading.value))
        if reading.spike_count >= least_count
        else reading
        for reading in readings
    ]
