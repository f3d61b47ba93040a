"""Whether one more agent may be started, decided from numbers.

Covers: the rule, without a clock or a file.
Does not cover: reading memory, promises, and telling others (``monitor``).
"""

import math
from dataclasses import dataclass, replace

from memguard.events import Event
from memguard.pressure.events import SpawnsAllowed, SpawnsRefused
from memguard.pressure.reading import MemoryUse
from memguard.settings import PressureSettings

_FORGETTING_RATIO = 0.25
"""How much of what starts take less is believed at each look."""

_FIRST_RATIO = 1 / 8
"""After the first look a start counts at least for this share of what is assumed at first."""

_HEAVIEST_RATIO = 1 / 4
"""A start counts at least for this share of the heaviest that was seen."""

_RAMP_SHARE = 1 / 4
"""From the ramp on, starts that cannot be seen yet may take this share of what is left."""

_LEAST_ASSUMED_RATIO = 1 / 128
"""A start counts at least for this share of what is assumed at first: 64 KiB of 8 MiB."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a decision is made from.

    Attributes:
        use: Memory as it is.
        needed_bytes: What the new agent will take [bytes].
        promised_bytes: What others were promised and do not use yet [bytes].
        unseen_bytes: What was granted, without a promise, so shortly before that no
            reading may show it [bytes].
        unseen_seconds: How long ago the last of those was [s]; None if there is none.
        unseen_count: How many those are [count].
    """

    use: MemoryUse
    needed_bytes: int
    promised_bytes: int
    unseen_bytes: float = 0
    unseen_seconds: float | None = None
    unseen_count: int = 0


@dataclass(frozen=True, slots=True)
class MonitorState:
    """What the monitor remembers between two questions.

    Attributes:
        refusing: Spawns are refused until memory is below the lower ratio.
        refused_count: How many were refused since that began.
        learned_bytes: What a start that did not say what it needs took lately; None
            until that was seen [bytes].
        heaviest_bytes: The most that a start was seen to take [bytes].
        mark: Since when starts are counted to learn that; None for not at all.
    """

    refusing: bool = False
    refused_count: int = 0
    learned_bytes: float | None = None
    heaviest_bytes: float = 0.0
    mark: "Mark | None" = None


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment from which growth is compared with starts.

    Attributes:
        now_seconds: When it was [s].
        rss_bytes: What was resident then [bytes].
        start_count: Starts until then that did not say what they need [count].
    """

    now_seconds: float
    rss_bytes: int
    start_count: int


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


GRANTED = Decision(True)


def decide(
    asked: Asked, settings: PressureSettings, state: MonitorState
) -> tuple[Decision, MonitorState, tuple[Event, ...]]:
    """Say whether one more agent may be started.

    Returns:
        The answer, what to remember, and what happened.
    """
    reason = _too_full(asked, settings, refusing=state.refusing)
    ratio = _ratio_with(asked.use, asked.promised_bytes)
    if reason:
        event = SpawnsRefused(reason, ratio)
        return (
            Decision(False, reason),
            replace(state, refusing=True, refused_count=state.refused_count + 1),
            () if state.refusing else (event,),
        )
    events = (SpawnsAllowed(ratio, state.refused_count),) if state.refusing else ()
    return _throttle(asked, settings), replace(state, refusing=False, refused_count=0), events


def learn(
    now_seconds: float,
    rss_bytes: int,
    start_count: int,
    settings: PressureSettings,
    state: MonitorState,
) -> MonitorState:
    """Compare what the process grew by with how many were started, once it can be seen.

    Args:
        now_seconds: The time, on a clock that only grows [s].
        rss_bytes: What is resident now [bytes].
        start_count: Starts so far that did not say what they need [count].
        settings: When it can be seen.
        state: What was learned before.
    """
    mark = state.mark
    if mark is not None and now_seconds - mark.now_seconds < settings.ramp_seconds:
        return state
    here = Mark(now_seconds, rss_bytes, start_count)
    if mark is None or start_count == mark.start_count:
        return replace(state, mark=here)
    each_bytes = max(0, rss_bytes - mark.rss_bytes) / (start_count - mark.start_count)
    heaviest_bytes = max(state.heaviest_bytes, each_bytes)
    learned = state.learned_bytes
    if learned is None:
        # One look is not enough to believe in nothing.
        learned = settings.assumed_bytes * _FIRST_RATIO
    if each_bytes < learned:
        # A larger one counts at once, a smaller one when it was seen again and again.
        each_bytes = learned + _FORGETTING_RATIO * (each_bytes - learned)
    return replace(state, mark=here, learned_bytes=each_bytes, heaviest_bytes=heaviest_bytes)


def assumed_bytes(settings: PressureSettings, state: MonitorState) -> float:
    """Give what a start that does not say what it needs counts for [bytes]."""
    if state.learned_bytes is None:
        return settings.assumed_bytes
    # Never nothing: the next ones may be larger.
    return max(
        state.learned_bytes,
        settings.assumed_bytes * _LEAST_ASSUMED_RATIO,
        # As many end as start, and nothing is seen to grow: what was seen once may come again.
        state.heaviest_bytes * _HEAVIEST_RATIO,
    )


def spare_bytes(use: MemoryUse, settings: PressureSettings) -> float:
    """Give how much more may be in use without a start that is refused [bytes].

    Returns:
        Infinity where no limit is known; nothing, or less, from a limit on.
    """
    ratio = min(settings.refuse_ratio, settings.ramp_ratio)
    spare = min(
        (ratio * bound.limit.limit_bytes - bound.used_bytes for bound in use.bounds),
        default=math.inf,
    )
    if settings.refuse_used_bytes is None:
        return spare
    return min(spare, settings.refuse_used_bytes - use.rss_bytes)


def _throttle(asked: Asked, settings: PressureSettings) -> Decision:
    """Say whether this one fits beside what is in use, promised, and not seen yet."""
    unseen_bytes, is_unseen = asked.unseen_bytes, asked.unseen_seconds is not None
    wait_seconds = (
        None if asked.unseen_seconds is None else settings.ramp_seconds - asked.unseen_seconds
    )
    reason = _does_not_fit(asked, settings, unseen_bytes)
    if reason:
        return Decision(False, reason, wait_seconds)
    ratio = _ratio_with(asked.use, asked.promised_bytes + unseen_bytes)
    if is_unseen and ratio is not None and ratio >= settings.ramp_ratio:
        # What was learned is not trusted here: memory may be taken later than it is looked.
        together = max(unseen_bytes, asked.unseen_count * settings.assumed_bytes)
        together += asked.needed_bytes or settings.assumed_bytes
        most = _left_bytes(asked, settings) * _RAMP_SHARE
        if together > most:
            reason = (
                f"{ratio:.1%} of the memory limit may be in use, for the effect of the last starts"
                f" cannot be seen yet; from {settings.ramp_ratio:.0%} on those of"
                f" {settings.ramp_seconds:g} s may take {_megabytes(max(0, most))} together"
            )
            return Decision(False, reason, wait_seconds)
    return GRANTED


def _left_bytes(asked: Asked, settings: PressureSettings) -> float:
    """Give how much more may be in use before every start is refused [bytes]."""
    promised_bytes = asked.promised_bytes
    left = min(
        settings.refuse_ratio * bound.limit.limit_bytes - bound.used_bytes - promised_bytes
        for bound in asked.use.bounds
    )
    if settings.refuse_used_bytes is None:
        return left
    return min(left, settings.refuse_used_bytes - asked.use.rss_bytes - promised_bytes)


def _ratio_with(use: MemoryUse, more_bytes: float) -> float | None:
    return max(
        ((bound.used_bytes + more_bytes) / max(1, bound.limit.limit_bytes) for bound in use.bounds),
        default=None,
    )


def _too_full(asked: Asked, settings: PressureSettings, *, refusing: bool) -> str:
    """Say why nothing may be started, whatever it needs; "" if it may."""
    margin = settings.leave_ratio if refusing else 0
    most_used = settings.refuse_used_bytes
    if most_used is not None:
        # The lower end of a size is as far below it as that of a share.
        used = asked.use.rss_bytes + asked.promised_bytes
        if used >= most_used * (1 - margin / settings.refuse_ratio):
            return (
                f"the process has {_megabytes(used)} in use or promised; spawns are refused"
                f" from {_megabytes(most_used)} on"
            )
    ratio = _ratio_with(asked.use, asked.promised_bytes)
    if ratio is None or ratio < settings.refuse_ratio - margin:
        return ""
    tightest = max(
        asked.use.bounds,
        key=lambda bound: (
            (bound.used_bytes + asked.promised_bytes) / max(1, bound.limit.limit_bytes)
        ),
    )
    return (
        f"{ratio:.1%} of {tightest.limit.source} ({_megabytes(tightest.limit.limit_bytes)}) is in"
        f" use or promised; spawns are refused from {settings.refuse_ratio:.0%} on, until it is"
        f" below {settings.refuse_ratio - settings.leave_ratio:.0%}"
    )


def _does_not_fit(asked: Asked, settings: PressureSettings, unseen_bytes: float) -> str:
    """Say why just this one may not be started; "" if it may."""
    if not asked.needed_bytes:
        return ""
    more_bytes = asked.promised_bytes + unseen_bytes + asked.needed_bytes
    for bound in asked.use.bounds:
        most = settings.refuse_ratio * bound.limit.limit_bytes
        together = bound.used_bytes + more_bytes
        if together > most:
            return (
                f"{_megabytes(asked.needed_bytes)} more would make {_megabytes(together)} of"
                f" {bound.limit.source}; up to {_megabytes(most)} may be used"
            )
    most_used = settings.refuse_used_bytes
    together = asked.use.rss_bytes + more_bytes
    if most_used is not None and together > most_used:
        return f"{_megabytes(together)} would be more than the {_megabytes(most_used)} of the limit"
    return ""


def _megabytes(size_bytes: float) -> str:
    return f"{size_bytes / 1e6:,.1f} MB"
