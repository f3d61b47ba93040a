"""Code written against the report that memguard started from runs unchanged.

What works with the report's own classes is tried on them and on memguard's. What
does not is a test that fails on the report's code, in the way that is named, and
passes on memguard's.
"""

import contextlib
import gc
import itertools
import weakref

import pytest

import memguard
from memguard.validation import baselines as report

CONTEXTS = (report.AgentContext, memguard.AgentContext)
POOLS = (report.CompletedMemoryPool, memguard.AgentMemoryPool)
REGISTRIES = (report.WeakAgentRegistry, memguard.WeakAgentRegistry)
MANAGERS = (report.AgentLifecycleManager, memguard.AgentLifecycleManager)


def both(name, classes):
    """Run a test on the report's class and on memguard's."""
    return pytest.mark.parametrize(name, classes, ids=["report", "memguard"])


def fault(name, classes, raises):
    """Run a test on both, of which the report's class fails it with this error."""
    fails = pytest.mark.xfail(raises=raises, strict=True)
    theirs, ours = classes
    return pytest.mark.parametrize(
        name, [pytest.param(theirs, id="report", marks=fails), pytest.param(ours, id="memguard")]
    )


class Owner:
    """Somebody who wants to be called back."""

    def __init__(self):
        self.cleanup_count = 0

    def on_done(self):
        """Be called back."""

    def cleanup(self):
        self.cleanup_count += 1


# AgentContext


@both("context_class", CONTEXTS)
def test_a_context_begins_empty(context_class):
    """With three lists of its own, and no parent."""
    context, other = context_class("task"), context_class(task_id=7, parent_context=None)
    assert (context.task_id, other.task_id) == ("task", 7)
    assert context.parent_ref is None
    assert [context.subtasks, context.data, context.callbacks] == [[], [], []]
    assert type(context.data) is list
    assert context.data is context.data
    assert context.data is not other.data
    assert context.data is not context.subtasks


@both("context_class", CONTEXTS)
def test_a_context_needs_a_task_id(context_class):
    """As in the report, it is a TypeError to leave it out."""
    with pytest.raises(TypeError):
        context_class()


@both("context_class", CONTEXTS)
def test_a_parent_is_known_by_a_weak_reference(context_class):
    """It is called to get the parent, or None when that is gone."""
    parent = context_class("parent")
    child = context_class("child", parent)
    assert isinstance(child.parent_ref, weakref.ref)
    assert child.parent_ref() is parent
    assert context_class("other", parent_context=parent).parent_ref() is parent
    del parent
    assert child.parent_ref() is None


@both("context_class", CONTEXTS)
def test_any_object_that_takes_weak_references_can_be_the_parent(context_class):
    """The report asks nothing else of it."""
    parent = Owner()
    assert context_class("child", parent).parent_ref() is parent


@both("context_class", CONTEXTS)
def test_a_context_can_be_used_as_objects_are(context_class):
    """It is its own key, equal to itself only, and takes weak references."""
    context, other = context_class("task"), context_class("task")
    assert context != other
    assert {context: "here"}[context] == "here"
    ended = weakref.ref(context)
    assert ended() is context
    del context
    assert ended() is None


@both("context_class", CONTEXTS)
def test_attributes_of_a_context_can_be_set(context_class):
    """Also the lists, which then are the ones that were given."""
    context, given = context_class("task"), ["given"]
    context.task_id = "other"
    context.data = given
    context.subtasks = [context_class("child")]
    context.callbacks = [print]
    context.parent_ref = None
    assert context.task_id == "other"
    assert context.data is given
    assert len(context.subtasks) == 1
    assert context.callbacks == [print]


@both("context_class", CONTEXTS)
def test_cleanup_empties_the_lists_in_place(context_class):
    """Whoever holds one sees it empty."""
    context = context_class("task")
    context.subtasks.append(context_class("child"))
    context.data.extend([1, 2])
    context.callbacks.append(lambda: None)
    held = context.subtasks, context.data, context.callbacks
    assert context.cleanup() is None
    assert held == ([], [], [])
    assert [context.subtasks, context.data, context.callbacks] == [[], [], []]


@both("context_class", CONTEXTS)
def test_cleanup_cleans_up_the_owners_of_callbacks(context_class):
    """Those of bound methods; a function has none."""
    context, owner = context_class("task"), Owner()
    context.callbacks.extend([owner.on_done, lambda: None])
    context.cleanup()
    assert owner.cleanup_count == 1


@both("context_class", CONTEXTS)
def test_cleanup_follows_a_chain_of_owners(context_class):
    """A context whose method is a callback is cleaned up in its turn."""
    last, middle, first = context_class("last"), context_class("middle"), context_class("first")
    middle.callbacks.append(last.cleanup)
    first.callbacks.append(middle.cleanup)
    last.data.append("data")
    first.cleanup()
    assert last.data == []


@both("context_class", CONTEXTS)
def test_a_context_can_be_used_after_cleanup(context_class):
    """And cleaned up again."""
    context, owner = context_class("task"), Owner()
    context.cleanup()
    context.data.append("data")
    context.callbacks.append(owner.on_done)
    context.cleanup()
    context.cleanup()
    assert context.task_id == "task"
    assert context.data == []
    assert owner.cleanup_count == 1


@both("context_class", CONTEXTS)
def test_a_context_can_be_subclassed(context_class):
    """With attributes, an ``__init__`` and a ``cleanup`` of its own."""

    class Researcher(context_class):
        def __init__(self, task_id, parent_context=None, topic="none"):
            super().__init__(task_id, parent_context)
            self.topic = topic

        def cleanup(self):
            self.topic = None
            super().cleanup()

    parent = Researcher("parent")
    child = Researcher("child", parent, topic="memory")
    child.data.append("data")
    assert (child.task_id, child.parent_ref(), child.topic) == ("child", parent, "memory")
    child.cleanup()
    assert (child.topic, child.data) == (None, [])


@both("context_class", CONTEXTS)
def test_a_family_of_contexts_needs_no_collector_without_callbacks(context_class):
    """Parents list their children, who know them weakly."""
    parent = context_class("parent")
    for number in range(3):
        parent.subtasks.append(context_class(number, parent))
    ended = [weakref.ref(context) for context in (parent, *parent.subtasks)]
    del parent
    assert [reference() for reference in ended] == [None] * 4


@fault("context_class", CONTEXTS, RecursionError)
def test_cleanup_ends_within_the_cycle_that_it_is_for(context_class):
    """Context, parent, subtasks, callbacks, context: all are empty, and need no collector."""
    parent = context_class("parent")
    child = context_class("child", parent)
    parent.subtasks.append(child)
    parent.callbacks.append(child.cleanup)
    child.callbacks.append(parent.cleanup)
    parent.cleanup()
    assert [parent.subtasks, parent.callbacks, child.callbacks] == [[], [], []]
    ended = weakref.ref(parent), weakref.ref(child)
    del parent, child
    assert [reference() for reference in ended] == [None, None]


@fault("context_class", CONTEXTS, RecursionError)
def test_cleanup_ends_where_a_context_calls_itself_back(context_class):
    """Its own method is among its callbacks."""
    context = context_class("task")
    context.callbacks.append(context.cleanup)
    context.cleanup()
    assert context.callbacks == []


@fault("context_class", CONTEXTS, RecursionError)
def test_cleanup_does_not_nest_as_deep_as_the_chain_of_owners_is_long(context_class):
    """Ten thousand contexts, each called back by the one before."""
    contexts = [context_class(number) for number in range(10_000)]
    for before, after in itertools.pairwise(contexts):
        before.callbacks.append(after.cleanup)
    contexts[-1].data.append("data")
    contexts[0].cleanup()
    assert contexts[-1].data == []
    assert not any(context.callbacks for context in contexts)


@fault("context_class", CONTEXTS, AttributeError)
def test_a_callback_may_belong_to_what_has_no_cleanup(context_class):
    """Methods of built-in types have an owner, too."""
    context, told = context_class("task"), []
    context.callbacks.append(told.append)
    context.cleanup()
    assert context.callbacks == []
    assert told == []


@fault("context_class", CONTEXTS, AssertionError)
def test_one_owner_of_several_callbacks_is_cleaned_up_once(context_class):
    """It is the owner that ends, not the callback."""
    context, owner = context_class("task"), Owner()
    context.callbacks.extend([owner.on_done] * 3)
    context.cleanup()
    assert owner.cleanup_count == 1


# AgentMemoryPool


@both("pool_class", POOLS)
def test_a_pool_begins_empty(pool_class):
    """And keeps fifty at most."""
    pool = pool_class()
    assert len(pool.context_pool) == len(pool.data_pool) == 0
    assert not pool.context_pool
    assert pool.max_pool_size == 50


@both("pool_class", POOLS)
def test_a_pool_gives_an_empty_context(pool_class):
    """Also one that was used before."""
    pool = pool_class()
    for number in range(3):
        context = pool.get_context()
        assert [context.subtasks, context.data, context.callbacks] == [[], [], []]
        context.data.append(number)
        context.subtasks.append(number)
        context.callbacks.append(lambda: None)
        assert pool.return_context(context) is None
        del context
        assert len(pool.context_pool) == 1


@both("pool_class", POOLS)
def test_returning_to_a_pool_cleans_up(pool_class):
    """The owners of callbacks are told."""
    pool, owner = pool_class(), Owner()
    context = pool.get_context()
    context.callbacks.append(owner.on_done)
    data = context.data
    data.append(owner)
    pool.return_context(context)
    assert owner.cleanup_count == 1
    assert data == []


@both("pool_class", POOLS)
def test_a_pool_gives_again_what_came_back(pool_class):
    """The newest first."""
    pool = pool_class()
    contexts = [pool.get_context() for _ in range(3)]
    addresses = [id(context) for context in contexts]
    while contexts:
        pool.return_context(contexts.pop(0))
    again = [pool.get_context() for _ in range(3)]
    assert [id(context) for context in again] == addresses[::-1]
    assert len(pool.context_pool) == 0


@both("pool_class", POOLS)
def test_a_full_pool_lets_go(pool_class):
    """Of what is more than `max_pool_size`, which can be set at any time."""
    pool = pool_class()
    pool.max_pool_size = 2
    contexts = [pool.get_context() for _ in range(3)]
    ended = [weakref.ref(context) for context in contexts]
    while contexts:
        pool.return_context(contexts.pop())
    assert len(pool.context_pool) == 2
    assert sum(reference() is None for reference in ended) == 1


@fault("pool_class", (report.AgentMemoryPool, memguard.AgentMemoryPool), TypeError)
def test_an_empty_pool_makes_a_context(pool_class):
    """As the report's pool is written, not completed: without a task_id."""
    assert pool_class().get_context().data == []


@fault("pool_class", (report.AgentMemoryPool, memguard.AgentMemoryPool), AttributeError)
def test_a_pool_resets_what_came_back(pool_class):
    """As the report's pool is written, not completed: by a method that its context lacks."""
    pool = pool_class()
    with contextlib.suppress(TypeError):
        pool.return_context(pool.get_context())
    if not pool.context_pool:
        pool.return_context(report.AgentContext("made by hand, as it makes none"))
    assert pool.get_context().data == []


@fault("pool_class", POOLS, AssertionError)
def test_what_is_returned_twice_is_given_to_one(pool_class):
    """The second return is refused, with a ValueError."""
    pool = pool_class()
    context = pool.get_context()
    pool.return_context(context)
    with contextlib.suppress(ValueError):
        pool.return_context(context)
    del context
    one, two = pool.get_context(), pool.get_context()
    assert one is not two


@fault("pool_class", POOLS, AssertionError)
def test_who_keeps_what_was_returned_does_not_reach_the_next_user(pool_class):
    """What is old says so, with a RuntimeError."""
    pool = pool_class()
    old = pool.get_context()
    pool.return_context(old)
    new = pool.get_context()
    with contextlib.suppress(RuntimeError):
        old.data.append("for somebody else")
    assert new.data == []


@fault("pool_class", POOLS, AssertionError)
def test_a_pool_forgets_whose_a_context_was(pool_class):
    """What lies in it neither holds the last task's id nor its parent."""
    pool, task_id, parent = pool_class(), Owner(), Owner()
    ended = weakref.ref(task_id)
    context = pool.get_context(task_id, parent)
    del task_id
    pool.return_context(context)
    del context
    assert ended() is None
    assert weakref.getweakrefcount(parent) == 0


@fault("pool_class", POOLS, AssertionError)
def test_what_a_full_pool_lets_go_is_cleaned_up_as_well(pool_class):
    """Whoever held one of its lists sees it empty."""
    pool = pool_class()
    pool.max_pool_size = 0
    context = pool.get_context()
    data = context.data
    data.append("data")
    pool.return_context(context)
    assert data == []


# WeakAgentRegistry


@both("registry_class", REGISTRIES)
def test_a_registry_knows_who_is_registered(registry_class):
    """By id, with what was said about it."""
    registry, agents = registry_class(), [Owner(), Owner()]
    assert registry.register("one", agents[0], {"role": "researcher"}) is None
    registry.register(agent_id=2, agent_instance=agents[1], metadata=None)
    assert registry.get_active_count() == 2
    assert registry.agents["one"] is agents[0]
    assert registry.agents.get(2) is agents[1]
    assert registry.agents.get("three") is None
    assert registry.metadata["one"] == {"role": "researcher"}
    assert registry.metadata[2] is None
    assert "one" in registry.agents
    assert "three" not in registry.agents
    with pytest.raises(KeyError):
        registry.agents["three"]


@both("registry_class", REGISTRIES)
def test_the_agents_of_a_registry_can_be_gone_through(registry_class):
    """By ids, by agents, and by both."""
    registry, agents = registry_class(), {number: Owner() for number in range(5)}
    for agent_id, agent in agents.items():
        registry.register(agent_id, agent, None)
    assert sorted(registry.agents) == sorted(registry.agents.keys()) == list(agents)
    assert dict(registry.agents.items()) == agents
    assert set(registry.agents.values()) == set(agents.values())
    assert len(registry.agents) == 5


@both("registry_class", REGISTRIES)
def test_a_registry_keeps_nobody_alive(registry_class):
    """Who dies is no longer counted nor found, and needs no collector."""
    registry, agents = registry_class(), [Owner(), Owner()]
    for number, agent in enumerate(agents):
        registry.register(number, agent, None)
    del agents[0], agent
    assert registry.get_active_count() == len(registry.agents) == 1
    assert 0 not in registry.agents
    del agents[0]
    assert registry.get_active_count() == 0


@both("registry_class", REGISTRIES)
@both("context_class", CONTEXTS)
def test_a_registry_takes_contexts(registry_class, context_class):
    """Those of the report and memguard's, each with the other's registry, too."""
    registry, context = registry_class(), context_class("task")
    registry.register(context.task_id, context, {})
    assert registry.agents["task"] is context
    del context
    assert registry.get_active_count() == 0


@both("registry_class", REGISTRIES)
def test_a_registry_refuses_what_takes_no_weak_reference(registry_class):
    """And knows no more than before."""
    registry = registry_class()
    with pytest.raises(TypeError):
        registry.register("number", 7, None)
    assert registry.get_active_count() == 0
    assert len(registry.metadata) == 0


@fault("registry_class", REGISTRIES, AssertionError)
def test_metadata_goes_with_its_agent(registry_class):
    """It does not grow with every agent that ever was."""
    registry, metadata = registry_class(), Owner()
    ended = weakref.ref(metadata)
    agents = [Owner() for _ in range(1_000)]
    for number, agent in enumerate(agents):
        registry.register(number, agent, metadata)
    del agents, agent, metadata
    gc.collect()
    assert registry.get_active_count() == 0
    assert len(registry.metadata) == 0
    assert ended() is None


# AgentLifecycleManager


def end_all(manager):
    """End the agents of a manager of either kind."""
    for cleanup in list(manager.cleanup_registry):
        cleanup()


@both("manager_class", MANAGERS)
@both("context_class", CONTEXTS)
def test_a_manager_knows_who_is_active(manager_class, context_class):
    """By id; with contexts of either kind."""
    manager, contexts = manager_class(), [context_class(number) for number in range(3)]
    assert len(manager.active_agents) == len(manager.cleanup_registry) == 0
    for context in contexts:
        assert manager.register_agent(context.task_id, context) is None
    assert manager.active_agents[1] is contexts[1]
    assert manager.active_agents.get(7) is None
    assert 1 in manager.active_agents
    assert 7 not in manager.active_agents
    assert sorted(manager.active_agents) == [0, 1, 2]
    assert dict(manager.active_agents.items()) == dict(enumerate(contexts))
    assert len(manager.active_agents) == len(manager.cleanup_registry) == 3
    end_all(manager)
    assert len(manager.active_agents) == 0


@both("manager_class", MANAGERS)
def test_a_manager_takes_what_has_no_cleanup(manager_class):
    """The report looks whether there is one."""

    class Bare:
        """Takes weak references, and has nothing."""

    manager, agent = manager_class(), Bare()
    manager.register_agent(agent_id="bare", agent_context=agent)
    assert manager.active_agents["bare"] is agent
    end_all(manager)
    assert "bare" not in manager.active_agents


@both("manager_class", MANAGERS)
@both("context_class", CONTEXTS)
def test_calling_what_the_cleanup_registry_has_ends_the_agent(manager_class, context_class):
    """Which is cleaned up, once, and no longer active."""
    manager, context, owner = manager_class(), context_class("task"), Owner()
    context.callbacks.append(owner.on_done)
    manager.register_agent("task", context)
    (cleanup,) = manager.cleanup_registry
    assert cleanup.alive
    cleanup()
    cleanup()
    assert not cleanup.alive
    assert owner.cleanup_count == 1
    assert context.callbacks == []
    assert "task" not in manager.active_agents


@fault("manager_class", MANAGERS, AssertionError)
@both("context_class", CONTEXTS)
def test_a_manager_keeps_nobody_alive(manager_class, context_class):
    """The end of an agent is noticed, as nothing holds what should end."""
    manager, context = manager_class(), context_class("task")
    ended = weakref.ref(context)
    manager.register_agent("task", context)
    del context
    gc.collect()
    assert ended() is None
    assert "task" not in manager.active_agents


@fault("manager_class", MANAGERS, AssertionError)
def test_the_cleanup_registry_shrinks(manager_class):
    """It does not grow with every agent that ever was."""
    manager = manager_class()
    for number in range(100):
        context = report.AgentContext(number)
        manager.register_agent(number, context)
        manager.cleanup_registry[-1]()
    assert len(manager.cleanup_registry) <= 1
