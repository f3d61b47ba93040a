"""Elements of HTML and SVG.

Pages are built as trees, never as text: names of types and attributes come
from the program that is looked at, and the serialiser escapes all of them.
"""

import re
from collections.abc import Mapping
from xml.etree.ElementTree import Element, tostring

_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)

Content = Element | str | None


def visible(text: str) -> str:
    """Write what no page may contain, or nobody could see, as an escape.

    These are control characters, halves of surrogate pairs, and marks that
    turn the direction of text.
    """
    return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def element(
    tag: str, attributes: Mapping[str, str | float] | None = None, /, *content: Content
) -> Element:
    """Make an element; None as content is left out."""
    made = Element(tag, {name: visible(str(value)) for name, value in (attributes or {}).items()})
    for item in content:
        if item is None:
            continue
        if isinstance(item, Element):
            made.append(item)
        elif len(made):
            made[-1].tail = (made[-1].tail or "") + visible(item)
        else:
            made.text = (made.text or "") + visible(item)
    return made


def own_text(tag: str, text: str) -> Element:
    """Make a ``style`` or ``script``, which are not escaped: our own text only."""
    assert f"</{tag}" not in text
    made = Element(tag)
    made.text = text
    return made


def written(root: Element) -> str:
    """Write a tree as HTML."""
    return tostring(root, encoding="unicode", method="html")
