"""What is refused, by which limit, in which words; and the circuit."""

import asyncio
import logging
import pickle

import pytest

from memguard.admission import refusals
from memguard.admission.breaker import DelegationCircuitBreaker
from memguard.admission.circuit import CircuitState
from memguard.admission.costs import CostBook, smoothed
from memguard.admission.events import (
    CircuitChanged,
    DelegationAdmitted,
    DelegationEnded,
    DelegationQueued,
    DelegationRepeated,
    DelegationTurnedAway,
)
from memguard.admission.limits import AgentLimits
from memguard.admission.refusals import (
    BudgetExceeded,
    CircuitOpen,
    DelegationCycle,
    DelegationRefused,
    DepthExceeded,
    MemoryShort,
    ParallelismExceeded,
    Reason,
)
from memguard.events import Event


def refusal_of(breaker, agent="agent", **arguments):
    """Ask, expect a refusal, and give it."""
    with pytest.raises(DelegationRefused) as caught:
        with breaker.delegate(agent, **arguments):
            pass
    return caught.value


def fields_of(refusal):
    return type(refusal), refusal.reason, refusal.chain, refusal.limit, refusal.measured


def test_a_chain_is_no_longer_than_max_depth():
    """The first delegation is one deep."""
    breaker = DelegationCircuitBreaker(max_depth=2)
    with breaker.delegate("a"), breaker.delegate("b"):
        refusal = refusal_of(breaker, "c")
    assert fields_of(refusal) == (DepthExceeded, Reason.DEPTH, ("a", "b", "c"), 2, 3)
    assert str(refusal) == (
        "c was not admitted: the chain a -> b -> c would be 3 deep, and max_depth is 2."
    )


def test_no_more_run_at_once_than_max_parallel():
    """And asking does not wait unless it is asked to."""
    breaker = DelegationCircuitBreaker(max_parallel_delegations=1)
    with breaker.delegate("a"):
        refusal = refusal_of(breaker, "b", parent=None)
    assert fields_of(refusal) == (ParallelismExceeded, Reason.PARALLEL, ("b",), 1, 2)


def test_a_parent_starts_no_more_than_max_children():
    """In its life: they may end in between. Others have their own."""
    breaker = DelegationCircuitBreaker(max_children=2)
    with breaker.delegate("parent"):
        for _ in range(2):
            with breaker.delegate("child"), breaker.delegate("grandchild"):
                pass
        refusal = refusal_of(breaker, "child")
    assert fields_of(refusal) == (
        BudgetExceeded, Reason.CHILDREN, ("parent", "child"), 2, 3,
    )  # fmt: skip


def test_a_run_starts_no_more_than_max_descendants():
    """On all levels together, and each first delegation has its own budget."""
    breaker = DelegationCircuitBreaker(max_descendants=3)
    for _ in range(2):
        with breaker.delegate("root"):
            with breaker.delegate("a"), breaker.delegate("b"), breaker.delegate("c"):
                refusal = refusal_of(breaker, "d")
            assert refusal_of(breaker, "e").measured == 4
    assert fields_of(refusal)[:2] == (BudgetExceeded, Reason.DESCENDANTS)
    assert (refusal.limit, refusal.measured) == (3, 4)


def test_no_more_are_alive_than_max_live():
    """Who waits for its children counts, too."""
    breaker = DelegationCircuitBreaker(max_live=2)
    with breaker.delegate("a"), breaker.delegate("b"):
        refusal = refusal_of(breaker, "c", wait_seconds=None)
    assert fields_of(refusal) == (BudgetExceeded, Reason.LIVE, ("a", "b", "c"), 2, 3)


def test_an_agent_has_a_limit_of_its_own():
    """It refuses even who would wait: two names could wait for each other."""
    breaker = DelegationCircuitBreaker(agents={"scraper": AgentLimits(max_live=1)})
    with breaker.delegate("scraper"):
        refusal = refusal_of(breaker, "scraper", parent=None, wait_seconds=None)
        with breaker.delegate("other"):
            pass
    assert fields_of(refusal) == (BudgetExceeded, Reason.AGENT, ("scraper",), 1, 2)
    with breaker.delegate("scraper"):
        pass


def test_a_repeat_is_refused_when_it_was_allowed_often_enough():
    """A to B to A is one; other names in between do not hide it."""
    breaker = DelegationCircuitBreaker(max_repeats=1, max_depth=None)
    with breaker.delegate("a"), breaker.delegate("b"), breaker.delegate("a"):
        with breaker.delegate("c"), breaker.delegate("b"):
            refusal = refusal_of(breaker, "a")
    assert fields_of(refusal) == (
        DelegationCycle, Reason.REPEAT, ("a", "b", "a", "c", "b", "a"), 1, 2,
    )  # fmt: skip
    assert "the chain a -> b -> a -> c -> b -> a comes back to a" in str(refusal)


def test_a_repeat_is_seen_where_it_is_allowed():
    """It is counted, and told with its chain."""
    breaker, told = DelegationCircuitBreaker(), []
    with breaker.delegate("a"), breaker.delegate("b"), breaker.delegate("a"):
        pass
    breaker.events.subscribe(DelegationRepeated, told.append)
    with breaker.delegate("a"), breaker.delegate("b"), breaker.delegate("a"):
        pass
    assert told == [DelegationRepeated(("a", "b", "a"), 1)]
    assert breaker.statistics().repeated_count == 2


def test_bytes_are_reserved_and_given_back():
    """By what is asked for, what the agent is known to cost, or the default."""
    breaker = DelegationCircuitBreaker(
        max_bytes=100, default_cost_bytes=10, agents={"big": AgentLimits(cost_bytes=60)}
    )
    with breaker.delegate("small"), breaker.delegate("big"):
        assert breaker.statistics().reserved_bytes == 70
        with breaker.delegate("odd", cost_bytes=30):
            refusal = refusal_of(breaker, "small", wait_seconds=None)
            with breaker.delegate("free", cost_bytes=0):
                pass
    assert fields_of(refusal)[:2] == (MemoryShort, Reason.BYTES)
    assert (refusal.limit, refusal.measured) == (100, 110)
    assert breaker.statistics().reserved_bytes == 0


def test_what_an_agent_took_is_reserved_for_the_next_one():
    """And this one holds what it said at once."""
    breaker = DelegationCircuitBreaker(max_bytes=1000, cost_smoothing_ratio=0.5)
    with breaker.delegate("agent") as first:
        assert breaker.statistics().reserved_bytes == 0
        first.record_bytes(400)
        assert breaker.statistics().reserved_bytes == 400
    with breaker.delegate("agent") as second:
        assert breaker.statistics().reserved_bytes == 400
        second.record_bytes(800)
    assert breaker.statistics().expected_bytes == {"agent": 600}
    with breaker.delegate("agent"):
        assert isinstance(refusal_of(breaker), MemoryShort)


def test_an_average_forgets_as_its_ratio_says():
    """After eight more runs a tenth of a run is left of it."""
    average = 100.0
    for _ in range(8):
        average = smoothed(average, 0, 0.25)
    assert average == pytest.approx(100 * 0.75**8)
    book = CostBook(0.25)
    assert book.expected_bytes("agent") is None
    book.record("agent", 100)
    book.record("agent", 200)
    assert book.expected_bytes("agent") == 125


def test_costs_of_names_that_do_not_come_back_are_forgotten():
    """Names may be made for each request; the oldest go first."""
    book = CostBook(0.25)
    for number in range(10_005):
        book.record(f"agent {number}", 1)
    assert len(book.to_dict()) == 10_000
    assert book.expected_bytes("agent 4") is None
    assert book.expected_bytes("agent 5") == 1


def test_a_refusal_changes_no_count():
    """Nothing of it was started."""
    breaker = DelegationCircuitBreaker(max_depth=1, max_bytes=10, max_children=5)
    with breaker.delegate("a") as a:
        before = breaker.statistics()
        refusal_of(breaker, "b", cost_bytes=5)
        after = breaker.statistics()
        assert a.run.started_count == 0
    assert after.refused_counts == {Reason.DEPTH: 1}
    assert after.refused_count == 1
    assert (after.live_count, after.running_count, after.reserved_bytes) == (
        before.live_count, before.running_count, before.reserved_bytes,
    )  # fmt: skip


def test_can_delegate_agrees_with_delegate():
    """For each limit, at the limit and one below it."""
    breaker = DelegationCircuitBreaker(
        3, 2, max_children=3, max_live=4, max_repeats=1, agents={"x": AgentLimits(max_live=1)}
    )
    agents = ["x", "y", "x"]

    def ask_all():
        for agent in ("x", "y", "z"):
            may = breaker.can_delegate(None, agent)
            with breaker.delegate(agent, on_refuse="message") as delegation:
                assert bool(delegation) is may
                seen.add(may)

    def descend(rest):
        ask_all()
        if rest:
            with breaker.delegate(rest[0], on_refuse="message") as delegation:
                if delegation:
                    descend(rest[1:])

    seen = set()
    descend(agents)
    assert seen == {True, False}


@pytest.mark.parametrize("reason", Reason)
def test_a_tool_message_is_one_sentence_that_says_what_to_do(reason):
    """It names the agent, the reason and the limit."""
    limit = "it was opened by hand" if reason is Reason.CIRCUIT else 7
    measured = "open" if reason is Reason.CIRCUIT else 8
    refusal = refusals.make_refusal(reason, ("planner", "writer"), limit, measured)
    message = refusal.to_tool_message()
    assert message.startswith("Delegation to 'writer' was refused because ")
    assert str(limit) in message
    assert message.count(".") == 1
    assert message.endswith(".")
    assert "; " in message
    soon = refusals.make_refusal(reason, ("planner", "writer"), limit, measured, 2.5)
    assert soon.to_tool_message().endswith("try again in 2.5 s.")


def test_a_refusal_survives_pickling():
    """With its class and fields, from worker to orchestrator."""
    refusal = refusals.make_refusal(Reason.DEPTH, ("a", "b"), 1, 2, 3.0)
    copy = pickle.loads(pickle.dumps(refusal))
    assert fields_of(copy) == fields_of(refusal)
    assert copy.retry_after_seconds == 3.0


class Clock:
    def __init__(self):
        self.now_seconds = 1000.0

    def __call__(self):
        return self.now_seconds


def fail(breaker, error=ValueError, **arguments):
    with pytest.raises(error):
        with breaker.delegate("agent", **arguments):
            raise error


def make_circuit(**limits):
    clock, changes = Clock(), []
    limits = {"fail_max": 2, "reset_timeout_seconds": 30, **limits}
    breaker = DelegationCircuitBreaker(clock=clock, listeners=[changes.append], **limits)
    return breaker, clock, changes


def test_failures_in_a_row_open_the_circuit():
    """It says why, and when to come back; a success in between forgets them."""
    breaker, clock, changes = make_circuit()
    fail(breaker)
    with breaker.delegate("agent"):
        pass
    assert breaker.fail_counter == 0
    fail(breaker)
    assert breaker.fail_counter == 1
    fail(breaker)
    assert changes == [
        CircuitChanged(CircuitState.CLOSED, CircuitState.OPEN, "2 failures in a row")
    ]
    clock.now_seconds += 10
    refusal = refusal_of(breaker)
    assert fields_of(refusal) == (
        CircuitOpen, Reason.CIRCUIT, ("agent",), "2 failures in a row", "open",
    )  # fmt: skip
    assert refusal.retry_after_seconds == 20
    assert not breaker.can_delegate(None, "agent")
    assert refusal.to_tool_message().endswith("go on without it, or try again in 20.0 s.")


def test_an_open_circuit_tries_one_after_its_time_and_closes():
    """Others are refused while the trial runs, but not what the trial starts."""
    breaker, clock, changes = make_circuit(fail_max=1)
    fail(breaker)
    clock.now_seconds += 30
    assert breaker.can_delegate(None, "agent")
    with breaker.delegate("trial"):
        assert breaker.current_state == "half-open"
        refusal = refusal_of(breaker, parent=None)
        assert (refusal.measured, refusal.retry_after_seconds) == ("half-open", None)
        with breaker.delegate("child"):
            pass
        assert breaker.current_state == "half-open"
    assert breaker.current_state == "closed"
    assert [change.after for change in changes] == ["open", "half-open", "closed"]
    with breaker.delegate("agent"), breaker.delegate("other", parent=None):
        pass


def test_a_trial_that_fails_opens_the_circuit_again():
    """For another full time; also where only a child of it failed."""
    for place in ("trial", "child"):
        breaker, clock, _ = make_circuit(fail_max=1)
        fail(breaker)
        clock.now_seconds += 30
        if place == "trial":
            fail(breaker)
        else:
            with breaker.delegate("trial"):
                fail(breaker)
        assert breaker.current_state == "open"
        assert refusal_of(breaker).retry_after_seconds == 30
        clock.now_seconds += 30
        with breaker.delegate("agent"):
            pass
        assert breaker.current_state == "closed"


def test_a_trial_that_is_cancelled_leaves_room_for_another():
    """It says nothing about whether all is well."""
    breaker, clock, _ = make_circuit(fail_max=1)
    fail(breaker)
    clock.now_seconds += 30
    for _ in range(3):
        fail(breaker, asyncio.CancelledError)
        assert breaker.current_state == "half-open"
    with breaker.delegate("agent"):
        pass
    assert breaker.current_state == "closed"


def test_a_trial_that_another_limit_refuses_leaves_room_for_another():
    """Nor does that."""
    breaker, clock, _ = make_circuit(fail_max=1, max_depth=1)
    fail(breaker)
    clock.now_seconds += 30
    token = None
    with breaker.delegate("agent") as trial:
        token = trial.token
    fail(breaker)
    clock.now_seconds += 30
    assert isinstance(refusal_of(breaker, parent=token), DepthExceeded)
    with breaker.delegate("agent"):
        pass
    assert breaker.current_state == "closed"


def test_as_many_successes_as_asked_for_close_the_circuit():
    """And as many trials run at once."""
    breaker, clock, _ = make_circuit(fail_max=1, success_threshold=2)
    fail(breaker)
    clock.now_seconds += 30
    with breaker.delegate("one"):
        with breaker.delegate("two", parent=None):
            assert isinstance(refusal_of(breaker, parent=None), CircuitOpen)
        assert breaker.current_state == "half-open"
        assert isinstance(refusal_of(breaker, parent=None), CircuitOpen)
    assert breaker.current_state == "closed"


def test_a_failure_counts_once_however_many_it_passes_through():
    """Where it arose: the parents fail of the same, in a group or not."""
    breaker, _, _ = make_circuit(fail_max=2)
    with pytest.raises(ValueError):
        with breaker.delegate("a"), breaker.delegate("b"), breaker.delegate("c"):
            raise ValueError
    assert breaker.fail_counter == 1

    async def run():
        async with breaker.delegate("a"), asyncio.TaskGroup() as group:
            group.create_task(child())

    async def child():
        async with breaker.delegate("b"):
            raise ValueError

    breaker.close()
    with pytest.raises(ExceptionGroup):
        asyncio.run(run())
    assert breaker.fail_counter == 1
    assert breaker.statistics().failed_count == 5


@pytest.mark.parametrize(
    "error",
    [
        KeyError(),
        ExceptionGroup("", [KeyError(), KeyError()]),
        asyncio.CancelledError(),
        KeyboardInterrupt(),
        refusals.make_refusal(Reason.DEPTH, ("a",), 1, 2),
    ],
)
def test_what_is_excluded_or_cancels_is_no_failure(error):
    """Nor is a refusal that nobody caught."""
    breaker = DelegationCircuitBreaker(fail_max=1, exclude=[LookupError])
    with pytest.raises(type(error)):
        with breaker.delegate("agent"):
            raise error
    assert breaker.current_state == "closed"
    assert breaker.statistics().failed_count == 0


def test_a_group_with_one_failure_among_excluded_ones_is_a_failure():
    """What is left of it counts."""
    breaker = DelegationCircuitBreaker(fail_max=1, exclude=[KeyError])
    with pytest.raises(ExceptionGroup):
        with breaker.delegate("agent"):
            raise ExceptionGroup("", [KeyError(), ValueError()])
    assert breaker.current_state == "open"


def test_the_circuit_can_be_opened_and_closed_by_hand():
    """As a memory emergency does; what runs goes on, and starts nothing."""
    breaker, clock, changes = make_circuit()
    with breaker.delegate("a"):
        breaker.open("memory emergency")
        assert refusal_of(breaker, "b").limit == "memory emergency"
    assert isinstance(refusal_of(breaker), CircuitOpen)
    breaker.half_open()
    with breaker.delegate("agent"):
        pass
    assert breaker.current_state == "closed"
    breaker.open()
    breaker.close()
    with breaker.delegate("agent"):
        pass
    assert len(changes) == 5
    clock.now_seconds += 1


def test_no_fail_max_never_opens():
    """Failures are counted all the same."""
    breaker, _, _ = make_circuit(fail_max=None)
    for _ in range(20):
        fail(breaker)
    assert breaker.current_state == "closed"
    assert breaker.statistics().failed_count == 20


def test_everything_is_told_to_who_listens():
    """In the order in which it happened, with chains."""
    breaker, told = DelegationCircuitBreaker(max_depth=2), []
    breaker.events.subscribe(Event, told.append)
    with breaker.delegate("a") as a, breaker.delegate("b") as b:
        refusal_of(breaker, "c")
    fail(breaker, parent=None)
    fail(breaker, asyncio.CancelledError)
    assert told[:5] == [
        DelegationAdmitted(("a",), a.run.id),
        DelegationAdmitted(("a", "b"), b.run.id),
        DelegationTurnedAway(Reason.DEPTH, ("a", "b", "c"), 2, 3),
        DelegationEnded(("a", "b"), b.run.id, "done"),
        DelegationEnded(("a",), a.run.id, "done"),
    ]
    assert [event.outcome for event in told[5:] if isinstance(event, DelegationEnded)] == [
        "failed",
        "cancelled",
    ]


def test_who_waits_is_told_of():
    """With how many wait."""
    breaker, told = DelegationCircuitBreaker(max_parallel_delegations=1), []
    breaker.events.subscribe(DelegationQueued, told.append)

    async def run():
        async with breaker.delegate("a"):
            with pytest.raises(ParallelismExceeded):
                async with breaker.delegate("b", parent=None, wait_seconds=0.001):
                    pass

    asyncio.run(run())
    assert told == [DelegationQueued(("b",), 1)]


def test_a_listener_that_raises_breaks_nothing(caplog):
    """It is logged and counted, and the circuit has changed."""

    def raises(event):
        raise RuntimeError("no")

    breaker = DelegationCircuitBreaker(listeners=[raises])
    with caplog.at_level(logging.ERROR, logger="memguard.events"):
        breaker.open()
    assert breaker.current_state == "open"
    assert breaker.events.failure_count == 1


def test_a_listener_may_use_the_breaker():
    """No lock is held while it runs."""
    breaker, seen = DelegationCircuitBreaker(max_parallel_delegations=2), []

    def asks(event):
        if event.chain[-1] == "a":
            with breaker.delegate("inner", parent=None) as inner:
                seen.append(inner.chain)
            breaker.max_parallel = 3
            seen.append(breaker.statistics().live_count)

    breaker.events.subscribe(DelegationAdmitted, asks)
    with breaker.delegate("a"):
        pass
    assert seen == [("inner",), 1]


class Shared:
    """A store with a limit beyond this process, here a number that a test sets."""

    def __init__(self):
        from memguard._admission import Ledger

        self.ledger, self.leases, self.lease_limit = Ledger(), 0, 1
        self._full = DelegationCircuitBreaker(max_parallel_delegations=0)

    def would_refuse(self, parent, agent, cost_bytes=0):
        if self.leases >= self.lease_limit:
            return self._full._store.would_refuse(None, agent)
        return self.ledger.would_refuse(parent, agent, cost_bytes)

    def admit(self, parent, agent, cost_bytes=0, *, is_next=False):
        refused = self.would_refuse(parent, agent, cost_bytes)
        if refused is not None and not is_next:
            return refused
        if self.leases >= self.lease_limit:
            return refused
        self.leases += 1
        return self.ledger.admit(parent, agent, cost_bytes, is_next=is_next)

    def leave(self, run):
        left = self.ledger.leave(run)
        self.leases -= left
        return left


def test_another_store_may_count():
    """Callers do not notice."""
    store = Shared()
    breaker = DelegationCircuitBreaker(store=store)
    with breaker.delegate("a"):
        assert store.leases == 1
        assert isinstance(refusal_of(breaker, "b"), ParallelismExceeded)
        assert not breaker.can_delegate(None, "b")

    async def run():
        async with breaker.delegate("a") as a:
            assert a.chain == ("a",)

    asyncio.run(run())
    assert store.leases == 0
