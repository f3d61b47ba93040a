"""The manager: how agents end, that each ends once, and what is left behind."""

import asyncio
import contextlib
import contextvars
import gc
import logging
import pickle
import sys
import threading
import types
import warnings
import weakref
from concurrent.futures import ThreadPoolExecutor
from unittest.mock import Mock

import pytest

import memguard
from memguard import (
    AgentContext,
    AgentLifecycleManager,
    AgentMemoryPool,
    carry_agent,
    current_agent,
)
from memguard.agents.context import cleanup_failure_count
from memguard.agents.cycles import AgentLeftInCycle
from memguard.events import EventBus
from memguard.validation import baselines

pytestmark = pytest.mark.native


class Agent:
    """Whatever can be referred to weakly; counts its cleanups."""

    cleaned_count = 0

    def cleanup(self):
        self.cleaned_count += 1


class Bare:
    """An agent without a cleanup."""


@types.coroutine
def forever():
    """Wait for what never happens, on no loop."""
    yield


class Stop(BaseException):
    """Ends the program."""


@pytest.fixture
def manager():
    with AgentLifecycleManager() as manager:
        yield manager


@pytest.fixture
def ended(manager):
    """Give the ids of agents that ended, in their order."""
    ids = []
    manager.on_cleanup(ids.append)
    return ids


def counts_of(manager):
    """Give how many began, are active, were finished and died."""
    found = manager.statistics()
    return found.begun_count, found.active_count, found.finished_count, found.died_count


# --- one agent, and each of its ends


def test_code_written_against_the_report_runs(manager):
    """Register, look up, call what the registry of cleanups holds."""
    agent = Agent()
    assert manager.register_agent("a", agent) is None
    assert manager.active_agents["a"] is agent
    assert len(manager.active_agents) == 1
    (cleanup,) = manager.cleanup_registry
    assert cleanup.alive
    assert cleanup() is None
    assert not cleanup.alive
    assert cleanup() is None
    assert agent.cleaned_count == 1
    assert manager.cleanup_registry == []
    assert "a" not in manager.active_agents


@pytest.mark.parametrize(
    ("kind", "kept"), [(baselines.AgentLifecycleManager, 1), (AgentLifecycleManager, 0)]
)
def test_an_agent_that_nobody_refers_to_dies(kind, kept):
    """The report's manager keeps each agent, and what is to be called at its death, for ever."""
    manager, agent = kind(), Agent()
    seen = weakref.ref(agent)
    manager.register_agent("a", agent)
    del agent
    assert (seen() is not None) == kept
    assert len(manager.active_agents) == len(manager.cleanup_registry) == kept


def test_hooks_are_called_when_an_agent_simply_dies(manager, ended):
    """With its id; the agent itself is gone."""
    agent = Agent()
    manager.register_agent("a", agent)
    del agent
    assert ended == ["a"]
    assert counts_of(manager) == (1, 0, 0, 1)


def test_finishing_cleans_up_once(manager, ended):
    """And says whether it was this call that did."""
    agent = Agent()
    manager.register_agent("a", agent)
    assert manager.finish("a") is True
    assert manager.finish("a") is False
    assert manager.finish("unknown") is False
    del manager
    assert (agent.cleaned_count, ended) == (1, ["a"])
    del agent
    assert ended == ["a"]


def test_leaving_a_block_cleans_up(manager, ended):
    """What was given is cleaned up and stays usable."""
    agent = AgentContext("given")
    with manager.agent("a", agent) as given:
        assert given is agent is manager.active_agents["a"]
        agent.data.append(1)
    assert agent.data == []
    assert ended == ["a"]
    assert counts_of(manager) == (1, 0, 1, 0)


def test_a_block_without_a_context_makes_one_and_closes_it(manager):
    """It knows its task and its parent; used later, it says that it is closed."""
    with manager.agent("a") as outer, manager.agent("b") as inner:
        assert (inner.task_id, inner.parent, inner.depth) == ("b", outer, 1)
        inner.data.append(outer)
    assert inner.closed
    with pytest.raises(memguard.ContextClosed):
        inner.data


def test_a_block_keeps_its_context_alive(manager, ended):
    """Also where nobody gives it a name."""
    with manager.agent("a"):
        assert ended == []
        assert current_agent().task_id == "a"
    assert counts_of(manager) == (1, 0, 1, 0)


def test_a_block_that_raises_cleans_up_and_passes_the_error_on(manager, ended):
    """Nothing of the error is swallowed."""
    with pytest.raises(ZeroDivisionError), manager.agent("a"):
        1 / 0
    assert ended == ["a"]


def test_a_block_can_be_entered_again_but_not_twice_at_once(manager, ended):
    """The second entry is refused and the first goes on."""
    block = manager.agent("a")
    with block as first:
        with pytest.raises(memguard.AgentIdTakenError), block:
            pass
        assert current_agent() is first
    with block:
        pass
    assert ended == ["a", "a"]


def test_a_cancelled_agent_is_cleaned_up(manager, ended):
    """In ``async with`` and in ``with``."""

    async def work(how):
        if how == "async":
            async with manager.agent(how):
                await asyncio.Event().wait()
        else:
            with manager.agent(how):
                await asyncio.Event().wait()

    async def main():
        tasks = [asyncio.create_task(work(how)) for how in ("async", "plain")]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        return await asyncio.gather(*tasks, return_exceptions=True)

    results = asyncio.run(main())
    assert [type(result) for result in results] == [asyncio.CancelledError] * 2
    assert ended == ["async", "plain"]


def test_a_coroutine_that_is_dropped_ends_its_agent(manager, ended):
    """Nobody needs to run it to its end."""

    async def work():
        async with manager.agent("a"):
            await forever()

    started = work()
    started.send(None)
    assert ended == []
    del started
    assert ended == ["a"]


def test_an_agent_without_cleanup_is_an_agent(manager, ended):
    """So is a function, and whatever else can be referred to weakly."""
    agent = Bare()
    manager.register_agent("a", agent)
    manager.register_agent("b", counts_of)
    manager.close()
    assert ended == ["b", "a"]


@pytest.mark.parametrize("agent", [7, None, ()])
def test_what_cannot_be_referred_to_weakly_is_refused(manager, agent):
    """Nothing began."""
    with pytest.raises(memguard.WrongTypeError, match="agent_instance"):
        manager.register_agent("a", agent)
    assert counts_of(manager) == (0, 0, 0, 0)


def test_an_id_belongs_to_one_active_agent(manager, ended):
    """The other goes on as if nothing had been tried; its end frees the id."""
    agent = Agent()
    manager.register_agent("a", agent)
    with pytest.raises(memguard.AgentIdTakenError), manager.agent("a"):
        pass
    assert current_agent() is None
    assert (ended, manager.active_agents) == ([], {"a": agent})
    manager.finish("a")
    with manager.agent("a"):
        # The agent that had the id before cannot end this one.
        del agent
        assert list(manager.active_agents) == ["a"]


def test_a_late_end_does_not_reach_a_later_agent_of_that_id(manager):
    """Neither that of a block nor that of a handle."""
    first, second = Agent(), Agent()
    block = manager.agent("a", first)
    block.__enter__()
    (handle,) = manager.cleanup_registry
    manager.finish("a")
    manager.register_agent("a", second)
    handle()
    block.__exit__(None, None, None)
    assert manager.active_agents == {"a": second}
    assert (first.cleaned_count, second.cleaned_count) == (1, 0)


# --- families


def test_children_end_before_their_parent(manager, ended):
    """Newest first, at any depth, in whatever way the parent ends."""
    agents = {name: Agent() for name in ("root", "a", "a1", "a2", "b", "b1", "other")}
    parents = (None, "root", "a", "a", "root", "b", None)
    for name, parent in zip(agents, parents, strict=True):
        manager.register_agent(name, agents[name], parent=parent)
    manager.finish("root")
    assert ended[-1] == "root"
    assert sorted(ended) == ["a", "a1", "a2", "b", "b1", "root"]
    assert ended.index("a2") < ended.index("a1") < ended.index("a")
    assert ended.index("b1") < ended.index("b")
    assert [agent.cleaned_count for agent in agents.values()] == [1] * 6 + [0]


def test_a_parent_that_dies_ends_its_children(manager, ended):
    """They are cleaned up, though they live."""
    parent, child = Agent(), Agent()
    manager.register_agent("parent", parent)
    manager.register_agent("child", child, parent="parent")
    del parent
    assert ended == ["child", "parent"]
    assert child.cleaned_count == 1


def test_a_child_that_ended_is_no_matter_of_its_parent(manager, ended):
    """Nor is a later agent with its id."""
    with manager.agent("parent"):
        with manager.agent("child"):
            pass
        later = Agent()
        manager.register_agent("child", later)
    assert ended == ["child", "parent"]
    manager.finish("child")


def test_a_family_of_any_depth_ends_without_recursion(manager, ended):
    """Ten times deeper than Python could call."""
    depth = 10 * sys.getrecursionlimit()
    agents = [Agent() for _ in range(depth)]
    for number, agent in enumerate(agents):
        manager.register_agent(number, agent, parent=number - 1 if number else None)
    manager.finish(0)
    assert ended == [*reversed(range(depth))]


def test_a_block_is_a_child_of_the_one_around_it(manager, ended):
    """Unless it says otherwise."""
    with manager.agent("outer") as outer:
        block = manager.agent("inner")
        inner = block.__enter__()
        free = manager.agent("free", detached=True)
        assert free.__enter__().parent is None
        assert inner.parent is outer
    assert ended == ["inner", "outer"]
    free.__exit__(None, None, None)
    block.__exit__(None, None, None)
    assert ended == ["inner", "outer", "free"]
    assert current_agent() is None


def test_agents_of_two_managers_are_no_family(manager, ended):
    """The current agent is one of the other manager, and no parent here."""
    with AgentLifecycleManager() as other:
        with other.agent("a"), manager.agent("b") as inner:
            assert inner.parent is None
            other.finish("a")
            assert ended == []


def test_a_parent_must_be_active(manager):
    """And cannot be asked for together with having none."""
    with pytest.raises(memguard.UnknownAgentError, match="'nobody'"):
        manager.register_agent("a", Agent(), parent="nobody")
    with pytest.raises(memguard.UnknownAgentError), manager.agent("a", parent="nobody"):
        pass
    with pytest.raises(memguard.UnknownOptionError, match="detached"):
        manager.agent("a", parent="b", detached=True)
    assert counts_of(manager) == (0, 0, 0, 0)


def test_hooks_and_cleanups_may_begin_and_end_agents(manager):
    """Also a child of the very agent that ends, which then has no parent."""
    seen = []

    class Busy(Agent):
        def cleanup(self):
            manager.finish("child")
            manager.finish("parent")
            with pytest.raises(memguard.UnknownAgentError):
                manager.register_agent("late", seen.append, parent="parent")

    parent, child = Busy(), Agent()
    with manager.agent("parent", parent):
        manager.register_agent("child", child, parent="parent")
    assert child.cleaned_count == 1
    assert counts_of(manager) == (2, 0, 2, 0)


# --- failures


class Failing:
    def __init__(self, error):
        self.error = error

    def cleanup(self):
        raise self.error


def raising(error):
    def hook(agent_id):
        raise error

    return hook


def test_close_ends_all_newest_first_and_gathers_what_is_raised(manager, ended):
    """Each failure says whose it is; none keeps the others from their end."""
    agents = [Failing(ValueError("one")), Agent(), Failing(KeyError("three"))]
    for number, agent in enumerate(agents):
        manager.register_agent(number, agent)
    manager.on_cleanup(raising(OSError("hook")))
    with pytest.raises(ExceptionGroup, match="5 failures while closing") as caught:
        manager.close()
    assert [type(error) for error in caught.value.exceptions] == [
        *(KeyError, OSError, OSError, ValueError, OSError)
    ]
    assert caught.value.exceptions[0].__notes__ == ["while cleaning up after agent 2"]
    assert ended == [2, 1, 0]
    assert manager.statistics().failure_count == 5
    manager.close()


def test_a_closed_manager_begins_nothing(manager):
    """It says so, and nothing of the agent is kept."""
    manager.close()
    agent = Agent()
    with pytest.raises(memguard.LifecycleClosedError, match="make a new one"):
        manager.register_agent("a", agent)
    with pytest.raises(memguard.LifecycleClosedError), manager.agent("a"):
        pass
    assert weakref.getweakrefcount(agent) == 0


def test_finish_gathers_what_the_family_raised(manager, ended):
    """And callbacks' owners, which a context cleans up."""
    context = AgentContext("a")
    failing = Failing(OSError("owner"))
    context.callbacks.append(failing.cleanup)
    manager.register_agent("a", context)
    child = Failing(ValueError("child"))
    manager.register_agent("b", child, parent="a")
    with pytest.raises(ExceptionGroup, match="2 failures while finishing") as caught:
        manager.finish("a")
    assert [type(error) for error in caught.value.exceptions] == [ValueError, OSError]
    assert ended == ["b", "a"]


def test_failures_at_the_end_of_a_block_are_logged(manager, caplog):
    """The block's own error goes on; so does one that had none."""
    manager.on_cleanup(raising(OSError("hook")))
    with caplog.at_level(logging.ERROR, logger="memguard.agents"):
        with pytest.raises(ZeroDivisionError), manager.agent("a", Failing(ValueError("no"))):
            1 / 0
    assert "ValueError: no" in caplog.text
    assert "OSError: hook" in caplog.text
    assert "while cleaning up after agent 'a'" in caplog.text
    assert manager.statistics().failure_count == 2


def test_failures_at_a_death_are_logged(manager, caplog):
    """Whoever dropped the last reference notices nothing."""
    agent = Agent()
    manager.register_agent("a", agent)
    manager.on_cleanup(raising(OSError("hook")))
    with caplog.at_level(logging.ERROR, logger="memguard.agents"):
        del agent
    assert "OSError: hook" in caplog.text


def test_what_ends_the_program_passes_when_all_had_their_turn(manager, ended):
    """Within one family, and its other failures are logged."""
    agents = [Failing(Stop()), Failing(Stop()), Agent()]
    for number, agent in enumerate(agents):
        manager.register_agent(number, agent, parent=number - 1 if number else None)
    with pytest.raises(Stop):
        manager.finish(0)
    assert ended == [2, 1, 0]
    assert counts_of(manager) == (3, 0, 3, 0)


def test_a_cleanup_must_not_be_a_coroutine_function(manager):
    """It is counted as a failure that says what to do."""

    class Wrong:
        async def cleanup(self):
            """Nobody awaits this."""

    agent = Wrong()
    manager.register_agent("a", agent)
    with pytest.raises(ExceptionGroup) as caught:
        manager.finish("a")
    assert "async hook" in str(caught.value.exceptions[0])


def test_a_hook_must_be_callable_and_not_make_coroutines(manager):
    """The first is refused, the second counted as a failure."""
    with pytest.raises(memguard.WrongTypeError, match="hook"):
        manager.on_cleanup("print")

    async def hook(agent_id):
        """Nobody awaits this."""

    manager.on_cleanup(lambda agent_id: hook(agent_id))
    agent = Agent()
    manager.register_agent("a", agent)
    with pytest.raises(ExceptionGroup) as caught:
        manager.finish("a")
    assert isinstance(caught.value.exceptions[0], memguard.WrongTypeError)


# --- async hooks


def test_async_hooks_are_awaited_at_the_end_of_an_async_block(manager):
    """And those of agents that ended where nobody could await."""
    told = []

    @manager.on_cleanup
    async def hook(agent_id):
        await asyncio.sleep(0)
        told.append(agent_id)

    agent = Agent()
    manager.register_agent("dies", agent)
    del agent
    with manager.agent("plain"):
        pass
    assert (told, manager.statistics().pending_hook_count) == ([], 2)

    async def main():
        async with manager.agent("a"):
            pass

    asyncio.run(main())
    assert told == ["dies", "plain", "a"]
    assert manager.statistics().pending_hook_count == 0


def test_closing_without_await_says_that_async_hooks_wait():
    """Then `aclose` calls them."""
    manager, told = AgentLifecycleManager(), []

    class Hook:
        async def __call__(self, agent_id):
            told.append(agent_id)
            raise OSError(agent_id)

    manager.on_cleanup(Hook())
    agents = [Agent(), Agent()]
    for number, agent in enumerate(agents):
        manager.register_agent(number, agent)
    with pytest.raises(ExceptionGroup) as caught:
        manager.close()
    (error,) = caught.value.exceptions
    assert isinstance(error, memguard.AsyncHooksPendingError)
    assert (error.pending_count, told) == (2, [])
    with pytest.raises(ExceptionGroup, match="2 failures"):
        asyncio.run(manager.aclose())
    assert told == [1, 0]
    assert manager.statistics().failure_count == 2


def test_afinish_awaits_and_gathers():
    """And ``async with`` closes the manager."""
    told = []

    async def hook(agent_id):
        told.append(agent_id)
        raise OSError("hook")

    async def main():
        agent = Agent()
        with contextlib.suppress(ExceptionGroup):
            async with AgentLifecycleManager() as manager:
                manager.on_cleanup(hook)
                manager.register_agent("a", agent)
                manager.register_agent("b", agent)
                with pytest.raises(ExceptionGroup):
                    await manager.afinish("a")
                assert told == ["a"]
        return manager

    manager = asyncio.run(main())
    assert told == ["a", "b"]
    assert repr(manager) == "<AgentLifecycleManager: 0 active closed>"


def test_an_async_hook_that_is_cancelled_was_called_and_the_others_wait(manager):
    """Cancellation goes on."""
    told = []

    @manager.on_cleanup
    async def hook(agent_id):
        told.append(agent_id)
        if agent_id == 1:
            raise asyncio.CancelledError

    for number in range(2):
        with manager.agent(number):
            pass

    async def main():
        async with manager.agent(2):
            pass

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(main())
    assert told == [0, 1]
    asyncio.run(manager.aclose())
    assert told == [0, 1, 2]


# --- the current agent


def test_the_current_agent_is_the_innermost_that_has_not_ended(manager):
    """None without any."""
    assert current_agent() is None
    with manager.agent("a") as outer:
        with manager.agent("b") as inner:
            assert current_agent() is inner
            manager.finish("b")
            assert current_agent() is outer
        assert current_agent() is outer
    assert current_agent() is None


def test_tasks_and_to_thread_have_the_agent_in_which_they_were_started(manager):
    """Each task its own; across await and in TaskGroup."""

    async def child(name):
        started_in = current_agent().task_id
        async with manager.agent(name) as own:
            await asyncio.sleep(0)
            assert current_agent() is own
            assert (await asyncio.to_thread(current_agent)) is own
        return started_in, current_agent().task_id

    async def main():
        async with manager.agent("root"), asyncio.TaskGroup() as group:
            tasks = [group.create_task(child(name)) for name in "ab"]
        return [task.result() for task in tasks]

    assert asyncio.run(main()) == [("root", "root")] * 2


def test_threads_have_no_agent_unless_it_is_carried(manager):
    """Only while the function runs; the thread's own is back afterwards."""

    def name():
        agent = current_agent()
        return agent and agent.task_id

    with ThreadPoolExecutor(1) as executor:
        with manager.agent("a"):
            carried = carry_agent(name)
            assert executor.submit(name).result() is None
            assert executor.submit(carried).result() == "a"
            assert executor.submit(name).result() is None
            with manager.agent("b"):
                assert (carried(), name()) == ("a", "b")
        assert executor.submit(carried).result() is None
    assert carried.__name__ == "name"


def test_what_is_carried_must_be_a_plain_function():
    """Tasks carry the agent by themselves."""

    async def work():
        """Never called."""

    for function in work, None:
        with pytest.raises(memguard.WrongTypeError, match="plain function"):
            carry_agent(function)


def test_copied_context_variables_keep_no_agent_alive(manager, ended):
    """A timer copies them and may be there for hours."""
    agent = Agent()
    seen = weakref.ref(agent)

    def at_work(context):
        with manager.agent("a", context):
            with manager.agent("b"):
                return contextvars.copy_context(), carry_agent(current_agent)

    copied, carried = at_work(agent)
    assert ended == ["b", "a"]
    del agent
    assert seen() is None
    assert copied.run(current_agent) is None
    assert carried() is None


def test_copied_context_variables_do_not_reach_the_next_user_of_a_context(manager):
    """Where a context begins another agent's life, the ended one is still ended."""
    context = AgentContext("a")
    with manager.agent("a", context):
        copied = contextvars.copy_context()
    with manager.agent("b", context):
        assert copied.run(current_agent) is None


def test_an_asynchronous_generator_that_is_ended_elsewhere_ends_its_agent(manager, ended):
    """Its block is left in another context than it was entered in."""

    async def agents():
        async with manager.agent("a"):
            yield current_agent()

    async def main():
        generator = agents()
        await asyncio.create_task(anext(generator))
        await generator.aclose()
        assert current_agent() is None

    asyncio.run(main())
    assert ended == ["a"]


# --- nothing is left behind


def use_everything(manager):
    """Begin and end agents in every way; what is raised is dropped."""
    agent = Agent()
    agent.itself_later = None
    manager.register_agent("dies", agent)
    del agent
    with manager.agent("block") as context:
        context.data.append([context])
        with manager.agent("inner"):
            current_agent().callbacks.append(context.cleanup)
    finished, failing = Agent(), Failing(ValueError("no"))
    failing.error.__traceback__ = None
    manager.register_agent("finished", finished)
    manager.register_agent("failing", failing, parent="finished")
    try:
        manager.finish("finished")
    except* ValueError:
        pass
    failing.error = None
    try:
        with manager.agent("raises"):
            1 / 0
    except ZeroDivisionError:
        pass


def test_nothing_needs_the_collector(manager):
    """Whatever way agents end, and whatever is raised."""
    manager.on_cleanup(lambda agent_id: None)
    gc.collect()
    # The collector empties the interpreter's lists of freed objects; they fill again.
    for _ in range(100):
        use_everything(manager)
    tracked_growth, block_growth = [], []
    # A thread of whoever runs the tests may make objects meanwhile, but not each time.
    for _ in range(3):
        tracked, blocks = len(gc.get_objects()), sys.getallocatedblocks()
        for _ in range(200):
            use_everything(manager)
        tracked_growth.append(len(gc.get_objects()) - tracked)
        block_growth.append(sys.getallocatedblocks() - blocks)
    assert min(tracked_growth) <= 2
    # A block that is left in each run would be 200; those lists still grow by some.
    assert min(block_growth) < 100
    assert dict(memguard.scan("garbage").unreachable_types) == {}


def test_what_is_raised_lies_on_no_cycle():
    """Groups and what they hold are gone with their last name."""

    def leave_failures():
        manager = AgentLifecycleManager()
        manager.on_cleanup(raising_anew)
        agents = [Agent() for _ in range(3)]
        for number, agent in enumerate(agents):
            manager.register_agent(number, agent)
        for end in (lambda: manager.finish(1), manager.close):
            with contextlib.suppress(ExceptionGroup):
                end()

    leave_failures()
    assert memguard.scan("garbage").unreachable_count == 0


def raising_anew(agent_id):
    raise OSError("hook")


def test_a_manager_that_is_dropped_leaves_no_cycle():
    """It says that agents were still active, and does nothing with them."""

    def drop():
        manager, agents = AgentLifecycleManager(), [Agent(), Agent()]
        manager.on_cleanup(lambda agent_id: 1 / 0)
        manager.register_agent("a", agents[0])
        manager.register_agent("b", agents[1], parent="a")
        manager.__enter__()
        del manager
        return [agent.cleaned_count for agent in agents]

    with pytest.warns(ResourceWarning, match="2 active> was dropped; close"):
        assert drop() == [0, 0]
    assert memguard.scan("garbage").unreachable_count == 0


def test_a_manager_whose_arguments_are_refused_goes_in_silence():
    """There is nothing yet that it could warn of."""
    for ratio in -0.1, 1.1, float("nan"):
        with pytest.raises(memguard.LimitOutOfRangeError, match="cycle_check_ratio"):
            AgentLifecycleManager(cycle_check_ratio=ratio)


# --- debug


def test_debug_tells_where_an_agent_began_that_died_unfinished():
    """File and line of the call; finished ones are not told of."""
    agent = Agent()
    with AgentLifecycleManager(debug=True) as manager:
        with manager.agent("finished"):
            pass
        manager.register_agent("a", agent)
        line = sys._getframe().f_lineno - 1
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            del agent
    assert [(each.category, each.filename, each.lineno) for each in told] == [
        (ResourceWarning, __file__, line)
    ]
    assert "finish()" in str(told[0].message)


# --- cycles


class Node:
    """Has no cleanup, so cycles stay."""

    def __init__(self):
        self.children = []


class Child:
    def __init__(self, parent):
        self.parent = parent
        parent.children.append(self)


def test_contexts_that_stay_in_cycles_are_counted_by_shape():
    """And told of; those that cleanup freed, and names of theirs elsewhere, do not count."""
    bus, told = EventBus(), []
    bus.subscribe(AgentLeftInCycle, told.append)
    with AgentLifecycleManager(check_cycles=True, events=bus) as manager:
        for number in range(3):
            with manager.agent(number, Node()) as node:
                Child(node)
        with manager.agent("cleaned") as context:
            context.data.append(context)
        with manager.agent("held", Node()) as node:
            names = [node, {"node": node}]
        del context, node, names
        tally = manager.statistics().cycles
    assert (tally.checked_count, tally.agent_count, tally.other_count) == (5, 3, 0)
    ((path, count),) = tally.shapes
    assert count == 3
    assert "Node.children" in path
    assert "Child.parent" in path
    assert [event.agent_id for event in told] == [0, 1, 2]
    assert {event.path for event in told} == {path}
    assert all(event.cycle_count == 1 for event in told)


def test_a_share_of_the_agents_is_looked_at():
    """By counting, so that each fourth is one in four."""
    with AgentLifecycleManager(cycle_check_ratio=0.25) as manager:
        for number in range(10):
            with manager.agent(number, Node()) as node:
                Child(node)
        tally = manager.statistics().cycles
    assert (tally.checked_count, tally.agent_count) == (2, 2)


def test_the_number_of_shapes_that_are_kept_is_bounded(monkeypatch):
    """Further ones are counted together."""
    monkeypatch.setattr("memguard.agents.cycles.MOST_SHAPES", 2)
    with AgentLifecycleManager(check_cycles=True) as manager:
        for name in ("one", "two", "three", "two"):
            with manager.agent(name, Node()) as node:
                setattr(node, name, node)
        tally = manager.statistics().cycles
    assert [count for _, count in tally.shapes] == [2, 1]
    assert tally.other_count == 1


def test_a_manager_that_looks_for_nothing_has_an_empty_tally(manager):
    """And a ratio of 0 looks at none."""
    with AgentLifecycleManager(cycle_check_ratio=0) as other, other.agent("a", Node()):
        pass
    assert other.statistics().cycles == manager.statistics().cycles == memguard.CycleTally()


# --- threads


def test_of_several_that_end_an_agent_one_does(manager, ended):
    """Handles, finish and the end of a block at the same time."""
    agents = [Agent() for _ in range(200)]
    for number, agent in enumerate(agents):
        manager.register_agent(number, agent)
        manager.register_agent((number, 1), agent, parent=number)
    handles, gate, told = manager.cleanup_registry, threading.Barrier(4), []

    def finish_all():
        gate.wait()
        told.extend(manager.finish(number) for number in range(200))

    def call_all():
        gate.wait()
        for handle in reversed(handles):
            handle()

    threads = [threading.Thread(target=each) for each in (finish_all, call_all) * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [agent.cleaned_count for agent in agents] == [2] * 200
    assert len(ended) == len(set(ended)) == 400
    assert sum(told) <= 200
    assert counts_of(manager) == (400, 0, 400, 0)


class Owner:
    """Counts how often it was cleaned up."""

    def __init__(self):
        self.cleanup_count = 0

    def on_done(self):
        """Be a callback."""

    def cleanup(self):
        self.cleanup_count += 1


@pytest.mark.parametrize("kind", [AgentContext, type("Named", (AgentContext,), {})])
def test_an_agent_that_simply_dies_is_cleaned_up_once(kind):
    """Owners of its callbacks are told, however often its memory was used before."""
    manager = AgentLifecycleManager()
    owners = [Owner() for _ in range(100)]
    for number, owner in enumerate(owners):
        context = kind(number)
        context.callbacks.append(owner.on_done)
        manager.register_agent(number, context)
        del context
    assert [owner.cleanup_count for owner in owners] == [1] * len(owners)
    assert not manager.active_agents


def test_an_agent_that_dies_in_a_cycle_is_cleaned_up_by_the_collector():
    """Once, like any other."""
    manager, owner = AgentLifecycleManager(), Owner()
    context = AgentContext("task")
    context.callbacks.append(owner.on_done)
    context.data.append(context)
    manager.register_agent("task", context)
    del context
    assert owner.cleanup_count == 0
    gc.collect()
    assert owner.cleanup_count == 1


def test_an_agent_that_was_finished_is_not_cleaned_up_again_when_it_dies():
    """What it was given afterwards is its own affair."""
    manager, first, second = AgentLifecycleManager(), Owner(), Owner()
    context = AgentContext("task")
    context.callbacks.append(first.on_done)
    manager.register_agent("task", context)
    manager.finish("task")
    context.callbacks.append(second.on_done)
    del context
    assert (first.cleanup_count, second.cleanup_count) == (1, 0)


def test_a_context_that_nobody_manages_is_not_cleaned_up_when_it_dies():
    """As in the report."""
    owner = Owner()
    context = AgentContext("task")
    context.callbacks.append(owner.on_done)
    del context
    assert owner.cleanup_count == 0


def test_cleanup_at_death_may_keep_the_agent():
    """It is whole, and still known by its id."""
    manager, kept = AgentLifecycleManager(), []

    class Keeping(AgentContext):
        def cleanup(self):
            super().cleanup()
            kept.append(self)

    context = Keeping("task")
    manager.register_agent("task", context)
    del context
    assert [context.task_id for context in kept] == ["task"]
    assert list(manager.active_agents) == ["task"]
    manager.finish("task")


def test_a_group_of_failures_shows_them_and_can_be_pickled(manager):
    """It goes to another process as it is."""

    class Failing(AgentContext):
        def cleanup(self):
            raise ValueError("mine")

    context = Failing("task")
    manager.register_agent("task", context)
    with pytest.raises(ExceptionGroup) as caught:
        manager.finish("task")
    assert "ValueError('mine')" in repr(caught.value)
    copied = pickle.loads(pickle.dumps(caught.value))
    assert [str(failure) for failure in copied.exceptions] == ["mine"]


def test_what_only_says_that_it_is_a_context_is_any_object(manager):
    """As a mock does."""
    context = Mock(spec=AgentContext)
    manager.register_agent("task", context)
    assert manager.finish("task")
    context.cleanup.assert_called_once_with()
    with manager.agent("other", context):
        pass
    assert context.cleanup.call_count == 2


@pytest.mark.parametrize("kind", [AgentContext, type("Named", (AgentContext,), {})])
def test_agents_that_hold_each_other_die_however_long_the_chain(kind):
    """Neither does the stack overflow, nor is one of them forgotten."""
    manager, owner, held = AgentLifecycleManager(), Owner(), None
    for number in range(20_000):
        context = kind(number)
        context.data.append(held)
        context.callbacks.append(owner.on_done)
        manager.register_agent(number, context)
        held = context
    del context, held
    assert owner.cleanup_count == 20_000
    assert counts_of(manager) == (20_000, 0, 0, 20_000)


def test_an_agent_that_dies_within_a_cleanup_is_gone_at_once():
    """The cleanup around it keeps the owners that it knows, but not this one."""
    manager, helper, known = AgentLifecycleManager(), Owner(), []

    class Worker(Owner):
        def cleanup(self):
            del self.context
            known.extend(manager.active_agents)

    worker = Worker()
    worker.context = AgentContext("helper")
    worker.context.callbacks.append(helper.on_done)
    manager.register_agent("helper", worker.context)
    top = AgentContext("top")
    top.callbacks.append(worker.on_done)
    top.cleanup()
    assert (known, helper.cleanup_count) == ([], 1)


def test_cleanup_at_death_that_finishes_the_agent_is_not_called_again():
    """Nor when it came back to its pool before."""
    manager, cleaned = AgentLifecycleManager(), []

    class Finishing(AgentContext):
        def cleanup(self):
            cleaned.append(self.data)
            super().cleanup()
            manager.finish("task")

    context = Finishing("task")
    manager.register_agent("task", context)
    del context
    assert len(cleaned) == 1

    pool = AgentMemoryPool(context_class=Finishing)
    context = pool.get_context("task")
    manager.register_agent("task", context)
    pool.return_context(context)
    assert not manager.finish("task")
    assert len(cleaned) == 2


def test_what_a_cleanup_at_death_raises_is_logged(caplog):
    """As what its callbacks' owners raise."""
    manager = AgentLifecycleManager()

    class Failing(AgentContext):
        def cleanup(self):
            raise ValueError("mine")

    before = cleanup_failure_count()
    context = Failing("task")
    manager.register_agent("task", context)
    del context
    assert "ValueError" in caplog.text
    assert cleanup_failure_count() == before + 1
