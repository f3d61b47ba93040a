"""Scans against the collector, on every kind of heap in every size.

Usage: python -m benchmarks.scans OBJECT_COUNT [HEAP ...]

Prints one JSON object for each heap. All calls on one heap are measured in
turn, in one process, with automatic collection off.
"""

import gc
import json
import sys
from collections.abc import Iterator

import memguard
from benchmarks import heaps
from benchmarks.measure import SCANS, measure, require_release_build


def scans(object_count: int, names: list[str]) -> Iterator[dict[str, object]]:
    """Measure each heap; garbage and live cycles, found and explained."""
    require_release_build()
    for name in names:
        held = heaps.HEAPS[name](object_count)
        gc.collect()
        measured = measure(SCANS, least_rounds=7 if object_count <= 10**6 else 3)
        with memguard.scan("live", explain=False) as report:
            yield {
                "heap": name,
                "object_count": report.object_count,
                "edge_count": report.edge_count,
                "cycle_count": report.cycle_count,
                "side_table_bytes": report.side_table_bytes,
                "seconds": {call: measured.median_seconds(call) for call in SCANS},
            }
        del held, report
        gc.collect()


if __name__ == "__main__":
    for answer in scans(int(float(sys.argv[1])), sys.argv[2:] or list(heaps.HEAPS)):
        print(json.dumps(answer), flush=True)
