"""Alerts against the original report's own rule, on readings whose truth is known.

Usage: python -m benchmarks.alerts [--record] [--seed N]

Two series of 10,000 readings: one recorded in a process that held a known amount of
memory while buffers came and went, one made of known levels and noise. Where the truth
reached a level and kept it for `LEAST_READINGS`, it is owed that the level is told. An
alert is false if the truth did not reach its level in the `LAG_READINGS` before it; no
tolerance is given.
"""

import argparse
import csv
import mmap
import random
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from memguard.pressure.alerts import MemoryPressureAlertSystem
from memguard.pressure.events import AlertCleared, AlertRaised

READING_COUNT = 10_000
LEAST_READINGS = 10
LAG_READINGS = 10
LEVELS = {"warning": 60.0, "critical": 80.0, "emergency": 95.0}
RECORDED = Path(__file__).parent / "recorded_readings.csv"

LIMIT_MB = 1000
LARGEST_MB = 60
_BLOCK = bytearray(LARGEST_MB * 10**6)
READING_SECONDS = 0.004


@dataclass(frozen=True, slots=True)
class Reading:
    """What was true, and what was read, both in percent of the limit."""

    truth: float
    value: float


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


def synthetic(seed: int) -> list[Reading]:
    """Make levels that are kept for a while, with what moves readings on top."""
    chance = random.Random(seed)
    readings: list[Reading] = []
    truth = 40.0
    while len(readings) < READING_COUNT:
        goal = chance.uniform(30, 99)
        for _ in range(chance.randint(5, 20)):
            truth += (goal - truth) / 5
            readings.append(Reading(truth, _noisy(truth, chance)))
        truth = goal
        for _ in range(chance.randint(40, 200)):
            readings.append(Reading(truth, _noisy(truth, chance)))
    return readings[:READING_COUNT]


def _noisy(truth: float, chance: random.Random) -> float:
    value = truth + chance.gauss(0, 1.0)
    if chance.random() < 0.03:  # a buffer, or a page cache that was not given back yet
        value += chance.uniform(3, 25)
    return max(0.0, value)


def hold(size_mb: float) -> mmap.mmap:
    """Take memory that goes back to the system when it is dropped."""
    size = max(1, int(size_mb * 1e6))
    memory = mmap.mmap(-1, size)
    # In one step, as a library that reads a file would.
    memory.write(memoryview(_BLOCK)[:size])
    return memory


def record() -> None:
    """Record readings in this process, and write them beside this file."""
    from memguard.pressure.memory import MemoryReader
    from memguard.settings import PressureSettings

    chance = random.Random(7)
    base = MemoryReader().read().rss_bytes / 1e6
    held = 0.0
    stopped = threading.Event()

    def disturb() -> None:
        own = random.Random(8)
        while not stopped.wait(own.uniform(0.01, 0.2)):
            with hold(own.uniform(1, LARGEST_MB)):
                time.sleep(own.uniform(0.0, 0.004))

    def make_garbage() -> None:
        own = random.Random(9)
        while not stopped.wait(0.005):
            size = own.uniform(0.1, 1.5)
            garbage.append((hold(size), size))
            if own.random() < 0.03:  # as a collection would
                garbage.clear()

    threads = [threading.Thread(target=target) for target in (disturb, make_garbage)]
    for thread in threads:
        thread.start()
    reader = MemoryReader(PressureSettings(usage_seconds=0.0))
    garbage: list[tuple[mmap.mmap, float]] = []
    ballast: list[tuple[mmap.mmap, float]] = []
    rows = []
    until = 0
    for position in range(READING_COUNT):
        if position >= until:
            goal = chance.uniform(300, 990) - base
            until = position + chance.randint(50, 250)
            while held < goal:
                size = min(10.0, goal - held)
                ballast.append((hold(size), size))
                held += size
            while held > goal:
                held -= ballast.pop()[1]
        truth = base + held + sum(size for _, size in garbage)
        rows.append((round(truth, 1), round(reader.read().rss_bytes / 1e6, 1)))
        time.sleep(READING_SECONDS)
    stopped.set()
    for thread in threads:
        thread.join()
    with RECORDED.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([("held_mb", "resident_mb"), *rows])


def recorded() -> list[Reading]:
    """Read what was recorded."""
    with RECORDED.open(newline="") as file:
        return [
            Reading(
                float(row["held_mb"]) / LIMIT_MB * 100, float(row["resident_mb"]) / LIMIT_MB * 100
            )
            for row in csv.DictReader(file)
        ]


RULES: dict[str, Rule] = {
    "original report, each reading": report_rule,
    "original report, each rise": report_rule_once,
    "memguard": memguard_rule,
}


def table(seed: int) -> str:
    """Make the table that the documentation quotes."""
    lines = [
        "| readings | rule | alerts | false | false share | owed | missed | delay, readings |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, readings in (("recorded", recorded()), ("synthetic", synthetic(seed))):
        for rule_name, rule in RULES.items():
            found = score(readings, rule([reading.value for reading in readings]))
            lines.append(
                f"| {name} | {rule_name} | {found.alert_count:,} | {found.false_count:,} |"
                f" {found.false_ratio:.1%} | {found.owed_count} | {found.missed_count} |"
                f" {found.delay_readings:g} |"
            )
    return "\n".join(lines)


def main() -> None:
    """Print the table, after recording anew if that is asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.alerts")
    parser.add_argument("--record", action="store_true", help="record anew, in a minute")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if options.record:
        code = "from benchmarks.alerts import record; record()"
        subprocess.run([sys.executable, "-c", code], check=True, cwd=RECORDED.parent.parent)
    print(table(options.seed))


if __name__ == "__main__":
    main()
