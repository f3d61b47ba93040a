"""The door: in and out, the chain that follows, and who holds what."""

import asyncio
import contextlib
import gc
import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest

from memguard.admission.breaker import DelegationCircuitBreaker
from memguard.admission.delegation import DelegationUsedError
from memguard.admission.limits import AgentLimits
from memguard.admission.refusals import DelegationCycle, DepthExceeded, ParallelismExceeded
from memguard.admission.token import DelegationToken
from memguard.errors import (
    LimitOutOfRangeError,
    UnknownOptionError,
    WrongSettingError,
    WrongTypeError,
)
from memguard.heap.scan import scan
from memguard.settings import AdmissionSettings


@pytest.fixture
def breaker():
    return DelegationCircuitBreaker()


def test_the_report_s_calls_and_attributes_answer_as_they_did():
    """Ten that were entered by hand leave no room for another one."""
    breaker = DelegationCircuitBreaker(max_depth=5, max_parallel_delegations=10)
    assert (breaker.max_depth, breaker.max_parallel) == (5, 10)
    assert breaker.active_delegations == {}
    for task in range(10):
        assert breaker.can_delegate("root", "agent") is True
        breaker.active_delegations[f"task {task}"] = "agent"
    assert breaker.can_delegate("root", "agent") is False
    assert len(breaker.active_delegations) == 10
    del breaker.active_delegations["task 3"]
    assert breaker.can_delegate("root", "agent") is True
    assert "task 3" not in breaker.active_delegations


def test_a_subclass_may_say_how_deep_a_task_is():
    """As code written against the report does, which left that open."""

    class Mine(DelegationCircuitBreaker):
        def _get_delegation_depth(self, from_task):
            return {"shallow": 4, "deep": 5}[from_task]

    assert Mine().can_delegate("shallow", "agent")
    assert not Mine().can_delegate("deep", "agent")


def test_a_context_that_knows_its_depth_is_asked_for_it(breaker):
    """So does an `AgentContext`."""

    class Context:
        def __init__(self, depth):
            self.task_id, self.depth = f"at {depth}", depth

    assert breaker.can_delegate(Context(4), "agent")
    assert not breaker.can_delegate(Context(5), "agent")
    with pytest.raises(DepthExceeded) as caught:
        with breaker.delegate("agent", from_task=Context(5)):
            pass
    assert caught.value.chain == ("at 5", "agent")


def test_what_is_set_by_hand_replaces_and_counts_once(breaker):
    """And a slot that is given back is given back once."""
    breaker.active_delegations["task"] = 1
    breaker.active_delegations["task"] = 1
    breaker.active_delegations["task"] = 2
    assert breaker.active_delegations["task"] == 2
    assert breaker.statistics().running_count == 1
    del breaker.active_delegations["task"]
    with pytest.raises(KeyError):
        del breaker.active_delegations["task"]
    assert breaker.statistics().running_count == 0


def test_what_a_block_holds_cannot_be_deleted_by_hand(breaker):
    """It is listed with its agent, by its task or its number."""
    with breaker.delegate("a", task="task 1"), breaker.delegate("b") as second:
        assert dict(breaker.active_delegations) == {"task 1": "a", second.run.id: "b"}
        with pytest.raises(ValueError, match=r"'task 1' is held by breaker\.delegate"):
            del breaker.active_delegations["task 1"]
        with pytest.raises(ValueError):
            breaker.active_delegations["task 1"] = "other"
    assert breaker.active_delegations == {}


def test_a_delegation_that_is_asked_for_and_not_entered_takes_nothing(breaker):
    """Also when it is awaited for later."""
    delegation = breaker.delegate("agent")
    entry = breaker.delegate("agent").__aenter__()
    assert breaker.statistics().admitted_count == 0
    entry.close()
    del delegation


def test_the_chain_follows_calls_within_a_thread(breaker):
    """And ends with the block."""
    with breaker.delegate("a") as first:
        with breaker.delegate("b") as second:
            assert second.chain == ("a", "b")
            assert (first.depth, second.depth) == (1, 2)
            assert breaker.current_token.chain == ("a", "b")
        assert breaker.current_token.chain == ("a",)
    assert breaker.current_token is None


def test_the_chain_follows_tasks_groups_and_to_thread(breaker):
    """Each has its own, at the same time."""
    seen = {}

    async def child(name):
        async with breaker.delegate(name) as delegation:
            await asyncio.sleep(0)
            seen[name] = delegation.chain
            await asyncio.to_thread(in_thread, name)

    def in_thread(name):
        with breaker.delegate("leaf") as delegation:
            seen[name, "leaf"] = delegation.chain

    async def run():
        async with breaker.delegate("root"), asyncio.TaskGroup() as group:
            group.create_task(child("x"))
            group.create_task(child("y"))

    asyncio.run(run())
    assert seen == {
        "x": ("root", "x"),
        "y": ("root", "y"),
        ("x", "leaf"): ("root", "x", "leaf"),
        ("y", "leaf"): ("root", "y", "leaf"),
    }


def test_an_executor_is_given_the_chain_by_carry(breaker):
    """Its threads begin with an empty context, and are left as they were."""

    def work():
        with breaker.delegate("worker") as delegation:
            return delegation.chain

    with ThreadPoolExecutor(1) as pool, breaker.delegate("root"):
        assert pool.submit(work).result() == ("worker",)
        assert pool.submit(breaker.carry(work)).result() == ("root", "worker")
        assert pool.submit(work).result() == ("worker",)


def test_a_token_leads_where_contexts_do_not(breaker):
    """It survives pickling, and who gives it is counted as a child."""
    with breaker.delegate("a") as a, breaker.delegate("b") as b:
        sent = pickle.dumps(b.token)

        def worker():
            with breaker.delegate("c", parent=pickle.loads(sent)) as c:
                assert c.chain == ("a", "b", "c")
                assert b.run.live_count == 1

        run_in_thread(worker)
        assert b.run.started_count == 1
        assert a.run.descendant_count == 2
    assert isinstance(b.token, DelegationToken)


def test_a_token_still_counts_when_its_delegation_has_ended():
    """So that passing a queue is no way around max_depth."""
    breaker = DelegationCircuitBreaker(max_depth=3, max_repeats=1)
    token = None
    for depth in (1, 2, 3):
        with breaker.delegate(f"agent {depth}", parent=token) as delegation:
            assert delegation.depth == depth
            token = delegation.token
    with pytest.raises(DepthExceeded, match="agent 1 -> agent 2 -> agent 3 -> agent 4"):
        with breaker.delegate("agent 4", parent=token):
            pass


def test_a_task_that_outlives_its_parent_stays_in_its_chain():
    """Fire and forget is no way around max_depth, either."""
    breaker = DelegationCircuitBreaker(max_depth=3)
    depths = []

    async def spawn():
        async with breaker.delegate("agent") as delegation:
            depths.append(delegation.depth)
            left = asyncio.Event()
            task = asyncio.create_task(later(left))
        left.set()
        return task

    async def later(left):
        await left.wait()
        return await spawn()

    async def run():
        task = await spawn()
        while True:
            task = await task

    with pytest.raises(DepthExceeded):
        asyncio.run(run())
    assert depths == [1, 2, 3]


def test_tasks_can_be_named_and_referred_to(breaker):
    """`from_task` is the one that was given as `task`; others begin a chain."""
    with breaker.delegate("a", task="task 1"):

        def worker():
            with breaker.delegate("b", from_task="task 1") as b:
                assert b.chain == ("a", "b")
            with breaker.delegate("b", from_task="task 2") as b:
                assert b.chain == ("b",)

        run_in_thread(worker)


def test_no_parent_begins_a_chain(breaker):
    """Whatever context it is in."""
    with breaker.delegate("a"), breaker.delegate("b", parent=None) as b:
        assert b.chain == ("b",)
        assert breaker.statistics().running_count == 2


def test_two_breakers_have_two_chains():
    """Also when their blocks alternate."""
    one, two = DelegationCircuitBreaker(), DelegationCircuitBreaker()
    with one.delegate("a"), two.delegate("b"), one.delegate("c") as c, two.delegate("d") as d:
        assert (c.chain, d.chain) == (("a", "c"), ("b", "d"))


def test_blocks_that_are_left_in_another_order_leave_no_trace(breaker):
    """What comes afterwards begins a chain again."""
    first, second = breaker.delegate("a"), breaker.delegate("b")
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert breaker.statistics().live_count == 1
    second.__exit__(None, None, None)
    assert breaker.current_token is None
    with breaker.delegate("c") as c:
        assert c.chain == ("c",)
    assert breaker.statistics().running_count == 0


def test_a_block_may_be_left_in_another_task_or_thread(breaker):
    """As streams and frameworks with paired callbacks do."""
    delegation = breaker.delegate("a")
    delegation.__enter__()
    run_in_thread(lambda: delegation.__exit__(None, None, None))
    assert breaker.statistics().live_count == 0
    assert breaker.current_token is None

    async def run():
        delegation = breaker.delegate("a")
        await delegation.__aenter__()

        async def leave():
            await delegation.__aexit__(None, None, None)

        await asyncio.create_task(leave())
        assert breaker.current_token is None
        async with breaker.delegate("b") as b:
            assert b.chain == ("b",)

    asyncio.run(run())


def test_a_parent_that_ends_first_leaves_its_children_to_its_own_parent():
    """Who still waits for them, on the same slot."""
    breaker = DelegationCircuitBreaker(max_parallel_delegations=1)
    with breaker.delegate("a"):
        middle = breaker.delegate("b")
        middle.__enter__()
        leaf = breaker.delegate("c")
        leaf.__enter__()
        middle.__exit__(None, None, None)
        assert breaker.statistics().running_count == 1
        leaf.__exit__(None, None, None)
        assert breaker.statistics().running_count == 1
    assert breaker.statistics().running_count == 0


def test_entering_twice_is_an_error_and_changes_nothing(breaker):
    """One delegation is one use."""
    delegation = breaker.delegate("a")
    with delegation:
        with pytest.raises(DelegationUsedError, match=r"ask for another one"):
            delegation.__enter__()
        assert breaker.statistics().live_count == 1
    with pytest.raises(DelegationUsedError):
        asyncio.run(enter(delegation))
    assert breaker.statistics().live_count == 0


async def enter(delegation):
    async with delegation:
        pass


def test_leaving_twice_gives_one_slot_back(breaker):
    """And what was not entered gives none back."""
    with breaker.delegate("other"):
        delegation = breaker.delegate("a", parent=None)
        delegation.__exit__(None, None, None)
        delegation.__enter__()
        delegation.__exit__(None, None, None)
        delegation.__exit__(None, None, None)
        assert breaker.statistics().running_count == 1


def test_a_decorator_asks_at_each_call():
    """Sync and async, with the arguments and the name of the function."""
    breaker = DelegationCircuitBreaker(max_depth=2)

    @breaker.delegate("researcher")
    def research(question, *, depth=1):
        """Look it up."""
        return f"{question} {breaker.current_token.chain}" if depth == 1 else research(question)

    @breaker.delegate("writer")
    async def write(text):
        await asyncio.sleep(0)
        return research(text)

    assert research.__name__ == "research"
    assert research.__doc__ == "Look it up."
    assert research("why", depth=2) == "why ('researcher', 'researcher')"
    assert asyncio.run(write("how")) == "how ('writer', 'researcher')"
    with breaker.delegate("editor"), pytest.raises(DepthExceeded):
        research("why", depth=2)


def test_a_generator_is_not_decorated(breaker):
    """It stands still in the code of others, which would be in its chain."""

    def stream():
        yield 1

    async def astream():
        yield 1

    for function in (stream, astream):
        with pytest.raises(WrongTypeError, match="use the block in a generator"):
            breaker.delegate("agent")(function)


def test_a_refused_call_gives_the_message_if_asked_to():
    """As the result of a tool, on which a model can act."""
    breaker = DelegationCircuitBreaker(max_parallel_delegations=0, on_refuse="message")

    @breaker.delegate("agent")
    def sync_agent():
        raise AssertionError("it was refused")

    @breaker.delegate("agent")
    async def async_agent():
        raise AssertionError("it was refused")

    assert sync_agent().startswith("Delegation to 'agent' was refused because ")
    assert asyncio.run(async_agent()) == sync_agent()


def test_a_refused_block_runs_and_can_look():
    """It is false, holds nothing, and is in nobody's chain."""
    breaker = DelegationCircuitBreaker(max_parallel_delegations=0)

    async def run():
        async with breaker.delegate("agent", on_refuse="message") as delegation:
            assert not delegation
            assert isinstance(delegation.refusal, ParallelismExceeded)
            assert breaker.current_token is None
            with pytest.raises(DelegationUsedError):
                delegation.token

    asyncio.run(run())
    with breaker.delegate("agent", on_refuse="message") as delegation:
        assert not delegation
    assert breaker.statistics().admitted_count == 0


def test_the_exception_of_a_block_passes_unchanged(breaker):
    """And the slot is free again."""
    error = ValueError("mine")
    with pytest.raises(ValueError) as caught:
        with breaker.delegate("agent"):
            raise error
    assert caught.value is error
    assert breaker.statistics().live_count == 0
    assert breaker.statistics().failed_count == 1


def test_one_that_is_dropped_gives_its_slot_back_and_says_so(breaker):
    """Nobody could leave it any more."""
    stack = contextlib.ExitStack()
    stack.enter_context(breaker.delegate("agent", task="task"))
    assert breaker.statistics().live_count == 1
    with pytest.warns(ResourceWarning, match="agent.*dropped without being left"):
        del stack
    assert breaker.statistics().live_count == 0
    assert breaker.statistics().abandoned_count == 1
    assert breaker.active_delegations == {}
    with breaker.delegate("next") as following:
        assert following.chain == ("next",)


def test_a_coroutine_that_is_dropped_in_its_block_gives_its_slot_back(breaker):
    """A task that was destroyed while pending is one."""

    async def holds():
        async with breaker.delegate("agent"):
            await asyncio.Future()

    loop = asyncio.new_event_loop()
    coroutine = holds()
    task = loop.create_task(coroutine)
    loop.run_until_complete(asyncio.sleep(0, task))
    loop.close()
    assert breaker.statistics().live_count == 1
    task._log_destroy_pending = False
    del task, coroutine
    gc.collect()
    assert breaker.statistics().live_count == 0


def test_a_holder_whose_loop_was_closed_makes_room_for_the_next():
    """Even while somebody keeps its task."""
    now = [0.0]
    breaker = DelegationCircuitBreaker(max_parallel_delegations=1, clock=lambda: now[0])

    async def holds():
        async with breaker.delegate("lost", task="lost"):
            await asyncio.Future()

    loop = asyncio.new_event_loop()
    task = loop.create_task(holds())
    loop.run_until_complete(asyncio.sleep(0))
    with pytest.raises(ParallelismExceeded):
        with breaker.delegate("agent"):
            pass
    loop.close()
    now[0] += 10
    with breaker.delegate("agent"):
        assert list(breaker.active_delegations.values()) == ["agent"]
    assert breaker.statistics().abandoned_count == 1
    task._log_destroy_pending = False
    del task
    gc.collect()
    assert breaker.statistics().running_count == 0
    assert breaker.statistics().ended_count == 2


def test_the_context_holds_no_agent(breaker):
    """Timers keep contexts for long: what is in them must be tiny, and nobody's."""

    class Agent:
        pass

    async def run():
        agent = Agent()
        async with breaker.delegate("agent", task=agent):
            asyncio.get_running_loop().call_later(1000, print)
            keeps = asyncio.create_task(asyncio.sleep(1000))
        gone = id(agent)
        del agent
        gc.collect()
        assert not any(type(one) is Agent and id(one) == gone for one in gc.get_objects())
        keeps.cancel()

    asyncio.run(run())


def test_a_breaker_in_use_has_no_reference_cycle():
    """What is to find cycles must not make any."""
    breaker = DelegationCircuitBreaker(listeners=[print], agents={"a": AgentLimits(3)})
    with breaker.delegate("a") as first, breaker.delegate("b", task="b") as second:
        with scan("live", roots=[breaker, first, second]) as report:
            assert report.cycle_count == 0


def test_names_are_plain_strings(breaker):
    """Of a subclass only the characters are taken: no code of it is run later."""

    class Name(str):
        def __eq__(self, other):
            raise AssertionError("not to be asked")

        __hash__ = str.__hash__

    with breaker.delegate(Name("a")), breaker.delegate("b") as b:
        assert b.chain == ("a", "b")
        assert type(b.chain[0]) is str
    with pytest.raises(WrongTypeError, match="agent is of type int; give its name, a string"):
        breaker.delegate(3)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"wait_seconds": -1}, LimitOutOfRangeError),
        ({"wait_seconds": float("nan")}, LimitOutOfRangeError),
        ({"cost_bytes": -1}, LimitOutOfRangeError),
        ({"cost_bytes": 1.5}, LimitOutOfRangeError),
        ({"on_refuse": "ignore"}, UnknownOptionError),
        ({"parent": "task"}, WrongTypeError),
        ({"parent": None, "from_task": "task"}, WrongTypeError),
    ],
)
def test_wrong_arguments_are_named(breaker, arguments, error):
    """And nothing is taken."""
    with pytest.raises(error, match=next(iter(arguments))):
        breaker.delegate("agent", **arguments)
    assert breaker.statistics().admitted_count == 0


@pytest.mark.parametrize(
    ("limits", "named"),
    [
        ({"max_depth": -1}, "max_depth"),
        ({"max_depth": True}, "max_depth"),
        ({"max_parallel_delegations": 1.5}, "max_parallel_delegations"),
        ({"max_live": "many"}, "max_live"),
        ({"success_threshold": 0}, "success_threshold"),
        ({"cost_smoothing_ratio": 1.5}, "cost_smoothing_ratio"),
        ({"look_again_seconds": 0}, "look_again_seconds"),
    ],
)
def test_limits_that_mean_nothing_are_named(limits, named):
    """When the breaker is made, or its settings are."""
    with pytest.raises(WrongSettingError, match=named):
        DelegationCircuitBreaker(**limits)
    with pytest.raises(WrongSettingError, match=named):
        AdmissionSettings(**limits)


def test_a_limit_that_does_not_exist_is_named():
    """With those that do."""
    with pytest.raises(UnknownOptionError, match="'max_kids'; use one of 'max_depth'"):
        DelegationCircuitBreaker(max_kids=3)


def test_settings_make_a_breaker():
    """All fields of them, and options beside."""
    settings = AdmissionSettings(max_depth=2, max_parallel_delegations=3, max_repeats=0)
    breaker = DelegationCircuitBreaker.from_settings(settings, on_refuse="message")
    assert breaker.settings == settings
    with breaker.delegate("a"), breaker.delegate("a") as again:
        assert isinstance(again.refusal, DelegationCycle)


def test_limits_may_change_while_delegations_run(breaker):
    """What is wrong changes nothing."""
    breaker.max_parallel = 1
    breaker.max_depth = 1
    with breaker.delegate("a"):
        with pytest.raises(DepthExceeded):
            breaker.delegate("b").__enter__()
        breaker.max_depth = None
        with breaker.delegate("b"):
            pass
    with pytest.raises(WrongSettingError):
        breaker.max_parallel = -1
    assert breaker.max_parallel == 1


def run_in_thread(function):
    """Run to the end in a thread with an empty context; its exception is raised here."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(function).result(60)


def test_a_thread_that_ends_by_an_exception_gives_its_slot_back(breaker):
    """The block is left on the way out."""

    def dies():
        with contextlib.suppress(SystemExit), breaker.delegate("agent"):
            raise SystemExit

    run_in_thread(dies)
    assert breaker.statistics().live_count == 0
