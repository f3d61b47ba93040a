"""What a breaker counted."""

from collections.abc import Mapping
from dataclasses import dataclass

from memguard.admission.circuit import CircuitState
from memguard.admission.refusals import Reason


@dataclass(frozen=True, slots=True)
class AdmissionStatistics:
    """What a breaker counted, at one moment.

    Attributes:
        live_count: Delegations that have not ended [count].
        running_count: Those that take a slot: nothing runs below them [count].
        waiting_count: How many wait for a slot [count].
        peak_live_count: Most that were live at once [count].
        peak_running_count: Most slots that were taken at once [count].
        admitted_count: Delegations admitted so far [count].
        ended_count: Of those, how many ended [count].
        failed_count: Of those, how many an exception went through [count].
        abandoned_count: Of those, how many ended because whoever held them was
            gone [count].
        lent_count: How many began on the slot of their parent [count].
        repeated_count: How many were admitted although they occurred in their own
            chain before [count].
        refused_counts: Refusals so far, by reason [count].
        let_pass_counts: What would have been refused, if the breaker did not only
            observe, by reason [count].
        reserved_bytes: What live delegations have reserved [bytes].
        expected_bytes: What the next one of each agent would reserve, where that
            was measured [bytes].
        circuit_state: State of the circuit.
    """

    live_count: int
    running_count: int
    waiting_count: int
    peak_live_count: int
    peak_running_count: int
    admitted_count: int
    ended_count: int
    failed_count: int
    abandoned_count: int
    lent_count: int
    repeated_count: int
    refused_counts: Mapping[Reason, int]
    let_pass_counts: Mapping[Reason, int]
    reserved_bytes: int
    expected_bytes: Mapping[str, int]
    circuit_state: CircuitState

    @property
    def refused_count(self) -> int:
        """How many were refused so far [count]."""
        return sum(self.refused_counts.values())
