"""Settings of the room that undoes: the original report's triggers."""

from dataclasses import dataclass
from typing import ClassVar

from memguard.settings.values import Number, Room, Size, setting

_RATIO = Number("ratio", 0, 1, above_minimum=True)
_WINDOW = Number("seconds", 1, 7 * 86_400)
_COUNT = Number("samples", 1, 10**6, whole=True)
_REPORT = "original report: Immediate Rollback Triggers"


@dataclass(frozen=True, slots=True)
class RollbackSettings(Room):
    """When memguard undoes what it changed.

    Attributes:
        leak_bytes: Memory in use grew by more than this, under a load that did not
            [bytes].
        leak_window_seconds: ... within this time [s], ...
        leak_sample_count: ... in which memory was looked at so often at least [count].
        effectiveness_ratio: The collector frees less than this share of the garbage, ...
        effectiveness_window_seconds: ... as the median of this time [s], ...
        effectiveness_sample_count: ... in which it was measured so often at least [count].
        effectiveness_every_seconds: How often it is measured [s]: a scan and a
            collection.
        lag_seconds: An event loop comes round so much too late [s], ...
        lag_ratio: ... in more than this share of the looks ...
        lag_window_seconds: ... of this time [s], ...
        lag_sample_count: ... in which it was looked at so often at least [count].
        unresponsive_seconds: An event loop has not come round for this long [s].
        blocked_ratio: People deny more than this share of what they are asked, ...
        blocked_window_seconds: ... within this time [s], ...
        blocked_sample_count: ... in which so much was decided at least [count].
        command_timeout_seconds: How long the command may take that is run after
            undoing [s].
    """

    name: ClassVar[str] = "rollback"

    leak_bytes: int = setting(20_000_000, Size(1), _REPORT)
    leak_window_seconds: float = setting(600.0, _WINDOW, "chosen: several collections each part")
    leak_sample_count: int = setting(50, _COUNT, "ten of each of five parts")
    effectiveness_ratio: float = setting(0.70, _RATIO, _REPORT)
    effectiveness_window_seconds: float = setting(3600.0, _WINDOW, "chosen: an hour")
    effectiveness_sample_count: int = setting(3, _COUNT, "the least of which a median is robust")
    effectiveness_every_seconds: float = setting(600.0, _WINDOW, "below a thousandth of the time")
    lag_seconds: float = setting(1.0, Number("seconds", 0.001, 3600), "people notice a second")
    lag_ratio: float = setting(0.5, _RATIO, "chosen: more often than not")
    lag_window_seconds: float = setting(60.0, _WINDOW, "chosen: longer than a start-up")
    lag_sample_count: int = setting(20, _COUNT, "a third of a look a second")
    unresponsive_seconds: float = setting(
        30.0, Number("seconds", 0.01, 86_400), "usual patience of load balancers"
    )
    blocked_ratio: float = setting(0.50, _RATIO, _REPORT)
    blocked_window_seconds: float = setting(3600.0, _WINDOW, "chosen: an hour")
    blocked_sample_count: int = setting(20, _COUNT, "half of fewer happens by chance")
    command_timeout_seconds: float = setting(
        60.0, Number("seconds", 0.01, 86_400), "chosen: restarts take seconds"
    )
