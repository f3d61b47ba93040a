"""What opens below a row of the table: one cycle of the shape, and what to do.

Covers: the picture with its legend, the advice, and lists of facts.
See also: ``table`` for the rows, ``picture`` for the drawing itself.
"""

from collections.abc import Mapping, Sequence
from xml.etree.ElementTree import Element

from memguard.heap.loops import Edge
from memguard.heap.names import short_name
from memguard.heap.render.markup import element
from memguard.heap.render.picture import picture, planned
from memguard.heap.render.places import has_grandalf
from memguard.heap.render.spelling import broken_at_dots, named
from memguard.heap.render.text import Path, count, size
from memguard.heap.saved import SavedAdvice, SavedShape

_MOST_TYPES = 8


def detail(path: Path, shape: SavedShape) -> Element:
    """Show all that is known of one shape."""
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
            _types("Whose its cycles are", path.owners) if path.owners else None,
            _types("Where it was made", shape.allocated_at) if shape.allocated_at else None,
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
