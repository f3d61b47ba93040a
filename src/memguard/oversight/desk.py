"""Requests that wait for an answer: few, each decided once.

Covers: one request for one question, the decision that counts, answers that are
remembered, what is written down before it takes effect.
Does not cover: what is critical (``critical``), who answers (``approvers``), how the
asker sleeps (``waiting``).
"""

import logging
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

from memguard.errors import UnknownRequestError
from memguard.events import EventBus
from memguard.oversight.critical import Question
from memguard.oversight.events import ApprovalDecided, ApprovalRequested
from memguard.oversight.requests import NOBODY, ApprovalRequest, Decision, How, new_id
from memguard.settings import OversightSettings

_Value = TypeVar("_Value")

_LOG = logging.getLogger("memguard.oversight")
_KNOWN_DECIDED = 1000
"""Of so many decided requests it is known how, for people who answer too late."""

_BEING_WRITTEN = "what came of it is being written down"


class Record(Protocol):
    """What writes down what was asked and decided; what it raises denies."""

    def requested(self, request: ApprovalRequest) -> None:
        """Write a request down, before anybody is asked."""
        ...

    def decided(self, request: ApprovalRequest, decision: Decision, how: How) -> None:
        """Write a decision down, before it takes effect."""
        ...


class Ticket:
    """One request at the desk, and those who wait for it.

    Attributes:
        request: What is asked.
        deadline_seconds: When it expires, on the desk's clock [s].
        decision: What was decided; None until then.
        how: ... and how.
        at_once: The decision of one that nobody needs to be asked for.
    """

    __slots__ = (
        "asker_count",
        "at_once",
        "bells",
        "deadline_seconds",
        "decision",
        "how",
        "is_claimed",
        "is_recorded",
        "request",
    )

    def __init__(
        self,
        request: ApprovalRequest,
        deadline_seconds: float,
        at_once: tuple[Decision, How] | None = None,
    ) -> None:
        self.request = request
        self.deadline_seconds = deadline_seconds
        self.at_once = at_once
        self.decision: Decision | None = None
        self.how: How | None = None
        self.asker_count = 1
        # Who decides has taken it; the decision follows once it is written down.
        self.is_claimed = False
        # Where the request is written down, its decision will be.
        self.is_recorded = False
        self.bells: list[Callable[[], object]] = []


def _at_once(work: Callable[[], object]) -> None:
    work()


class Desk:
    """Keep requests until they are decided.

    Args:
        settings: How many may wait, how many answers are remembered.
        bus: Who is told.
        record: Where all of it is written down; None for nowhere.
        later: Does what may wait for the record, such as `Clerk.submit`; at once by
            default.
        clock: Seconds that only grow.
        wall_clock: Unix time [s].

    Attributes:
        clock: Seconds that only grow.
        is_closed: Whether all is denied from now on.

    Thread-safety:
        Any thread; events are told, and records written, under no lock.
    """

    def __init__(
        self,
        settings: OversightSettings,
        *,
        bus: EventBus,
        record: Record | None = None,
        later: Callable[[Callable[[], object]], object] = _at_once,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._bus = bus
        self._record = record
        self._later = later
        self.clock = clock
        self._wall_clock = wall_clock
        # The collector may drop an asker anywhere, which then withdraws.
        self._lock = threading.RLock()
        self.is_closed = False
        self._by_key: dict[str, Ticket] = {}
        self._open: dict[str, Ticket] = {}
        self._remembered: OrderedDict[str, tuple[Decision, float]] = OrderedDict()
        self._decided: OrderedDict[str, str] = OrderedDict()
        self._counts: Counter[How] = Counter()
        self._request_count = 0
        self._late_count = 0
        self._people_denied_count = 0

    # Asking.

    def take(self, question: Question, timeout_seconds: float) -> tuple[Ticket, bool]:
        """Give the ticket of a question, and whether it is a new one, to be published."""
        if len(self._by_key) >= self._settings.max_pending_count:
            self.expire_late()
        now = self.clock()
        asked_at = self._wall_clock()
        request_id = new_id()
        # An answer to one operation is none to another.
        key = f"{question.operation}: {question.idempotency_key or request_id}"
        with self._lock:
            ticket = self._by_key.get(key)
            if ticket is not None:
                ticket.asker_count += 1
                return ticket, False
            request = ApprovalRequest(
                request_id,
                question.operation,
                question.text,
                question.chain,
                question.measured,
                question.limit,
                asked_at,
                asked_at + timeout_seconds,
                key,
            )
            ticket = Ticket(request, now + timeout_seconds, self._answer_at_once(key, now))
            self._request_count += 1
            if ticket.at_once is None:
                self._by_key[key] = ticket
        return ticket, True

    def _answer_at_once(self, key: str, now: float) -> tuple[Decision, How] | None:
        if self.is_closed:
            return Decision.deny(NOBODY, "the oversight is closed"), How.CLOSED
        decision, until = self._remembered.get(key, (None, 0.0))
        if decision is not None and now < until:
            return decision, How.REMEMBERED
        self._remembered.pop(key, None)
        limit = self._settings.max_pending_count
        if len(self._by_key) < limit:
            return None
        return (
            Decision.deny(NOBODY, f"{limit} requests wait for an answer already"),
            How.QUEUE_FULL,
        )

    def publish(self, ticket: Ticket) -> bool:
        """Write a new ticket down, and let it be answered.

        Returns:
            Whether somebody has to be asked: it is not decided yet.
        """
        request = ticket.request
        if ticket.decision is not None:
            # Given up before its turn came: nobody was asked, and nobody is.
            return False
        if ticket.at_once is not None and ticket.at_once[1] is How.CLOSED:
            # Its file was let go of, and shall not be opened again.
            self._settle(ticket, *ticket.at_once)
            return False
        try:
            if self._record is not None:
                self._record.requested(request)
                ticket.is_recorded = True
        except Exception as error:  # a full disk, a file that is gone: nothing goes unrecorded
            _LOG.exception("a request could not be written down, and is denied")
            self._settle(ticket, _unrecorded(error), How.FAILED)
            return False
        if ticket.at_once is not None:
            self._settle(ticket, *ticket.at_once)
            return False
        with self._lock:
            # Its asker may have been cancelled while it was written down.
            if ticket.is_claimed:
                return False
            self._open[request.id] = ticket
        if self._bus.wants(ApprovalRequested):
            self._bus.emit(ApprovalRequested(request))
        return True

    def pending(self) -> tuple[ApprovalRequest, ...]:
        """Give the requests that wait, the oldest first."""
        self.expire_late()
        with self._lock:
            return tuple(ticket.request for ticket in list(self._open.values()))

    # Deciding.

    def decide(self, request_id: str, decision: Decision) -> None:
        """Answer a request.

        Raises:
            UnknownRequestError: It does not wait: it was never asked, or somebody
                else was faster.
        """
        with self._lock:
            ticket = self._open.get(request_id)
        if ticket is None or not self._settle(ticket, decision, How.ANSWERED):
            with self._lock:
                self._late_count += 1
                decided = self._decided.get(request_id, "")
            raise UnknownRequestError(request_id, decided)

    def settle(self, ticket: Ticket, decision: Decision, how: How) -> bool:
        """Decide a ticket; False if that is done already."""
        if self._settle(ticket, decision, how):
            return True
        if how is How.ANSWERED:
            with self._lock:
                self._late_count += 1
        return False

    def expire(self, ticket: Ticket) -> None:
        """Deny a ticket for want of an answer, unless somebody is faster.

        It takes effect once it is written down, which is not waited for.
        """
        seconds = ticket.request.expires_at - ticket.request.asked_at
        self._deny_later(ticket, f"nobody answered within {seconds:g} s", How.EXPIRED)

    def give_up(self, ticket: Ticket) -> None:
        """Deny a ticket whose audit takes too long, unless it is decided.

        What writes it down goes on; where that was to be an approval, the audit says
        afterwards that it did not take effect.
        """
        with self._lock:
            is_unclaimed = not ticket.is_claimed
            self._claim(ticket)
        decision = Decision.deny(NOBODY, "the audit did not write it down in time")
        if self._publish(ticket, decision, How.FAILED):
            _LOG.error("request %s is denied: the audit takes too long", ticket.request.id)
            if is_unclaimed:
                self._later(partial(self._write_decision, ticket, decision, How.FAILED))

    def expire_late(self) -> None:
        """Deny what is past its time and whose asker is gone without a word."""
        now = self.clock()
        with self._lock:
            late = [ticket for ticket in list(self._open.values()) if ticket.deadline_seconds < now]
        for ticket in late:
            self.expire(ticket)

    def withdraw(self, ticket: Ticket) -> None:
        """Take an asker away; the last one ends the request."""
        self._leave(ticket, Decision.deny(NOBODY, "who asked was cancelled"), How.WITHDRAWN)

    def leave(self, ticket: Ticket, seconds: float) -> Decision:
        """Take an asker away whose own time is over; gives the denial that is for it alone."""
        decision = Decision.deny(NOBODY, f"nobody answered within {seconds:g} s")
        self._leave(ticket, decision, How.EXPIRED)
        return ticket.decision or decision

    def _leave(self, ticket: Ticket, decision: Decision, how: How) -> None:
        with self._lock:
            ticket.asker_count -= 1
            if ticket.asker_count > 0 or ticket.is_claimed:
                return
            self._claim(ticket)
        self._later(partial(self._finish, ticket, decision, how))

    def _deny_later(self, ticket: Ticket, why: str, how: How) -> None:
        with self._lock:
            if ticket.is_claimed:
                return
            self._claim(ticket)
        self._later(partial(self._finish, ticket, Decision.deny(NOBODY, why), how))

    def _settle(self, ticket: Ticket, decision: Decision, how: How) -> bool:
        with self._lock:
            if ticket.is_claimed:
                return False
            self._claim(ticket)
        # False, too, for an answer that was not written down in time.
        return self._finish(ticket, decision, how)

    def _claim(self, ticket: Ticket) -> None:
        request = ticket.request
        if not ticket.is_claimed:
            _keep(self._decided, request.id, _BEING_WRITTEN, _KNOWN_DECIDED)
        ticket.is_claimed = True
        self._open.pop(request.id, None)
        if self._by_key.get(request.idempotency_key) is ticket:
            del self._by_key[request.idempotency_key]

    def _finish(self, ticket: Ticket, decision: Decision, how: How) -> bool:
        with self._lock:
            if ticket.decision is not None:
                # Given up: what stands in the audit of it is what came of it.
                decision, how = ticket.decision, ticket.how or how
        if ticket.is_recorded and self._record is not None:
            try:
                self._record.decided(ticket.request, decision, how)
            except Exception as error:  # as above: what cannot be written down is a no
                _LOG.exception(
                    "a decision could not be written down; request %s", ticket.request.id
                )
                decision, how = _unrecorded(error), How.FAILED
            except BaseException as error:  # an interrupt: others must not wait for ever
                self._publish(ticket, _unrecorded(error), How.FAILED)
                raise
        if self._publish(ticket, decision, how):
            return True
        given_up = ticket.decision
        if decision.is_approved and given_up is not None:
            # It was given up while the approval was written down.
            self._write_decision(ticket, given_up, How.FAILED)
        return False

    def _write_decision(self, ticket: Ticket, decision: Decision, how: How) -> None:
        """Write down, late, what took effect already."""
        if self._record is None or not ticket.is_recorded:
            return
        try:
            self._record.decided(ticket.request, decision, how)
        except Exception:  # it was a no, and stays one
            _LOG.exception("a decision could not be written down; request %s", ticket.request.id)

    def _publish(self, ticket: Ticket, decision: Decision, how: How) -> bool:
        """Let a decision take effect; False if another one has."""
        request = ticket.request
        with self._lock:
            if ticket.decision is not None:
                return False
            ticket.decision, ticket.how = decision, how
            self._counts[how] += 1
            self._people_denied_count += how is How.ANSWERED and not decision.is_approved
            _keep(self._decided, request.id, str(decision), _KNOWN_DECIDED)
            if how is How.ANSWERED and decision.remember_seconds > 0:
                until = self.clock() + decision.remember_seconds
                key = request.idempotency_key
                _keep(self._remembered, key, (decision, until), self._settings.max_remembered_count)
            bells, ticket.bells = ticket.bells, []
        for bell in bells:
            bell()
        if self._bus.wants(ApprovalDecided):
            self._bus.emit(ApprovalDecided(request, decision, how))
        return True

    # Who waits.

    def call_when_decided(self, ticket: Ticket, bell: Callable[[], object]) -> bool:
        """Call *bell* once it is decided, on any thread; False if it is already."""
        with self._lock:
            if ticket.decision is not None:
                return False
            ticket.bells.append(bell)
            return True

    def do_not_call(self, ticket: Ticket, bell: Callable[[], object]) -> None:
        """Forget a bell."""
        with self._lock:
            if bell in ticket.bells:
                ticket.bells.remove(bell)

    def close(self) -> list[Ticket]:
        """Deny all that wait, and whatever is asked from now on.

        Returns:
            Those that waited; each is decided once that is written down.
        """
        with self._lock:
            self.is_closed = True
            waiting = list(self._by_key.values())
        for ticket in waiting:
            self._deny_later(ticket, "the oversight was closed", How.CLOSED)
        return waiting

    def counts(self) -> "DeskCounts":
        """Give what was counted, as it is now."""
        with self._lock:
            return DeskCounts(
                self._request_count,
                len(self._by_key),
                dict(self._counts),
                self._late_count,
                self._people_denied_count,
            )


@dataclass(frozen=True, slots=True)
class DeskCounts:
    """What a desk counted.

    Attributes:
        request_count: Requests that were made.
        pending_count: Requests that wait.
        how_counts: Decided requests, by how they were.
        late_count: Answers that came when the request was decided already.
        people_denied_count: Requests that somebody answered with no.
    """

    request_count: int
    pending_count: int
    how_counts: Mapping[How, int]
    late_count: int
    people_denied_count: int


def _unrecorded(error: BaseException) -> Decision:
    return Decision.deny(NOBODY, f"the audit failed: {type(error).__name__}: {error}")


def _keep(kept: OrderedDict[str, _Value], key: str, value: _Value, most: int) -> None:
    kept[key] = value
    kept.move_to_end(key)
    while len(kept) > most:
        kept.popitem(last=False)
