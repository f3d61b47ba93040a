"""Signals and other threads that come in between."""

import _thread
import collections
import functools
import gc
import operator
import signal
import sys
import threading

import pytest

import memguard
from graphs import Vertex, self_loop
from memguard import _core


@pytest.mark.native
def test_an_interrupt_that_is_pending_waits_for_the_end_of_the_scan():
    """The answer is complete, and the interrupt arrives after it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    answers = []
    kept = self_loop()
    scan = functools.partial(_core.scan_heap, "live", 15, None, 0, 0.0)
    # Both are called from C, with no chance for Python to look in between.
    calls = map(operator.call, [_thread.interrupt_main, scan])
    try:
        with pytest.raises(KeyboardInterrupt):  # noqa: PT012
            collections.deque(map(answers.append, calls), maxlen=0)
            # Some versions look for signals when a loop goes round, not before.
            while len(answers) != 3:
                answers.append(None)
    finally:
        signal.signal(signal.SIGINT, before)
    assert answers[0] is None
    members = [answers[1].cycle_objects(index) for index in range(answers[1].cycle_count)]
    assert any(cycle[0] is kept for cycle in members)


@pytest.mark.parametrize("name", ["scan", "scan_created"])
def test_an_interrupt_at_any_point_of_a_scan_leaves_nothing_behind(name):
    """Wherever it strikes, native memory and the collector's switch are as before."""
    kept = self_loop()
    call, is_point = {
        "scan": (
            lambda: memguard.scan("live", roots=[kept]),
            # What is raised while an unfinished generator is freed is lost anyway.
            lambda code: "heap" in code.co_filename and code.co_name != "<genexpr>",
        ),
        "scan_created": (
            lambda: memguard.scan_created(self_loop),
            lambda code: code is memguard.scan_created.__code__,
        ),
    }[name]
    before = _core._native_bytes()
    gc.enable()
    point_count = 0
    while interrupts(call, is_point, point_count):
        point_count += 1
        assert gc.isenabled()
        assert _core._native_bytes() == before
    assert point_count >= 4


def interrupts(call, is_point, skipped_count):
    """Interrupt where the interpreter looks for signals; tell whether it got that far.

    It looks when a function of Python begins and when one of C has returned.
    """
    left = skipped_count

    def hook(frame, event, argument):
        nonlocal left
        left -= event in ("call", "c_return") and is_point(frame.f_code)
        if left == -1:
            left -= 1
            raise KeyboardInterrupt

    sys.setprofile(hook)
    try:
        call()
    except KeyboardInterrupt:
        return True
    finally:
        sys.setprofile(None)
    return False


def test_other_threads_may_allocate_meanwhile():
    """Scans in one thread, cycles made and dropped in others: what is kept is found."""
    kept = self_loop()
    changing = Vertex([{}, collections.deque()])
    changing.append(changing)
    started = threading.Barrier(3)

    def work():
        started.wait()
        for number in range(3_000):
            dropped = self_loop()
            dropped.append({"number": number, "loop": dropped})
            changing[0][number % 100] = [changing]
            changing[1].append([changing])
            if number % 100 == 99:
                changing[0].clear()
                changing[1].clear()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    started.wait()
    scan_count = 0
    while scan_count < 10 or (scan_count < 100 and any(t.is_alive() for t in threads)):
        for kind in ("garbage", "live"):
            with memguard.scan(kind, types=[Vertex]) as report:
                assert report.suspect_count == 0
                ids = {frozenset(cycle.object_ids) for cycle in report.cycles}
                assert (frozenset([id(kept)]) in ids) == (kind == "live")
        scan_count += 1
    for thread in threads:
        thread.join()
    gc.collect()
    with memguard.scan("garbage", explain=False) as report:
        assert report.unreachable_count == 0


@pytest.mark.native
def test_a_container_that_changes_while_it_is_named_costs_no_more_than_the_name():
    """Another thread may change a deque between two looks at its items."""
    loop = collections.deque([None])
    loop.append(loop)

    def meanwhile(frame, event, argument):
        if frame.f_code.co_name == "_deque_item" and event == "line":
            loop.append(None)
        return meanwhile

    before = sys.gettrace()
    sys.settrace(meanwhile)
    try:
        with memguard.scan("live", roots=[loop]) as report:
            (shape,) = report.shapes
    finally:
        sys.settrace(before)
    assert len(loop) > 2
    assert shape.edges[0].label.startswith(".<reference ")
