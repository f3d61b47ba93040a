"""What it costs to ask who holds a thousand objects, in a heap of a million.

Usage: python -m benchmarks.retention

Prints one JSON object: seconds for ``who_holds`` on 1,000 objects, the names of all
ways included, with and without what cutting would free; for one
``scan("live", explain=False)`` of the same heap, measured in turns; and for objgraph's
``find_backref_chain`` on a sample of the same objects, by object. The figure for
a thousand of those is the sample's, multiplied, which is said in its name.
"""

import functools
import gc
import json
import statistics
import time
from collections.abc import Callable

import memguard
from benchmarks.measure import require_release_build

OBJECTS = 10**6
ASKED_ABOUT = 1_000
TURNS = 9
PEER_SAMPLE = 3


class Session:
    """What a service keeps for each client: with its dict and list, some objects."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.events: list[object] = [[], {"parts": []}]


SESSIONS: dict[int, Session] = {}


def _seconds(call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def _peer_seconds(objects: list[Session]) -> float:
    import objgraph

    # Without the limit, which would end the search before it finds the module.
    def find(thing: Session) -> object:
        return objgraph.find_backref_chain(thing, objgraph.is_proper_module, 20)

    return statistics.median(_seconds(functools.partial(find, each)) for each in objects)


def compare() -> dict[str, object]:
    """Measure all of it side by side."""
    require_release_build()
    number = 0
    while len(gc.get_objects()) < OBJECTS:
        for _ in range(10_000):
            SESSIONS[number] = Session(number)
            number += 1
    gc.collect()
    gc.disable()
    asked = list(SESSIONS.values())[:: len(SESSIONS) // ASKED_ABOUT][:ASKED_ABOUT]
    report = memguard.who_holds(asked)
    if not all("SESSIONS" in each.holder for each in report.retentions):
        raise AssertionError(report.holders)
    calls: dict[str, Callable[[], object]] = {
        "scan": lambda: memguard.scan("live", explain=False),
        "who_holds": lambda: memguard.who_holds(asked),
        "who_holds_unweighed": lambda: memguard.who_holds(asked, weigh=False),
    }
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(TURNS):
        for name, call in calls.items():
            seconds[name].append(_seconds(call))
    medians = {name: statistics.median(each) for name, each in seconds.items()}
    peer_seconds = _peer_seconds(asked[:: ASKED_ABOUT // PEER_SAMPLE][:PEER_SAMPLE])
    return {
        "object_count": report.object_count,
        "asked_about_count": len(asked),
        "seconds": medians,
        "who_holds_to_scan_ratio": medians["who_holds"] / medians["scan"],
        "unweighed_to_scan_ratio": medians["who_holds_unweighed"] / medians["scan"],
        "objgraph_sample_count": PEER_SAMPLE,
        "objgraph_seconds_by_object": peer_seconds,
        "objgraph_extrapolated_to_scan_ratio": peer_seconds * ASKED_ABOUT / medians["scan"],
    }


if __name__ == "__main__":
    print(json.dumps(compare(), indent=1))
