"""Who else is asked before a delegation is admitted, as a port.

Covers: what a breaker asks of others than its own limits: whether there is
memory, whether a person agrees.
Does not cover: their answers (``memguard.pressure``, ``memguard.oversight``).
"""

from dataclasses import dataclass
from typing import Protocol

from memguard.admission.refusals import Reason


@dataclass(frozen=True, slots=True)
class Asked:
    """A delegation that the limits would admit.

    Attributes:
        chain: Names of the agents, the last one is who would be admitted.
        depth: Its place in the chain [count].
        max_depth: Limit of that [count]; None for none.
        cost_bytes: What it would reserve [bytes].
        live_count: Delegations that exist now [count].
    """

    chain: tuple[str, ...]
    depth: int
    max_depth: int | None
    cost_bytes: int
    live_count: int


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a delegation is not admitted.

    Attributes:
        reason: Whose objection it is.
        limit: The same in words.
        measured: What was measured.
        retry_after_seconds: When to ask again [s]; None if that will not help.
    """

    reason: Reason
    limit: str
    measured: float | str = ""
    retry_after_seconds: float | None = None


class Consent(Protocol):
    """Somebody who may object.

    Both forms are called before a slot, a place in the line or anything else is
    taken, so they may take their time. What they raise goes to whoever delegates.

    Who often agrees, whoever it is, and knows so at once, may have a method
    ``agrees_at_once()``, too: it takes nothing, and gives True instead of being asked,
    or False to be asked. It is used where nothing is to be reserved.
    """

    def ask(self, asked: Asked) -> Objection | None:
        """Answer on this thread; None agrees."""
        ...

    async def aask(self, asked: Asked) -> Objection | None:
        """Do the same without stopping the event loop."""
        ...
