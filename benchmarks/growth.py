"""What one look for growth costs, in a heap of a million objects or of so many.

Usage: python -m benchmarks.growth [OBJECT_COUNT]

Prints one JSON object: median seconds of a native pass that counts types and
containers, of a whole look of ``GrowthTracker`` (the pass, and what is remembered of
it), of its report, of ``gc.collect()`` and ``scan("live", explain=False)``, measured in
turns on the same heap; of looks that were snapshots how long they held everything up
(``snapshot_pause``), and how long until they were remembered (``snapshot``); and of
objgraph's ``growth()`` and Pympler's ``summary.summarize(muppy.get_objects())``, fewer
times, on that heap, too, unless it is larger. Between two looks a hundred sessions
come, as in a service.
"""

import gc
import json
import statistics
import sys
import time
from collections.abc import Callable

import memguard
from benchmarks.measure import require_release_build
from memguard import _growth

OBJECTS = 10**6
TURNS = 15
TURNS_OF_LARGE = 12
REPORT_TURNS = 5
PEER_TURNS = 3
NEW_SESSIONS = 100


class Session:
    """What a service keeps for each client: with its dict and list, some objects."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.events: list[object] = [[], {"parts": []}, "text"]
        # One in three is as long as containers have to be to be counted.
        self.history = [number] * (40 if number % 3 == 0 else 2)


SESSIONS: dict[int, Session] = {}


def _add_sessions(count: int) -> None:
    for number in range(len(SESSIONS), len(SESSIONS) + count):
        SESSIONS[number] = Session(number)


def _seconds(call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def _objgraph() -> object:
    import objgraph

    return objgraph.growth(limit=10)


def _pympler() -> object:
    from pympler import muppy, summary

    return summary.summarize(muppy.get_objects())


def _medians(calls: dict[str, Callable[[], object]], turns: int) -> dict[str, float]:
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(turns):
        for name, call in calls.items():
            _add_sessions(NEW_SESSIONS)
            seconds[name].append(_seconds(call))
    return {name: statistics.median(each) for name, each in seconds.items()}


def _fill(object_count: int) -> None:
    while len(gc.get_objects()) < object_count:
        _add_sessions(object_count // 100)


def compare(object_count: int = OBJECTS) -> dict[str, object]:
    """Measure all of it side by side."""
    require_release_build()
    _fill(object_count)
    gc.collect()
    gc.disable()
    census = _growth.Census(4, 1 << 16)
    tracker = memguard.GrowthTracker("run")
    remote = memguard.GrowthTracker("run", mode="snapshot")
    pauses: list[float] = []
    places = iter(range(10**6))

    def look_remotely() -> None:
        remote.observe(next(places))
        if remote.mode != "snapshot":
            raise RuntimeError(f"no snapshot to measure: {remote.fallback_reason}")
        pauses.append(remote.pause_seconds)

    calls: dict[str, Callable[[], object]] = {
        "gc_collect": gc.collect,
        "scan": lambda: memguard.scan("live", explain=False),
        "native_pass": census.take,
        "look": lambda: tracker.observe(next(places)),
        "snapshot": look_remotely,
    }
    is_large = object_count > OBJECTS
    turns = TURNS_OF_LARGE if is_large else TURNS
    medians = _medians(calls, turns)
    medians["snapshot_pause"] = statistics.median(pauses)
    # Only now are there looks enough for one to say anything.
    medians |= _medians({"report": tracker.report}, REPORT_TURNS)
    named = [finding.name for finding in tracker.report().findings]
    if not any(name.endswith(".SESSIONS") for name in named):
        raise AssertionError(named)
    peers: dict[str, Callable[[], object]] = (
        {} if is_large else {"objgraph_growth": _objgraph, "pympler_summary": _pympler}
    )
    seconds = {**medians, **_medians(peers, PEER_TURNS)}
    return {
        "object_count": census.object_count,
        "container_count": census.container_count,
        "floor": census.floor,
        "turns": turns,
        "peer_turns": PEER_TURNS,
        "seconds": seconds,
        "ratio_to_collect": {name: each / seconds["gc_collect"] for name, each in seconds.items()},
        "ratio_to_scan": {name: each / seconds["scan"] for name, each in seconds.items()},
    }


if __name__ == "__main__":
    print(json.dumps(compare(int(float((sys.argv[1:] or [OBJECTS])[0]))), indent=1))
