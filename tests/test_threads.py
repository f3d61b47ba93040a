"""Recording with several threads: the same answer, and nobody else's code on them."""

import asyncio
import collections
import functools
import gc
import os
import sys
import time
import weakref

import pytest

import memguard
from graphs import Plain, Vertex
from memguard import _core
from memguard.heap.cuts import flags_of
from process import run_fresh

CUTS = flags_of(memguard.DEFAULT_CUTS)
# Four blocks of nodes and some: see rows.h.
NODE_COUNT = 140_000


@pytest.fixture
def force_threads():
    yield _core._force_threads
    _core._force_threads(0)


def mixed_heap():
    """Make cycles and other objects of many types, those of C extensions among them."""
    kept = []
    for number in range(NODE_COUNT // 14):
        node = Plain()
        node.queue = collections.deque([node])
        node.order = collections.OrderedDict(node=node)
        node.partial = functools.partial(print, node)
        node.future = asyncio.Future(loop=LOOP)
        node.future.set_result([node, number])
        node.items = ([number], {"number": [number]}, Vertex(), {number: ()})
        kept.append(node)
    return kept


class Loop:
    """What a future asks of its loop."""

    def get_debug(self):
        return False


LOOP = Loop()


def found(kind):
    """Give how many cycles of Plain there are, a hash of their ids, and all counts.

    Numbers only: what is kept of one scan is there for the next one to find.
    """
    graph = _core.scan_heap(kind, CUTS if kind == "live" else 0, None, 0, 0.0, describe=False)
    cycles = {
        frozenset(graph.cycle_ids(index))
        for index in range(graph.cycle_count)
        if any(cls is Plain for cls, _ in graph.cycle_types(index))
    }
    counts = (graph.object_count, graph.edge_count, graph.suspect_count, graph.unreachable_count)
    graph.release()
    return len(cycles), hash(frozenset(cycles)), *counts


def found_with(thread_count, kind, force_threads):
    force_threads(thread_count)
    gc.collect()
    return found(kind)


@pytest.mark.parametrize("thread_count", [2, 4])
def test_several_threads_find_what_one_finds(force_threads, thread_count):
    """Cycles through objects of C extensions, by ids, and every count."""
    gc.disable()
    try:
        kept = mixed_heap()
        one = found_with(1, "live", force_threads)
        assert one[0] == len(kept)
        assert found_with(thread_count, "live", force_threads) == one
    finally:
        gc.enable()


def test_several_threads_find_the_same_garbage(force_threads):
    """Garbage that is larger than a block, through all kinds of references."""
    gc.collect()
    gc.disable()
    try:
        cycle_count = len(mixed_heap())
        force_threads(1)
        one = found("garbage")
        force_threads(4)
        several = found("garbage")
        # Counts of the whole heap (the third and fourth) change with `one` itself.
        assert (several[:2], several[4:]) == (one[:2], one[4:])
        assert one[0] == cycle_count
    finally:
        gc.enable()
        gc.collect()


def test_several_threads_group_cycles_as_one_does(force_threads):
    """Shapes, how many cycles each has, and in which order."""

    def grouped(thread_count):
        force_threads(thread_count)
        graph = _core.scan_heap("live", CUTS, None, 0, 0.0, describe=True)
        sizes = [len(graph.shape_cycles(shape)) for shape in range(graph.shape_count)]
        graph.release()
        return sizes

    kept = mixed_heap()
    one = grouped(1)
    assert one[0] == len(kept)
    assert grouped(4) == one


def test_several_threads_let_go_of_what_others_hold_and_of_what_nobody_does(force_threads):
    """Reference counts are as before, and what died meanwhile ends then."""
    force_threads(4)
    gc.disable()
    try:
        kept = [Plain() for _ in range(NODE_COUNT)]
        for node in kept:
            node.me = node
        del node
        counts = [sys.getrefcount(node) for node in kept]
        graph = _core.scan_heap("live", CUTS, None, 0, 0.0, describe=False)
        assert graph.cycle_count >= NODE_COUNT
        ended = [weakref.ref(node) for node in kept[::2]]
        for node in kept[::2]:
            del node.me
        del kept[::2], counts[::2], node  # the loop's own variable, too
        assert all(reference() is not None for reference in ended)
        graph.release()
        assert not any(reference() is not None for reference in ended)
        assert [sys.getrefcount(node) for node in kept] == counts
    finally:
        gc.enable()


def test_traverse_of_an_extension_runs_on_the_calling_thread():
    """It may ask for the thread state, which threads without the GIL do not have."""
    printed = run_fresh(
        """
        import ctypes, gc, threading
        from memguard import _core

        class Vertex(list):
            pass

        gc.disable()
        kept = [Vertex() for _ in range(140_000)]
        threads = set()

        @ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
        def traverse(self, visit, argument):
            # On a thread without the GIL this line would wait for it without end.
            threads.add(threading.get_ident())
            return 0

        slot = ctypes.c_void_p.from_address(id(Vertex) + 23 * ctypes.sizeof(ctypes.c_void_p))
        get_slot = ctypes.pythonapi.PyType_GetSlot
        get_slot.restype, get_slot.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_int]
        assert get_slot(Vertex, 71) == slot.value
        before, slot.value = slot.value, ctypes.cast(traverse, ctypes.c_void_p).value
        _core._force_threads(4)
        for kind in ("live", "garbage"):
            _core.scan_heap(kind, 15, None, 0, 0.0, describe=False).release()
        slot.value = before
        print(threads == {threading.get_ident()})
        """
    )
    assert printed.split() == ["True"]


def test_memory_that_ends_on_any_thread_is_an_error_and_leaves_nothing(force_threads):
    """Every allocation of a scan on several threads fails in turn."""
    gc.disable()
    try:
        kept = mixed_heap()
        force_threads(4)
        before_bytes = _core._native_bytes()
        failure_count = 0
        for number in range(1, 10_000):
            _core._fail_allocation_at(number)
            try:
                graph = _core.scan_heap("live", CUTS, None, 0, 0.0, describe=False)
            except MemoryError:
                failure_count += 1
                assert _core._native_bytes() == before_bytes
                continue
            break
        _core._fail_allocation_at(0)
        assert failure_count > 20
        assert graph.cycle_count >= len(kept)
    finally:
        _core._fail_allocation_at(0)
        gc.enable()


def test_a_budget_ends_all_threads(force_threads):
    """A clock that runs out during recording marks the report as partial."""
    gc.disable()
    try:
        kept = mixed_heap()
        object_count = found("live")[2]
        force_threads(4)
        _core._step_clock(1.0)
        # Enumeration looks at the clock every 4,096 objects.
        budget_seconds = object_count // 4_096 + 2
        graph = _core.scan_heap("live", CUTS, None, 0, budget_seconds, describe=False)
    finally:
        _core._step_clock(0.0)
        gc.enable()
    assert graph.stopped_by == "budget_seconds"
    assert graph.object_count >= len(kept)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_no_thread_is_left_behind(force_threads):
    """The process soon has as many threads after a scan as before."""
    kept = [[] for _ in range(NODE_COUNT)]
    force_threads(4)
    before = len(os.listdir("/proc/self/task"))
    found("live")
    # The last thing that a thread does is to say that it ends.
    until = time.monotonic() + 30
    while len(os.listdir("/proc/self/task")) != before and time.monotonic() < until:
        time.sleep(0.001)
    assert len(os.listdir("/proc/self/task")) == before
    assert len(kept) == NODE_COUNT


def test_the_budget_may_end_while_one_thread_records_for_the_others(force_threads):
    """Objects of extensions are as many as the heap has, so the clock is asked there, too."""
    queues = [collections.deque([[]]) for _ in range(NODE_COUNT)]
    force_threads(4)
    # Objects are counted every 4,096th, and hardly begun to be recorded.
    readings = len(gc.get_objects()) // 4_096 + 10
    _core._step_clock(1.0)
    try:
        graph = _core.scan_heap("live", CUTS, None, 0, float(readings), describe=False)
    finally:
        _core._step_clock(0.0)
    assert graph.stopped_by == "budget_seconds"
    assert 0 < graph.edge_count < len(queues)
