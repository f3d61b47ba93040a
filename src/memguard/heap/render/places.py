"""Where the nodes of a drawing and the labels of its links lie.

Covers: layers from top to bottom by grandalf, the extra "html"; without it
the loop alone, as a column.
Does not cover: where lines begin and end (``layout``).

Source: K. Sugiyama, S. Tagawa, M. Toda, "Methods for visual understanding of
hierarchical system structures", 1981; U. Brandes, B. Köpf, "Fast and simple
horizontal coordinate assignment", 2001; both as in grandalf.
"""

import functools
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from memguard.heap.render.drawing import Drawing

_GAP_X = 26.0
_GAP_Y = 30.0

Point = tuple[float, float]

Route = tuple[list[Point], list[Point]]
"""The points from the source of a link to its label, and on to its target."""


@dataclass(frozen=True, slots=True)
class Places:
    """What lies where [px].

    Attributes:
        centres: Number of a node, and its middle; labels follow the nodes.
        routes: Number of a link that is shown, and how it goes.
        shown: Nodes that have a place.
    """

    centres: dict[int, Point]
    routes: dict[int, Route]
    shown: list[int]


@functools.cache
def has_grandalf() -> bool:
    """Tell whether the extra "html" is installed."""
    try:
        import grandalf.layouts
    except ImportError:
        return False
    return bool(grandalf.layouts)


def find_places(drawing: Drawing, sizes: Sequence[Point], label_sizes: Sequence[Point]) -> Places:
    """Find a place for each node and label; see `layout.lay_out`."""
    find = _layered if has_grandalf() else _column
    return find(drawing, sizes, label_sizes)


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


def _layered(drawing: Drawing, sizes: Sequence[Point], label_sizes: Sequence[Point]) -> Places:
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
    return Places(centres, routes, list(order))


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


def _column(drawing: Drawing, sizes: Sequence[Point], label_sizes: Sequence[Point]) -> Places:
    """Set the loop below each other, and the reference that closes it beside."""
    loop = list(drawing.loop)
    on_loop = {link.source: index for index, link in enumerate(drawing.links) if link.is_on_loop}
    centres: dict[int, Point] = {}
    routes: dict[int, Route] = {}
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
    return Places(centres, routes, loop)
