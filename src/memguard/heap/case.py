"""What is to be said about a cycle, before it is put into words.

Covers: the references to cut, the types that take part, and the names that
texts are filled with.
See also: ``remedies`` for the texts, ``catalogue`` for choosing one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from memguard.heap.names import short_name, type_name
from memguard.heap.ties import Tie, TieKind, function_name

_TEARDOWNS = {
    "xml.dom.minidom.": "document.unlink()",
    "bs4.": "soup.clear(decompose=True); soup.decompose()",
}
"""Packages whose trees have a method that takes them apart."""


@dataclass(frozen=True, slots=True)
class Case:
    """What a remedy is matched against.

    Attributes:
        chosen: The ties to cut, the cheapest first; none if it cannot be cut.
        types: Names of the types of all members.
        classes: Names of the classes among the members.
        functions: Names of the functions among the members, with "()".
    """

    chosen: Sequence[Tie]
    types: frozenset[str]
    classes: tuple[str, ...]
    functions: tuple[str, ...]

    @property
    def first(self) -> Tie:
        """The tie that the sentence is about."""
        return self.chosen[0]

    @property
    def teardown(self) -> str | None:
        """How the package itself takes such a tree apart."""
        found = (call for prefix, call in _TEARDOWNS.items() if self.touches(prefix))
        return next(found, None)

    @property
    def is_unnamed(self) -> bool:
        """Tell whether an item is to be cut of a container that nothing names."""
        return self.first.kind is TieKind.ITEM and self.first.owner == self.first.holder

    def has_type_of(self, *prefixes: str) -> bool:
        """Tell whether a member is of a class whose full name starts so."""
        return any(name.startswith(prefixes) for name in self.types)

    def touches(self, *prefixes: str) -> bool:
        """Tell whether the tie to cut begins or ends at a class whose name starts so."""
        return self.first.owner.startswith(prefixes) or self.first.target.startswith(prefixes)

    def is_any(self, kind: TieKind, *prefixes: str) -> bool:
        """Tell whether a tie to cut is of a kind, and of an owner whose name starts so."""
        return any(tie.kind is kind and tie.owner.startswith(prefixes) for tie in self.chosen)

    def fields(self) -> dict[str, str]:
        """Give the names that fill a text."""
        if not self.chosen:
            made = self.classes or self.functions or tuple(sorted(self.types))
            return {"made": f"class {made[0]}" if self.classes else short_name(made[0])}
        tie = self.first
        owner = short_name(tie.owner)
        return {
            "owner": owner,
            "name": tie.name,
            "place": tie.text,
            "word": _word(tie.name),
            "bare": _word(tie.name.strip("_")),
            "target": short_name(tie.target),
            "short_owner": _last(owner),
            "short_target": _last(tie.target),
            "container": "container" if self.is_unnamed else _container(owner),
            "teardown": self.teardown or "",
        }


def case_of(chosen: Sequence[Tie], members: Sequence[object]) -> Case:
    """Make the case of one cycle."""
    classes = [cast("type", member) for member in members if issubclass(type(member), type)]
    names = {function_name(member) for member in members}
    return Case(
        chosen,
        frozenset(type_name(type(member)) for member in members),
        tuple(sorted(type_name(cls) for cls in classes)),
        tuple(sorted(name for name in names if name.endswith("()"))),
    )


def _word(name: str) -> str:
    """Give a name that Python can read; some variables and fields have none."""
    return name if name.isidentifier() else "reference"


def _container(owner: str) -> str:
    """Write a container as the code that keeps it would."""
    if "()." in owner:
        return _word(_last(owner))
    return f"self.{_word(_last(owner))}" if "." in owner else "container"


def _last(name: str) -> str:
    return name.rpartition(".")[2]
