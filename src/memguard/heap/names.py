"""Names of types, without asking them.

A metaclass can answer ``cls.__name__`` or ``cls.__module__`` with any code.
Here both are read from the type's own struct and dict and from nowhere else.
"""

import functools
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

from memguard import _names

_MRO = type.__dict__["__mro__"].__get__
_DICT = type.__dict__["__dict__"].__get__

_OWN_PACKAGE = "memguard"
OWN_FOLDER = str(Path(__file__).parent.parent) + os.sep
_LIBRARY_FOLDER = str(Path(os.__file__).parent) + os.sep


def namespace_of(cls: type) -> Mapping[str, Any]:
    """Give the dict of a class as a read-only view."""
    return cast("MappingProxyType[str, Any]", _DICT(cls))


def bases_of(cls: type) -> tuple[type, ...]:
    """Give the class and its bases in resolution order."""
    return cast("tuple[type, ...]", _MRO(cls) or (cls,))


def module_of(cls: type) -> str:
    """Give the module in which a class says it was made; "?" if it does not."""
    return _names.type_module(cls)


def type_name(cls: type) -> str:
    """Give "module.QualName" of a class, "builtins.list" included."""
    return _names.type_name(cls)


def plain_text(text: str) -> str:
    """Give a text without the methods that a subclass of ``str`` may have."""
    return str.__str__(text)


def short_name(name: str) -> str:
    """Drop "builtins." from a type name, for people."""
    return name.removeprefix("builtins.")


@functools.lru_cache(maxsize=1024)
def is_library_module(module: str) -> bool:
    """Tell whether a module belongs to the standard library or to memguard."""
    top = module.partition(".")[0]
    if top == "__main__":
        return False
    return top in sys.stdlib_module_names or top in ("builtins", "?", _OWN_PACKAGE)


def is_library_file(path: str) -> bool:
    """Tell whether code from a file belongs to the standard library or to memguard."""
    if path.startswith("<frozen "):
        return True
    if "site-packages" in path or "dist-packages" in path:
        return path.startswith(OWN_FOLDER)
    return path.startswith((_LIBRARY_FOLDER, OWN_FOLDER))


def count_by_name(counts: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Give counts by type name, most first, then by name."""
    merged: dict[str, int] = {}
    for name, count in counts:
        merged[name] = merged.get(name, 0) + count
    return dict(sorted(merged.items(), key=lambda item: (-item[1], item[0])))
