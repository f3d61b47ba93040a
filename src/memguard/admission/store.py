"""Where limits are counted, as a port.

Covers: what a breaker asks of a store. The one that comes with memguard is
``memguard._admission.Ledger``, in this process.
Does not cover: waiting (``line``), which stays in the process of who waits.

A store that is shared between processes keeps a ledger of its own for what runs
here, and asks for a lease of the common limit whenever that ledger takes a slot:
lending stays local, so that a tree goes on while the network does not.
"""

from typing import Protocol

from memguard._admission import Breach, Ledger, Run


class LimitStore(Protocol):
    """Admit no more runs than the limits allow.

    Thread-safety:
        Any thread; to judge and to count must be one step.
    """

    @property
    def ledger(self) -> Ledger:
        """What counts the runs of this process; it makes the runs, too."""
        ...

    def admit(
        self,
        parent: Run | None,
        agent: str,
        cost_bytes: int = 0,
        *,
        is_next: bool = False,
        is_forced: bool = False,
    ) -> Run | Breach:
        """Admit a run below *parent*, or say why not; see `Ledger.admit`."""
        ...

    def would_refuse(self, parent: Run | None, agent: str, cost_bytes: int = 0) -> Breach | None:
        """Give what `admit` would refuse with now; nothing is counted."""
        ...

    def leave(self, run: Run) -> bool:
        """Count a run out; says whether it was live."""
        ...
