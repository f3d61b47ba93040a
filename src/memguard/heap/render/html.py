"""Reports as a page: one file, which asks for no other.

Covers: what stands where. The page's policy forbids it every request, and
every script but its own.
Does not cover: the table of shapes (``table``), pictures (``picture``), what
it looks like (``page.css``), what it does (``page.js``).
"""

import base64
import functools
import hashlib
import importlib.resources
from collections.abc import Sequence
from xml.etree.ElementTree import Element

from memguard.heap.names import short_name
from memguard.heap.render.markup import element, own_text, written
from memguard.heap.render.spelling import named
from memguard.heap.render.table import bar, shapes_table
from memguard.heap.render.text import NOUNS, count, left_out, merge_by_path, notes, size
from memguard.heap.saved import SavedReport

MOST_SHAPES = 300
"""Shapes that a page lists; the others are counted [count]."""

_MOST_TYPES = 8
_WHEN = {"end": "at its end", "signal": "on SIGUSR1", "timer": "at an interval"}
_ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24'%3E"
    "%3Cpath d='M19 12a7 7 0 1 1-2.6-5.4' fill='none' stroke='%23c2410c' stroke-width='3'"
    " stroke-linecap='round'/%3E%3Ccircle cx='17.5' cy='7' r='2.6' fill='%23c2410c'/%3E%3C/svg%3E"
)


@functools.cache
def asset(name: str) -> str:
    """Read a file that belongs to the page."""
    return importlib.resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def render_page(reports: Sequence[SavedReport]) -> str:
    """Write a page with a section for each report."""
    style, script = asset("page.css"), asset("page.js")
    policy = (
        f"default-src 'none'; img-src data:; style-src {_digest(style)};"
        f" script-src {_digest(script)}; base-uri 'none'; form-action 'none'"
    )
    title = ", ".join(_headline(report) for report in reports) or "no report"
    anchors = [f"report-{number}" for number in range(1, len(reports) + 1)]
    page = element(
        "html",
        {"lang": "en"},
        element(
            "head",
            {},
            element("meta", {"charset": "utf-8"}),
            element("meta", {"http-equiv": "Content-Security-Policy", "content": policy}),
            element("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}),
            element("meta", {"name": "color-scheme", "content": "light dark"}),
            element("title", {}, f"memguard: {title}"),
            element("link", {"rel": "icon", "href": _ICON}),
            own_text("style", style),
            own_text("script", script),
        ),
        element(
            "body",
            {},
            _top(reports, anchors),
            element(
                "main",
                {},
                *(
                    _section(report, anchor)
                    for report, anchor in zip(reports, anchors, strict=True)
                ),
            ),
        ),
    )
    return "<!DOCTYPE html>\n" + written(page) + "\n"


def _digest(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _top(reports: Sequence[SavedReport], anchors: Sequence[str]) -> Element:
    links = [
        element("a", {"href": f"#{anchor}"}, _headline(report))
        for report, anchor in zip(reports, anchors, strict=True)
    ]
    ring = element(
        "svg",
        {"width": 22, "height": 22, "viewBox": "0 0 24 24", "aria-hidden": "true"},
        element(
            "path",
            {
                "d": "M19 12a7 7 0 1 1-2.6-5.4",
                "fill": "none",
                "stroke": "currentColor",
                "stroke-width": 3,
                "stroke-linecap": "round",
            },
        ),
        element("circle", {"cx": 17.5, "cy": 7, "r": 2.6, "fill": "currentColor"}),
    )
    return element(
        "header",
        {"class": "top"},
        element("div", {"class": "brand"}, ring, "memguard"),
        element("nav", {"aria-label": "Reports"}, *links) if len(links) > 1 else None,
    )


def _headline(report: SavedReport) -> str:
    return count(report.cycle_count, f"{NOUNS[report.kind]} cycle")


def _section(report: SavedReport, anchor: str) -> Element:
    paths = merge_by_path(report.shapes)
    closing = [*left_out(paths[MOST_SHAPES:]), *notes(report), *_left_out_of(report)]
    return element(
        "section",
        {"class": "report", "id": anchor},
        element("p", {"class": "kicker"}, _origin(report)),
        _heading(report),
        element("p", {"class": "lead"}, _lead(report)),
        _numbers(report),
        _waiting(report),
        shapes_table(paths[:MOST_SHAPES], anchor) if paths else _nothing(report),
        element("div", {"class": "notes"}, *(element("p", {}, line) for line in closing)),
    )


def _origin(report: SavedReport) -> str:
    if not report.origin:
        return f"A scan for {NOUNS[report.kind]} cycles"
    when = _WHEN.get(report.origin["trigger"], report.origin["trigger"])
    return (
        f"Process {report.origin['pid']}, {when}, after {report.origin['elapsed_seconds']:,.1f} s"
    )


def _heading(report: SavedReport) -> Element:
    noun = NOUNS[report.kind]
    if report.cycle_count == 0:
        return element("h1", {}, f"No {noun} cycles")
    return element(
        "h1",
        {},
        element("span", {"class": "many"}, f"{report.cycle_count:,}"),
        f" {noun} cycle{'' if report.cycle_count == 1 else 's'}"
        f" in {count(len(report.shapes), 'shape')}",
    )


_LEADS = {
    "garbage": "Nothing refers to them any more. They wait for the collector; until it runs"
    " they take memory, and when it runs, time.",
    "live": "They are in use. Each will need the collector once it is dropped.",
    "created": "They exist after the function ran, and did not before.",
}


def _lead(report: SavedReport) -> str:
    if report.cycle_count == 0:
        return "There is nothing to do."
    return _LEADS[report.kind]


def _numbers(report: SavedReport) -> Element:
    members = sum(shape.object_count for shape in report.shapes)
    held = sum(shape.retained_bytes for shape in report.shapes)
    numbers = [
        (f"{members:,}", "objects on cycles"),
        (size(held), "freed with them"),
        (f"{report.object_count:,}", "objects looked at"),
        (f"{report.duration_seconds * 1e3:,.1f} ms", "the scan took"),
    ]
    if report.mode == "snapshot":
        numbers.append((f"{report.pause_seconds * 1e3:,.1f} ms", "everything stood still"))
    if report.kind != "live":
        numbers.insert(2, (f"{report.unreachable_count:,}", "objects unreachable"))
    return element(
        "dl",
        {"class": "numbers"},
        *(
            element("div", {}, element("dt", {}, name), element("dd", {}, value))
            for value, name in numbers
        ),
    )


def _waiting(report: SavedReport) -> Element | None:
    """Show what waits for the collector, by type."""
    if report.kind == "live" or not report.unreachable_count:
        return None
    types = sorted(report.unreachable_types.items(), key=lambda item: -item[1])
    most = max((number for _, number in types), default=1)
    rows = [
        element(
            "li",
            {},
            element("code", {}, *named(short_name(name))),
            element("span", {"class": "amount"}, f"{number:,}"),
            bar(number / most),
        )
        for name, number in types[:_MOST_TYPES]
    ]
    if len(types) > _MOST_TYPES:
        rest = sum(number for _, number in types[_MOST_TYPES:])
        rows.append(
            element(
                "li",
                {"class": "soft"},
                count(len(types) - _MOST_TYPES, "more type"),
                element("span", {"class": "amount"}, f"{rest:,}"),
            )
        )
    return element(
        "div",
        {"class": "waiting"},
        element("h2", {}, "What the collector would free now"),
        element("ul", {}, *rows),
    )


def _left_out_of(report: SavedReport) -> list[str]:
    number = report.origin.get("shapes_left_out_count", 0)
    return [f"Left out, as asked: {count(number, 'shape')}."] if number else []


def _nothing(report: SavedReport) -> Element:
    looked = count(report.object_count, "object")
    return element("p", {"class": "nothing"}, f"No cycle was found among {looked}.")
