"""What runs now, as the mapping that `DelegationCircuitBreaker` always had."""

from collections.abc import Callable, Iterator, MutableMapping

from memguard._admission import Ledger, Run
from memguard.errors import MemguardError


class DelegationHeldError(MemguardError, ValueError):
    """A delegation that a block holds was to be set or deleted by hand.

    Attributes:
        task: Its key.
    """

    def __init__(self, task: object) -> None:
        self.task = task
        super().__init__(task)

    def __str__(self) -> str:
        return f"{self.task!r} is held by breaker.delegate(); it goes when that block is left"


class ActiveDelegations(MutableMapping[object, object]):
    """Delegations by their task, or by number where no task was named.

    Those of `delegate` are seen here with the name of their agent. What is set by
    hand takes a slot until it is deleted, whatever it is, and is not checked:
    `can_delegate` is there to be asked before.

    Thread-safety:
        Any thread; iterating goes over what was there when it began.
    """

    def __init__(self, ledger: Ledger, give_back: Callable[[], object]) -> None:
        self._ledger = ledger
        self._give_back = give_back
        self._tasks: dict[object, Run] = {}
        self._by_hand: dict[object, object] = {}

    def run_of(self, task: object) -> Run | None:
        """Give the run that was admitted for a task, or None."""
        try:
            return self._tasks.get(task)
        except TypeError:  # not hashable, so it cannot have been named
            return None

    def add(self, task: object, run: Run) -> None:
        """Know a run by its task, the latest one if there are several."""
        self._tasks[task] = run

    def discard(self, task: object, run: Run) -> None:
        """Forget a run that ended."""
        if self._tasks.get(task) is run:
            del self._tasks[task]

    def forget(self, run: Run) -> None:
        """Forget a run whose task nobody knows any more."""
        for task, other in list(self._tasks.items()):
            if other is run:
                self.discard(task, run)

    def _held(self) -> dict[object, object]:
        runs = sorted(self._ledger.live, key=lambda run: run.id)
        names = {run: task for task, run in list(self._tasks.items())}
        return {names.get(run, run.id): run.agent for run in runs}

    def _all(self) -> dict[object, object]:
        return {**self._held(), **self._by_hand}

    def __getitem__(self, task: object) -> object:
        if task in self._by_hand:
            return self._by_hand[task]
        return self._held()[task]

    def __setitem__(self, task: object, value: object) -> None:
        if task in self._held():
            raise DelegationHeldError(task)
        nothing = object()
        if self._by_hand.setdefault(task, nothing) is nothing:
            self._ledger.hold(1)
        self._by_hand[task] = value

    def __delitem__(self, task: object) -> None:
        if task not in self._by_hand and task in self._held():
            raise DelegationHeldError(task)
        del self._by_hand[task]
        self._ledger.hold(-1)
        self._give_back()

    def __iter__(self) -> Iterator[object]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._ledger.live) + len(self._by_hand)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._all()!r})"
