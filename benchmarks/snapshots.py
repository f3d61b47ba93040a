"""Scans in a child process against scans here and the collector.

Usage: python -m benchmarks.snapshots OBJECT_COUNT [HEAP ...]

Prints one JSON object for each heap: how long the process stands still for a
snapshot, without names and with them, how long until its answer is there, and the
same of an inline scan and of ``gc.collect()``, medians of calls made in turn, with
automatic collection off; and the memory that the child took.
"""

import gc
import json
import statistics
import sys
import time
from collections.abc import Iterator

import memguard
from benchmarks import heaps
from benchmarks.measure import require_release_build

ROUNDS = 7


def _round() -> dict[str, float]:
    began = time.perf_counter()
    gc.collect()
    collect_seconds = time.perf_counter() - began
    began = time.perf_counter()
    with memguard.scan("live", explain=False, mode="snapshot") as report:
        answer_seconds = time.perf_counter() - began
        if report.mode != "snapshot":
            raise RuntimeError(f"no snapshot to measure: {report.fallback_reason}")
        pause_seconds = report.pause_seconds
        child_bytes = report.side_table_bytes + report.copied_bytes
    with memguard.scan("live", mode="snapshot") as report:
        named_pause_seconds = report.pause_seconds
    began = time.perf_counter()
    memguard.scan("live", explain=False).release()
    return {
        "collect_seconds": collect_seconds,
        "pause_seconds": pause_seconds,
        "named_pause_seconds": named_pause_seconds,
        "answer_seconds": answer_seconds,
        "inline_seconds": time.perf_counter() - began,
        "child_bytes": child_bytes,
    }


def snapshots(object_count: int, names: list[str]) -> Iterator[dict[str, object]]:
    """Measure each heap."""
    require_release_build()
    gc.disable()
    for name in names:
        held = heaps.HEAPS[name](object_count)
        gc.collect()
        _round()  # what is loaded at the first call
        rounds = [_round() for _ in range(ROUNDS if object_count <= 10**6 else 3)]
        medians = {key: statistics.median(one[key] for one in rounds) for key in rounds[0]}
        yield {
            "heap": name,
            "object_count": object_count,
            **medians,
            "pause_ratio": medians["pause_seconds"] / medians["collect_seconds"],
            "named_pause_ratio": medians["named_pause_seconds"] / medians["collect_seconds"],
        }
        del held
        gc.collect()


if __name__ == "__main__":
    for answer in snapshots(int(float(sys.argv[1])), sys.argv[2:] or list(heaps.HEAPS)):
        print(json.dumps(answer), flush=True)
