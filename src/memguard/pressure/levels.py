"""Which level a quantity is at, and when a person is told.

Covers: levels that are entered at one value and left at another, noise, and alerts
that would repeat. Pure: no clock, nobody is told here.
Does not cover: the quantities, and telling (``alerts``).

A reading is noisy: collectors, caches and other processes move it. So readings are
evidence: each adds by how much it is beyond a level, at most so much, and a level
is entered when that sums up to enough; what contradicts is taken off. Of clear readings
few are needed, of those at the brink many. One far beyond is a new level or a spike,
which looks the same at first, and so counts for less than a clear one: a spike has to
last to be enough. What one would do at once, refuse a spawn or collect, does not wait for this;
see ``spawning`` and ``relief``.

Source: E. S. Page, "Continuous inspection schemes", 1954, with bounded steps; those of
    outliers are smaller, after F. R. Hampel, "The influence curve and its role in robust
    estimation", 1974.
"""

from dataclasses import dataclass, replace

from memguard.events import Event
from memguard.pressure.events import AlertCleared, AlertRaised
from memguard.settings import AlertSettings

LEVELS = ("normal", "warning", "critical", "emergency")
"""From the lowest to the highest."""


@dataclass(frozen=True, slots=True)
class Step:
    """Where a level begins and ends.

    Attributes:
        level: Its name.
        enter: It is entered here ...
        leave: ... and left beyond this.
    """

    level: str
    enter: float
    leave: float


@dataclass(frozen=True, slots=True)
class Ladder:
    """The levels of a quantity.

    Attributes:
        quantity: Its name.
        steps: Its levels but "normal", from the lowest to the highest.
        falling: Low values are the bad ones.
        strict: The value where a level begins is not in it yet.
        noisy: Readings are evidence, in percent points; else each is the truth.
    """

    quantity: str
    steps: tuple[Step, ...]
    falling: bool = False
    strict: bool = False
    noisy: bool = False

    def is_beyond(self, value: float, bound: float) -> bool:
        """Whether a value is so bad, or worse."""
        if value == bound:
            return not self.strict
        return value < bound if self.falling else value > bound

    def level_at(self, value: float) -> str:
        """Give the level of a single value."""
        found = "normal"
        for step in self.steps:
            if self.is_beyond(value, step.enter):
                found = step.level
        return found

    def threshold(self, level: str) -> float:
        """Give the value where a level begins."""
        return next(step.enter for step in self.steps if step.level == level)


@dataclass(frozen=True, slots=True)
class LevelState:
    """What is remembered of a quantity.

    Attributes:
        entered: Levels that are entered.
        evidence: For each step what speaks for entering it, or for leaving it.
        told: The level that was told last.
        told_seconds: When levels were told of late [s].
        held_back_count: Levels that came and went untold since the last event.
    """

    entered: frozenset[str] = frozenset()
    evidence: tuple[float, ...] = ()
    told: str = "normal"
    told_seconds: tuple[tuple[str, float], ...] = ()
    held_back_count: int = 0

    @property
    def level(self) -> str:
        """The highest level that is entered."""
        return max(self.entered, key=LEVELS.index, default="normal")


def decide(
    ladder: Ladder, value: float, now_seconds: float, settings: AlertSettings, state: LevelState
) -> tuple[LevelState, tuple[Event, ...]]:
    """Take one more reading.

    Returns:
        What to remember, and what is to be told.
    """
    before = state.level
    state = _weigh(ladder, value, settings, state)
    if state.level != before and before != state.told:
        state = replace(state, held_back_count=state.held_back_count + 1)
    if state.level == state.told:
        return state, ()
    recent = tuple(
        told for told in state.told_seconds if now_seconds - told[1] < settings.repeat_seconds
    )
    rises = LEVELS.index(state.level) > LEVELS.index(state.told)
    # A fall is told at once: else what is known of a level that was left is wrong.
    if rises and sum(level == state.level for level, _ in recent) >= settings.repeat_count:
        return state, ()
    event = _event(ladder, value, state)
    recent = (*recent, (state.level, now_seconds)) if rises else recent
    return replace(state, told=state.level, told_seconds=recent, held_back_count=0), (event,)


def _weigh(ladder: Ladder, value: float, settings: AlertSettings, state: LevelState) -> LevelState:
    """Add a reading to the evidence, and enter and leave levels by it."""
    entered = set(state.entered)
    evidence = list(state.evidence or (0.0,) * len(ladder.steps))
    for position, step in enumerate(ladder.steps):
        is_in = step.level in entered
        if ladder.noisy:
            beyond = step.leave - value if is_in else value - step.enter
            most = settings.reading_points
            if not is_in and beyond > settings.far_points:
                most = min(most, settings.far_reading_points)
            evidence[position] = max(0.0, evidence[position] + max(-most, min(most, beyond)))
            is_enough = evidence[position] >= settings.evidence_points
        else:
            is_enough = is_in is not ladder.is_beyond(value, step.leave if is_in else step.enter)
        if is_enough:
            evidence[position] = 0.0
            entered ^= {step.level}
    return replace(state, entered=frozenset(entered), evidence=tuple(evidence))


def _event(ladder: Ladder, value: float, state: LevelState) -> Event:
    if LEVELS.index(state.level) < LEVELS.index(state.told):
        return AlertCleared(ladder.quantity, state.level, state.told, value, state.held_back_count)
    return AlertRaised(
        ladder.quantity,
        state.level,
        state.told,
        value,
        ladder.threshold(state.level),
        state.held_back_count,
    )
