"""Reports as graphs for Graphviz: ``dot -Tsvg report.dot -o report.svg``.

Covers: one cycle of each shape, its loop marked.
"""

from collections.abc import Iterator, Sequence

from memguard.heap.exemplar import Member
from memguard.heap.render.drawing import Link, drawing_of
from memguard.heap.render.markup import visible
from memguard.heap.render.picture import held
from memguard.heap.render.text import Path, left_out, merge_by_path, verdict
from memguard.heap.saved import SavedReport, SavedShape

MOST_SHAPES = 50
"""Shapes that are drawn; the others are counted [count]."""

_HEAD = """\
digraph memguard {
  graph [fontname="sans-serif", fontsize=11, labeljust=l, compound=true];
  node [fontname="sans-serif", fontsize=11, shape=box, style="rounded,filled", fillcolor=white];
  edge [fontname="monospace", fontsize=9, color="#8a8594"];"""

_LOOP = "#c2410c"
_CUT = "#0f766e"


def render_dot(reports: Sequence[SavedReport]) -> str:
    """Write a graph with a cluster for each shape."""
    lines = [_HEAD]
    for number, report in enumerate(reports):
        paths = merge_by_path(report.shapes)
        lines.append(f"  // {_comment(verdict(report))}")
        for place, path in enumerate(paths[:MOST_SHAPES]):
            lines += _cluster(path, f"r{number}s{place}")
        lines += [f"  // {_comment(line)}" for line in left_out(paths[MOST_SHAPES:])]
    return "\n".join([*lines, "}\n"])


def _cluster(path: Path, name: str) -> Iterator[str]:
    shape = path.shape
    assert isinstance(shape, SavedShape)
    if shape.drawn is None or not shape.drawn.members:
        yield f"  // not drawn: {_comment(path.text)}"
        return
    drawing = drawing_of(shape.drawn, shape.advice.cuts if shape.advice else ())
    yield f"  subgraph cluster_{name} {{"
    yield f"    label={quoted(f'{path.cycles}, such as this: {held(shape.drawn)}')};"
    for number, node in enumerate(drawing.nodes):
        colour = f', color="{_LOOP}"' if number in drawing.loop else ""
        text = quoted(_node_text(node, drawing.counts[number]))
        yield f"    {name}n{number} [label={text}{colour}];"
    for link in drawing.links:
        ends = f"{name}n{link.source} -> {name}n{link.target}"
        yield f"    {ends} [label={quoted(chr(10).join(link.labels))}{_look(link)}];"
    yield "  }"


def _node_text(node: Member, count: int) -> str:
    name = node.name if count == 1 else f"{node.name} \u00d7 {count:,}"
    return "\n".join(filter(None, [node.module, name, node.value]))


def _look(link: Link) -> str:
    if link.is_cut:
        return f', color="{_CUT}", fontcolor="{_CUT}", style=dashed, penwidth=2'
    return f', color="{_LOOP}", fontcolor="{_LOOP}", penwidth=2' if link.is_on_loop else ""


def quoted(text: str) -> str:
    """Write a text as Graphviz reads it: with all that it would interpret escaped."""
    escaped = visible(text).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _comment(text: str) -> str:
    return " ".join(visible(text).split())
