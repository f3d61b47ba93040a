"""A report inside a notebook: a small piece of HTML that leaves the rest alone.

Covers: styles that reach nothing outside, in the colours of the notebook.
See also: ``html`` for a page of its own.
"""

from xml.etree.ElementTree import Element

from memguard.heap.render.html import asset
from memguard.heap.render.markup import element, own_text, written
from memguard.heap.render.picture import picture, planned
from memguard.heap.render.spelling import path_content
from memguard.heap.render.text import (
    Path,
    count,
    left_out,
    merge_by_path,
    notes,
    size,
    unreachable,
    verdict,
)
from memguard.heap.saved import SavedReport, SavedShape

MOST_SHAPES = 10


def render_fragment(report: SavedReport) -> str:
    """Write the verdict and the first shapes, each to be opened for its picture."""
    paths = merge_by_path(report.shapes)
    closing = [*left_out(paths[MOST_SHAPES:]), *notes(report)]
    return written(
        element(
            "div",
            {"class": "memguard-report"},
            own_text("style", asset("notebook.css")),
            element("div", {"class": "verdict"}, verdict(report)),
            *(element("div", {"class": "soft"}, line) for line in unreachable(report)),
            *(_entry(path) for path in paths[:MOST_SHAPES]),
            *(element("div", {"class": "soft"}, line) for line in closing),
        )
    )


def _entry(path: Path) -> Element:
    shape = path.shape
    assert isinstance(shape, SavedShape)
    numbers = (
        f"{path.cycles}, {count(path.object_count, 'object')}, holding"
        f" {size(path.retained_bytes)}: "
    )
    return element(
        "details",
        {},
        element("summary", {}, numbers, element("code", {}, *path_content(path.text))),
        _advice(shape),
        _figure(shape),
    )


def _advice(shape: SavedShape) -> Element | None:
    if shape.advice is None:
        return None
    return element(
        "div",
        {"class": "advice"},
        shape.advice.sentence,
        *(element("code", {}, line) for line in shape.advice.code.splitlines()),
    )


def _figure(shape: SavedShape) -> Element | None:
    if shape.drawn is None or not shape.drawn.members:
        return None
    cuts = shape.advice.cuts if shape.advice else ()
    return element("div", {"class": "figure"}, picture(shape.drawn, *planned(shape.drawn, cuts)))
