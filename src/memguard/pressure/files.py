"""Small files of the kernel.

Covers: reading text, a number, or numbers by name; what is not there is None.
"""

import os
from collections.abc import Collection
from pathlib import Path

_PAGE_BYTES = 1 << 16
_ENDS_OF_NAMES = (" ", ":")


def read_text(path: str | os.PathLike[str]) -> str | None:
    """Read a file of the kernel; None where it cannot be read.

    Cost:
        See ``benchmarks/collector.py``; without Python's layers of text and buffers.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        # The kernel hands out a long file page by page.
        pages = []
        while page := os.read(descriptor, _PAGE_BYTES):
            pages.append(page)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return b"".join(pages).decode("utf-8", "surrogateescape")


def read_count(path: Path) -> int | None:
    """Read a number; None where there is none, as with "max"."""
    text = read_text(path)
    if text is None or not text.strip().isdecimal():
        return None
    return int(text)


def read_named(path: Path, names: Collection[str]) -> dict[str, int]:
    """Read lines "name number" or "name: number kB", as many of the names as there are."""
    found = {}
    text = f"\n{read_text(path) or ''}"
    for name in names:
        _, given, rest = text.partition(f"\n{name}")
        number = rest.partition("\n")[0].removeprefix(":").split()[:1]
        if given and rest[:1] in _ENDS_OF_NAMES and number and number[0].isdecimal():
            found[name] = int(number[0])
    return found
