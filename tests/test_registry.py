"""The registry of living agents: what it holds, what it counts, and what may happen meanwhile."""

import contextlib
import gc
import os
import sys
import threading
import weakref
from collections.abc import Mapping

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

import memguard
from memguard import WeakAgentRegistry, get_active_agent_count
from process import run_fresh

pytestmark = pytest.mark.native


class Agent:
    """Whatever can be referred to weakly."""


class Metadata(dict):
    """A dict that shows whether it is alive."""


class Hook:
    """Calls something when it goes."""

    def __init__(self, call):
        self.call = call

    def __del__(self):
        self.call()


class SameHash:
    """An id that has the hash of all of its kind, and compares as it is told."""

    def __init__(self, equals=lambda other: False):
        self.equals = equals

    def __hash__(self):
        return 1

    def __eq__(self, other):
        return self.equals(other)


def assert_adds_up(registry):
    counts = registry.statistics()
    assert counts.registered_count == (
        counts.active_count + counts.died_count + counts.unregistered_count
    )
    assert counts.active_count == len(registry) == registry.get_active_count()
    assert sorted(map(id, registry)) == sorted(map(id, registry.ids()))
    assert len(registry.ids()) == counts.active_count


def test_an_agent_is_found_by_its_id_as_long_as_it_lives():
    """The registry does not keep it alive, and needs no collector to notice."""
    registry, agent = WeakAgentRegistry(), Agent()
    assert registry.register("a", agent, {"model": "large"}) is None
    assert registry.get("a") is agent
    assert "a" in registry
    del agent
    assert registry.get("a") is None
    assert registry.get("a", "gone") == "gone"
    assert "a" not in registry
    assert list(registry) == []


class ReportRegistry:
    """The registry of the report, as it stands there."""

    def __init__(self):
        self.agents = weakref.WeakValueDictionary()
        self.metadata = {}

    def register(self, agent_id, agent_instance, metadata):
        self.agents[agent_id] = agent_instance
        self.metadata[agent_id] = metadata

    def get_active_count(self):
        return len(self.agents)


@pytest.mark.parametrize(("registry_class", "kept"), [(ReportRegistry, 1), (WeakAgentRegistry, 0)])
def test_metadata_dies_with_the_agent(registry_class, kept):
    """Code written against the report runs as it is; there metadata stayed for ever."""
    registry, agent, metadata = registry_class(), Agent(), Metadata(model="large")
    seen = weakref.ref(metadata)
    registry.register("a", agent, metadata)
    del metadata
    assert registry.agents["a"] is agent
    assert registry.metadata["a"] == {"model": "large"}
    assert registry.get_active_count() == 1
    del agent
    assert registry.get_active_count() == 0
    assert len(registry.metadata) == kept
    assert (seen() is not None) == kept


def test_an_id_can_be_taken_once():
    """The error names it, and nothing is changed; its end frees the place."""
    registry, first, second = WeakAgentRegistry(), Agent(), Agent()
    registry.register("a", first, 1)
    before = registry.statistics()
    for again in first, second:
        with pytest.raises(memguard.AgentIdTakenError, match=r"'a'.*replace=True") as caught:
            registry.register("a", again, 2)
        assert caught.value.agent_id == "a"
        del caught
    assert (registry.get("a"), registry.metadata["a"]) == (first, 1)
    assert registry.statistics() == before
    assert weakref.getweakrefcount(first) == 1
    assert weakref.getweakrefcount(second) == 0
    del first, again
    registry.register("a", second, 2)
    assert registry.get("a") is second
    assert_adds_up(registry)


def test_replacing_ends_the_registration_of_the_other():
    """It counts as unregistered, and its death later as nothing."""
    registry, first, second = WeakAgentRegistry(), Agent(), Agent()
    registry.register("a", first)
    registry.register("a", second, replace=True)
    assert registry.get("a") is second
    assert weakref.getweakrefcount(first) == 0
    del first
    assert registry.statistics() == memguard.RegistryStatistics(2, 1, 0, 1, 1)


def test_unregistering_says_whether_there_was_one():
    """And the agent's death is then no longer counted."""
    registry, agent = WeakAgentRegistry(), Agent()
    registry.register("a", agent)
    assert registry.unregister("a") is True
    assert registry.unregister("a") is False
    assert weakref.getweakrefcount(agent) == 0
    del agent
    assert registry.statistics() == memguard.RegistryStatistics(1, 0, 0, 1, 1)


def test_one_registration_can_be_ended_and_no_later_one_of_that_id():
    """Whoever asks first ends it, and is the only one to be told so."""
    registry, agent, known = WeakAgentRegistry(), Agent(), object()
    registry.register("a", agent, object())
    assert registry.unregister_entry("a", known) is False
    registry.register("a", agent, known, replace=True)
    assert registry.unregister_entry("a", known) is True
    assert registry.unregister_entry("a", known) is False


def test_the_counts_say_what_became_of_the_agents():
    """Registered is active, died and unregistered; the peak stays."""
    registry = WeakAgentRegistry()
    agents = [Agent() for _ in range(10)]
    for number, agent in enumerate(agents):
        registry.register(number, agent)
    del agent, agents[6:]
    registry.unregister(0)
    assert registry.statistics() == memguard.RegistryStatistics(10, 5, 4, 1, 10)


def test_the_process_counts_the_agents_of_all_registries():
    """Until they die, are unregistered, or their registry goes."""
    start = get_active_agent_count()
    one, other, agents = WeakAgentRegistry(), WeakAgentRegistry(), [Agent() for _ in range(3)]
    for number, agent in enumerate(agents):
        one.register(number, agent)
        other.register(number, agent)
    assert get_active_agent_count() - start == 6
    one.unregister(0)
    del agent, agents[2]
    assert get_active_agent_count() - start == 3
    del one
    assert get_active_agent_count() - start == 2
    del other
    assert get_active_agent_count() == start
    assert [weakref.getweakrefcount(agent) for agent in agents] == [0, 0]


def test_agents_may_die_while_ids_are_gone_over():
    """The ids are those of the beginning."""
    registry, agents = WeakAgentRegistry(), {number: Agent() for number in range(5)}
    for number, agent in agents.items():
        registry.register(number, agent)
    del agent
    seen = []
    for number in registry:
        seen.append(number)
        agents.clear()
    assert seen == [0, 1, 2, 3, 4]
    assert list(registry) == []


@pytest.mark.parametrize("view", ["agents", "metadata"])
def test_views_go_over_those_that_are_still_alive_when_it_is_their_turn(view):
    """And keep none of them alive in between."""
    registry, agents = WeakAgentRegistry(), {number: Agent() for number in range(3)}
    for number, agent in agents.items():
        registry.register(number, agent, number)
    del agent
    items = iter(getattr(registry, view).items())
    values = iter(getattr(registry, view).values())
    assert next(items)[0] == 0
    next(values)
    agents.clear()
    assert len(registry) == 0
    assert list(items) == list(values) == []


def test_views_are_mappings_of_what_there_is_now():
    """Equal to a dict, found by id, and the same after a change."""
    registry, agent, other = WeakAgentRegistry(), Agent(), Agent()
    agents, metadata = registry.agents, registry.metadata
    registry.register("a", agent)
    registry.register("b", other, {"model": "large"})
    assert isinstance(agents, Mapping)
    assert agents == {"a": agent, "b": other}
    assert metadata == {"a": None, "b": {"model": "large"}}
    assert ("a" in agents, "c" in agents, agent in agents.values()) == (True, False, True)
    assert (("a", agent) in agents.items(), len(agents), *agents) == (True, 2, "a", "b")
    assert metadata.get("a", 1) is None
    with pytest.raises(KeyError, match="c"):
        metadata["c"]
    assert repr(agents) == "<read-only view of 2 agents>"
    assert repr(registry) == "<WeakAgentRegistry: 2 active>"


@pytest.mark.parametrize("view", ["agents", "metadata"])
def test_views_cannot_be_changed(view):
    """Neither set nor deleted from, nor assigned to."""
    registry, agent = WeakAgentRegistry(), Agent()
    registry.register("a", agent)
    with pytest.raises(TypeError):
        getattr(registry, view)["b"] = agent
    with pytest.raises(TypeError):
        del getattr(registry, view)["a"]
    with pytest.raises(AttributeError):
        setattr(registry, view, {})


class Slotted:
    __slots__ = ()


@pytest.mark.parametrize("agent", [Slotted(), 7, None])
def test_what_cannot_be_referred_to_weakly_is_refused(agent):
    """The error says what to do."""
    registry = WeakAgentRegistry()
    with pytest.raises(memguard.WrongTypeError, match="__weakref__") as caught:
        registry.register("a", agent)
    assert caught.value.option == "agent_instance"
    assert caught.value.given == type(agent).__name__
    assert registry.statistics().registered_count == 0


@pytest.mark.parametrize("option", ["agent_id", "metadata"])
def test_an_agent_cannot_be_its_own_id_or_metadata(option):
    """The registry would keep it alive by that."""
    agent = Agent()
    arguments = {"agent_id": "a", "metadata": None, option: agent}
    with pytest.raises(memguard.WrongTypeError, match="the agent itself") as caught:
        WeakAgentRegistry().register(agent_instance=agent, **arguments)
    assert caught.value.option == option


def test_an_id_that_cannot_be_hashed_changes_nothing():
    """Nor does one whose hash raises."""
    registry, agent = WeakAgentRegistry(), Agent()
    with pytest.raises(TypeError, match="unhashable"):
        registry.register([], agent)
    with pytest.raises(TypeError, match="unhashable"):
        registry.get([])
    assert registry.statistics() == memguard.RegistryStatistics(0, 0, 0, 0, 0)
    assert weakref.getweakrefcount(agent) == 0


def test_nothing_needs_the_collector():
    """After agents, replaced ones and whole registries are gone, so is all memory."""

    def live():
        registry, agents = WeakAgentRegistry(), [Agent() for _ in range(50)]
        for number, agent in enumerate(agents):
            registry.register(number, agent, Metadata())
            registry.register(-1, agent, Metadata(), replace=True)
        registry.unregister(3)
        del agents[20:]
        with contextlib.suppress(memguard.AgentIdTakenError):
            registry.register(5, agents[0])

    for _ in range(3):
        live()
    gc.collect()
    tracked_growth, block_growth = [], []
    # A thread of whoever runs the tests may make objects meanwhile, but not each time.
    for _ in range(3):
        tracked, blocks = len(gc.get_objects()), sys.getallocatedblocks()
        for _ in range(20):
            live()
        tracked_growth.append(len(gc.get_objects()) - tracked)
        block_growth.append(sys.getallocatedblocks() - blocks)
    # Lists of the interpreter for what was freed grow by some; 20 runs make 2,000 objects.
    assert min(tracked_growth) <= 2
    assert min(block_growth) < 20
    assert memguard.scan("garbage").unreachable_count == 0


def test_the_collector_takes_registries_that_lie_on_cycles():
    """Through metadata or a subclass's attributes; the process counts right after it."""

    class Owner(WeakAgentRegistry):
        pass

    start = get_active_agent_count()
    for registry in (WeakAgentRegistry(), Owner()):
        agent = Agent()
        agent.registry = registry
        registry.register("a", agent, [registry])
        registry.register("b", Agent, [registry])
        registry.on_death = registry.get
    registry.itself = registry
    registry.agent = agent
    seen = weakref.ref(registry)
    del registry, agent
    assert get_active_agent_count() - start == 3
    gc.collect()
    assert seen() is None
    assert get_active_agent_count() == start
    assert not [ref for ref in weakref.getweakrefs(Agent) if "_registry" in repr(type(ref))]


def test_agents_that_the_collector_takes_have_died():
    """Cycles of their own only let them die later."""
    registry, agent = WeakAgentRegistry(), Agent()
    agent.itself = agent
    registry.register("a", agent)
    del agent
    assert len(registry) == 1
    gc.collect()
    assert registry.statistics() == memguard.RegistryStatistics(1, 0, 1, 0, 1)


def test_an_agent_that_comes_back_to_life_was_never_gone():
    """Its finalizer runs before weak references are cleared."""
    kept = []

    class Stubborn(Agent):
        def __del__(self):
            if not kept:
                kept.append(self)

    registry, agent = WeakAgentRegistry(), Stubborn()
    registry.register("a", agent)
    del agent
    assert registry.get("a") is kept[0]
    kept[0] = None
    assert registry.statistics() == memguard.RegistryStatistics(1, 0, 1, 0, 1)


def test_a_registry_may_go_before_its_agents():
    """Their death then is nobody's business."""
    agents = [Agent() for _ in range(3)]
    registry = WeakAgentRegistry()
    for number, agent in enumerate(agents):
        registry.register(number, agent)
    entries = [weakref.getweakrefs(agent)[0] for agent in agents]
    del registry, agent
    agents.clear()
    assert [entry() for entry in entries] == [None] * 3


def test_a_registry_may_go_while_an_agent_dies():
    """What is dropped with the metadata holds the last reference to it."""
    holder, agent = [WeakAgentRegistry()], Agent()
    seen = weakref.ref(holder[0])
    holder[0].register("a", agent, Hook(holder.clear))
    del agent
    assert seen() is None


def test_a_registry_may_go_while_it_is_used_for_the_first_time():
    """Replacing drops what drops the registry; the call still ends well."""
    start = get_active_agent_count()
    holder, agent = [WeakAgentRegistry()], Agent()
    holder[0].register("a", agent, Hook(holder.clear))
    holder[0].register("a", agent, replace=True)
    assert holder == []
    assert get_active_agent_count() == start


def test_agents_may_die_while_their_registry_goes():
    """A subclass drops its attributes, and with them agents, before the table."""

    class Owner(WeakAgentRegistry):
        pass

    start = get_active_agent_count()
    registry = Owner()
    registry.agents_of_mine = [Agent() for _ in range(3)]
    for number, agent in enumerate(registry.agents_of_mine):
        registry.register(number, agent, Hook(lambda: None))
    del agent, registry
    assert get_active_agent_count() == start


def test_what_goes_with_an_agent_may_use_the_registry():
    """It finds the agent's place free, and can take it."""
    registry, agent, later = WeakAgentRegistry(), Agent(), Agent()
    seen = []

    def use():
        seen.append(("a" in registry, len(registry), list(registry)))
        registry.register("a", later)

    registry.register("a", agent, Hook(use))
    del agent
    assert seen == [(False, 0, [])]
    assert registry.get("a") is later
    assert_adds_up(registry)


def test_registering_may_let_another_die():
    """The replaced metadata holds an agent whose own metadata registers the same id again."""
    registry, agents = WeakAgentRegistry(), [Agent() for _ in range(3)]
    registry.register("b", agents[1], Hook(lambda: registry.register("c", agents[0], replace=True)))
    registry.register("a", agents[0], [agents.pop(1)])
    registry.register("a", agents[1], replace=True)
    assert registry.agents == {"a": agents[1], "c": agents[0]}
    assert registry.statistics() == memguard.RegistryStatistics(4, 2, 1, 1, 2)


def test_a_dead_agent_is_not_seen_before_its_callback_ran():
    """A weak reference that is told first finds nobody, and can take the place."""
    registry, agent, later = WeakAgentRegistry(), Agent(), Agent()
    seen = []

    def told_first(reference):
        seen.append((registry.get("a"), "a" in registry, dict(registry.metadata), list(registry)))
        seen.append(registry.unregister("b"))
        registry.register("a", later, 2)

    registry.register("a", agent, 1)
    registry.register("b", agent, 1)
    first = weakref.ref(agent, told_first)
    del agent
    assert first() is None
    assert seen == [(None, False, {}, []), False]
    assert (registry.get("a"), registry.metadata["a"]) == (later, 2)
    assert registry.statistics() == memguard.RegistryStatistics(3, 1, 2, 0, 2)


def test_what_agents_call_when_they_die_cannot_be_misused():
    """It leaves living agents, agents of others and other objects alone."""
    registry, other, agent = WeakAgentRegistry(), WeakAgentRegistry(), Agent()
    registry.register("a", agent)
    (entry,) = weakref.getweakrefs(agent)
    other.register("b", agent)
    (entry_of_other,) = (ref for ref in weakref.getweakrefs(agent) if ref is not entry)
    call = entry.__callback__
    forged = type(entry)(agent, call)
    for argument in entry, entry_of_other, forged, weakref.ref(agent), None, registry:
        call(argument)
    assert (len(registry), len(other)) == (1, 1)
    del agent
    for argument in entry, entry_of_other, forged:
        call(argument)
    assert_adds_up(registry)
    assert registry.statistics().died_count == other.statistics().died_count == 1


def test_on_death_is_told_of_agents_that_died_and_of_no_others():
    """After the agent was taken out, once, with what was known of it."""
    told, agents = [], [Agent() for _ in range(3)]
    table = WeakAgentRegistry()
    table.on_death = lambda *arguments: told.append((*arguments, len(table)))
    for number, agent in enumerate(agents):
        table.register(number, agent, str(number))
    table.unregister(0)
    table.register(1, agents[0], "new", replace=True)
    del agent, agents[1:]
    assert told == [(2, "2", 1)]


def test_what_on_death_raises_is_told_and_goes_no_further(monkeypatch):
    """Neither to the one who dropped the agent, nor to the one who takes its place."""
    unraisable, table, agent = [], WeakAgentRegistry(), Agent()
    monkeypatch.setattr(sys, "unraisablehook", lambda told: unraisable.append(told.exc_type))
    table.on_death = lambda agent_id, metadata: 1 / 0
    table.register("a", agent)
    first = weakref.ref(agent, lambda reference: table.register("a", table))
    del agent
    assert first() is None
    assert unraisable == [ZeroDivisionError]
    assert table.get("a") is table


def test_ids_that_cannot_be_compared_are_not_taken():
    """What a comparison raises comes out, and nothing is changed."""
    registry, agent = WeakAgentRegistry(), Agent()
    registry.register(SameHash(lambda other: 1 / 0), agent)
    before = registry.statistics()
    with pytest.raises(ZeroDivisionError):
        registry.register(SameHash(), agent)
    with pytest.raises(ZeroDivisionError):
        registry.unregister(SameHash())
    assert registry.statistics() == before
    assert_adds_up(registry)


def test_metadata_dies_though_its_id_can_no_longer_be_compared(monkeypatch):
    """The death is counted, the error told, and the place can be taken again."""
    unraisable, registry = [], WeakAgentRegistry()
    monkeypatch.setattr(sys, "unraisablehook", lambda told: unraisable.append(told.exc_type))
    first, second, agents = SameHash(), SameHash(), [Agent(), Agent()]
    metadata = Metadata()
    seen = weakref.ref(metadata)
    registry.register(first, agents[0])
    registry.register(second, agents[1], metadata)
    del metadata
    first.equals = second.equals = lambda other: 1 / 0
    agents.pop()
    assert seen() is None
    assert unraisable == [ZeroDivisionError]
    assert registry.ids() == [first]
    assert_adds_up(registry)
    first.equals = second.equals = lambda other: False
    registry.register(second, agents[0])
    assert registry.ids() == [first, second]
    assert_adds_up(registry)


def test_a_comparison_may_change_the_registry():
    """Whatever it registers, ends and lets die, the counts add up."""
    registry, agents = WeakAgentRegistry(), [Agent() for _ in range(3)]
    first, second = SameHash(), SameHash()

    def change(other):
        first.equals = second.equals = lambda other: False
        registry.unregister(first)
        registry.register("c", agents[2], replace=True)
        agents.pop(0)
        return False

    registry.register(first, agents[0])
    registry.register(second, agents[1])
    second.equals = first.equals = change
    registry.unregister(second)
    assert registry.agents == {"c": agents[1]}
    assert_adds_up(registry)


@pytest.mark.parametrize("replace", [False, True])
def test_ids_that_lie_harm_no_others(replace):
    """One that says it equals another is at worst refused."""
    registry, agents = WeakAgentRegistry(), [Agent() for _ in range(3)]
    honest, liar = SameHash(), SameHash()
    registry.register(honest, agents[0])
    registry.register(liar, agents[1])
    liar.equals = honest.equals = lambda other: True
    for agent_id in liar, honest, SameHash():
        try:
            registry.register(agent_id, agents[2], replace=replace)
        except memguard.AgentIdTakenError:
            continue
    registry.unregister(liar)
    assert_adds_up(registry)
    agents.clear()
    assert_adds_up(registry)
    assert len(registry) == 0


def test_threads_lose_and_double_nothing():
    """Each registers its own and fights for common ids; all counts add up."""
    registry, start = WeakAgentRegistry(), get_active_agent_count()
    gate, refused = threading.Barrier(8), []

    def work(name):
        gate.wait()
        for number in range(500):
            own, common = Agent(), Agent()
            registry.register((name, number), own, number)
            try:
                registry.register(number % 7, common, replace=number % 2 == 0)
            except memguard.AgentIdTakenError:
                refused.append(name)
            if number % 3 == 0:
                registry.unregister((name, number))
            assert registry.get((name, number)) is (None if number % 3 == 0 else own)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert_adds_up(registry)
    assert registry.statistics().registered_count == 8_000 - len(refused)
    assert registry.statistics().unregistered_count >= 8 * 167
    assert (len(registry), get_active_agent_count()) == (0, start)


def test_views_are_there_whatever_was_imported_first():
    """Also where only native modules were, as under pytest, which loads names when used."""
    code = """
        import pytest, sys
        from memguard._registry import WeakAgentRegistry
        assert "memguard.agents.registry" not in sys.modules
        registry = WeakAgentRegistry()
        print(len(registry.agents), len(registry.metadata), registry.statistics().active_count)
    """
    assert run_fresh(code).split() == ["0", "0", "0"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_after_a_fork_each_process_has_its_own():
    """What dies in the child lives on in the parent, and both count right."""
    registry, agents = WeakAgentRegistry(), [Agent() for _ in range(3)]
    for number, agent in enumerate(agents):
        registry.register(number, agent)
    del agent
    start = get_active_agent_count()
    child = os.fork()
    if child == 0:
        agents.clear()
        os._exit(0 if (len(registry), get_active_agent_count()) == (0, start - 3) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert (len(registry), get_active_agent_count()) == (3, start)


class AgainstAModel(RuleBasedStateMachine):
    """The same steps in the registry and in plain dicts that hold the agents."""

    def __init__(self):
        super().__init__()
        self.registry = WeakAgentRegistry()
        self.agents, self.metadata = {}, {}
        self.registered = self.died = self.unregistered = self.peak = 0

    ids = st.integers(0, 5)

    @rule(agent_id=ids, metadata=st.integers(), replace=st.booleans())
    def register(self, agent_id, metadata, replace):
        agent = Agent()
        if agent_id in self.agents and not replace:
            with pytest.raises(memguard.AgentIdTakenError):
                self.registry.register(agent_id, agent, metadata)
            return
        self.registry.register(agent_id, agent, metadata, replace=replace)
        self.unregistered += agent_id in self.agents
        self.registered += 1
        self.agents[agent_id], self.metadata[agent_id] = agent, metadata
        self.peak = max(self.peak, len(self.agents))

    @rule(agent_id=ids)
    def die(self, agent_id):
        self.died += self.agents.pop(agent_id, None) is not None
        self.metadata.pop(agent_id, None)

    @rule(agent_id=ids)
    def unregister(self, agent_id):
        agent = self.agents.pop(agent_id, None)
        self.metadata.pop(agent_id, None)
        self.unregistered += agent is not None
        assert self.registry.unregister(agent_id) is (agent is not None)

    @invariant()
    def is_the_same(self):
        assert self.registry.agents == self.agents
        assert self.registry.metadata == self.metadata
        assert self.registry.statistics() == memguard.RegistryStatistics(
            self.registered, len(self.agents), self.died, self.unregistered, self.peak
        )


TestAgainstAModel = AgainstAModel.TestCase
TestAgainstAModel.settings = settings(deadline=None)
