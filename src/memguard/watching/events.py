"""What a watch tells, as events."""

from dataclasses import dataclass

from memguard.events import Event


@dataclass(frozen=True, slots=True)
class ShapeOutgrown(Event):
    """There are suddenly more cycles of one shape than there ever were.

    Attributes:
        key: By which the shape is known in every process; see `Shape`.
        path: Its loop, for people.
        cycle_count: How many there are [count].
        most_before_count: The most that there were in any earlier look; 0 for a
            shape that is new [count].
        retained_bytes: What would be freed with them [bytes].
    """

    key: str
    path: str
    cycle_count: int
    most_before_count: int
    retained_bytes: int


@dataclass(frozen=True, slots=True)
class ShapeGrows(Event):
    """The cycles of one shape become steadily more.

    Attributes:
        key: As of `ShapeOutgrown`, like what follows.
        path: See there.
        cycle_count: See there.
        per_minute_count: How many come about in a minute [count].
        retained_bytes: See there.
    """

    key: str
    path: str
    cycle_count: int
    per_minute_count: float
    retained_bytes: int


@dataclass(frozen=True, slots=True)
class ShapeOverBudget(Event):
    """The objects of one shape are more than was allowed.

    Attributes:
        key: As of `ShapeOutgrown`.
        path: See there.
        object_count: Members of all its cycles [count].
        budget_count: What is allowed [count].
        pattern: The pattern that the budget was given for.
    """

    key: str
    path: str
    object_count: int
    budget_count: int
    pattern: str


@dataclass(frozen=True, slots=True)
class CollectionExplained(Event):
    """A full collection stopped the program, and this is what it freed.

    Attributes:
        pause_seconds: How long it took [s].
        collected_count: Objects that the collector says it freed [count].
        shapes: What they were, most objects first: the loop where an earlier look
            knew the shape, else its types; and the number of objects.
    """

    pause_seconds: float
    collected_count: int
    shapes: tuple[tuple[str, int], ...]
