"""The guard: all parts together, in tasks and threads, in forked children, and gone at the end."""

import asyncio
import dataclasses
import gc
import threading
from concurrent.futures import ThreadPoolExecutor
from unittest.mock import Mock

import pytest

import memguard
from memguard import Guard, GuardSettings, PressureSettings
from memguard.admission.refusals import Reason
from memguard.guard.sampler import Sampler
from memguard.pressure.events import AlertCleared, AlertRaised
from process import run_fresh


@pytest.fixture
def guard():
    made = Guard(settings=GuardSettings(), max_depth=2, max_parallel=4)
    yield made
    made.close()


def test_the_five_lines(guard):
    """A tree of tasks: contexts know their parents, and all of it ends with its block."""

    async def run():
        async with guard, guard.agent("planner") as planner:
            assert memguard.current_agent() is planner
            assert (planner.task_id, planner.depth) == ("planner-1", 0)
            async with asyncio.TaskGroup() as tasks:
                for name in ("a", "b", "c"):
                    tasks.create_task(research(name, planner))
            return planner, guard.statistics()

    async def research(name, planner):
        async with guard.delegate(name) as child:
            assert (child.parent, child.depth) == (planner, 1)
            await asyncio.sleep(0)
            assert memguard.current_agent() is child

    planner, counted = asyncio.run(run())
    assert planner.closed
    assert counted.admission.admitted_count == 4
    assert counted.lifecycle.begun_count == 4
    assert guard.statistics().admission.live_count == 0
    assert guard.statistics().lifecycle.active_count == 0


def test_in_threads_without_a_loop(guard):
    """The same with `with`, in as many threads as there are slots."""

    def run(number):
        with guard.agent(f"agent{number}"), guard.delegate("helper") as child:
            return child.depth

    with guard, ThreadPoolExecutor(4) as pool:
        assert list(pool.map(run, range(4))) == [1] * 4
    assert guard.statistics().admission.live_count == 0


def test_a_refusal_leaves_nothing_behind(guard):
    """Depth counts delegations below the first agent, and no context is made."""
    with guard, guard.agent("a"), guard.delegate("b"), guard.delegate("c") as deepest:
        assert deepest.depth == 2
        with pytest.raises(memguard.DepthExceeded) as refused:
            guard.delegate("d").__enter__()
        assert (refused.value.limit, refused.value.measured) == (2, 3)
        assert guard.statistics().lifecycle.active_count == 3


def test_an_agent_begins_a_chain_also_within_another(guard):
    """And a delegation outside of any agent does, too."""
    with guard, guard.agent("outer"), guard.delegate("child"):
        with guard.agent("inner") as inner:
            assert (inner.depth, inner.parent) == (0, None)
        with guard.delegate("grandchild") as grandchild:
            assert grandchild.depth == 2
    with Guard(settings=GuardSettings()) as other, other.delegate("first") as first:
        assert first.depth == 0


def test_what_a_block_raises_passes_and_is_counted(guard):
    """An agent that fails is a failure to the circuit, and its context is closed."""
    with guard:
        with pytest.raises(ValueError, match="wrong"), guard.agent("a") as failing:
            raise ValueError("wrong")
        assert failing.closed
        assert guard.statistics().admission.failed_count == 1


def test_a_block_can_be_entered_again(guard):
    """It is admitted anew each time."""
    block = guard.agent("a")
    with guard:
        for _ in range(3):
            with block:
                pass
        assert guard.statistics().admission.admitted_count == 3


def test_a_block_that_was_not_entered_cannot_be_left(guard):
    """It says so, in both ways."""
    with guard:
        for leave in guard.agent("a").__exit__, guard.agent("a").__aexit__:
            with pytest.raises(RuntimeError, match="<GuardedAgent 'a'> was not entered"):
                leave(None, None, None)


def test_async_hooks_are_awaited_before_the_slot_is_given_back(guard):
    """As at the end of any agent's block."""
    seen = []

    @guard.lifecycle.on_cleanup
    async def hook(agent_id):
        await asyncio.sleep(0)
        seen.append((agent_id, guard.statistics().admission.live_count))

    async def run():
        async with guard, guard.agent("a"):
            pass

    asyncio.run(run())
    assert seen == [("a-1", 1)]


def test_who_waits_for_a_slot_gets_it_when_another_agent_leaves():
    """In tasks, also where the other one fails of what is excluded, or is cancelled."""
    guard = Guard(settings=GuardSettings(), max_parallel=1, exclude=[LookupError])

    async def run(error):
        entered = asyncio.Event()

        async def hold():
            async with guard.agent("first"):
                entered.set()
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                raise error

        task = asyncio.create_task(hold())
        await entered.wait()
        async with guard.agent("second", wait_seconds=30) as second:
            assert guard.statistics().admission.live_count == 1
        await asyncio.gather(task, return_exceptions=True)
        return second.closed

    with guard:
        missing = KeyError("excluded")
        for error in missing, asyncio.CancelledError(), ExceptionGroup("both", [missing]):
            assert asyncio.run(run(error))
        assert guard.statistics().admission.failed_count == 0


def test_closing_ends_what_still_runs(guard):
    """Their contexts are closed; a second time does nothing, and it cannot be used again."""
    guard.start()
    held = guard.agent("a")
    context = held.__enter__()
    guard.close()
    assert context.closed
    guard.close()
    with pytest.raises(memguard.GuardClosedError, match="make another one"):
        guard.agent("b").__enter__()
    held.__exit__(None, None, None)
    assert guard.statistics().admission.live_count == 0


def test_closing_tells_what_cleanups_raised_after_all_else_is_done(guard):
    """In an ExceptionGroup; the collector and the thread are as they were."""

    def fail(agent_id):
        raise OSError("hook failed")

    guard.lifecycle.on_cleanup(fail)
    guard.start()
    context = memguard.AgentContext("kept")
    guard.lifecycle.register_agent("kept", context)
    with pytest.raises(ExceptionGroup) as raised:
        guard.close()
    assert raised.group_contains(OSError, match="hook failed")
    assert not thread_names() & {"memguard-guard"}


def thread_names():
    return {thread.name for thread in threading.enumerate()}


def state_of_the_process():
    return {
        "threads": thread_names(),
        "thresholds": gc.get_threshold(),
        "enabled": gc.isenabled(),
        "callbacks": list(gc.callbacks),
        "frozen": gc.get_freeze_count(),
        "debug": gc.get_debug(),
    }


@pytest.mark.parametrize("profile", [None, "report", "default", "latency", "bytes"])
def test_nothing_remains_after_closing(profile):
    """Threads, the collector's settings and callbacks are as before, and so they are new."""

    async def run():
        async with made, made.agent("a"):
            assert "memguard-guard" in thread_names()

    # What the interpreter itself froze is thawed with the rest; nothing can freeze it alone.
    gc.unfreeze()
    before = state_of_the_process()
    made = Guard(settings=GuardSettings(), gc=profile)
    assert state_of_the_process() == before
    asyncio.run(run())
    assert state_of_the_process() == before
    assert not made.events.wanted


def test_a_start_that_fails_changes_nothing():
    """The latency profile needs an event loop; without one the guard is as it was."""
    before = state_of_the_process()
    made = Guard(settings=GuardSettings(), gc="latency")
    with pytest.raises(RuntimeError, match="event loop"):
        made.start()
    assert state_of_the_process() == before
    made.close()


def test_a_start_that_fails_late_leaves_nothing(monkeypatch):
    """What was subscribed and configured before is taken back, and it can be tried again."""
    before = state_of_the_process()
    made = Guard(settings=GuardSettings(), gc="report", approve="queue")
    with monkeypatch.context() as patched:
        patched.setattr(Sampler, "start", Mock(side_effect=RuntimeError("no more threads")))
        with pytest.raises(RuntimeError, match="no more threads"):
            made.start()
    assert state_of_the_process() == before
    assert not made.events.wanted
    with made.agent("a"):
        assert "memguard-guard" in thread_names()
    made.close()
    assert state_of_the_process() == before


def test_who_closes_second_waits_for_the_first():
    """In a thread and in a task; the cleanup that closes it, too, does not wait for itself."""

    def closes(agent_id):
        made.close()
        is_cleaning.set()
        assert goes_on.wait(30)
        ended.append(agent_id)

    def second():
        made.close()
        ended.append("thread")

    async def third():
        await made.aclose()
        ended.append("task")

    ended = []
    is_cleaning, goes_on = threading.Event(), threading.Event()
    made = Guard(settings=GuardSettings())
    made.lifecycle.on_cleanup(closes)
    made.start()
    kept = memguard.AgentContext("kept")
    made.lifecycle.register_agent("kept", kept)
    threads = [threading.Thread(target=made.close)]
    threads[0].start()
    assert is_cleaning.wait(30)
    threads += [
        threading.Thread(target=second),
        threading.Thread(target=lambda: asyncio.run(third())),
    ]
    for thread in threads[1:]:
        thread.start()
    for thread in threads[1:]:
        thread.join(0.05)
        assert thread.is_alive()
    goes_on.set()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert ended[0] == "kept"
    assert sorted(ended[1:]) == ["task", "thread"]


def test_the_loop_goes_on_while_the_last_look_at_memory_ends():
    """It may be the one that runs the user's command, for a minute."""

    async def run():
        async def answers():
            while not made._ending._is_done.is_set() and not looked.is_set():
                ticks.append(None)
                if len(ticks) == 20:
                    looked.set()
                await asyncio.sleep(0.001)

        async with made:
            await asyncio.to_thread(is_looking.wait, 30)
            task = asyncio.create_task(answers())
        await task

    def looks():
        is_looking.set()
        assert looked.wait(30)

    ticks = []
    is_looking, looked = threading.Event(), threading.Event()
    made = Guard(settings=GuardSettings())
    made._look = looks
    asyncio.run(run())
    assert len(ticks) >= 20
    assert not thread_names() & {"memguard-guard"}


def test_several_guards_know_nothing_of_each_other(guard):
    """Each has its own limits, chains and agents, also one within the other."""
    with Guard(settings=GuardSettings(), max_depth=0) as other, guard:
        with guard.agent("a"), other.agent("b") as first, guard.delegate("c") as child:
            assert (first.depth, child.depth) == (0, 1)
            with pytest.raises(memguard.DepthExceeded):
                other.delegate("d").__enter__()
        assert other.statistics().admission.refused_counts == {Reason.DEPTH: 1}
        assert guard.statistics().admission.refused_counts == {}


def test_several_loops_share_its_slots(guard):
    """One guard, a loop in each of several threads."""

    async def run():
        async with guard.agent("a", wait_seconds=None):
            async with guard.delegate("b"):
                await asyncio.sleep(0.001)

    with guard, ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(asyncio.run, run()) for _ in range(32)]:
            done.result()
    counted = guard.statistics().admission
    assert counted.admitted_count == 64
    assert counted.peak_running_count <= 4


def test_observing_refuses_nothing():
    """What would have been refused is counted."""
    with Guard(settings=GuardSettings(), max_depth=0, observe_only=True) as guard:
        with guard.agent("a"), guard.delegate("b") as child:
            assert child.depth == 1
        assert guard.statistics().admission.let_pass_counts == {Reason.DEPTH: 1}


def test_memory_that_is_short_refuses_and_says_so():
    """As MemoryShort, from the monitor's own words."""
    full = dataclasses.replace(GuardSettings(), pressure=PressureSettings(limit_bytes=1))
    with Guard(settings=full) as guard:
        with pytest.raises(memguard.MemoryShort, match="memory is short"):
            guard.agent("a").__enter__()
        assert guard.statistics().admission.live_count == 0


@pytest.mark.parametrize("form", ["tasks", "threads"])
def test_a_burst_of_small_agents_is_slowed_down_and_not_refused(form):
    """At first each counts for megabytes; soon it was seen that they take next to nothing."""

    async def run():
        async with asyncio.TaskGroup() as tasks:
            for _ in range(5000):
                tasks.create_task(work())

    async def work():
        async with guard.agent("small"):
            await asyncio.sleep(0)

    reading = memguard.read_memory()
    pressure = PressureSettings(limit_bytes=2 * reading.rss_bytes + 2**28)
    settings = GuardSettings(pressure=pressure)
    with Guard(settings=settings, max_parallel=None) as guard:
        if form == "tasks":
            asyncio.run(run())
        else:
            for _ in range(5000):
                with guard.agent("small"):
                    pass
        assert guard.statistics().admission.admitted_count == 5000
        assert guard.statistics().admission.refused_counts == {}


def test_a_burst_that_needs_memory_is_refused_once_it_has_waited():
    """For as long as the setting says."""
    limit_bytes = 4 * memguard.read_memory().rss_bytes
    pressure = PressureSettings(
        limit_bytes=limit_bytes, ramp_wait_seconds=0.0, assumed_bytes=limit_bytes
    )
    with Guard(settings=GuardSettings(pressure=pressure), max_parallel=None) as guard:
        with guard.agent("first"), pytest.raises(memguard.MemoryShort, match="cannot be seen yet"):
            guard.agent("second").__enter__()


def test_a_memory_emergency_opens_the_circuit_until_it_is_over(guard):
    """And lets one agent try afterwards; other alerts do not."""
    with guard:
        guard.events.emit(AlertRaised("delegation_depth", "emergency", "normal", 9, 4))
        assert guard.breaker.current_state == "closed"
        guard.events.emit(AlertRaised("memory", "emergency", "normal", 96.0, 95.0))
        with pytest.raises(memguard.CircuitOpen, match="emergency"):
            guard.agent("a").__enter__()
        guard.events.emit(AlertCleared("memory", "warning", "emergency", 70.0))
        assert guard.breaker.current_state == "half-open"
        with guard.agent("a"):
            pass
        assert guard.breaker.current_state == "closed"


def test_memory_is_looked_at_without_being_asked():
    """The thread reads it, and alerts are told of what it read."""
    told = threading.Event()
    settings = dataclasses.replace(
        GuardSettings(), pressure=PressureSettings(limit_bytes=1, sample_seconds=0.01)
    )
    guard = Guard(settings=settings)
    guard.events.subscribe(AlertRaised, lambda event: told.set())
    with guard:
        assert told.wait(30)
    assert guard.statistics().alerts.reading_count > 0


def test_depths_reach_the_alerts(guard):
    """A chain as deep as the table's level raises the alert."""
    limit = guard.settings.alerts.delegation_depth
    guard.breaker.max_depth = None
    seen = []
    guard.events.subscribe(AlertRaised, seen.append)
    with guard:
        blocks = [guard.delegate("a") for _ in range(limit + 2)]
        for block in blocks:
            block.__enter__()
        for block in reversed(blocks):
            block.__exit__(None, None, None)
    assert "delegation_depth" in {event.quantity for event in seen}


def test_limits_come_by_name_and_wrong_ones_are_named():
    """Any limit of the settings, over what a file says."""
    settings = memguard.load_settings(environment={"MEMGUARD_ADMISSION_MAX_CHILDREN": "3"})
    guard = Guard(settings=settings, max_parallel=None, wait_seconds=2)
    limits = guard.settings.admission
    assert (limits.max_children, limits.max_parallel_delegations) == (3, None)
    assert guard.breaker.settings == limits
    with pytest.raises(memguard.UnknownOptionError, match="max_kids"):
        Guard(max_kids=2)
    with pytest.raises(memguard.WrongSettingError, match="max_depth"):
        Guard(max_depth=-1)


def test_one_guard_can_be_installed_for_the_process():
    """Nothing is global before, and closing it takes it away."""
    assert memguard.installed() is None
    guard = memguard.install(Guard(settings=GuardSettings()))
    try:
        assert memguard.installed() is guard
        assert memguard.install(guard) is guard
        with pytest.raises(memguard.AlreadyInstalledError, match="close it first"):
            memguard.install(Guard(settings=GuardSettings()))
    finally:
        guard.close()
    assert memguard.installed() is None


FORKS = """
    import os, threading, warnings
    import memguard

    # From 3.12 on every fork of a process with threads warns.
    warnings.simplefilter("ignore", DeprecationWarning)

    guard = memguard.Guard(settings=memguard.GuardSettings(), max_parallel=1, gc="bytes")
    with guard, guard.agent("parent"):
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            assert guard.statistics().admission.live_count == 0
            assert "memguard-guard" not in {t.name for t in threading.enumerate()}
            with guard.agent("worker") as worker, guard.delegate("helper") as helper:
                assert (worker.task_id, helper.depth) == ("worker-1", 1)
                assert "memguard-guard" in {t.name for t in threading.enumerate()}
            guard.close()
            counted = guard.statistics()
            os.write(write, f"{counted.admission.admitted_count}".encode())
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        print(os.read(read, 10).decode(), guard.statistics().admission.live_count)
    print(guard.statistics().admission.live_count)
"""


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="there is no fork here")
def test_a_forked_child_starts_clean():
    """It has no agents and no thread of its own before it needs one; the parent goes on."""
    assert run_fresh(FORKS).split() == ["2", "1", "0"]


def test_what_happens_is_logged_with_its_fields(caplog):
    """One record an event, under memguard.guard; machines find the fields beside the text."""
    caplog.set_level("INFO", "memguard")
    with Guard(settings=GuardSettings(), max_depth=0) as guard, guard.agent("a"):
        with pytest.raises(memguard.DepthExceeded):
            guard.delegate("b").__enter__()
        guard.breaker.open("by hand")
        guard.alerts.bus.emit(AlertRaised("memory", "emergency", "normal", 96.0, 95.0))
    records = [record for record in caplog.records if record.name == "memguard.guard"]
    refused, opened, alert, *_ = records
    assert refused.levelname == "INFO"
    assert refused.memguard_event == "DelegationTurnedAway"
    assert refused.memguard_fields == {
        "reason": "depth",
        "chain": ["a", "b"],
        "limit": 0,
        "measured": 1,
    }
    assert refused.getMessage() == (
        "DelegationTurnedAway reason='depth' chain=['a', 'b'] limit=0 measured=1"
    )
    assert (opened.levelname, opened.memguard_fields["after"]) == ("WARNING", "open")
    assert alert.levelname == "CRITICAL"
    guard.events.emit(AlertRaised("memory", "emergency", "normal", 96.0, 95.0))
    assert [record for record in caplog.records if record.name == "memguard.guard"] == records


def test_a_guard_is_quiet_where_nobody_set_up_logging():
    """Nothing is printed, and no handler stays."""
    told = run_fresh(
        """
        import logging
        from memguard import Guard, GuardSettings

        with Guard(settings=GuardSettings()) as guard:
            guard.breaker.open("by hand")
            print(len(logging.getLogger("memguard").handlers))
        print(len(logging.getLogger("memguard").handlers), logging.getLogger("memguard").level)
        """
    )
    assert told.split() == ["1", "0", "0"]
