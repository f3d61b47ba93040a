"""Takes a request to an approver, and brings the answer to the desk.

Covers: functions on threads of their own, coroutines on the loop of who asks, what
they raise, and calling them back once somebody else has decided.
Does not cover: who may be asked (``approvers``), which answer counts (``desk``).
"""

import asyncio
import contextvars
import inspect
import logging
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from memguard.errors import WrongTypeError
from memguard.oversight.approvers import Answer, ApprovalPolicy, Approver
from memguard.oversight.clerk import Clerk
from memguard.oversight.desk import Desk, Ticket
from memguard.oversight.requests import NOBODY, Decision, How

_LOG = logging.getLogger("memguard.oversight")

MOST_STUCK_COUNT = 100
"""So many approvers may go on, each on its thread, when their requests are decided."""


class Messenger:
    """Ask approvers, and never wait for them.

    Approvers run in an empty context, so that one that starts agents begins a chain.

    Args:
        desk: Where answers go.
        clerk: Who writes down what tasks decide.

    Thread-safety:
        Any thread.
    """

    def __init__(self, desk: Desk, clerk: Clerk) -> None:
        self._desk = desk
        self._clerk = clerk
        self._lock = threading.RLock()
        self._threads: dict[threading.Thread, Ticket] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._failed_count = 0

    @property
    def failed_count(self) -> int:
        """How many approvers raised [count]."""
        return self._failed_count

    def send(
        self, approver: Approver, ticket: Ticket, loop: asyncio.AbstractEventLoop | None
    ) -> None:
        """Begin to ask; what comes of it goes to the desk.

        Args:
            approver: Whom.
            ticket: What.
            loop: The loop that runs on this thread; None for none.
        """
        ending = getattr(approver, "withdraw", None)
        if callable(ending):
            bell = partial(self._end, ending, ticket)
            if not self._desk.call_when_decided(ticket, bell):
                return
        if ticket.is_claimed:
            return
        if loop is not None and _is_async(approver):
            self._send_task(approver, ticket, loop)
        else:
            self._send_thread(approver, ticket)

    def ask_policy(self, policy: ApprovalPolicy, ticket: Ticket) -> None:
        """Ask rules, here and now."""
        how = How.ANSWERED
        try:
            decision = decision_of(policy(ticket.request), policy)
        except Exception as error:  # as of any approver
            decision, how = self._failure(ticket, error), How.FAILED
        if decision is not None:
            self._desk.settle(ticket, decision, how)

    def threads(self) -> tuple[threading.Thread, ...]:
        """Give the threads on which approvers run."""
        with self._lock:
            # One that is about to begin cannot be joined yet.
            return tuple(thread for thread in self._threads if thread.is_alive())

    async def end_tasks(self, seconds: float) -> None:
        """Wait until the tasks of this loop, which were cancelled, have ended."""
        loop = asyncio.get_running_loop()
        current = asyncio.current_task()
        tasks = [t for t in self._tasks if t.get_loop() is loop and t is not current]
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)

    # On a thread.

    def _send_thread(self, approver: Approver, ticket: Ticket) -> None:
        name = f"memguard-approver-{ticket.request.id}"
        context = contextvars.Context()
        # Daemons: a person who does not answer must not keep the process from ending.
        thread = threading.Thread(
            target=context.run, args=(self._run, approver, ticket), name=name, daemon=True
        )
        with self._lock:
            stuck_count = sum(other.is_claimed for other in self._threads.values())
            is_room = stuck_count < MOST_STUCK_COUNT
            if is_room:
                self._threads[thread] = ticket
        if not is_room:
            why = f"{stuck_count} approvers go on though their requests are decided; let them end"
            self._deny_unasked(ticket, why)
            return
        try:
            thread.start()
        except RuntimeError as error:  # the system has no more threads, or the program ends
            self._forget_thread(thread)
            self._deny_unasked(ticket, f"the approver got no thread: {error}")

    def _deny_unasked(self, ticket: Ticket, why: str) -> None:
        _LOG.error("request %s is denied: %s", ticket.request.id, why)
        settle = partial(self._desk.settle, ticket, Decision.deny(NOBODY, why), How.FAILED)
        self._clerk.submit(settle)

    def _forget_thread(self, thread: threading.Thread) -> None:
        with self._lock:
            self._threads.pop(thread, None)

    def _run(self, approver: Approver, ticket: Ticket) -> None:
        try:
            try:
                answer = None if ticket.is_claimed else approver(ticket.request)
                if inspect.isawaitable(answer):
                    answer = asyncio.run(self._until_decided(answer, ticket))
                decision = decision_of(answer, approver)
            except BaseException as error:  # somebody else's code: it denies, and is told of
                decision = self._failure(ticket, error)
                self._desk.settle(ticket, decision, How.FAILED)
            else:
                if decision is not None:
                    self._desk.settle(ticket, decision, How.ANSWERED)
        finally:
            self._forget_thread(threading.current_thread())

    async def _until_decided(self, answer: Awaitable[Answer], ticket: Ticket) -> Answer:
        loop = asyncio.get_running_loop()
        task = asyncio.ensure_future(answer)
        bell = partial(_cancel, loop, task)
        if not self._desk.call_when_decided(ticket, bell):
            task.cancel()
        try:
            return await task
        except asyncio.CancelledError:
            return None
        finally:
            self._desk.do_not_call(ticket, bell)

    # On a loop.

    def _send_task(
        self, approver: Approver, ticket: Ticket, loop: asyncio.AbstractEventLoop
    ) -> None:
        task = loop.create_task(
            self._await(approver, ticket),
            name=f"memguard-approver-{ticket.request.id}",
            context=contextvars.Context(),
        )
        # A loop alone would let it be collected.
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if not self._desk.call_when_decided(ticket, partial(_cancel, loop, task)):
            task.cancel()

    async def _await(self, approver: Approver, ticket: Ticket) -> None:
        try:
            decision = decision_of(await _called(approver, ticket), approver)
            how = How.ANSWERED
        except asyncio.CancelledError:
            # Its loop ends. Those who wait on others need not wait for their time to pass.
            decision, how = Decision.deny(NOBODY, "the approver was cancelled"), How.FAILED
            self._clerk.submit(partial(self._desk.settle, ticket, decision, how))
            raise
        except Exception as error:  # as above
            decision, how = self._failure(ticket, error), How.FAILED
        if decision is not None:
            settle = partial(self._desk.settle, ticket, decision, how)
            # Shielded, for the decision itself cancels this task.
            await asyncio.shield(self._clerk.run(settle))

    def _failure(self, ticket: Ticket, error: BaseException) -> Decision:
        with self._lock:
            self._failed_count += 1
        _LOG.error("an approver raised; request %s is denied", ticket.request.id, exc_info=error)
        return Decision.deny(NOBODY, f"the approver failed: {type(error).__name__}: {error}")

    def _end(self, ending: Callable[[Any], object], ticket: Ticket) -> None:
        try:
            ending(ticket.request)
        except Exception:  # somebody else's code: the decision stands
            _LOG.exception("an approver raised when its request was decided")


def decision_of(answer: object, approver: Approver) -> Decision | None:
    """Read what an approver gave back.

    Raises:
        WrongTypeError: It says neither yes nor no.
    """
    if answer is None or isinstance(answer, Decision):
        return answer
    if isinstance(answer, bool):
        name = getattr(approver, "__qualname__", type(approver).__qualname__)
        return Decision("approve" if answer else "deny", name)
    raise WrongTypeError(
        "what the approver gave back", type(answer).__name__, "a Decision, True, False or None"
    )


def _is_async(approver: Approver) -> bool:
    return inspect.iscoroutinefunction(approver) or inspect.iscoroutinefunction(
        getattr(approver, "__call__", None)  # noqa: B004 - an object with an async __call__
    )


async def _called(approver: Approver, ticket: Ticket) -> Answer:
    answer = approver(ticket.request)
    return await answer if inspect.isawaitable(answer) else answer


def _cancel(loop: asyncio.AbstractEventLoop, task: "asyncio.Future[Any]") -> None:
    try:
        loop.call_soon_threadsafe(task.cancel)
    except RuntimeError:  # the loop is closed, and the task with it
        return
