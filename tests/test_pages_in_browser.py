"""Pages in a real browser: what a person sees and can do, and what the page must not do."""

import functools
import json
import re
import subprocess
from pathlib import Path

import pytest

import memguard
from browser import SCHEMES, WIDTHS, chromium, look_at
from memguard.heap.render.html import MOST_SHAPES
from processes import RUN, run

EXAMPLES = Path(__file__).parent.parent / "examples"
PROGRAMS = ["demo", *sorted(path.name for path in EXAMPLES.glob("*.py"))]

CONTRAST_OF_TEXT = 4.5
"""Least contrast of small text (WCAG 2.2, 1.4.3)."""

CONTRASTS = """
() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) => {
      const c = v / 255;
      return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = (node) => {
    for (let e = node; e; e = e.parentElement) {
      if (e instanceof SVGElement) {
        const rect = e.querySelector(":scope > rect");
        const fill = rect && getComputedStyle(rect).fill;
        if (fill && fill !== "none") return parse(fill);
        continue;
      }
      const colour = parse(getComputedStyle(e).backgroundColor);
      if (colour.length < 4 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const e of document.querySelectorAll("body *")) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    if (!own || !e.getClientRects().length || ["TITLE", "STYLE", "SCRIPT"].includes(e.tagName)) {
      continue;
    }
    const style = getComputedStyle(e);
    const a = light(parse(e instanceof SVGElement ? style.fill : style.color));
    const b = light(behind(e));
    found.push([(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), e.textContent.trim()]);
  }
  return found;
}
"""

OVERLAPS = """
() => {
  const found = [];
  for (const picture of document.querySelectorAll(".picture")) {
    const boxes = [...picture.querySelectorAll(".node, .label")].map(
      (g) => [g.textContent, g.querySelector("rect").getBBox()]);
    for (const [a, p] of boxes) for (const [b, q] of boxes) {
      if (p !== q && p.x < q.x + q.width && q.x < p.x + p.width
          && p.y < q.y + q.height && q.y < p.y + p.height) found.push([a, b]);
    }
    for (const text of picture.querySelectorAll("g > text")) {
      const [t, r] = [text.getBBox(), text.parentNode.querySelector("rect").getBBox()];
      if (t.x < r.x || t.x + t.width > r.x + r.width) found.push([text.textContent, "its box"]);
    }
  }
  return [document.querySelectorAll(".picture").length, found];
}
"""


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("pages")


@functools.cache
def page_of(folder, program):
    """Make the page of a program once."""
    path = folder / f"{program}.html"
    if program == "demo":
        done = run(*RUN[:-1], "demo", "--requests", 50, "--html", path)
    else:
        done = run(*RUN, "--gc", "off", "--format", "html", "--output", path, EXAMPLES / program)
    assert done.returncode == 0, done.stderr.decode()
    return path


class Node:
    """Something that a test leaks."""


SHAPES = 20
CLASSES = [type(f"Class{number:03}", (Node,), {}) for number in range(MOST_SHAPES + 50)]


def leak(classes, count):
    for number in range(count):
        one, other = classes[number % len(classes)](), Node()
        one.peer, other.peers = other, [one]
        other.payload = bytes(number)


@pytest.fixture(scope="module")
def twenty_shapes(folder):
    """Make a page of 10,000 cycles in twenty shapes of different numbers and sizes."""

    def leak_all():
        for number, cls in enumerate(CLASSES[:SHAPES]):
            leak([cls], 310 + 20 * number)

    path = folder / "twenty.html"
    with memguard.scan_created(leak_all) as report:
        assert (report.cycle_count, len(report.shapes)) == (10_000, SHAPES)
        path.write_text(report.to_html(), encoding="utf-8")
    return path


def open_all(page):
    closed = page.locator("[aria-expanded=false]")
    while closed.count():
        closed.first.click()


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_page_asks_for_nothing_and_complains_of_nothing(browser, folder, program, width, scheme):
    """The file itself is the one request; the console stays empty."""
    path = page_of(folder, program)
    with look_at(browser, path, width=width, scheme=scheme) as look:
        assert look.page.locator("h1").count() > 0
        assert look.requests == [path.as_uri()]
        assert look.messages == []


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_page_is_no_wider_than_the_window(browser, folder, program, width):
    """Neither as it opens nor with every shape open; only pictures scroll in their frames."""
    with look_at(browser, page_of(folder, program), width=width) as look:
        for _ in range(2):
            assert look.page.evaluate("document.documentElement.scrollWidth") == width
            open_all(look.page)
            for summary in look.page.locator("summary").all():
                summary.click()


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("program", PROGRAMS)
def test_every_text_can_be_read_in_light_and_dark(browser, folder, program, scheme):
    """Its contrast to what is behind it is that of the guidelines for small text."""
    with look_at(browser, page_of(folder, program), scheme=scheme) as look:
        texts = look.page.evaluate(CONTRASTS)
        assert len(texts) > 10
        assert [text for text in texts if text[0] < CONTRAST_OF_TEXT] == []


@pytest.mark.parametrize("program", PROGRAMS)
def test_nothing_in_a_picture_lies_on_something_else(browser, folder, program):
    """Boxes and labels keep apart, and each text fits its box."""
    with look_at(browser, page_of(folder, program)) as look:
        open_all(look.page)
        pictures, overlaps = look.page.evaluate(OVERLAPS)
        assert overlaps == []
        assert pictures == look.page.locator("tbody").count()


def test_ten_thousand_cycles_load_within_a_second(browser, twenty_shapes):
    """By the browser's own clock, from the request to the end of loading."""
    with look_at(browser, twenty_shapes) as look:
        assert "10,000 new cycles" in look.page.locator("h1").inner_text()
        assert load_ms(look.page) < 1000


def test_as_many_shapes_as_a_page_lists_load_within_a_second(browser, folder):
    """Ten thousand cycles that hardly ever repeat, each shape with its picture."""
    path = folder / "many.html"
    with memguard.scan_created(leak, CLASSES, 10_000) as report:
        path.write_text(report.to_html(), encoding="utf-8")
    with look_at(browser, path) as look:
        assert look.page.locator("tbody").count() == MOST_SHAPES
        assert load_ms(look.page) < 1000


def load_ms(page):
    """Give the shortest of three loads: others may be using the machine."""
    times = []
    for _ in range(3):
        times.append(page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd"))
        page.reload(wait_until="load")
    return min(times)


def column(page, number):
    return page.locator(f".row td:nth-child({number})").all_inner_texts()


def as_number(text):
    value, _, unit = text.replace(",", "").strip().partition(" ")
    return float(value) * {"": 1, "B": 1, "KiB": 1024, "MiB": 1024**2}[unit]


@pytest.mark.parametrize(
    ("name", "number"), [("Cycles", 2), ("Objects", 3), ("Size", 4), ("Holding", 5)]
)
def test_a_click_on_a_heading_sorts_by_its_numbers(browser, twenty_shapes, name, number):
    """Most first, then least first; the heading says which."""
    with look_at(browser, twenty_shapes) as look:
        heading = look.page.locator("th", has_text=name)
        look.page.locator("th", has_text="Loop").get_by_role("button").click()
        for direction in "descending", "ascending":
            heading.get_by_role("button").click()
            assert heading.get_attribute("aria-sort") == direction
            shown = [as_number(text) for text in column(look.page, number)]
            assert len(set(shown)) > 1
            assert shown == sorted(shown, reverse=direction == "descending")
        assert look.page.locator("th[aria-sort]").count() == 1


def test_loops_sort_by_name(browser, twenty_shapes):
    """In the order of the alphabet, then backwards."""
    with look_at(browser, twenty_shapes) as look:
        button = look.page.locator("th", has_text="Loop").get_by_role("button")
        button.click()
        names = column(look.page, 1)
        assert len(set(names)) == SHAPES
        assert names == sorted(names)
        button.click()
        assert column(look.page, 1) == names[::-1]


def test_the_filter_keeps_shapes_with_all_words(browser, twenty_shapes):
    """Whatever their case; it says how many are left, and an empty filter brings all back."""
    with look_at(browser, twenty_shapes) as look:
        visible = look.page.locator("tbody:visible")
        box = look.page.get_by_role("searchbox")
        box.fill("class007 PEER")
        assert visible.count() == 1
        assert look.page.locator("output").inner_text() == f"1 of {SHAPES} shown"
        box.fill("class007 nowhere")
        assert visible.count() == 0
        box.fill("")
        assert visible.count() == SHAPES


def test_the_keyboard_is_enough(browser, twenty_shapes):
    """Tab leads to filter, headings and shapes; Enter and Space sort, open and close."""
    with look_at(browser, twenty_shapes) as look:
        keyboard = look.page.keyboard
        keyboard.press("Tab")
        focused = look.page.locator(":focus")
        assert focused.get_attribute("type") == "search"
        for name in "Loop", "Cycles", "Objects", "Size", "Holding":
            keyboard.press("Tab")
            assert focused.inner_text() == name
        keyboard.press("Enter")
        assert look.page.locator("th[aria-sort]").inner_text() == "Holding"
        keyboard.press("Tab")
        assert focused.get_attribute("class") == "open-shape"
        for key, expected in ("Space", "false"), ("Enter", "true"), ("Enter", "false"):
            if focused.get_attribute("aria-expanded") != expected:
                keyboard.press(key)
            assert focused.get_attribute("aria-expanded") == expected
            detail = look.page.locator(f"#{focused.get_attribute('aria-controls')}")
            assert detail.is_visible() == (expected == "true")
        outline = focused.evaluate("e => getComputedStyle(e).outlineStyle")
        assert outline == "solid"


def test_the_first_shape_is_open_and_others_open_on_a_click(browser, twenty_shapes):
    """A person sees a picture at once, and the others one click away."""
    with look_at(browser, twenty_shapes) as look:
        pictures = look.page.locator(".picture:visible")
        assert pictures.count() == 1
        look.page.locator(".row").nth(3).locator("td").nth(2).click()
        assert pictures.count() == 2
        assert look.page.locator("tbody").nth(3).locator(".picture").is_visible()


class Tree:
    """A parent with children of many classes, each of which refers to it."""

    def __init__(self, parent=None):
        self.parent, self.children = parent, []
        if parent is not None:
            parent.children.append(self)


BRANCHES = [type(f"Branch{number}", (Tree,), {}) for number in range(10)]


def leak_tree():
    root = Tree()
    for cls in BRANCHES:
        cls(root)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_wide_picture_shows_its_owner_first(browser, folder, width):
    """As much is drawn as fits, at a size that can be read; in a narrow frame it scrolls."""
    path = folder / "tree.html"
    path.write_text(memguard.scan_created(leak_tree).to_html(), encoding="utf-8")
    with look_at(browser, path, width=width) as look:
        frame = look.page.locator(".figure").bounding_box()
        owner = look.page.locator(".owner rect").bounding_box()
        assert 400 < look.page.locator(".picture").bounding_box()["width"] < 1000
        assert frame["x"] <= owner["x"]
        assert owner["x"] + owner["width"] <= frame["x"] + frame["width"]
        assert look.page.evaluate("document.documentElement.scrollWidth") == width


def test_without_scripts_everything_is_shown(browser, twenty_shapes):
    """All shapes are open, and what would need a script is not there."""
    with look_at(browser, twenty_shapes, script=False) as look:
        assert look.page.locator(".picture:visible").count() == SHAPES
        assert look.page.locator("input:visible").count() == 0


def test_hostile_names_are_only_text(browser, folder):
    """No dialog, no request, no message: what a class is called does nothing."""
    names = [
        "</script><script>alert(1)</script>",
        '"><img src="http://192.0.2.1/x" onerror="alert(1)">',
        "<svg onload=alert(1)><style>*{display:none}</style>",
    ]
    classes = [type("Named", (Node,), {"__module__": n, "__qualname__": n}) for n in names]
    path = folder / "hostile.html"
    with memguard.scan_created(leak, classes, 3) as report:
        path.write_text(report.to_html() + report._repr_html_(), encoding="utf-8")
    with look_at(browser, path) as look:
        dialogs = []
        look.page.on("dialog", lambda dialog: dialogs.append(dialog) or dialog.dismiss())
        look.page.reload()
        shown = look.page.locator("main").inner_text()
        assert all(name in shown for name in names[:2])
        assert dialogs == []
        assert set(look.requests) == {path.as_uri()}
        # The policy of the page does not allow the style of the piece for notebooks.
        assert all("Content Security Policy" in message for message in look.messages)
        assert not any("script" in message.partition("'")[0] for message in look.messages)


def test_the_policy_stops_what_escaping_would_have_let_through(browser, folder):
    """A foreign script in the page does not run, and a picture is not fetched."""
    path = folder / "injected.html"
    evil = '<script>document.title = "run"</script><img src="http://192.0.2.1/x" onerror="">'
    whole = memguard.scan_created(leak, CLASSES, 1).to_html()
    path.write_text(whole.replace("</main>", f"</main>{evil}"), encoding="utf-8")
    with look_at(browser, path) as look:
        assert look.page.title().startswith("memguard: ")
        assert look.failures == ["csp"]


def test_a_piece_of_a_notebook_leaves_the_rest_alone(browser, folder):
    """What stands around it looks as it did, in light and dark."""
    with memguard.scan_created(leak, CLASSES, 3) as report:
        fragment = report._repr_html_()
    plain = (
        "<p>text</p><table><tr><td>cell</td></tr></table><details><summary>s</summary></details>"
    )
    looks = []
    for name, content in {"without": "", "with": fragment}.items():
        path = folder / f"{name}.html"
        path.write_text(f"<!DOCTYPE html><meta charset=utf-8>{plain}{content}", encoding="utf-8")
        with look_at(browser, path) as look:
            assert look.messages == []
            looks.append(
                look.page.evaluate(
                    "[...document.querySelectorAll('body > p, body > table, body > table td,"
                    " body > details, body > details > summary')].map("
                    "e => JSON.stringify(Object.fromEntries([...getComputedStyle(e)]"
                    ".map(n => [n, getComputedStyle(e).getPropertyValue(n)]))))"
                )
            )
    assert looks[0] == looks[1]
    assert len(json.loads(looks[0][0])) > 100


def test_graphviz_draws_the_graph():
    """The real program takes it, with a node for each object that is drawn."""
    dot = memguard.scan_created(leak, CLASSES, 3).to_dot()
    done = subprocess.run(["dot", "-Tsvg"], input=dot, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(re.findall(r'class="node"', done.stdout)) == 6
