"""The process after a scan is the process before it."""

import array
import collections
import functools
import gc
import sys
import threading
import types
import weakref
from pathlib import Path

import pytest

import memguard
from graphs import Plain, Slotted, Vertex
from memguard import _core, _names
from process import run_fresh
from uses import CALLS


class Finalized:
    count = 0

    def __del__(self):
        Finalized.count += 1


def suspended(box):
    yield box


async def waiting(box):
    await suspension(box)


@types.coroutine
def suspension(box):
    yield box


def planted():
    """Make one cycle through each kind of object that could be changed by looking at it."""
    box = Vertex()
    inline = Plain()
    inline.box = box
    slotted = Slotted()
    slotted.a = box
    generator = suspended(box)
    next(generator)
    coroutine = waiting(box)
    coroutine.send(None)
    try:
        raise ValueError(box)
    except ValueError as error:
        caught = error
    box += [
        inline,
        slotted,
        generator,
        coroutine,
        caught,
        lambda default=box: default,
        functools.partial(len, box),
        types.MethodType(len, box),
        weakref.ref(inline, lambda _, kept=box: kept.append("called")),
        collections.deque([box]),
        {"key": box},
        (box,),
        threading.Lock(),
        Finalized(),
    ]
    return box


SUSPENDED = (types.GeneratorType, types.CoroutineType)


def measure(things, measured):
    """Append what a scan could change, as text: no container of its own joins the heap."""
    measured.append(
        "\n".join(
            map(
                str,
                (
                    list(map(id, gc.get_objects())),
                    [sys.getrefcount(thing) for thing in things],
                    [weakref.getweakrefcount(thing) for thing in things],
                    [_names.instance_dict(thing) is None for thing in things],
                    [
                        [id(child) for child in gc.get_referents(thing)]
                        for thing in things
                        if type(thing) in SUSPENDED
                    ],
                    (gc.isenabled(), gc.get_threshold(), gc.get_debug(), gc.garbage),
                    (sys.gettrace(), sys.getprofile(), threading.active_count()),
                    (len(gc.callbacks), Finalized.count, _core._native_bytes()),
                ),
            )
        )
    )


@pytest.mark.parametrize("name", CALLS)
def test_a_scan_leaves_the_process_as_it_was(name):
    """Tracked objects, reference counts, weak references and the collector are unchanged."""
    held = planted()
    things = [*held, held]
    dropped = weakref.ref(planted())
    measured = []
    # The first uses import modules and fill caches of the interpreter.
    for _ in range(4):
        CALLS[name](held)
        measure(things, measured)
    before, after = (text.splitlines() for text in measured[-2:])
    assert set(after[0].split(",")) ^ set(before[0].split(",")) == set()
    assert after[1:] == before[1:]
    assert dropped() is not None
    assert "called" not in held


@pytest.mark.parametrize("name", CALLS)
def test_a_scan_leaves_no_block_allocated(name):
    """Nothing that is not tracked is left behind either, such as a dict of strings."""
    held = planted()
    counts = array.array("q", [0, 0])
    for _ in range(3):
        # A collection empties the free lists of tuples and the like, which are
        # filled unevenly by whatever runs.
        gc.collect()
        counts[0] = sys.getallocatedblocks()
        CALLS[name](held)
        gc.collect()
        counts[1] = sys.getallocatedblocks()
    assert counts[0] == counts[1]


@pytest.mark.parametrize("kind", ["garbage", "live"])
@pytest.mark.parametrize("describes", [False, pytest.param(True, marks=pytest.mark.native)])
def test_the_native_scan_does_not_bring_the_next_collection_closer(kind, describes):
    """The collector's counter of new objects is where it was."""
    held = planted()
    counts = array.array("q", [0, 0])
    for _ in range(3):
        counts[0] = gc.get_count()[0]
        graph = _core.scan_heap(kind, 15, None, 0, 0.0, describe=describes)
        described = graph.shape_count > 0
        del graph
        counts[1] = gc.get_count()[0]
    assert counts[0] == counts[1]
    assert described == (kind == "live")
    assert len(held) > 0


def test_a_scan_tells_audit_hooks_nothing():
    """It reads fields natively, where Python would announce that it reads them.

    What draws a report asks for ids, those of its own lines and boxes.
    """
    printed = run_fresh(
        """
        import sys
        from test_leave_no_trace import planted
        from uses import CALLS

        held = planted()
        for call in CALLS.values():
            call(held)
        events = []
        is_on = False
        sys.addaudithook(
            lambda name, arguments: is_on and name != "builtins.id" and events.append(name)
        )
        is_on = True
        for call in CALLS.values():
            call(held)
        held[5].__code__
        is_on = False
        print(*events)
        """,
        PYTHONPATH=str(Path(__file__).parent),
    )
    assert printed.split() == ["object.__getattr__"]


@pytest.mark.parametrize("cuts", [memguard.DEFAULT_CUTS, ()])
@pytest.mark.parametrize("kind", ["garbage", "live"])
def test_reports_do_not_report_reports(kind, cuts):
    """Earlier reports, held by a function or by what they report, are in no later one."""
    own_names = {
        f"memguard.{name}"
        for name in (
            "_core.HeapGraph",
            "heap.report.ScanReport",
            "heap.shapes.Shape",
            "heap.shapes.Cycle",
            "heap.shapes.Edge",
        )
    }
    held = planted()
    planted()
    earlier = [memguard.scan(kind), memguard.scan("live", roots=[held]), memguard.scan("garbage")]
    cycles = [cycle for report in earlier for cycle in report.cycles]
    held += earlier
    with memguard.scan(kind, cuts=cuts) as report:
        assert report.cycle_count > 0
        assert own_names.isdisjoint(report.unreachable_types)
        for cycle in report.cycles:
            assert own_names.isdisjoint(cycle.type_names)
    assert len(cycles) > 0
