"""A cycle as a picture: inline SVG, styled by classes.

Covers: sizes of texts, boxes, curves.
Does not cover: where they lie (``layout``), colours (``page.css``).
"""

from collections.abc import Iterable
from xml.etree.ElementTree import Element

from memguard.heap.exemplar import Exemplar
from memguard.heap.loops import Edge
from memguard.heap.render.drawing import MOST_NODES, Drawing, Link, drawing_of
from memguard.heap.render.layout import Box, Layout, Line, lay_out
from memguard.heap.render.markup import element
from memguard.heap.render.places import Point
from memguard.heap.render.text import count, size

_MARGIN = 22.0
_WIDEST = 900.0
_FOOT = 30.0
_NAME_PX = 7.85
_SMALL_PX = 6.4
_LABEL_PX = 6.75
_LONGEST_NAME = 34
_LONGEST_LABEL = 38
_MOST_LABELS = 3
_ARROW = 6.5


def planned(exemplar: Exemplar, cuts: Iterable[Edge] = ()) -> tuple[Drawing, Layout]:
    """Choose what to draw so that it fits, and where: the loop, and what there is room for."""
    cuts = tuple(cuts)
    for most_nodes in (MOST_NODES, MOST_NODES // 2, MOST_NODES // 4, 0):
        drawing = drawing_of(exemplar, cuts, most_nodes=most_nodes)
        layout = lay_out(
            drawing,
            [_node_size(drawing, number) for number in range(len(drawing.nodes))],
            [_label_size(link) for link in drawing.links],
        )
        if layout.width <= _WIDEST:
            break
    return drawing, layout


def picture(exemplar: Exemplar, drawing: Drawing, layout: Layout) -> Element:
    """Draw a cycle: its loop marked, and what it retains as the frame around it."""
    caption = held(exemplar)
    width = max(layout.width, len(caption) * _SMALL_PX + 24) + 2 * _MARGIN
    height = layout.height + 2 * _MARGIN + _FOOT
    offset = (width - layout.width) / 2
    hot = [line for line in layout.lines if line.link.is_on_loop]
    cold = [line for line in layout.lines if not line.link.is_on_loop]
    return element(
        "svg",
        {
            "class": f"picture {_breadth(width)}",
            "viewBox": f"0 0 {width:.0f} {height:.0f}",
            "width": f"{width:.0f}",
            "height": f"{height:.0f}",
            "role": "img",
        },
        element("title", {}, describe(drawing)),
        element(
            "rect",
            {
                "class": "held",
                "x": 1.5,
                "y": 1.5,
                "width": f"{width - 3:.1f}",
                "height": f"{height - 3:.1f}",
                "rx": 14,
            },
        ),
        element(
            "text",
            {"class": "caption", "x": f"{width / 2:.1f}", "y": f"{height - 15:.1f}"},
            caption,
        ),
        element(
            "g",
            {"transform": f"translate({offset:.1f} {_MARGIN:.1f})"},
            *(item for line in cold + hot for item in _line(line)),
            *(_node(drawing, number, box) for number, box in layout.boxes.items()),
        ),
    )


def _breadth(width: float) -> str:
    """Tell how far a picture may be made smaller before its texts cannot be read."""
    for name, least in (("widest", 900), ("wide", 600), ("medium", 420)):
        if width > least:
            return name
    return "narrow"


def held(exemplar: Exemplar) -> str:
    """Say what would be freed with a cycle."""
    more = exemplar.retained_count - exemplar.size
    if more <= 0:
        return (
            f"{count(exemplar.size, 'object')}, {size(exemplar.retained_bytes)}, holding no others"
        )
    return (
        f"{count(exemplar.size, 'object')} on the cycle, holding {count(more, 'other')}:"
        f" {size(exemplar.retained_bytes)} in all"
    )


def describe(drawing: Drawing) -> str:
    """Say the loop of a drawing in words, for who cannot see it."""
    links = {link.source: link for link in drawing.links if link.is_on_loop}
    steps = [
        f"{drawing.nodes[number].name}{''.join(links[number].labels[:1])}"
        for number in drawing.loop
        if number in links
    ]
    return "A loop of references: " + " to ".join([*steps, drawing.nodes[0].name])


def _node(drawing: Drawing, number: int, box: Box) -> Element:
    node = drawing.nodes[number]
    classes = ["node"]
    if number in drawing.loop:
        classes.append("on-loop")
    if number == 0:
        classes.append("owner")
    lines = _node_lines(drawing, number)
    top = box.y - box.height / 2
    texts = []
    for row, (kind, text) in enumerate(lines):
        y = top + 20 + 15 * row if len(lines) > 1 else box.y + 4.5
        texts.append(element("text", {"class": kind, "x": f"{box.x:.1f}", "y": f"{y:.1f}"}, text))
    tooltip = " ".join(filter(None, [node.type_name, node.value]))
    return element(
        "g", {"class": " ".join(classes)}, element("title", {}, tooltip), _rect(box, 9), *texts
    )


def _node_lines(drawing: Drawing, number: int) -> list[tuple[str, str]]:
    node = drawing.nodes[number]
    times = f" \u00d7 {drawing.counts[number]:,}" if drawing.counts[number] > 1 else ""
    lines = [("name", shortened(node.name, _LONGEST_NAME) + times)]
    if node.module:
        lines.insert(0, ("module", shortened(node.module, _LONGEST_LABEL)))
    if node.value:
        lines.append(("value", shortened(node.value, _LONGEST_LABEL)))
    return lines


def _node_size(drawing: Drawing, number: int) -> Point:
    lines = _node_lines(drawing, number)
    widest = max(len(text) * (_NAME_PX if kind == "name" else _SMALL_PX) for kind, text in lines)
    return max(widest + 26, 72.0), 18.0 + 15.0 * len(lines)


def _label_lines(link: Link) -> list[str]:
    lines = [shortened(label, _LONGEST_LABEL) for label in link.labels[:_MOST_LABELS]]
    if len(link.labels) > _MOST_LABELS:
        lines.append(f"and {len(link.labels) - _MOST_LABELS} more")
    return lines


def _label_size(link: Link) -> Point:
    lines = _label_lines(link)
    if not lines:
        return 2.0, 2.0
    return max(len(line) for line in lines) * _LABEL_PX + 16, 7.0 + 14.0 * len(lines)


def _line(line: Line) -> list[Element]:
    link = line.link
    kind = " ".join(["link", *["on-loop"] * link.is_on_loop, *["cut"] * link.is_cut])
    made = [
        element("path", {"class": kind, "d": _curve(line.before)}),
        element("path", {"class": kind, "d": _curve(_ended(line.after))}),
        element("path", {"class": f"{kind} head", "d": _head(line.after)}),
    ]
    lines = _label_lines(link)
    if lines:
        box = line.label
        first = box.y - 7 * (len(lines) - 1) + 3.8
        made.append(
            element(
                "g",
                {"class": f"label {kind}"},
                element("title", {}, "\n".join(link.labels)),
                _rect(box, 7),
                *(
                    element("text", {"x": f"{box.x:.1f}", "y": f"{first + 14 * row:.1f}"}, text)
                    for row, text in enumerate(lines)
                ),
            )
        )
    return made


def _rect(box: Box, radius: int) -> Element:
    return element(
        "rect",
        {
            "x": f"{box.x - box.width / 2:.1f}",
            "y": f"{box.y - box.height / 2:.1f}",
            "width": f"{box.width:.1f}",
            "height": f"{box.height:.1f}",
            "rx": radius,
        },
    )


def _direction(points: tuple[Point, ...]) -> int:
    return 1 if points[-1][1] >= points[-2][1] else -1


def _ended(points: tuple[Point, ...]) -> tuple[Point, ...]:
    """Leave room for the head of the arrow."""
    x, y = points[-1]
    return (*points[:-1], (x, y - _direction(points) * _ARROW))


def _head(points: tuple[Point, ...]) -> str:
    x, y = points[-1]
    base = y - _direction(points) * _ARROW * 1.35
    return f"M{x:.1f} {y:.1f}L{x - 4.6:.1f} {base:.1f}L{x + 4.6:.1f} {base:.1f}Z"


def _curve(points: tuple[Point, ...]) -> str:
    """Lead a line through points, upright at each of them."""
    (x, y), *rest = points
    parts = [f"M{x:.1f} {y:.1f}"]
    for next_x, next_y in rest:
        middle = (y + next_y) / 2
        parts.append(f"C{x:.1f} {middle:.1f} {next_x:.1f} {middle:.1f} {next_x:.1f} {next_y:.1f}")
        x, y = next_x, next_y
    return "".join(parts)


def shortened(text: str, longest: int) -> str:
    """Leave out the middle of a long text."""
    if len(text) <= longest:
        return text
    kept = (longest - 1) // 2
    return f"{text[: longest - 1 - kept]}…{text[-kept:]}"
