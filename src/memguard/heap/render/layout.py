"""The boxes and lines of a drawing.

Covers: moving all into view, and where on a box a line begins or ends.
Does not cover: what is drawn (``drawing``), where it is set (``places``), how
it looks (``picture``).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from memguard.heap.render.drawing import Drawing, Link
from memguard.heap.render.places import Point, Route, find_places

_PORT_SPAN = 0.7
_ROUNDING = 1


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


def lay_out(drawing: Drawing, sizes: Sequence[Point], label_sizes: Sequence[Point]) -> Layout:
    """Find a place for each node and each label of a link.

    Args:
        drawing: What to draw.
        sizes: Width and height of each node [px].
        label_sizes: The same of the label of each link [px].
    """
    places = find_places(drawing, sizes, label_sizes)
    centres = places.centres
    boxes = {
        number: Box(*centres[number], *sizes[number])
        for number in places.shown
        if number < len(sizes)
    }
    labels = {
        index: Box(*centres[len(sizes) + index], *label_sizes[index]) for index in places.routes
    }
    return _placed(drawing, boxes, labels, places.routes)


def _placed(
    drawing: Drawing,
    boxes: dict[int, Box],
    labels: dict[int, Box],
    routes: dict[int, Route],
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
