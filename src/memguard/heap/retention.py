"""Who holds an object.

Covers: the question, for one object or for many, and its answer.
Does not cover: finding the ways (``_retention``), their words (``ways``).

See also: ``docs/retention.md``.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from memguard.errors import LimitOutOfRangeError, WrongTypeError
from memguard.heap.names import type_name
from memguard.heap.ways import find_ways

_NOBODY = "nothing but this question, or cyclic garbage"


@dataclass(frozen=True, slots=True)
class Retention:
    """Who holds one object.

    Attributes:
        target_type: Its class, "module.QualName".
        paths: Shortest ways from a root, in words; empty when nothing holds it but
            the question and cyclic garbage.
        holder: What a person would call the holder on the first of them; "" for none.
        root: Where that begins: "module", "frame", "thread", "task" or "timer" (which
            an event loop keeps going), "unexplained" (counted references that no
            object and no variable explains: C code); "" for none.
        freed_count: Objects that would be freed if the last reference of each path
            were cut [count]; None for an object of a batch.
        freed_bytes: The same [bytes]. 0 when others hold it, too.
    """

    target_type: str
    paths: tuple[str, ...]
    holder: str
    root: str
    freed_count: int | None
    freed_bytes: int | None

    def __str__(self) -> str:
        return self.to_text()

    def to_text(self) -> str:
        """Give it as lines for people."""
        if not self.paths:
            return f"{self.target_type} is held by {_NOBODY}"
        freed = (
            ""
            if self.freed_count is None
            else f"\ncutting the last reference{' of each' * (len(self.paths) > 1)}"
            f" frees {_amount(self.freed_count, self.freed_bytes or 0)}"
        )
        return "\n".join([f"{self.target_type} is held by", *self.paths]) + freed

    def to_dict(self) -> dict[str, Any]:
        """Give it as plain values."""
        return asdict(self)

    def to_json(self) -> str:
        """Give it as JSON."""
        return json.dumps(self.to_dict())


@dataclass(frozen=True, slots=True)
class RetentionReport:
    """Who holds many objects, found in one search.

    Attributes:
        retentions: For each object, in the order in which they were given.
        freed_count: Objects that would be freed if the last references of all ways
            were cut [count].
        freed_bytes: The same [bytes].
        object_count: Objects of the process that were looked at [count].
        duration_seconds: Of the native search [s].
    """

    retentions: tuple[Retention, ...]
    freed_count: int
    freed_bytes: int
    object_count: int
    duration_seconds: float

    @property
    def holders(self) -> tuple[tuple[str, int], ...]:
        """Each holder with how many of the objects it holds, most first."""
        counts = Counter(each.holder or _NOBODY for each in self.retentions)
        return tuple(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

    def __str__(self) -> str:
        return self.to_text()

    def to_text(self) -> str:
        """Give it as lines for people: holders, and what cutting all would free."""
        lines = [f"{_counted(len(self.retentions))} alive"]
        lines += [f"{held_count} held by {holder}" for holder, held_count in self.holders]
        lines.append(f"cutting frees {_amount(self.freed_count, self.freed_bytes)}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Give it as plain values."""
        return {**asdict(self), "holders": [list(each) for each in self.holders]}

    def to_json(self) -> str:
        """Give it as JSON."""
        return json.dumps(self.to_dict())


def _counted(object_count: int) -> str:
    # Loaded when somebody reads an answer, like all that renders.
    from memguard.heap.render.text import count

    return count(object_count, "object")


def _amount(object_count: int, size_bytes: int) -> str:
    from memguard.heap.render.text import size

    return f"{_counted(object_count)}, {size(size_bytes)}"


def why_alive(
    obj: object, *, paths: int = 1, agents: Mapping[Any, object] | None = None
) -> Retention:
    """Say who holds an object: the shortest way to it from a root, by name.

    Roots are modules, variables of running frames, thread-local data and current
    contexts, and last what has more references than all of those explain: C code, a
    timer in C, a value that a running expression waits with. The variables of the
    frame that asks do not count as far as they are the object itself; its other
    variables do. Keys and values are not shown, but for the types of keys.

    Args:
        obj: The object; with *agents*, the id of one.
        paths: How many ways are wanted [count, >= 1]. They share nothing but modules;
            each is the shortest that is left, so there may be more than are found.
        agents: Agents by id, such as ``manager.active_agents``.

    Raises:
        LimitOutOfRangeError: *paths* is below 1.
        KeyError: No agent has this id.
        MemoryError: A native table could not be had; nothing was changed.

    Cost:
        O(objects + references) of the process, once, twice more for what would be
        freed, and once for each further path; for many objects use `who_holds`.
    """
    if type(paths) is not int or paths < 1:
        raise LimitOutOfRangeError("paths", paths, "1 or more")
    if agents is not None:
        obj = agents[obj]
    found = find_ways([obj], obj, most=paths, weighs=True)
    ways = found.ways[0]
    return Retention(
        type_name(type(obj)),
        tuple(way.text for way in ways),
        ways[0].holder if ways else "",
        ways[0].root if ways else "",
        found.freed_count if ways else 0,
        found.freed_bytes if ways else 0,
    )


def who_holds(objects: Iterable[object], *, weigh: bool = True) -> RetentionReport:
    """Say who holds each of many objects, at the price of one search.

    The iterable itself does not count as a holder where the frame that asks has it in
    a variable; see `why_alive`.

    Args:
        objects: What is asked about.
        weigh: Find out what cutting would free; else it is given as 0.

    Raises:
        WrongTypeError: *objects* cannot be iterated over.
        MemoryError: A native table could not be had; nothing was changed.

    Cost:
        O(objects + references) of the process, whatever the number asked about, and
        the names on each way; see ``benchmarks/retention.py``.
    """
    if not isinstance(objects, Iterable):
        raise WrongTypeError("objects", type(objects).__name__, "an iterable of objects")
    targets = tuple(objects)
    found = find_ways(targets, objects, weighs=weigh)
    retentions = tuple(
        Retention(
            type_name(type(target)),
            tuple(way.text for way in ways),
            ways[0].holder if ways else "",
            ways[0].root if ways else "",
            None,
            None,
        )
        for target, ways in zip(targets, found.ways, strict=True)
    )
    return RetentionReport(
        retentions,
        found.freed_count,
        found.freed_bytes,
        found.object_count,
        found.duration_seconds,
    )
