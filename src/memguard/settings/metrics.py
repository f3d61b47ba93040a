"""Settings of the room that counts."""

from dataclasses import dataclass
from typing import ClassVar

from memguard.settings.values import Number, Room, setting


@dataclass(frozen=True, slots=True)
class MetricsSettings(Room):
    """How often numbers are kept, and how many.

    Attributes:
        sample_seconds: How often a guard keeps a snapshot [s].
        history_count: Snapshots that are kept [count].
        event_count: Events that are kept [count].
        scan_seconds: How long a count of circular references, and the effectiveness of
            the collector, stay good [s]: each costs a scan or two and a collection.
    """

    name: ClassVar[str] = "metrics"

    sample_seconds: float = setting(
        10.0, Number("seconds", 0.01, 86_400), "chosen: an hour is 360 snapshots"
    )
    history_count: int = setting(
        360, Number("snapshots", 1, 10**6, whole=True), "an hour of snapshots, 3 kB each"
    )
    event_count: int = setting(
        100, Number("events", 1, 10**6, whole=True), "chosen: more than a page shows"
    )
    scan_seconds: float = setting(
        60.0, Number("seconds", 0, 86_400), "a scan of 10^7 objects a minute is 1 % of the time"
    )
