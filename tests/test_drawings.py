"""What of a cycle is drawn, and where: nothing is lost, nothing lies on something else."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memguard.heap.exemplar import Exemplar, Member, Reference
from memguard.heap.loops import Edge
from memguard.heap.render.drawing import drawing_of
from memguard.heap.render.layout import lay_out

PLAIN_TYPES = ["builtins.list", "builtins.dict", "builtins.cell", "builtins.tuple"]


def exemplar_of(types, references, loop_count, size=None):
    return Exemplar(
        members=tuple(Member(name.rpartition(".")[2], "", name) for name in types),
        references=tuple(itertools.starmap(Reference, references)),
        loop_count=loop_count,
        size=len(types) if size is None else size,
        shallow_bytes=64 * len(types),
        retained_count=len(types),
        retained_bytes=64 * len(types),
        outside_reference_count=0,
    )


@st.composite
def exemplars(draw):
    """Draw a loop of members, others beside it, and any references between them."""
    loop_count = draw(st.integers(1, 8))
    count = loop_count + draw(st.integers(0, 12))
    names = st.sampled_from(["app.Context", "app.Handler", *PLAIN_TYPES])
    types = ["app.Owner", *draw(st.lists(names, min_size=count - 1, max_size=count - 1))]
    loop = [(place, (place + 1) % loop_count) for place in range(loop_count)]
    members = st.integers(0, count - 1)
    others = draw(st.lists(st.tuples(members, members), max_size=30))
    pairs = dict.fromkeys([*loop, *others])
    labels = st.sampled_from(["", ".a", ".parent_context", "[0]", ".__dict__", ".a" * 40])
    return exemplar_of(types, [(s, draw(labels), t) for s, t in pairs], loop_count)


def laid_out(drawing):
    sizes = [(72.0 + 9 * number % 90, 34.0) for number in range(len(drawing.nodes))]
    labels = [(10.0 + 13 * number % 120, 21.0) for number in range(len(drawing.links))]
    return lay_out(drawing, sizes, labels)


def assert_apart(layout):
    boxes = [*layout.boxes.values(), *(line.label for line in layout.lines)]
    for one, other in itertools.combinations(boxes, 2):
        beside = abs(one.x - other.x) >= (one.width + other.width) / 2 - 1e-6
        below = abs(one.y - other.y) >= (one.height + other.height) / 2 - 1e-6
        assert beside or below
    for box in boxes:
        assert box.width / 2 - 1e-6 <= box.x <= layout.width - box.width / 2 + 1e-6
        assert box.height / 2 - 1e-6 <= box.y <= layout.height - box.height / 2 + 1e-6


@given(exemplars())
def test_boxes_and_labels_keep_apart_whatever_is_drawn(exemplar):
    """With grandalf, each object and each label has a place of its own within the picture."""
    assert_apart(laid_out(drawing_of(exemplar)))


@given(exemplars())
def test_the_loop_alone_keeps_apart_too(exemplar):
    """Without grandalf, the loop is a column with its way back beside it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("memguard.heap.render.places.has_grandalf", lambda: False)
        drawing = drawing_of(exemplar)
        layout = laid_out(drawing)
    assert set(layout.boxes) == set(drawing.loop)
    assert_apart(layout)


@given(exemplars())
def test_lines_lead_from_box_to_box(exemplar):
    """They begin and end on the edges of their own boxes."""
    layout = laid_out(drawing_of(exemplar))
    for line in layout.lines:
        ends = [(line.link.source, line.before[0]), (line.link.target, line.after[-1])]
        for node, (x, y) in ends:
            box = layout.boxes[node]
            assert abs(x - box.x) <= box.width / 2
            assert abs(abs(y - box.y) - box.height / 2) < 1e-6


@given(exemplars())
def test_every_member_is_drawn_folded_or_counted(exemplar):
    """The loop stays closed, and the owner is always there."""
    drawing = drawing_of(exemplar)
    assert sum(drawing.counts) + drawing.folded_count + drawing.hidden_count == exemplar.size
    assert len(drawing.counts) == len(drawing.nodes)
    assert drawing.nodes[0] == exemplar.members[0]
    steps = {link.source: link.target for link in drawing.links if link.is_on_loop}
    place, passed = 0, []
    while place not in passed:
        passed.append(place)
        place = steps[place]
    assert place == 0
    assert tuple(passed) == drawing.loop


@given(exemplars())
def test_verbose_drawings_fold_nothing(exemplar):
    """Each member of the loop is a box."""
    drawing = drawing_of(exemplar, verbose=True)
    assert drawing.folded_count == 0
    assert drawing.loop == tuple(range(exemplar.loop_count))


def labels_of(types, references):
    drawing = drawing_of(exemplar_of(types, references, len(types)))
    return [link.labels for link in drawing.links]


def test_the_dict_of_an_object_is_part_of_its_attributes():
    """Nobody says ``owner.__dict__.peer``."""
    types = ["app.Owner", "builtins.dict", "app.Peer"]
    references = [(0, ".__dict__", 1), (1, "[.peer]", 2), (2, ".owner", 0)]
    assert labels_of(types, references) == [(".peer",), (".owner",)]


def test_a_closure_is_the_variable():
    """A function, its tuple of cells, the cell and back are one reference."""
    types = ["builtins.function", "builtins.tuple", "builtins.cell"]
    references = [
        (0, ".__closure__", 1),
        (1, "[step]", 2),
        (2, ".cell_contents", 0),
    ]
    assert labels_of(types, references) == [(".<closure step>",)]


def test_what_two_refer_to_is_an_object_of_its_own():
    """A list that is shared is not part of one of the references to it."""
    types = ["app.Owner", "builtins.list", "app.Peer"]
    references = [(0, ".peers", 1), (1, "[0]", 2), (2, ".shared", 1), (2, ".owner", 0)]
    drawing = drawing_of(exemplar_of(types, references, 3))
    assert [node.name for node in drawing.nodes] == ["Owner", "list", "Peer"]


def test_equal_children_are_one_node_with_their_number():
    """Of four children one is on the loop; the others are one box, but for one that differs."""
    types = ["app.Parent", "app.Child", *["app.Child"] * 3, "app.Other"]
    references = [
        (0, ".first", 1),
        (1, ".parent", 0),
        *((0, f".children[{number}]", number) for number in range(2, 6)),
        *((number, ".parent", 0) for number in range(2, 6)),
    ]
    drawing = drawing_of(exemplar_of(types, references, 2))
    assert [node.name for node in drawing.nodes] == ["Parent", "Child", "Child", "Other"]
    assert drawing.counts == (1, 1, 3, 1)
    labels = {(link.source, link.target): link.labels for link in drawing.links}
    assert labels[0, 2] == (".children[\u2026]",)
    assert labels[0, 3] == (".children[5]",)
    verbose = drawing_of(exemplar_of(types, references, 2), verbose=True)
    assert verbose.counts == (1,) * 6


def test_what_the_advice_cuts_is_marked_also_where_it_is_folded():
    """A bound method is folded, and the reference to it is the one to cut."""
    types = ["app.Owner", "builtins.method"]
    references = [(0, ".callback", 1), (1, ".__self__", 0)]
    cuts = [Edge("app.Owner", ".callback", "builtins.method")]
    (link,) = drawing_of(exemplar_of(types, references, 2), cuts).links
    assert (link.labels, link.is_cut) == ((".callback.__self__",), True)


def test_a_cut_of_a_list_is_one_of_each_of_its_items():
    """Advice names no position."""
    types = ["app.Owner", "builtins.list", "app.Peer"]
    references = [(0, ".peers", 1), (1, "[3]", 2), (2, ".owner", 0)]
    drawing = drawing_of(
        exemplar_of(types, references, 3), [Edge("builtins.list", "[]", "app.Peer")]
    )
    assert [(link.labels, link.is_cut) for link in drawing.links] == [
        ((".peers[3]",), True),
        ((".owner",), False),
    ]


def test_a_cut_may_be_named_as_it_is_drawn():
    """The variable of a closure is what a person cuts, not the cell."""
    types = ["builtins.function", "builtins.tuple", "builtins.cell"]
    references = [(0, ".__closure__", 1), (1, "[step]", 2), (2, ".cell_contents", 0)]
    cuts = [Edge("builtins.function", ".<closure step>", "builtins.function")]
    (link,) = drawing_of(exemplar_of(types, references, 3), cuts).links
    assert link.is_cut


def test_a_cut_that_is_marked_is_not_sought_by_its_name():
    """Each method has its own variable `self`, and the advice is about one of them."""
    types = ["app.Owner", "builtins.frame", "builtins.frame"]
    references = [
        *((0, ".failed", 1), (1, ".<local self>", 0)),
        *((0, ".search", 2), (2, ".<local self>", 0, True)),
    ]
    cuts = [Edge("builtins.frame", ".<local self>", "app.Owner")]
    drawing = drawing_of(exemplar_of(types, references, 2), cuts)
    assert [link.source for link in drawing.links if link.is_cut] == [2]
