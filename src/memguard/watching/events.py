"""What a watch tells, as events."""

from dataclasses import dataclass

from memguard.events import Event


@dataclass(frozen=True, slots=True)
class ShapeOutgrown(Event):
    """Cycles of one shape are suddenly more, or larger, than they ever were.

    Attributes:
        key: By which the shape is known in every process; see `Shape`.
        path: Its loop, for people.
        quantity: What grew: "cycles", or "objects of a cycle" where one cycle takes
            in more and more.
        count: How many there are [count].
        most_before_count: The most in any earlier look; 0 for a shape that is new [count].
        retained_bytes: What would be freed with all cycles of the shape [bytes].
    """

    key: str
    path: str
    quantity: str
    count: int
    most_before_count: int
    retained_bytes: int


@dataclass(frozen=True, slots=True)
class ShapeGrows(Event):
    """Cycles of one shape become steadily more, or larger.

    Attributes:
        key: As of `ShapeOutgrown`, like what follows.
        path: See there.
        quantity: See there.
        count: See there.
        per_minute_count: How many come about in a minute [count].
        retained_bytes: See there.
    """

    key: str
    path: str
    quantity: str
    count: int
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
class ContainerGrows(Event):
    """A container has steadily more entries, or a type more objects.

    Attributes:
        name: What it is called, such as ``app.cache.SESSIONS``; or the name of the type.
        kind: "dict", "list", "set", "deque", "lru_cache", or "type".
        path: The references that lead to it; "" where none is known.
        holder: Of a type: what holds its newest objects; "" where nobody is known.
        count: Entries, or objects, that there are [count].
        per_minute_count: How many come about in a minute [count].
        per_minute_bytes: Memory that is known to come with them [bytes].
    """

    name: str
    kind: str
    path: str
    holder: str
    count: int
    per_minute_count: float
    per_minute_bytes: float


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
