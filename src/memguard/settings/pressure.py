"""Settings of the room that watches the machine's memory."""

from dataclasses import dataclass
from typing import ClassVar

from memguard.settings.values import Number, Room, Size, setting

REPORT_REFUSE_BYTES = 500_000_000
"""Where the resource monitor of the original report refuses to spawn: 500 MB in use."""

_RATIO = Number("ratio", 0, 1, above_minimum=True)
_INTERVAL = Number("seconds", 0, 3600)


@dataclass(frozen=True, slots=True)
class PressureSettings(Room):
    """When a spawn is refused, and how often each source is read.

    Attributes:
        limit_bytes: The memory limit [bytes], where the true one cannot be seen
            (a pod's, behind a cgroup namespace); a smaller one that can be seen wins.
            Also ``MEMGUARD_MEMORY_LIMIT``.
        refuse_ratio: Spawns are refused from this share of the limit on.
        leave_ratio: ... until the share is so far below that.
        refuse_used_bytes: Spawns are also refused from this resident size of the
            process on [bytes]; the original report's is `REPORT_REFUSE_BYTES`.
        ramp_ratio: From this share of the limit on, starts that are not seen yet may take
            a quarter of what is left up to `refuse_ratio`, each counting for
            `assumed_bytes` at least; one is always granted.
        ramp_seconds: How long a start counts as not seen yet [s].
        ramp_wait_seconds: How long a guard lets one wait for those grants before it is
            refused [s].
        assumed_bytes: What a start that does not say what it needs counts for until
            then [bytes]; once it was seen what starts take, that counts.
        usage_seconds: A reading of what is in use is good for this long [s]; for a start
            far from all limits, for up to `limit_seconds`.
        allocator_seconds: ... and one of the allocators [s].
        limit_seconds: ... and one of limits, which may be resized [s].
        sample_seconds: How often a guard looks at memory by itself [s].
    """

    name: ClassVar[str] = "pressure"

    limit_bytes: int | None = setting(
        None, Size(1, optional=True, none_means="what the machine says"), "none is known"
    )
    refuse_ratio: float = setting(0.80, _RATIO, "original report: OS protection triggers at 80 %")
    leave_ratio: float = setting(0.05, Number("ratio", 0, 1), "resumes at 0.75, as hysteresis")
    refuse_used_bytes: int | None = setting(
        None, Size(1, optional=True), "off: 500 MB says nothing of a machine of another size"
    )
    ramp_ratio: float = setting(0.60, _RATIO, "original report: warning level")
    ramp_seconds: float = setting(0.05, _INTERVAL, "Temporal worker tuning: ramp_throttle, 50 ms")
    ramp_wait_seconds: float = setting(1.0, _INTERVAL, "chosen: twenty grants")
    assumed_bytes: int = setting(8 * 2**20, Size(0), "agents held 1 to 8 MiB in benchmarks")
    usage_seconds: float = setting(0.01, _INTERVAL, "a reading costs tens of microseconds")
    allocator_seconds: float = setting(
        0.1, _INTERVAL, "mallinfo2 takes milliseconds with 10^5 free chunks"
    )
    limit_seconds: float = setting(1.0, _INTERVAL, "limits change by hand or by an operator")
    sample_seconds: float = setting(
        1.0, Number("seconds", 0.01, 3600), "chosen: a look costs tens of microseconds"
    )
