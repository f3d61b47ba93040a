"""Settings of the room that decides whether an agent may start another one."""

from dataclasses import dataclass
from typing import ClassVar

from memguard.settings.values import Number, Room, Size, setting

# Counts are C integers in the end.
_MOST = 10**18
_LIMIT = Number("delegations", 0, _MOST, whole=True, optional=True)
_NOT_SET = "none set"


@dataclass(frozen=True, slots=True)
class AdmissionSettings(Room):
    """Limits of a `DelegationCircuitBreaker`; None means no such limit.

    Attributes:
        max_depth: Delegations in one chain, the first one counted [count].
        max_parallel_delegations: Agents that may run at once; who delegates and
            waits does not count [count].
        max_children: Delegations that one delegation may start in its life [count].
        max_descendants: Delegations that may be started below one first
            delegation, in its life [count]; without it depth 3 and fan-out 5 make
            155 agents of one request.
        max_live: Delegations that may exist at once, running or waiting for
            those they started [count].
        max_bytes: Bytes that live delegations may have reserved together [bytes].
        default_cost_bytes: What an agent reserves as long as nothing is known
            of it [bytes].
        max_repeats: How often an agent may occur again in its own chain [count]; a
            repeat is counted and told without a limit, too.
        wait_seconds: How long to wait for one of *max_parallel_delegations* [s];
            None waits without end.
        fail_max: Failures in a row that open the circuit [count]; None never
            opens it.
        reset_timeout_seconds: How long an open circuit refuses before it tries
            one [s].
        success_threshold: Successes in a row that close a half-open circuit [count].
        cost_smoothing_ratio: Weight of the latest run in the average cost of an
            agent [ratio].
        look_again_seconds: How often those who wait look for holders whose event
            loop was closed, which nothing else tells [s].
    """

    name: ClassVar[str] = "admission"

    max_depth: int | None = setting(
        5, _LIMIT, "original report: DelegationCircuitBreaker(max_depth=5)"
    )
    max_parallel_delegations: int | None = setting(10, _LIMIT, "original report: = 10")
    max_children: int | None = setting(
        None, _LIMIT, f"{_NOT_SET}; caps seen in the wild are 3 to 20"
    )
    max_descendants: int | None = setting(None, _LIMIT, _NOT_SET)
    max_live: int | None = setting(None, _LIMIT, _NOT_SET)
    max_bytes: int | None = setting(
        None, Size(0, optional=True), f"{_NOT_SET}; memory pressure has a limit of its own"
    )
    default_cost_bytes: int = setting(0, Size(0), "nothing is claimed that was not measured")
    max_repeats: int | None = setting(
        None, _LIMIT, f"{_NOT_SET}; max_depth ends a repetition all the same"
    )
    wait_seconds: float | None = setting(
        0.0,
        Number("seconds", 0, _MOST, optional=True, none_means="to wait without end"),
        "original report: refuses at once",
    )
    fail_max: int | None = setting(
        5,
        Number("failures", 1, _MOST, whole=True, optional=True, none_means="never to open"),
        "pybreaker's default",
    )
    reset_timeout_seconds: float = setting(60.0, Number("seconds", 0), "pybreaker's default")
    success_threshold: int = setting(
        1, Number("delegations", 1, _MOST, whole=True), "pybreaker's default"
    )
    cost_smoothing_ratio: float = setting(
        0.25,
        Number("ratio", 0, 1),
        "forgets all but a tenth of a run after eight more: 0.75 ** 8 = 0.10",
    )
    look_again_seconds: float = setting(
        1.0, Number("seconds", 0.001), "chosen: a look takes microseconds, a closed loop is rare"
    )
