"""Profiles of the collector on loads of agents: memory, pauses, share of the time.

Usage: python -m benchmarks.collector [--seconds N] [--repeat N] [--loads TEXT]

Each load runs under each profile in a process of its own, one after the other; the
median of the repeats is shown. LangGraph and openai-agents take part if installed.
Peaks are above what is resident when the load begins; 50 agents hold 50 MB.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.loads import available_loads

PROFILES = ("default", "report", "freeze and raise", "latency", "bytes")
_FOLDER = Path(__file__).parent.parent


def measure_apart(load: str, profile: str, seconds: float) -> dict[str, Any]:
    """Run one load under one profile in a process of its own."""
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.loads", load, profile, str(seconds)],
        cwd=_FOLDER,
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode != 0:
        raise SystemExit(f"{load} under {profile} failed:\n{run.stderr[-3000:]}")
    measured: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return measured


def median_of(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Give the median of each number."""
    return {
        name: statistics.median(run[name] for run in runs)
        if isinstance(runs[0][name], int | float)
        else runs[0][name]
        for name in runs[0]
    }


def row(measured: dict[str, Any], default: dict[str, Any]) -> str:
    """Make a line of the table; what is compared is compared with the default."""
    return (
        f"| {measured['load']} | {measured['profile']} | {measured['peak_mb']:,.0f} |"
        f" {measured['peak_mb'] / default['peak_mb']:.2f} | {measured['longest_ms']:.1f} |"
        f" {measured['longest_cpu_ms']:.1f} | {measured['collector_cpu_ratio']:.1%} |"
        f" {measured['trim_ratio']:.1%} |"
        f" {measured['cpu_ms_a_run'] / default['cpu_ms_a_run']:.2f} |"
        f" {measured['run_count'] / default['run_count']:.2f} |"
    )


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.collector")
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--loads", default="", help="only those with this text in their name")
    parser.add_argument("--profiles", default=",".join(PROFILES))
    options = parser.parse_args()
    print(
        "| load | profile | peak MB | to default | longest ms | ... of CPU | collector |"
        " trim |"
        " CPU a run, to default | runs, to default |\n"
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    )
    for load in available_loads():
        if options.loads not in load:
            continue
        default: dict[str, Any] = {}
        for profile in options.profiles.split(","):
            runs = [measure_apart(load, profile, options.seconds) for _ in range(options.repeat)]
            measured = median_of(runs)
            default = default or measured
            print(row(measured, default), flush=True)


if __name__ == "__main__":
    main()
