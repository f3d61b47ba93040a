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
