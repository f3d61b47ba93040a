"""The members of one cycle, and what each reference among them is.

Covers: which attribute, item or variable each reference is, also through the
dicts, cells and containers that a program does not see.
Does not cover: which of them to cut (``preference``, ``feedback``).
See also: ``explain`` for the name of a single reference.

Like there, nothing here runs code of the program: types are told apart by
identity, values compared by identity, and no ``__dict__`` is made.
"""

import itertools
import types
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from typing import Any

from memguard import _names
from memguard.heap.explain import name_reference
from memguard.heap.names import bases_of, plain_text, type_name
from memguard.heap.origin import PROGRAM, has_slot, source_of
from memguard.heap.ties import (
    CONTAINERS,
    PARTS,
    SUSPENDED,
    Tie,
    TieKind,
    each_tie,
    field_ties,
    is_any,
    tie_of,
)

_GLOBALS = types.FunctionType.__dict__["__globals__"].__get__
_MOST_NESTED = 8

_identity = object.__hash__
"""Tells objects apart without the audit event that ``id()`` raises."""


class Component:
    """The members of one cycle and the references among them.

    Holds the members: it is made to be looked at and dropped at once.

    Args:
        members: In the order of the native answer.
        edges: Pairs of positions.
    """

    def __init__(self, members: Sequence[object], edges: Sequence[tuple[int, int]]) -> None:
        self.members = members
        self.multiplicity = Counter(edges)
        self._holders: dict[int, list[int]] = {}
        for source, target in self.multiplicity:
            self._holders.setdefault(target, []).append(source)
        self._namespace_owners: dict[int, object] = {}
        self._cells: dict[int, tuple[object | None, str]] = {}
        self._known: dict[tuple[int, str], Tie] = {}
        self._names: dict[int, dict[int, list[str]]] = {}
        for source, target in self.multiplicity:
            self._look(members[source], members[target])

    def _look(self, source: object, target: object) -> None:
        if type(target) is dict:
            if _names.instance_dict(source) is target:
                self._namespace_owners[_identity(target)] = source
            elif type(source) is types.FunctionType and _GLOBALS(source) is target:
                self._namespace_owners[_identity(target)] = None
        elif type(source) is types.FunctionType and type(target) is tuple:
            code = _names.code_of(source)
            if code is not None and name_reference(source, target) == ".__closure__":
                for name, cell in zip(code.co_freevars, target, strict=False):
                    self._cells.setdefault(_identity(cell), (source, plain_text(name)))
        elif type(target) is types.CellType and _names.code_of(source) is not None:
            for name, value in _names.frame_variables(source):
                if value is target:
                    self._cells.setdefault(_identity(target), (source, name))

    def ties(self, source_position: int, target_position: int) -> tuple[Tie, ...]:
        """Tell what has to be cut for one reference to go; nothing where nobody can."""
        source, target = self.members[source_position], self.members[target_position]
        many = self.multiplicity[source_position, target_position]
        may_have_items = issubclass(type(source), CONTAINERS) and not self._is_namespace(source)
        if may_have_items and is_any(type(source), CONTAINERS):
            return (self._item(source_position, target),)
        found = self._single(source, target)
        if may_have_items and len(found) < many:
            item_count = _count_items(source, target)
            if item_count:
                found += (self._item(source_position, target),)
                many -= item_count - 1
        # What has fewer names than references would still be held if all
        # that have a name were cut.
        return found if len(found) >= many else ()

    def _is_namespace(self, source: object) -> bool:
        return type(source) is dict and _identity(source) in self._namespace_owners

    def _single(self, source: object, target: object) -> tuple[Tie, ...]:
        cls = type(source)
        if self._is_namespace(source):
            owner = self._namespace_owners[_identity(source)]
            if owner is None or issubclass(type(owner), type | types.ModuleType):
                return ()
            return each_tie(TieKind.ATTRIBUTE, self._names_of(source, target), owner, target)
        if issubclass(cls, type | types.ModuleType):
            return ()
        if is_any(cls, SUSPENDED):
            return each_tie(TieKind.SUSPENDED, self._names_of(source, target), source, target)
        if cls is types.FrameType:
            return each_tie(TieKind.VARIABLE, self._names_of(source, target), source, target)
        if cls is types.CellType:
            function, name = self._cells.get(_identity(source), (None, ""))
            if function is None:
                return ()
            return each_tie(TieKind.CLOSURE, [name], function, target)
        if issubclass(cls, BaseException) and (named := _exception_names(source, target)):
            kind = TieKind.TRACEBACK if "__traceback__" in named else TieKind.CHAINED
            # Whoever handles an exception can clear these.
            return each_tie(kind, named, source, target, PROGRAM)
        return self._attribute(source, target) or field_ties(source, target)

    def _attribute(self, owner: object, target: object) -> tuple[Tie, ...]:
        names = self._names_of(owner, target)
        if not names:
            label = name_reference(owner, target)
            name = label.removeprefix(".")
            if label.startswith(".") and any(has_slot(c, name) for c in bases_of(type(owner))):
                names = [name]
        return each_tie(TieKind.ATTRIBUTE, names, owner, target)

    def _names_of(self, source: object, target: object) -> list[str]:
        """Give all names under which an object or its namespace keeps a value, in order."""
        key = _identity(source)
        if key not in self._names:
            by_value: dict[int, list[str]] = {}
            for name, value in _named_values(source):
                by_value.setdefault(_identity(value), []).append(plain_text(name))
            self._names[key] = by_value
        return sorted(self._names[key].get(_identity(target), ()))

    def _item(self, position: int, target: object) -> Tie:
        """Make the tie for all items of one type in a container, named by the first."""
        key = (position, type_name(type(target)))
        if key not in self._known:
            source = self.members[position]
            owner, holder = self.keeper(position)
            label = name_reference(source, target)
            is_indexed = issubclass(type(source), list | deque)
            # A container that nothing names is as good as the program's own.
            made = PROGRAM if holder is None else source_of(holder)
            name = "[]" if is_indexed else label
            self._known[key] = tie_of(TieKind.ITEM, owner, name, source, target, made)
        return self._known[key]

    def keeper(self, position: int) -> tuple[str, object | None]:
        """Say where a container is kept: an attribute, a variable, or just its type."""
        found: list[tuple[str, object | None]] = []
        waiting, seen = [(position, 0)], {position}
        while waiting and not found:
            at, depth = waiting.pop(0)
            for holder_at in self._holders.get(at, ()):
                holder = self.members[holder_at]
                if issubclass(type(holder), PARTS) and not self._is_namespace(holder):
                    if holder_at not in seen and depth < _MOST_NESTED:
                        seen.add(holder_at)
                        waiting.append((holder_at, depth + 1))
                    continue
                for tie in self._single(holder, self.members[at])[:1]:
                    if tie.kind is TieKind.FIELD:
                        continue  # a type written in C keeps it, under no name of the program
                    owner = self._namespace_owners.get(_identity(holder), holder)
                    found.append((f"{tie.owner}.{tie.name}", owner))
        if found:
            return min(found, key=lambda each: each[0])
        return type_name(type(self.members[position])), None


def _named_values(source: object) -> Sequence[tuple[str, object]]:
    if type(source) is not dict:
        return _names.frame_variables(source) or _names.inline_attributes(source)
    try:
        return [(key, value) for key, value in source.items() if type(key) is str]
    except RuntimeError:  # another thread added an attribute meanwhile
        return []


def _count_items(source: Any, target: object) -> int:
    """Count how often an instance of a subclass of a container holds an object as an item."""
    items: Iterable[object]
    try:
        if issubclass(type(source), dict):
            items = itertools.chain(dict.keys(source), dict.values(source))
        elif issubclass(type(source), list):
            items = list.__iter__(source)
        elif issubclass(type(source), set):
            items = set.__iter__(source)
        else:
            items = deque.__iter__(source)
        return sum(1 for item in items if item is target)
    except RuntimeError:  # another thread changed it meanwhile
        return 0


def _exception_names(source: object, target: object) -> list[str]:
    # C fields of BaseException itself, whatever the class defines.
    return [
        name
        for name in ("__traceback__", "__context__", "__cause__")
        if BaseException.__dict__[name].__get__(source) is target
    ]
