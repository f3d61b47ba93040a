"""Names of the program as parts of a page.

Covers: where a line may end within them, and what of them stays in the background.
See also: ``text`` for the same on a terminal.
"""

import re
from collections.abc import Iterator

from memguard.heap.render.markup import Content, element

_MODULE = re.compile(r"((?:^|(?<= ))(?:[a-z_]\w*\.)+)(?=_*[A-Z])")


def path_content(text: str) -> Iterator[Content]:
    """Write a loop with its arrows marked and modules in the background."""
    for number, step in enumerate(text.split(" -> ")):
        if number:
            yield element("span", {"class": "arrow"}, "\u2192")
            yield element("wbr")
        yield from named(step)


def named(text: str) -> Iterator[Content]:
    """Write the name of a class with its module in the background; lines end after dots."""
    for number, part in enumerate(_MODULE.split(text)):
        if part:
            pieces = broken_at_dots(part)
            yield from [element("span", {"class": "module"}, *pieces)] if number % 2 else pieces


def broken_at_dots(text: str) -> list[Content]:
    """Let lines end before the dots within names."""
    pieces: list[Content] = []
    for piece in re.split(r"(?<=\w)(?=\.\w)", text):
        pieces += [element("wbr"), piece] if pieces else [piece]
    return pieces
