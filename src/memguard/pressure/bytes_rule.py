"""When a full collection is due, by the bytes that garbage may hold.

Covers: the rule, without a clock, a thread or the collector itself.
Does not cover: reading memory and collecting (``watcher``).

The collector counts objects, while agents hold bytes: a cycle of four contexts that
holds a megabyte is four objects. So what the allocators have in use is watched, and
a full collection is due when it grew by a share of the working set.
"""

from dataclasses import dataclass, replace

from memguard.settings import CollectorSettings

LARGEST_CREDIT_SECONDS = 1.0
"""How much time for collections may be saved up [s]."""

TARE_WEIGHT = 0.5
"""Weight of the last measurement in what a collection that finds nothing takes, where
that was more; what is less is believed at once."""

TARE_COUNT = 16
"""That is measured once in so many collections, and more often among the first."""

START_SECONDS = 1.0
"""At the start there is the credit of so much time [s]."""

FREEING_SECONDS = 5e-6
"""A collection that took longer than this for each object it freed [s], and
`FREEING_BYTES_SECONDS` for each byte, mostly looked at what lives. Source: 0.7 to 0.9
microseconds an object in LangGraph's failing runs ..."""

FREEING_BYTES_SECONDS = 1e-9
"""... and 0.1 nanoseconds a byte in large blocks, 0.5 in strings [s]."""

EARLY_RATIO = 0.01
"""Where looking at what lives takes at most this share of the time since the last
collection, the next one comes at half the growth. To spend all of the budget on that
took twice the time in LangGraph, and saved a tenth of the memory."""

CHEAP_COUNT = 10
"""Where saved-up time pays for so many collections, they come earlier still if that
keeps pauses short."""

TRIM_SHARE = 0.1
"""Share of the budget that giving memory back may take; collections have the rest. It
took 0.1 % of the time at most in ``benchmarks/collector.py``."""

SHORTEST_WAIT_SECONDS = 0.005
"""Memory is looked at no more often than this [s], however fast it grows: at 0.002 the
looks took a fifth of what agents without cycles did."""

STEP_SECONDS = 0.002
"""How often ``malloc`` is asked whether so much is in use that a look is due [s]. The
program need not stop for that."""

RATE_WEIGHT = 0.2
"""Weight of what was seen last in what is expected, where that was less."""

THAW_FACTOR = 2
"""A working set so many times larger than it was may hide garbage that was frozen."""


@dataclass(frozen=True, slots=True)
class HeapSample:
    """What was read.

    Attributes:
        in_use_bytes: What the allocators have given out [bytes].
        free_bytes: What ``malloc`` keeps free [bytes].
        idle_bytes: Resident pages in which nothing is in use [bytes].
        now_seconds: The time, on a clock that only grows [s].
    """

    in_use_bytes: int
    free_bytes: int
    idle_bytes: int
    now_seconds: float


@dataclass(frozen=True, slots=True)
class HeapState:
    """What the rule remembers.

    Attributes:
        frozen_bytes: In use when objects were frozen [bytes].
        floor_bytes: In use after the last collection [bytes], or less since.
        first_floor_bytes: In use after the first collection since objects were
            frozen [bytes]; None before it.
        credit_seconds: Time that collections may take [s].
        tare_seconds: What a full collection takes that frees nothing [s]. Only this
            is charged: to free garbage takes its time whenever it is done, and to
            wait would let it, and the pause, grow.
        seconds_a_byte: What one takes of late for each byte that it frees [s], beyond
            that.
        collection_count: How many there were.
        collected_seconds: When the last one was [s].
        trim_credit_seconds: Time that giving memory back may take [s].
        seen_seconds: When credit was last added [s].
        seen_bytes: What was in use then, or after a collection since [bytes].
        rate: How fast it grew of late [bytes/s].
    """

    frozen_bytes: int
    floor_bytes: int
    seen_seconds: float
    first_floor_bytes: int | None = None
    credit_seconds: float = 0.0
    tare_seconds: float = 0.0
    seconds_a_byte: float = 0.0
    collection_count: int = 0
    collected_seconds: float = 0.0
    trim_credit_seconds: float = 0.0
    seen_bytes: int = 0
    rate: float = 0.0


@dataclass(frozen=True, slots=True)
class HeapAction:
    """What is to be done.

    Attributes:
        collect: A full collection.
        thaw: ... of what was frozen, too.
        trim: Free memory is to be given back to the system.
    """

    collect: bool = False
    thaw: bool = False
    trim: bool = False


def start_state(sample: HeapSample, settings: CollectorSettings) -> HeapState:
    """Give the state when watching begins; what is in use then is the program's own."""
    return HeapState(
        frozen_bytes=sample.in_use_bytes,
        floor_bytes=sample.in_use_bytes,
        seen_seconds=sample.now_seconds,
        collected_seconds=sample.now_seconds,
        credit_seconds=settings.budget_ratio * START_SECONDS,
    )


def growth_limit(settings: CollectorSettings, state: HeapState) -> int:
    """By how much use may grow before a collection is due [bytes]."""
    working_set = max(0, state.floor_bytes - state.frozen_bytes)
    limit = max(settings.growth_bytes, round(settings.growth_ratio * working_set))
    most = limit
    if state.seen_seconds >= _early_seconds(state):
        most = limit // 2
    if state.credit_seconds <= CHEAP_COUNT * state.tare_seconds:
        return most
    # Less garbage at a time is freed in a shorter pause.
    short_enough = settings.pause_seconds / max(state.seconds_a_byte, 1e-12)
    return round(min(most, max(limit / 8, short_enough)))


def _early_seconds(state: HeapState) -> float:
    """Say from when on a collection may come at half the growth [s]."""
    return state.collected_seconds + state.tare_seconds / EARLY_RATIO


def decide(
    sample: HeapSample, settings: CollectorSettings, state: HeapState
) -> tuple[HeapAction, HeapState]:
    """Say what is due now."""
    passed = max(0.0, sample.now_seconds - state.seen_seconds)
    rate = _rate(sample, state, passed)
    earned = settings.budget_ratio * passed
    state = replace(
        state,
        seen_seconds=sample.now_seconds,
        seen_bytes=sample.in_use_bytes,
        rate=rate,
        credit_seconds=_saved(state.credit_seconds + (1 - TRIM_SHARE) * earned),
        trim_credit_seconds=_saved(state.trim_credit_seconds + TRIM_SHARE * earned),
        # What references freed by themselves is no reason to wait longer.
        floor_bytes=min(state.floor_bytes, sample.in_use_bytes),
    )
    due = sample.in_use_bytes - state.floor_bytes >= growth_limit(settings, state)
    if due and _is_affordable(state):
        thaw = _may_hide_garbage(settings, state)
        return HeapAction(collect=True, thaw=thaw), state
    return HeapAction(trim=is_trim_due(sample, settings, state)), state


def _is_affordable(state: HeapState) -> bool:
    # A collection that costs more than can be saved up waits for all of that, and
    # leaves a debt: it comes late, but it comes.
    return state.credit_seconds >= min(state.tare_seconds, LARGEST_CREDIT_SECONDS)


def _saved(credit_seconds: float) -> float:
    return min(LARGEST_CREDIT_SECONDS, credit_seconds)


def _rate(sample: HeapSample, state: HeapState, passed_seconds: float) -> float:
    if passed_seconds <= 0:
        return state.rate
    return _quick_to_rise(
        state.rate, max(0, sample.in_use_bytes - state.seen_bytes) / passed_seconds
    )


def _quick_to_rise(known: float, latest: float) -> float:
    """Be quick to believe that it is more, and slow to believe that it is less."""
    return max(latest, known + RATE_WEIGHT * (latest - known))


@dataclass(frozen=True, slots=True)
class NextLook:
    """When to look again.

    Attributes:
        wait_seconds: After this time [s] ...
        due_bytes: ... or when so much is in use, if that is watched meanwhile; 0 where
            it would not help [bytes].
    """

    wait_seconds: float
    due_bytes: int = 0


def next_look(settings: CollectorSettings, state: HeapState, *, watched: bool) -> NextLook:
    """Say when to look again.

    Args:
        settings: How often at least.
        state: What is known.
        watched: What ``malloc`` gives out is watched until then. If not, the next look
            is at half of the way to where a collection is due.
    """
    longest = settings.check_seconds
    due_bytes = state.floor_bytes + growth_limit(settings, state)
    if watched and _is_affordable(state):
        early = _early_seconds(state) - state.seen_seconds
        return NextLook(min(longest, max(STEP_SECONDS, early)) if early > 0 else longest, due_bytes)
    left = due_bytes - state.seen_bytes
    if watched or state.rate <= 0 or left <= 0:
        return NextLook(longest)
    return NextLook(min(longest, max(SHORTEST_WAIT_SECONDS, left / 2 / state.rate)))


def is_trim_due(sample: HeapSample, settings: CollectorSettings, state: HeapState) -> bool:
    """Say whether so much memory lies idle that some should go back to the system.

    What the program will take again before the next collection is no idle memory:
    to give it back would cost more time than it saves room.
    """
    # Free blocks whose pages went back already are no longer resident.
    idle_bytes = min(sample.free_bytes, sample.idle_bytes)
    soon_bytes = state.floor_bytes + growth_limit(settings, state) - sample.in_use_bytes
    most_bytes = settings.trim_bytes + max(0, soon_bytes)
    return idle_bytes >= most_bytes and state.trim_credit_seconds > 0


def _may_hide_garbage(settings: CollectorSettings, state: HeapState) -> bool:
    first = state.first_floor_bytes
    return first is not None and state.floor_bytes > THAW_FACTOR * first + settings.growth_bytes


@dataclass(frozen=True, slots=True)
class Collected:
    """What a full collection did.

    Attributes:
        in_use_bytes: What is in use right after it [bytes].
        now_seconds: When that was read [s].
        cost_seconds: How long it took [s].
        freed_count: Objects that it freed.
        thawed: It looked at what was frozen, too.
    """

    in_use_bytes: int
    now_seconds: float
    cost_seconds: float
    freed_count: int
    thawed: bool = False


def mostly_freed(state: HeapState, collected: Collected) -> bool:
    """Say whether it took its time to free garbage, and not to look at what lives."""
    freed_bytes = max(0, state.seen_bytes - collected.in_use_bytes)
    freeing_seconds = FREEING_SECONDS * collected.freed_count + FREEING_BYTES_SECONDS * freed_bytes
    return collected.cost_seconds <= freeing_seconds


def is_tare_due(state: HeapState, collected: Collected) -> bool:
    """Say whether to find out after it what a collection takes that frees nothing."""
    number = state.collection_count
    is_one_of_the_first = number < TARE_COUNT and number & (number - 1) == 0
    return (
        (is_one_of_the_first or number % TARE_COUNT == 0)
        and not collected.thawed
        and mostly_freed(state, collected)
    )


def after_collection(state: HeapState, collected: Collected) -> HeapState:
    """Give the state after a full collection."""
    first, cost_seconds = state.first_floor_bytes, collected.cost_seconds
    freed_bytes = state.seen_bytes - collected.in_use_bytes
    if freed_bytes > 0 and mostly_freed(state, collected):
        price = max(0.0, cost_seconds - state.tare_seconds) / freed_bytes
        state = replace(state, seconds_a_byte=_quick_to_rise(state.seconds_a_byte, price))
    if collected.thawed:
        # Everything was looked at, which the next one will not do.
        charged = cost_seconds
    elif mostly_freed(state, collected):
        charged = min(cost_seconds, state.tare_seconds)
    else:
        state = after_tare(state, cost_seconds)
        charged = cost_seconds
    return replace(
        state,
        floor_bytes=collected.in_use_bytes,
        seen_bytes=collected.in_use_bytes,
        seen_seconds=max(state.seen_seconds, collected.now_seconds),
        frozen_bytes=min(state.frozen_bytes, collected.in_use_bytes),
        first_floor_bytes=(collected.in_use_bytes if collected.thawed or first is None else first),
        credit_seconds=state.credit_seconds - charged,
        collection_count=state.collection_count + 1,
        collected_seconds=max(state.seen_seconds, collected.now_seconds),
    )


def after_tare(state: HeapState, cost_seconds: float) -> HeapState:
    """Give the state after a collection that freed next to nothing."""
    more = cost_seconds - state.tare_seconds
    if state.tare_seconds <= 0 or more <= 0:
        return replace(state, tare_seconds=cost_seconds)
    return replace(state, tare_seconds=state.tare_seconds + TARE_WEIGHT * more)


def after_trim(state: HeapState, cost_seconds: float) -> HeapState:
    """Give the state after memory was given back, in so much time [s]."""
    return replace(state, trim_credit_seconds=state.trim_credit_seconds - cost_seconds)
