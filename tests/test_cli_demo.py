"""``memguard demo``: the leak is real, and is found."""

import asyncio
import os
import sys

import pytest

import memguard
from memguard.cli.chart import row, spread
from memguard.validation.orchestrator import AgentContext, handle_requests
from oracles import collected_objects
from processes import WITHOUT_RICH, on_terminal, run, start

DEMO = (sys.executable, "-m", "memguard", "demo")
POSIX = pytest.mark.skipif(os.name != "posix", reason="terminals of POSIX")


def test_each_request_of_the_orchestrator_leaves_one_cycle():
    """The collector itself finds what the scan finds: seven contexts of each request."""
    assert asyncio.run(handle_requests(4, lambda _done: None)) == 28
    with memguard.scan("garbage", types=[AgentContext]) as report:
        assert report.cycle_count == 4
        name = f"{AgentContext.__module__}.AgentContext"
        assert [cycle.type_names[name] for cycle in report.cycles] == [7] * 4
        unreachable_count = report.unreachable_count
    assert len(collected_objects()) == unreachable_count


def test_the_demo_reports_the_leak_and_that_nothing_was_freed():
    """The numbers of the report, of the collector and of the requests agree."""
    done = run(*DEMO, "--requests", 12)
    text = done.stdout.decode()
    assert (done.returncode, done.stderr) == (0, b"")
    assert "84 contexts used, none in use" in text
    assert "12 garbage cycles in 1 shape: 228 objects" in text
    assert "408 objects cannot be reached" in text
    assert "the collector, run now, frees 408 of" in text
    assert ".parent_context ->" in text
    assert "memguard run app.py" in text


@pytest.mark.parametrize("count", ["0", "-1", "many"])
def test_a_wrong_number_of_requests_is_told(count):
    """The message names the option, the value and what it must be."""
    done = run(*DEMO, f"--requests={count}")
    assert (done.returncode, done.stdout) == (2, b"")
    assert f"--requests: '{count}' must be a whole number of at least 1".encode() in done.stderr


@POSIX
def test_a_terminal_shows_progress_and_a_table_with_rich():
    """The extra "cli" adds a bar while requests are served, and colour."""
    code, shown = on_terminal(*DEMO, "--requests", 300)
    assert code == 0
    assert "100%" in shown
    assert "\x1b[1;33m300 garbage cycles in 1 shape" in shown
    assert "frees 10,200 of" in shown


@POSIX
def test_a_terminal_shows_progress_without_rich_too():
    """Without the extra a plain counter is shown, and wiped."""
    code, shown = on_terminal(sys.executable, "-c", WITHOUT_RICH, "demo", "--requests", 30)
    assert code == 0
    assert "\rrequests 30 of 30\r\x1b[K" in shown
    assert "30 garbage cycles in 1 shape" in shown
    assert "\x1b[1" not in shown


@POSIX
def test_a_reader_that_went_away_is_no_error_of_ours():
    """Piped into something like head, the demo ends without a traceback."""
    with start(*DEMO, "--requests", "10") as child:
        child.stdout.close()
        assert (child.stderr.read(), child.wait(timeout=60)) == ("", 1)


def test_the_demo_writes_its_report_as_a_page(tmp_path):
    """With the same numbers, and says where it is."""
    page = tmp_path / "cycles.html"
    done = run(*DEMO, "--requests", 3, "--html", page)
    assert done.returncode == 0
    assert f"a page, with a picture: {page}" in done.stdout.decode()
    assert "3</span> garbage cycles in 1 shape" in page.read_text(encoding="utf-8")


def test_the_demo_tells_that_it_cannot_write_a_page(tmp_path):
    """Exit code 2, the file, and why."""
    done = run(*DEMO, "--requests", 3, "--html", tmp_path / "no" / "cycles.html")
    assert done.returncode == 2
    assert b"cannot be written: No such file or directory" in done.stderr


def test_the_demo_does_the_same_work_under_a_guard_and_nothing_is_left():
    """Two rows: one rises, one stays."""
    text = run(*DEMO, "--requests", 2000).stdout.decode()
    assert "\n0 of its contexts are left for the collector." in text
    without, guarded = (
        line.split() for line in text.splitlines() if line.endswith("MB") and "  " in line
    )
    assert without[0] == "without"
    assert (without[1][0], without[1][-1]) == ("▁", "█")
    assert set(guarded[1]) == {"▁"}
    assert float(without[2]) > 5 * abs(float(guarded[2]))


def test_the_demo_draws_memory_as_a_picture(tmp_path):
    """One line for each, named."""
    from xml.etree import ElementTree

    picture = tmp_path / "memory.svg"
    done = run(*DEMO, "--requests", 2000, "--picture", picture)
    assert done.returncode == 0
    assert f"The same as a picture: {picture}" in done.stdout.decode()
    drawn = ElementTree.parse(picture).getroot()
    lines = [each for each in drawn if each.tag.endswith("polyline")]
    texts = [each.text for each in drawn if each.tag.endswith("text")]
    heights = [float(line.get("points").split()[-1].partition(",")[2]) for line in lines]
    assert heights[0] < heights[1] - 100
    assert texts[-2].startswith("without a guard: ")
    assert texts[-1].startswith("with memguard.Guard: ")


def test_rows_are_drawn_with_what_the_terminal_has():
    """Blocks in UTF-8, and plain characters elsewhere; nothing breaks at zero."""
    assert row([0, 5, 10], 10, encoding="utf-8") == "▁▅█"
    assert row([0, 5, 10, -1], 10, encoding="ascii") == ".+@."
    assert row([0, 0], 0, encoding=None) == ".."
    assert spread([1, 2, 3], 3) == [1, 2, 3]
    assert spread(list(range(100)), 4) == [0, 33, 66, 99]
