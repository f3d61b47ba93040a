"""What fires, and what was undone, as events."""

from dataclasses import dataclass
from typing import Literal

from memguard.events import Event

Trigger = Literal["leak", "effectiveness", "unresponsive", "blocked"]


@dataclass(frozen=True, slots=True)
class TriggerFired(Event):
    """One of the report's triggers fired.

    Attributes:
        trigger: Which.
        reason: What was measured, over what time, and the limit.
    """

    trigger: Trigger
    reason: str


@dataclass(frozen=True, slots=True)
class RolledBack(Event):
    """What memguard changed was undone, or would have been.

    Attributes:
        trigger: What fired; "asked" where somebody called for it.
        reason: What was measured, over what time, and the limit.
        undone: Changes that were undone, the newest first.
        failed: Changes that could not be, and why.
        command: What was run afterwards; empty for nothing.
        exit_code: With what it ended; None if it did not, or was not run.
        output: The end of what it printed, and what went wrong with it.
        is_dry: Nothing was undone or run: this is what would have been.
    """

    trigger: str
    reason: str
    undone: tuple[str, ...]
    failed: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    exit_code: int | None = None
    output: str = ""
    is_dry: bool = False
