"""Who wrote a class or a function: the program, a package, the interpreter.

Covers: telling the three apart by the file, since a person can change the
first, report the second and only work around the third.
See also: ``names`` for the same question without packages.
"""

import os
import sys
import types
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from memguard import _names
from memguard.heap.names import (
    bases_of,
    is_library_file,
    is_library_module,
    module_of,
    namespace_of,
    plain_text,
    type_name,
)

_MODULE_DICT = vars(types.ModuleType)["__dict__"].__get__
_PACKAGE_FOLDERS = ("site-packages", "dist-packages")
_LIBRARY_FOLDER = str(Path(os.__file__).parent) + os.sep
_OWN_PACKAGE = "memguard"


class Origin(IntEnum):
    """Who can change a line, the easiest first."""

    PROGRAM = 0
    PACKAGE = 1
    INTERPRETER = 2


@dataclass(frozen=True, slots=True)
class Source:
    """Who wrote something.

    Attributes:
        origin: Who can change it.
        package: The top module that it belongs to; "" for the program's own.
    """

    origin: Origin
    package: str


PROGRAM = Source(Origin.PROGRAM, "")


def source_of(member: object) -> Source:
    """Tell who wrote an object's code if it has some, else its class."""
    code = _names.code_of(member)
    if code is not None:
        return _source_of_file(plain_text(code.co_filename))
    module = module_of(type(member))
    package = module.partition(".")[0]
    if package == _OWN_PACKAGE:
        return PROGRAM  # a cycle of its own demonstration
    if is_library_module(module):
        return Source(Origin.INTERPRETER, package)
    path = module_file(module)
    return PROGRAM if path is None else _source_of_file(path)


def _source_of_file(path: str) -> Source:
    """Tell whose file it is; what is no file is the program's."""
    for folder in _PACKAGE_FOLDERS:
        _, found, inside = path.rpartition(f"{folder}{os.sep}")
        if found:
            return Source(Origin.PACKAGE, _top_of(inside))
    if is_library_file(path):
        return Source(Origin.INTERPRETER, _top_of(path.removeprefix(_LIBRARY_FOLDER)))
    return PROGRAM


def _top_of(path: str) -> str:
    return path.partition(os.sep)[0].removesuffix(".py").strip("<>").removeprefix("frozen ")


def family_of(cls: type) -> str:
    """Name the base furthest from a class that is of the same package.

    Classes of one package that share an attribute mostly have it from there.
    """
    package = module_of(cls).partition(".")[0]
    own = [base for base in bases_of(cls) if module_of(base).partition(".")[0] == package]
    return type_name(own[-1] if own else cls)


def module_file(name: str) -> str | None:
    """Give the file of an imported module, without asking the module itself."""
    namespace = module_namespace(name)
    path = None if namespace is None else namespace.get("__file__")
    return path if type(path) is str else None


def module_namespace(name: str) -> dict[str, object] | None:
    """Give the dict of an imported module."""
    module = dict.get(sys.modules, name)
    if module is None or not issubclass(type(module), types.ModuleType):
        return None
    namespace: dict[str, object] = _MODULE_DICT(module)
    return namespace


def has_slot(cls: type, name: str) -> bool:
    """Tell whether a class keeps an attribute in a slot that Python code declared."""
    names = [key for key, _ in namespace_of(cls).items() if type(key) is str]
    return name in names and "__slots__" in names
