"""Where the nodes, labels and lines of a drawing lie.

Covers: layers from top to bottom by grandalf, the extra "html"; without it
the loop alone, as a column.
Does not cover: what is drawn (``drawing``), how it looks (``picture``).

Source: K. Sugiyama, S. Tagawa, M. Toda, "Methods for visual understanding of
hierarchical system structures", 1981; U. Brandes, B. Köpf, "Fast and simple
horizontal coordinate assignment", 2001; both as in grandalf.
"""

import functools
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from memguard.heap.render.drawing import Drawing, Link

_GAP_X = 26.0
_GAP_Y = 30.0
_PORT_SPAN = 0.7
_ROUNDING = 1

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle by its centre [px]."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Line:
    """A link: its label, and the points from the source to it and on to the target."""

    link: Link
    label: Box
    before: tuple[Point, ...]
    after: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """A drawing with a place for everything; the origin is its upper left corner.

    Attributes:
        width: Of the whole [px].
        height: Of the whole [px].
        boxes: Number of a node, and where it lies.
        lines: Its links.
    """

    width: float
    height: float
    boxes: dict[int, Box]
    lines: tuple[Line, ...]


@functools.cache
def has_grandalf() -> bool:
    """Tell whether the extra "html" is installed."""
    try:
        import grandalf.layouts
    except ImportError:
        return False
    return bool(grandalf.layouts)


def lay_out(drawing: Drawing, sizes: Sequence[Point], label_sizes: Sequence[Point]) -> Layout:
    """Find a place for each node and each label of a link.

    Args:
        drawing: What to draw.
        sizes: Width and height of each node [px].
        label_sizes: The same of the label of each link [px].
    """
    if has_grandalf():
        centres, routes, shown = _layered(drawing, sizes, label_sizes)
    else:
        centres, routes, shown = _column(drawing, sizes, label_sizes)
    boxes = {
        number: Box(*centres[number], *sizes[number]) for number in shown if number < len(sizes)
    }
    labels = {index: Box(*centres[len(sizes) + index], *label_sizes[index]) for index in routes}
    return _placed(drawing, boxes, labels, routes)


_Places = tuple[dict[int, Point], dict[int, tuple[list[Point], list[Point]]], list[int]]


def _depths(drawing: Drawing) -> dict[int, int]:
    """Number the nodes from the owner on, nearest first, those of the loop before others."""
    following: dict[int, list[int]] = {}
    for link in sorted(drawing.links, key=lambda link: not link.is_on_loop):
        following.setdefault(link.source, []).append(link.target)
    order = dict.fromkeys(drawing.loop[:1], 0)
    waiting = deque(order)
    while waiting:
        for target in following.get(waiting.popleft(), ()):
            if target not in order:
                order[target] = len(order)
                waiting.append(target)
    return order


class _View:
    """What grandalf asks of a vertex: its size; it sets the place."""

    def __init__(self, width: float, height: float) -> None:
        self.w = width
        self.h = height
        self.xy: Point = (0.0, 0.0)


class _Route:
    """What grandalf asks of an edge: a place for the points it passes."""

    def __init__(self) -> None:
        self.points: list[Point] = []

    def setpath(self, points: list[Point]) -> None:
        """Take the points, ends included."""
        self.points = points


def _layered(drawing: Drawing, sizes: Sequence[Point], label_sizes: Sequence[Point]) -> _Places:
    from grandalf.graphs import Edge, Graph, Vertex
    from grandalf.layouts import SugiyamaLayout

    order = _depths(drawing)
    vertices: dict[int, Any] = {number: Vertex(number) for number in order}
    # A label is a vertex on its link, so that it gets room like any other.
    pieces: dict[int, tuple[Any, Any]] = {}
    edges = []
    for index, link in enumerate(drawing.links):
        if link.source not in order or link.target not in order:
            continue
        label = vertices[len(sizes) + index] = Vertex(len(sizes) + index)
        # Given without a circle: what leads back is turned round.
        upper, lower = sorted((link.source, link.target), key=order.__getitem__)
        first = Edge(vertices[upper], label)
        second = None if upper == lower else Edge(label, vertices[lower])
        goes_down = link.source == upper
        pieces[index] = (first, second) if goes_down or second is None else (second, first)
        edges += [edge for edge in (first, second) if edge is not None]
    for edge in edges:
        edge.view = _Route()
    for number, vertex in vertices.items():
        is_label = number >= len(sizes)
        vertex.view = _View(*(label_sizes[number - len(sizes)] if is_label else sizes[number]))
    graph = Graph(list(vertices.values()), edges)
    sugiyama = SugiyamaLayout(graph.C[0])
    sugiyama.xspace, sugiyama.yspace = _GAP_X, _GAP_Y
    sugiyama.init_all(roots=[vertices[drawing.loop[0]]], inverted_edges=[])
    sugiyama.draw(3)
    centres = {number: vertex.view.xy for number, vertex in vertices.items()}
    routes = {}
    for index, (before, after) in pieces.items():
        link = drawing.links[index]
        ends = centres[link.source], centres[len(sizes) + index], centres[link.target]
        routes[index] = (
            _directed(before.view.points, ends[0]),
            _directed(after.view.points if after else [ends[1], ends[2]], ends[1]),
        )
    _take_apart(sugiyama, graph)
    return centres, routes, list(order)


def _take_apart(sugiyama: Any, graph: Any) -> None:
    """Leave no cycles: the next scan would find them and call them the program's."""
    parts = [sugiyama, graph, *graph.C, *graph.V(), *graph.E()]
    for layer in sugiyama.layers:
        parts += [layer, *layer]
    parts += sugiyama.grx.values()
    for part in parts:
        part.__dict__.clear()


def _directed(points: list[Point], start: Point) -> list[Point]:
    return points if points[0] == start else points[::-1]


def _column(drawing: Drawing, sizes: Sequence[Point], label_sizes: Sequence[Point]) -> _Places:
    """Set the loop below each other, and the reference that closes it beside."""
    loop = list(drawing.loop)
    on_loop = {link.source: index for index, link in enumerate(drawing.links) if link.is_on_loop}
    centres: dict[int, Point] = {}
    routes: dict[int, tuple[list[Point], list[Point]]] = {}
    y = 0.0
    rows: list[tuple[int, float]] = []
    for number in loop:
        centres[number] = (0.0, y + sizes[number][1] / 2)
        y += sizes[number][1] + _GAP_Y
        index = on_loop.get(number)
        if index is not None and number != loop[-1]:
            height = label_sizes[index][1]
            centres[len(sizes) + index] = (0.0, y + height / 2)
            rows.append((index, y + height / 2))
            y += height + _GAP_Y
    for index, _ in rows:
        link = drawing.links[index]
        label = centres[len(sizes) + index]
        routes[index] = ([centres[link.source], label], [label, centres[link.target]])
    closing = on_loop.get(loop[-1]) if loop else None
    if closing is not None:
        widths = [sizes[number][0] for number in loop]
        widths += [label_sizes[index][0] for index, _ in rows]
        x = max(widths) / 2 + _GAP_X + label_sizes[closing][0] / 2
        first, last = centres[loop[0]], centres[loop[-1]]
        if first == last:
            label = (0.0, y + label_sizes[closing][1] / 2)
            routes[closing] = ([first, label], [label, first])
        else:
            label = (x, (first[1] + last[1]) / 2)
            low = [(x, rows[-1][1])] if len(rows) > 1 else []
            high = [(x, rows[0][1])] if len(rows) > 1 else []
            routes[closing] = ([last, *low, label], [label, *high, first])
        centres[len(sizes) + closing] = label
    return centres, routes, loop


def _placed(
    drawing: Drawing,
    boxes: dict[int, Box],
    labels: dict[int, Box],
    routes: dict[int, tuple[list[Point], list[Point]]],
) -> Layout:
    """Move all into view and let the lines end at the boxes."""
    xs = [
        (box.x - box.width / 2, box.x + box.width / 2)
        for box in [*boxes.values(), *labels.values()]
    ]
    ys = [
        (box.y - box.height / 2, box.y + box.height / 2)
        for box in [*boxes.values(), *labels.values()]
    ]
    left, top = min(x for x, _ in xs), min(y for y, _ in ys)

    def moved(box: Box) -> Box:
        return Box(box.x - left, box.y - top, box.width, box.height)

    boxes = {number: moved(box) for number, box in boxes.items()}
    labels = {index: moved(box) for index, box in labels.items()}
    bends = {
        index: tuple([(x - left, y - top) for x, y in part[1:-1]] for part in route)
        for index, route in routes.items()
    }
    ports = _ports(drawing, boxes, labels, bends)
    lines = []
    for index in routes:
        link, label = drawing.links[index], labels[index]
        is_own = link.source == link.target
        down_to = _towards(boxes[link.source], bends[index][0], label)
        down_from = _towards(label, bends[index][1], boxes[link.target])
        shift = label.width / 4 if is_own else 0.0
        lines.append(
            Line(
                link,
                label,
                (
                    ports[index, 0],
                    *bends[index][0],
                    (label.x - shift, label.y - down_to * label.height / 2),
                ),
                (
                    (label.x + shift, label.y + down_from * label.height / 2),
                    *bends[index][1],
                    ports[index, 1],
                ),
            )
        )
    return Layout(
        width=max(x for _, x in xs) - left,
        height=max(y for _, y in ys) - top,
        boxes=boxes,
        lines=tuple(lines),
    )


def _towards(box: Box, bends: list[Point], other: Box) -> int:
    """Tell whether a line leaves a box downwards, 1, or upwards, -1."""
    return 1 if (bends[0][1] if bends else other.y) >= box.y else -1


def _ports(
    drawing: Drawing,
    boxes: dict[int, Box],
    labels: dict[int, Box],
    bends: dict[int, tuple[list[Point], ...]],
) -> dict[tuple[int, int], Point]:
    """Spread the ends of lines along the sides of each node, in the order they come from."""
    sides: dict[tuple[int, int], list[tuple[float, tuple[int, int]]]] = {}
    for index, label in labels.items():
        link = drawing.links[index]
        shift = label.width / 4 if link.source == link.target else 0.0
        for end, node in enumerate((link.source, link.target)):
            path = bends[index][end]
            box = boxes[node]
            nearest = (path[0] if end == 0 else path[-1]) if path else (label.x, label.y)
            side = 1 if nearest[1] >= box.y else -1
            came_from = nearest[0] + (shift if end else -shift)
            sides.setdefault((node, side), []).append((came_from, (index, end)))
    ports = {}
    for (node, side), ends in sides.items():
        box = boxes[node]
        span = box.width * _PORT_SPAN
        for place, (_, end_of_line) in enumerate(sorted(ends), 1):
            x = box.x - span / 2 + span * place / (len(ends) + 1)
            ports[end_of_line] = (round(x, _ROUNDING), box.y + side * box.height / 2)
    return ports
