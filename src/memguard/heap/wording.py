"""Ways from a root to objects, in words.

Covers: the name of each root and of each step, which of them a person would call the
holder, for many ways that have most of it in common.
Does not cover: finding the ways (``ways``).

Nothing here runs code of the program: names are read as for the loops of a report.
"""

import itertools
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from types import CodeType, ModuleType
from typing import cast

from memguard import _names
from memguard.heap.contents import KEEPERS, labels_in
from memguard.heap.explain import refine_label
from memguard.heap.holders import begin_of, holder_of, is_loop, task_name, timer_name
from memguard.heap.loops import NAMES_OF_PARTS, display_names, open_path
from memguard.heap.names import plain_text

_UNCOUNTED = "an object that Python never frees"
_CELL = re.compile(r"^(frame .*\(\)\.\w+)\.cell_contents\b")
_SPECIAL_VARIABLES = {
    -1: ".<function>",
    -2: ".<local variables>",
    -3: "<thread-local data>",
    -4: "<current context>",
    -5: "<exception being handled>",
}
_MODULE_STEPS = 3
_INDEX = re.compile(r"\[\d+\]")

LONGEST_NAMED_END = 32
"""Objects at each end of a way that are named, if it has more than twice as many [count]."""

Root = tuple[str, CodeType | None, int, int]


@dataclass(frozen=True, slots=True)
class Way:
    """The references that lead from a root to an object.

    Attributes:
        text: All of it, as a line.
        holder: The step that a person would call the holder: the last container on
            the way, or else the last reference.
        root: "module", "frame", "thread", "task" or "timer" of an event loop, or
            "unexplained".
    """

    text: str
    holder: str
    root: str


@dataclass(frozen=True, slots=True)
class _Steps:
    """Objects of a way, with what is called between them.

    Attributes:
        objects: From the first to the last.
        labels: One for each reference.
        end: Where objects are left out: the place of the first one after them; or 0.
        hidden_count: How many are left out [count].
    """

    objects: list[object]
    labels: list[str]
    end: int
    hidden_count: int

    def after(self, place: int) -> "_Steps":
        """Leave out what comes before a place."""
        end = max(self.end - place, 0)
        return _Steps(
            self.objects[place:], self.labels[place:], end, self.hidden_count if end else 0
        )

    def in_words(self, names: list[str]) -> list[str]:
        """Name the steps, folded."""
        end = self.end
        if not end:
            return open_path(self.objects, self.labels, names)
        return [
            *open_path(self.objects[:end], self.labels[: end - 1], names[:end]),
            f"({self.hidden_count} more)",
            *open_path(self.objects[end:], self.labels[end:], names[end:]),
        ]


@dataclass(frozen=True, slots=True)
class _Shared:
    """What ways have in common that differ in their last object only.

    Attributes:
        label: Of the reference before the last one.
        endings: For a last reference, without the index, and the name of the object: the
            text before that index and after it, a way; or None where that says too little.
    """

    label: str
    endings: dict[tuple[str, str], tuple[str, str, Way] | None]


class Wording:
    """Words for the ways of one answer, which are not to change meanwhile.

    Args:
        ways: The objects of all of them, kept alive by the caller.
    """

    def __init__(self, ways: Sequence[Sequence[object]]) -> None:
        self._known = labels_in(ways)
        self._shared: dict[tuple[object, ...], _Shared] = {}
        self._plain_names: dict[int, str | None] = {}

    def way(self, root: Root, objects: list[object], hidden_count: int) -> Way:
        """Put one into words.

        Args:
            root: As the native search gives it.
            objects: From the root to what was asked about.
            hidden_count: How many are left out amid them [count].
        """
        kind, code, number, place = root
        key = (kind, id(code), number, place, *map(id, objects[:-1]))
        if kind == "unexplained" and place >= 0:
            # A tuple that nobody may hold now; it stands for that.
            objects = [(objects[0], None), *objects]
        hidden_count += max(len(objects) - 2 * LONGEST_NAMED_END, 0)
        if hidden_count and len(objects) > 2 * LONGEST_NAMED_END:
            objects = [*objects[:LONGEST_NAMED_END], *objects[-LONGEST_NAMED_END:]]
        if hidden_count or len(objects) <= _MODULE_STEPS + 1 or type(objects[-2]) not in KEEPERS:
            return _in_words(root, self._labelled(root, objects, hidden_count))
        shared = self._shared.get(key)
        if shared is None:
            steps = self._labelled(root, objects, 0)
            self._shared[key] = _Shared(steps.labels[-2], {})
            return _in_words(root, steps)
        return self._ending(shared, root, objects)

    def _ending(self, shared: _Shared, root: Root, objects: list[object]) -> Way:
        name = self._plain_name(objects[-1])
        if name is None or shared.label in ("", ".__dict__", *NAMES_OF_PARTS):
            return _in_words(root, self._labelled(root, objects, 0))
        label = self._label(objects[-2], objects[-1])
        is_index = _INDEX.fullmatch(label) is not None
        bare = "[]" if is_index else label
        if (bare, name) not in shared.endings:
            way = _in_words(root, self._labelled(root, objects, 0))
            end = f"{label if is_index else ''} -> {name}"
            shared.endings[bare, name] = (
                (way.text.removesuffix(end), f" -> {name}", way) if way.text.endswith(end) else None
            )
            return way
        ending = shared.endings[bare, name]
        if ending is None:
            return _in_words(root, self._labelled(root, objects, 0))
        before, after, way = ending
        return Way(f"{before}{label}{after}", way.holder, way.root) if is_index else way

    def _plain_name(self, thing: object) -> str | None:
        """Name an object that is called by its class alone; None for others."""
        cls = type(thing)
        if id(cls) not in self._plain_names:
            named = issubclass(cls, (type, ModuleType)) or _names.code_of(thing) is not None
            is_own = named or is_loop(thing) or task_name(thing) or timer_name(thing)
            self._plain_names[id(cls)] = None if is_own else display_names([thing])[0]
        return self._plain_names[id(cls)]

    def _labelled(self, root: Root, objects: list[object], hidden_count: int) -> _Steps:
        kind, _, _, place = root
        end = LONGEST_NAMED_END if hidden_count else 0
        labels = self._labels(objects, end)
        if kind == "unexplained" and place >= 0:
            labels[0] = f"[{place}]"
        return _Steps(objects, labels, end, hidden_count)

    def _labels(self, objects: list[object], end: int) -> list[str]:
        labels: list[str] = []
        for place, (source, target) in enumerate(itertools.pairwise(objects), 1):
            found = None
            if labels and labels[-1] == ".__dict__" and type(source) is dict:
                key = _names.key_of(source, target)
                found = f"[.{key[0]}]" if key and type(key[0]) is str else None
            labels.append("" if place == end else found or self._label(source, target))
        return labels

    def _label(self, source: object, target: object) -> str:
        label = self._known.get((id(source), id(target))) or _names.label_of(source, target)
        if label is None or label.startswith(".<stack "):
            label = refine_label(source, target, label)
        return label


def _in_words(root: Root, steps: _Steps) -> Way:
    kind, code, number, thread = root
    place, work = begin_of(steps.objects)
    if work:
        words = steps.after(place).in_words(_names_of(steps.objects[place:]))
        return Way(" -> ".join(words), holder_of(words), work)
    if kind == "unexplained":
        begin = _UNCOUNTED if number == 0 else _counted(number)
        words = [begin, *steps.in_words(_names_of(steps.objects))]
        return Way(" -> ".join(words), holder_of(words, is_unexplained=True), kind)
    if kind == "modules":
        kind = "module"
        begin, place = _below_modules(steps.objects)
        steps = steps.after(place)
    else:
        kind, begin = _running(code, number, thread)
    names = _names_of(steps.objects)
    if len(names) > 1:
        is_named = names[0].startswith("task ") or " of " in names[0]
        names[0] = f"{begin} ({names[0]})" if is_named else begin
        words = steps.in_words(names)
    else:
        words = [begin, names[0]]
    if kind == "frame":
        words[0] = _CELL.sub(r"\1", words[0])
    return Way(" -> ".join(words), holder_of(words), kind)


def _counted(reference_count: int) -> str:
    return f"{reference_count} reference{'s' * (reference_count != 1)} that no object explains"


def _below_modules(objects: list[object]) -> tuple[str, int]:
    """Name what a variable of a module holds after it; give the place of that."""
    if len(objects) < 2:
        return "sys.modules", 0
    key = _names.key_of(objects[0], objects[1])
    module = (
        plain_text(cast("tuple[str]", key)[0]) if key and issubclass(type(key[0]), str) else "?"
    )
    if (
        len(objects) <= _MODULE_STEPS
        or not issubclass(type(objects[1]), ModuleType)
        or _names.instance_dict(objects[1]) is not objects[2]
    ):
        return module, 1
    variable = _names.key_of(objects[2], objects[_MODULE_STEPS])
    return f"{module}.{_text_of(variable)}", _MODULE_STEPS


def _text_of(key: tuple[object] | None) -> str:
    if key is None or not issubclass(type(key[0]), str):
        return "?"
    return plain_text(cast("str", key[0]))


def _running(code: CodeType | None, variable: int, thread: int) -> tuple[str, str]:
    if code is None:
        return "thread", f"thread {thread_name(thread)} {_SPECIAL_VARIABLES[variable]}"
    names = code.co_varnames + code.co_cellvars + code.co_freevars
    # A parameter that is a cell stands once only.
    names = tuple(dict.fromkeys(names))
    name = f".{names[variable]}" if 0 <= variable < len(names) else ""
    return (
        "frame",
        f"frame {plain_text(code.co_qualname)}(){_SPECIAL_VARIABLES.get(variable, name)}",
    )


def thread_name(ident: int) -> str:
    """Name a thread; by its number where threading does not know it."""
    threading = sys.modules.get("threading")
    active = getattr(threading, "_active", {})
    thread = active.get(ident)
    for name, value in _attributes(thread):
        if name == "_name" and type(value) is str:
            return value
    return str(ident)


def _attributes(thing: object) -> list[tuple[object, object]]:
    return [*_names.inline_attributes(thing), *(_names.instance_dict(thing) or {}).items()]


def _names_of(objects: list[object]) -> list[str]:
    return [
        timer_name(thing) or task_name(thing) or name
        for thing, name in zip(objects, display_names(objects), strict=True)
    ]
