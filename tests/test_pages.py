"""Reports as pages, graphs and pieces of a notebook: what stands in them, whatever is named how."""

import functools
import gc
import json
import re
from html.parser import HTMLParser

import pytest

import memguard
from memguard.heap.render.html import MOST_SHAPES, render_page
from memguard.heap.render.places import has_grandalf
from memguard.heap.saved import SavedReport

HOSTILE = [
    "</script><script>alert(1)</script>",
    "</title></style><img src=x onerror=alert(1)>",
    '"><a href="javascript:alert(1)" onclick=\'alert(1)\'>',
    "]]><!-- ${alert(1)} {{7*7}} &lt;b&gt; &#60;",
    "a\x00b\x1b[31m\x7f\u202egnp.exe\ud800\ufffe",
    '\\"; "x" -> "y" [label=<<b>z</b>>]; //',
]
VOID = {"meta", "link", "input", "wbr"}


class Context:
    """What an agent knows."""

    def __init__(self, parent=None):
        self.parent = parent
        self.subtasks = []
        self.notes = [bytearray(100)]
        if parent is not None:
            parent.subtasks.append(self)


def family():
    root = Context()
    for _ in range(3):
        Context(root)


@functools.cache
def named_class(name):
    return type("Named", (), {"__module__": name, "__qualname__": name})


def hostile_cycle(name):
    made = named_class(name)()
    made.__dict__[name] = made


class Page(HTMLParser):
    """A page as a browser takes it apart: elements, their attributes and texts."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.texts, self.open = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    def handle_comment(self, data):
        raise AssertionError(f"a comment: {data}")

    def all(self, tag):
        return [attributes for found, attributes in self.elements if found == tag]

    def elements_alike(self):
        """Give kinds of elements and names of attributes; where a line may end does not count."""
        return {(tag, frozenset(names)) for tag, names in self.elements if tag != "wbr"}


@pytest.mark.parametrize("name", HOSTILE)
def test_names_of_the_program_are_text_wherever_they_stand(name):
    """Elements, attributes and scripts of a page are memguard's own, whatever a class is called."""
    with memguard.scan_created(hostile_cycle, name) as report:
        plain = Page(memguard.scan_created(hostile_cycle, "Name").to_html())
        page = Page(report.to_html())
        fragment = Page(report._repr_html_())
    assert page.elements_alike() == plain.elements_alike()
    assert len(page.all("script")) == len(page.all("style")) == 1
    assert fragment.all("script") == fragment.all("img") == []
    shown = re.sub(r"[\x00-\x1f\x7f\u202e\ud800\ufffe].*", "", name, flags=re.DOTALL)
    assert shown in "".join(page.texts)
    assert shown in "".join(fragment.texts)


@pytest.mark.parametrize("name", HOSTILE)
def test_what_cannot_be_seen_is_written_out(name):
    """No control character, half pair or mark of direction gets into a page."""
    report = memguard.scan_created(hostile_cycle, name)
    for text in report.to_html(), report._repr_html_(), report.to_dot():
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff\ufffe]", text)
        text.encode("utf-8")


def test_a_page_forbids_every_request_and_every_foreign_script():
    """Its policy allows its own style and script by their hashes, and nothing else."""
    page = Page(memguard.scan_created(family).to_html())
    (policy,) = (
        attributes["content"]
        for attributes in page.all("meta")
        if attributes.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    links = [
        attributes[name]
        for _, attributes in page.elements
        for name in ("href", "src", "action", "data", "srcset")
        if name in attributes
    ]
    assert links
    assert all(link.startswith(("#", "data:image/svg+xml,")) for link in links)
    assert not any("style" in attributes for _, attributes in page.elements)


def test_a_page_tells_the_numbers_of_the_report():
    """Cycles, objects, what is held, and how long everything stood still."""
    report = memguard.scan_created(family)
    (shape,) = report.shapes
    page = Page(report.to_html())
    text = "".join(page.texts)
    assert "1 new cycle in 1 shape" in text
    (row,) = page.all("tbody")
    assert int(row["data-cycles"]) == shape.cycle_count
    assert int(row["data-objects"]) == shape.object_count
    assert int(row["data-bytes"]) == shape.shallow_bytes
    assert int(row["data-holding"]) == shape.retained_bytes
    assert row["data-path"] == shape.path
    held = shape.exemplar.retained_count - shape.exemplar.size
    assert f"5 objects on the cycle, holding {held} others" in text


def test_a_picture_shows_the_members_and_marks_the_loop():
    """Two of four contexts are on the loop, two alike are one box, the list is part of a line."""
    page = Page(memguard.scan_created(family).to_html())
    nodes = [a["class"] for a in page.all("g") if a.get("class", "").startswith("node")]
    assert has_grandalf()
    assert sorted(nodes) == ["node", "node on-loop", "node on-loop owner"]
    text = "".join(page.texts)
    assert "1 container drawn as part of a line" in text
    assert "Context \u00d7 2" in page.texts
    assert {".parent", ".subtasks[\u2026]"} <= set(page.texts)


def test_without_grandalf_the_loop_is_drawn_and_the_extra_is_named(monkeypatch):
    """What needs the extra "html" says so; the loop needs nothing."""
    monkeypatch.setattr("memguard.heap.render.places.has_grandalf", lambda: False)
    monkeypatch.setattr("memguard.heap.render.detail.has_grandalf", lambda: False)
    page = Page(memguard.scan_created(family).to_html())
    nodes = [a["class"] for a in page.all("g") if a.get("class", "").startswith("node")]
    assert sorted(nodes) == ["node on-loop", "node on-loop owner"]
    assert 'pip install "pymemguard[html]" draws all' in "".join(page.texts)


def test_a_released_report_still_makes_a_page():
    """The names and counts are there, and it says that there was nothing to draw."""
    with memguard.scan_created(family) as report:
        pass
    page = Page(report.to_html())
    assert page.all("tbody")
    assert not [a for a in page.all("svg") if "picture" in a.get("class", "")]
    assert "No cycle of this shape was kept to draw." in "".join(page.texts)


def test_a_report_without_cycles_makes_a_page():
    """It says so, and has no table."""
    page = Page(memguard.scan_created(int).to_html())
    assert "No new cycles" in page.texts
    assert page.all("table") == []


def test_a_page_counts_the_shapes_that_it_does_not_list():
    """A page with ten thousand rows would be of use to nobody."""
    for number in range(MOST_SHAPES + 2):
        named_class(f"Class{number:04}")

    def leak():
        for number in range(MOST_SHAPES + 2):
            hostile_cycle(f"Class{number:04}")

    page = Page(memguard.scan_created(leak).to_html())
    assert len(page.all("tbody")) == MOST_SHAPES
    assert "... and 2 more shapes with 2 cycles" in page.texts


def test_a_saved_report_makes_the_same_page():
    """What JSON keeps is all that a page, a graph and a text need."""
    report = memguard.scan_created(family)
    saved = SavedReport.from_dict(json.loads(report.to_json()))
    assert render_page([saved]) == report.to_html()


def test_advice_is_shown_and_what_it_cuts_is_marked():
    """Sentence and lines of code stand beside the picture."""
    document = memguard.scan_created(family).to_dict()
    name = f"{Context.__module__}.Context"
    document["shapes"][0]["advice"] = {
        "sentence": "Make <parent> weak.",
        "code": "import weakref\nself.parent = weakref.ref(parent)",
        "cuts": [{"source": name, "label": ".parent", "target": name}],
        "action": "weaken",
        "dissolved_cycle_count": 1,
        "cycle_count": 1,
        "remedy": "",
    }
    page = Page(render_page([SavedReport.from_dict(document)]))
    assert "".join(page.texts).count("Make <parent> weak.") == 2
    assert [line for line in page.texts if "weakref" in line] == [
        "import weakref",
        "self.parent = weakref.ref(parent)",
    ]
    cut = [
        a for a in page.all("g") if a.get("class", "").startswith("label") and "cut" in a["class"]
    ]
    assert len(cut) == 2
    assert "to cut" in page.texts


def test_drawing_leaves_no_cycles():
    """Or a report would find what the report before it left."""
    memguard.scan_created(family).to_html()  # imports are not what is meant
    report = memguard.scan_created(family)
    gc.collect()
    with memguard.scan_created(report.to_html) as created:
        assert [shape.path for shape in created.shapes] == []


@pytest.mark.parametrize("name", HOSTILE)
def test_a_graph_is_one_that_graphviz_would_read(name):
    """Each line is one that a graph is made of, with texts in closed quotes."""
    dot = memguard.scan_created(hostile_cycle, name).to_dot()
    text = r'"(?:[^"\\\n]|\\.)*"'
    item = rf"[a-z]+=(?:{text}|[\w#.]+)"
    kinds = [
        r"digraph memguard \{",
        rf"  (graph|node|edge) \[{item}(, {item})*\];",
        r"  subgraph cluster_r0s0 \{",
        rf"    {item};",
        rf"    r0s0n\d+ \[{item}(, {item})*\];",
        rf"    r0s0n\d+ -> r0s0n\d+ \[{item}(, {item})*\];",
        r"  \}|\}",
        r"  // .*",
    ]
    for line in dot.splitlines():
        assert any(re.fullmatch(kind, line) for kind in kinds), line
    assert "r0s0n0 -> r0s0n0" in dot


class Plugin:
    """Keeps its attributes in a dict that was asked for."""

    def __init__(self):
        self.__dict__["owner"] = self


def recursive():
    def step():
        return step


@pytest.mark.parametrize("leak", [family, Plugin, recursive])
def test_the_picture_shows_the_loop_that_the_line_tells(leak):
    """Reference by reference, positions in lists included."""
    for _ in range(5):
        with memguard.scan_created(leak) as report:
            (shape,) = report.shapes
            exemplar = report.to_dict()["shapes"][0]["exemplar"]
        count = exemplar["loop_count"]
        labels = {(r["source"], r["target"]): r["label"] for r in exemplar["references"]}
        shown = [labels[place, (place + 1) % count] for place in range(count)]
        assert shown == [edge.label for edge in shape.edges]
