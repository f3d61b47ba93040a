"""The table of shapes of a page.

Covers: rows that sort, are found, and open.
Does not cover: what is below an open row (``detail``).
See also: ``html`` for the page around it.
"""

from collections.abc import Sequence
from xml.etree.ElementTree import Element

from memguard.heap.render.detail import detail
from memguard.heap.render.markup import element
from memguard.heap.render.spelling import broken_at_dots, path_content
from memguard.heap.render.text import Path, size
from memguard.heap.saved import SavedShape

_COLUMNS = (
    ("path", "Loop"),
    ("cycles", "Cycles"),
    ("objects", "Objects"),
    ("bytes", "Size"),
    ("holding", "Holding"),
)


def shapes_table(paths: Sequence[Path], anchor: str) -> Element:
    """Show shapes as a table that sorts, filters and opens."""
    most_bytes = max((path.retained_bytes for path in paths), default=0) or 1
    has_library = any(_shape(path).is_library_only for path in paths)
    tools = element(
        "div",
        {"class": "tools"},
        element("h2", {}, "Shapes"),
        element("output", {"class": "needs-script", "for": f"{anchor}-filter"}),
        _own_only() if has_library else None,
        element(
            "label",
            {"class": "needs-script"},
            "Filter",
            element(
                "input",
                {
                    "type": "search",
                    "id": f"{anchor}-filter",
                    "placeholder": "a class, an attribute",
                },
            ),
        ),
    )
    headings = [_heading(name, title) for name, title in _COLUMNS]
    table = element(
        "table",
        {"class": "shapes"},
        element("thead", {}, element("tr", {}, *headings)),
        *(
            _shape_rows(path, number, f"{anchor}-shape-{number}", most_bytes)
            for number, path in enumerate(paths, 1)
        ),
    )
    return element("div", {}, tools, table)


def _shape(path: Path) -> SavedShape:
    shape = path.shape
    assert isinstance(shape, SavedShape)
    return shape


def _own_only() -> Element:
    return element(
        "label",
        {"class": "needs-script"},
        element("input", {"type": "checkbox"}),
        "without those of the standard library alone",
    )


def _heading(name: str, title: str) -> Element:
    attributes = {"scope": "col", "data-sort": name}
    if name == "objects":
        attributes["aria-sort"] = "descending"
    return element("th", attributes, element("button", {"type": "button"}, title))


def _shape_rows(path: Path, number: int, anchor: str, most_bytes: int) -> Element:
    shape = _shape(path)
    attributes: dict[str, str | float] = {
        "data-number": number,
        "data-path": path.text,
        "data-cycles": path.cycle_count,
        "data-objects": path.object_count,
        "data-bytes": path.shallow_bytes,
        "data-holding": path.retained_bytes,
    }
    if shape.is_library_only:
        attributes["data-library"] = ""
    loop = element(
        "td",
        {},
        element(
            "button",
            {
                "type": "button",
                "class": "open-shape",
                "aria-expanded": "false",
                "aria-controls": anchor,
            },
            element("span", {"class": "path"}, *path_content(path.text)),
        ),
        element("span", {"class": "hint"}, *broken_at_dots(shape.advice.sentence))
        if shape.advice
        else None,
    )
    holding = _number("Holding", size(path.retained_bytes))
    holding.append(bar(path.retained_bytes / most_bytes))
    return element(
        "tbody",
        attributes,
        element(
            "tr",
            {"class": "row"},
            loop,
            _number("Cycles", f"{path.cycle_count:,}"),
            _number("Objects", f"{path.object_count:,}"),
            _number("Size", size(path.shallow_bytes)),
            holding,
        ),
        element(
            "tr",
            {"class": "detail", "id": anchor},
            element("td", {"colspan": len(_COLUMNS)}, detail(path, shape)),
        ),
    )


def _number(title: str, value: str) -> Element:
    return element("td", {"data-label": title}, value)


def bar(share: float) -> Element:
    """Draw a share of a whole, 0 to 1, as a bar; it says nothing that no text says."""
    return element(
        "svg",
        {
            "class": "bar",
            "viewBox": "0 0 100 6",
            "preserveAspectRatio": "none",
            "aria-hidden": "true",
        },
        element("rect", {"width": f"{max(100 * share, 0.5):.1f}", "height": 6, "rx": 1}),
    )
