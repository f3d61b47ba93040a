"""Settings of alerts: the original report's table, and what keeps them few and true."""

from dataclasses import dataclass
from typing import ClassVar

from memguard.settings.values import Number, Room, setting

_RATIO = Number("ratio", 0, 1, above_minimum=True)
_POINTS = Number("percent points", 0, 100, above_minimum=True)
_TABLE = "original report: Automated Alert Thresholds"


@dataclass(frozen=True, slots=True)
class AlertSettings(Room):
    """When people are told.

    Attributes:
        warning_ratio: Share of the memory limit for a warning.
        critical_ratio: ... for a critical alert.
        emergency_ratio: ... for an emergency.
        circular_reference_count: From so many circular references on, a warning.
        delegation_depth: A delegation deeper than this is a critical alert [count].
        gc_effectiveness_ratio: Effectiveness below this is an emergency.
        leave_ratio: A level of memory is left when the share is so far below it.
        leave_effectiveness_ratio: The emergency is left when effectiveness is so
            far above its threshold.
        reading_points: A reading beyond a level of memory counts for at most so much
            [percent points].
        far_points: A reading further beyond a level than this [percent points] is as
            likely a spike, ...
        far_reading_points: ... and counts for this much, where a level is entered
            [percent points].
        evidence_points: The level is entered, or left, when that sums up to this much
            [percent points].
        repeat_count: A level that is entered and left is told so often ...
        repeat_seconds: ... in this time, and then not before that has passed [s].
    """

    name: ClassVar[str] = "alerts"

    warning_ratio: float = setting(0.60, _RATIO, _TABLE)
    critical_ratio: float = setting(0.80, _RATIO, _TABLE)
    emergency_ratio: float = setting(0.95, _RATIO, _TABLE)
    circular_reference_count: int = setting(5, Number("references", 1, whole=True), _TABLE)
    delegation_depth: int = setting(4, Number("delegations", 1, whole=True), _TABLE)
    gc_effectiveness_ratio: float = setting(0.80, _RATIO, _TABLE)
    leave_ratio: float = setting(0.05, Number("ratio", 0, 1), "as the monitor's 0.80 and 0.75")
    leave_effectiveness_ratio: float = setting(0.05, Number("ratio", 0, 1), "as leave_ratio")
    reading_points: float = setting(1.0, _POINTS, "benchmarks/alerts.py")
    far_points: float = setting(2.0, _POINTS, "twice what readings waver by")
    far_reading_points: float = setting(0.6, _POINTS, "spikes of five readings are not enough")
    evidence_points: float = setting(5.0, _POINTS, "benchmarks/alerts.py")
    repeat_count: int = setting(3, Number("alerts", 1, whole=True), "a person takes in three")
    repeat_seconds: float = setting(60.0, Number("seconds"), "... a minute")

    def _check_together(self) -> None:
        self._order("warning_ratio", "critical_ratio", "emergency_ratio")
