"""Thirty-two threads on one pool and one registry: every count adds up.

``MEMGUARD_STRESS_SECONDS=30`` lets them run for longer.
"""

import collections
import itertools
import os
import sys
import threading
import time

import pytest

import memguard

THREADS = 32
STRESS_SECONDS = float(os.environ.get("MEMGUARD_STRESS_SECONDS", "1"))

pytestmark = pytest.mark.native


@pytest.fixture
def hammer():
    """Run work(number, count) over and over on all threads, which take turns all the time."""
    before_seconds = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)

    def run(work):
        totals, failures = collections.Counter(), []
        ready = threading.Barrier(THREADS)
        until = time.monotonic() + STRESS_SECONDS

        def loop(number):
            count = collections.Counter()
            ready.wait()
            try:
                for turn in itertools.count():
                    work(number, turn, count)
                    if failures or time.monotonic() > until:
                        break
            except BaseException as failure:
                failures.append(failure)
            with lock:
                totals.update(count)

        lock = threading.Lock()
        threads = [threading.Thread(target=loop, args=(number,)) for number in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]
        return totals

    yield run
    sys.setswitchinterval(before_seconds)


class Users:
    """Who uses what, to notice when two use the same."""

    def __init__(self):
        self._users = {}

    def take(self, thing, user):
        # One step under the GIL: the first of two is the one who stays.
        assert self._users.setdefault(id(thing), user) is user, "it is in use"

    def leave(self, thing):
        del self._users[id(thing)]


def test_no_context_is_given_to_two_and_every_count_adds_up(hammer):
    """Of get, return, return twice, keep what was returned, and never return."""
    pool, users = memguard.AgentMemoryPool(max_pool_size=20), Users()

    def work(number, turn, count):
        user = object()
        context = pool.get_context(user)
        count["got"] += 1
        users.take(context, user)
        assert context.data == []
        context.data.append(user)
        context.subtasks.append(turn)
        assert context.task_id is user
        assert context.data == [user]
        users.leave(context)
        if turn % 7 == 3:
            count["lost"] += 1
            return
        pool.return_context(context)
        count["returned"] += 1
        if turn % 5 == number % 5:
            # What others do meanwhile does not reach it, as it is still held.
            try:
                pool.return_context(context)
            except memguard.PoolError:
                count["refused"] += 1
            try:
                context.data.append(user)
            except memguard.ContextClosed:
                count["closed"] += 1

    count = hammer(work)
    assert count["refused"] == count["closed"] > 0
    statistics = pool.statistics()
    assert statistics.created_count + statistics.reused_count == count["got"]
    assert statistics.reused_count > 0
    assert statistics.returned_count == count["returned"]
    assert statistics.lost_count == count["lost"]
    assert statistics.in_use_count == 0
    assert statistics.pooled_count == len(pool.context_pool) <= 20
    assert 1 <= statistics.peak_in_use_count <= THREADS


def test_every_agent_of_a_registry_is_counted_until_it_ends(hammer):
    """By dying or by `unregister`, while others come, ask and go through all."""
    registry = memguard.WeakAgentRegistry()
    before_count = memguard.get_active_agent_count()

    def work(number, turn, count):
        agent_id, metadata = (number, turn), [turn]
        agent = memguard.AgentContext(agent_id)
        registry.register(agent_id, agent, metadata)
        count["registered"] += 1
        assert registry.get(agent_id) is agent
        assert registry.metadata[agent_id] is metadata
        assert agent_id in registry
        assert 1 <= registry.get_active_count() <= 2 * THREADS
        if turn % 3 == 0:
            assert registry.unregister(agent_id)
            count["unregistered"] += 1
        if turn % 16 == number % 16:
            assert all(len(other_id) == 2 for other_id in registry)
        if turn % 4 == 1:
            # Another takes the place of one that lives.
            successor = memguard.AgentContext(agent_id)
            registry.register(agent_id, successor, None, replace=True)
            count["registered"] += 1
            count["unregistered"] += turn % 3 != 0
            del agent
            assert registry.get(agent_id) is successor

    count = hammer(work)
    statistics = registry.statistics()
    assert len(registry) == len(registry.metadata) == statistics.active_count == 0
    assert statistics.registered_count == count["registered"]
    assert statistics.unregistered_count == count["unregistered"] > 0
    assert statistics.died_count == count["registered"] - count["unregistered"] > 0
    assert 1 <= statistics.peak_active_count <= 2 * THREADS
    assert memguard.get_active_agent_count() == before_count


def test_a_pool_and_a_registry_work_together(hammer):
    """Contexts of a pool are registered, and gone from the registry before they are used again."""
    pool, registry = memguard.AgentMemoryPool(), memguard.WeakAgentRegistry()

    def work(number, turn, count):
        agent_id = (number, turn)
        with pool.context(agent_id) as context:
            registry.register(agent_id, context, None)
            assert registry.get(agent_id) is context
            assert registry.unregister(agent_id)
        count["done"] += 1

    count = hammer(work)
    assert len(registry) == 0
    assert registry.statistics().unregistered_count == count["done"]
    assert pool.statistics().in_use_count == pool.statistics().lost_count == 0
