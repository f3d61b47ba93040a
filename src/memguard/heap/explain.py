"""Name a reference: which attribute, slot, item, variable or field it is.

Covers: one reference from one object to another, both alive.
Does not cover: which references there are (the native scanner), nor whole
paths (``loops``).

Nothing here runs code of the program or leaves a trace in it: what has a
public struct is read natively (``_names``), other fields through the C
descriptors and methods of the built-in class itself, comparison is by identity.
"""

import types
from collections import deque
from collections.abc import Callable
from contextvars import ContextVar
from itertools import pairwise
from typing import Any

from memguard import _names
from memguard.heap.caches import cached_labels
from memguard.heap.names import bases_of, namespace_of, plain_text, short_name, type_name

_Namer = Callable[[Any, object], str | None]

# Fields of C types that are plain reads, through descriptors; other computed
# attributes of those types make objects when they are read. By name, since
# their modules need not be imported.
_FIELDS: dict[str, tuple[str, ...]] = {
    "_asyncio.Future": ("_exception", "_result", "_loop", "_source_traceback"),
    "_asyncio.Task": ("_coro", "_fut_waiter"),
    "_contextvars.Token": ("var", "old_value"),
    "builtins.async_generator": ("ag_await",),
    "builtins.coroutine": ("cr_await",),
    "builtins.generator": ("gi_yieldfrom",),
    "_asyncio.TaskStepMethWrapper": ("__self__",),
}

# References of C types that are known by their order alone: names for them in
# the order in which the type reports them, its own class left out.
_ORDERED: dict[str, tuple[str, ...]] = {
    "_asyncio.FutureIter": ("<future>",),
    "builtins.mappingproxy": ("<mapping>",),
    "builtins.callable_iterator": ("<callable>", "<sentinel>"),
    "builtins.coroutine_wrapper": ("<coroutine>",),
    "builtins.dict_items": ("mapping",),
    "builtins.dict_keys": ("mapping",),
    "builtins.dict_values": ("mapping",),
    "builtins.enumerate": ("<iterator>", "<result>"),
    "builtins.filter": ("<iterator>", "<function>"),
    "builtins.map": ("<iterators>", "<function>"),
    "builtins.zip": ("<iterators>", "<result>"),
    "operator.itemgetter": ("<item>",),
    "itertools.chain": ("<iterator>", "<iterators>"),
}
_ITERATORS = (
    "_collections._deque_iterator",
    "builtins.dict_itemiterator",
    "builtins.dict_keyiterator",
    "builtins.dict_reverseitemiterator",
    "builtins.dict_reversekeyiterator",
    "builtins.dict_reversevalueiterator",
    "builtins.dict_valueiterator",
    "builtins.iterator",
    "builtins.list_iterator",
    "builtins.list_reverseiterator",
    "builtins.reversed",
    "builtins.set_iterator",
    "builtins.tuple_iterator",
    "itertools.accumulate",
    "itertools.cycle",
    "itertools.groupby",
    "itertools.islice",
    "itertools.repeat",
)

# The table of a Context: nodes of a tree, which are no types that one can name.
_CONTEXT_NODES = ("hamt", "hamt_bitmap_node", "hamt_array_node", "hamt_collision_node")
CONTEXT_NODES = tuple(f"builtins.{name}" for name in _CONTEXT_NODES)


def name_reference(source: object, target: object) -> str:
    """Name the reference from one object to another.

    Returns:
        ``.name`` for an attribute, slot or C field, ``.<local name>`` for a
        variable of a suspended frame, ``[0]`` for an index, ``[str]`` for a
        dict entry by the type of its key, ``{element}`` for a set;
        ``.<reference 2 of T>`` where a C type does not tell more than the
        order in which it reports what it refers to, counted from 0.
    """
    label = _names.label_of(source, target)
    if label is None or label.startswith(".<stack "):
        return refine_label(source, target, label)
    return label


def refine_label(source: object, target: object, label: str | None) -> str:
    """Name a reference of which no struct tells more than this label, or nothing."""
    try:
        found = _find_name(source, target)
    except RuntimeError:
        # Another thread changed a deque or a class that was being looked
        # through: a name less, but no reason to fail.
        found = None
    return found or label or _position(source, target)


def _find_name(source: object, target: object) -> str | None:
    for cls in bases_of(type(source)):
        # Only a class of a metaclass has a hash of its own, and none of those
        # is in the tables.
        if type(cls) is not type:
            continue
        name = type_name(cls)
        namer = _NAMERS.get(name)
        found = namer(source, target) if namer else None
        found = found or _field(cls, _FIELDS.get(name, ()), source, target)
        if found is not None:
            return found
    return None


def _field(cls: type, fields: tuple[str, ...], source: object, target: object) -> str | None:
    for name in fields:
        descriptor = namespace_of(cls).get(name)
        # A class can give itself any name, so what is found may be a property.
        if type(descriptor) is types.GetSetDescriptorType and _reads(descriptor, source, target):
            return f".{name}"
    return None


def _reads(descriptor: Any, source: object, target: object) -> bool:
    try:
        return descriptor.__get__(source, type(source)) is target
    except (AttributeError, TypeError, ValueError, RuntimeError):
        return False  # a field without a value, or of another class


def referents(source: object) -> list[object]:
    """List what a C type reports, but for the class and the dict of the object."""
    cls, attributes = type(source), _names.instance_dict(source)
    return [
        item
        for item in _names.referents_of(source)
        if item is not cls and (item is not attributes or attributes is None)
    ]


def _ordered(*names: str) -> _Namer:
    def name(source: object, target: object) -> str | None:
        reported = referents(source)
        # What is missing is at the end: results that are kept for the next time.
        for item, field in zip(reported, names, strict=False):
            if item is target:
                return f".{field}"
        return None

    return name


def _deque_item(source: deque[Any], target: object) -> str | None:
    for index, item in enumerate(deque.__iter__(source)):
        if item is target:
            return f"[{index}]"
    return None


def _cached(source: object, target: object) -> str | None:
    return cached_labels(referents(source), [target])[0]


def _future_part(source: object, target: object) -> str | None:
    """Name a callback of a future or task, and what it keeps beside its attributes."""
    read = _asyncio_field(source, "_callbacks")
    for index, (callback, context) in enumerate(read or ()):
        if callback is target:
            return f".<callback {index}>"
        if context is target:
            return f".<context of callback {index}>"
    if type(target) is types.TracebackType:
        return ".<traceback of _exception>"
    return ".<context>" if _is_a(target, "_contextvars.Context") else None


def _asyncio_field(source: object, name: str) -> Any:
    for cls in bases_of(type(source)):
        if type(cls) is type and type_name(cls) == "_asyncio.Future":
            descriptor = namespace_of(cls).get(name)
            if type(descriptor) is types.GetSetDescriptorType:
                return descriptor.__get__(source, cls)
    return None


def _is_a(thing: object, name: str) -> bool:
    return type_name(type(thing)) == name


def _token_part(source: object, target: object) -> str | None:  # noqa: ARG001
    return ".<context>" if _is_a(target, "_contextvars.Context") else None


def _variables(source: object, target: object) -> str | None:  # noqa: ARG001
    return ".<variables>" if type_name(type(target)) in CONTEXT_NODES else None


def _context_entry(source: object, target: object) -> str | None:
    """Name an entry of a context by its variable, which is reported after each value."""
    reported = referents(source)
    for item, variable in pairwise(reported):
        if item is target and type(variable) is ContextVar:
            return f"[{plain_text(variable.name)}]"
    return _variables(source, target)


# Missing ones are reported as None.  What a subclass adds is reported before.
_AGENT_FIELDS = ("task_id", "parent_ref", "subtasks", "data", "callbacks", "metadata")


def _agent_field(source: object, target: object) -> str | None:
    """Name what an agent's context holds, without asking it, which would make lists."""
    own = _names.referents_of(source)[-len(_AGENT_FIELDS) :]
    for item, field in zip(own, _AGENT_FIELDS, strict=False):
        if item is target:
            return f".{field}"
    return None


def _position(source: object, target: object) -> str:
    cls = short_name(type_name(type(source)))
    for position, item in enumerate(referents(source)):
        if item is target:
            return f".<reference {position} of {cls}>"
    return f".<reference of {cls}>"


_NAMERS: dict[str, _Namer] = {
    "collections.deque": _deque_item,
    "functools._lru_cache_wrapper": _cached,
    "_asyncio.Future": _future_part,
    "_contextvars.Context": _variables,
    "_contextvars.Token": _token_part,
    "memguard._agents.AgentContext": _agent_field,
    **dict.fromkeys(CONTEXT_NODES, _context_entry),
    **{name: _ordered(*names) for name, names in _ORDERED.items()},
    **{name: _ordered("<iterated>") for name in _ITERATORS},
}


def part_of_function(function: object, way: str, part: object, target: object) -> str | None:
    """Name what a part of a function, or of a partial, holds, as its author would.

    Args:
        function: The function, or the ``functools.partial``.
        way: The label of *part* in it.
        part: Its closure, its defaults, its globals or its keywords.
        target: What is looked for in it.

    Returns:
        A label such as "[variable]"; None if *way* says nothing more.
    """
    if way in (".__kwdefaults__", ".keywords", ".__globals__"):
        found = _names.key_of(part, target)
        text = found[0] if found is not None else None
        if not issubclass(type(text), str):
            return None
        return f"[{plain_text(text)}]"  # type: ignore[arg-type]
    if type(function) is not types.FunctionType or type(part) is not tuple:
        return None
    code = _names.code_of(function)
    if code is None:
        return None
    if way == ".__closure__":
        names = code.co_freevars
    elif way == ".__defaults__":
        names = code.co_varnames[: code.co_argcount][-len(part) :]
    else:
        return None
    return next(
        (
            f"[{plain_text(name)}]"
            for name, item in zip(names, part, strict=False)
            if item is target
        ),
        None,
    )
