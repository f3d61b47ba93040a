"""The loop that stands for a shape of cycles.

Covers: where it starts, how each step reads, what of it is folded, its key.
Does not cover: naming one reference (``explain``), finding the loop (the
native scanner).
"""

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import FunctionType, ModuleType
from typing import NamedTuple, cast

from memguard import _names
from memguard._core import HeapGraph
from memguard.heap.explain import CONTEXT_NODES, part_of_function, refine_label
from memguard.heap.names import (
    is_library_file,
    is_library_module,
    module_of,
    plain_text,
    short_name,
    type_name,
)

LONGEST_NAMED_LOOP = 24
"""References of a loop that are named, those into a ``__dict__`` not counted; the
others are counted only [count]."""

_MEMBERS_RANKED = 1_000
_FUNCTION_NAME = FunctionType.__dict__["__qualname__"].__get__
_POSITION = re.compile(r"(?<=[\[ ])\d+(?=[\]>])|(?<=<reference )\d+ (?=of )")
NAMES_OF_PARTS = (".__closure__", ".__defaults__", ".__kwdefaults__", ".keywords", ".__globals__")


@dataclass(frozen=True, slots=True)
class Edge:
    """One reference of a loop.

    Attributes:
        source: Type of the object that holds it, "module.QualName".
        label: Its name, such as ".parent", "[0]" or ".__self__"; empty when
            the report was made with ``explain=False``.
        target: Type of the object referred to.
    """

    source: str
    label: str
    target: str


class Loop(NamedTuple):
    """References from an object back to it, in words: it holds none of the objects.

    Attributes:
        types: "module.QualName" of each object, and of the target of the last
            reference.
        names: The objects as people call them.
        labels: One for each reference; empty texts without names.
        single_tuples: Places of tuples that hold one thing.
        hidden_count: References that are not named, for there are too many.
        why_unnamed: What is said when there are no references.
    """

    types: list[str]
    names: list[str]
    labels: list[str]
    single_tuples: tuple[int, ...]
    hidden_count: int
    why_unnamed: str = "broken since the scan"

    @property
    def edges(self) -> tuple[Edge, ...]:
        """The references one by one."""
        return tuple(map(Edge, self.types, self.labels, self.types[1:]))

    @property
    def path(self) -> str:
        """The loop as a line, steps that say nothing folded."""
        return self._line([*_each_once(self._folded())])

    @property
    def steps(self) -> list[str]:
        """The references as steps, those that say nothing folded."""
        return [*_each_once(self._folded())]

    @property
    def verbose_path(self) -> str:
        """The loop as a line, with every step."""
        steps = [name + label for name, label in zip(self.names, self.labels, strict=False)]
        return self._line(steps)

    @property
    def canonical_text(self) -> str:
        """What is the same for the same leak: no position, no length of a chain.

        Which of several equal objects a loop goes through is chance.
        """
        steps = (_POSITION.sub("", step) for step in self._folded())
        return " -> ".join(step for step, _ in itertools.groupby(steps))

    def _line(self, steps: list[str]) -> str:
        if not self.labels:
            return f"{self.names[0]} ({self.why_unnamed})"
        if self.hidden_count:
            steps.append(f"({self.hidden_count} more)")
        return " -> ".join([*steps, self.names[0]])

    def _folded(self) -> list[str]:
        """List the steps, each folded into the one before that says nothing by itself.

        Folded: the dict of an instance, the parts of a function or partial,
        cells, tuples of one, and the tables of a ``contextvars.Context``.
        """
        steps: list[str] = []
        before = ""
        for place, (kind, label) in enumerate(zip(self.types, self.labels, strict=False)):
            if steps and (folded := self._joined(steps[-1], before, place, kind, label)):
                steps[-1] = folded
            else:
                steps.append(self.names[place] + label)
            before = label
        return steps

    def _joined(self, step: str, before: str, place: int, kind: str, label: str) -> str | None:
        if kind == "builtins.dict" and label.startswith("[."):
            return step.removesuffix(".__dict__") + label[1:-1]
        if before == ".__closure__" and not label[1:2].isdigit() and label:
            return f"{step.removesuffix(before)}.<closure {label[1:-1]}>"
        if kind == "builtins.cell" and label:
            return step
        if kind in CONTEXT_NODES:
            return step.removesuffix(".<variables>") + label
        if before == ".__globals__" and label.startswith("["):
            return f"{step.removesuffix(before)}.<global {label[1:-1]}>"
        named_part = before in NAMES_OF_PARTS and not label[1:2].isdigit()
        return step + label if label and (named_part or place in self.single_tuples) else None


def _each_once(steps: list[str]) -> Iterator[str]:
    for step, equal in itertools.groupby(steps):
        same = list(equal)
        yield from same if len(same) < 3 else [f"{step} ({len(same)} times)"]


def display_names(objects: list[object]) -> list[str]:
    """Name objects as people would."""
    return _in_words(objects)[1]


def open_path(objects: list[object], labels: list[str], names: list[str]) -> list[str]:
    """List the steps of references that lead from one object to another, folded.

    Args:
        objects: From the first to the last.
        labels: One for each reference.
        names: What to call the objects.
    """
    types, _ = _in_words(objects)
    texts = _named(objects, labels)
    loop = Loop(types[:-1], names[:-1], texts, _places_of_single_tuples(objects[:-1]), 0)
    return [*_containers_folded(loop.steps), names[-1]]


_CONTAINER_STEP = re.compile(
    r"(?:mappingproxy\.<mapping>|(?:dict|list|tuple|set|frozenset|_contextvars\.Context"
    r"|collections\.(?:deque|defaultdict|OrderedDict|Counter))(?=[\[{]))(.*)"
)


def _containers_folded(steps: list[str]) -> Iterator[str]:
    """Join what a built-in container holds to the attribute that is the container."""
    joined = steps[:1]
    for step in steps[1:]:
        found = _CONTAINER_STEP.fullmatch(step)
        if found and not joined[-1].endswith(")"):
            joined[-1] += found[1]
        else:
            joined.append(step)
    yield from joined


def find_loop(
    graph: HeapGraph,
    exemplar: int,
    counts: list[tuple[type, int]],
    program_classes: list[tuple[str, type]],
    *,
    named: bool,
) -> Loop:
    """Choose the loop, the same in every process, and put it into words.

    Args:
        graph: The native answer.
        exemplar: A cycle in it.
        counts: Types of its members.
        program_classes: Those that belong to no library, with their names.
        named: Whether references are named.
    """
    owners = _owners(graph, exemplar, counts, program_classes)
    objects, labels, hidden_count = graph.find_loop(exemplar, owners, LONGEST_NAMED_LOOP)
    if not labels:
        # Described late, and the program has taken the cycle apart meanwhile.
        return Loop([], [_owner_name(graph, exemplar, owners)], [], (), 0)
    types, names = _in_words(objects)
    single_tuples = _places_of_single_tuples(objects) if "builtins.tuple" in types else ()
    texts = _named(objects, labels) if named else [""] * len(labels)
    return Loop(types, names, texts, single_tuples, hidden_count)


def _places_of_single_tuples(objects: list[object]) -> tuple[int, ...]:
    return tuple(
        place
        for place, member in enumerate(objects)
        if type(member) is tuple and tuple.__len__(member) == 1
    )


def _in_words(objects: list[object]) -> tuple[list[str], list[str]]:
    """Name the types of the objects, and the objects as people would."""
    types: list[str] = []
    names: list[str] = []
    # Looked through by identity: the hash of a class may be code of the
    # program, and id() tells audit hooks that it is called.
    plain: list[tuple[type, tuple[str, str]]] = []
    for member in objects:
        cls = type(member)
        for known, words in plain:
            if known is cls:
                name, shown = words
                break
        else:
            name = type_name(cls)
            shown = _display_name(member, name)
            if shown == short_name(name):
                plain.append((cls, (name, shown)))
        types.append(name)
        names.append(shown)
    return types, names


def loop_members(graph: HeapGraph, exemplar: int, most: int) -> tuple[list[object], int]:
    """Give the objects of the loop that `find_loop` puts into words, and how many more it has."""
    counts = graph.cycle_types(exemplar)
    program_classes = [
        (type_name(cls), cls) for cls, _ in counts if not is_library_module(module_of(cls))
    ]
    owners = _owners(graph, exemplar, counts, program_classes)
    objects, _, hidden_count = graph.find_loop(exemplar, owners, most)
    # The last one is the target of the last reference: the first, or one too many.
    return objects[:-1], hidden_count


def _owner_name(graph: HeapGraph, exemplar: int, owners: type | list[int]) -> str:
    if type(owners) is not list:
        return short_name(type_name(cast("type", owners)))
    member = graph.member(exemplar, owners[0])
    return _display_name(member, type_name(type(member)))


def _named(objects: list[object], labels: Sequence[str | None]) -> list[str]:
    texts: list[str] = []
    for place, label in enumerate(labels):
        source, target = objects[place], objects[place + 1]
        way = texts[-1] if texts else ""
        text = None
        if way in NAMES_OF_PARTS:
            text = part_of_function(objects[place - 1], way, source, target)
        if label is None or label.startswith(".<stack "):
            label = refine_label(source, target, label)
        texts.append(text or label)
    return texts


def _owners(
    graph: HeapGraph,
    exemplar: int,
    counts: list[tuple[type, int]],
    program_classes: list[tuple[str, type]],
) -> type | list[int]:
    """Choose the members that a person would call the owner: a class, or positions."""
    if not program_classes:
        return _library_owners(graph, exemplar, counts)
    first = min(name for name, _ in program_classes)
    classes = [cls for name, cls in program_classes if name == first]
    if len(classes) == 1:
        return classes[0]
    return [
        position
        for cls in classes
        for position, _ in graph.members_of_type(exemplar, cls, _MEMBERS_RANKED)
    ]


def _library_owners(graph: HeapGraph, exemplar: int, counts: list[tuple[type, int]]) -> list[int]:
    best: tuple[int, str] | None = None
    owners: list[int] = []
    for cls, _ in counts:
        for position, member in graph.members_of_type(exemplar, cls, _MEMBERS_RANKED):
            rank = _rank(member)
            if best is None or rank < best:
                best, owners = rank, []
            if rank == best:
                owners.append(position)
    return owners


def _rank(member: object) -> tuple[int, str]:
    """Order members of library types by how likely a person would call them the owner."""
    cls = type(member)
    is_class = issubclass(cls, type)
    if (is_class or _names.code_of(member) is not None) and not _is_library_made(member):
        return 1 if is_class else 2, _display_name(member, type_name(cls))
    name = type_name(cls)
    return 4 if name.startswith("builtins.") else 3, name


def _display_name(member: object, name: str) -> str:
    """Name an object for people: by its type, classes and what has code by their own name."""
    code = _names.code_of(member)
    if code is not None:
        kind = short_name(name)
        if kind == "function":
            qualname = _FUNCTION_NAME(member)
            return f"function {plain_text(qualname)}()"
        return f"{kind} {plain_text(code.co_qualname)}()"
    if issubclass(type(member), ModuleType):
        return f"module {_module_name(member)}"
    if issubclass(type(member), type):
        return f"class {short_name(type_name(cast('type', member)))}"
    return short_name(name)


def _module_name(module: object) -> str:
    for key, value in list((_names.instance_dict(module) or {}).items()):
        if type(key) is type(value) is str and key == "__name__":
            return value
    return "?"


def is_library_only(graph: HeapGraph, exemplar: int, counts: list[tuple[type, int]]) -> bool:
    """Tell whether no class and no code of the program takes part, all types being of libraries."""
    for cls, count in counts:
        members = graph.members_of_type(exemplar, cls, 1)
        if issubclass(cls, type) or _names.code_of(members[0][1]) is not None:
            members = graph.members_of_type(exemplar, cls, count)
        if not all(_is_library_made(member) for _, member in members):
            return False
    return True


def _is_library_made(member: object) -> bool:
    cls = type(member)
    code = _names.code_of(member)
    if code is not None:
        return is_library_file(plain_text(code.co_filename))
    if issubclass(cls, type):
        return is_library_module(module_of(cast("type", member)))
    return True
