"""What ties the rooms together that do not know each other.

Covers: people and memory that refuse delegations, memory that opens the circuit;
depths that reach the alert table.
Does not cover: any decision; those are the rooms' own.
"""

from collections.abc import Callable
from typing import Any

from memguard.admission.breaker import DelegationCircuitBreaker
from memguard.admission.circuit import CircuitState
from memguard.admission.consent import Asked, Objection
from memguard.admission.events import DelegationAdmitted
from memguard.admission.refusals import Reason
from memguard.events import EventBus
from memguard.oversight.approvals import HumanOversightManager
from memguard.oversight.critical import DEEP_DELEGATION, MEMORY_PRESSURE
from memguard.oversight.requests import Decision
from memguard.pressure.alerts import MemoryPressureAlertSystem
from memguard.pressure.events import AlertCleared, AlertRaised
from memguard.pressure.memory import MemoryReader
from memguard.pressure.monitor import ResourceMonitor

EMERGENCY = "memory is at its emergency level"
"""Why the circuit is opened, as a refusal says it."""


class ApprovalConsent:
    """Have people agree to deep delegations.

    Args:
        oversight: Knows from which depth on, and asks.
        asks: False to ask nobody, and object: for a guard that only observes.
    """

    def __init__(self, oversight: HumanOversightManager, *, asks: bool) -> None:
        self._oversight = oversight
        self._asks = asks

    def ask(self, asked: Asked) -> Objection | None:
        """Ask if the delegation is deep; object if it is denied."""
        context = _context_of(asked)
        if not self._asks:
            return self._would_ask(context)
        return _objection_of(self._oversight.review(DEEP_DELEGATION, context))

    async def aask(self, asked: Asked) -> Objection | None:
        """Do the same, and let the task wait."""
        context = _context_of(asked)
        if not self._asks:
            return self._would_ask(context)
        return _objection_of(await self._oversight.areview(DEEP_DELEGATION, context))

    def _would_ask(self, context: dict[str, Any]) -> Objection | None:
        if not self._oversight.is_critical(DEEP_DELEGATION, context):
            return None
        return Objection(Reason.APPROVAL, "a person would be asked", context["depth"])


class MemoryConsent:
    """Let the resource monitor object to a delegation.

    To ask it takes tens of microseconds at most, so both forms do the same, except that
    people may overrule it where they are to be asked: from the share of the limit on
    that the oversight has, and below the emergency level.

    Args:
        monitor: Knows whether there is memory.
        reader: Where memory is read.
        oversight: Asks people; None to take the monitor's word.
    """

    def __init__(
        self,
        monitor: ResourceMonitor,
        reader: MemoryReader,
        oversight: HumanOversightManager | None = None,
    ) -> None:
        self._monitor = monitor
        self._reader = reader
        self._oversight = oversight

    def ask(self, asked: Asked) -> Objection | None:
        """Object where there is no memory for one more agent."""
        objection = self._objection(asked)
        context = self._question(objection, asked)
        if context is None or self._oversight is None:
            return objection
        decision = self._oversight.review(MEMORY_PRESSURE, context)
        return objection if decision is None else _objection_of(decision)

    async def aask(self, asked: Asked) -> Objection | None:
        """Do the same, and let the task wait."""
        objection = self._objection(asked)
        context = self._question(objection, asked)
        if context is None or self._oversight is None:
            return objection
        decision = await self._oversight.areview(MEMORY_PRESSURE, context)
        return objection if decision is None else _objection_of(decision)

    def _objection(self, asked: Asked) -> Objection | None:
        decision = self._monitor.ask(needed_bytes=asked.cost_bytes)
        if decision.granted:
            return None
        return Objection(
            Reason.MEMORY, decision.reason, retry_after_seconds=decision.retry_after_seconds
        )

    def _question(self, objection: Objection | None, asked: Asked) -> dict[str, Any] | None:
        if objection is None or self._oversight is None:
            return None
        ratio = self._reader.read().used_ratio
        if ratio is None:
            return None
        return {"memory_percent": ratio * 100, "chain": asked.chain}


def _context_of(asked: Asked) -> dict[str, Any]:
    return {"depth": asked.depth, "chain": asked.chain}


def _objection_of(decision: Decision | None) -> Objection | None:
    if decision is None or decision.is_approved:
        return None
    return Objection(Reason.APPROVAL, str(decision))


class EmergencyStop:
    """Open the circuit in a memory emergency, and let it be tried again after."""

    def __init__(self, breaker: DelegationCircuitBreaker) -> None:
        self._breaker = breaker
        self._has_opened = False

    def raised(self, event: AlertRaised) -> None:
        """Open it, if memory is what the alert is about."""
        if event.quantity == "memory" and event.level == "emergency":
            self._has_opened = True
            self._breaker.open(EMERGENCY)

    def cleared(self, event: AlertCleared) -> None:
        """Half-open what was opened here, and has not been closed by anybody since."""
        if event.quantity == "memory" and self._has_opened:
            self._has_opened = False
            if self._breaker.current_state is CircuitState.OPEN:
                self._breaker.half_open()


def connect(
    events: EventBus, breaker: DelegationCircuitBreaker, alerts: MemoryPressureAlertSystem
) -> list[Callable[[], None]]:
    """Subscribe all that has to hear of each other; gives what ends it."""
    stop = EmergencyStop(breaker)

    def look_at_depth(event: DelegationAdmitted) -> None:
        alerts.check_delegation_depth(len(event.chain) - 1 + first_depth)

    first_depth = breaker.first_depth
    return [
        events.subscribe(AlertRaised, stop.raised),
        events.subscribe(AlertCleared, stop.cleared),
        events.subscribe(DelegationAdmitted, look_at_depth),
    ]
