"""``memguard report`` and the formats of ``memguard run``: pages, graphs, comparisons."""

import json
import os

import pytest

import memguard
from processes import PROGRAMS, RUN, run

LEAK = PROGRAMS / "leak.py"
REPORT = (*RUN[:-1], "report")


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Give the reports of a program, as ``memguard run`` saves them."""
    path = tmp_path_factory.mktemp("reports") / "cycles.jsonl"
    done = run(*RUN, "--gc", "off", "--format", "json", "--output", path, LEAK, 5)
    assert done.returncode == 0
    return path


def shown(*words, **options):
    done = run(*REPORT, *words, **options)
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout.decode()


def refused(*words):
    done = run(*REPORT, *words)
    assert (done.returncode, done.stdout) == (2, b"")
    return done.stderr.decode()


def test_a_saved_report_is_shown_as_the_program_would_have_shown_it(saved):
    """Verdict, shapes and notes of each kind."""
    text = shown(saved)
    assert "10 garbage cycles in 2 shapes: 25 objects; looked at " in text
    assert "1 live cycle in 1 shape: 3 objects; looked at " in text
    assert "Not followed: instance_types, module_dicts, modules, types" in text


def test_a_saved_report_can_be_shown_with_every_step(tmp_path):
    """``--verbose`` unfolds what the text folds by default, like that of a program's report."""
    folded = tmp_path / "folded.py"
    folded.write_text("class Node: pass\nnode = Node()\nnode.only = (node,)\n")
    path = tmp_path / "cycles.jsonl"
    run(*RUN, "--kind", "live", "--format", "json", "--output", path, folded)
    assert "__main__.Node.only[0] -> __main__.Node" in shown(path)
    assert "__main__.Node.only -> tuple[0] -> __main__.Node" in shown(path, "--verbose")


def test_a_saved_report_becomes_a_page(saved, tmp_path):
    """With a section for each kind of cycles; nothing is printed."""
    page = tmp_path / "page.html"
    assert shown(saved, "--format", "html", "--output", page) == ""
    text = page.read_text(encoding="utf-8")
    assert text.startswith("<!DOCTYPE html>\n")
    assert text.count('<section class="report"') == 2
    assert text == shown(saved, "--format", "html")


def test_a_saved_report_becomes_a_graph(saved):
    """With a cluster for each shape of both kinds."""
    text = shown(saved, "--format", "dot")
    assert text.startswith("digraph memguard {\n")
    assert text.count("subgraph cluster_") == 3


def test_two_reports_are_compared_kind_by_kind(saved, tmp_path):
    """As text, or as JSON with one object on each line."""
    later = tmp_path / "later.jsonl"
    run(*RUN, "--gc", "off", "--format", "json", "--output", later, LEAK, 8)
    text = shown("--diff", saved, later)
    assert "Shapes of garbage cycles since the earlier report: 2 grown." in text
    assert "grown: 8 cycles, +3, holding" in text
    assert "Shapes of live cycles since the earlier report: no change." in text
    lines = shown("--diff", saved, later, "--format", "json").splitlines()
    assert [json.loads(line)["kind"] for line in lines] == ["garbage", "live"]


def test_what_cannot_be_shown_is_told_by_its_name(saved, tmp_path):
    """Exit code 2, the file, and why."""
    missing, wrong, binary = (tmp_path / name for name in ("missing", "wrong", "binary"))
    wrong.write_text("{}")
    binary.write_bytes(b"\xff\xfe\x00")
    assert f"{str(missing)!r} is not a report to be read: No such file" in refused(missing)
    assert f"{str(wrong)!r} is not a report to be read: " in refused(wrong)
    assert "it is not UTF-8 text" in refused(binary)
    assert "--format is 'json'; use one of 'text', 'html', 'dot'" in refused(
        saved, "--format", "json"
    )
    assert "use one of 'text', 'json'" in refused(saved, "--diff", saved, "--format", "html")
    assert "cannot be written" in refused(saved, "--output", tmp_path / "no" / "file")


def test_reports_of_no_common_kind_cannot_be_compared(saved, tmp_path):
    """There is nothing to compare."""
    created = tmp_path / "created.json"
    created.write_text(memguard.scan_created(int).to_json())
    assert "cannot be compared" in refused("--diff", saved, created)


@pytest.mark.parametrize(
    ("name", "begin"), [("html", "<!DOCTYPE html>"), ("dot", "digraph memguard {")]
)
def test_a_program_is_reported_on_as_a_page_or_graph(tmp_path, name, begin):
    """Each report takes the place of the one before, so that there is one in the end."""
    path = tmp_path / "report"
    words = ["--gc", "off", "--every", "0.01", "--format", name, "--output", path]
    done = run(*RUN, *words, LEAK, 5)
    assert (done.returncode, done.stderr) == (0, b"")
    text = path.read_text(encoding="utf-8")
    assert text.count(begin) == 1
    assert "10 garbage cycles" in text or "10</span> garbage cycles" in text
    assert os.listdir(tmp_path) == ["report"]


def test_a_page_without_a_file_is_refused_before_the_program_runs():
    """Nobody reads a page on standard error."""
    done = run(*RUN, "--format", "html", LEAK)
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"name its file with --output FILE" in done.stderr


def test_a_page_can_go_to_a_device():
    """A pipe or device is written to, not replaced."""
    done = run(*RUN, "--format", "html", "--output", os.devnull, LEAK, 5)
    assert (done.returncode, done.stderr) == (0, b"")
    assert not os.path.isfile(os.devnull)
