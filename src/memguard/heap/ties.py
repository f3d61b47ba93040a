"""References grouped by the line of source that a person would change.

Covers: what a reference is to a programmer, an attribute, an item or a
variable, and who can change it. All nodes of a tree that keep their parent in
``.parent`` are one tie.
Does not cover: finding them among the members of a cycle (``component``).
"""

import types
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from memguard import _names
from memguard.heap.explain import name_reference
from memguard.heap.loops import Edge
from memguard.heap.names import plain_text, short_name, type_name
from memguard.heap.origin import Source, family_of, source_of

_WEAKREF_OFFSET = type.__dict__["__weakrefoffset__"].__get__

_WRAPPERS = ("functools.partial", "functools.partialmethod")
CONTAINERS = (dict, list, set, deque)
PARTS = (tuple, frozenset, *CONTAINERS)
SUSPENDED = (types.GeneratorType, types.CoroutineType, types.AsyncGeneratorType)
FUTURES = frozenset(
    {"_asyncio.Task", "_asyncio.Future", "concurrent.futures._base.Future"}
    | {"asyncio.tasks.Task", "asyncio.futures.Future"}
)
"""Types that keep the exception of a call for whoever asks for its result."""
_CALLS = (types.FrameType, types.TracebackType)
_STRUCTURES = (types.FunctionType, types.MethodType, *_CALLS)


class TieKind(StrEnum):
    """How a programmer would call a reference."""

    ATTRIBUTE = "attribute"
    ITEM = "item"
    VARIABLE = "variable"
    SUSPENDED = "suspended"
    CLOSURE = "closure"
    TRACEBACK = "traceback"
    CHAINED = "chained"
    FIELD = "field"


_LABELS = {
    TieKind.VARIABLE: ".<local {}>",
    TieKind.SUSPENDED: ".<local {}>",
    TieKind.CLOSURE: ".<closure {}>",
    TieKind.ITEM: "{}",
}


class TargetKind(StrEnum):
    """What a reference leads to, as far as it matters for how to weaken it."""

    METHOD = "method"
    FUNCTION = "function"
    GENERATOR = "generator"
    CALL = "call"
    EXCEPTION = "exception"
    CONTAINER = "container"
    INSTANCE = "instance"
    UNWEAKABLE = "unweakable"


@dataclass(frozen=True, slots=True)
class Tie:
    """References that the same line of source makes, as far as can be told.

    Two ties are the same if they are of one kind, owner and name; for items,
    of which a container may have several sorts, also of one target.

    Attributes:
        kind: What holds the reference.
        family: The class of a package from which all owners of an attribute
            derive; for others the owner.
        name: Attribute or variable; for an item how it is found, such as
            "[str]".
        sort: For an item, the type referred to.
        owner: A class, a function with "()", or for an item where its
            container is kept.
        target: Type of the object referred to.
        target_kind: What that is.
        holder: Type of the object that holds the reference.
        source: Who can change the line.
    """

    kind: TieKind
    family: str
    name: str
    sort: str
    owner: str = field(compare=False)
    target: str = field(compare=False)
    target_kind: TargetKind = field(compare=False)
    holder: str = field(compare=False)
    source: Source = field(compare=False)

    @property
    def text(self) -> str:
        """The same for people."""
        dot = "" if self.kind is TieKind.ITEM else "."
        return f"{short_name(self.owner)}{dot}{self.name}"

    @property
    def edge(self) -> Edge:
        """The same as a reference of a report."""
        label = _LABELS.get(self.kind, ".{}")
        return Edge(self.holder, label.format(self.name), self.target)


def function_name(member: object) -> str:
    """Name what has code by its function, anything else by its class."""
    code = _names.code_of(member)
    if code is None:
        return type_name(type(member))
    if type(member) is types.FunctionType:
        qualname = types.FunctionType.__dict__["__qualname__"].__get__(member)
        return f"{plain_text(qualname)}()"
    return f"{plain_text(code.co_qualname)}()"


def each_tie(
    kind: TieKind,
    names: Sequence[str],
    holder: object,
    target: object,
    source: Source | None = None,
) -> tuple[Tie, ...]:
    """Make a tie for each name under which an object keeps another."""
    made = source_of(holder) if source is None else source
    owner = function_name(holder)
    return tuple(tie_of(kind, owner, name, holder, target, made) for name in names)


def tie_of(
    kind: TieKind, owner: str, name: str, holder: object, target: object, source: Source
) -> Tie:
    """Make one tie."""
    cls = type(target)
    return Tie(
        kind=kind,
        family=family_of(type(holder)) if kind is TieKind.ATTRIBUTE else owner,
        name=name,
        sort=type_name(cls) if kind is TieKind.ITEM else "",
        owner=owner,
        target=type_name(cls),
        target_kind=_target_kind(cls),
        holder=type_name(type(holder)),
        source=source,
    )


def is_any(cls: type, known: tuple[type, ...]) -> bool:
    """Tell by identity: `in` would ask a metaclass whether it is equal."""
    return any(cls is each for each in known)


def _is_part(cls: type) -> bool:
    return type_name(cls) in _WRAPPERS


def _target_kind(cls: type) -> TargetKind:
    if cls is types.MethodType:
        return TargetKind.METHOD
    if cls is types.FunctionType or _is_part(cls):
        return TargetKind.FUNCTION
    if issubclass(cls, BaseException):
        return TargetKind.EXCEPTION
    if is_any(cls, SUSPENDED):
        return TargetKind.GENERATOR
    if is_any(cls, _CALLS):
        return TargetKind.CALL
    if issubclass(cls, PARTS) or cls is types.CellType:
        return TargetKind.CONTAINER
    return TargetKind.INSTANCE if _WEAKREF_OFFSET(cls) else TargetKind.UNWEAKABLE


def field_ties(source: object, target: object) -> tuple[Tie, ...]:
    """Name a field of a type written in C, which only that type can clear."""
    cls = type(source)
    if is_any(cls, _STRUCTURES) or issubclass(cls, tuple | frozenset) or _is_part(cls):
        return ()
    label = name_reference(source, target)
    if not label.startswith(".") or label in (".__dict__", ".__class__"):
        return ()
    return each_tie(TieKind.FIELD, [label[1:]], source, target)
