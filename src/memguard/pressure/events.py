"""What happens to memory, as events."""

from dataclasses import dataclass

from memguard.events import Event


@dataclass(frozen=True, slots=True)
class SpawnsRefused(Event):
    """From now on no agent may be started.

    Attributes:
        reason: What was measured, and the limit.
        used_ratio: Share of the tightest limit that is in use or promised; None
            where no limit is known.
    """

    reason: str
    used_ratio: float | None


@dataclass(frozen=True, slots=True)
class SpawnsAllowed(Event):
    """Agents may be started again.

    Attributes:
        used_ratio: Share of the tightest limit that is in use or promised.
        refused_count: How many were refused meanwhile.
    """

    used_ratio: float | None
    refused_count: int


@dataclass(frozen=True, slots=True)
class AlertRaised(Event):
    """A level was entered, or a higher one.

    Attributes:
        quantity: What was measured: "memory", "circular_references",
            "delegation_depth" or "gc_effectiveness".
        level: "warning", "critical" or "emergency".
        previous: The level that was told before.
        value: What was measured; for memory a share of the limit [percent].
        threshold: Where the level begins.
        held_back_count: Levels of this quantity that came and went untold since the
            last event, for they came too soon after others.
    """

    quantity: str
    level: str
    previous: str
    value: float
    threshold: float
    held_back_count: int = 0


@dataclass(frozen=True, slots=True)
class AlertCleared(Event):
    """A level was left for a lower one.

    Attributes:
        quantity: What was measured.
        level: The level now, "normal" or a lower one.
        previous: The level that was told before.
        value: What was measured.
        held_back_count: Levels that came and went untold since the last event.
    """

    quantity: str
    level: str
    previous: str
    value: float
    held_back_count: int = 0
