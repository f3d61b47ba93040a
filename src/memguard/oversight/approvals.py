"""The oversight manager: people are asked before what is critical happens.

Covers: the original report's question, asking from threads and tasks, counting.
Does not cover: what is critical (``critical``), who answers (``approvers``), keeping
requests until they are (``desk``).

See also: ``docs/oversight.md``.
"""

import asyncio
import logging
import math
import os
import threading
import time
import weakref
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

from memguard._admission import running_loop
from memguard.errors import LimitOutOfRangeError, WouldBlockLoopError, WrongTypeError
from memguard.events import EventBus
from memguard.oversight.approvers import Answer, ApprovalPolicy, Approver
from memguard.oversight.clerk import EXIT_SECONDS, Clerk
from memguard.oversight.critical import Question, is_known, question_of, thresholds_of
from memguard.oversight.desk import Desk, Record, Ticket
from memguard.oversight.events import UnknownOperation
from memguard.oversight.messenger import Messenger
from memguard.oversight.requests import NOBODY, ApprovalRequest, Decision, How
from memguard.oversight.waiting import (
    LONGEST_SECONDS,
    WRITE_SECONDS,
    Patience,
    TaskBell,
    wait_in_task,
    wait_in_thread,
)
from memguard.settings import OversightSettings

_LOG = logging.getLogger("memguard.oversight")
_LEAVE_SECONDS = 1.0
"""How long `close` waits for approvers to see that they are not needed any more."""

_LOOK_SECONDS = 0.005


@dataclass(frozen=True, slots=True)
class OversightStatistics:
    """What was asked and answered.

    Attributes:
        critical_count: Critical operations that were seen.
        asked_count: ... and somebody was asked, now or before; not where what was to
            answer, or the audit, failed.
        approved_count: ... that were approved.
        denied_count: ... that were denied, whoever did.
        cancelled_count: ... that were cancelled while they waited.
        pending_count: Requests that wait now.
        request_count: Requests that were made; several operations may share one.
        how_counts: Decided requests, by how they were.
        people_denied_count: Requests that somebody answered with no.
        late_count: Answers that came when somebody else had decided.
        failed_count: Approvers that raised.
        unknown_counts: Operations that nobody knows, by name; the most frequent ones.
    """

    critical_count: int
    asked_count: int
    approved_count: int
    denied_count: int
    cancelled_count: int
    pending_count: int
    request_count: int
    how_counts: Mapping[How, int]
    people_denied_count: int
    late_count: int
    failed_count: int
    unknown_counts: Mapping[str, int]

    @property
    def coverage_ratio(self) -> float:
        """Share of critical operations for which somebody was asked; 1 where none came."""
        return self.asked_count / self.critical_count if self.critical_count else 1.0

    @property
    def blocked_ratio(self) -> float:
        """Share of decided operations that were denied; 0 where none was decided."""
        decided_count = self.approved_count + self.denied_count
        return self.denied_count / decided_count if decided_count else 0.0


_MOST_UNKNOWN = 100


class HumanOversightManager:
    """Ask people before what is critical happens; without an answer it is denied.

    ``requires_oversight`` answers as in the original report: True for go on. `ask` puts
    any question. Each has a twin that begins with "a", for tasks, which never stops
    the event loop. Whoever answers first decides: the approver, or people who call
    `decide`, as ``memguard approvals`` does.

    Args:
        approver: Called with each `ApprovalRequest`, gives a `Decision`, True, False, or
            None to leave it to others; a function, which gets a thread of its own, or a
            coroutine function. None leaves all to others.
        settings: What is critical, and how long an answer may take.
        events: Where to tell what happens; a bus of its own by default.
        audit: Writes down each request and decision before it takes effect, such as an
            `AuditLog`. What it cannot write is denied.
        clock: Seconds that only grow.
        wall_clock: Unix time [s].

    Attributes:
        critical_operations: From where on something is critical; may be changed.
        settings: All thresholds.
        events: The bus.

    Thread-safety:
        Any thread, any number of event loops. In a child of `os.fork` it begins anew:
        what waits in the parent is answered there.
    """

    def __init__(
        self,
        approver: Approver | None = None,
        *,
        settings: OversightSettings | None = None,
        events: EventBus | None = None,
        audit: Record | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        if approver is not None and not callable(approver):
            raise WrongTypeError("approver", type(approver).__name__, "a function, or None")
        self.settings = settings or OversightSettings()
        self.events = EventBus() if events is None else events
        self.critical_operations = thresholds_of(self.settings)
        self._approver = approver
        self._audit = audit
        self._clock = clock
        self._wall_clock = wall_clock
        self._begin()
        _managers.add(self)

    def _begin(self) -> None:
        self._clerk = Clerk(is_needed=self._audit is not None)
        self._desk = Desk(
            self.settings,
            bus=self.events,
            record=self._audit,
            later=self._clerk.submit,
            clock=self._clock,
            wall_clock=self._wall_clock,
        )
        self._messenger = Messenger(self._desk, self._clerk)
        # The collector may drop an asker anywhere, which then withdraws.
        self._lock = threading.RLock()
        self._counts: Counter[str] = Counter()
        self._unknown: Counter[str] = Counter()

    def _begin_in_child(self) -> None:
        """Begin anew in a child process: no thread came along, and nobody who asked."""
        is_closed = self._desk.is_closed
        self.events.renew()
        self._begin()
        if is_closed:
            self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}, {len(self.pending())} waiting>"

    # What the report had.

    def requires_oversight(self, operation: str, context: Mapping[str, Any]) -> bool:
        """Say whether an operation may happen, after asking if it is critical.

        Args:
            operation: "deep_delegation", "memory_pressure" or "circular_references", or
                any other word, which the setting ``unknown_operations`` speaks of.
            context: What was measured: ``depth``, ``memory_percent`` or
                ``circular_refs``; see `critical.question_of`.

        Returns:
            True to go on: it is not critical, or approved. False if it is denied.

        Raises:
            MissingMeasureError: The context lacks what the operation is judged by.
            WouldBlockLoopError: Somebody would be waited for on the thread of an event
                loop.
        """
        decision = self.review(operation, context)
        return decision is None or decision.is_approved

    async def arequires_oversight(self, operation: str, context: Mapping[str, Any]) -> bool:
        """Do as `requires_oversight`, and let the task wait."""
        decision = await self.areview(operation, context)
        return decision is None or decision.is_approved

    def review(self, operation: str, context: Mapping[str, Any]) -> Decision | None:
        """Do as `requires_oversight`, and say who decided, and why; None if nobody had to."""
        question = self._question(operation, context)
        return self._put(question, None) if isinstance(question, Question) else question

    async def areview(self, operation: str, context: Mapping[str, Any]) -> Decision | None:
        """Do as `review`, and let the task wait."""
        question = self._question(operation, context)
        return await self._aput(question, None) if isinstance(question, Question) else question

    def is_critical(self, operation: str, context: Mapping[str, Any]) -> bool:
        """Whether `requires_oversight` would ask somebody; nobody is asked."""
        if not is_known(operation):
            return self.settings.unknown_operations == "ask"
        return self._known_question(operation, context) is not None

    def _request_approval(self, message: str) -> bool:
        """Ask; a subclass that overrides it answers itself, as in the original report."""
        question = Question("approval", message, None, None, (), f"approval: {message}")
        return self._put(question, None, self._approver).is_approved

    # Any question.

    def ask(
        self,
        operation: str,
        reason: str,
        *,
        chain: tuple[str, ...] = (),
        measured: float | str | None = None,
        limit: float | str | None = None,
        idempotency_key: str | None = None,
        timeout_seconds: float | None = None,
    ) -> Decision:
        """Put a question, and wait for the decision.

        Args:
            operation: What is to happen.
            reason: The question, in a sentence.
            chain: Names of the agents that lead to it.
            measured: What was measured.
            limit: From where on it is critical.
            idempotency_key: Questions of the same key that wait at once are one, and get
                one answer; by default each is one of its own.
            timeout_seconds: How long to wait [s]; what the settings say by default. Who
                joins a question that waits gives up after its own time, or with it.

        Raises:
            LimitOutOfRangeError: The timeout is not above 0.
            WouldBlockLoopError: An event loop runs on this thread.
        """
        question = _free_question(operation, reason, chain, measured, limit, idempotency_key)
        return self._put(question, timeout_seconds)

    async def aask(
        self,
        operation: str,
        reason: str,
        *,
        chain: tuple[str, ...] = (),
        measured: float | str | None = None,
        limit: float | str | None = None,
        idempotency_key: str | None = None,
        timeout_seconds: float | None = None,
    ) -> Decision:
        """Do as `ask`, and let the task wait; if it is cancelled, nobody need answer."""
        question = _free_question(operation, reason, chain, measured, limit, idempotency_key)
        return await self._aput(question, timeout_seconds)

    # Answers from outside.

    def pending(self) -> tuple[ApprovalRequest, ...]:
        """Give the requests that wait, the oldest first."""
        return self._desk.pending()

    def decide(self, request_id: str, decision: Decision) -> None:
        """Answer a request.

        Raises:
            UnknownRequestError: It does not wait: somebody was faster, or it was never
                asked.
        """
        if not isinstance(decision, Decision):
            raise WrongTypeError("decision", type(decision).__name__, "a Decision")
        self._desk.decide(request_id, decision)

    def statistics(self) -> OversightStatistics:
        """Give what was counted, as it is now."""
        desk = self._desk.counts()
        with self._lock:
            counts = self._counts
            return OversightStatistics(
                critical_count=counts["critical"],
                asked_count=counts["asked"] - counts["failed"],
                approved_count=counts["approved"],
                denied_count=counts["denied"],
                cancelled_count=counts["cancelled"],
                pending_count=desk.pending_count,
                request_count=desk.request_count,
                how_counts=desk.how_counts,
                people_denied_count=desk.people_denied_count,
                late_count=desk.late_count,
                failed_count=self._messenger.failed_count,
                unknown_counts=dict(self._unknown),
            )

    # The end.

    def close(self) -> None:
        """Deny all that wait, and whatever is asked from now on; again does nothing.

        Approvers are told; one that goes on all the same is left to itself, and logged.
        So is the audit, if it takes longer than `clerk.EXIT_SECONDS`.
        """
        waiting = self._desk.close()
        self._clerk.close()
        for ticket in waiting:
            self._desk.give_up(ticket)
        until = time.monotonic() + _LEAVE_SECONDS
        for thread in self._leaving():
            thread.join(max(0.0, until - time.monotonic()))
        self._complain()

    async def aclose(self) -> None:
        """Do as `close`, without stopping the event loop."""
        waiting = self._desk.close()
        self._clerk.end()
        until = time.monotonic() + EXIT_SECONDS
        while self._clerk.is_working and time.monotonic() < until:
            await asyncio.sleep(_LOOK_SECONDS)
        for ticket in waiting:
            self._desk.give_up(ticket)
        await self._messenger.end_tasks(_LEAVE_SECONDS)
        until = time.monotonic() + _LEAVE_SECONDS
        while self._leaving() and time.monotonic() < until:
            await asyncio.sleep(_LOOK_SECONDS)
        self._complain()

    def _leaving(self) -> list[threading.Thread]:
        current = threading.current_thread()
        return [thread for thread in self._messenger.threads() if thread is not current]

    def _complain(self) -> None:
        for thread in self._leaving():
            _LOG.warning("an approver goes on after the end: %s", thread.name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # How.

    def _known_question(self, operation: str, context: Mapping[str, Any]) -> Question | None:
        return question_of(operation, context, self.critical_operations, self.settings)

    def _question(self, operation: str, context: Mapping[str, Any]) -> Question | Decision | None:
        question = self._known_question(operation, context)
        if is_known(operation):
            return question
        handling = self.settings.unknown_operations
        with self._lock:
            if operation in self._unknown or len(self._unknown) < _MOST_UNKNOWN:
                self._unknown[operation] += 1
        _LOG.warning("operation %r is unknown, and so it is: %s", operation, handling)
        if self.events.wants(UnknownOperation):
            self.events.emit(UnknownOperation(operation, handling))
        if handling == "ask":
            return question
        unknown = f"operation {operation!r} is unknown"
        return None if handling == "approve" else Decision.deny(NOBODY, unknown)

    def _put(
        self, question: Question, timeout_seconds: float | None, approver: Approver | None = None
    ) -> Decision:
        ticket, is_new, patience = self._take(question, timeout_seconds)
        try:
            approver = self._open_in_time(ticket, approver) if is_new else None
            if ticket.decision is None:
                _check_may_wait()
            if approver is not None:
                self._messenger.send(approver, ticket, None)
            return self._came(ticket, wait_in_thread(self._desk, ticket, patience))
        except BaseException:  # KeyboardInterrupt, or nothing to wait with
            self._withdraw(ticket)
            raise

    async def _aput(self, question: Question, timeout_seconds: float | None) -> Decision:
        loop = running_loop()
        if loop is None:
            raise WrongTypeError("the event loop", "none of asyncio", "asyncio, or call ask")
        ticket, is_new, patience = self._take(question, timeout_seconds)
        try:
            if is_new:
                # Others may join it: it goes on also when this task is cancelled.
                self._clerk.submit(partial(self._open_and_send, ticket, loop))
            return self._came(
                ticket, await wait_in_task(self._desk, ticket, patience, TaskBell(loop))
            )
        except BaseException:  # cancelled, or its coroutine was dropped
            self._withdraw(ticket)
            raise

    def _take(
        self, question: Question, timeout_seconds: float | None
    ) -> tuple[Ticket, bool, Patience]:
        if timeout_seconds is None:
            timeout_seconds = self.settings.timeout_seconds
        if not 0 < timeout_seconds < math.inf:
            raise LimitOutOfRangeError(
                "timeout_seconds", timeout_seconds, "a number of seconds above 0"
            )
        with self._lock:
            self._counts["critical"] += 1
        ticket, is_new = self._desk.take(question, timeout_seconds)
        # After it: of a new one it does not end before the request's own time.
        patience = Patience(timeout_seconds, self._desk.clock() + timeout_seconds)
        if _is_asked(ticket):
            with self._lock:
                self._counts["asked"] += 1
        return ticket, is_new, patience

    def _open_in_time(self, ticket: Ticket, approver: Approver | None) -> Approver | None:
        """Do as `_open`, and wait for it no longer than for an answer."""
        opening = self._clerk.call(partial(self._open, ticket, approver))
        left = ticket.deadline_seconds - self._desk.clock()
        try:
            return opening.result(min(max(0.0, left), LONGEST_SECONDS) + WRITE_SECONDS)
        except TimeoutError:
            self._desk.give_up(ticket)
            return None

    def _open(self, ticket: Ticket, approver: Approver | None) -> Approver | None:
        """Publish a new ticket; gives who has to be asked for it."""
        if not self._desk.publish(ticket):
            return None
        if approver is None:
            approver = self._usual_approver()
        if isinstance(approver, ApprovalPolicy):
            self._messenger.ask_policy(approver, ticket)
            approver = approver.otherwise
        return None if ticket.is_claimed else approver

    def _open_and_send(self, ticket: Ticket, loop: "asyncio.AbstractEventLoop") -> None:
        """Do so for a task; on the clerk's thread, where there is one."""
        approver = self._open(ticket, None)
        if approver is None:
            return
        if running_loop() is loop:
            self._messenger.send(approver, ticket, loop)
            return
        try:
            loop.call_soon_threadsafe(self._messenger.send, approver, ticket, loop)
        except RuntimeError:  # it is closed, but others may have joined
            self._messenger.send(approver, ticket, None)

    def _usual_approver(self) -> Approver | None:
        if type(self)._request_approval is HumanOversightManager._request_approval:
            return self._approver
        return self._ask_subclass

    def _ask_subclass(self, request: ApprovalRequest) -> Answer | Awaitable[Answer]:
        answer: Any = self._request_approval(request.reason)
        # As in the original report, where nothing is said the answer is no. Whatever else
        # it gives is read like an approver's answer: a coroutine is no yes.
        return False if answer is None else answer

    def _came(self, ticket: Ticket, decision: Decision) -> Decision:
        with self._lock:
            # A crash is no answer, and what no audit has, nobody can show.
            if ticket.decision is decision and ticket.how is How.FAILED:
                self._counts["failed"] += _is_asked(ticket)
            self._counts["approved" if decision.is_approved else "denied"] += 1
        return decision

    def _withdraw(self, ticket: Ticket) -> None:
        with self._lock:
            self._counts["cancelled"] += 1
        self._desk.withdraw(ticket)


_managers: "weakref.WeakSet[HumanOversightManager]" = weakref.WeakSet()


def _begin_in_child() -> None:
    for manager in list(_managers):
        manager._begin_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_in_child)


def _is_asked(ticket: Ticket) -> bool:
    """Whether somebody is asked, now or before, if nothing fails."""
    return ticket.at_once is None or ticket.at_once[1] is How.REMEMBERED


def _check_may_wait() -> None:
    if running_loop() is not None:
        raise WouldBlockLoopError("to ask", "the form that is awaited, such as aask")


def _free_question(
    operation: str,
    reason: str,
    chain: tuple[str, ...],
    measured: float | str | None,
    limit: float | str | None,
    idempotency_key: str | None,
) -> Question:
    if not isinstance(operation, str) or not operation:
        raise WrongTypeError("operation", type(operation).__name__, "a word")
    return Question(operation, reason, measured, limit, tuple(chain), idempotency_key)
