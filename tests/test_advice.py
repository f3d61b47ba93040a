"""Advice: what it names, what it proves, and what it costs the program."""

import asyncio
import dataclasses
import gc
import json
import weakref

import pytest

import memguard


class Parent:
    def __init__(self):
        self.children = []

    def add(self, child):
        child.parent = self
        self.children.append(child)


class Child:
    pass


class Slotted:
    __slots__ = ("partner",)


class Callbacks:
    def __init__(self):
        self.listeners = [self.changed, self.changed]

    def changed(self):
        pass


def family(child_count=3):
    parent = Parent()
    for _ in range(child_count):
        parent.add(Child())


def families():
    for _ in range(250):
        family()


def advice_on(function):
    """Give the advice on the one shape that a function leaves."""
    with memguard.scan_created(function) as report:
        (shape,) = report.shapes
        return shape.advice


def test_the_reference_to_the_parent_is_cut_once_for_all_children():
    """It is one line of source, though three children have it."""
    advice = advice_on(family)
    assert [(cut.source, cut.label) for cut in advice.cuts] == [("test_advice.Child", ".parent")]
    assert (advice.action, advice.remedy) == ("weaken", "parent-tree")
    assert advice.sentence.startswith("Make test_advice.Child.parent a weak reference")
    assert "self.parent_ref = weakref.ref(parent)" in advice.code


def test_what_cannot_be_weak_is_to_be_cleared():
    """Slots without one for weak references leave only to let go."""

    def leak():
        one, other = Slotted(), Slotted()
        one.partner, other.partner = other, one

    advice = advice_on(leak)
    assert [cut.label for cut in advice.cuts] == [".partner"]
    assert (advice.action, advice.remedy) == ("clear", "")
    assert "self.partner = None" in advice.code


def test_two_attributes_with_one_value_are_both_cut():
    """A cycle is not gone while its object is still kept under another name."""

    def leak():
        parent, child = Parent(), Child()
        child.parent = child.root = parent
        parent.children.append(child)
        parent.first = parent.last = child

    labels = sorted(cut.label for cut in advice_on(leak).cuts)
    assert labels == [".parent", ".root"]


def test_every_entry_of_a_list_is_one_cut():
    """The line that appends is one, however often it ran."""
    advice = advice_on(lambda: Callbacks() and None)
    assert [cut.label for cut in advice.cuts] == ["[]"]
    assert advice.remedy == "bound-method-on-self"


def test_advice_is_tried_on_the_cycles_of_the_shape():
    """The number is counted, on a hundred of them spread over all."""
    advice = advice_on(families)
    assert (advice.dissolved_cycle_count, advice.cycle_count) == (84, 84)


def test_what_does_not_dissolve_a_cycle_is_counted_as_such(monkeypatch):
    """The proof is made on the references, not taken from the search."""
    monkeypatch.setattr("memguard.heap.advice.cheapest_cut", lambda *_: frozenset())
    monkeypatch.setattr(
        "memguard.heap.advice.words_for",
        lambda *_: memguard.heap.catalogue.Words("", "", "clear", ""),
    )
    advice = advice_on(family)
    assert (advice.dissolved_cycle_count, advice.cycle_count) == (0, 1)


def test_a_cycle_that_no_reference_can_dissolve_is_said_to_be_one():
    """Every class refers to itself."""
    advice = advice_on(lambda: type("Made", (), {}) and None)
    assert (advice.cuts, advice.action, advice.remedy) == ((), "reuse", "class-per-call")
    assert advice.dissolved_cycle_count == 0


def test_advice_is_found_when_it_is_read_and_kept():
    """A report that nobody asks for advice does not look for any."""
    with memguard.scan_created(families) as report:
        (shape,) = report.shapes
        assert not shape.is_advised
        first = shape.advice
        assert shape.is_advised
    assert shape.advice is first


def test_there_is_no_advice_after_the_release_unless_it_was_read():
    """What it would have to look at is gone."""
    with memguard.scan_created(family) as report:
        (shape,) = report.shapes
    assert shape.advice is None


def test_there_is_no_advice_without_names():
    """``explain=False`` names nothing."""
    family()
    with memguard.scan("garbage", explain=False) as report:
        assert [shape.advice for shape in report.shapes] == [None]


def test_there_is_no_advice_on_a_cycle_too_large_to_search(monkeypatch):
    """It would take longer than the scan."""
    monkeypatch.setattr("memguard.heap.advice.MOST_MEMBERS", 3)
    assert advice_on(family) is None


def test_advice_holds_nothing_of_the_program():
    """Kept after the report, it does not keep what was found."""
    kept = []

    def leak():
        parent = Parent()
        parent.add(Child())
        kept.append(weakref.ref(parent))

    with memguard.scan_created(leak) as report:
        advice = report.shapes[0].advice
    del report
    gc.collect()
    assert kept[0]() is None
    assert advice.cuts


def test_advice_makes_no_dict_for_an_instance():
    """Looking must not make the program larger."""
    from memguard import _names

    def leak():
        held.append(parent := Parent())
        parent.add(Child())

    held = []
    with memguard.scan_created(leak) as report:
        assert report.shapes[0].advice is not None
    assert _names.instance_dict(held[0]) is None
    assert _names.instance_dict(held[0].children[0]) is None


def test_the_text_shows_what_to_do_below_the_path():
    """A sentence with its proof, then two lines of Python."""
    with memguard.scan_created(family) as report:
        lines = [line.strip() for line in report.to_text(width=200).splitlines()]
    at = next(number for number, line in enumerate(lines) if line.startswith("* Make "))
    assert lines[at].endswith("It dissolves 1 of 1 cycle tried.")
    assert lines[at + 1 : at + 3] == [
        "self.parent_ref = weakref.ref(parent)",
        "parent = property(lambda self: self.parent_ref())",
    ]


def test_a_document_carries_the_advice():
    """With all that a program needs to show it again."""
    with memguard.scan_created(family) as report:
        (shape,) = json.loads(report.to_json())["shapes"]
        advice = dataclasses.asdict(report.shapes[0].advice)
    advice["cuts"] = list(advice["cuts"])
    del advice["pairs"]  # the drawn cycle has them, at its references
    assert shape["advice"] == advice


def test_a_document_advises_on_its_first_shapes_only(monkeypatch):
    """Many shapes must not take long."""
    monkeypatch.setattr("memguard.heap.render.plain.SHAPES_ADVISED", 1)

    def leak():
        family(1)
        family(2)

    with memguard.scan_created(leak) as report:
        advised = [shape["advice"] is not None for shape in report.to_dict()["shapes"]]
    assert advised == [True, False]


def test_a_document_searches_large_cycles_only_up_to_a_bound(monkeypatch):
    """The first is always searched."""
    monkeypatch.setattr("memguard.heap.render.remedy.MOST_MEMBERS_SEARCHED", 6)

    def leak():
        for child_count in 1, 2, 3:
            family(child_count)

    with memguard.scan_created(leak) as report:
        sizes = [shape.exemplar.size for shape in report.shapes]
        advised = [shape["advice"] is not None for shape in report.to_dict()["shapes"]]
    assert sizes == [5, 4, 3]
    assert advised == [True, False, False]


@pytest.mark.parametrize("child_count", [1, 2, 7])
def test_the_advice_does_not_depend_on_where_objects_lie(child_count):
    """The same leak gives the same words each time."""
    said = {advice_on(lambda: family(child_count)) for _ in range(10)}
    assert len(said) == 1


class Job:
    """Keeps what went wrong, and so the frames of its own methods."""

    async def run(self):
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.work())
        except ExceptionGroup as failures:
            self.failure = failures

    async def work(self):
        raise ValueError


def test_a_method_is_not_told_to_drop_self():
    """Where errors are kept, their tracebacks keep the frames, and that is what to clear."""
    with memguard.scan_created(lambda: asyncio.run(Job().run())) as report:
        (advice,) = (shape.advice for shape in report.shapes if "test_advice.Job" in shape.path)
    assert {cut.label for cut in advice.cuts} == {".__traceback__"}
    assert advice.sentence.startswith("Clear __traceback__ of the ")
    assert advice.dissolved_cycle_count == advice.cycle_count == 1
