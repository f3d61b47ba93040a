"""What it costs to say what owners and objects hold, by dominators.

Usage: python -m benchmarks.owners [objects ...]   (default: 100000 1000000)

For heaps of several forms and sizes it prints one JSON object a line: seconds of
``retained_size`` (the whole pass: references, dominators, sizes) and of
``owners(cycles=False)``, of one ``gc.collect()`` and one ``scan("live", explain=False)``
of the same heap, all measured in turns; ratios to both; the tables' bytes by object; and
how the time by object and by log2(objects) compares with that of the smallest heap of
the same form. Each heap has a process of its own.

Peers, on the same object of a heap of 100,000 objects: pympler's ``asizeof`` and, where it
is installed, guppy3's ``hp.iso(obj).domisize``. They answer other questions, which is why
their answers are printed beside: ``asizeof`` counts all that the object leads to, also what
others hold.
"""

import gc
import json
import math
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import memguard
from benchmarks.measure import require_release_build
from memguard.heap.retained import retained_size

SIZES = (100_000, 1_000_000)
TURNS = 5
PEER_OBJECTS = 100_000


class Session:
    """What a service keeps for each client."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.events: list[object] = [[], {"parts": []}]
        self.text = f"session {number}"


def chain(count: int) -> object:
    """Lists nested one in another: the deepest tree."""
    nested: list[object] = []
    for _ in range(count):
        nested = [nested]
    return nested


def chain_with_shortcuts(count: int) -> object:
    """A chain whose every element refers to one further up and one further down."""
    chance = random.Random(1)
    nodes: list[list[object]] = [[] for _ in range(count)]
    for place in range(count - 1):
        nodes[place].append(nodes[place + 1])
        nodes[place].append(nodes[min(count - 1, place + chance.randrange(1, 1_000))])
        nodes[place].append(nodes[chance.randrange(place + 1)])
    return nodes[0]


def tree(count: int) -> object:
    """Each list has three."""
    nodes: list[list[object]] = [[]]
    for node in nodes:
        if len(nodes) >= count:
            return nodes[0]
        for _ in range(3):
            nodes.append([])
            node.append(nodes[-1])
    raise AssertionError


def random_graph(count: int) -> object:
    """Each list has two others, anywhere."""
    chance = random.Random(2)
    nodes: list[list[object]] = [[] for _ in range(count)]
    for node in nodes:
        node.extend(chance.choices(nodes, k=2))
    return nodes


def one_cycle(count: int) -> object:
    """All objects on one cycle."""
    nodes: list[list[object]] = [[] for _ in range(count)]
    for place in range(count):
        nodes[place].append(nodes[(place + 1) % count])
    return nodes[0]


def service(count: int) -> object:
    """Sessions in a dict, as in a program: five objects each."""
    return {number: Session(number) for number in range(count // 5)}


HEAPS: dict[str, Callable[[int], object]] = {
    each.__name__: each
    for each in (chain, chain_with_shortcuts, tree, random_graph, one_cycle, service)
}


def _seconds(call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def measure(form: str, count: int) -> dict[str, Any]:
    """Measure one heap in this process."""
    require_release_build()
    gc.disable()
    kept = HEAPS[form](count)
    calls: dict[str, Callable[[], object]] = {
        "gc_collect": gc.collect,
        "scan_live": lambda: memguard.scan("live", explain=False),
        "retained_size": lambda: retained_size(kept),
        "owners": lambda: memguard.owners(cycles=False),
    }
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(TURNS):
        for name, call in calls.items():
            seconds[name].append(_seconds(call))
    medians = {name: statistics.median(each) for name, each in seconds.items()}
    report = memguard.owners(cycles=False)
    return {
        "heap": form,
        "object_count": report.object_count,
        "seconds": medians,
        "retained_to_collect_ratio": medians["retained_size"] / medians["gc_collect"],
        "retained_to_scan_ratio": medians["retained_size"] / medians["scan_live"],
        "owners_to_scan_ratio": medians["owners"] / medians["scan_live"],
        "table_bytes_by_object": report.side_table_bytes / report.object_count,
        "retained_count": retained_size(kept).retained_count,
    }


def compare_peers() -> dict[str, Any]:
    """Ask peers about one session of a service, and about all of them."""
    require_release_build()
    gc.disable()
    sessions = service(PEER_OBJECTS)
    from pympler import asizeof

    answers: dict[str, Any] = {
        "retained_size": retained_size(sessions).retained_bytes,
        "pympler_asizeof": asizeof.asizeof(sessions),
    }
    calls: dict[str, Callable[[], object]] = {
        "retained_size": lambda: retained_size(sessions),
        "pympler_asizeof": lambda: asizeof.asizeof(sessions),
    }
    try:
        from guppy import hpy
    except ImportError:
        answers["guppy3_domisize"] = "guppy3 is not installed"
    else:
        heap = hpy()
        calls["guppy3_domisize"] = lambda: heap.iso(sessions).domisize
        answers["guppy3_domisize"] = heap.iso(sessions).domisize
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(3):
        for name, call in calls.items():
            seconds[name].append(_seconds(call))
    medians = {name: statistics.median(each) for name, each in seconds.items()}
    return {
        "object_count": PEER_OBJECTS,
        "answer_bytes": answers,
        "seconds": medians,
        "to_retained_size_ratio": {
            name: each / medians["retained_size"] for name, each in medians.items()
        },
    }


def _in_process(*arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.owners", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def main(sizes: list[int]) -> None:
    """Measure all forms in all sizes, and the peers."""
    for form in HEAPS:
        first = None
        for count in sizes:
            found = _in_process("one", form, str(count))
            objects = found["object_count"]
            unit = found["seconds"]["retained_size"] / (objects * math.log2(objects))
            first = unit if first is None else first
            found["to_n_log_n_of_smallest_ratio"] = unit / first
            print(json.dumps(found), flush=True)
    print(json.dumps(_in_process("peers")))


if __name__ == "__main__":
    if sys.argv[1:2] == ["one"]:
        print(json.dumps(measure(sys.argv[2], int(sys.argv[3]))))
    elif sys.argv[1:2] == ["peers"]:
        print(json.dumps(compare_peers()))
    else:
        main([int(each) for each in sys.argv[1:]] or list(SIZES))
