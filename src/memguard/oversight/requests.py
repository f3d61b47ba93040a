"""What is asked, and what is answered, as values.

Covers: requests, decisions, and how a decision came about.
Does not cover: when something is asked (``critical``), who answers (``approvers``).
"""

import secrets
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Literal, Self

from memguard.errors import LimitOutOfRangeError, UnknownOptionError

Verdict = Literal["approve", "deny"]

NOBODY = "memguard"
"""Who decided where no person did."""


class How(StrEnum):
    """How a decision came about."""

    ANSWERED = "answered"
    """Somebody was asked, and answered: a person, or what answers for one."""
    REMEMBERED = "remembered"
    """The same was asked before, and the answer said to remember it."""
    EXPIRED = "expired"
    """Nobody answered in time."""
    WITHDRAWN = "withdrawn"
    """Who asked does not want to know any more: it was cancelled."""
    QUEUE_FULL = "queue full"
    """Too many requests waited already; nobody was asked."""
    CLOSED = "closed"
    """The manager was closed meanwhile."""
    FAILED = "failed"
    """What was to answer, or the audit, raised."""


@dataclass(frozen=True, slots=True)
class Decision:
    """A yes or a no.

    Attributes:
        verdict: "approve" or "deny".
        by: Who decided.
        why: The reason, in words.
        remember_seconds: For how long the same question gets the same answer without
            being asked [s]; 0 for this once.

    Raises:
        UnknownOptionError: The verdict is another word.
        LimitOutOfRangeError: The time is below 0, or no number.
    """

    verdict: Verdict
    by: str
    why: str = ""
    remember_seconds: float = 0.0

    def __post_init__(self) -> None:
        if self.verdict not in ("approve", "deny"):
            raise UnknownOptionError("verdict", self.verdict, ("approve", "deny"))
        # A comparison with NaN is false, too.
        if not (_is_number(self.remember_seconds) and 0 <= self.remember_seconds < 10**12):
            raise LimitOutOfRangeError(
                "remember_seconds", self.remember_seconds, "a number of seconds of at least 0"
            )

    @classmethod
    def approve(cls, by: str, why: str = "", *, remember_seconds: float = 0.0) -> Self:
        """Make a yes."""
        return cls("approve", by, why, remember_seconds)

    @classmethod
    def deny(cls, by: str, why: str = "", *, remember_seconds: float = 0.0) -> Self:
        """Make a no."""
        return cls("deny", by, why, remember_seconds)

    @property
    def is_approved(self) -> bool:
        """Whether it is a yes."""
        return self.verdict == "approve"

    def __str__(self) -> str:
        word = "approved" if self.is_approved else "denied"
        return f"{word} by {self.by}" + (f": {self.why}" if self.why else "")


@dataclass(frozen=True, slots=True)
class ApprovalRequest:
    """A question to a person.

    Attributes:
        id: Names it, in all processes.
        operation: What is to happen, such as "deep_delegation".
        reason: The question, in a sentence.
        chain: Names of the agents that lead to it; empty where none do.
        measured: What was measured; None for nothing.
        limit: From where on it is critical; None for nowhere.
        asked_at: When it was asked [Unix time, s].
        expires_at: When it is denied for want of an answer [Unix time, s].
        idempotency_key: Requests of the same key, while one of them waits, are one.
    """

    id: str
    operation: str
    reason: str
    chain: tuple[str, ...]
    measured: float | str | None
    limit: float | str | None
    asked_at: float
    expires_at: float
    idempotency_key: str

    def to_dict(self) -> dict[str, Any]:
        """Give its fields, as JSON has them."""
        return {**asdict(self), "chain": list(self.chain)}


def new_id() -> str:
    """Make the name of a request: eight characters that a person can type."""
    # No i, l, o, u: they are taken for others, or make words. 40 bits.
    letters = "0123456789abcdefghjkmnpqrstvwxyz"
    return "".join(secrets.choice(letters) for _ in range(8))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
