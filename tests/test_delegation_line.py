"""Waiting for a slot: whose turn it is, in threads and loops, and who leaves the line."""

import asyncio
import contextlib
import gc
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from memguard import _admission
from memguard.admission.breaker import DelegationCircuitBreaker
from memguard.admission.delegation import CannotWaitError
from memguard.admission.refusals import (
    BudgetExceeded,
    CircuitOpen,
    DelegationRefused,
    ParallelismExceeded,
)

LONGEST_SECONDS = 20


@pytest.fixture
def breaker():
    """One slot; nobody looks again while a test runs, so each is told or waits on."""
    return DelegationCircuitBreaker(max_parallel_delegations=1, look_again_seconds=1000)


def until(condition):
    """Let other threads run until something holds."""
    waited = threading.Event()
    for _ in range(LONGEST_SECONDS * 1000):
        if condition():
            return
        waited.wait(0.001)
    raise AssertionError("it never came")


async def until_in_loop(condition):
    """Let other tasks run until something holds."""
    for _ in range(100_000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came")


def waiting(breaker, count):
    return lambda: breaker.statistics().waiting_count == count


def test_who_came_first_is_served_first_over_threads_and_loops(breaker):
    """In one line, whatever they wait with."""
    order = []

    def thread(number):
        with breaker.delegate("thread", wait_seconds=None):
            order.append(number)

    async def task(number):
        async with breaker.delegate("task", wait_seconds=None):
            order.append(number)

    holder = breaker.delegate("holder")
    holder.__enter__()
    with ThreadPoolExecutor(9) as pool:
        futures = []
        for number in range(9):
            # Two loops and a thread in turn; each is in the line before the next comes.
            work = (thread, number) if number % 3 == 0 else (asyncio.run, task(number))
            futures.append(pool.submit(*work))
            until(waiting(breaker, number + 1))
        holder.__exit__(None, None, None)
        for future in futures:
            future.result(LONGEST_SECONDS)
    assert order == list(range(9))


def test_who_does_not_wait_cannot_barge(breaker):
    """A slot that is on its way to who waits is taken."""
    holder = breaker.delegate("holder")

    async def waits():
        async with breaker.delegate("waits", parent=None, wait_seconds=None):
            return breaker.current_token.chain

    async def run():
        holder.__enter__()
        task = asyncio.create_task(waits())
        await until_in_loop(waiting(breaker, 1))
        holder.__exit__(None, None, None)
        with pytest.raises(ParallelismExceeded):
            async with breaker.delegate("barges", parent=None):
                pass
        assert await task == ("waits",)

    asyncio.run(run())


def test_the_first_child_runs_at_once_whoever_waits(breaker):
    """On its parent's slot, for the parent cannot end without it."""

    async def waits():
        async with breaker.delegate("waits", parent=None, wait_seconds=None):
            pass

    async def run():
        async with breaker.delegate("parent"):
            task = asyncio.create_task(waits())
            await until_in_loop(waiting(breaker, 1))
            async with breaker.delegate("child"):
                assert breaker.statistics().running_count == 1
                assert not task.done()
        await task

    asyncio.run(run())
    assert breaker.statistics().lent_count == 1


def test_a_sibling_gets_the_parent_s_slot_before_who_came_earlier(breaker):
    """Nobody else could make that tree go on."""
    order = []

    async def child(name, go):
        async with breaker.delegate(name, wait_seconds=None):
            order.append(name)
            await go.wait()

    async def stranger():
        async with breaker.delegate("stranger", parent=None, wait_seconds=None):
            order.append("stranger")

    async def run():
        go = asyncio.Event()
        async with breaker.delegate("parent"):
            first = asyncio.create_task(child("first", go))
            await until_in_loop(lambda: order == ["first"])
            outside = asyncio.create_task(stranger())
            await until_in_loop(waiting(breaker, 1))
            second = asyncio.create_task(child("second", go))
            await until_in_loop(waiting(breaker, 2))
            go.set()
            await asyncio.gather(first, second)
        await outside

    asyncio.run(run())
    assert order == ["first", "second", "stranger"]


def test_a_child_that_waits_while_its_parent_ends_is_served_by_who_is_left(breaker):
    """By the grandparent's slot, and by anybody's if there is none."""

    async def child(parent):
        async with breaker.delegate("child", parent=parent, wait_seconds=None):
            return True

    async def run(*, has_grandparent):
        grandparent = breaker.delegate("grandparent") if has_grandparent else None
        async with grandparent or contextlib.nullcontext():
            parent = breaker.delegate("parent", parent=grandparent)
            await parent.__aenter__()
            first = breaker.delegate("first", parent=parent)
            await first.__aenter__()
            second = asyncio.create_task(child(parent))
            await until_in_loop(waiting(breaker, 1))
            await parent.__aexit__(None, None, None)
            await first.__aexit__(None, None, None)
            assert await asyncio.wait_for(second, LONGEST_SECONDS)

    asyncio.run(run(has_grandparent=True))
    asyncio.run(run(has_grandparent=False))
    assert breaker.statistics().running_count == 0


@pytest.mark.parametrize("seconds", [0.001, 0.03])
def test_time_runs_out(breaker, seconds):
    """In a task and in a thread; the line is as it was."""

    async def run():
        with pytest.raises(ParallelismExceeded):
            async with breaker.delegate("task", parent=None, wait_seconds=seconds):
                pass

    with breaker.delegate("holder"):
        asyncio.run(run())
        with pytest.raises(ParallelismExceeded):
            with breaker.delegate("thread", parent=None, wait_seconds=seconds):
                pass
        assert breaker.statistics().waiting_count == 0
    with breaker.delegate("next"):
        pass


def test_a_slot_that_is_free_is_not_waited_for(breaker):
    """Whatever one is ready to wait."""
    queued = []
    breaker._tell_queued = lambda agent, parent: queued.append(agent)
    with breaker.delegate("thread", wait_seconds=100):
        pass

    async def run():
        async with breaker.delegate("task", wait_seconds=None):
            pass

    asyncio.run(run())
    statistics = breaker.statistics()
    assert queued == []
    assert (statistics.admitted_count, statistics.ended_count) == (2, 2)


def test_a_slot_that_becomes_free_before_one_is_in_the_line_is_seen(breaker):
    """Between the refusal and the line anything may happen."""
    holder = breaker.delegate("holder")
    holder.__enter__()
    breaker._tell_queued = lambda agent, parent: holder.__exit__(None, None, None)
    with breaker.delegate("thread", parent=None, wait_seconds=5):
        pass
    holder = breaker.delegate("holder")
    holder.__enter__()

    async def run():
        async with breaker.delegate("task", parent=None, wait_seconds=5):
            pass

    asyncio.run(run())


def test_who_is_cancelled_leaves_the_line(breaker):
    """And if its turn had just come, the next one gets it."""

    async def waits(name):
        async with breaker.delegate(name, parent=None, wait_seconds=None):
            return name

    async def run(cancels_before):
        holder = breaker.delegate("holder")
        await holder.__aenter__()
        first = asyncio.create_task(waits("first"))
        second = asyncio.create_task(waits("second"))
        await until_in_loop(waiting(breaker, 2))
        if cancels_before:
            first.cancel()
        await holder.__aexit__(None, None, None)
        first.cancel()
        assert await second == "second"
        with pytest.raises(asyncio.CancelledError):
            await first

    asyncio.run(run(cancels_before=True))
    asyncio.run(run(cancels_before=False))
    assert breaker.statistics().running_count == 0


def test_who_waits_in_a_loop_that_was_closed_is_passed_over(breaker):
    """Its task is still there, and will never run again."""

    async def waits():
        async with breaker.delegate("lost", parent=None, wait_seconds=None):
            pass

    def thread():
        with breaker.delegate("next", wait_seconds=LONGEST_SECONDS):
            pass

    loop = asyncio.new_event_loop()
    with ThreadPoolExecutor(1) as pool:
        with breaker.delegate("holder"):
            task = loop.create_task(waits())
            loop.run_until_complete(asyncio.sleep(0))
            assert breaker.statistics().waiting_count == 1
            loop.close()
            future = pool.submit(thread)
            until(waiting(breaker, 2))
        future.result(2 * LONGEST_SECONDS)
    assert breaker.statistics().waiting_count == 0
    task._log_destroy_pending = False
    del task
    gc.collect()
    assert breaker.statistics().running_count == 0


def test_who_waits_hears_of_a_holder_whose_loop_was_closed():
    """Although nobody ends that delegation."""
    breaker = DelegationCircuitBreaker(max_parallel_delegations=1, look_again_seconds=0.01)

    async def holds():
        async with breaker.delegate("lost"):
            await asyncio.Future()

    loop = asyncio.new_event_loop()
    task = loop.create_task(holds())
    loop.run_until_complete(asyncio.sleep(0))
    with ThreadPoolExecutor(2) as pool:

        def thread():
            with breaker.delegate("thread", wait_seconds=None):
                pass

        async def waits():
            async with breaker.delegate("task", wait_seconds=None):
                pass

        futures = [pool.submit(thread), pool.submit(asyncio.run, waits())]
        until(waiting(breaker, 2))
        loop.close()
        for future in futures:
            future.result(LONGEST_SECONDS)
    task._log_destroy_pending = False
    del task
    gc.collect()
    assert breaker.statistics().ended_count == 3


def test_a_coroutine_that_is_closed_while_it_waits_leaves_the_line(breaker):
    """As in a loop that was stopped."""

    async def waits():
        async with breaker.delegate("closed", parent=None, wait_seconds=None):
            pass

    loop = asyncio.new_event_loop()
    with breaker.delegate("holder"):
        coroutine = waits()
        task = loop.create_task(coroutine)
        loop.run_until_complete(asyncio.sleep(0))
        coroutine.close()
        assert breaker.statistics().waiting_count == 0
        task._log_destroy_pending = False
        loop.close()
    assert breaker.statistics().running_count == 0


def test_who_waits_in_a_loop_that_was_closed_is_forgotten_at_the_next_look():
    """Which a refusal is, once in a while."""
    now = [0.0]
    breaker = DelegationCircuitBreaker(max_parallel_delegations=1, clock=lambda: now[0])

    async def waits():
        async with breaker.delegate("lost", parent=None, wait_seconds=None):
            pass

    loop = asyncio.new_event_loop()
    with breaker.delegate("holder"):
        task = loop.create_task(waits())
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
        now[0] += 10
        with pytest.raises(ParallelismExceeded):
            with breaker.delegate("asks", parent=None):
                pass
        assert breaker.statistics().waiting_count == 0
    task._log_destroy_pending = False


def test_when_the_circuit_opens_nobody_goes_on_waiting(breaker):
    """All of them are refused at once."""

    async def waits():
        with pytest.raises(CircuitOpen) as caught:
            async with breaker.delegate("task", parent=None, wait_seconds=None):
                pass
        return caught.value.limit

    def thread():
        with pytest.raises(CircuitOpen) as caught:
            with breaker.delegate("thread", parent=None, wait_seconds=None):
                pass
        return caught.value.limit

    with breaker.delegate("holder"), ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(thread), pool.submit(asyncio.run, waits())]
        until(waiting(breaker, 2))
        breaker.open("memory emergency")
        assert [future.result(LONGEST_SECONDS) for future in futures] == ["memory emergency"] * 2
    assert breaker.statistics().waiting_count == 0


def test_other_limits_are_looked_at_again_when_the_turn_comes():
    """They may have been reached meanwhile; the next in the line is served."""
    breaker = DelegationCircuitBreaker(max_parallel_delegations=1, max_children=2)

    async def child(go):
        async with breaker.delegate("child", wait_seconds=None):
            await go.wait()

    async def run():
        go = asyncio.Event()
        async with breaker.delegate("parent"):
            tasks = [asyncio.create_task(child(go)) for _ in range(4)]
            await until_in_loop(waiting(breaker, 3))
            go.set()
            return await asyncio.gather(*tasks, return_exceptions=True)

    results = asyncio.run(run())
    assert [type(result) for result in results] == [
        type(None), type(None), BudgetExceeded, BudgetExceeded,
    ]  # fmt: skip


def test_more_slots_let_those_who_wait_go_on(breaker):
    """As soon as the limit is raised, and no more than that."""

    async def run():
        go = asyncio.Event()

        async def waits():
            async with breaker.delegate("task", parent=None, wait_seconds=None):
                await go.wait()

        tasks = [asyncio.create_task(waits()) for _ in range(4)]
        await until_in_loop(waiting(breaker, 3))
        breaker.max_parallel = 3
        await until_in_loop(waiting(breaker, 1))
        assert breaker.statistics().running_count == 3
        go.set()
        await asyncio.gather(*tasks)

    asyncio.run(run())


def test_what_is_deleted_by_hand_lets_who_waits_go_on(breaker):
    """A slot is a slot."""
    breaker.active_delegations["task"] = "by hand"

    async def run():
        async def waits():
            async with breaker.delegate("task", wait_seconds=None):
                pass

        task = asyncio.create_task(waits())
        await until_in_loop(waiting(breaker, 1))
        del breaker.active_delegations["task"]
        await asyncio.wait_for(task, LONGEST_SECONDS)

    asyncio.run(run())


def test_a_loop_is_not_stopped_by_waiting_in_its_thread(breaker):
    """Its holder could be a task of it."""

    async def run():
        async with breaker.delegate("holder"):
            with pytest.raises(CannotWaitError, match="use async with"):
                with breaker.delegate("agent", parent=None, wait_seconds=1):
                    pass

    asyncio.run(run())
    assert breaker.statistics().waiting_count == 0


def test_without_an_event_loop_of_asyncio_a_task_cannot_wait(breaker):
    """Other libraries run coroutines, too; going in at once works there."""

    async def run():
        async with breaker.delegate("holder"):
            async with breaker.delegate("agent", parent=None, wait_seconds=1):
                pass

    with pytest.raises(CannotWaitError, match="wait_seconds=0"):
        run().send(None)
    assert breaker.statistics().live_count == 0


def test_under_trio_delegations_go_in_and_out():
    """Where nobody has to wait no library is needed."""
    trio = pytest.importorskip("trio")
    breaker = DelegationCircuitBreaker(max_parallel_delegations=2)
    chains = []

    async def child(name):
        async with breaker.delegate(name) as delegation:
            await trio.sleep(0)
            chains.append(delegation.chain)

    async def main():
        async with breaker.delegate("root"), trio.open_nursery() as nursery:
            nursery.start_soon(child, "a")
            nursery.start_soon(child, "b")

    trio.run(main)
    assert sorted(chains) == [("root", "a"), ("root", "b")]


def test_an_interrupt_while_a_thread_waits_leaves_the_line():
    """Ctrl-C in the main thread is one."""
    breaker = DelegationCircuitBreaker(max_parallel_delegations=1, look_again_seconds=0.01)

    class Interrupting:
        """Let the look that those who wait take interrupt them."""

        def __call__(self):
            raise KeyboardInterrupt

    breaker._look_again = Interrupting()
    with breaker.delegate("holder"):
        with pytest.raises(KeyboardInterrupt):
            with breaker.delegate("agent", parent=None, wait_seconds=None):
                pass
        assert breaker.statistics().waiting_count == 0


def test_a_finalizer_may_end_a_delegation_while_the_line_is_locked(breaker):
    """The collector may run it anywhere; it must not wait for the lock."""
    holder = breaker.delegate("holder")
    holder.__enter__()

    async def run():
        async def waits():
            async with breaker.delegate("task", parent=None, wait_seconds=None):
                return True

        task = asyncio.create_task(waits())
        await until_in_loop(waiting(breaker, 1))
        with breaker._line._lock:
            holder.__exit__(None, None, None)
            assert breaker.statistics().waiting_count == 1
        breaker._line.hand_on()
        assert await task

    asyncio.run(run())


@pytest.mark.native
def test_counts_of_the_ledger_agree_with_a_model():
    """Lending, ends out of order, orphans: against a count of the leaves."""
    ledger = _admission.Ledger()
    ledger.max_parallel = 3
    a = ledger.admit(None, "a")
    b = ledger.admit(a, "b")
    c = ledger.admit(a, "c")
    d = ledger.admit(b, "d")
    assert (ledger.running_count, a.live_count, b.live_count) == (2, 2, 1)
    assert ledger.leave(b)
    assert (ledger.running_count, a.live_count) == (2, 2)
    assert ledger.leave(a)
    assert ledger.running_count == 2
    assert not ledger.leave(a)
    assert ledger.leave(d)
    assert ledger.leave(c)
    assert (ledger.running_count, ledger.live) == (0, set())


@pytest.mark.native
def test_halfway_made_native_objects_answer_with_errors():
    """None of it may crash."""
    with pytest.raises(RuntimeError, match="leads nowhere"):
        _admission.Gate()._open("agent")
    passage = _admission.Passage()
    for call in (
        passage.__enter__,
        passage._enter,
        passage._drop,
    ):
        with pytest.raises((AttributeError, NotImplementedError, TypeError)):
            call()
    assert passage._passes_at_once() is False
    assert passage.__exit__(None, None, None) is None
    assert _admission.Ledger().admit(None, "a").chain == ("a",)
    assert _admission.Gate()._current() is None
    stranger = _admission.Run()
    assert stranger.chain == ("?",)
    for call in (
        lambda: _admission.Ledger().admit(stranger, "a"),
        lambda: _admission.Ledger().expect(stranger),
        lambda: _admission.Ledger().reserve(stranger, 1),
    ):
        with pytest.raises(ValueError, match="of another ledger"):
            call()
    assert not _admission.Ledger().leave(stranger)
    assert repr(_admission.Breach()) == "Breach(None, limit=0, measured=0)"
    for wrong in (3, None):
        with pytest.raises(TypeError):
            _admission.Ledger().admit(None, wrong)


@pytest.mark.native
def test_going_in_and_out_leaves_no_memory_behind():
    """By any of the ways, with any of the ends."""
    breaker = DelegationCircuitBreaker(fail_max=None, max_depth=3)

    async def in_task():
        async with breaker.delegate("task"), breaker.delegate("child", task=1):
            pass

    def every_way():
        with breaker.delegate("a"), breaker.delegate("b") as b:
            b.record_bytes(10)
            with breaker.delegate("c", parent=b.token):
                with contextlib.suppress(DelegationRefused), breaker.delegate("d"):
                    pass
        with contextlib.suppress(ValueError), breaker.delegate("a"), breaker.delegate("b"):
            raise ValueError
        with breaker.delegate("a"), contextlib.suppress(ValueError), breaker.delegate("b"):
            raise ValueError
        with contextlib.suppress(StopIteration):
            in_task().send(None)
        breaker.carry(breaker.can_delegate)("a", "b")

    def blocks():
        gc.collect()
        return sys.getallocatedblocks()

    for _ in range(200):
        every_way()
    before = blocks()
    for _ in range(500):
        every_way()
    assert blocks() - before < 50
