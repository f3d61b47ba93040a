"""Profiles of the collector: what they set up, do, and set back."""

import asyncio
import gc
import os
import threading
import time

import pytest

import memguard
from memguard.errors import UnknownOptionError
from memguard.pressure import due as due_module
from memguard.pressure.collector import calculate_gc_effectiveness, configure_optimized_gc
from memguard.pressure.due import Due
from memguard.pressure.idle import IdleLoop
from memguard.pressure.pauses import PauseRecorder, PauseStatistics
from memguard.settings import PROFILES, CollectorSettings
from process import run_fresh


def state():
    return {
        "thresholds": gc.get_threshold(),
        "enabled": gc.isenabled(),
        "debug": gc.get_debug(),
        "callbacks": list(gc.callbacks),
        "threads": threading.active_count(),
    }


@pytest.fixture(autouse=True)
def _as_it_was():
    """Set the collector back even where a test fails."""
    thresholds, callbacks = gc.get_threshold(), list(gc.callbacks)
    yield
    gc.set_threshold(*thresholds)
    gc.callbacks[:] = callbacks
    gc.unfreeze()


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("enabled", [True, False])
def test_every_profile_sets_back_what_was_there(profile, enabled):
    """Also of a collector that was disabled, and thresholds that the program chose."""
    gc.set_threshold(123, 7, 5)
    (gc.enable if enabled else gc.disable)()
    before = state()

    async def main():
        configured = configure_optimized_gc(profile)
        configured.restore()
        configured.restore()

    asyncio.run(main())
    assert state() == before
    gc.disable()


def test_what_was_not_frozen_is_not_frozen_afterwards():
    """In a fresh interpreter; some freeze a few objects of their own at their start."""
    printed = run_fresh(
        """
        import gc, memguard
        gc.unfreeze()
        with memguard.configure_optimized_gc("bytes"):
            print(gc.get_freeze_count() > 1000)
        print(gc.get_freeze_count())
        """
    )
    assert printed.split() == ["True", "0"]


@pytest.mark.parametrize("profile", PROFILES)
def test_no_profile_keeps_garbage(profile):
    """DEBUG_LEAK holds SAVEALL, which makes every garbage object a leak."""

    async def main():
        with configure_optimized_gc(profile):
            assert gc.get_debug() & gc.DEBUG_SAVEALL == 0
            loop = []
            loop.append(loop)
            del loop
            gc.collect()
            assert gc.garbage == []

    asyncio.run(main())


def test_the_reports_profile_has_its_thresholds():
    """300, 8 and 8, and nothing else."""
    with configure_optimized_gc("report") as configured:
        assert gc.get_threshold() == (300, 8, 8)
        assert gc.isenabled()
        assert configured.statistics().check_count == 0


@pytest.mark.parametrize(
    ("chosen", "young"), [((700, 10, 10), 20_000), ((50_000, 10, 10), 50_000), ((0, 10, 10), 0)]
)
def test_where_bytes_are_watched_the_young_are_looked_at_less_often(chosen, young):
    """Not more often than the program chose, and not at all if it wants that."""
    gc.set_threshold(*chosen)
    with configure_optimized_gc("bytes"):
        assert gc.get_threshold() == (young, 10, 10)
    assert gc.get_threshold() == chosen


def test_code_of_the_report_runs_unchanged():
    """It calls without arguments and drops what it gets; bytes are watched from then on."""
    printed = run_fresh(
        """
        import threading
        from memguard import configure_optimized_gc
        configure_optimized_gc()
        print([thread.name for thread in threading.enumerate()])
        """
    )
    assert "memguard-collector" in printed


def test_a_profile_that_is_none_is_refused_before_anything_changes():
    """With those that there are."""
    before = state()
    with pytest.raises(UnknownOptionError, match="'report', 'default', 'latency', 'bytes'"):
        configure_optimized_gc("fast")
    assert state() == before


BYTES_PROGRAM = """
import gc, threading, time
import memguard
from memguard.pressure.memory import read_memory

class Agent:
    def __init__(self):
        self.me = self
        self.data = {data}
    def __del__(self):
        threads.add(threading.current_thread().name)

threads = set()
gc.set_threshold(1_000_000)
# However busy the machine is, the main thread is waited for.
settings = memguard.CollectorSettings(settle_seconds=30)
configured = memguard.configure_optimized_gc({profile!r}, settings=settings)
before = read_memory().rss_bytes
highest = 0
for _ in range({count}):
    Agent()
    time.sleep(0.0005)
    highest = max(highest, read_memory().rss_bytes - before)
print(highest // 2**20, *threads, configured.statistics().collection_count)
configured.restore()
"""


@pytest.mark.parametrize(
    ("data", "count"), [("b'x' * 1_000_000", 600), ("[str(n) for n in range(13_000)]", 300)]
)
def test_bytes_bound_what_garbage_holds(data, count):
    """Far less is held than goes through; finalizers run in the main thread."""
    by_bytes = run_fresh(BYTES_PROGRAM.format(data=data, profile="bytes", count=count))
    highest, thread, collections = by_bytes.split()
    assert thread == "MainThread"
    assert int(collections) >= 2
    default = run_fresh(BYTES_PROGRAM.format(data=data, profile="default", count=count))
    assert int(highest) < 0.6 * int(default.split()[0])


def test_a_disabled_collector_is_not_run_by_bytes():
    """A program that disables it has a reason."""
    printed = run_fresh(
        """
        import gc, time, memguard
        configured = memguard.configure_optimized_gc("bytes")
        gc.disable()
        held = [b"x" * 2**20 for _ in range(100)]
        time.sleep(0.3)
        print(configured.statistics().collection_count)
        gc.enable()
        end = time.monotonic() + 10
        while not configured.statistics().collection_count and time.monotonic() < end:
            time.sleep(0.01)
        print(configured.statistics().collection_count > 0)
        """
    )
    assert printed.split() == ["0", "True"]


def test_a_main_thread_that_is_busy_elsewhere_does_not_hold_a_collection_up():
    """It then runs on the thread that asked."""
    due, ran_here, gate = Due(), [], threading.Lock()
    gate.acquire()

    def ask():
        time.sleep(0.05)  # until the main thread is within the call below
        ran_here.append(due.run_soon(0.01))
        gate.release()

    thread = threading.Thread(target=ask)
    thread.start()
    gate.acquire()
    thread.join()
    assert ran_here == [True]
    assert due.ran
    assert due_module._waiting == []


def test_a_collection_that_is_due_runs_on_the_main_thread_if_that_runs():
    """And once, whoever was first."""
    due, ran_here = Due(), []
    thread = threading.Thread(target=lambda: ran_here.append(due.run_soon(30)))
    count = gc.get_stats()[-1]["collections"]
    thread.start()
    while thread.is_alive():
        time.sleep(0.001)
    assert ran_here == [False]
    assert due.ran
    assert gc.get_stats()[-1]["collections"] == count + 1
    assert not due.run()


def test_within_a_collection_none_is_run_and_that_is_noticed():
    """A finalizer may let one be due; the next look asks for it again."""
    dues = []

    class Nested:
        def __init__(self):
            self.me = self

        def __del__(self):
            due = Due()
            due.run()
            dues.append(due)

    Nested()
    gc.collect()
    assert [due.ran for due in dues] == [False]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_worker_is_watched_too():
    """No thread comes along into it, so another one is started."""
    printed = run_fresh(
        """
        import os, threading, time, warnings, memguard
        warnings.simplefilter("ignore")
        configured = memguard.configure_optimized_gc("bytes")
        pid = os.fork()
        if pid == 0:
            held = [b"x" * 2**20 for _ in range(100)]
            end = time.monotonic() + 10
            while not configured.statistics().collection_count and time.monotonic() < end:
                time.sleep(0.01)
            os._exit(0 if configured.statistics().collection_count else 1)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        """
    )
    assert printed.split() == ["0"]


def test_an_idle_loop_does_what_waits_and_a_busy_one_does_not():
    """Idle is a loop that comes round at once; nothing of its inside is looked at."""

    async def main():
        done = []
        idle = IdleLoop(asyncio.get_running_loop())
        stop = False

        def busy():
            time.sleep(0.003)
            if not stop:
                asyncio.get_running_loop().call_soon(busy)

        busy()
        idle.when_idle(lambda: done.append("busy"))
        await asyncio.sleep(0.05)
        assert done == []
        stop = True
        await asyncio.sleep(0.01)
        # A machine with other work may take long to come round: ask again.
        for _ in range(100):
            idle.when_idle(lambda: done.append("idle"))
            await asyncio.sleep(0.01)
            if done:
                break
        assert done[0] == "idle"

    asyncio.run(main())


def test_a_closed_loop_is_left_alone():
    """It has no idle time."""
    loop = asyncio.new_event_loop()
    loop.close()
    IdleLoop(loop).when_idle(lambda: pytest.fail("it ran"))


def test_latency_collects_in_idle_time_on_the_loop():
    """Earlier than by bytes alone; automatic full collections do not run."""
    printed = run_fresh(
        """
        import asyncio, gc, memguard

        async def main():
            configured = memguard.configure_optimized_gc("latency")
            print(gc.get_threshold()[2] > 1_000_000)
            held = [b"x" * 2**20 for _ in range(12)]
            for _ in range(500):
                await asyncio.sleep(0.01)
                if configured.statistics().collection_count:
                    break
            print(configured.statistics().collection_count, configured.statistics().apart_count)
            configured.restore()

        asyncio.run(main())
        """
    )
    assert printed.split() == ["True", "1", "0"]


# Pauses.


def test_pauses_are_counted_by_generation():
    """With what was freed."""
    now = iter([10.0, 10.5, 20.0, 20.00001])
    recorder = PauseRecorder(clock=lambda: next(now))
    recorder.start()
    recorder.start()
    loop = []
    loop.append(loop)
    del loop
    gc.collect()
    gc.collect(0)
    recorder.stop()
    recorder.stop()
    gc.collect()
    found = recorder.statistics()
    assert (found[2].collection_count, found[2].longest_seconds) == (1, 0.5)
    assert found[2].collected_count >= 1
    assert found[0].collection_count == 1
    total = recorder.total()
    assert total.collection_count == 2
    assert sum(total.buckets) == 2


def test_quantiles_are_ends_of_buckets_and_at_most_the_longest():
    """Nothing is known within a bucket."""
    buckets = (90, 9, 0, 1) + (0,) * 16
    pauses = PauseStatistics(100, 1.0, 7e-5, 0, 0, buckets)
    assert pauses.quantile_seconds(0.5) == 1e-5
    assert pauses.quantile_seconds(0.99) == 2e-5
    assert pauses.quantile_seconds(1.0) == 7e-5


def test_nothing_recorded_is_nothing():
    """Sums of no collection are zero."""
    assert PauseRecorder().total() == PauseStatistics()
    assert PauseStatistics().quantile_seconds(0.99) == 0.0


# Effectiveness.


def test_without_garbage_the_collector_is_wholly_effective():
    """There was nothing to free."""
    gc.collect()
    assert calculate_gc_effectiveness() == 1.0


def test_garbage_that_is_freed_counts_as_freed():
    """All of it, in one pass."""
    for _ in range(100):
        loop = []
        loop.append(loop)
    del loop
    assert memguard.calculate_gc_effectiveness() == 1.0


def test_what_comes_back_to_life_lowers_the_effectiveness():
    """Half of the objects are held again by a finalizer."""
    saved = []

    class Saved:
        def __init__(self):
            self.me = self

        def __del__(self):
            saved.append(self)

    for _ in range(100):
        Saved()
        loop = []
        loop.append(loop)
    del loop
    assert 0.2 < calculate_gc_effectiveness() < 0.6
    assert len(saved) == 100
    for one in saved:
        one.me = None


def test_measuring_leaves_the_collector_as_it_was():
    """Enabled stays enabled."""
    gc.enable()
    try:
        calculate_gc_effectiveness()
        assert gc.isenabled()
    finally:
        gc.disable()


def test_settings_name_the_profile():
    """An argument goes before them."""
    settings = CollectorSettings(profile="report")
    with configure_optimized_gc(settings=settings) as configured:
        assert configured.profile == "report"
    with configure_optimized_gc("default", settings=settings) as configured:
        assert configured.profile == "default"
