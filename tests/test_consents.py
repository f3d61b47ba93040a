"""Who is asked before a delegation is admitted, and breakers that only observe."""

import asyncio

import pytest

from memguard import ApprovalDenied, CircuitOpen, DelegationCircuitBreaker, MemoryShort
from memguard.admission.consent import Objection
from memguard.admission.events import DelegationLetPass
from memguard.admission.refusals import Reason


class Answers:
    """Gives one answer after another, and keeps what it was asked."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    def ask(self, asked):
        self.asked.append(asked)
        return self.answers.pop(0) if self.answers else None

    async def aask(self, asked):
        await asyncio.sleep(0)
        return self.ask(asked)


def test_who_is_asked_sees_the_chain_and_may_agree():
    """It is asked once for each delegation, before it is admitted."""
    answers = Answers()
    breaker = DelegationCircuitBreaker(consents=[answers])
    with breaker.delegate("planner"), breaker.delegate("researcher", cost_bytes=7):
        assert breaker.statistics().live_count == 2
    planner, researcher = answers.asked
    assert (planner.chain, planner.depth, planner.live_count) == (("planner",), 1, 0)
    assert researcher.chain == ("planner", "researcher")
    assert (researcher.depth, researcher.max_depth, researcher.cost_bytes) == (2, 5, 7)


@pytest.mark.parametrize(
    ("reason", "error"), [(Reason.MEMORY, MemoryShort), (Reason.APPROVAL, ApprovalDenied)]
)
def test_an_objection_refuses_and_takes_nothing(reason, error):
    """In its own words, with the time to ask again."""
    breaker = DelegationCircuitBreaker(consents=[Answers(Objection(reason, "not now", 3, 2.5))])
    with pytest.raises(error, match="not now") as refused:
        breaker.delegate("planner").__enter__()
    assert refused.value.retry_after_seconds == 2.5
    assert "not now" in refused.value.to_tool_message()
    assert breaker.statistics().refused_counts == {reason: 1}
    assert breaker.statistics().admitted_count == 0


def test_in_a_task_the_async_form_is_asked():
    """And its objection refuses there, too."""

    async def run():
        answers = Answers(None, Objection(Reason.APPROVAL, "denied by alice"))
        breaker = DelegationCircuitBreaker(consents=[answers])
        async with breaker.delegate("planner"):
            with pytest.raises(ApprovalDenied, match="alice"):
                async with breaker.delegate("researcher"):
                    pytest.fail("it was denied")
        return breaker.statistics()

    assert asyncio.run(run()).admitted_count == 1


def test_nobody_is_asked_what_a_limit_refuses_anyway():
    """People are asked only where the answer matters; waiting is no refusal."""
    answers = Answers()
    breaker = DelegationCircuitBreaker(1, 1, consents=[answers])
    with breaker.delegate("planner"):
        assert not breaker.delegate("deeper", on_refuse="message").__enter__()
    assert [asked.chain for asked in answers.asked] == [("planner",)]


def test_while_somebody_is_asked_no_slot_is_taken():
    """A slow answer to one does not hold up another."""

    class Slow(Answers):
        async def aask(self, asked):
            self.asked.append(asked)
            if asked.chain == ("slow",):
                await may_answer.wait()

    async def run():
        breaker = DelegationCircuitBreaker(max_parallel_delegations=1, consents=[slow])
        task = asyncio.create_task(enter(breaker, "slow"))
        while not slow.asked:
            await asyncio.sleep(0)
        async with breaker.delegate("quick"):
            assert breaker.statistics().running_count == 1
        may_answer.set()
        await task
        return breaker.statistics()

    async def enter(breaker, agent):
        async with breaker.delegate(agent):
            pass

    slow, may_answer = Slow(), asyncio.Event()
    counted = asyncio.run(run())
    assert (counted.admitted_count, counted.live_count) == (2, 0)


def test_what_the_asked_raises_goes_to_who_delegates():
    """Nothing is taken, and a half-open circuit gets its trial back."""

    class Broken:
        def ask(self, asked):
            raise OSError("no line to the people")

    breaker = DelegationCircuitBreaker(consents=[Broken()])
    with pytest.raises(OSError, match="no line"):
        breaker.delegate("planner").__enter__()
    assert breaker.statistics().live_count == 0


def test_observing_refuses_nothing_and_counts_what_it_would_have_refused():
    """Limits, the circuit and objections, each by its reason and as an event."""
    answers = Answers(None, None, Objection(Reason.MEMORY, "memory is full"))
    breaker = DelegationCircuitBreaker(1, 1, consents=[answers], observe_only=True)
    seen = []
    breaker.events.subscribe(DelegationLetPass, seen.append)
    with breaker.delegate("a"):
        with breaker.delegate("b") as deeper:
            assert deeper.depth == 2
        breaker.open("by hand")
        with breaker.delegate("c"):
            assert breaker.statistics().live_count == 2
    counted = breaker.statistics()
    assert counted.let_pass_counts == {Reason.DEPTH: 2, Reason.MEMORY: 1, Reason.CIRCUIT: 1}
    assert counted.refused_counts == {}
    assert (counted.live_count, counted.running_count, counted.reserved_bytes) == (0, 0, 0)
    assert seen[0].reason is Reason.DEPTH
    assert seen[0].chain == ("a", "b")


def test_observing_never_waits():
    """What would have waited for a slot passes at once."""
    breaker = DelegationCircuitBreaker(9, 1, observe_only=True)
    with breaker.delegate("one", parent=None), breaker.delegate("two", parent=None, wait_seconds=9):
        assert breaker.statistics().running_count == 2
    assert breaker.statistics().let_pass_counts == {Reason.PARALLEL: 1}
    assert breaker.statistics().running_count == 0


def test_a_chain_may_begin_at_depth_0():
    """Where the first of it is an agent that nobody delegated to, limits count from there."""
    breaker = DelegationCircuitBreaker(1, first_depth=0)
    with breaker.delegate("planner") as planner, breaker.delegate("researcher") as researcher:
        assert (planner.depth, researcher.depth) == (0, 1)
        assert not breaker.delegate("deeper", on_refuse="message").__enter__()
        assert not breaker.can_delegate(None, "deeper")
    assert breaker.can_delegate(None, "planner")
    breaker.open("by hand")
    with pytest.raises(CircuitOpen):
        breaker.delegate("planner").__enter__()
