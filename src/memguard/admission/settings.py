"""What admission assumes when nobody says otherwise.

Covers: every default and threshold of the room, once, with unit and source.
Does not cover: where values come from (files, environment).
"""

from dataclasses import dataclass, fields

from memguard.errors import LimitOutOfRangeError

_WHOLE = (int,)
_ANY = (int, float)
# Counts and bytes are C integers in the end.
_MOST = 2**62
_NONE = ", or None for no limit"
_ALLOWED: dict[str, tuple[tuple[type, ...], float, float, str]] = {
    **dict.fromkeys(
        (
            "max_depth",
            "max_parallel_delegations",
            "max_children",
            "max_descendants",
            "max_live",
            "max_repeats",
        ),
        (_WHOLE, 0, _MOST, "a whole number of at least 0" + _NONE),
    ),
    "max_bytes": (_WHOLE, 0, _MOST, "a whole number of bytes, at least 0" + _NONE),
    "cost_bytes": (
        _WHOLE,
        0,
        _MOST,
        "a whole number of bytes, at least 0, or None for what is expected",
    ),
    "measured_bytes": (_WHOLE, 0, _MOST, "a whole number of bytes, at least 0"),
    "default_cost_bytes": (_WHOLE, 0, _MOST, "a whole number of bytes, at least 0"),
    "wait_seconds": (
        _ANY,
        0,
        _MOST,
        "a number of seconds of at least 0, or None to wait without end",
    ),
    "fail_max": (_WHOLE, 1, _MOST, "a whole number of at least 1, or None never to open"),
    "reset_timeout_seconds": (_ANY, 0, _MOST, "a number of seconds of at least 0"),
    "success_threshold": (_WHOLE, 1, _MOST, "a whole number of at least 1"),
    "cost_smoothing_ratio": (_ANY, 0, 1, "a number from 0 to 1"),
    "look_again_seconds": (_ANY, 0.001, _MOST, "a number of seconds of at least 0.001"),
}
"""Types, least, greatest, and the same in words."""


@dataclass(frozen=True, slots=True)
class AdmissionSettings:
    """Limits of a `DelegationCircuitBreaker`; None means no such limit.

    Raises:
        LimitOutOfRangeError: A value is of a wrong type or out of range.

    Attributes:
        max_depth: Delegations in one chain, the first one counted [count].
            Source: the report, ``DelegationCircuitBreaker(max_depth=5)``.
        max_parallel_delegations: Agents that may run at once; who delegates and
            waits does not count [count]. Source: the report, ``= 10``.
        max_children: Delegations that one delegation may start in its life
            [count]. Source: none set; caps seen in the wild are 3 to 20.
        max_descendants: Delegations that may be started below one first
            delegation, in its life [count]. Source: none set; without it depth
            3 and fan-out 5 make 155 agents of one request.
        max_live: Delegations that may exist at once, running or waiting for
            those they started [count]. Source: none set.
        max_bytes: Bytes that live delegations may have reserved together
            [bytes]. Source: none set; memory pressure has a limit of its own.
        default_cost_bytes: What an agent reserves as long as nothing is known
            of it [bytes]. Source: 0, so that nothing is claimed that was not
            measured.
        max_repeats: How often an agent may occur again in its own chain
            [count]. Source: none set; a repeat is counted and told all the
            same, and `max_depth` ends it.
        wait_seconds: How long to wait for one of *max_parallel_delegations* [s];
            None waits without end. Source: the report refuses at once.
        fail_max: Failures in a row that open the circuit [count]; None never
            opens it. Source: pybreaker's default.
        reset_timeout_seconds: How long an open circuit refuses before it tries
            one [s]. Source: pybreaker's default.
        success_threshold: Successes in a row that close a half-open circuit
            [count, >= 1]. Source: pybreaker's default.
        cost_smoothing_ratio: Weight of the latest run in the average cost of an
            agent [ratio, 0 to 1]. Source: 0.25 forgets all but a tenth of a
            run after eight more (0.75 ** 8 = 0.10), so a change of the
            workload shows within about ten runs.
        look_again_seconds: How often those who wait look for holders whose event
            loop was closed, which nothing else tells [s]. Source: chosen; a
            look takes microseconds, and a closed loop is a rare accident.
    """

    max_depth: int | None = 5
    max_parallel_delegations: int | None = 10
    max_children: int | None = None
    max_descendants: int | None = None
    max_live: int | None = None
    max_bytes: int | None = None
    default_cost_bytes: int = 0
    max_repeats: int | None = None
    wait_seconds: float | None = 0.0
    fail_max: int | None = 5
    reset_timeout_seconds: float = 60.0
    success_threshold: int = 1
    cost_smoothing_ratio: float = 0.25
    look_again_seconds: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what means nothing, by name."""
        for field in fields(self):
            check(field.name, getattr(self, field.name))


def check(option: str, value: object) -> None:
    """Refuse a value that an option of this name cannot have.

    Raises:
        LimitOutOfRangeError: It is of a wrong type or out of range.
    """
    kinds, least, greatest, allowed = _ALLOWED[option]
    # Of exactly these types: a bool is no number, and comparing runs no other code.
    if type(value) in kinds and least <= value <= greatest:  # type: ignore[operator]
        return
    if value is not None or "None" not in allowed:
        raise LimitOutOfRangeError(option, value, allowed)


DEFAULTS = AdmissionSettings()


@dataclass(frozen=True, slots=True)
class AgentLimits:
    """Limits of the agents of one name.

    Raises:
        LimitOutOfRangeError: A value is of a wrong type or out of range.

    Attributes:
        max_live: How many of them may exist at once [count]; None for any number.
            One more is refused and never waits: an agent that waits for another
            name while it is waited for itself would wait for ever.
        cost_bytes: What each reserves [bytes]; None for what such agents took
            before.
    """

    max_live: int | None = None
    cost_bytes: int | None = None

    def __post_init__(self) -> None:
        """Refuse what means nothing, by name."""
        check("max_live", self.max_live)
        check("cost_bytes", self.cost_bytes)
