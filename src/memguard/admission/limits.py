"""What is asked for one agent, rather than of a breaker as a whole.

See also: ``memguard.settings.admission`` for the limits of a breaker.
"""

from dataclasses import dataclass

from memguard.errors import LimitOutOfRangeError
from memguard.settings.values import Kind, Number, Size

_ALLOWED: dict[str, Kind] = {
    "max_live": Number("agents", 0, 10**18, whole=True, optional=True),
    "cost_bytes": Size(0, optional=True, none_means="what is expected"),
    "measured_bytes": Size(0),
    "wait_seconds": Number("seconds", 0, optional=True, none_means="to wait without end"),
}


def check(option: str, value: object) -> None:
    """Refuse a value that an option of this name cannot have.

    Raises:
        LimitOutOfRangeError: It is of a wrong type or out of range.
    """
    kind = _ALLOWED[option]
    if not kind.accepts(value):
        raise LimitOutOfRangeError(option, value, kind.allowed)


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
