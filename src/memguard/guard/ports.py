"""What ties the rooms together that do not know each other.

Covers: people and memory that refuse delegations, memory that opens the circuit;
depths for the alert table.
Does not cover: any decision; those are the rooms' own.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from memguard._admission import running_loop
from memguard.admission.breaker import DelegationCircuitBreaker
from memguard.admission.circuit import CircuitState
from memguard.admission.consent import Asked, Objection
from memguard.admission.refusals import Reason
from memguard.events import EventBus
from memguard.oversight.approvals import HumanOversightManager
from memguard.oversight.critical import DEEP_DELEGATION, MEMORY_PRESSURE
from memguard.oversight.requests import Decision
from memguard.pressure.alerts import MemoryPressureAlertSystem
from memguard.pressure.events import AlertCleared, AlertRaised
from memguard.pressure.memory import MemoryReader
from memguard.pressure.monitor import ResourceMonitor

_LEAST_WAIT_SECONDS = 0.001

EMERGENCY = "memory is at its emergency level"
"""Why the circuit is opened, as a refusal says it."""


class ApprovalConsent:
    """Have people agree to deep delegations.

    Args:
        oversight: Knows from which depth on, and asks.
        asks: False to ask nobody, and object: for a guard that only observes.

    Attributes:
        asks: May be changed.
    """

    def __init__(self, oversight: HumanOversightManager, *, asks: bool) -> None:
        self._oversight = oversight
        self.asks = asks

    def ask(self, asked: Asked) -> Objection | None:
        """Ask if the delegation is deep; object if it is denied."""
        context = _context_of(asked)
        if not self.asks:
            return self._would_ask(context)
        return _objection_of(self._oversight.review(DEEP_DELEGATION, context))

    async def aask(self, asked: Asked) -> Objection | None:
        """Do the same, and let the task wait."""
        context = _context_of(asked)
        if not self.asks:
            return self._would_ask(context)
        return _objection_of(await self._oversight.areview(DEEP_DELEGATION, context))

    def _would_ask(self, context: dict[str, Any]) -> Objection | None:
        if not self._oversight.is_critical(DEEP_DELEGATION, context):
            return None
        return Objection(Reason.APPROVAL, "a person would be asked", context["depth"])


class MemoryConsent:
    """Let the resource monitor object to a delegation.

    Where it only wants the effect of other starts to show first, that is waited for, a
    little: a burst is slowed down, and not refused. People may overrule it where they
    are to be asked: from the share of the limit on that the oversight has, and below
    the emergency level.

    Args:
        monitor: Knows whether there is memory.
        reader: Where memory is read.
        oversight: Asks people; None to take the monitor's word.
        patience_seconds: How long to wait for other starts [s].
        emergency_ratio: From this share of the limit on nobody is asked.
        asks: False to ask nobody.

    Attributes:
        asks: May be changed.
        patience_seconds: May be changed.
    """

    def __init__(
        self,
        monitor: ResourceMonitor,
        reader: MemoryReader,
        oversight: HumanOversightManager | None = None,
        *,
        patience_seconds: float = 0.0,
        emergency_ratio: float = 1.0,
        asks: bool = True,
    ) -> None:
        self.patience_seconds = patience_seconds
        self.asks = asks
        self._emergency_ratio = emergency_ratio
        self._monitor = monitor
        self._reader = reader
        self._oversight = oversight
        # Where memory is far from full, that is all there is to ask.
        self.agrees_at_once = monitor.spare

    def ask(self, asked: Asked) -> Objection | None:
        """Object where there is no memory for one more agent."""
        objection = self._objection(asked)
        waited_seconds = 0.0
        while (seconds := self._next_wait(objection, waited_seconds)) and running_loop() is None:
            time.sleep(seconds)
            waited_seconds += seconds
            objection = self._objection(asked)
        context = self._question(objection, asked)
        if context is None or self._oversight is None:
            return objection
        return self._after(self._oversight.review(MEMORY_PRESSURE, context), objection, asked)

    async def aask(self, asked: Asked) -> Objection | None:
        """Do the same, and let the task wait."""
        objection = self._objection(asked)
        waited_seconds = 0.0
        while seconds := self._next_wait(objection, waited_seconds):
            await asyncio.sleep(seconds)
            waited_seconds += seconds
            objection = self._objection(asked)
        context = self._question(objection, asked)
        if context is None or self._oversight is None:
            return objection
        decision = await self._oversight.areview(MEMORY_PRESSURE, context)
        return self._after(decision, objection, asked)

    def _after(
        self, decision: Decision | None, objection: Objection | None, asked: Asked
    ) -> Objection | None:
        """Say what holds once people were asked; None decided if nobody had to be."""
        if decision is None:
            return objection
        if decision.is_approved:
            self._monitor.overrule(needed_bytes=asked.cost_bytes)
        return _objection_of(decision)

    def _objection(self, asked: Asked) -> Objection | None:
        decision = self._monitor.ask(needed_bytes=asked.cost_bytes)
        if decision.granted:
            return None
        return Objection(
            Reason.MEMORY, decision.reason, retry_after_seconds=decision.retry_after_seconds
        )

    def _next_wait(self, objection: Objection | None, waited_seconds: float) -> float:
        """Say how long to wait before it is worth asking again [s]; 0 for not at all."""
        if objection is None or objection.retry_after_seconds is None:
            return 0.0
        seconds = max(_LEAST_WAIT_SECONDS, objection.retry_after_seconds)
        return seconds if waited_seconds + seconds <= self.patience_seconds else 0.0

    def _question(self, objection: Objection | None, asked: Asked) -> dict[str, Any] | None:
        if objection is None or self._oversight is None or not self.asks:
            return None
        ratio = self._reader.read().used_ratio
        if ratio is None or ratio >= self._emergency_ratio:
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
    breaker.tell_depth = alerts.check_delegation_depth
    breaker.quiet_depths = alerts.quiet_depths

    def tell_no_more() -> None:
        breaker.tell_depth = breaker.quiet_depths = None

    return [
        events.subscribe(AlertRaised, stop.raised),
        events.subscribe(AlertCleared, stop.cleared),
        tell_no_more,
    ]
