"""People are asked before what is critical happens, and one of them decides."""

import asyncio
import gc
import io
import os
import threading
import weakref

import pytest

from memguard import (
    ApprovalPolicy,
    ConsoleApprover,
    Decision,
    HumanOversightManager,
    LimitOutOfRangeError,
    MissingMeasureError,
    OversightSettings,
    PolicyRule,
    UnknownOptionError,
    UnknownRequestError,
    WouldBlockLoopError,
    WrongTypeError,
)
from memguard.oversight import approvals, messenger
from memguard.oversight.commands import DECIDE, commands_of
from memguard.oversight.events import ApprovalDecided, ApprovalRequested, UnknownOperation
from memguard.oversight.requests import How
from process import run_fresh


class Clock:
    """Shows what it is set to."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def decides(verdict, by="alice", **options):
    return lambda request: Decision(verdict, by, **options)


def asked_by(manager):
    """Collect the requests and decisions that a manager tells of."""
    seen = []
    manager.events.subscribe(ApprovalRequested, seen.append)
    manager.events.subscribe(ApprovalDecided, seen.append)
    return seen


# What the original report has.


@pytest.mark.parametrize(
    ("operation", "context", "is_critical"),
    [
        ("deep_delegation", {"depth": 3}, False),
        ("deep_delegation", {"depth": 4}, True),
        ("memory_pressure", {"memory_percent": 79.9}, False),
        ("memory_pressure", {"memory_percent": 80}, True),
        ("circular_references", {"circular_refs": 4}, False),
        ("circular_references", {"circular_refs": 5}, True),
        ("circular_references", {"circular_refs": True}, True),
        ("circular_references", {"circular_refs": False}, False),
    ],
)
@pytest.mark.parametrize("verdict", ["approve", "deny"])
def test_what_is_critical_is_asked_and_the_rest_is_not(operation, context, is_critical, verdict):
    """True to go on; the answer is the person's where one is asked."""
    manager = HumanOversightManager(decides(verdict))
    seen = asked_by(manager)
    assert manager.requires_oversight(operation, context) is (
        not is_critical or verdict == "approve"
    )
    assert len(seen) == (2 if is_critical else 0)
    assert manager.statistics().critical_count == int(is_critical)


def test_thresholds_may_be_changed_as_in_the_report():
    """The dict is the one that counts."""
    manager = HumanOversightManager(decides("deny"))
    assert manager.critical_operations == {
        "memory_threshold": 80,
        "delegation_depth": 4,
        "circular_refs": True,
    }
    manager.critical_operations["delegation_depth"] = 2
    manager.critical_operations["circular_refs"] = False
    assert not manager.requires_oversight("deep_delegation", {"depth": 2})
    assert manager.requires_oversight("circular_references", {"circular_refs": 99})


def test_a_subclass_may_answer_itself_as_in_the_report():
    """It gets the report's sentence."""

    class Answers(HumanOversightManager):
        def _request_approval(self, message):
            messages.append(message)
            return "depth" in message

    messages = []
    manager = Answers()
    assert manager.requires_oversight("deep_delegation", {"depth": 4}) is True
    assert manager.requires_oversight("memory_pressure", {"memory_percent": 91.26}) is False
    assert messages == [
        "Deep delegation detected (depth 4). Continue?",
        "High memory usage (91.3%). Continue?",
    ]


def test_a_subclass_may_pass_the_question_on():
    """`super()` asks the approver, and not the subclass again."""

    class Shouts(HumanOversightManager):
        def _request_approval(self, message):
            return super()._request_approval(message.upper())

    seen = []

    def approver(request):
        seen.append(request.reason)
        return True

    assert Shouts(approver).requires_oversight("deep_delegation", {"depth": 9})
    assert seen == ["DEEP DELEGATION DETECTED (DEPTH 9). CONTINUE?"]


@pytest.mark.parametrize(
    ("handling", "allowed", "asked_count"),
    [("approve", True, 0), ("deny", False, 0), ("ask", True, 1)],
)
def test_unknown_operations_follow_the_setting_and_are_logged(
    handling, allowed, asked_count, caplog
):
    """Never silently."""
    settings = OversightSettings(unknown_operations=handling)
    manager = HumanOversightManager(decides("approve"), settings=settings)
    told = []
    manager.events.subscribe(UnknownOperation, told.append)
    assert manager.requires_oversight("drop_database", {}) is allowed
    assert "drop_database" in caplog.text
    assert told == [UnknownOperation("drop_database", handling)]
    counted = manager.statistics()
    assert counted.unknown_counts == {"drop_database": 1}
    assert counted.asked_count == asked_count


def test_a_context_without_what_was_measured_is_refused():
    """It names the key; a KeyError as in the report."""
    with pytest.raises(MissingMeasureError, match=r"context\['depth'\]") as raised:
        HumanOversightManager().requires_oversight("deep_delegation", {})
    assert isinstance(raised.value, KeyError)


# Requests.


def test_a_request_says_what_who_and_how_long():
    """Everything that a person needs to decide."""
    manager = HumanOversightManager(decides("approve"), wall_clock=lambda: 500.0)
    seen = asked_by(manager)
    context = {"depth": 5, "chain": ("planner", "researcher")}
    assert manager.requires_oversight("deep_delegation", context)
    request = seen[0].request
    assert (request.operation, request.measured, request.limit) == ("deep_delegation", 5, 4)
    assert request.chain == ("planner", "researcher")
    assert (request.asked_at, request.expires_at) == (500.0, 800.0)
    assert "depth 5" in request.reason
    assert seen[1].decision.by == "alice"
    assert seen[1].how is How.ANSWERED


def test_nobody_answers_and_it_is_denied():
    """Once its time has passed; the person who comes late is told."""
    clock = Clock()
    manager = HumanOversightManager(clock=clock)
    seen = asked_by(manager)
    manager.events.subscribe(ApprovalRequested, lambda _: setattr(clock, "now", 1301.0))
    decision = manager.ask("deploy", "Deploy?")
    assert not decision.is_approved
    assert decision.why == "nobody answered within 300 s"
    assert seen[1].how is How.EXPIRED
    with pytest.raises(UnknownRequestError, match="decided already: denied by memguard"):
        manager.decide(seen[0].request.id, Decision.approve("alice"))
    assert manager.statistics().late_count == 1
    assert manager.pending() == ()


def test_a_short_real_time_passes_too():
    """In a thread and in a task, without a clock of the test's."""
    manager = HumanOversightManager()
    assert not manager.ask("deploy", "Deploy?", timeout_seconds=0.02).is_approved
    assert not asyncio.run(manager.aask("deploy", "Deploy?", timeout_seconds=0.02)).is_approved
    assert manager.statistics().how_counts == {How.EXPIRED: 2}


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf")])
def test_a_timeout_is_a_time(seconds):
    """Without end is no time: nobody waits for ever."""
    with pytest.raises(LimitOutOfRangeError, match="timeout_seconds"):
        HumanOversightManager().ask("deploy", "Deploy?", timeout_seconds=seconds)


def race_to_answer(manager):
    """Let eight people answer one request at once; who decided, and what each was told."""

    def asks():
        decided.append(manager.ask("deploy", "Deploy?").by)

    def answers(name):
        barrier.wait()
        try:
            manager.decide(request.id, Decision.approve(name))
        except UnknownRequestError as error:
            outcomes.append(error.decided)
        else:
            outcomes.append(name)

    decided, outcomes = [], []
    barrier = threading.Barrier(9)
    requested = threading.Event()
    end = manager.events.subscribe(ApprovalRequested, lambda _: requested.set())
    asker = threading.Thread(target=asks)
    asker.start()
    assert requested.wait(10)
    end()
    (request,) = manager.pending()
    people = [threading.Thread(target=answers, args=(f"p{number}",)) for number in range(8)]
    for person in people:
        person.start()
    barrier.wait()
    for thread in (asker, *people):
        thread.join()
    return decided, outcomes


def test_many_people_answer_and_one_decides():
    """Exactly one decision a request, and all others are told that they are late."""
    manager = HumanOversightManager()
    for _ in range(50):
        decided, outcomes = race_to_answer(manager)
        assert [name for name in outcomes if name.startswith("p")] == decided
        assert len(outcomes) == 8
    assert manager.statistics().late_count == 50 * 7
    assert manager.statistics().how_counts == {How.ANSWERED: 50}


def test_the_same_question_waits_once_and_is_answered_for_all():
    """By idempotency key; each asker gets the decision."""

    async def run():
        asks = [
            asyncio.create_task(manager.aask("deploy", "Deploy?", idempotency_key="v1"))
            for _ in range(20)
        ]
        while manager.statistics().asked_count < 20:
            await asyncio.sleep(0)
        (request,) = manager.pending()
        manager.decide(request.id, Decision.approve("alice"))
        return await asyncio.gather(*asks)

    manager = HumanOversightManager()
    assert {decision.by for decision in asyncio.run(run())} == {"alice"}
    counted = manager.statistics()
    assert (counted.critical_count, counted.asked_count, counted.request_count) == (20, 20, 1)
    assert (counted.approved_count, counted.coverage_ratio) == (20, 1.0)


@pytest.mark.parametrize("form", ["thread", "task"])
def test_who_joins_waits_no_longer_than_it_said(form):
    """It is denied by itself; the request stays for the others."""
    manager = HumanOversightManager()
    others = []
    first = threading.Thread(
        target=lambda: others.append(manager.ask("deploy", "?", idempotency_key="k"))
    )
    first.start()
    while not manager.pending():
        pass
    if form == "thread":
        second = manager.ask("deploy", "?", idempotency_key="k", timeout_seconds=0.02)
    else:
        second = asyncio.run(manager.aask("deploy", "?", idempotency_key="k", timeout_seconds=0.02))
    assert str(second) == "denied by memguard: nobody answered within 0.02 s"
    (request,) = manager.pending()
    manager.decide(request.id, Decision.approve("alice"))
    first.join()
    assert others == [Decision.approve("alice")]
    counted = manager.statistics()
    assert (counted.approved_count, counted.denied_count, counted.request_count) == (1, 1, 1)


def test_who_joins_ends_the_request_when_the_others_are_gone():
    """Once its own time is over nobody waits any more."""

    async def run():
        first = asyncio.create_task(manager.aask("deploy", "?", idempotency_key="k"))
        await asyncio.sleep(0)
        second = asyncio.create_task(
            manager.aask("deploy", "?", idempotency_key="k", timeout_seconds=0.02)
        )
        await asyncio.sleep(0)
        first.cancel()
        return await second

    manager = HumanOversightManager()
    assert not asyncio.run(run()).is_approved
    assert manager.pending() == ()
    assert manager.statistics().how_counts == {How.EXPIRED: 1}


def test_an_answer_may_be_remembered_for_a_while():
    """The same question is not asked again until then."""
    clock = Clock()
    manager = HumanOversightManager(decides("approve", remember_seconds=60), clock=clock)
    seen = asked_by(manager)
    context = {"depth": 4, "chain": ("a", "b")}
    assert manager.requires_oversight("deep_delegation", context)
    assert manager.requires_oversight("deep_delegation", context)
    assert [event.how for event in seen if isinstance(event, ApprovalDecided)] == [
        How.ANSWERED,
        How.REMEMBERED,
    ]
    assert manager.requires_oversight("deep_delegation", {**context, "chain": ("a", "c")})
    clock.now += 61
    assert manager.requires_oversight("deep_delegation", context)
    assert manager.statistics().how_counts == {How.ANSWERED: 3, How.REMEMBERED: 1}
    assert manager.statistics().coverage_ratio == 1.0


def test_the_queue_is_bounded_and_says_so():
    """One more is denied at once, and that nobody was asked shows as coverage."""

    async def run():
        asks = [asyncio.create_task(manager.aask("deploy", "?")) for _ in range(3)]
        while len(manager.pending()) < 2 or not asks[2].done():
            await asyncio.sleep(0)
        assert "2 requests wait" in asks[2].result().why
        for request in manager.pending():
            manager.decide(request.id, Decision.approve("alice"))
        return [decision.is_approved for decision in await asyncio.gather(*asks)]

    manager = HumanOversightManager(settings=OversightSettings(max_pending_count=2))
    assert asyncio.run(run()) == [True, True, False]
    assert manager.statistics().coverage_ratio == pytest.approx(2 / 3)
    assert manager.statistics().how_counts == {How.ANSWERED: 2, How.QUEUE_FULL: 1}


def test_a_cancelled_asker_withdraws_and_the_last_one_ends_the_request():
    """Others who share it go on waiting."""

    async def run():
        first = asyncio.create_task(manager.aask("deploy", "?", idempotency_key="k"))
        second = asyncio.create_task(manager.aask("deploy", "?", idempotency_key="k"))
        while manager.statistics().asked_count < 2:
            await asyncio.sleep(0)
        first.cancel()
        await asyncio.wait([first])
        assert len(manager.pending()) == 1
        second.cancel()
        await asyncio.wait([second])
        assert manager.pending() == ()

    manager = HumanOversightManager()
    seen = asked_by(manager)
    asyncio.run(run())
    assert seen[-1].how is How.WITHDRAWN
    assert manager.statistics().cancelled_count == 2


def test_an_asker_whose_coroutine_is_dropped_withdraws():
    """As when its event loop was closed over it."""
    manager = HumanOversightManager()
    loop = asyncio.new_event_loop()
    asking = loop.create_task(manager.aask("deploy", "?"))
    loop.run_until_complete(asyncio.sleep(0))
    assert len(manager.pending()) == 1
    asking._log_destroy_pending = False
    loop.close()
    del asking
    gc.collect()
    assert manager.pending() == ()
    assert manager.statistics().how_counts == {How.WITHDRAWN: 1}


def test_nobody_waits_on_the_thread_of_a_loop():
    """The form without await refuses, before anything stops."""

    async def run():
        with pytest.raises(WouldBlockLoopError, match="aask"):
            manager.ask("deploy", "Deploy?")

    manager = HumanOversightManager()
    asyncio.run(run())
    assert manager.pending() == ()


def test_while_a_task_waits_its_loop_goes_on():
    """And an approver that blocks has a thread of its own."""

    def blocks(request):
        assert may_answer.wait(10)
        return True

    async def run():
        asking = asyncio.create_task(manager.aask("deploy", "?"))
        for _ in range(1000):
            await asyncio.sleep(0)
        may_answer.set()
        return await asking

    may_answer = threading.Event()
    manager = HumanOversightManager(blocks)
    assert asyncio.run(run()).by.endswith("blocks")


# Approvers.


@pytest.mark.parametrize("form", ["thread", "task"])
@pytest.mark.parametrize("kind", ["function", "coroutine function", "object"])
def test_approvers_are_functions_of_any_kind(form, kind):
    """Called with the request, from a thread as from a task."""

    async def approves(request):
        await asyncio.sleep(0)
        return Decision.approve("bob", request.operation)

    class Approves:
        async def __call__(self, request):
            return await approves(request)

    approver = {
        "function": lambda request: Decision.approve("bob", request.operation),
        "coroutine function": approves,
        "object": Approves(),
    }[kind]
    manager = HumanOversightManager(approver)
    if form == "thread":
        decision = manager.ask("deploy", "?")
    else:
        decision = asyncio.run(manager.aask("deploy", "?"))
    assert decision == Decision.approve("bob", "deploy")


@pytest.mark.parametrize("form", ["thread", "task"])
@pytest.mark.parametrize(
    ("answer", "words"), [(OSError("no line"), "no line"), ("yes", "of type str")]
)
def test_an_approver_that_fails_denies_and_is_logged(form, answer, words, caplog):
    """What it raises, or gives back that says nothing."""

    async def fails_in_task(request):
        return fails(request)

    def fails(request):
        if isinstance(answer, Exception):
            raise answer
        return answer

    if form == "thread":
        manager = HumanOversightManager(fails)
        decision = manager.ask("deploy", "?")
    else:
        manager = HumanOversightManager(fails_in_task)
        decision = asyncio.run(manager.aask("deploy", "?"))
    assert not decision.is_approved
    assert words in decision.why
    assert "approver raised" in caplog.text
    assert manager.statistics().failed_count == 1
    assert manager.statistics().how_counts == {How.FAILED: 1}


def test_approvers_that_never_end_are_bounded(monkeypatch):
    """When too many go on in vain, nobody is asked any more, until they end."""
    monkeypatch.setattr(messenger, "MOST_STUCK_COUNT", 3)
    may_end = threading.Event()
    manager = HumanOversightManager(lambda request: may_end.wait(60))
    for _ in range(3):
        assert "nobody answered" in manager.ask("deploy", "?", timeout_seconds=0.01).why
    refused = manager.ask("deploy", "?")
    assert refused.why == "3 approvers go on though their requests are decided; let them end"
    assert asyncio.run(manager.aask("deploy", "?")).why == refused.why
    assert manager.statistics().how_counts == {How.EXPIRED: 3, How.FAILED: 2}
    may_end.set()
    while manager._messenger.threads():
        pass
    assert manager.ask("deploy", "?").is_approved


@pytest.mark.skipif(os.name != "posix", reason="pipes cannot be waited for there")
def test_a_question_that_is_decided_leaves_the_line_before_the_console():
    """Though another one is still asked there."""
    reader, writer = os.pipe()
    with os.fdopen(reader) as source, os.fdopen(writer, "w"):
        manager = HumanOversightManager(ConsoleApprover(source, io.StringIO()))
        first = threading.Thread(target=manager.ask, args=("deploy", "?"))
        first.start()
        while not manager.pending():
            pass
        assert not manager.ask("deploy", "?", timeout_seconds=0.01).is_approved
        while len(manager._messenger.threads()) > 1:
            pass
        assert len(manager.pending()) == 1
        manager.close()
        first.join()


def test_an_approver_may_leave_it_to_others():
    """None is no answer; whoever looks at the queue decides."""
    manager = HumanOversightManager(lambda request: None)
    manager.events.subscribe(
        ApprovalRequested,
        lambda event: manager.decide(event.request.id, Decision.deny("carol", "not on a Friday")),
    )
    assert str(manager.ask("deploy", "?")) == "denied by carol: not on a Friday"


def test_an_async_approver_is_cancelled_once_somebody_else_decided():
    """It need not ask any more."""

    async def waits(request):
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            ended.append(request.id)

    async def run():
        asking = asyncio.create_task(manager.aask("deploy", "?"))
        await begun.wait()
        (request,) = manager.pending()
        manager.decide(request.id, Decision.approve("alice"))
        assert (await asking).by == "alice"
        while not ended:
            await asyncio.sleep(0)
        return request.id

    begun, ended = asyncio.Event(), []
    manager = HumanOversightManager(waits)
    assert ended == [asyncio.run(run())]


def test_an_approver_begins_a_context_of_its_own():
    """An agent that approves is not below the one for which it is asked."""
    from contextvars import ContextVar

    variable = ContextVar("variable", default="unset")
    seen = []

    async def looks(request):
        seen.append(variable.get())
        return True

    async def run():
        variable.set("the asker's")
        await HumanOversightManager(looks).aask("deploy", "?")
        await HumanOversightManager(lambda request: seen.append(variable.get()) or True).aask(
            "a", "?"
        )

    asyncio.run(run())
    assert seen == ["unset", "unset"]


def test_rules_decide_at_once_and_leave_the_rest():
    """The first that fits; by operation, agent and what was measured."""
    policy = ApprovalPolicy(
        [
            PolicyRule("deny", agent="shell*", why="no shells"),
            PolicyRule("approve", "deep_delegation", below=6),
        ],
        otherwise=decides("deny", "dora"),
    )
    manager = HumanOversightManager(policy)
    depth = {"chain": ("planner", "researcher")}
    assert manager.requires_oversight("deep_delegation", {"depth": 5, **depth})
    assert not manager.requires_oversight("deep_delegation", {"depth": 6, **depth})
    assert not manager.requires_oversight("deep_delegation", {"depth": 4, "chain": ("shell-1",)})
    seen = asked_by(manager)
    manager.requires_oversight("deep_delegation", {"depth": 4, "chain": ("shell-1",)})
    assert str(seen[1].decision) == "denied by policy: no shells"

    async def run():
        return manager.requires_oversight("deep_delegation", {"depth": 5, **depth})

    # Rules never wait, and so may be asked on the thread of a loop, too.
    assert asyncio.run(run())


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: PolicyRule("maybe"), UnknownOptionError),
        (lambda: PolicyRule("deny", below="5"), LimitOutOfRangeError),
        (lambda: ApprovalPolicy(["deny"]), WrongTypeError),
        (lambda: Decision("yes", "alice"), UnknownOptionError),
        (lambda: Decision("deny", "alice", "", -1), LimitOutOfRangeError),
        (lambda: Decision("deny", "alice", "", float("nan")), LimitOutOfRangeError),
        (lambda: HumanOversightManager("ask"), WrongTypeError),
        (lambda: HumanOversightManager().ask("", "?"), WrongTypeError),
    ],
)
def test_what_means_nothing_is_refused_when_it_is_given(make, error):
    """And not when somebody has to decide."""
    with pytest.raises(error):
        make()


def test_the_console_asks_until_it_understands():
    """Yes or no, and a reason."""
    target = io.StringIO()
    approver = ConsoleApprover(io.StringIO("what?\nn too late\n"), target, by="erin")
    manager = HumanOversightManager(approver)
    decision = manager.ask("deploy", "Deploy now?", chain=("a", "b"))
    assert decision == Decision.deny("erin", "too late")
    assert target.getvalue().count("Deploy now?") == 2
    assert "a -> b" in target.getvalue()


@pytest.mark.skipif(os.name != "posix", reason="pipes cannot be waited for there")
def test_the_console_stops_asking_once_somebody_else_decided():
    """What is typed next does not answer a question that is gone."""
    reader, writer = os.pipe()
    target = io.StringIO()
    with os.fdopen(reader) as source, os.fdopen(writer, "w"):
        manager = HumanOversightManager(ConsoleApprover(source, target))
        manager.events.subscribe(
            ApprovalRequested,
            lambda event: manager.decide(event.request.id, Decision.approve("alice")),
        )
        assert manager.ask("deploy", "?").by == "alice"
        manager.close()
        assert not [t for t in threading.enumerate() if t.name.startswith("memguard-approver")]


def test_a_console_without_a_person_leaves_it_to_others():
    """At the end of the input."""
    manager = HumanOversightManager(ConsoleApprover(io.StringIO(""), io.StringIO()))
    assert not manager.ask("deploy", "?", timeout_seconds=0.02).is_approved


# What is written down.


class Book:
    """Keeps what is written, and fails when told to."""

    def __init__(self):
        self.lines = []
        self.failing = ()
        self.threads = set()

    def requested(self, request):
        self.write("requested", request.id)

    def decided(self, request, decision, how):
        self.write("decided", request.id)

    def write(self, kind, request_id):
        if kind in self.failing:
            raise OSError(28, "No space left on device")
        self.threads.add(threading.current_thread().name)
        self.lines.append((kind, request_id))


@pytest.mark.parametrize("kind", ["requested", "decided"])
def test_what_cannot_be_written_down_is_denied(kind, caplog):
    """An approval that nobody could prove later is none."""
    book = Book()
    book.failing = (kind,)
    manager = HumanOversightManager(decides("approve"), audit=book)
    decision = manager.ask("deploy", "?")
    assert not decision.is_approved
    assert "No space left" in decision.why
    assert "could not be written down" in caplog.text
    manager.close()


@pytest.mark.parametrize("kind", ["requested", "decided"])
def test_what_a_broken_audit_denied_does_not_count_as_asked(kind):
    """For each who asked; nobody can show that a person was."""
    book = Book()
    manager = HumanOversightManager(decides("approve"), audit=book)
    assert manager.ask("deploy", "?").is_approved
    book.failing = (kind,)
    assert not manager.ask("deploy", "?").is_approved
    assert not asyncio.run(manager.aask("deploy", "?")).is_approved
    counted = manager.statistics()
    assert (counted.critical_count, counted.asked_count) == (3, 1)
    assert counted.coverage_ratio == pytest.approx(1 / 3)
    manager.close()


def test_a_full_queue_and_a_broken_audit_count_once():
    """Who was not asked for one reason is not for two."""
    book = Book()
    settings = OversightSettings(max_pending_count=1)
    with HumanOversightManager(audit=book, settings=settings) as manager:
        waiting = threading.Thread(target=manager.ask, args=("deploy", "?"))
        waiting.start()
        while not manager.pending():
            pass
        book.failing = ("requested",)
        assert not manager.ask("deploy", "?").is_approved
        counted = manager.statistics()
        assert (counted.critical_count, counted.asked_count) == (2, 1)
    waiting.join()


def test_an_approver_that_raised_was_not_asked():
    """As far as coverage goes: it saw nothing that it could answer."""
    manager = HumanOversightManager(lambda request: 1 / 0)
    assert not manager.ask("deploy", "?").is_approved
    assert manager.statistics().coverage_ratio == 0.0


def test_it_is_written_down_before_it_takes_effect():
    """Who is asked sees a request that is written, who is told a decision that is."""
    book = Book()
    manager = HumanOversightManager(
        lambda request: book.lines == [("requested", request.id)], audit=book
    )
    assert manager.ask("deploy", "?").is_approved
    assert [kind for kind, _ in book.lines] == ["requested", "decided"]


def test_a_loop_never_waits_for_the_disk():
    """A thread of its own writes for tasks: requests, answers, expiries, withdrawals."""

    async def approves(request):
        return True

    async def run():
        assert (await manager.aask("deploy", "?")).is_approved
        asking = asyncio.create_task(others.aask("deploy", "?"))
        while not others.pending():
            await asyncio.sleep(0)
        asking.cancel()
        await asyncio.wait([asking])
        await others.aask("deploy", "?", timeout_seconds=0.01)

    book = Book()
    manager = HumanOversightManager(approves, audit=book)
    others = HumanOversightManager(audit=book)
    asyncio.run(run())
    manager.close()
    others.close()
    assert [kind for kind, _ in book.lines] == ["requested", "decided"] * 3
    assert all(name.startswith("memguard-audit") for name in book.threads)


class StuckBook(Book):
    """Writes nothing of one kind until it is let go, as with a file that is locked."""

    def __init__(self, stuck):
        super().__init__()
        self.stuck = stuck
        self.may_go_on = threading.Event()

    def write(self, kind, request_id):
        if kind == self.stuck:
            assert self.may_go_on.wait(60)
        super().write(kind, request_id)

    def decided(self, request, decision, how):
        self.write("decided", f"{request.id} {decision.verdict}")


@pytest.mark.parametrize("form", ["thread", "task"])
@pytest.mark.parametrize("kind", ["requested", "decided"])
def test_an_audit_that_is_stuck_denies_once_the_time_is_over(form, kind):
    """Also those who come after; and the audit tells the truth once it goes on."""
    book = StuckBook(kind)
    manager = HumanOversightManager(decides("approve"), audit=book)

    def ask():
        if form == "thread":
            return manager.ask("deploy", "?", timeout_seconds=0.05)
        return asyncio.run(manager.aask("deploy", "?", timeout_seconds=0.05))

    first, second = ask(), ask()
    assert (first.is_approved, second.is_approved) == (False, False)
    assert first.why == second.why == "the audit did not write it down in time"
    counted = manager.statistics()
    assert (counted.pending_count, counted.how_counts) == (0, {How.FAILED: 2})
    book.may_go_on.set()
    manager.close()
    lines = [(kind, *request_id.split()[1:]) for kind, request_id in book.lines]
    if kind == "requested":
        # The second was denied before its turn came, and so nobody asked for it.
        assert lines == [("requested",), ("decided", "deny")]
    else:
        last = {line.split()[0]: line.split()[1] for kind, line in book.lines if kind == "decided"}
        assert set(last.values()) == {"deny"}


def test_an_answer_that_is_not_written_down_in_time_is_late():
    """Whoever gave it is told what came of the request instead."""
    book = StuckBook("decided")
    manager = HumanOversightManager(audit=book)
    asked, told = [], []
    manager.events.subscribe(ApprovalRequested, lambda event: asked.append(event.request.id))

    def answer():
        while not asked:
            pass
        with pytest.raises(UnknownRequestError) as raised:
            manager.decide(asked[0], Decision.approve("alice"))
        told.append(raised.value.decided)

    person = threading.Thread(target=answer)
    person.start()
    decision = manager.ask("deploy", "?", timeout_seconds=1)
    book.may_go_on.set()
    person.join()
    manager.close()
    assert not decision.is_approved
    assert told == [str(decision)]


def test_who_answers_while_another_answer_is_written_down_is_late():
    """The request is known, though what came of it is not yet."""
    book = StuckBook("decided")
    manager = HumanOversightManager(audit=book)
    outcomes = []
    asker = threading.Thread(target=manager.ask, args=("deploy", "?"))
    asker.start()
    while not manager.pending():
        pass
    (request,) = manager.pending()
    arguments = {"id": request.id, "verdict": "approve"}
    decide = commands_of(manager)[DECIDE]
    first = threading.Thread(target=lambda: outcomes.append(decide(arguments, "alice")))
    first.start()
    while manager.pending():
        pass
    assert decide(arguments, "bob") == {
        "outcome": "late",
        "decided": "what came of it is being written down",
    }
    book.may_go_on.set()
    first.join()
    asker.join()
    assert outcomes == [{"outcome": "decided", "decided": "approved by alice"}]
    assert decide(arguments, "bob") == {"outcome": "late", "decided": "approved by alice"}
    manager.close()


def test_closing_does_not_wait_for_an_audit_that_is_stuck(monkeypatch):
    """Those who wait are denied all the same."""
    monkeypatch.setattr(approvals, "EXIT_SECONDS", 0.05)
    book = StuckBook("decided")
    manager = HumanOversightManager(audit=book)

    async def run():
        asking = asyncio.create_task(manager.aask("deploy", "?"))
        while not manager.pending():
            await asyncio.sleep(0)
        await manager.aclose()
        return await asking

    assert not asyncio.run(run()).is_approved
    book.may_go_on.set()


def test_the_interpreter_ends_though_an_audit_is_stuck():
    """What is still to be written is waited for, but not for ever."""
    told = run_fresh(
        """
        import logging, threading
        from memguard import HumanOversightManager

        logging.disable()

        class Stuck:
            def requested(self, request):
                threading.Event().wait()

            def decided(self, request, decision, how):
                pass

        manager = HumanOversightManager(audit=Stuck())
        print(manager.ask("deploy", "?", timeout_seconds=0.01).verdict)
        """
    )
    assert told == "deny\n"


# Children.


def fork_and_run(in_child):
    """Run it in a child; whether it did without an error."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            in_child()
            status = 0
        finally:
            os._exit(status)
    return os.waitpid(child, 0)[1] == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_child_begins_anew_whatever_its_parent_was_doing():
    """No lock, no thread and no request of the parent's is waited for."""

    class HeldLocks:
        def requested(self, request):
            with manager._lock, manager._desk._lock, manager._clerk._lock, manager._messenger._lock:
                held.set()
                assert may_go_on.wait(60)

        def decided(self, request, decision, how):
            pass

    def in_child():
        may_go_on.set()
        assert manager.pending() == ()
        assert manager.statistics().critical_count == 0
        assert manager.ask("deploy", "?").is_approved
        assert asyncio.run(manager.aask("deploy", "?")).is_approved
        manager.close()
        assert manager.statistics().approved_count == 2

    held, may_go_on = threading.Event(), threading.Event()
    manager = HumanOversightManager(decides("approve"), audit=HeldLocks())
    asker = threading.Thread(target=manager.ask, args=("deploy", "?"))
    asker.start()
    assert held.wait(10)
    assert fork_and_run(in_child)
    may_go_on.set()
    asker.join()
    manager.close()
    assert manager.statistics().approved_count == 1
    assert fork_and_run(lambda: manager.ask("deploy", "?").why.index("is closed"))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_console_asks_in_a_child_while_its_parent_does():
    """Nobody of the parent's threads answers there."""
    approver = ConsoleApprover(io.StringIO("y\n"), io.StringIO(), by="erin")

    def in_child():
        assert HumanOversightManager(approver).ask("deploy", "?").is_approved

    with approver._asking:
        assert fork_and_run(in_child)


# The end.


def test_to_close_denies_all_that_wait_and_all_that_comes():
    """And again does nothing; nothing is left."""

    async def run():
        asking = asyncio.create_task(manager.aask("deploy", "?"))
        while not manager.pending():
            await asyncio.sleep(0)
        manager.close()
        return await asking

    book = Book()
    manager = HumanOversightManager(audit=book)
    before = threading.active_count()
    assert asyncio.run(run()).why == "the oversight was closed"
    manager.close()
    written = list(book.lines)
    assert manager.ask("deploy", "?").why == "the oversight is closed"
    assert book.lines == written
    assert threading.active_count() <= before
    assert manager.statistics().how_counts == {How.CLOSED: 2}


def test_a_manager_and_all_that_it_knew_go_at_once():
    """No reference cycle is left by asking, in a thread or in a task."""

    async def approves(request):
        return True

    gc.collect()
    gc.disable()
    try:
        manager = HumanOversightManager(approves)
        manager.ask("deploy", "?")
        asyncio.run(manager.aask("deploy", "?"))
        manager.close()
        gone = weakref.ref(manager)
        del manager
        assert gone() is None
    finally:
        gc.enable()


# What must never be a yes, or wait for ever.


@pytest.mark.parametrize("answer", ["yes", 1, Decision.deny("dora"), None])
def test_a_subclass_approves_by_a_clear_yes_only(answer):
    """Whatever else it gives back is none; also a coroutine, which is awaited."""

    class Answers(HumanOversightManager):
        def _request_approval(self, message):
            return answer

    class AnswersLater(HumanOversightManager):
        async def _request_approval(self, message):
            return answer if answer is not None else False

    assert not Answers().requires_oversight("deep_delegation", {"depth": 9})
    assert not AnswersLater().requires_oversight("deep_delegation", {"depth": 9})


def test_an_answer_to_one_operation_is_none_to_another():
    """Whatever the keys."""
    manager = HumanOversightManager(
        lambda request: (
            Decision("approve", "alice", remember_seconds=60)
            if request.operation == "list"
            else False
        )
    )
    assert manager.ask("list", "?", idempotency_key="k").is_approved
    assert not manager.ask("wipe", "?", idempotency_key="k").is_approved
    assert not manager.requires_oversight(
        "deep_delegation", {"depth": 9, "idempotency_key": None, "chain": ("a",)}
    )


def test_only_a_decision_decides():
    """And what is none does not use the request up."""

    def decide(event):
        with pytest.raises(WrongTypeError, match="a Decision"):
            manager.decide(event.request.id, True)
        manager.decide(event.request.id, Decision.approve("alice"))

    manager = HumanOversightManager()
    manager.events.subscribe(ApprovalRequested, decide)
    assert manager.ask("deploy", "?").is_approved


@pytest.mark.parametrize("audit", [False, True])
def test_who_joins_is_answered_also_when_the_first_asker_is_cancelled_at_once(audit):
    """Asking goes on without the one who began it."""

    async def run():
        first = asyncio.create_task(manager.aask("deploy", "?", idempotency_key="k"))
        second = asyncio.create_task(manager.aask("deploy", "?", idempotency_key="k"))
        while manager.statistics().asked_count < 2:
            await asyncio.sleep(0)
        first.cancel()
        return await second

    manager = HumanOversightManager(decides("approve"), audit=Book() if audit else None)
    assert asyncio.run(run()).is_approved
    manager.close()


def test_a_policy_that_raises_denies(caplog):
    """As any approver that does."""

    class Broken(ApprovalPolicy):
        def __call__(self, request):
            raise KeyError("rules")

    decision = HumanOversightManager(Broken([])).ask("deploy", "?")
    assert "KeyError" in decision.why
    assert "approver raised" in caplog.text


def test_an_interrupt_while_it_is_written_down_leaves_nobody_waiting():
    """The others who asked are denied."""

    class Interrupted(Book):
        def decided(self, request, decision, how):
            raise KeyboardInterrupt

    def decide(event):
        with pytest.raises(KeyboardInterrupt):
            manager.decide(event.request.id, Decision.approve("alice"))

    manager = HumanOversightManager(audit=Interrupted())
    manager.events.subscribe(ApprovalRequested, decide)
    assert not manager.ask("deploy", "?").is_approved


def test_an_asker_that_the_collector_drops_withdraws_wherever_that_happens():
    """Also on a thread that counts at that moment."""
    manager = HumanOversightManager()
    loop = asyncio.new_event_loop()
    asking = loop.create_task(manager.aask("deploy", "?"))
    loop.run_until_complete(asyncio.sleep(0))
    asking._log_destroy_pending = False
    loop.close()
    del asking
    with manager._desk._lock:
        gc.collect()
    assert manager.statistics().how_counts == {How.WITHDRAWN: 1}


@pytest.mark.skipif(os.name != "posix", reason="terminals of POSIX")
def test_what_was_typed_before_a_question_is_no_answer_to_it():
    """It was meant for another one, which somebody else decided."""

    class Answering(io.StringIO):
        def write(self, text):
            if "[y]es or [n]o" in text:
                os.write(ours, b"n not this one\n")
            return super().write(text)

    ours, theirs = os.openpty()
    with os.fdopen(theirs) as source:
        os.write(ours, b"y\n")
        manager = HumanOversightManager(ConsoleApprover(source, Answering(), by="erin"))
        assert manager.ask("wipe", "Wipe?") == Decision.deny("erin", "not this one")
        manager.close()
    os.close(ours)
