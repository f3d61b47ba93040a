"""Name a reference: which attribute, slot, item, variable or field it is.

Covers: one reference from one object to another, both alive.
Does not cover: which references there are (the native scanner), nor whole
paths (``loops``).

Nothing here runs code of the program or leaves a trace in it: structs are read
natively, slots and fields through C descriptors, containers through the
methods of the built-in class itself, and comparison is by identity.
"""

import types
from collections import deque
from collections.abc import Callable
from typing import Any

from memguard import _names
from memguard.heap.names import bases_of, namespace_of, short_name, type_name

_Namer = Callable[[Any, object], str | None]

# Fields of C types that are plain reads. The other computed attributes of
# those types make objects when they are read, so they are not in this list.
_FIELDS: dict[type, tuple[str, ...]] = {
    types.CellType: ("cell_contents",),
    types.BuiltinFunctionType: ("__self__",),
    BaseException: ("__traceback__", "__context__", "__cause__", "args"),
    types.TracebackType: ("tb_next",),
    types.GeneratorType: ("gi_yieldfrom",),
    types.CoroutineType: ("cr_await",),
    types.AsyncGeneratorType: ("ag_await",),
    type: ("__bases__", "__mro__"),
}

# The same for types that live in modules which need not be imported.
_FIELDS_BY_NAME: dict[str, tuple[str, ...]] = {
    "_asyncio.Future": ("_exception", "_loop", "_result"),
    "_asyncio.Task": ("_coro", "_fut_waiter", "_exception", "_loop", "_result"),
}


def _dict_item(source: dict[Any, Any], target: object) -> str | None:
    # A key or a value of a dict is data of the program and never shown; its
    # type is. A dict that serves as a namespace is handled in `loops`.
    found = _names.key_of(source, target)
    if found is None:
        return None
    (key,) = found
    return "[key]" if key is target else f"[{short_name(type_name(type(key)))}]"


def _element(source: object, target: object) -> str | None:  # noqa: ARG001
    return "{element}"


def _sequence_item(source: list[Any] | tuple[Any, ...], target: object) -> str | None:
    index = _names.index_of(source, target)
    return None if index is None else f"[{index}]"


def _deque_item(source: deque[Any], target: object) -> str | None:
    for index, item in enumerate(deque.__iter__(source)):
        if item is target:
            return f"[{index}]"
    return None


_CONTAINERS: tuple[tuple[type, _Namer], ...] = (
    (dict, _dict_item),
    (list, _sequence_item),
    (tuple, _sequence_item),
    (set, _element),
    (frozenset, _element),
    (deque, _deque_item),
)


def _namespace(source: object, target: object) -> str | None:
    for name, value in _names.inline_attributes(source):
        if value is target:
            return f".{name}"
    if target is not None and _names.instance_dict(source) is target:
        return ".__dict__"
    return None


def _variable(source: object, target: object) -> str | None:
    for name, value in _names.frame_variables(source):
        if value is target:
            return f".<local {name}>"
    return None


def _field(source: object, target: object) -> str | None:
    """Look through slots and C fields, which plain descriptors read."""
    if type(source) is type(target) is types.FrameType:
        return ".f_back"
    if type(source) is types.FunctionType:
        for name, value in _names.function_defaults(source):
            if value is target:
                return f".{name}"
    for cls in bases_of(type(source)):
        # Only a class of a metaclass has a hash of its own, and none of those
        # is in the table.
        known = _FIELDS.get(cls, ()) if type(cls) is type else ()
        fields = known or _FIELDS_BY_NAME.get(type_name(cls), ())
        for name, member in namespace_of(cls).items():
            if type(name) is str and (
                _names.member_refers(member, source, target)
                or (name in fields and _reads(member, source, target))
            ):
                return f".{name}"
    return None


def _reads(descriptor: Any, source: object, target: object) -> bool:
    # A class can give itself any name, so what is found may be a property.
    if type(descriptor) is not types.GetSetDescriptorType:
        return False
    try:
        return descriptor.__get__(source, type(source)) is target
    except (AttributeError, TypeError, ValueError, RuntimeError):
        return False  # a field without a value, or of another class


def _class_part(source: object, target: object) -> str | None:
    if not _is_instance(source, type):
        return ".__class__" if target is type(source) else None
    assert isinstance(source, type)
    for name, value in namespace_of(source).items():
        if value is target and type(name) is str:
            return f".{name}"
    if type(target) is dict:
        return ".__dict__"
    return None


def _is_instance(source: object, cls: type) -> bool:
    # For a class whose own class is `type`, this runs no code: neither a
    # __subclasscheck__, nor the equality that `in` would ask a metaclass for.
    return issubclass(type(source), cls)


def name_reference(source: object, target: object) -> str:
    """Name the reference from one object to another.

    Returns:
        ``.name`` for an attribute, slot or C field, ``.<local name>`` for a
        variable of a suspended frame, ``[0]`` for an index, ``[str]`` for a
        dict entry by the type of its key, ``{element}`` for a set; ``.<field
        of T>`` where a C type keeps it in a place without a name.
    """
    try:
        found = _find_name(source, target)
    except RuntimeError:
        # Another thread changed a deque or a class that was being looked
        # through: a name less, but no reason to fail.
        found = None
    return found or f".<field of {short_name(type_name(type(source)))}>"


def _find_name(source: object, target: object) -> str | None:
    for cls, namer in _CONTAINERS:
        if _is_instance(source, cls):
            found = namer(source, target)
            if found is not None:
                return found
    for look in (_namespace, _variable, _field, _class_part):
        found = look(source, target)
        if found is not None:
            return found
    return None


def closure_variable(function: object, cell: object) -> str | None:
    """Name the closure variable that a cell of a function is."""
    code = _names.code_of(function)
    if type(function) is not types.FunctionType or code is None:
        return None
    for name, own in zip(code.co_freevars, function.__closure__ or (), strict=False):
        if own is cell:
            return name
    return None
