"""The screen of ``memguard top``, driven by textual's pilot, on a process that runs."""

import asyncio
import json
import sys
import time
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

import processes
from memguard.cli.asked import AskedProcess
from memguard.cli.figures import TimedScan, duration, growth_rows
from memguard.heap.saved import SavedReport
from processes import PROGRAMS, run

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no Unix sockets")
LONGEST_SECONDS = 60


@pytest.fixture(autouse=True)
def private_folder(tmp_path_factory, monkeypatch):
    """Each test has sockets of its own; a short path, for sockets have short names."""
    path = tmp_path_factory.mktemp("run", numbered=True)
    path.chmod(0o700)
    monkeypatch.setenv("MEMGUARD_RUNTIME_DIR", str(path))
    monkeypatch.setitem(processes.ENVIRONMENT, "MEMGUARD_RUNTIME_DIR", str(path))
    return path


@pytest.fixture
def service():
    """A service that leaks and answers."""
    child = processes.start(sys.executable, PROGRAMS / "leaking_service.py")
    with child:
        assert child.stdout.readline() == "ready\n", child.stderr.read()
        yield child
        child.kill()


@asynccontextmanager
async def watching(child, **options):
    from memguard.cli.screen import TopApp

    app = TopApp(AskedProcess.find(child.pid), every_seconds=0.05, **options)
    async with app.run_test(size=(120, 30)) as pilot:
        yield app, pilot


async def until(pilot, is_so):
    end = time.monotonic() + LONGEST_SECONDS
    while not is_so():
        assert time.monotonic() < end
        await pilot.pause(0.02)


def shown(app, place):
    from textual.widgets import Static

    widget = app.screen_stack[0].query_one(f"#{place}", Static)
    # Its name changed in 6.0.
    return str(widget.content if hasattr(widget, "content") else widget.renderable)


def watch(child, drive, **options):
    """Run a coroutine on a screen of a process."""

    async def run_it():
        async with watching(child, **options) as (app, pilot):
            return await drive(app, pilot)

    return asyncio.run(run_it())


def test_numbers_of_the_process_are_shown_and_renewed(service):
    """Memory against its limit, pauses, the collector's generations, agents."""

    async def drive(app, pilot):
        await until(pilot, lambda: "active" in shown(app, "agents"))
        first = shown(app, "agents")
        await until(pilot, lambda: shown(app, "agents") != first)
        return [shown(app, name) for name in ("head", "memory_values", "pauses_values", "objects")]

    head, memory, pauses, objects = watch(service, drive)
    assert f"process {service.pid}" in head
    assert "leaking_service.py" in head
    assert "limit" in memory
    assert "used" in memory
    assert "longest" in pauses
    assert "generation 2" in objects


def is_growing_session(row):
    return row[0].startswith("+") and "Session.parent" in row[5]


def test_the_shape_that_grows_is_listed_and_can_be_saved(service, tmp_path):
    """Scans by key; the file is what ``memguard report`` reads."""

    async def drive(app, pilot):
        from textual.widgets import DataTable

        table = app.query_one("#shapes", DataTable)

        def has_growing_session():
            rows = [table.get_row_at(number) for number in range(table.row_count)]
            return any(is_growing_session([str(cell) for cell in row]) for row in rows)

        # Garbage comes and goes, and may for once grow more: all rows are looked at, and
        # as often as it takes until the service has kept one more session.
        while not has_growing_session():
            last = app.scans[-1:]
            await pilot.press("s")
            await until(
                pilot, lambda last=last: app.scans[-1:] != last and app._scan_begun_seconds is None
            )
        await pilot.press("w")
        await until(pilot, lambda: "saved" in shown(app, "status"))
        await pilot.press("w")
        await until(pilot, lambda: len(list(tmp_path.glob("*.jsonl"))) == 2)

    watch(service, drive, folder=tmp_path)
    saved = min(tmp_path.glob("*.jsonl"))
    done = run(sys.executable, "-m", "memguard", "report", saved)
    assert b"Session.parent" in done.stdout


def test_without_a_scan_there_is_nothing_to_save(service, tmp_path):
    """It is said what to press."""

    async def drive(app, pilot):
        await pilot.press("w")
        await until(pilot, lambda: "no scan yet" in shown(app, "status"))

    watch(service, drive, folder=tmp_path)
    assert not list(tmp_path.iterdir())


def test_it_scans_by_itself_when_told_to(service):
    """At the start, and again."""

    async def drive(app, pilot):
        await until(pilot, lambda: len(app.scans) == 2)

    watch(service, drive, scan_every_seconds=0.2)


def test_sorting_goes_through_the_columns(service):
    """The one that counts is marked."""

    async def drive(app, pilot):
        from textual.widgets import DataTable

        marked = []
        for _ in range(3):
            columns = app.query_one("#shapes", DataTable).columns.values()
            marked += [str(column.label) for column in columns if "▼" in str(column.label)]
            await pilot.press("o")
        return marked

    assert watch(service, drive) == ["growth ▼", "cycles ▼", "holding ▼"]


def test_collecting_takes_two_presses(service):
    """One only says what it would do."""

    async def drive(app, pilot):
        await pilot.press("g")
        await until(pilot, lambda: "g again" in shown(app, "status"))
        await pilot.press("g")
        await until(pilot, lambda: "collected" in shown(app, "status"))

    watch(service, drive)


def test_help_opens_and_closes(service):
    """By any key."""

    async def drive(app, pilot):
        await pilot.press("h")
        await until(pilot, lambda: len(app.screen_stack) == 2)
        await pilot.press("x")
        await until(pilot, lambda: len(app.screen_stack) == 1)

    watch(service, drive)


def test_the_end_of_the_process_is_said_and_its_last_numbers_stay(service):
    """No key does harm then, and q quits."""

    async def drive(app, pilot):
        await until(pilot, lambda: "active" in shown(app, "agents"))
        service.kill()
        service.wait(LONGEST_SECONDS)
        await until(pilot, lambda: app.ended)
        await pilot.press("s", "g", "w", "o")
        assert "has ended" in shown(app, "status")
        assert "active" in shown(app, "agents")
        await pilot.press("q")
        return app.ended

    assert "has ended" in watch(service, drive)


def test_leaving_leaves_the_process_alone(service):
    """It answers the next one."""

    async def drive(app, pilot):
        await pilot.press("q")

    watch(service, drive)
    assert AskedProcess.find(service.pid).stats()["pid"] == service.pid


# What needs no screen.


def saved_report(**counts):
    import memguard

    document = memguard.scan("live").to_dict()
    document["shapes"] = [
        {
            "key": key,
            "path": f"app.{key}.x -> app.{key}",
            "edges": [],
            "type_names": {},
            "cycle_count": count,
            "object_count": count,
            "shallow_bytes": 10 * count,
            "retained_bytes": size,
            "is_library_only": False,
            "advice": None,
        }
        for key, (count, size) in counts.items()
    ]
    return SavedReport.from_dict(json.loads(json.dumps(document)))


def test_garbage_that_is_gone_is_not_listed():
    """It was collected, which is no news; a live cycle that is gone is."""
    first, last = saved_report(A=(10, 5), B=(1, 1)), saved_report(B=(1, 1))
    garbage = [replace(report, kind="garbage") for report in (first, last)]
    rows = growth_rows(
        TimedScan(0.0, {"live": first, "garbage": garbage[0]}, ()),
        TimedScan(60.0, {"live": last, "garbage": garbage[1]}, ()),
    )
    assert {(row.kind, row.path[4], row.cycle_count) for row in rows} == {
        ("live", "A", 0),
        ("live", "B", 1),
        ("garbage", "B", 1),
    }


def test_growth_is_from_the_first_scan_to_the_last_by_minute():
    """New, grown, smaller and gone; sorted by what was asked for."""
    first = TimedScan(0.0, {"live": saved_report(A=(10, 5), B=(100, 1), D=(3, 3))}, ())
    last = TimedScan(120.0, {"live": saved_report(A=(30, 5), B=(90, 1), C=(4, 900))}, ())
    rows = growth_rows(first, last)
    assert [(row.path[4], row.grown_count, row.per_minute_count) for row in rows] == [
        ("A", 20, 10.0),
        ("C", 4, 2.0),
        ("D", -3, -1.5),
        ("B", -10, -5.0),
    ]
    assert [row.path[4] for row in growth_rows(first, last, "cycles")] == ["B", "A", "C", "D"]
    assert growth_rows(first, last, "holding")[0].path[4] == "C"
    assert {row.grown_count for row in growth_rows(last, last)} == {None}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.9, "59 s"), (60, "1 min 0 s"), (3725, "1 h 2 min"), (90000, "1 d 1 h")],
)
def test_times_are_written_in_two_units(seconds, text):
    """The largest first."""
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("words", "program"),
    [
        (["python", "-X", "dev"], "python"),
        (["/usr/bin/python3", "/srv/app.py", "--password", "x"], "python app.py"),
        (["python", "-m", "app", "--token", "x"], "python -m app"),
        (["python", "-c", "secret = 1"], "python -c ..."),
        ([], ""),
    ],
)
def test_arguments_of_the_program_are_not_shown(words, program):
    """They may be secret."""
    from memguard.cli.asked import _program_of

    assert _program_of(words) == program
