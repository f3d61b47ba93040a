"""The pytest plugin: together with other plugins, run twice, and over all tests."""

import json
import re
import tomllib

import pytest

import leaking
from processes import RUN, run

pytest_plugins = ["pytester"]

CONTEXT = f"""
import asyncio
import unittest
import pytest

{leaking.CONTEXT}
"""

UNITTEST = """
class TestSync(unittest.TestCase):
    def test_clean(self): Context()
    def test_leaks(self): leak()


class TestAsync(unittest.IsolatedAsyncioTestCase):
    async def test_clean(self): await asyncio.sleep(0)
    async def test_leaks(self): leak()
"""

PATH = "test_it.Context.parent -> test_it.Context.subtasks -> list[0] -> test_it.Context"


@pytest.fixture
def run_tests(pytester):
    """Run tests of a module with all plugins that are installed, as they come."""

    def run(source, *options, settings=""):
        pytester.makeini(f"[pytest]\nasyncio_default_fixture_loop_scope = function\n{settings}")
        pytester.makepyfile(test_it=source)
        return pytester.runpytest("-p", "no:cacheprovider", *options)

    return run


def test_unittest_classes_are_looked_at(run_tests):
    """Plain ones, and those with an event loop of their own."""
    result = run_tests(CONTEXT + UNITTEST, "--memguard")
    result.assert_outcomes(passed=2, failed=2)
    result.stdout.fnmatch_lines_random(
        ["FAILED *::TestSync::test_leaks*", "FAILED *::TestAsync::test_leaks*"]
    )


def test_pytest_asyncio_leaves_nothing_of_its_own(run_tests):
    """Its loops, tasks and fixtures are not the test's."""
    result = run_tests(
        CONTEXT
        + """
import pytest_asyncio
@pytest_asyncio.fixture
async def context():
    await asyncio.sleep(0)
    yield Context(Context())
@pytest.mark.asyncio
async def test_clean(context):
    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.sleep(0))
@pytest.mark.asyncio
async def test_caught():
    async def fail(): raise ValueError
    task = asyncio.create_task(fail())
    with pytest.raises(ValueError):
        await task
@pytest.mark.asyncio
async def test_leaks(context):
    leak()
""",
        "--memguard",
    )
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["FAILED *::test_leaks*"])


def test_anyio_leaves_nothing_of_its_own(run_tests):
    """Its runners keep what the event loop left, once for each test."""
    result = run_tests(
        CONTEXT
        + """
@pytest.fixture
def anyio_backend(): return "asyncio"
@pytest.fixture
async def context():
    await asyncio.sleep(0)
    yield Context(Context())
@pytest.mark.anyio
async def test_clean(): await asyncio.sleep(0)
@pytest.mark.anyio
async def test_fixture(context): context.extra = 1
@pytest.mark.anyio
async def test_leaks(): leak()
""",
        "--memguard",
    )
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["FAILED *::test_leaks*"])


@pytest.mark.parametrize("plugin", ["anyio", "asyncio(loop_scope='module')"])
def test_a_runner_that_several_tests_share_goes_on(run_tests, plugin):
    """Looking at one test, whose error holds all frames, does not end what runs the next."""
    fixture = "pytest.fixture" if plugin == "anyio" else "pytest_asyncio.fixture"
    scope = "scope='module'" + (", loop_scope='module'" if plugin != "anyio" else "")
    result = run_tests(
        CONTEXT
        + f"""
import inspect
import pytest_asyncio
@pytest.fixture(scope="module")
def anyio_backend(): return "asyncio"
@{fixture}({scope})
async def loop():
    yield asyncio.get_running_loop()
    await asyncio.sleep(0)
async def fail():
    await asyncio.sleep(0)
    raise ValueError(inspect.stack())
@pytest.mark.{plugin}
async def test_caught(loop):
    with pytest.raises(ValueError) as caught:
        await fail()
    assert caught.value.args
@pytest.mark.{plugin}
async def test_after(loop):
    await asyncio.sleep(0)
    assert asyncio.get_running_loop() is loop
""",
        "--memguard",
    )
    result.assert_outcomes(passed=2)


@pytest.mark.parametrize("chosen", ["--memguard", "marker"])
def test_workers_of_xdist_report_to_the_section_at_the_end(run_tests, chosen):
    """What several processes found is added up, with the option and with the marker."""
    marker = "@pytest.mark.memguard\n" if chosen == "marker" else ""
    source = CONTEXT + "".join(f"{marker}def test_{number}(): leak()\n" for number in range(4))
    result = run_tests(
        source, "-n", "2", "--memguard-report=found.json", *{"--memguard"} & {chosen}
    )
    result.assert_outcomes(failed=4)
    result.stdout.fnmatch_lines(
        ["4 tests looked at, 4 left cycles; *", "*1. 4 cycles in 4 tests, 12 objects*"]
    )


def test_a_rerun_is_looked_at_afresh(run_tests):
    """With pytest-rerunfailures a cache of the first call is told by itself."""
    source = CONTEXT + (
        "calls = []\ndef test():\n    calls.append(1)\n    if len(calls) == 1: leak()\n"
    )
    result = run_tests(source, "--memguard", "--memguard-twice", "--reruns", "1")
    assert result.parseoutcomes() == {"passed": 1, "rerun": 1}


def test_a_second_run_tells_what_only_the_first_call_leaves(run_tests):
    """A test that leaves cycles once passes; one that does so each time fails."""
    result = run_tests(
        CONTEXT
        + """
calls = []
@pytest.fixture
def fresh(tmp_path):
    tmp_path.joinpath("only once").mkdir()
    calls.append("set up")
    yield
    calls.append("torn down")
def test_first(fresh):
    if len(calls) < 3: leak()
def test_each(): leak()
def test_clean(): calls.append("clean")
def test_calls(): assert calls == ["set up", "torn down"] * 2 + ["clean"]
""",
        "--memguard",
        "--memguard-twice",
    )
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(
        [
            "4 tests looked at, 1 left cycles; *",
            "Cycles that do not count: 1 that only a first call left.",
            "FAILED *::test_each*",
        ]
    )


def test_a_second_run_that_fails_changes_nothing(run_tests):
    """A test that can run only once keeps the verdict of its first run."""
    result = run_tests(
        CONTEXT
        + """
calls = []
def test():
    calls.append(1)
    assert len(calls) == 1
    leak()
""",
        "--memguard",
        settings="memguard_twice = true",
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["memguard: the test left 1 reference cycle *"])


def test_a_baseline_is_written_and_read(run_tests, pytester):
    """Nothing fails while it is written; after that only new shapes do."""
    result = run_tests(CONTEXT + UNITTEST, "--memguard", "--memguard-write-baseline=known.toml")
    result.assert_outcomes(passed=4)
    written = tomllib.loads(pytester.path.joinpath("known.toml").read_text())
    assert [shape["path"] for shape in written["shape"]] == [PATH]

    more = CONTEXT + UNITTEST + "def test_new():\n    one = []\n    one.append(one)\n"
    result = run_tests(more, "--memguard", settings="memguard_baseline = known.toml")
    result.assert_outcomes(passed=4, failed=1)
    result.stdout.fnmatch_lines(
        ["Cycles that do not count: 2 in the baseline.", "FAILED *::test_new*"]
    )


def test_a_written_baseline_is_added_to(run_tests, pytester):
    """What it has stays as it is, comments included."""
    path = pytester.path.joinpath("known.toml")
    before = "version = 1\n\n# By design.\n[[shape]]\nkind = 'garbage'\npath = 'a.B -> a.B'\n"
    path.write_text(before)
    run_tests(CONTEXT + UNITTEST, "--memguard", "--memguard-write-baseline=known.toml")
    assert path.read_text().startswith(before)
    assert [shape["path"] for shape in tomllib.loads(path.read_text())["shape"]] == [
        "a.B -> a.B",
        PATH,
    ]


def test_a_cycle_in_use_is_not_known_by_one_that_was_garbage(run_tests):
    """Whether the program still holds it is part of what is known."""
    written = ["--memguard", "--memguard-write-baseline=known.toml"]
    run_tests(CONTEXT + "def test(): leak()", *written).assert_outcomes(passed=1)
    kept = CONTEXT + "kept = []\ndef test(): kept.append(Context(Context()))"
    options = ["--memguard", "--memguard-live", "--memguard-baseline=known.toml"]
    run_tests(kept, *options).assert_outcomes(failed=1)


TESTS = "import app\ndef test(): app.leak()\n"


@pytest.fixture
def run_program(pytester):
    """Run a program that leaks under ``memguard run``."""

    def run_it(*options):
        words = ("--gc", "off", "--output", "report.txt", *options, "program.py")
        return run(*RUN, *words, cwd=pytester.path).returncode

    pytester.makepyfile(app=leaking.CONTEXT, program="import app\napp.leak()")
    return run_it


def test_memguard_run_reads_what_the_plugin_wrote(run_tests, run_program):
    """Known to the tests is known to the program."""
    run_tests(TESTS, "--memguard", "--memguard-write-baseline=known.toml")
    assert run_program("--fail-on", "known.toml") == 0


def test_the_plugin_reads_what_memguard_run_wrote(run_tests, run_program):
    """Known to the program is known to the tests."""
    assert run_program("--write-baseline", "known.toml") == 0
    result = run_tests(TESTS, "--memguard", "--memguard-baseline=known.toml")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["Cycles that do not count: 1 in the baseline."])


@pytest.mark.parametrize("option", ["--memguard-baseline", "--memguard-write-baseline"])
@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("version = 1\nshape = 1", "its shape is not a list of tables [[]*"),
        ("version = 1\n[[shape]]\nx = 1", "shape 1 has no kind, or no key and no path"),
        ("version = 2", "its version is 2, and this memguard reads 1"),
        ("[[", "it is not TOML: *"),
    ],
)
def test_a_baseline_that_cannot_be_read_is_an_error(run_tests, pytester, option, text, complaint):
    """It would let every leak pass, or none; and it is not written over."""
    path = pytester.path.joinpath("known.toml")
    path.write_text(text)
    result = run_tests(CONTEXT, "--memguard", f"{option}=known.toml")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [f"ERROR: memguard: '*known.toml' cannot be used as a baseline: {complaint}; make one *"]
    )
    assert path.read_text() == text


def test_a_missing_baseline_is_an_error_before_any_test_runs(run_tests):
    """Nothing known would mean that everything is new."""
    result = run_tests(CONTEXT, "--memguard", "--memguard-baseline=known.toml")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["*there is no such file; make one *--memguard-write-baseline FILE"]
    )


def test_a_baseline_that_cannot_be_written_is_an_error(run_tests):
    """Tests that passed for nothing are not taken for a baseline."""
    result = run_tests(CONTEXT, "--memguard", "--memguard-write-baseline=gone/known.toml")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: memguard: *gone*No such file or directory; make one *"])


def test_the_report_has_what_counts_and_what_does_not(run_tests, pytester):
    """A document like that of a scan, with the tests of each shape."""
    run_tests(
        CONTEXT + UNITTEST + "def test_class():\n    class Local: pass\n",
        "--memguard",
        "--memguard-report=found.json",
    )
    found = json.loads(pytester.path.joinpath("found.json").read_text())
    assert (found["kind"], found["test_count"], found["cycle_count"]) == ("created", 5, 2)
    (shape,) = found["shapes"]
    assert (shape["path"], shape["cycle_count"], shape["object_count"]) == (PATH, 2, 6)
    assert shape["tests"] == [
        "test_it.py::TestSync::test_leaks",
        "test_it.py::TestAsync::test_leaks",
    ]
    (left_out,) = found["left_out"]["test"]
    assert left_out["tests"] == ["test_it.py::test_class"]


def test_the_report_as_a_page_has_the_loop_and_the_advice(run_tests, pytester):
    """The page is that of ``memguard run --format html``, and asks for no other file."""
    run_tests(CONTEXT + "def test(): leak()", "--memguard", "--memguard-report=found.html")
    page = pytester.path.joinpath("found.html").read_text(encoding="utf-8")
    shown = " ".join(re.sub(r"<[^>]*>", " ", page.replace("<wbr>", "")).split())
    assert shown.startswith("memguard: 1 new cycle ")
    assert "Make test_it.Context.parent a weak reference" in shown
    assert "<svg" in page
    assert not re.search(r"""(?:src|href)=["']?http""", page)


def test_a_saved_report_of_tests_is_shown_again(run_tests, pytester):
    """``memguard report`` reads it like that of a scan."""
    run_tests(CONTEXT + "def test(): leak()", "--memguard", "--memguard-report=found.json")
    shown = run(*RUN[:-1], "report", "found.json", cwd=pytester.path)
    assert (shown.returncode, shown.stderr) == (0, b"")
    assert b"1 new cycle in 1 shape: 3 objects" in shown.stdout


def test_a_report_of_an_unknown_format_is_an_error(run_tests):
    """Before any test runs, and not after hours."""
    result = run_tests(CONTEXT, "--memguard", "--memguard-report=found.doc")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --memguard-report=found.doc: *.json*"])
