"""Ways from a root to objects, in words.

Covers: one native search for all objects of a question, the name of each root and
of each step, which of them a person would call the holder.
Does not cover: which way is shortest (the native search), the answer (``retention``).

Nothing here runs code of the program: names are read as for the loops of a report.
"""

import itertools
import os
import re
import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType
from typing import cast

from memguard import _names, _retention
from memguard.heap.explain import refine_label
from memguard.heap.holders import begin_of, holder_of, task_name, timer_name
from memguard.heap.loops import display_names, open_path
from memguard.heap.names import plain_text, short_name, type_name

_OWN_FOLDER = str(Path(__file__).parent.parent) + os.sep
_UNCOUNTED = "an object that Python never frees"
_CELL = re.compile(r"^(frame .*\(\)\.\w+)\.cell_contents\b")
_SPECIAL_VARIABLES = {
    -1: ".<function>",
    -2: ".<local variables>",
    -3: "<thread-local data>",
    -4: "<current context>",
}
_MODULE_STEPS = 3

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
class Found:
    """What one search found.

    Attributes:
        ways: For each object, in the order in which they were given.
        freed_count: Objects that would be freed without the last references of all
            these ways [count].
        freed_bytes: The same [bytes].
        object_count: Objects that were looked at [count].
        duration_seconds: Of the search, without names [s].
    """

    ways: tuple[tuple[Way, ...], ...]
    freed_count: int
    freed_bytes: int
    object_count: int
    duration_seconds: float


def find_ways(
    objects: Sequence[object], question: object, *, most: int = 1, weighs: bool = False
) -> Found:
    """Find the shortest named ways from a root to objects, all in one search.

    Args:
        objects: What is asked about.
        question: The object in which the caller keeps them; it does not count.
        most: Ways for each object, which share none but modules [count, >= 1].
        weighs: Find out what cutting would free, which takes two more searches.

    Raises:
        MemoryError: A native table could not be had.
    """
    # In one tuple: what is handed to native code by itself has references of the call.
    found, freed_count, freed_bytes, object_count, _, duration_seconds = _retention.find_ways(
        (question, *objects), _OWN_FOLDER, most, weighs
    )
    ways: list[list[Way]] = [[] for _ in objects]
    known = _labels_in_large_containers([steps for _, _, steps in found])
    for place, root, steps in found:
        ways[place].append(_in_words(root, steps, known))
    return Found(tuple(map(tuple, ways)), freed_count, freed_bytes, object_count, duration_seconds)


def named_ways(objects: Sequence[object]) -> list[str | None]:
    """Name the shortest way to each object; None where nothing is known to hold it.

    Raises:
        MemoryError: A native table could not be had.
    """
    return [ways[0].text if ways else None for ways in find_ways(objects, objects).ways]


_Known = dict[tuple[int, int], str]
_FEWEST_ITEMS = 64


def _labels_in_large_containers(ways: list[list[object]]) -> _Known:
    """Name what large containers hold on many ways, in one pass over each container.

    To look through it once for each way would make a thousand ways from one dict take
    longer than all the rest.
    """
    wanted: dict[int, tuple[object, list[object]]] = {}
    for source, target in itertools.chain.from_iterable(map(itertools.pairwise, ways)):
        if type(source) in _LARGE_CONTAINERS and len(source) >= _FEWEST_ITEMS:  # type: ignore[arg-type]
            wanted.setdefault(id(source), (source, []))[1].append(target)
    known: _Known = {}
    for source, targets in wanted.values():
        for target, label in zip(targets, _labels_in(source, targets), strict=True):
            if label is not None:
                known[id(source), id(target)] = label
    return known


_LARGE_CONTAINERS = (dict, list, tuple, set, deque)


def _labels_in(source: object, targets: list[object]) -> list[str | None]:
    if type(source) is dict:
        return [
            None
            if found is None
            else "[key]"
            if found[0] is target
            else f"[{short_name(type_name(type(found[0])))}]"
            for target, found in zip(targets, _retention.keys_of(source, targets), strict=True)
        ]
    if type(source) is set:
        return ["{element}" for _ in targets]
    indices = _retention.indices_of(list(cast("list[object]", source)), targets)
    return [None if index is None else f"[{index}]" for index in indices]


def _in_words(root: Root, objects: list[object], known: _Known) -> Way:
    kind, code, number, thread = root
    labels = _labels(objects, known)
    place, work = begin_of(objects)
    if work:
        objects, labels = objects[place:], labels[place:]
        steps = open_path(objects, labels, _names_of(objects))
        return Way(" -> ".join(steps), holder_of(steps), work)
    if kind == "modules":
        kind, begin, objects, labels = "module", *_below_modules(objects, labels)
    elif kind == "running":
        kind, begin = _running(code, number, thread)
    else:
        begin = _UNCOUNTED if number == 0 else _counted(number)
        steps = [begin, *open_path(objects, labels, _names_of(objects))]
        return Way(" -> ".join(steps), holder_of(steps, is_unexplained=True), kind)
    names = _names_of(objects)
    if len(objects) > 1:
        is_named = names[0].startswith("task ") or " of " in names[0]
        names[0] = f"{begin} ({names[0]})" if is_named else begin
        steps = open_path(objects, labels, names)
    else:
        steps = [begin, names[0]]
    if kind == "frame":
        steps[0] = _CELL.sub(r"\1", steps[0])
    return Way(" -> ".join(steps), holder_of(steps), kind)


def _counted(reference_count: int) -> str:
    return f"{reference_count} reference{'s' * (reference_count != 1)} that no object explains"


def _below_modules(objects: list[object], labels: list[str]) -> tuple[str, list[object], list[str]]:
    """Name what a variable of a module holds after it, and go on from there."""
    if len(objects) < 2:
        return "sys.modules", objects, labels
    key = _names.key_of(objects[0], objects[1])
    module = (
        plain_text(cast("tuple[str]", key)[0]) if key and issubclass(type(key[0]), str) else "?"
    )
    if (
        len(objects) <= _MODULE_STEPS
        or not issubclass(type(objects[1]), ModuleType)
        or _names.instance_dict(objects[1]) is not objects[2]
    ):
        return module, objects[1:], labels[1:]
    variable = _names.key_of(objects[2], objects[_MODULE_STEPS])
    return f"{module}.{_text_of(variable)}", objects[_MODULE_STEPS:], labels[_MODULE_STEPS:]


def _text_of(key: tuple[object] | None) -> str:
    if key is None or not issubclass(type(key[0]), str):
        return "?"
    return plain_text(cast("str", key[0]))


def _running(code: CodeType | None, variable: int, thread: int) -> tuple[str, str]:
    if code is None:
        return "thread", f"thread {_thread_name(thread)} {_SPECIAL_VARIABLES[variable]}"
    names = code.co_varnames + code.co_cellvars + code.co_freevars
    # A parameter that is a cell stands once only.
    names = tuple(dict.fromkeys(names))
    name = f".{names[variable]}" if 0 <= variable < len(names) else ""
    return (
        "frame",
        f"frame {plain_text(code.co_qualname)}(){_SPECIAL_VARIABLES.get(variable, name)}",
    )


def _thread_name(ident: int) -> str:
    threading = sys.modules.get("threading")
    active = getattr(threading, "_active", {})
    thread = active.get(ident)
    for name, value in _attributes(thread):
        if name == "_name" and type(value) is str:
            return value
    return str(ident)


def _attributes(thing: object) -> list[tuple[object, object]]:
    return [*_names.inline_attributes(thing), *(_names.instance_dict(thing) or {}).items()]


def _labels(objects: list[object], known: _Known) -> list[str]:
    labels: list[str] = []
    for source, target in itertools.pairwise(objects):
        before = labels[-1] if labels else ""
        found = None
        if before == ".__dict__" and type(source) is dict:
            key = _names.key_of(source, target)
            found = f"[.{key[0]}]" if key and type(key[0]) is str else None
        label = found or known.get((id(source), id(target))) or _names.label_of(source, target)
        if label is None or label.startswith(".<stack "):
            label = refine_label(source, target, label)
        labels.append(label)
    return labels


def _names_of(objects: list[object]) -> list[str]:
    return [
        timer_name(thing) or task_name(thing) or name
        for thing, name in zip(objects, display_names(objects), strict=True)
    ]
