"""The pytest plugin: what counts as left behind by a test, and what does not."""

import re

import pytest

import leaking

pytest_plugins = ["pytester"]

CONTEXT = f"""
import gc
import pytest

{leaking.CONTEXT}
"""


@pytest.fixture
def run_tests(pytester):
    """Run tests of a module that has a class which leaks, by default with --memguard."""

    def run(source, *options, memguard=True):
        pytester.makepyfile(test_it=CONTEXT + source)
        chosen = ["--memguard"] if memguard else []
        return pytester.runpytest("-p", "no:cacheprovider", "-p", "no:asyncio", *chosen, *options)

    return run


def test_a_test_that_leaves_a_cycle_fails_and_shows_its_shape(run_tests):
    """The message has the loop, what to change, and a marker that would allow it."""
    result = run_tests("def test(): leak()")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "memguard: the test left 1 reference cycle that only the collector frees",
            "*1. 1 cycle, 3 objects*",
            "*test_it.Context.parent -> test_it.Context.subtasks -> list[[]0] -> test_it.Context",
            "*[*] Make test_it.Context.parent a weak reference: *",
            "*It dissolves 1 of 1 cycle tried.",
            "*self.parent_ref = weakref.ref(parent)",
            "*parent = property(lambda self: self.parent_ref())",
            "",
            "To allow this shape: @pytest.mark.memguard(allow=[[]'????????????'])",
            "or every cycle of this class: allow=[[]'test_it.Context']",
        ]
    )


TWO_SHAPES = """
class Node:
    pass
def test():
    leak()
    node = Node()
    node.itself = node
    del node
"""


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("source", ["def test(): leak()", TWO_SHAPES])
def test_either_marker_that_is_shown_lets_the_test_pass(run_tests, source, number):
    """By keys or by classes, of all shapes that the test left."""
    shown = run_tests(source).stdout.str()
    hint = shown[shown.index("To allow th") :]
    allow = re.findall(r"allow=\[.*?\]", hint, re.DOTALL)[number]
    marked = source.replace("def test()", f"@pytest.mark.memguard({allow})\ndef test()")
    run_tests(marked).assert_outcomes(passed=1)


def test_no_frame_of_pytest_is_shown(run_tests):
    """There is no code to blame, so no traceback is printed."""
    assert "guard.py" not in run_tests("def test(): leak()").stdout.str()


def test_a_test_that_leaves_nothing_passes(run_tests):
    """An object that counting frees is no garbage."""
    result = run_tests("def test(): Context()")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["1 test looked at, 0 left cycles; *"])


def test_nothing_happens_until_it_is_asked_for(run_tests):
    """Without option, setting and marker no hook of a test is taken and nothing is printed."""
    result = run_tests(
        """
def test(request):
    leak()
    assert not request.config.pluginmanager.has_plugin("memguard-guard")
    assert not request.config.pluginmanager.has_plugin("memguard-summary")
""",
        memguard=False,
    )
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*= memguard =*")


def test_the_marker_looks_at_one_test_only(run_tests):
    """A test beside it stays as it is."""
    result = run_tests(
        """
@pytest.mark.memguard
def test_marked(): leak()
def test_unmarked(): leak()
""",
        "--strict-markers",
        memguard=False,
    )
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["1 test looked at, 1 left cycles; *", "FAILED *::test_marked*"])


def test_a_setting_looks_at_every_test(run_tests):
    """``memguard = true`` is the option, for good."""
    result = run_tests("def test(): leak()", "-o", "memguard=true", memguard=False)
    result.assert_outcomes(failed=1)


@pytest.mark.parametrize(
    "allow",
    [
        "[Context]",
        "['test_it.Context']",
        "['test_it.*']",
        "['test_it.Context.parent -> test_it.Context.subtasks -> list[0] -> test_it.Context']",
    ],
)
def test_a_marker_allows_classes_names_and_paths(run_tests, allow):
    """What is allowed is counted, and fails nothing."""
    result = run_tests(f"@pytest.mark.memguard(allow={allow})\ndef test(): leak()")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["Cycles that do not count: 1 allowed."])


def test_what_is_not_allowed_fails_still(run_tests):
    """A name stands for the whole name, not for a part of it."""
    run_tests("@pytest.mark.memguard(allow=['Context'])\ndef test(): leak()").assert_outcomes(
        failed=1
    )


def test_a_setting_allows_for_all_tests(run_tests):
    """Markers of a test add to it."""
    result = run_tests(
        """
def leak_list():
    one = []
    one.append(one)
@pytest.mark.memguard(allow=["list[0] -> list"])
def test(): leak(); leak_list()
def test_other(): leak(); leak_list()
""",
        "-o",
        "memguard_allow=test_it.Context",
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["FAILED *::test_other*"])


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ("allow='x'", "takes a list as allow, not str"),
        ("allow=[1]", "allows classes and texts, not int"),
        ("allowed=[]", "takes allow=[[]...[]] and live=True, not allowed"),
        ("True", "takes allow=[[]...[]] and live=True, not positional arguments"),
    ],
)
def test_a_wrong_marker_is_an_error_before_any_test_runs(run_tests, arguments, complaint):
    """It names the test and what the marker takes."""
    result = run_tests(f"@pytest.mark.memguard({arguments})\ndef test(): pass")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: test_it.py::test: the marker memguard {complaint}"])


@pytest.mark.parametrize(
    "source",
    [
        # The traceback holds the frame of the test, which holds what raises() gave.
        """
def test():
    with pytest.raises(ValueError) as caught:
        int("x")
    error = caught.value
""",
        """
def check():
    with pytest.raises(ValueError) as caught:
        int("x")
def test(): check()
""",
        """
def test():
    try:
        int("x")
    except ValueError as error:
        kept = error
""",
        "def test():\n    class Local: pass",
        "def test():\n    def again(): return again",
        "def test(request): request.node.kept = Context(Context())",
        """
@pytest.fixture
def context():
    leak()
    yield Context(Context())
    leak()
def test(context): context.extra = Context(context)
""",
        """
@pytest.fixture(autouse=True, scope="module")
def context():
    yield Context(Context())
@pytest.mark.parametrize("number", [1])
def test(number, tmp_path, monkeypatch, caplog, capsys, recwarn):
    import logging, warnings
    monkeypatch.setattr(Context, "number", number, raising=False)
    tmp_path.joinpath("x").write_text("x")
    warnings.warn("careful")
    try:
        int("x")
    except ValueError:
        logging.exception("failed")
""",
        """
def test():
    from unittest import mock
    mock.MagicMock().a.b()
""",
        """
def test():
    import asyncio
    asyncio.run(asyncio.sleep(0))
""",
        """
def test(subtests):
    with subtests.test(number=1):
        Context()
""",
        """
import unittest
class TestCase(unittest.TestCase):
    def setUp(self): self.context = Context(Context())
    def test(self):
        with self.assertRaises(ValueError) as caught:
            int("x")
        error = caught.exception
""",
    ],
    ids=[
        "pytest.raises",
        "pytest.raises in a helper",
        "exception in the test",
        "class in the test",
        "recursive function in the test",
        "held by the item",
        "fixture",
        "fixtures of pytest",
        "unittest.mock",
        "asyncio.run",
        "subtests",
        "unittest",
    ],
)
def test_cycles_of_pytest_and_of_the_test_itself_do_not_count(run_tests, source):
    """The same code leaves nothing outside a test, or it is the standard library's."""
    run_tests(source).assert_outcomes(passed=1)


def test_a_loop_of_the_program_counts_beside_one_of_the_test(run_tests):
    """A context leaks, and an exception of the same test holds it, too."""
    result = run_tests(
        """
def test():
    parent = Context()
    child = Context(parent)
    with pytest.raises(ValueError) as caught:
        int("x")
    parent.error = caught.value
"""
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*1. 1 cycle, 3 objects*", "*test_it.Context.parent -> *"])


def test_a_callback_that_the_test_gives_counts(run_tests):
    """The object keeps it: a program that does the same leaks."""
    run_tests(
        "def test():\n    context = Context()\n    context.callback = lambda: context"
    ).assert_outcomes(failed=1)


def test_an_exception_held_by_the_frame_of_a_helper_counts(run_tests):
    """Only the test function's own frame is not kept by programs."""
    run_tests(
        """
def work():
    try:
        int("x")
    except ValueError as error:
        kept = error
def test(): work()
"""
    ).assert_outcomes(failed=1)


def test_a_class_that_the_program_makes_for_each_call_counts(run_tests):
    """A class is on a cycle with its own tuple of bases."""
    result = run_tests(
        """
def make():
    class Local: pass
def test(): make()
"""
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*class test_it.make.<locals>.Local*"])


def test_containers_alone_count(run_tests):
    """A list that holds itself was made by somebody, though no class of the program is in it."""
    run_tests("def test():\n    one = []\n    one.append(one)").assert_outcomes(failed=1)


def test_a_setting_counts_cycles_of_the_standard_library(run_tests):
    """With ``memguard_stdlib`` a mock is a leak like any other."""
    result = run_tests(
        "from unittest import mock\ndef test(): mock.MagicMock().a.b()", "-o", "memguard_stdlib=1"
    )
    result.assert_outcomes(failed=1)


def test_a_collection_in_the_test_hides_nothing_that_it_leaves_later(run_tests):
    """What the collector moved out of the youngest generation is still known as new."""
    result = run_tests(
        """
def test():
    parent = Context()
    Context(parent)
    gc.collect()
    assert parent.subtasks
"""
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*1. 1 cycle, 3 objects*"])


def test_what_the_test_collects_itself_is_not_left(run_tests):
    """It cleaned up."""
    run_tests("def test():\n    leak()\n    gc.collect()").assert_outcomes(passed=1)


def test_garbage_of_an_earlier_test_does_not_count(run_tests):
    """Each test answers for what was created while it ran, in any order."""
    result = run_tests(
        """
@pytest.fixture(scope="module")
def contexts():
    return []
def test_before(contexts): contexts.append(Context(Context()))
def test_drops(contexts): contexts.clear()
def test_fails(): leak()
def test_after(): pass
"""
    )
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(["FAILED *::test_fails*"])


def test_the_collector_is_as_before(run_tests):
    """It is off while a test runs, and on again, whatever happens."""
    result = run_tests(
        """
gc.enable()
@pytest.fixture(autouse=True)
def collector():
    assert gc.isenabled()
    callbacks = list(gc.callbacks)
    yield
    assert gc.isenabled()
    assert gc.callbacks == callbacks
def test_off(): assert not gc.isenabled()
def test_fails(): assert False
def test_skips(): pytest.skip("no")
def test_leaks(): leak()
def test_takes_it_away(): gc.callbacks.pop()
"""
    )
    result.assert_outcomes(passed=2, failed=2, skipped=1)


def test_a_test_that_fails_or_is_skipped_is_not_looked_at(run_tests):
    """Its own verdict stands, and its message is not changed."""
    result = run_tests(
        """
def test_fails():
    leak()
    raise KeyError("own")
def test_skips():
    leak()
    pytest.skip("own")
@pytest.mark.xfail(strict=True)
def test_expected():
    leak()
    assert False
"""
    )
    result.assert_outcomes(failed=1, skipped=1, xfailed=1)
    assert "reference cycle" not in result.stdout.str()


def test_a_known_leak_can_be_expected(run_tests):
    """``xfail`` takes a leak as it takes any failure."""
    run_tests("@pytest.mark.xfail(strict=True)\ndef test(): leak()").assert_outcomes(xfailed=1)


def test_cycles_in_use_count_when_asked_for(run_tests):
    """An agent that a fixture keeps is on a cycle that the test made."""
    source = """
@pytest.fixture
def agents():
    return []
@pytest.mark.memguard(live=%s)
def test(agents): agents.append(Context(Context()))
"""
    run_tests(source % False).assert_outcomes(passed=1)
    result = run_tests(source % True)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["memguard: the test left 1 reference cycle in use*"])


def test_a_marker_overrides_live_of_the_command_line(run_tests):
    """One test may keep what it makes."""
    source = "kept = []\n%s\ndef test(): kept.append(Context(Context()))"
    run_tests(source % "", "--memguard-live").assert_outcomes(failed=1)
    marker = "@pytest.mark.memguard(live=False)"
    run_tests(source % marker, "--memguard-live").assert_outcomes(passed=1)


def test_doctests_are_looked_at(pytester):
    """What they leave is new garbage like any other."""
    pytester.makepyfile(
        module='''
def clean():
    """
    >>> [[]]
    [[]]
    """
def leaking():
    """
    >>> def leak(): a = []; a.append(a)
    >>> leak()
    """
'''
    )
    result = pytester.runpytest("-p", "no:asyncio", "--doctest-modules", "--memguard", "module.py")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["FAILED module.py::module.leaking*"])
