"""Heaps to scan: made of what programs are made of, in sizes from 10^4 to 10^7.

Each maker takes a number of objects and returns whatever keeps them alive; the
collector then tracks that many objects more, give or take a few. "Scattered"
heaps have the same objects, but what refers to them does so in random order,
as in a process that has been running for long.
"""

import random
from collections.abc import Callable


class Record:
    """An instance with a ``__dict__``."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.name = "record"
        self.tags: list[object] = [number]


class Row:
    """The same in slots."""

    __slots__ = ("name", "number", "tags")

    def __init__(self, number: int) -> None:
        self.number = number
        self.name = "row"
        self.tags: list[object] = [number]


class Link:
    """A link of a chain, with a ``__dict__``."""

    def __init__(self, following: "Link | None") -> None:
        self.following = following


class SlottedLink:
    """The same in slots."""

    __slots__ = ("following",)

    def __init__(self, following: "SlottedLink | None") -> None:
        self.following = following


class Context:
    """A context that knows its parent, which lists it: a cycle each."""

    def __init__(self, parent: "Context | None" = None) -> None:
        self.parent = parent
        self.subtasks: list[Context] = []
        if parent is not None:
            parent.subtasks.append(self)


class SlottedContext:
    """The same in slots."""

    __slots__ = ("parent", "subtasks")

    def __init__(self, parent: "SlottedContext | None" = None) -> None:
        self.parent = parent
        self.subtasks: list[SlottedContext] = []
        if parent is not None:
            parent.subtasks.append(self)


class Agent:
    """What the report that started memguard calls a context: five attributes and a callback."""

    def __init__(self, parent: "Agent | None" = None) -> None:
        self.parent = parent
        self.subtasks: list[Agent] = []
        self.data: dict[str, object] = {"messages": ["hello"]}
        self.callbacks: list[Callable[[], None]] = []
        if parent is not None:
            parent.subtasks.append(self)
            parent.callbacks.append(self.on_done)

    def on_done(self) -> None:
        """Be called back."""


class Pair:
    """One of two that refer to each other."""

    def __init__(self) -> None:
        self.other: Pair | None = None


def _flat(cls: type) -> Callable[[int], object]:
    return lambda count: [cls(number) for number in range(count // 2)]


def _scattered(make: Callable[[int], list[object]]) -> Callable[[int], object]:
    def scatter(count: int) -> object:
        held = make(count)
        random.Random(count).shuffle(held)
        return held

    return scatter


def _shared(count: int) -> list[object]:
    """Make records that refer to earlier ones, in any order: many ways, no cycle."""
    choose = random.Random(count).choice
    held: list[Record] = []
    for number in range(count // 2):
        record = Record(number)
        if held:
            record.tags.append(choose(held))
        held.append(record)
    return list(held)


def _chain(cls: type) -> Callable[[int], object]:
    def make(count: int) -> object:
        # The chain is held in pieces: freeing one of a million links by
        # reference counts alone would nest as deep.
        held, link = [], None
        for number in range(count):
            link = cls(link)
            if number % 1000 == 999:
                held.append(link)
        held.append(link)
        return held

    return make


def _families(cls: type) -> Callable[[int], list[object]]:
    def make(count: int) -> list[object]:
        held = []
        for _ in range(count // 10):
            parent = cls()
            for _ in range(4):
                cls(parent)
            held.append(parent)
        return held

    return make


def _agents(count: int) -> list[object]:
    held: list[object] = []
    for _ in range(count // 41):
        root = Agent()
        for _ in range(5):
            Agent(root)
        held.append(root)
    return held


def _kinds(count: int) -> object:
    """Make twenty kinds of agents: a cycle for each twenty objects, and plain records."""
    kinds = [type(f"Agent{number}", (), {}) for number in range(20)]
    held: list[object] = []
    for number in range(count // 20):
        parent, child = kinds[number % 20](), kinds[number % 20]()
        parent.children, parent.data = [child], {"step": [number]}
        child.parent, child.data = parent, {"step": [number]}
        held.append(parent)
    held.extend(Record(number) for number in range(count * 6 // 20))
    return held


def _documents(count: int) -> list[object]:
    return [
        {"id": n, "tags": ["a", "b", n], "author": {"name": "x", "scores": [n, n + 1]}}
        for n in range(count // 4)
    ]


def _tree(cls: type) -> Callable[[int], object]:
    """All in one component: parents list children, who refer to them."""

    def make(count: int) -> object:
        nodes = [cls()]
        for number in range(1, count // 2):
            nodes.append(cls(nodes[(number - 1) // 3]))
        return nodes[0]

    return make


def _ring(count: int) -> object:
    first = last = Pair()
    for _ in range(count - 1):
        following = Pair()
        last.other = following
        last = following
    last.other = first
    return first


def _tangle(count: int) -> object:
    choose = random.Random(count).randrange
    vertices: list[list[object]] = [[] for _ in range(count)]
    for vertex in vertices:
        vertex.extend(vertices[choose(count)] for _ in range(3))
    return vertices


def planted(count: int, cycle_count: int) -> object:
    """Make records, and among them pairs that refer to each other."""
    held: list[object] = [Record(number) for number in range((count - 2 * cycle_count) // 2)]
    for _ in range(cycle_count):
        one, two = Pair(), Pair()
        one.other, two.other = two, one
        held.append(one)
    random.Random(count).shuffle(held)
    return held


HEAPS: dict[str, Callable[[int], object]] = {
    "flat, __dict__": _flat(Record),
    "flat, __slots__": _flat(Row),
    "flat, scattered": _scattered(lambda count: [Record(n) for n in range(count // 2)]),
    "shared, scattered": _scattered(_shared),
    "deep, __dict__": _chain(Link),
    "deep, __slots__": _chain(SlottedLink),
    "dicts and lists": _documents,
    "agents": _agents,
    "agents, scattered": _scattered(_agents),
    "cycles, __dict__": _families(Context),
    "cycles, __slots__": _families(SlottedContext),
    "cycles, scattered": _scattered(_families(Context)),
    "twenty shapes": _kinds,
    "one tree, __dict__": _tree(Context),
    "one tree, __slots__": _tree(SlottedContext),
    "one ring": _ring,
    "one tangle": _tangle,
}
"""By name; the first seven have no cycles, in the last four all is one component."""

ACYCLIC = tuple(HEAPS)[:7]
