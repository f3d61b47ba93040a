"""The table of shapes of a page, each with its picture.

Covers: a row that sorts and is found, and what opens below it.
See also: ``html`` for the page around it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from xml.etree.ElementTree import Element

from memguard.heap.loops import Edge
from memguard.heap.names import short_name
from memguard.heap.render.layout import has_grandalf
from memguard.heap.render.markup import Content, element
from memguard.heap.render.picture import picture, planned
from memguard.heap.render.text import Path, count, size
from memguard.heap.saved import SavedAdvice, SavedShape

_MODULE = re.compile(r"((?:^|(?<= ))(?:[a-z_]\w*\.)+)(?=_*[A-Z])")
_COLUMNS = (
    ("path", "Loop"),
    ("cycles", "Cycles"),
    ("objects", "Objects"),
    ("bytes", "Size"),
    ("holding", "Holding"),
)
_MOST_TYPES = 8


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
            element("td", {"colspan": len(_COLUMNS)}, _detail(path, shape)),
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


def _detail(path: Path, shape: SavedShape) -> Element:
    held = shape.drawn.held_types if shape.drawn else {}
    return element(
        "div",
        {"class": "inside"},
        _figure(shape),
        element(
            "div",
            {"class": "aside"},
            _advice(shape.advice) if shape.advice else None,
            _facts(path, shape),
            _types("What it is made of", shape.type_names),
            _types("What only it holds", held) if held else None,
            _references(shape),
        ),
    )


def _figure(shape: SavedShape) -> Element:
    drawn = shape.drawn
    if drawn is None or not drawn.members:
        return element("div", {"class": "figure soft"}, "No cycle of this shape was kept to draw.")
    cuts = shape.advice.cuts if shape.advice else ()
    drawing, layout = planned(drawn, cuts)
    keys = [element("span", {"class": "on-loop"}, "the loop")]
    if any(link.is_cut for link in drawing.links):
        keys.append(element("span", {"class": "cut"}, "to cut"))
    if has_grandalf() and not all(link.is_on_loop for link in drawing.links):
        keys.append(element("span", {}, "other references"))
    hidden = drawing.hidden_count
    if not has_grandalf():
        hidden = drawn.size - drawing.folded_count - len(drawing.loop)
    notes = []
    if drawing.folded_count:
        notes.append(f"{count(drawing.folded_count, 'container')} drawn as part of a line")
    if hidden > 0:
        notes.append(f"{count(hidden, 'more member')} not drawn")
    if hidden > 0 and not has_grandalf():
        notes.append('pip install "pymemguard[html]" draws all')
    return element(
        "div",
        {"class": "figure"},
        element(
            "div",
            {
                "class": "scroll",
                "tabindex": 0,
                "role": "group",
                "aria-label": "One cycle of this shape",
            },
            picture(drawn, drawing, layout),
        ),
        element(
            "div",
            {"class": "legend"},
            *keys,
            element("div", {}, "; ".join(notes)) if notes else None,
        ),
    )


def _advice(advice: SavedAdvice) -> Element:
    return element(
        "div",
        {"class": "advice"},
        element("h3", {}, "What to do"),
        element("p", {}, *broken_at_dots(advice.sentence)),
        # A line each, so that one that is broken cannot be taken for two.
        element("pre", {}, *(element("code", {}, line) for line in advice.code.splitlines()))
        if advice.code
        else None,
        element(
            "p",
            {"class": "soft"},
            f"Proved: without it, {advice.dissolved_cycle_count:,} of"
            f" {count(advice.cycle_count, 'cycle')} tried are none.",
        )
        if advice.cuts
        else None,
    )


def _facts(path: Path, shape: SavedShape) -> Element:
    rows = []
    drawn = shape.drawn
    if drawn:
        rows += [
            ("objects on it", f"{drawn.size:,}"),
            ("freed with it", f"{drawn.retained_count:,}, {size(drawn.retained_bytes)}"),
            ("references from outside", f"{drawn.outside_reference_count:,}"),
        ]
    if path.shape_count > 1:
        rows.append(("shapes that read alike", f"{path.shape_count:,}"))
    return _list("The cycle in the picture", rows) if rows else element("div")


def _types(title: str, counts: Mapping[str, int]) -> Element:
    types = sorted(counts.items(), key=lambda item: -item[1])
    rows: list[tuple[str | Element, str]] = [
        (element("code", {}, *named(short_name(name))), f"{number:,}")
        for name, number in types[:_MOST_TYPES]
    ]
    if len(types) > _MOST_TYPES:
        rest = sum(number for _, number in types[_MOST_TYPES:])
        rows.append((count(len(types) - _MOST_TYPES, "more type"), f"{rest:,}"))
    return _list(title, rows)


def _list(title: str, rows: Sequence[tuple[str | Element, str]]) -> Element:
    return element(
        "div",
        {},
        element("h3", {}, title),
        element(
            "ul",
            {"class": "facts"},
            *(
                element(
                    "li",
                    {},
                    element("span", {}, name),
                    element("span", {"class": "amount"}, value),
                )
                for name, value in rows
            ),
        ),
    )


def _references(shape: SavedShape) -> Element | None:
    if not shape.edges:
        return None
    return element(
        "details",
        {},
        element("summary", {}, f"The loop, {count(len(shape.edges), 'reference')}"),
        element("ol", {}, *(element("li", {}, element("code", {}, _edge(e))) for e in shape.edges)),
    )


def _edge(edge: Edge) -> str:
    return f"{short_name(edge.source)}{edge.label or ' refers to'} \u2192 {short_name(edge.target)}"
