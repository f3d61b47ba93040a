"""What is asked and answered, as events."""

from dataclasses import dataclass

from memguard.events import Event
from memguard.oversight.requests import ApprovalRequest, Decision, How


@dataclass(frozen=True, slots=True)
class ApprovalRequested(Event):
    """A request waits for an answer.

    Attributes:
        request: It.
    """

    request: ApprovalRequest


@dataclass(frozen=True, slots=True)
class ApprovalDecided(Event):
    """A request was decided, once and for all.

    Attributes:
        request: It.
        decision: Yes or no.
        how: How that came about.
    """

    request: ApprovalRequest
    decision: Decision
    how: How


@dataclass(frozen=True, slots=True)
class UnknownOperation(Event):
    """An operation came that nobody knows to be critical or not.

    Attributes:
        operation: Its name.
        handling: What the settings say of it: "approve", "ask" or "deny".
    """

    operation: str
    handling: str
