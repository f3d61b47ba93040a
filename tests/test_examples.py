"""Every example runs by itself and shows what its description promises."""

import re
import sys
from pathlib import Path

from processes import run

EXAMPLES = Path(__file__).parent.parent / "examples"

REPORTED = ["orchestrator.py", "orchestrator_repaired.py", "failing_task_group.py"]
REPORTED_WITH_LIBRARIES = ["langgraph_agent.py", "openai_agent.py"]
"""Those need examples/requirements.txt, and run with --real-libraries."""


def pytest_generate_tests(metafunc):
    if "reported" in metafunc.fixturenames:
        with_libraries = metafunc.config.getoption("--real-libraries")
        names = REPORTED_WITH_LIBRARIES if with_libraries else REPORTED
        metafunc.parametrize("reported", names)


def output_of(*words, **options):
    done = run(sys.executable, "-W", "error", *words, **options)
    assert done.returncode == 0, done.stderr.decode() + done.stdout.decode()
    assert done.stderr == b""
    return done.stdout.decode()


def test_the_service_answers_with_its_cycles():
    """Ten requests leave ten cycles, which an endpoint tells."""
    shown = output_of(EXAMPLES / "asyncio_service.py")
    assert shown.count("served /page/") == 10
    assert "10 garbage cycles in 1 shape: 20 objects" in shown
    assert "__main__.Request.on_done -> method.__self__ -> __main__.Request" in shown


def test_the_weak_reference_leaves_no_cycle():
    """The first report names the loop, the second is clean."""
    leaking, fixed = output_of(EXAMPLES / "find_and_fix.py").split("FixedContext: ")
    assert leaking.startswith("Context: 1 new cycle in 1 shape: 4 objects")
    assert "__main__.Context.parent -> __main__.Context.subtasks -> list[0]" in leaking
    assert fixed.startswith("No new cycles found")


def test_the_example_tests_pass_by_themselves_and_under_pytest(tmp_path):
    """They need no plugin and no fixture."""
    tests = EXAMPLES / "test_one_context.py"
    assert output_of(tests).count(": passed\n") == 3
    (tmp_path / "pytest.ini").touch()
    shown = output_of("-m", "pytest", "-q", "-p", "no:cacheprovider", tests, cwd=tmp_path)
    assert "3 passed" in shown


def test_the_example_tests_can_fail(tmp_path):
    """A context that is not closed is told by the loop that it leaves."""
    tests = tmp_path / "test_open.py"
    source = (EXAMPLES / "test_one_context.py").read_text()
    tests.write_text(source.replace("context.close()", "pass"))
    done = run(sys.executable, tests)
    assert done.returncode == 1
    assert b"AssertionError: 1 live cycle in 1 shape" in done.stderr


def without_what_varies(text):
    """Leave out times, sizes, and numbers of objects, which depend on the Python that runs."""
    text = re.sub(r"(looked at|among) [\d,]+ objects in [\d,.]+ ms", r"\1 N objects in N ms", text)
    text = re.sub(r"[\d,]+ objects cannot be reached .*\n", "", text)
    text = re.sub(r"[\d,]+ objects", "N objects", text)
    return re.sub(r"[\d,.]+ (B|KiB|MiB)\b", "N bytes", text)


def test_the_report_beside_an_example_is_what_it_prints(reported):
    """``tools/example_reports.py`` writes it."""
    example = EXAMPLES / reported
    shown = example.with_suffix(".txt").read_text(encoding="utf-8")
    assert without_what_varies(output_of(example)) == without_what_varies(shown)


def test_every_report_beside_an_example_is_compared():
    """None is left behind."""
    reports = {path.with_suffix(".py").name for path in EXAMPLES.glob("*.txt")}
    assert reports - {"requirements.py"} == {*REPORTED, *REPORTED_WITH_LIBRARIES}


def test_every_example_is_described_and_run_here():
    """No example is left behind."""
    described = (EXAMPLES / "README.md").read_text()
    for path in EXAMPLES.glob("*.py"):
        assert f"[{path.name}]({path.name})" in described
        assert f'"{path.name}"' in Path(__file__).read_text()
