"""Whether one more agent may be started, decided from numbers.

Covers: the rule, without a clock or a file.
Does not cover: reading memory, promises, and telling others (``monitor``).
"""

from dataclasses import dataclass, replace

from memguard.events import Event
from memguard.pressure.events import SpawnsAllowed, SpawnsRefused
from memguard.pressure.reading import MemoryReading
from memguard.settings import PressureSettings

_FORGETTING_RATIO = 0.25
"""How much of what starts take less is believed at each look."""

_MOST_ROOM = 1000
"""Starts on one reading where no limit is known."""

_LEAST_ASSUMED_RATIO = 1 / 128
"""A start counts at least for this share of what is assumed at first: 64 KiB of 8 MiB."""


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
            may show it.
        learned_bytes: What a start that did not say what it needs took lately; None
            until that was seen [bytes].
        mark: Since when starts are counted to learn that; None for not at all.
    """

    refusing: bool = False
    refused_count: int = 0
    unseen: tuple["Starts", ...] = ()
    learned_bytes: float | None = None
    mark: "Mark | None" = None


@dataclass(frozen=True, slots=True)
class Starts:
    """What was granted within a short time.

    Attributes:
        begun_seconds: When the first was [s].
        last_seconds: When the last was [s].
        size_bytes: What they count for together [bytes].
    """

    begun_seconds: float
    last_seconds: float
    size_bytes: float


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment from which growth is compared with starts.

    Attributes:
        now_seconds: When it was [s].
        rss_bytes: What was resident then [bytes].
        start_count: Starts since then that did not say what they need [count].
    """

    now_seconds: float
    rss_bytes: int
    start_count: int = 0


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
    unseen = tuple(starts for starts in state.unseen if starts.last_seconds > seen_seconds)
    learned_bytes, mark = _learn(asked, settings, state)
    decision = _throttle(asked, settings, unseen)
    if decision.granted and not asked.is_promise:
        if not asked.needed_bytes:
            mark = Mark(mark.now_seconds, mark.rss_bytes, mark.start_count + 1)
        size_bytes = asked.needed_bytes or _assumed_bytes(settings, learned_bytes)
        unseen = _with_start(unseen, asked.now_seconds, size_bytes, settings)
    return decision, MonitorState(False, 0, unseen, learned_bytes, mark), events


def _learn(
    asked: Asked, settings: PressureSettings, state: MonitorState
) -> tuple[float | None, Mark]:
    """Compare what the process grew by with how many were started, once it can be seen."""
    rss_bytes, now = asked.reading.rss_bytes, asked.now_seconds
    mark = state.mark
    if mark is None:
        return state.learned_bytes, Mark(now, rss_bytes)
    if now - mark.now_seconds < settings.ramp_seconds:
        return state.learned_bytes, mark
    if not mark.start_count:
        return state.learned_bytes, Mark(now, rss_bytes)
    grown_bytes = max(0, rss_bytes - mark.rss_bytes) / mark.start_count
    learned = state.learned_bytes
    if learned is not None and grown_bytes < learned:
        # A larger one counts at once, a smaller one when it was seen again and again.
        grown_bytes = learned + _FORGETTING_RATIO * (grown_bytes - learned)
    return grown_bytes, Mark(now, rss_bytes)


def count_room(asked: Asked, settings: PressureSettings, state: MonitorState) -> int:
    """Say how many more may start on the same reading, each without saying what it needs.

    So many are granted whatever happens, for all of them together stay below each limit.
    """
    if asked.promised_bytes or state.refusing:
        return 0
    unseen_bytes = sum(starts.size_bytes for starts in state.unseen)
    ratio = min(settings.ramp_ratio, settings.refuse_ratio)
    rooms = [
        ratio * bound.limit.limit_bytes - bound.used_bytes - unseen_bytes
        for bound in asked.reading.bounds
    ]
    if settings.refuse_used_bytes is not None:
        rooms.append(settings.refuse_used_bytes - asked.reading.rss_bytes - unseen_bytes)
    # One less, for a ratio that is reached refuses.
    each_bytes = max(1.0, _assumed_bytes(settings, state.learned_bytes))
    fitting = (int(room_bytes / each_bytes) - 1 for room_bytes in rooms)
    return max(0, min(fitting, default=_MOST_ROOM))


def with_starts(
    state: MonitorState, count: int, now_seconds: float, settings: PressureSettings
) -> MonitorState:
    """Note starts that were granted within a `count_room`."""
    if not count or state.mark is None:
        return state
    size_bytes = count * _assumed_bytes(settings, state.learned_bytes)
    mark = state.mark
    return replace(
        state,
        unseen=_with_start(state.unseen, now_seconds, size_bytes, settings),
        mark=Mark(mark.now_seconds, mark.rss_bytes, mark.start_count + count),
    )


def _assumed_bytes(settings: PressureSettings, learned_bytes: float | None) -> float:
    if learned_bytes is None:
        return settings.assumed_bytes
    # Never nothing: the next ones may be larger.
    return max(learned_bytes, settings.assumed_bytes * _LEAST_ASSUMED_RATIO)


def _with_start(
    unseen: tuple[Starts, ...], now: float, size_bytes: float, settings: PressureSettings
) -> tuple[Starts, ...]:
    # Thousands may be started while none can be seen: those of a tenth of that time are one.
    if unseen and now - unseen[-1].begun_seconds <= settings.ramp_seconds / 10:
        last = unseen[-1]
        return (*unseen[:-1], Starts(last.begun_seconds, now, last.size_bytes + size_bytes))
    return (*unseen, Starts(now, now, size_bytes))


def _throttle(asked: Asked, settings: PressureSettings, unseen: tuple[Starts, ...]) -> Decision:
    """Say whether this one fits beside what is in use, promised, and not seen yet."""
    unseen_bytes = sum(starts.size_bytes for starts in unseen)
    wait_seconds = None
    if unseen:
        wait_seconds = unseen[-1].last_seconds + settings.ramp_seconds - asked.now_seconds
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


def _ratio_with(reading: MemoryReading, more_bytes: float) -> float | None:
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


def _does_not_fit(asked: Asked, settings: PressureSettings, unseen_bytes: float) -> str:
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
