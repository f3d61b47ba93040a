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
import subprocess
import sys
import threading
import time
from pathlib import Path

from memguard.validation.readings import (
    READING_COUNT,
    Reading,
    Rule,
    memguard_rule,
    report_rule,
    report_rule_once,
    score,
    synthetic,
)

RECORDED = Path(__file__).parent / "recorded_readings.csv"

LIMIT_MB = 1000
LARGEST_MB = 60
_BLOCK = bytearray(LARGEST_MB * 10**6)
READING_SECONDS = 0.004


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
