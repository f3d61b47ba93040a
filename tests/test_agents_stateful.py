"""Pool, registry and lifecycle against models of them in plain Python.

``HYPOTHESIS_PROFILE=thorough`` takes a million steps with each.
"""

import weakref

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
)

import memguard

# What a rule works on is chosen by a number, which is taken modulo how many there
# are: bundles of Hypothesis would keep everything alive.
NUMBERS = st.integers(0, 63)


def refuses(error, call, *arguments, **keywords):
    """Whether a call raises this error; keeps neither it nor its traceback."""
    try:
        call(*arguments, **keywords)
    except error:
        return True
    return False


def pick(things, number):
    """Choose one of the keys of a dict, or of a list's items."""
    return list(things)[number % len(things)]


class Agent:
    """Somebody to be registered."""


class Context(memguard.AgentContext):
    """A context with something of its own, for which a pool has to do more."""

    __slots__ = ("topic",)

    def __init__(self, task_id, parent_context=None):
        super().__init__(task_id, parent_context)
        self.topic = task_id

    def cleanup(self):
        """Let go of what is its own, too."""
        self.topic = None
        super().cleanup()


class RegistryModel(RuleBasedStateMachine):
    """Who is alive, registered as what: a dict that holds strongly."""

    def __init__(self):
        super().__init__()
        self.before_count = memguard.get_active_agent_count()
        self.registry = memguard.WeakAgentRegistry()
        self.agents = {}  # alive, by number, registered or not
        self.next_number = 0
        self.active = {}  # number of the agent and metadata, by id
        self.registered = self.died = self.unregistered = self.peak = 0

    def teardown(self):
        del self.registry
        assert memguard.get_active_agent_count() == self.before_count

    @rule(is_context=st.booleans())
    def make(self, is_context):
        """An agent comes into being, of a Python class or of the native one."""
        agent = memguard.AgentContext(self.next_number) if is_context else Agent()
        self.agents[self.next_number] = agent
        self.next_number += 1

    @precondition(lambda self: self.agents)
    @rule(agent_id=NUMBERS, number=NUMBERS, replace=st.booleans())
    def register(self, agent_id, number, replace):
        """One agent may have several ids; an id belongs to one agent."""
        agent_id, number = agent_id % 8, pick(self.agents, number)
        metadata = {"number": number}
        if agent_id in self.active and not replace:
            assert refuses(
                ValueError, self.registry.register, agent_id, self.agents[number], metadata
            )
            return
        self.registry.register(agent_id, self.agents[number], metadata, replace=replace)
        self.unregistered += self.active.pop(agent_id, None) is not None
        self.registered += 1
        self.active[agent_id] = number, metadata
        self.peak = max(self.peak, len(self.active))

    @rule(agent_id=NUMBERS, what=st.sampled_from([7, "text", None, ()]))
    def register_what_takes_no_weak_reference(self, agent_id, what):
        """It is refused, also where the id is taken."""
        assert refuses(TypeError, self.registry.register, agent_id % 8, what, None)

    @precondition(lambda self: self.agents)
    @rule(number=NUMBERS)
    def register_by_what_cannot_be_hashed(self, number):
        """It is refused like in a dict."""
        assert refuses(TypeError, self.registry.register, [], pick(self.agents.values(), number))

    @rule(agent_id=NUMBERS)
    def unregister(self, agent_id):
        """It tells whether there was one."""
        agent_id %= 8
        assert self.registry.unregister(agent_id) is (agent_id in self.active)
        self.unregistered += self.active.pop(agent_id, None) is not None

    @precondition(lambda self: self.agents)
    @rule(number=NUMBERS)
    def die(self, number):
        """With all the ids that it has."""
        number = pick(self.agents, number)
        del self.agents[number]
        self._forget({number})

    @precondition(lambda self: self.agents)
    @rule()
    def all_die_while_one_goes_through_them(self):
        """Whom it has not seen yet, it does not see."""
        first = next(iter(self.active), None)
        seen = []
        for agent_id, agent in self.registry.agents.items():
            seen.append(agent_id)
            dead = set(self.agents) - {self.active[agent_id][0]}
            del agent
            for number in dead:
                del self.agents[number]
            self._forget(dead)
        assert seen[:1] == ([] if first is None else [first])
        assert set(seen) == set(self.active)

    def _forget(self, dead):
        lost = [agent_id for agent_id, (number, _) in self.active.items() if number in dead]
        for agent_id in lost:
            del self.active[agent_id]
        self.died += len(lost)

    @rule(agent_id=NUMBERS)
    def look(self, agent_id):
        """Every way to ask gives the same."""
        agent_id %= 8
        number, metadata = self.active.get(agent_id, (None, None))
        agent = self.agents.get(number)
        assert self.registry.get(agent_id) is agent
        assert self.registry.get(agent_id, "none") is ("none" if agent is None else agent)
        assert self.registry.agents.get(agent_id) is agent
        assert self.registry.metadata.get(agent_id) is metadata
        assert (agent_id in self.registry) is (agent is not None)

    @invariant()
    def it_is_as_the_model_says(self):
        """All ids, agents, metadata, and every count."""
        registry, active = self.registry, self.active
        assert list(registry) == list(active)
        assert dict(registry.metadata) == {key: data for key, (_, data) in active.items()}
        assert {key: id(agent) for key, agent in registry.agents.items()} == {
            key: id(self.agents[number]) for key, (number, _) in active.items()
        }
        assert len(registry) == registry.get_active_count() == len(active)
        assert memguard.get_active_agent_count() == self.before_count + len(active)
        statistics = registry.statistics()
        assert statistics.registered_count == self.registered
        assert statistics.active_count == len(active)
        assert statistics.died_count == self.died
        assert statistics.unregistered_count == self.unregistered
        assert statistics.peak_active_count == self.peak


TestRegistry = RegistryModel.TestCase


class PoolModel(RuleBasedStateMachine):
    """Which contexts are in use, which lie in the pool, and who holds them nevertheless.

    A context is known by its address, which no other has while it is in use or lies
    in the pool.
    """

    context_class = memguard.AgentContext

    def __init__(self):
        super().__init__()
        self.limit = 4
        self.pool = memguard.AgentMemoryPool(self.limit, context_class=self.context_class)
        self.used = {}  # in use, by address
        self.lying = []  # addresses in the pool; the next to be given out is last
        self.kept = {}  # returned, by address, and still held by whoever used it
        self.created = self.reused = self.returned = self.dropped = self.lost = self.peak = 0

    @rule(task_id=NUMBERS, has_parent=st.booleans(), number=NUMBERS)
    def get(self, task_id, has_parent, number):
        """It is new, or the newest in the pool that nobody holds."""
        parent = pick(self.used.values(), number) if has_parent and self.used else None
        free = self._free()
        context = self.pool.get_context(task_id, parent)
        address = id(context)
        if address in self.lying:
            assert address == free[-1]
            self.lying.remove(address)
            # One that was passed over may have taken the place.
            lying = [id(each) for each in self.pool.context_pool]
            assert sorted(lying) == sorted(self.lying)
            self.lying = lying
            self.reused += 1
        else:
            assert address not in self.used
            assert address not in self.kept
            # It looks at some of those on top, at two at least.
            assert not set(free) & set(self.lying[-2:])
            self.created += 1
        assert type(context) is self.context_class
        assert context.task_id == getattr(context, "topic", task_id) == task_id
        assert context.parent is parent
        assert context.depth == (0 if parent is None else parent.depth + 1)
        assert [context.subtasks, context.data, context.callbacks] == [[], [], []]
        assert context.metadata == {}
        self.used[address] = context
        self.peak = max(self.peak, len(self.used))

    @precondition(lambda self: self.used)
    @rule(number=NUMBERS, other=NUMBERS)
    def use(self, number, other):
        """Contexts refer to each other, in cycles, too."""
        context, other = pick(self.used.values(), number), pick(self.used.values(), other)
        context.data.append(number)
        context.subtasks.append(other)
        context.callbacks.append(other.cleanup)
        context.metadata["other"] = other

    def _free(self):
        """Give the addresses of those in the pool that nobody refers to, as a child does."""
        return [
            id(context)
            for context in self.pool.context_pool
            if id(context) not in self.kept and not weakref.getweakrefcount(context)
        ]

    def _unlink(self):
        # Whom a context that is in use refers to is held, and nobody models by whom.
        for context in self.used.values():
            context.cleanup()

    @precondition(lambda self: self.used)
    @rule(number=NUMBERS, keeps=st.booleans())
    def give_back(self, number, keeps):
        """It lies in the pool unless that is full, and is closed for who keeps it."""
        self._unlink()
        address = pick(self.used, number)
        context = self.used.pop(address)
        self.pool.return_context(context)
        self.returned += 1
        if len(self.lying) < self.limit:
            self.lying.append(address)
        else:
            self.dropped += 1
        if keeps:
            self.kept[address] = context

    @precondition(lambda self: self.kept)
    @rule(number=NUMBERS)
    def misuse(self, number):
        """What was returned cannot be used, and not be returned again."""
        context = pick(self.kept.values(), number)
        assert context.closed
        assert refuses(memguard.PoolError, self.pool.return_context, context)
        for name in ("task_id", "parent", "subtasks", "data", "callbacks", "metadata"):
            assert refuses(memguard.ContextClosed, getattr, context, name)
        assert refuses(memguard.ContextClosed, context.reset, 1)
        context.cleanup()
        context.close()

    @precondition(lambda self: self.kept)
    @rule(number=NUMBERS)
    def let_go(self, number):
        """Nobody holds it any more."""
        del self.kept[pick(self.kept, number)]

    @precondition(lambda self: self.used)
    @rule(number=NUMBERS)
    def lose(self, number):
        """It is never returned."""
        self._unlink()
        del self.used[pick(self.used, number)]
        self.lost += 1

    @precondition(lambda self: self.used)
    @rule(number=NUMBERS)
    def close_and_reopen(self, number):
        """A context that is in use may be closed, and reset."""
        self._unlink()
        context = pick(self.used.values(), number)
        context.close()
        assert refuses(memguard.ContextClosed, getattr, context, "data")
        context.reset("again")
        assert context.data == []

    @rule(what=st.sampled_from([Context, memguard.AgentContext, Agent]))
    def give_back_what_is_not_from_here(self, what):
        """A stranger is refused."""
        stranger = Agent() if what is Agent else what("stranger")
        assert refuses((memguard.PoolError, TypeError), self.pool.return_context, stranger)

    @rule(limit=st.integers(0, 6))
    def resize(self, limit):
        """What is too much goes."""
        self.limit = self.pool.max_pool_size = limit
        self._shrink(limit)

    @rule(count=st.integers(0, 6))
    def trim(self, count):
        """So many stay."""
        self.pool.trim(count)
        self._shrink(count)

    @rule()
    def clear(self):
        """None stays."""
        self.pool.clear()
        self._shrink(0)

    @rule(count=st.integers(0, 6))
    def prefill(self, count):
        """So many lie there, or more than there is room for are refused."""
        if count > self.limit:
            assert refuses(ValueError, self.pool.prefill, count)
            return
        self.pool.prefill(count)
        new = [id(context) for context in self.pool.context_pool[len(self.lying) :]]
        assert len(new) == max(0, count - len(self.lying))
        self.created += len(new)
        self.lying += new

    def _shrink(self, count):
        stays = [id(context) for context in self.pool.context_pool]
        assert len(stays) == min(count, len(self.lying))
        assert set(stays) <= set(self.lying)
        self.dropped += len(self.lying) - len(stays)
        self.lying = stays

    @invariant()
    def it_is_as_the_model_says(self):
        """What lies there, and every count."""
        assert [id(context) for context in self.pool.context_pool] == self.lying
        statistics = self.pool.statistics()
        assert self.pool.max_pool_size == self.limit
        assert statistics.created_count == self.created
        assert statistics.reused_count == self.reused
        assert statistics.returned_count == self.returned
        assert statistics.dropped_count == self.dropped
        assert statistics.lost_count == self.lost
        assert statistics.in_use_count == len(self.used)
        assert statistics.pooled_count == len(self.lying)
        assert statistics.peak_in_use_count == self.peak


class PoolOfSubclassModel(PoolModel):
    """The same with contexts that have more than a pool knows of."""

    context_class = Context


TestPool = PoolModel.TestCase
TestPoolOfSubclass = PoolOfSubclassModel.TestCase


class Cleaned:
    """What can be cleaned up, and tells whom it belonged to when it is."""

    def __init__(self, serial, told):
        self.serial = serial
        self.told = told

    def cleanup(self):
        self.told.append(self.serial)


class CleanedContext(memguard.AgentContext):
    """The same as a context."""

    __slots__ = ("serial", "told")

    def __init__(self, serial, told):
        super().__init__(serial)
        self.serial = serial
        self.told = told

    def cleanup(self):
        """Tell, and empty what there is."""
        self.told.append(self.serial)
        super().cleanup()


class LifecycleModel(RuleBasedStateMachine):
    """Which agents are active, below whom; what was cleaned up, and whom the hook was told."""

    def __init__(self):
        super().__init__()
        self.manager = memguard.AgentLifecycleManager()
        self.cleaned, self.told = [], []
        self.manager.on_cleanup(self.told.append)
        self.contexts = {}  # of active agents, by id
        self.parents = {}  # ids of parents, or None, by id
        self.kept = {}  # contexts of agents that ended, by serial
        self.next_serial = 0
        self.finished = self.died = self.peak = 0

    def teardown(self):
        self._ends(self.manager.close, list(self.contexts))
        assert refuses(RuntimeError, self.manager.register_agent, 0, Agent())

    @rule(agent_id=NUMBERS, number=NUMBERS, has_parent=st.booleans(), is_native=st.booleans())
    def begin(self, agent_id, number, has_parent, is_native):
        """An id that is taken is refused, and so is a parent that is not active."""
        agent_id %= 12
        parent = number % 12 if has_parent else None
        context = (CleanedContext if is_native else Cleaned)(self.next_serial, self.cleaned)
        if agent_id in self.contexts or (parent is not None and parent not in self.contexts):
            assert refuses(
                (ValueError, LookupError),
                self.manager.register_agent,
                agent_id,
                context,
                parent=parent,
            )
            return
        self.manager.register_agent(agent_id, context, parent=parent)
        self.next_serial += 1
        self.contexts[agent_id] = context
        self.parents[agent_id] = parent
        self.peak = max(self.peak, len(self.contexts))

    def _family(self, agent_id):
        """Give an agent's id and those of all below it."""
        found = [agent_id]
        for above in found:
            found += [below for below, parent in self.parents.items() if parent == above]
        return found

    def _ends(self, end, ids, dies=None):
        """Check that all of them end in this call, once each, children first."""
        serials = {key: self.contexts[key].serial for key in ids}
        cleaned = [serials[key] for key in ids if key != dies]
        del self.cleaned[:], self.told[:]
        for key in ids:
            if key != dies:
                self.kept[serials[key]] = self.contexts.pop(key)
        end()
        assert sorted(self.told) == sorted(ids)
        assert sorted(serial for serial in self.cleaned if serial in cleaned) == sorted(cleaned)
        for key in ids:
            parent = self.parents.pop(key)
            if parent in ids:
                assert self.told.index(key) < self.told.index(parent)
        self.finished += len(cleaned)

    @precondition(lambda self: self.contexts)
    @rule(number=NUMBERS)
    def finish(self, number):
        """It ends, and all below it before."""
        agent_id = pick(self.contexts, number)
        self._ends(lambda: self.manager.finish(agent_id), self._family(agent_id))
        assert self.manager.finish(agent_id) is False

    @precondition(lambda self: self.contexts)
    @rule(number=NUMBERS)
    def finish_by_the_cleanup_registry(self, number):
        """As code written against the report does it."""
        agent_id = pick(self.contexts, number)
        index = list(self.manager.active_agents).index(agent_id)
        cleanup = self.manager.cleanup_registry[index]
        assert cleanup.alive
        self._ends(cleanup, self._family(agent_id))
        assert not cleanup.alive

    @precondition(lambda self: self.contexts)
    @rule(number=NUMBERS)
    def die(self, number):
        """Nobody refers to its context any more; who is below it ends, too."""
        agent_id = pick(self.contexts, number)
        self._ends(
            lambda: self.contexts.pop(agent_id) and None, self._family(agent_id), dies=agent_id
        )
        self.died += 1

    @rule(agent_id=NUMBERS)
    def look(self, agent_id):
        """Who is not active is not found, nor finished."""
        agent_id %= 12
        assert self.manager.active_agents.get(agent_id) is self.contexts.get(agent_id)
        if agent_id not in self.contexts:
            assert self.manager.finish(agent_id) is False

    @precondition(lambda self: self.kept)
    @rule(number=NUMBERS)
    def let_go(self, number):
        """What ended is nobody's business any more."""
        del self.cleaned[:], self.told[:]
        del self.kept[pick(self.kept, number)]
        assert self.cleaned == self.told == []

    @invariant()
    def it_is_as_the_model_says(self):
        """Who is active, and every count."""
        manager = self.manager
        assert {key: id(context) for key, context in manager.active_agents.items()} == {
            key: id(context) for key, context in self.contexts.items()
        }
        assert len(manager.cleanup_registry) == len(self.contexts)
        statistics = manager.statistics()
        assert statistics.begun_count == self.next_serial
        assert statistics.active_count == len(self.contexts)
        assert statistics.finished_count == self.finished
        assert statistics.died_count == self.died
        assert statistics.peak_active_count == self.peak
        assert statistics.failure_count == 0


TestLifecycle = LifecycleModel.TestCase
