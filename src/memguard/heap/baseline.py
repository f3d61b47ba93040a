"""Shapes that are known: a file of them, to tell what is new.

Covers: reading and checking the file, telling shapes again, adding to it.
A shape is told by its key, or by how its loop reads without positions in
lists: neither knows lines of source, ids or counts, so that code may move
and heaps may grow without anything being new.
Does not cover: what becomes of new shapes (``cli``, ``pytest_plugin``).
"""

import os
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memguard.errors import UnreadableBaselineError
from memguard.heap.render.markup import visible
from memguard.heap.render.text import alike
from memguard.heap.saved import SavedShape
from memguard.heap.shapes import Shape

VERSION = 1
"""Version of the files that are written and read."""

_HEAD = f"""\
# Shapes of reference cycles that are known, for memguard run --fail-on FILE and
# pytest --memguard-baseline FILE.
# What is not listed here is new. Only ever added to: comments and order stay.
version = {VERSION}
"""


@dataclass(frozen=True, slots=True)
class KnownShape:
    """A shape as the file has it.

    Attributes:
        kind: "garbage", "live" or "created".
        key: `Shape.key`; "" where there is none.
        path: `Shape.path`, for people, and to tell it when keys differ; "" in a
            file that has keys alone.
    """

    kind: str
    key: str
    path: str

    @classmethod
    def of(cls, kind: str, shape: Shape | SavedShape) -> "KnownShape":
        """Describe a shape of a report."""
        return cls(kind, shape.key, visible(shape.path))

    def written(self) -> str:
        """Write it as a table of TOML."""
        lines = ["[[shape]]", f"kind = {_quoted(self.kind)}"]
        if self.key:
            lines.append(f"key = {_quoted(self.key)}")
        return "\n".join([*lines, f"path = {_quoted(self.path)}", ""])


class Baseline:
    """The shapes of a file, or none.

    Thread-safety: any thread; values never change.
    """

    def __init__(self, shapes: Iterable[KnownShape] = ()) -> None:
        self.shapes = tuple(shapes)
        self._keys = {(shape.kind, shape.key) for shape in self.shapes if shape.key}
        self._paths = {(shape.kind, alike(shape.path)) for shape in self.shapes if shape.path}

    @classmethod
    def read(cls, path: Path) -> "Baseline":
        """Read a file.

        Raises:
            UnreadableBaselineError: It is missing, damaged, or of another version.
        """
        try:
            return cls.parsed(path.read_text(encoding="utf-8"), path)
        except FileNotFoundError:
            raise UnreadableBaselineError(path, "there is no such file") from None
        except UnicodeDecodeError:
            raise UnreadableBaselineError(path, "it is not UTF-8 text") from None
        except OSError as error:
            raise UnreadableBaselineError(path, error.strerror or str(error)) from None

    @classmethod
    def parsed(cls, text: str, path: Path) -> "Baseline":
        """Read the text of a file.

        Raises:
            UnreadableBaselineError: It is damaged, or of another version.
        """
        try:
            document = tomllib.loads(text)
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise UnreadableBaselineError(path, f"it is not TOML: {error}") from None
        version = document.get("version")
        if version != VERSION:
            given = (
                "it does not say its version" if version is None else f"its version is {version!r}"
            )
            raise UnreadableBaselineError(path, f"{given}, and this memguard reads {VERSION}")
        shapes = document.get("shape", [])
        if not isinstance(shapes, list):
            raise UnreadableBaselineError(path, "its shape is not a list of tables [[shape]]")
        return cls(_known(item, number, path) for number, item in enumerate(shapes, 1))

    def knows(self, shape: KnownShape) -> bool:
        """Tell whether a shape is listed."""
        has_key = bool(shape.key) and (shape.kind, shape.key) in self._keys
        return has_key or (shape.kind, alike(shape.path)) in self._paths


def add_to_baseline(path: Path, shapes: Iterable[KnownShape]) -> int:
    """Add the shapes that a file does not have; make the file if there is none.

    What the file has stays as it is, comments included, because tables are
    only put at its end. A shape that is gone is deleted by hand.

    Returns:
        How many were added [count].

    Raises:
        UnreadableBaselineError: The file cannot be read, or not be written.
    """
    text, known = _HEAD, Baseline()
    if path.exists():
        known = Baseline.read(path)
        text = path.read_text(encoding="utf-8")
    added: list[KnownShape] = []
    for shape in sorted(set(shapes), key=lambda shape: (shape.kind, shape.path, shape.key)):
        if not Baseline([*known.shapes, *added]).knows(shape):
            added.append(shape)
    whole = "\n".join([text.rstrip("\n") + "\n", *(shape.written() for shape in added)])
    try:
        # An inline list of shapes cannot be added to; better no change than a broken file.
        Baseline.parsed(whole, path)
        if added or not path.exists():
            replace_file(path, whole)
    except OSError as error:
        raise UnreadableBaselineError(path, error.strerror or str(error)) from None
    return len(added)


def replace_file(path: Path, text: str) -> None:
    """Write a whole file at once: whoever reads it sees the old text or the new one.

    Raises:
        OSError: It cannot be written.
    """
    path = path.resolve()
    encoded = text.encode("utf-8", "backslashreplace")
    if path.exists() and not path.is_file():
        path.write_bytes(encoded)  # a pipe or a device, which nothing may replace
        return
    beside = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        beside.write_bytes(encoded)
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise


def _known(item: Any, number: int, path: Path) -> KnownShape:
    values = item if isinstance(item, dict) else {}
    kind, key, loop = values.get("kind"), values.get("key", ""), values.get("path", "")
    if not (isinstance(kind, str) and isinstance(key, str) and isinstance(loop, str)) or not (
        key or loop
    ):
        raise UnreadableBaselineError(path, f"shape {number} has no kind, or no key and no path")
    return KnownShape(kind, key, loop)


def _quoted(text: str) -> str:
    escaped = visible(text).replace("\\", "\\\\").replace('"', '\\"')
    return '"' + escaped.replace("\n", "\\n").replace("\t", "\\t") + '"'
