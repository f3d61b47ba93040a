"""Scans at moments when others would rather not be called."""

import ctypes
import gc
import sys
import weakref

import pytest

import memguard
from graphs import Plain, Vertex, self_loop
from memguard import _core
from process import run_fresh


class Scanning:
    """Scans when it is finalized, and keeps what was found."""

    found = []

    def __del__(self):
        for kind in ("garbage", "live"):
            with memguard.scan(kind, types=[Vertex]) as report:
                self.found.append((kind, report.cycle_count, report.suspect_count))


@pytest.fixture
def found():
    Scanning.found.clear()
    yield Scanning.found
    Scanning.found.clear()


@pytest.mark.native
def test_a_finalizer_that_a_last_reference_runs_may_scan(found):
    """A scan in __del__ sees the heap as it is."""
    kept = self_loop()
    self_loop()
    Scanning()
    assert found == [("garbage", 1, 0), ("live", 1, 0)]
    assert len(kept) == 1


def test_a_finalizer_that_the_collector_runs_may_scan(found):
    """What is being collected is in nobody's list, and is not reported again."""
    kept = self_loop()
    dropped = self_loop()
    dropped.append(Scanning())
    del dropped
    assert gc.collect() > 0
    assert found == [("garbage", 0, 0), ("live", 1, 0)]
    assert len(kept) == 1


def test_a_finalizer_that_release_runs_may_scan_and_release(found):
    """Releasing a report frees its members, and their finalizers may do the same again."""
    before = _core._native_bytes()
    owner = self_loop()
    report = memguard.scan("live", types=[Vertex])

    class Releasing:
        def __del__(self):
            report.release()

    owner += [Scanning(), Releasing(), Scanning()]
    owner.remove(owner)
    del owner
    assert found == []
    report.release()
    assert found == [("garbage", 0, 0), ("live", 0, 0)] * 2
    report = None
    gc.collect()
    assert _core._native_bytes() == before


@pytest.mark.native
@pytest.mark.parametrize(
    "read",
    [
        lambda graph: graph.cycle_objects(0),
        lambda graph: graph.cycle_types(0),
        lambda graph: graph.members_of_type(0, Vertex, 1_000),
    ],
)
def test_an_answer_that_is_released_while_it_is_read_gives_all_or_nothing(read):
    """On 3.11 making a list may run the collector, which may run anything."""
    expected = (1, 200)

    class Releasing:
        def __del__(self):
            graph.release()
            ring[0].clear()

    thresholds = gc.get_threshold()
    for allocation_count in range(1, 12):
        ring = [Vertex() for _ in range(200)]
        for number, vertex in enumerate(ring):
            vertex.append(ring[number - 1])
        ring[1:] = []
        vertex = None
        graph = _core.scan_heap("live", 15, (ring[0],), 0, 0.0, describe=False)
        gc.collect()
        gc.disable()
        releasing = Releasing()
        releasing.me = releasing
        del releasing
        gc.set_threshold(allocation_count)
        gc.enable()
        try:
            read_count = len(read(graph))
        except RuntimeError:
            assert graph.released
        else:
            assert read_count in expected
        finally:
            gc.set_threshold(*thresholds)
            gc.collect()


@pytest.mark.native
def test_an_answer_that_the_collector_took_apart_holds_nothing():
    """Code that meets it between the collector's steps is told so."""
    loop = self_loop()
    graph = _core.scan_heap("live", 15, (loop,), 0, 0.0, describe=False)
    get_slot = ctypes.pythonapi.PyType_GetSlot
    get_slot.restype, get_slot.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_int]
    clear = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.py_object)(get_slot(_core.HeapGraph, 51))
    before = sys.getrefcount(loop)
    assert not graph.released
    assert clear(graph) == 0
    assert sys.getrefcount(loop) == before - 1
    assert graph.released
    with pytest.raises(RuntimeError, match="released"):
        graph.cycle_objects(0)
    with pytest.raises(RuntimeError, match="released"):
        graph.cycle_facts(0)


def test_a_weak_reference_callback_may_scan():
    """It runs when its target is half gone."""
    seen = []

    def callback(_):
        seen.append(memguard.scan("garbage").unreachable_count)
        seen.append(memguard.scan("live", types=[Vertex]).cycle_count)

    for collects in (False, True):
        target = Plain()
        if collects:
            target.me = target
        reference = weakref.ref(target, callback)
        del target
        if collects:
            gc.collect()
        assert reference() is None
    assert seen == [0, 0, 0, 0]


@pytest.mark.native
def test_before_a_collection_the_garbage_is_what_will_be_collected():
    """In a "start" callback all garbage is there, in a "stop" callback none."""
    seen = []

    def callback(phase, info):
        with memguard.scan("garbage", explain=False) as report:
            seen.append((phase, report.unreachable_count))
        seen.append((phase, info.get("collected")))

    for _ in range(10):
        self_loop().append([])
    gc.callbacks.append(callback)
    try:
        collected = gc.collect()
    finally:
        gc.callbacks.remove(callback)
    assert collected == 20
    assert seen == [("start", 20), ("start", 0), ("stop", 0), ("stop", 20)]


@pytest.mark.parametrize("install", [sys.setprofile, sys.settrace])
def test_a_profiler_or_tracer_may_scan(install):
    """Scans from inside the hooks of the interpreter, at every event of a function."""
    events = []

    def hook(frame, event, argument):
        if frame.f_code is traced.__code__:
            with memguard.scan("garbage", explain=False) as report:
                events.append((event, report.unreachable_count))
        return hook

    def traced():
        self_loop()
        return len("two")

    before = sys.getprofile() if install is sys.setprofile else sys.gettrace()
    install(hook)
    try:
        traced()
    finally:
        install(before)
    assert events[0] == ("call", 0)
    assert events[-1] == ("return", 1)


def test_a_scan_at_exit_still_answers():
    """Functions registered with atexit run while all modules are there."""
    printed = run_fresh(
        """
        import atexit
        import gc
        import memguard

        gc.disable()

        @atexit.register
        def look():
            with memguard.scan("garbage", types=["__main__.Vertex"]) as report:
                print(report.cycle_count)

        class Vertex(list):
            pass

        loop = Vertex()
        loop.append(loop)
        del loop
        """
    )
    assert printed.split() == ["1"]


@pytest.mark.parametrize("holder", ["sys", "builtins", "__main__"])
def test_a_scan_in_the_last_collection_of_the_interpreter_still_answers(holder):
    """Finalizers may scan when sys.modules is gone already."""
    printed = run_fresh(
        f"""
        import os
        import {holder}
        from memguard import _core

        class Scanning(list):
            # By then all that is found by name is gone, sys.stdout included.
            def __del__(self, scan=_core.scan_heap, write=os.write):
                for kind in ("garbage", "live"):
                    graph = scan(kind, 0, None, 0, 0.0)
                    write(1, b"%d suspects\\n" % graph.suspect_count)

        {holder}.kept = Scanning()
        {holder}.kept.append({holder}.kept)
        """
    )
    assert printed.splitlines() == ["0 suspects", "0 suspects"]


@pytest.mark.parametrize("allocator", ["debug", "malloc", "malloc_debug"])
def test_any_allocator_of_python_is_fine(allocator):
    """Objects may lie anywhere, and bytes around them may be poisoned."""
    printed = run_fresh(
        """
        import gc
        import memguard

        gc.disable()
        gc.collect()
        kept, dropped = [], []
        kept.append(kept)
        dropped.extend([dropped, *([] for _ in range(50_000))])
        del dropped
        with memguard.scan("garbage") as report:
            print(report.unreachable_count, report.cycle_count)
        with memguard.scan("live", roots=[kept]) as report:
            print(report.cycle_count)
        print(gc.collect())
        """,
        PYTHONMALLOC=allocator,
    )
    assert printed.split() == ["50001", "1", "1", "50001"]


@pytest.mark.native
def test_a_report_on_a_cycle_of_its_own_is_freed():
    """A report that refers to itself goes with the next collection, and so does its memory."""
    before = _core._native_bytes()
    kept = self_loop()
    report = memguard.scan("live", types=[Vertex])
    report.me = report
    kept.append(report)
    gone = weakref.ref(kept)
    del kept, report
    gc.collect()
    assert gone() is None
    assert _core._native_bytes() == before
