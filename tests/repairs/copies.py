"""Modules imported with some of their lines replaced; nothing on disk changes."""

import importlib.machinery
import sys
from collections import defaultdict
from collections.abc import Sequence

from repairs.repair import Change


class _Copy(importlib.machinery.SourceFileLoader):
    """Loads the source of a module with the changes made, never from bytecode."""

    def __init__(self, fullname, path, changes: Sequence[Change], lines: list[str]) -> None:
        super().__init__(fullname, path)
        self._changes = changes
        self._lines = lines

    def get_code(self, fullname):
        path = self.get_filename(fullname)
        text = self.get_data(path).decode()
        original = text
        for change in self._changes:
            if text.count(change.before) != 1:
                found = text.count(change.before)
                raise ImportError(f"{fullname} has {found} of these lines: {change.before!r}")
            text = text.replace(change.before, change.after)
            line = original.count("\n", 0, original.index(change.before)) + 1
            self._lines.append(f"{fullname}:{line}")
        return compile(text, path, "exec", dont_inherit=True)


class CopyingFinder:
    """Finds modules as Python does, and has those with changes loaded as copies."""

    def __init__(self, changes: Sequence[Change]) -> None:
        self.lines: list[str] = []
        self._changes = defaultdict(list)
        for change in changes:
            self._changes[change.module].append(change)
        loaded = sys.modules.keys() & self._changes.keys()
        if loaded:
            raise ImportError(f"imported before they could be changed: {sorted(loaded)}")

    def find_spec(self, fullname, path=None, target=None):
        """Give the spec of a module that has changes; None for others."""
        if fullname not in self._changes:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        spec.loader = _Copy(fullname, spec.origin, self._changes[fullname], self.lines)
        return spec


def install(changes: Sequence[Change]) -> list[str]:
    """Load modules with these changes from now on, and list "module:line" as they are made."""
    finder = CopyingFinder(changes)
    sys.meta_path.insert(0, finder)
    return finder.lines
