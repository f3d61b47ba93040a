"""Whether one more agent may be started, decided from numbers.

Covers: the rule, without a clock or a file.
Does not cover: reading memory, promises, and telling others (``monitor``).
"""

from dataclasses import dataclass, replace

from memguard.events import Event
from memguard.pressure.events import SpawnsAllowed, SpawnsRefused
from memguard.pressure.reading import MemoryReading
from memguard.settings import PressureSettings


@dataclass(frozen=True, slots=True)
class Asked:
    """What a decision is made from.

    Attributes:
        reading: Memory as it is.
        needed_bytes: What the new agent will take [bytes].
        promised_bytes: What others were promised and do not use yet [bytes].
        now_seconds: The time, on a clock that only grows [s].
        is_promise: The bytes will be promised, and so need not be guessed.
    """

    reading: MemoryReading
    needed_bytes: int
    promised_bytes: int
    now_seconds: float
    is_promise: bool = False


@dataclass(frozen=True, slots=True)
class MonitorState:
    """What the monitor remembers between two questions.

    Attributes:
        refusing: Spawns are refused until memory is below the lower ratio.
        refused_count: How many were refused since that began.
        unseen: What was granted, without a promise, so shortly before that no reading
            may show it: when [s], and for how many bytes.
    """

    refusing: bool = False
    refused_count: int = 0
    unseen: tuple[tuple[float, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """Yes or no.

    Attributes:
        granted: Whether the agent may be started.
        reason: Why not, in a sentence; "" for yes.
        retry_after_seconds: When to ask again [s]; None when nobody can say.
    """

    granted: bool
    reason: str = ""
    retry_after_seconds: float | None = None


def decide(
    asked: Asked, settings: PressureSettings, state: MonitorState
) -> tuple[Decision, MonitorState, tuple[Event, ...]]:
    """Say whether one more agent may be started.

    Returns:
        The answer, what to remember, and what happened.
    """
    reason = _too_full(asked, settings, refusing=state.refusing)
    ratio = _ratio_with(asked.reading, asked.promised_bytes)
    if reason:
        event = SpawnsRefused(reason, ratio)
        return (
            Decision(False, reason),
            replace(state, refusing=True, refused_count=state.refused_count + 1),
            () if state.refusing else (event,),
        )
    events = (SpawnsAllowed(ratio, state.refused_count),) if state.refusing else ()
    seen_seconds = asked.now_seconds - settings.ramp_seconds
    unseen = tuple(start for start in state.unseen if start[0] > seen_seconds)
    state = MonitorState(unseen=unseen)
    decision = _throttle(asked, settings, unseen)
    if decision.granted and not asked.is_promise:
        start = (asked.now_seconds, asked.needed_bytes or settings.assumed_bytes)
        state = MonitorState(unseen=(*unseen, start))
    return decision, state, events


def _throttle(
    asked: Asked, settings: PressureSettings, unseen: tuple[tuple[float, int], ...]
) -> Decision:
    """Say whether this one fits beside what is in use, promised, and not seen yet."""
    unseen_bytes = sum(size_bytes for _, size_bytes in unseen)
    wait_seconds = unseen[-1][0] + settings.ramp_seconds - asked.now_seconds if unseen else None
    reason = _does_not_fit(asked, settings, unseen_bytes)
    if reason:
        return Decision(False, reason, wait_seconds)
    ratio = _ratio_with(asked.reading, asked.promised_bytes + unseen_bytes)
    if unseen and ratio is not None and ratio >= settings.ramp_ratio:
        reason = (
            f"{ratio:.1%} of the memory limit may be in use, for the effect of the last start"
            f" cannot be seen yet; from {settings.ramp_ratio:.0%} on they are granted"
            f" {settings.ramp_seconds:g} s apart"
        )
        return Decision(False, reason, wait_seconds)
    return Decision(True)


def _ratio_with(reading: MemoryReading, more_bytes: int) -> float | None:
    return max(
        (
            (bound.used_bytes + more_bytes) / max(1, bound.limit.limit_bytes)
            for bound in reading.bounds
        ),
        default=None,
    )


def _too_full(asked: Asked, settings: PressureSettings, *, refusing: bool) -> str:
    """Say why nothing may be started, whatever it needs; "" if it may."""
    margin = settings.leave_ratio if refusing else 0
    most_used = settings.refuse_used_bytes
    if most_used is not None:
        # The lower end of a size is as far below it as that of a share.
        used = asked.reading.rss_bytes + asked.promised_bytes
        if used >= most_used * (1 - margin / settings.refuse_ratio):
            return (
                f"the process has {_megabytes(used)} in use or promised; spawns are refused"
                f" from {_megabytes(most_used)} on"
            )
    ratio = _ratio_with(asked.reading, asked.promised_bytes)
    if ratio is None or ratio < settings.refuse_ratio - margin:
        return ""
    tightest = max(
        asked.reading.bounds,
        key=lambda bound: (
            (bound.used_bytes + asked.promised_bytes) / max(1, bound.limit.limit_bytes)
        ),
    )
    return (
        f"{ratio:.1%} of {tightest.limit.source} ({_megabytes(tightest.limit.limit_bytes)}) is in"
        f" use or promised; spawns are refused from {settings.refuse_ratio:.0%} on, until it is"
        f" below {settings.refuse_ratio - settings.leave_ratio:.0%}"
    )


def _does_not_fit(asked: Asked, settings: PressureSettings, unseen_bytes: int) -> str:
    """Say why just this one may not be started; "" if it may."""
    if not asked.needed_bytes:
        return ""
    more_bytes = asked.promised_bytes + unseen_bytes + asked.needed_bytes
    for bound in asked.reading.bounds:
        most = settings.refuse_ratio * bound.limit.limit_bytes
        together = bound.used_bytes + more_bytes
        if together > most:
            return (
                f"{_megabytes(asked.needed_bytes)} more would make {_megabytes(together)} of"
                f" {bound.limit.source}; up to {_megabytes(most)} may be used"
            )
    most_used = settings.refuse_used_bytes
    together = asked.reading.rss_bytes + more_bytes
    if most_used is not None and together > most_used:
        return f"{_megabytes(together)} would be more than the {_megabytes(most_used)} of the limit"
    return ""


def _megabytes(size_bytes: float) -> str:
    return f"{size_bytes / 1e6:,.1f} MB"
