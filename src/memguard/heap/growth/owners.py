"""Whose code something is: the program's, a library's, or Python's own.

Covers: modules and files, by where they lie.
Does not cover: which of the things on a way counts (``places``).
"""

import functools
import sys
from collections.abc import Iterable

from memguard import _names
from memguard.heap.names import is_library_file, is_library_module, module_of

PROGRAM = 0
LIBRARY = 1
PYTHON = 2

_LOOKING = ("memguard._growth", "memguard.heap.", "memguard.watching.")


def is_of_looks(module: str) -> bool:
    """Whether what a module makes is made by looking at the heap."""
    return module.startswith(_LOOKING)


def is_held_by_looks(steps: Iterable[object]) -> bool:
    """Whether what memguard notes of the heap lies on a way: that grows with the looks."""
    return any(is_of_looks(module_of(type(thing))) for thing in steps)


def rank_of_file(path: str) -> int:
    """Rank code by the file that it is from."""
    if is_library_file(path):
        return PYTHON
    return LIBRARY if "site-packages" in path or "dist-packages" in path else PROGRAM


@functools.lru_cache(maxsize=1024)
def rank_of_module(name: str) -> int:
    """Rank a module, by its file if it is imported and has one."""
    if is_library_module(name):
        return PYTHON
    module = dict.get(sys.modules, name)
    path = (_names.instance_dict(module) or {}).get("__file__")
    return rank_of_file(path) if type(path) is str else PROGRAM
