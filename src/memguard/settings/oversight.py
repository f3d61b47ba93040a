"""Settings of the room that asks people, and keeps what they answered."""

from dataclasses import dataclass
from typing import ClassVar

from memguard.settings.values import Choice, Number, Room, Size, setting

_MOST_SECONDS = 10 * 365 * 86_400
_COUNT = Number("requests", 1, 10**6, whole=True)
_REPORT = "original report: HumanOversightManager.critical_operations"


@dataclass(frozen=True, slots=True)
class OversightSettings(Room):
    """What is asked beforehand, how long an answer may take, what is kept of it.

    Attributes:
        delegation_depth: From this depth on a delegation is critical [count].
        memory_ratio: From this share of the memory limit on, what takes more is critical.
        circular_reference_count: From so many circular references on, what makes more is
            critical [count].
        unknown_operations: What happens to an operation that nobody knows: it is
            approved, asked, or denied; logged in any case.
        timeout_seconds: How long an answer may take; then it is no [s].
        max_pending_count: Requests that may wait for an answer; one more is denied
            at once [count].
        max_remembered_count: Answers that are remembered, if they say so [count].
        audit_keep_seconds: Entries of the audit are kept that long [s]; None for ever.
        audit_keep_bytes: ... and so many bytes of the newest [bytes]; None for all.
    """

    name: ClassVar[str] = "oversight"

    delegation_depth: int = setting(4, Number("delegations", 1, 10**6, whole=True), _REPORT)
    memory_ratio: float = setting(0.80, Number("ratio", 0, 1, above_minimum=True), _REPORT)
    circular_reference_count: int = setting(
        5, Number("references", 1, whole=True), "original report: Automated Alert Thresholds"
    )
    unknown_operations: str = setting(
        "approve",
        Choice(("approve", "ask", "deny")),
        "original report: auto-approved, but not silently",
    )
    timeout_seconds: float = setting(
        300.0,
        Number("seconds", 0, _MOST_SECONDS, above_minimum=True),
        "chosen: a person who is at hand answers within five minutes",
    )
    max_pending_count: int = setting(100, _COUNT, "chosen: nobody reads more than a page")
    max_remembered_count: int = setting(1000, _COUNT, "chosen: a remembered answer is about 1 kB")
    audit_keep_seconds: float | None = setting(
        365 * 86_400.0,
        Number(
            "seconds", 0, _MOST_SECONDS, optional=True, above_minimum=True, none_means="for ever"
        ),
        "chosen: a year",
    )
    audit_keep_bytes: int | None = setting(
        256 * 2**20, Size(2**16, optional=True, none_means="all"), "about half a million decisions"
    )
