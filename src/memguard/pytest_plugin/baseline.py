"""Shapes of cycles that are known: a TOML file, read and written.

Covers: the file, the same as that of ``memguard run``: ``[[shape]]`` tables,
each with a ``kind``, and a ``key``, a ``path`` or both.
"""

import json
import tomllib
from collections.abc import Iterable
from pathlib import Path

from memguard.pytest_plugin.findings import ShapeFacts, identities, identity

_HEAD = """\
# Shapes of reference cycles that are known. A test fails for others only.
version = 1
"""


def known_shapes(path: Path) -> frozenset[str]:
    """Read the identities of the shapes in a file.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is not TOML, or not a baseline.
    """
    tables = tomllib.loads(path.read_text(encoding="utf-8")).get("shape", [])
    if not isinstance(tables, list) or not all(
        isinstance(table, dict) and isinstance(table.get("path", table.get("key")), str)
        for table in tables
    ):
        raise ValueError("each of [[shape]] needs a key or a path")
    return frozenset(name for table in tables for name in identities(table))


def write_shapes(path: Path, shapes: Iterable[ShapeFacts]) -> None:
    """Write shapes, in an order that does not depend on how they were found."""
    tables = [
        f'[[shape]]\nkind = "{"live" if shape["in_use"] else "garbage"}"\n'
        + "".join(
            f"{name} = {json.dumps(shape[name], ensure_ascii=False)}\n"
            for name in ("key", "path")
            if shape.get(name)
        )
        for shape in sorted(shapes, key=identity)
    ]
    path.write_text("\n".join([_HEAD, *tables]), encoding="utf-8")
