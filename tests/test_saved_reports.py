"""Reports that were saved: read again, compared, and refused when they are something else."""

import json

import pytest

import memguard
from memguard.heap.difference import difference_between
from memguard.heap.render.text import render_text
from memguard.heap.saved import SavedReport, newest_of_each_kind, read_documents


class Node:
    pass


class Other:
    pass


class Leaf:
    pass


def leak(*counts):
    """Drop cycles: as many of each of three shapes."""
    for count, cls in zip(counts, (Node, Other, Leaf), strict=True):
        for _ in range(count):
            node = cls()
            node.me = node


def created(*counts):
    return memguard.scan_created(leak, *counts)


def saved(report):
    return SavedReport.from_dict(json.loads(report.to_json()))


PATHS = [
    "test_saved_reports.Node.me -> test_saved_reports.Node",
    "test_saved_reports.Other.me -> test_saved_reports.Other",
    "test_saved_reports.Leaf.me -> test_saved_reports.Leaf",
]


def test_a_saved_report_reads_as_the_live_one():
    """Its text is the same to the letter."""
    report = created(3, 1, 2)
    assert render_text(saved(report), width=100, most_shapes=20) == report.to_text()


def test_a_difference_tells_new_grown_smaller_and_gone_shapes():
    """By cycles of each shape, from one report to a later one."""
    difference = created(5, 0, 1).diff(created(2, 4, 0))
    assert [(change.path, change.cycle_count) for change in difference.grown] == [(PATHS[0], 5)]
    assert [change.path for change in difference.new] == [PATHS[2]]
    assert [change.path for change in difference.gone] == [PATHS[1]]
    assert difference.smaller == ()
    backwards = created(2, 4, 0).diff(created(5, 0, 1))
    assert [change.path for change in backwards.smaller] == [PATHS[0]]


def test_a_difference_can_be_read():
    """Shapes with most new cycles come first, unchanged ones are left out."""
    assert created(5, 4, 1).diff(created(2, 4, 0)).to_text().splitlines() == [
        "Shapes of created cycles since the earlier report: 1 new, 1 grown.",
        "",
        f"  grown: 5 cycles, +3, holding {5 * size_of_one():,} B",
        f"     {PATHS[0]}",
        "",
        f"  new: 1 cycle, holding {size_of_one()} B",
        f"     {PATHS[2]}",
    ]


def size_of_one():
    return created(1, 0, 0).shapes[0].retained_bytes


def test_a_report_does_not_differ_from_itself():
    """Live or saved, in any combination."""
    report = created(2, 1, 0)
    for earlier in report, saved(report):
        for later in report, saved(report):
            difference = difference_between(earlier, later)
            assert str(difference).endswith(": no change.")
            assert {change["change"] for change in difference.to_dict()["changes"]} == {"unchanged"}


def test_keys_tell_shapes_when_all_have_them():
    """A loop that reads otherwise is the same shape if its key is; without keys loops decide."""
    document = json.loads(created(1, 0, 0).to_json())
    document["shapes"][0].pop("key", None)
    moved = json.loads(json.dumps(document))
    moved["shapes"][0]["path"] = "app.Renamed.me -> app.Renamed"
    earlier, later = SavedReport.from_dict(document), SavedReport.from_dict(moved)
    assert len(difference_between(earlier, later).new) == 1
    for each in document, moved:
        each["shapes"][0]["key"] = "0123456789ab"
    earlier, later = SavedReport.from_dict(document), SavedReport.from_dict(moved)
    assert difference_between(earlier, later).new == ()


def test_reports_of_different_kinds_are_not_compared():
    """Garbage and live cycles say different things."""
    with pytest.raises(memguard.MismatchedReportsError, match="garbage cycles cannot be compared"):
        memguard.scan("live", roots=[[]]).diff(memguard.scan("garbage"))


def test_a_partial_report_makes_a_partial_difference():
    """What seems gone may not have been looked at."""
    partial = memguard.scan("garbage", max_objects=100)
    difference = partial.diff(memguard.scan("garbage"))
    assert not difference.complete
    assert "Partial: one of the reports was stopped early" in str(difference)


def test_of_several_reports_in_a_file_the_newest_of_each_kind_is_read():
    """As ``memguard run`` writes them, one on each line."""
    lines = [created(count, 0, 0).to_json(indent=None) for count in (1, 2, 3)]
    lines.insert(1, memguard.scan("live", roots=[[]]).to_json(indent=None))
    newest = newest_of_each_kind(read_documents("\n".join(lines)))
    assert [(report.kind, report.cycle_count) for report in newest] == [("created", 3), ("live", 0)]


def broken(**changes):
    return json.dumps({**created(1, 0, 0).to_dict(), **changes})


def with_shape(**changes):
    shape = created(1, 0, 0).to_dict()["shapes"][0]
    return broken(shapes=[{**shape, **changes}])


NO_REPORTS = {
    "": "it is not JSON",
    "{": "it is not JSON",
    "[" * 100_000: "nested too deeply",
    "[]": "the document is not an object",
    "{}\n[": "neither one JSON object nor one on each line",
    '{"schema": 99}': "it is of version 99, and this memguard reads version 1",
    '{"schema": "1"}': "the document has no schema of type int",
}


@pytest.mark.parametrize("text", NO_REPORTS, ids=lambda text: text[:12])
def test_what_is_no_report_is_refused(text):
    """The error says why, and where reports come from."""
    with pytest.raises(memguard.UnreadableReportError, match=NO_REPORTS[text]) as caught:
        read_documents(text)
    assert "memguard run --format json" in str(caught.value)


def test_a_damaged_report_is_refused_by_the_name_of_what_is_wrong():
    """Whatever was changed in it by hand."""
    damaged = {
        broken(kind="dead"): "its kind is 'dead'",
        broken(shapes={}): "has no shapes of type list",
        broken(shapes=[1]): "a shape is not an object",
        broken(cycle_count=True): "has no cycle_count of type int",
        broken(cuts=[1]): "cuts of the document",
        broken(unreachable_types={"a": "b"}): "unreachable_types of the document",
        with_shape(edges=[{"source": "a"}]): "an item of edges has no label",
        with_shape(advice={"sentence": 1}): "advice of a shape has no sentence",
        with_shape(exemplar={}): "exemplar of a shape has no members",
    }
    for text, reason in damaged.items():
        with pytest.raises(memguard.UnreadableReportError, match=reason):
            read_documents(text)


@pytest.mark.parametrize("change", [{"loop_count": 9}, {"loop_count": -1}, {"references": 7}])
def test_a_picture_that_refers_to_nothing_is_refused(change):
    """Or it would fail while it is drawn."""
    exemplar = created(1, 0, 0).to_dict()["shapes"][0]["exemplar"]
    if "references" in change:
        change = {"references": [{"source": 0, "label": "", "target": 7}]}
    with pytest.raises(memguard.UnreadableReportError, match="a member that it does not have"):
        read_documents(with_shape(exemplar={**exemplar, **change}))
