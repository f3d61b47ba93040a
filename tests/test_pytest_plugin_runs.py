"""The pytest plugin: together with other plugins, run twice, and over all tests."""

import json
import tomllib

import pytest

pytest_plugins = ["pytester"]

CONTEXT = """
import asyncio
import unittest
import pytest


class Context:
    def __init__(self, parent=None):
        self.parent = parent
        self.subtasks = []
        if parent is not None:
            parent.subtasks.append(self)


def leak():
    parent = Context()
    Context(parent)


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


@pytest.mark.parametrize("text", [None, "shape = 1", "[[shape]]\nx = 1", "[["])
def test_a_baseline_that_cannot_be_read_is_an_error(run_tests, pytester, text):
    """It would let every leak pass, or none."""
    if text is not None:
        pytester.path.joinpath("known.toml").write_text(text)
    result = run_tests(CONTEXT, "--memguard", "--memguard-baseline=known.toml")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: memguard: the baseline *known.toml cannot be read: *"])


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


def test_a_report_of_an_unknown_format_is_an_error(run_tests):
    """Before any test runs, and not after hours."""
    result = run_tests(CONTEXT, "--memguard", "--memguard-report=found.doc")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --memguard-report=found.doc: *.json*"])
