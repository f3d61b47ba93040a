"""What ties the rooms together that do not know each other.

Covers: memory that refuses delegations, opens the circuit and climbs the relief
ladder; depths that reach the alert table.
Does not cover: any decision; those are the rooms' own.
"""

from collections.abc import Callable

from memguard.admission.breaker import DelegationCircuitBreaker
from memguard.admission.circuit import CircuitState
from memguard.admission.consent import Asked, Objection
from memguard.admission.events import DelegationAdmitted
from memguard.admission.refusals import Reason
from memguard.events import EventBus
from memguard.pressure.alerts import MemoryPressureAlertSystem
from memguard.pressure.events import AlertCleared, AlertRaised
from memguard.pressure.monitor import ResourceMonitor

EMERGENCY = "memory is at its emergency level"
"""Why the circuit is opened, as a refusal says it."""


class MemoryConsent:
    """Let the resource monitor object to a delegation.

    To ask it takes tens of microseconds at most, so both forms do the same.
    """

    def __init__(self, monitor: ResourceMonitor) -> None:
        self._monitor = monitor

    def ask(self, asked: Asked) -> Objection | None:
        """Object where there is no memory for one more agent."""
        decision = self._monitor.ask(needed_bytes=asked.cost_bytes)
        if decision.granted:
            return None
        return Objection(
            Reason.MEMORY, decision.reason, retry_after_seconds=decision.retry_after_seconds
        )

    async def aask(self, asked: Asked) -> Objection | None:
        """Do the same."""
        return self.ask(asked)


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
