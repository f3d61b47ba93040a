"""Reports: what they say, cost and allow, whatever happened to them meanwhile."""

import json
import sys

import pytest

import memguard
from graphs import self_loop


class Node:
    def __init__(self, parent=None):
        self.parent = parent
        self.children = []
        if parent is not None:
            parent.children.append(self)


def leak_families():
    """Drop three trees: of two, of three and of three nodes."""
    for child_count in 1, 2, 2:
        root = Node()
        for _ in range(child_count):
            Node(root)


def test_an_unread_report_can_be_shown_after_its_release():
    """In a log or a debugger, a repr that fails hides what happened."""
    self_loop()
    report = memguard.scan("garbage", explain=False, types=[list])
    report.release()
    assert repr(report) == "<ScanReport garbage, released unread>"


def test_a_read_report_is_shown_with_its_counts():
    """Also after its release."""
    self_loop()
    with memguard.scan("garbage") as report:
        pass
    assert repr(report).startswith("<ScanReport garbage: 1 cycle, ")


def test_a_cycle_of_a_released_report_is_refused_by_any_other():
    """What matters is whether its own report still holds it."""
    self_loop()
    one, other = memguard.scan("garbage"), memguard.scan("garbage")
    (cycle,) = one.cycles
    one.release()
    with pytest.raises(memguard.ReportReleasedError):
        other.objects(cycle)


def test_a_report_that_is_released_while_it_is_read_says_so():
    """As another thread may do it, just after the check."""
    self_loop()
    report = memguard.scan("garbage", explain=False)

    def release(frame, event, argument):
        if frame.f_code.co_name == "_sketch_shapes":
            sys.setprofile(None)
            report.release()

    sys.setprofile(release)
    try:
        with pytest.raises(memguard.ReportReleasedError):
            _ = report.shapes
    finally:
        sys.setprofile(None)
    assert report.is_released


def test_a_release_while_objects_are_read_is_refused_alike():
    """Another thread may release at the last moment; the error is the same."""
    self_loop()
    report = memguard.scan("garbage")
    (cycle,) = report.cycles

    def release_before_each_line(frame, event, _):
        if frame.f_code is memguard.ScanReport.objects.__code__:
            report.release()
            return release_before_each_line
        return None

    before = sys.gettrace()
    sys.settrace(release_before_each_line)
    try:
        with pytest.raises(memguard.ReportReleasedError):
            report.objects(cycle)
    finally:
        sys.settrace(before)


@pytest.mark.parametrize(
    "name",
    [name for name, value in vars(memguard.ScanReport).items() if isinstance(value, property)],
)
def test_no_value_of_a_report_can_be_replaced(name):
    """Whoever is given a report can rely on what it says."""
    report = memguard.scan("garbage")
    with pytest.raises(AttributeError):
        setattr(report, name, None)


def test_a_report_has_no_public_value_that_could_be_replaced():
    """All are properties, and appear in its help."""
    assert [name for name in vars(memguard.scan("garbage")) if not name.startswith("_")] == []


def test_counts_of_types_cannot_be_changed():
    """A shape and its cycles give the same mapping."""
    self_loop()
    with memguard.scan("garbage") as report:
        (shape,) = report.shapes
        for counts in shape.type_names, shape.exemplar.type_names, report.unreachable_types:
            with pytest.raises(TypeError):
                counts["graphs.Vertex"] = 0
        assert shape.type_names == {"graphs.Vertex": 1}


def test_cycles_can_be_kept_in_sets():
    """A cycle is a value: equal ones have the same hash."""
    self_loop()
    report = memguard.scan("garbage")
    assert {report.shapes[0].exemplar, *report.cycles} == set(report.cycles)


def test_a_document_does_not_describe_the_cycles_that_it_leaves_out(monkeypatch):
    """Of 100,000 equal cycles a thousand are listed, and the others only counted."""
    for _ in range(1_500):
        self_loop()
    described = []
    original = memguard.heap.shapes.cycle_of
    monkeypatch.setattr(
        "memguard.heap.report.cycle_of", lambda *all: described.append(1) or original(*all)
    )
    with memguard.scan("garbage") as report:
        document = json.loads(report.to_json())
        assert (document["cycle_count"], document["cycles_not_listed_count"]) == (1_500, 500)
        assert (len(document["cycles"]), len(described)) == (1_000, 1_000)
        assert document["cycles"][0]["object_ids"] == list(report.cycles[0].object_ids)


def test_shapes_that_read_alike_are_one_entry_of_the_text():
    """Trees of all sizes leak by the same reference, which is worth one line."""
    with memguard.scan_created(leak_families) as report:
        text = report.to_text()
        assert len(report.shapes) == 2
    assert "3 new cycles in 2 shapes: 11 objects" in text
    assert "  1. 3 cycles in 2 shapes, 11 objects, " in text
    assert text.count("test_reports.Node.children -> ") == 1
    assert "  2. " not in text


def test_the_text_counts_the_types_that_it_does_not_name():
    """One is not many."""
    types = [type(f"Leaf{number}", (list,), {}) for number in range(6)]

    def leak():
        self_loop().extend(cls() for cls in types)

    with memguard.scan_created(leak) as report:
        assert ", 1 more type." in report.to_text()


def test_two_functions_that_leak_alike_are_two_shapes():
    """Each is shown with its own count, or the one not shown would be overlooked."""

    def first():
        try:
            raise KeyError
        except KeyError as error:
            saved = error  # noqa: F841

    def second():
        try:
            raise KeyError
        except KeyError as error:
            other = error  # noqa: F841

    def leak():
        for function in first, second, second:
            function()

    with memguard.scan_created(leak) as report:
        assert [shape.cycle_count for shape in report.shapes] == [2, 1]
        assert "second().<local other>" in report.shapes[0].path
        assert "first().<local saved>" in report.shapes[1].path
