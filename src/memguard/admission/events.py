"""What happens at the door, as events.

Covers: who was admitted, had to wait, was turned away, came out; the circuit.
See also: ``memguard.events`` for the bus that hands them over.
"""

from dataclasses import dataclass
from typing import Literal

from memguard.admission.circuit import CircuitState
from memguard.admission.refusals import Reason
from memguard.events import Event


@dataclass(frozen=True, slots=True)
class DelegationAdmitted(Event):
    """A delegation may run.

    Attributes:
        chain: Names of the agents, the last one is who was admitted.
        run_id: Which admission of this breaker it is.
    """

    chain: tuple[str, ...]
    run_id: int


@dataclass(frozen=True, slots=True)
class DelegationRepeated(Event):
    """A delegation may run whose agent occurs in its own chain, as in A, B, A.

    Attributes:
        chain: Names of the agents, the last one is who was admitted.
        earlier_count: How often it occurred before [count].
    """

    chain: tuple[str, ...]
    earlier_count: int


@dataclass(frozen=True, slots=True)
class DelegationQueued(Event):
    """A delegation has to wait for a slot.

    Attributes:
        chain: Names of the agents, the last one is who waits.
        waiting_count: How many wait, this one counted [count].
    """

    chain: tuple[str, ...]
    waiting_count: int


@dataclass(frozen=True, slots=True)
class DelegationTurnedAway(Event):
    """A delegation was refused.

    Attributes:
        reason: Which limit refused.
        chain: Names of the agents, the last one is who was refused.
        limit: The limit.
        measured: What it would have been.
    """

    reason: Reason
    chain: tuple[str, ...]
    limit: float | str
    measured: float | str


@dataclass(frozen=True, slots=True)
class DelegationLetPass(Event):
    """A delegation would have been refused, but the breaker only observes.

    Attributes:
        reason: Which limit would have refused.
        chain: Names of the agents, the last one is who passed.
        limit: The limit.
        measured: What was measured.
    """

    reason: Reason
    chain: tuple[str, ...]
    limit: float | str
    measured: float | str


@dataclass(frozen=True, slots=True)
class DelegationEnded(Event):
    """A delegation was left.

    Attributes:
        chain: Names of the agents, the last one is who ended.
        run_id: Which admission of this breaker it was.
        outcome: Whether an exception went through it; what is excluded counts as
            "done", what cancels as "cancelled".
    """

    chain: tuple[str, ...]
    run_id: int
    outcome: Literal["done", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class CircuitChanged(Event):
    """The circuit opened, half-opened or closed.

    Attributes:
        before: What it was.
        after: What it is.
        reason: Why it opened; "" otherwise.
    """

    before: CircuitState
    after: CircuitState
    reason: str
