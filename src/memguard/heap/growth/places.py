"""Where a container is: what holds it, its name, whether it is bounded.

Covers: one container at a time; nothing here runs code of the program.
Does not cover: which of them are one thing (``folding``), ways (``memguard.heap.ways``).
"""

import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from types import CellType, FunctionType, ModuleType
from typing import Any, cast

from memguard import _names
from memguard.heap.caches import is_cache
from memguard.heap.growth.bounds import is_bounded
from memguard.heap.growth.entries import holds_subclasses, is_weak
from memguard.heap.growth.history import Series
from memguard.heap.growth.owners import PYTHON, is_held_by_looks, rank_of_file, rank_of_module
from memguard.heap.growth.report import GrowthKind
from memguard.heap.growth.trend import Rise
from memguard.heap.names import module_of, plain_text, type_name
from memguard.heap.ways import ways_with_steps

_SAYING_NOTHING = ("builtins", "collections", "functools", "_thread", "weakref", "_weakrefset")
_VARIABLE = re.compile(r"frame .*\(\)\.\w+(?=[.\[])")
_OF_DESCRIPTORS = ("staticmethod.__func__", "classmethod.__func__", "property.fget")
_SUBCLASSES = "<subclasses of a class>"
_CONTAINERS = (dict, list, tuple, set, deque)
_NUMBER = re.compile(r"\[\d+\]")


@dataclass(frozen=True, slots=True)
class Growing:
    """A container that grows.

    Attributes:
        container: It.
        rise: Of its length.
        series: What it was from look to look.
        key: Its address, and that of its type.
    """

    container: object
    rise: Rise
    series: Series
    key: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a container that grows is.

    Attributes:
        growing: It.
        steps: The objects on the way from a root to it, it last.
        name: What it is called.
        path: The way, in words.
        kind: What it is.
        is_bounded: Whether it says itself how long it may become.
        is_weak: Whether it only follows what others hold.
        rank: 0 for what a program made, 1 for installed libraries, 2 for that of Python.
        likeness: Its name and the way, whatever its places in lists are.
    """

    growing: Growing
    steps: list[object]
    name: str
    path: str
    kind: GrowthKind
    is_bounded: bool
    is_weak: bool
    rank: int
    likeness: tuple[str, str]

    @property
    def rate(self) -> float:
        """Entries for each run, or minute."""
        return self.growing.rise.per_unit

    @property
    def owner(self) -> object:
        """The object whose attribute it is, or that of what it lies in."""
        return _owner_of(self.steps)

    @property
    def owner_type(self) -> str:
        """Its class; "" for what the name tells of: modules, classes, functions."""
        kind = type(self.owner)
        is_told = issubclass(kind, (type, ModuleType, FunctionType, CellType))
        return "" if is_told or self.owner is self.steps[-1] else type_name(kind)

    @property
    def position(self) -> int:
        """Which of the attributes of its owner it is."""
        own = _names.instance_dict(self.owner)
        attributes = (
            [value for _, value in _names.inline_attributes(self.owner)]
            if own is None
            else [*dict.values(own)]
        )
        container = self.growing.container
        return next((number for number, value in enumerate(attributes) if value is container), 0)


def without_numbers(text: str) -> str:
    """Give a name or a way without the places in lists."""
    return _NUMBER.sub("[int]", text)


def _owner_of(steps: Sequence[object]) -> object:
    for thing in reversed(steps[:-1]):
        if not issubclass(type(thing), _CONTAINERS):
            return thing
    return steps[-1]


def places_of(containers: Sequence[Growing], root: object = None) -> list[Place]:
    """Find where containers are; those that nothing leads to are left out."""
    objects = [one.container for one in containers]
    named = []
    for place, way, steps in ways_with_steps(objects, root):
        # What nothing leads to is garbage, and no container of it grows; what is noted
        # of the looks grows with them.
        if is_held_by_looks(steps):
            continue
        name, kind = _name_and_kind(way.text, steps)
        container = steps[-1]
        is_of_classes = len(steps) == 1 and holds_subclasses(container)
        name = _SUBCLASSES if is_of_classes else name
        named.append(
            Place(
                growing=containers[place],
                steps=steps,
                name=name,
                path=way.text,
                kind=kind,
                is_bounded=is_bounded(steps, _owner_of(steps), length_of(container)),
                is_weak=is_of_classes or is_weak(container),
                rank=_rank_of(steps),
                likeness=(without_numbers(name), without_numbers(way.text)),
            )
        )
    return named


def _rank_of(steps: Sequence[object]) -> int:
    """Tell whose it is by the nearest thing on the way that was made by somebody."""
    for thing in reversed(steps[:-1]):
        kind = type(thing)
        if issubclass(kind, FunctionType):
            code = _names.code_of(thing)
            return rank_of_file(plain_text(code.co_filename)) if code else 0
        if issubclass(kind, ModuleType):
            name = (_names.instance_dict(thing) or {}).get("__name__")
            return rank_of_module(name) if type(name) is str else 0
        module = module_of(cast("type", thing) if issubclass(kind, type) else kind)
        if module not in _SAYING_NOTHING:
            return rank_of_module(module)
    return 0


def _name_and_kind(path: str, steps: Sequence[object]) -> tuple[str, GrowthKind]:
    parts = path.split(" -> ")
    if len(parts) > 2 and is_cache(steps[-2]):
        # Its table is no name that a person knows.
        parts, steps = parts[:-1], steps[:-1]
        return _name_and_kind(" -> ".join(parts), steps)[0], "lru_cache"
    name = parts[-2] if len(parts) > 1 else parts[-1]
    # What C code refers to has no name: that of what holds it does.
    named, unnamed, _ = name.partition(".<reference ")
    if unnamed:
        is_bare = named in {type_name(type(thing)) for thing in steps[:-1]}
        name = parts[-3] if is_bare and len(parts) > 2 else named
    if len(steps) > 1 and is_cache(steps[-2]):
        return name.removesuffix(".<calls>"), "lru_cache"
    variable = _VARIABLE.match(name)
    if variable:
        # Whose variable it is says less than what it is.
        first = next(thing for thing in steps if type(thing) is not CellType)
        if module_of(type(first)) not in _SAYING_NOTHING:
            return type_name(type(first)) + name[variable.end() :], _kind_of(type(steps[-1]))
    before = parts[parts.index(name) - 1] if name in parts[1:] else ""
    if before:
        name = _by_what_has_it(name, before, steps)
    return _in_full(name, steps), _kind_of(type(steps[-1]))


def _by_what_has_it(name: str, before: str, steps: Sequence[object]) -> str:
    """Say whose it is where its own object is one of Python's, such as a queue of a service."""
    if name in _OF_DESCRIPTORS:
        return before
    owner = _owner_of(steps)
    class_name = type_name(type(owner))
    place = next(number for number, thing in enumerate(steps) if thing is owner)
    is_of_program = (
        name.startswith(f"{class_name}.")
        and rank_of_module(module_of(type(owner))) == PYTHON
        and _rank_of(steps[: place + 1]) < PYTHON
    )
    return before + name.removeprefix(class_name) if is_of_program else name


def _in_full(name: str, steps: Sequence[object]) -> str:
    """Give the name of a class with its module."""
    for thing in reversed(steps[:-1]):
        if issubclass(type(thing), ModuleType):
            break
        full = type_name(cast("type", thing) if issubclass(type(thing), type) else type(thing))
        short = full.rpartition(".")[2]
        if name.startswith((f"{short}.", f"{short}[")) and not full.startswith("builtins."):
            return full + name.removeprefix(short)
    return name


_BUILTIN: tuple[tuple[GrowthKind, Any], ...] = (
    ("dict", dict),
    ("list", list),
    ("set", set),
    ("deque", deque),
)


def _kind_of(cls: type) -> GrowthKind:
    return next((kind for kind, builtin in _BUILTIN if issubclass(cls, builtin)), "dict")


def length_of(container: object) -> int:
    """Count the entries without the methods that a subclass may have."""
    cls = type(container)
    lengths = (int(one.__len__(container)) for _, one in _BUILTIN if issubclass(cls, one))
    return next(lengths, 0)
