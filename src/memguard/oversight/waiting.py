"""How a thread and a task wait for a decision.

Covers: the time that an answer may take, cancellation at any moment.
Does not cover: the decision itself (``desk``).
"""

import weakref
from _thread import allocate_lock
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from memguard.oversight.desk import Desk, Ticket
from memguard.oversight.requests import Decision

if TYPE_CHECKING:
    import asyncio

LONGEST_SECONDS = 3600.0
"""A lock cannot wait for centuries at once."""

WRITE_SECONDS = 1.0
"""So long after its time a request waits for the audit; then it is denied without."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long one asker waits, who may share a request with others.

    Attributes:
        seconds: So long.
        until_seconds: ... on the desk's clock [s].
    """

    seconds: float
    until_seconds: float

    def is_over_before(self, ticket: Ticket) -> bool:
        """Whether it ends before the request's own time."""
        return self.until_seconds < ticket.deadline_seconds


def wait_in_thread(desk: Desk, ticket: Ticket, patience: Patience) -> Decision:
    """Block this thread until it is decided; it expires if nobody does."""
    asleep = allocate_lock()
    asleep.acquire()
    ring = asleep.release
    if desk.call_when_decided(ticket, ring):
        is_short = patience.is_over_before(ticket)
        until = patience.until_seconds if is_short else ticket.deadline_seconds
        left = until - desk.clock()
        while left > 0 and not asleep.acquire(timeout=min(left, LONGEST_SECONDS)):
            left = until - desk.clock()
        if ticket.decision is None and not is_short:
            desk.expire(ticket)
        # That, or what somebody else decided in that moment, is being written down.
        if ticket.decision is None and not (
            ticket.is_claimed and asleep.acquire(timeout=WRITE_SECONDS)
        ):
            if is_short:
                desk.do_not_call(ticket, ring)
                return desk.leave(ticket, patience.seconds)
            desk.give_up(ticket)
    assert ticket.decision is not None
    return ticket.decision


async def wait_in_task(
    desk: Desk, ticket: Ticket, patience: Patience, bell: "TaskBell"
) -> Decision:
    """Do the same, and let the task wait."""
    ring = bell.ring
    if desk.call_when_decided(ticket, ring):
        is_short = patience.is_over_before(ticket)
        until = patience.until_seconds if is_short else ticket.deadline_seconds
        try:
            if not await bell.rings_within(until - desk.clock()):
                if not is_short:
                    desk.expire(ticket)
                if ticket.decision is None and not (
                    ticket.is_claimed and await bell.rings_within(WRITE_SECONDS)
                ):
                    if is_short:
                        return desk.leave(ticket, patience.seconds)
                    desk.give_up(ticket)
        finally:
            desk.do_not_call(ticket, ring)
    assert ticket.decision is not None
    return ticket.decision


class TaskBell:
    """Wakes one task, from any thread, and does not keep it alive.

    So a task that is dropped with its loop ends here, too.

    Attributes:
        ring: Call it to wake the task.
    """

    __slots__ = ("__weakref__", "_future", "_loop", "ring")

    def __init__(self, loop: "asyncio.AbstractEventLoop") -> None:
        self._loop = loop
        self._future: asyncio.Future[bool] = loop.create_future()
        self.ring = partial(_ring, loop, weakref.ref(self))

    def _set(self, has_rung: bool) -> None:
        if not self._future.done():
            self._future.set_result(has_rung)

    async def rings_within(self, seconds: float) -> bool:
        """Wait for it; False when time ran out."""
        timer = self._loop.call_later(max(0.0, seconds), self._set, False)
        try:
            has_rung = await self._future
        finally:
            timer.cancel()
        if not has_rung:
            self._future = self._loop.create_future()
        return has_rung


def _ring(loop: "asyncio.AbstractEventLoop", bell: "weakref.ref[TaskBell]") -> None:
    rung = bell()
    if rung is None:
        return
    try:
        loop.call_soon_threadsafe(rung._set, True)
    except RuntimeError:  # the loop is closed, and so nobody waits
        return
