"""Trees of agents that wait for each other: never for ever, never too many at once."""

import asyncio
import contextvars
import os
import random
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memguard.admission.breaker import DelegationCircuitBreaker
from memguard.admission.refusals import ParallelismExceeded

FULL = os.environ.get("MEMGUARD_FULL_RACES") == "1"
"""Run the races at their full size, which takes minutes."""

LONGEST_SECONDS = 300 if FULL else 60
"""When a test counts as a deadlock; none comes near it."""


class Meter:
    """How many agents work at this moment, and how many did at most."""

    def __init__(self):
        self.lock = threading.Lock()
        self.now = self.most = self.total = 0

    def __enter__(self):
        with self.lock:
            self.now += 1
            self.total += 1
            self.most = max(self.most, self.now)

    def __exit__(self, *_):
        with self.lock:
            self.now -= 1


def assert_all_home(breaker):
    """Nothing is taken any more, by any of the counts."""
    seen = breaker.statistics()
    assert (seen.live_count, seen.running_count, seen.waiting_count) == (0, 0, 0)
    assert seen.admitted_count == seen.ended_count
    assert seen.reserved_bytes == 0
    assert len(breaker.active_delegations) == 0


async def agent(breaker, meter, depth, fan_out):
    """Work, have work done by as many others, work again."""
    async with breaker.delegate("agent", wait_seconds=None):
        with meter:
            await asyncio.sleep(0)
        if depth:
            async with asyncio.TaskGroup() as group:
                for _ in range(fan_out):
                    group.create_task(agent(breaker, meter, depth - 1, fan_out))
        with meter:
            await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("slots", "depth", "fan_out", "roots", "agents"),
    [
        (2, 3, 1, 1, 4),
        (20, 3, 5, 1, 156),
        (20, 3, 5, 30, 4680),
        (1, 4, 2, 5, 155),
        (8, 2, 10, 50, 5550),
    ],
)
def test_a_tree_ends_on_few_slots(slots, depth, fan_out, roots, agents):
    """Each of these deadlocks with a semaphore around every agent."""
    breaker, meter = DelegationCircuitBreaker(None, slots), Meter()

    async def run():
        async with asyncio.timeout(LONGEST_SECONDS), asyncio.TaskGroup() as group:
            for _ in range(roots):
                group.create_task(agent(breaker, meter, depth, fan_out))

    asyncio.run(run())
    assert meter.total == 2 * agents
    assert meter.most <= slots
    assert breaker.statistics().admitted_count == agents
    # A chain runs on one slot, however many there are; wide trees use them all.
    assert breaker.statistics().peak_running_count == (1 if fan_out == 1 else slots)
    assert_all_home(breaker)


def test_the_same_tree_blocks_with_a_semaphore():
    """So that the shapes above do test something."""

    async def blocked_agent(slots, depth):
        async with slots:
            if depth:
                await asyncio.gather(blocked_agent(slots, depth - 1))

    async def run():
        slots = asyncio.Semaphore(2)
        root = asyncio.create_task(blocked_agent(slots, 3))
        for _ in range(50):
            await asyncio.sleep(0)
        assert not root.done()
        root.cancel()
        await asyncio.gather(root, return_exceptions=True)

    asyncio.run(run())


@dataclass
class Node:
    """One agent of a random tree.

    Attributes:
        place: Where it runs: a task of this loop, a thread, a loop in a thread.
        children: Whom it delegates to.
        is_parallel: Whether to all at once, or one after the other.
        cancel_after: After how many steps of the loop it is cancelled, if it is a
            task.
        fails: Whether it raises at its end.
        leaves_at_once: Whether it tries without waiting.
    """

    place: str
    children: list = field(default_factory=list)
    is_parallel: bool = True
    cancel_after: int | None = None
    fails: bool = False
    leaves_at_once: bool = False


def nodes(children):
    return st.builds(
        Node,
        place=st.sampled_from(["task", "task", "thread", "loop"]),
        children=children,
        is_parallel=st.booleans(),
        cancel_after=st.none() | st.none() | st.integers(0, 12),
        fails=st.integers(0, 5).map(lambda number: number == 0),
        leaves_at_once=st.integers(0, 5).map(lambda number: number == 0),
    )


TREES = st.recursive(
    nodes(st.just([])), lambda child: nodes(st.lists(child, max_size=4)), max_leaves=14
)


class FailedError(Exception):
    """What a failing agent raises."""


class Forest:
    """Run trees of nodes with one breaker."""

    def __init__(self, slots):
        self.breaker = DelegationCircuitBreaker(None, slots, fail_max=None)
        self.meter = Meter()

    def run(self, roots):
        asyncio.run(asyncio.wait_for(self._all(roots, is_parallel=True), LONGEST_SECONDS))

    async def _all(self, children, *, is_parallel):
        if is_parallel:
            tasks = [asyncio.create_task(self._start(child)) for child in children]
            try:
                await asyncio.gather(*tasks, return_exceptions=True)
            finally:
                # Cancelled itself: what it started must end before it does.
                while not all(task.done() for task in tasks):
                    try:
                        await asyncio.wait(tasks)
                    except asyncio.CancelledError:
                        continue
        else:
            for child in children:
                await self._all([child], is_parallel=True)

    async def _start(self, child):
        if child.place == "task":
            await self._start_task(child)
            return
        loop = asyncio.get_running_loop()
        ended = loop.create_future()
        context = contextvars.copy_context()

        def work():
            try:
                if child.place == "thread":
                    context.run(self._in_thread, child)
                else:
                    context.run(asyncio.run, self._in_task(child))
            except (FailedError, ParallelismExceeded):
                pass
            finally:
                loop.call_soon_threadsafe(ended.set_result, None)

        thread = threading.Thread(target=work)
        thread.start()
        while not ended.done():
            try:
                await asyncio.shield(ended)
            except asyncio.CancelledError:
                continue  # a thread cannot be cancelled, and its parent waits for it
        thread.join()

    async def _start_task(self, child):
        task = asyncio.create_task(self._in_task(child))
        try:
            if child.cancel_after is not None:
                for _ in range(child.cancel_after):
                    await asyncio.sleep(0)
                task.cancel()
            await asyncio.wait([task])
        except asyncio.CancelledError:
            task.cancel()
        while not task.done():
            try:
                await asyncio.wait([task])
            except asyncio.CancelledError:
                task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def _in_task(self, node):
        wait_seconds = 0 if node.leaves_at_once else None
        async with self.breaker.delegate("task", wait_seconds=wait_seconds):
            with self.meter:
                await asyncio.sleep(0)
            await self._all(node.children, is_parallel=node.is_parallel)
            with self.meter:
                if node.fails:
                    raise FailedError

    def _in_thread(self, node):
        wait_seconds = 0 if node.leaves_at_once else None
        with self.breaker.delegate("thread", wait_seconds=wait_seconds):
            with self.meter:
                pass
            threads = []
            for child in node.children:
                thread = threading.Thread(target=self.breaker.carry(self._run_child), args=(child,))
                thread.start()
                threads.append(thread)
                if not node.is_parallel:
                    thread.join()
            for thread in threads:
                thread.join()
            with self.meter:
                if node.fails:
                    raise FailedError

    def _run_child(self, child):
        try:
            if child.place == "thread":
                self._in_thread(child)
            else:
                asyncio.run(self._in_task(child))
        except (FailedError, ParallelismExceeded):
            pass


@given(st.integers(1, 3), st.lists(TREES, min_size=1, max_size=4))
def test_random_trees_end_within_the_limit(slots, roots):
    """In tasks, threads and loops of other threads, with failures and cancellations."""
    forest = Forest(slots)
    forest.run(roots)
    assert forest.meter.now == 0
    assert forest.meter.most <= slots
    assert forest.breaker.statistics().peak_running_count <= slots
    assert_all_home(forest.breaker)


@given(st.integers(1, 2), st.lists(st.integers(0, 25), min_size=2, max_size=8))
def test_a_cancellation_at_any_step_gives_the_slot_back(slots, steps):
    """Waiting, just woken, running, or leaving."""
    breaker, meter = DelegationCircuitBreaker(None, slots), Meter()

    async def cancelled(count):
        task = asyncio.create_task(agent(breaker, meter, 1, 2))
        for _ in range(count):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def run():
        await asyncio.wait_for(
            asyncio.gather(*[cancelled(count) for count in steps]), LONGEST_SECONDS
        )

    asyncio.run(run())
    assert meter.most <= slots
    assert_all_home(breaker)


@pytest.fixture
def switching_often():
    """Let threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def race(breaker, limit, thread_count, tries, task_count):
    """Let threads try without waiting, while tasks of two loops wait their turn."""
    meter, refused = Meter(), []
    start = threading.Barrier(thread_count + 2)

    def thread():
        start.wait()
        for _ in range(tries):
            try:
                with breaker.delegate("thread"), meter:
                    pass
            except ParallelismExceeded as error:
                refused.append(error.measured)

    async def task():
        async with breaker.delegate("task", wait_seconds=None):
            with meter:
                if random.random() < 0.1:
                    await asyncio.sleep(0)

    async def tasks():
        start.wait()
        await asyncio.gather(*[task() for _ in range(task_count // 2)])

    with ThreadPoolExecutor(thread_count + 2) as pool:
        running = [pool.submit(thread) for _ in range(thread_count)]
        running += [pool.submit(asyncio.run, tasks()) for _ in range(2)]
        for future in running:
            future.result(LONGEST_SECONDS)
    assert meter.most <= limit
    assert meter.total + len(refused) == thread_count * tries + task_count
    assert set(refused) <= set(range(limit + 2))
    assert breaker.statistics().peak_running_count <= limit
    assert_all_home(breaker)


def test_threads_and_tasks_race_and_never_pass_the_limit(switching_often):
    """Not even by one; and whoever waits gets a turn although others barge."""
    tries, tasks = (2_000, 10_000) if FULL else (40, 1_000)
    race(DelegationCircuitBreaker(None, 7), 7, 32, tries, tasks)


def test_threads_race_for_budgets_and_never_pass_one(switching_often):
    """All limits are checked and counted in one step."""
    breaker = DelegationCircuitBreaker(
        None, None, max_live=5, max_children=300, max_bytes=40, default_cost_bytes=10
    )
    meter = Meter()
    counts = []
    start = threading.Barrier(32)
    tries = 2_000 if FULL else 40

    with breaker.delegate("root") as root:

        def thread():
            start.wait()
            admitted = 0
            for _ in range(tries):
                delegation = breaker.delegate("child", parent=root, on_refuse="message")
                with delegation:
                    if delegation:
                        admitted += 1
                        with meter:
                            pass
            counts.append(admitted)

        with ThreadPoolExecutor(32) as pool:
            for future in [pool.submit(thread) for _ in range(32)]:
                future.result(LONGEST_SECONDS)
        assert root.run.started_count == sum(counts) <= 300
    # Of 40 bytes the root has 10, and of 5 that may live it is one.
    assert meter.most <= 3
    assert breaker.statistics().peak_live_count <= 4
    assert_all_home(breaker)
