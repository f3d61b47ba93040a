"""The line of those who wait for a slot.

Covers: first come, first served, over threads and event loops alike; leaving the
line; handing on what became free.
Does not cover: counting (``store``), how each of them sleeps (``waiting``).

Whoever comes while somebody waits goes to the end, with one exception: when the
last of those that a parent waits for has ended, its slot goes to the first that
waits below it, for nobody else could make that tree go on.
"""

from _thread import allocate_lock
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from memguard._admission import Breach, Run
from memguard.admission.circuit import CircuitRecord
from memguard.admission.consent import Objection
from memguard.admission.refusals import Reason
from memguard.admission.store import LimitStore

Outcome: TypeAlias = Run | Breach | CircuitRecord | Objection
"""Admitted, refused by a limit, because the circuit opened, because somebody objected."""


class Waiter:
    """One that waits.

    Attributes:
        parent: Who delegates.
        agent: Name.
        cost_bytes: What to reserve [bytes].
        loop: Its event loop; None for a thread.
        wake: Ends its sleep, once; raises RuntimeError if nobody is there.
        outcome: What came of it; None as long as it waits.
    """

    __slots__ = ("agent", "cost_bytes", "loop", "outcome", "parent", "wake")

    def __init__(
        self,
        parent: Run | None,
        agent: str,
        cost_bytes: int,
        wake: Callable[[], object],
        loop: Any = None,
    ) -> None:
        self.parent = parent
        self.agent = agent
        self.cost_bytes = cost_bytes
        self.wake = wake
        self.loop = loop
        self.outcome: Outcome | None = None


class Line:
    """Those who wait, in the order in which they came.

    Thread-safety:
        Any thread. The collector may run finalizers, and so end delegations and
        drop tasks that wait, at any moment, also while this thread holds the
        lock: `hand_on` and `abandon` never wait for it. Who holds it looks again
        before going, so nothing is forgotten. Sleepers are woken after it was
        let go.
    """

    __slots__ = ("_below", "_gone", "_is_due", "_ledger", "_lock", "_store", "_waiters")

    def __init__(self, store: LimitStore) -> None:
        self._store = store
        self._ledger = store.ledger
        self._lock = allocate_lock()
        self._waiters: OrderedDict[Waiter, None] = OrderedDict()
        self._below: dict[Run, OrderedDict[Waiter, None]] = {}
        self._gone: deque[Waiter] = deque()
        self._is_due = False

    def join(self, waiter: Waiter) -> None:
        """Go to the end; its turn may come at once."""
        with self._lock:
            self._waiters[waiter] = None
            if waiter.parent is not None:
                self._below.setdefault(waiter.parent, OrderedDict())[waiter] = None
            self._ledger.expect(waiter.parent)
        self.hand_on()

    def withdraw(self, waiter: Waiter) -> None:
        """Leave the line, unless its turn has come meanwhile."""
        with self._lock:
            if waiter in self._waiters:
                self._remove(waiter)
        self.hand_on()

    def abandon(self, waiter: Waiter) -> None:
        """Leave the line, and give back what came of it."""
        self._gone.append(waiter)
        self.hand_on()

    def hand_on(self) -> None:
        """Serve who can be served, and wake them."""
        self._is_due = True
        while self._is_due and self._lock.acquire(blocking=False):
            try:
                self._is_due = False
                served = self._serve()
            finally:
                self._lock.release()
            self._tell(served)

    def forget_lost(self) -> None:
        """Leave out those whose event loop was closed."""
        with self._lock:
            for waiter in list(self._waiters):
                if waiter.loop is not None and waiter.loop.is_closed():
                    self._remove(waiter)
        self.hand_on()

    def turn_away(self, outcome: Outcome) -> None:
        """Empty the line: all get the same answer."""
        with self._lock:
            waiters = list(self._waiters)
            for waiter in waiters:
                self._remove(waiter)
                waiter.outcome = outcome
        self._tell(waiters)
        self.hand_on()

    def _tell(self, waiters: Iterable[Waiter]) -> None:
        for waiter in waiters:
            try:
                waiter.wake()
            except RuntimeError:  # its event loop was closed: nobody will come
                if isinstance(waiter.outcome, Run):
                    self._store.leave(waiter.outcome)
                    self._is_due = True

    def _serve(self) -> list[Waiter]:
        served: list[Waiter] = []
        while self._gone:
            waiter = self._gone.popleft()
            if waiter in self._waiters:
                self._remove(waiter)
            elif isinstance(waiter.outcome, Run):
                self._store.leave(waiter.outcome)
        for parent in self._ledger.take_due():
            while not parent.has_ended and parent.live_count == 0:
                first = self._first_below(parent)
                if first is None or not self._offer(first, served):
                    break
        while self._waiters and self._ledger.has_room():
            if not self._offer(next(iter(self._waiters)), served):
                break
        return served

    def _first_below(self, lender: Run) -> Waiter | None:
        if not lender.waiting_count:
            return None
        if lender in self._below:
            return next(iter(self._below[lender]))
        # Their own parent ended while they waited, and left them to this one.
        for waiter in self._waiters:
            if self._ledger.lender_of(waiter.parent) is lender:
                return waiter
        return None

    def _offer(self, waiter: Waiter, served: list[Waiter]) -> bool:
        outcome = self._store.admit(waiter.parent, waiter.agent, waiter.cost_bytes, is_next=True)
        if isinstance(outcome, Run):
            outcome.loop = waiter.loop
        elif outcome.reason == Reason.PARALLEL:
            return False
        self._remove(waiter)
        waiter.outcome = outcome
        served.append(waiter)
        return True

    def _remove(self, waiter: Waiter) -> None:
        del self._waiters[waiter]
        self._ledger.expect_no_more(waiter.parent)
        if waiter.parent is not None:
            siblings = self._below[waiter.parent]
            del siblings[waiter]
            if not siblings:
                del self._below[waiter.parent]
