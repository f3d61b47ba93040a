"""``memguard doctor``: what it sees, and what it says is wrong."""

import json
import os
import platform
import sys

import pytest

from memguard import __version__
from memguard.cli.doctor import examine, find_problems
from processes import WITHOUT_RICH, on_terminal, run

DOCTOR = (sys.executable, "-m", "memguard", "doctor")
POSIX = pytest.mark.skipif(os.name != "posix", reason="terminals of POSIX")


def test_a_good_build_has_nothing_wrong():
    """Build, Python, collector and features are listed; a planted cycle is found."""
    done = run(*DOCTOR, "--format", "json")
    seen = json.loads(done.stdout)
    assert (done.returncode, done.stderr, seen["problems"]) == (0, b"", [])
    assert seen["build"]["memguard"] == __version__
    assert seen["python"]["version"] == platform.python_version()
    assert os.path.samefile(seen["python"]["executable"], sys.executable)
    assert seen["collector"]["enabled"] is True
    by_walking = sys.version_info < (3, 16)
    assert seen["features"]["enumeration"] == ("list_walk" if by_walking else "visit_objects")
    assert seen["features"]["report_on_signal"] == (os.name == "posix")
    assert seen["self_test"]["passed"] is True
    assert seen["self_test"]["object_count"] > 1000


def test_the_text_is_for_people():
    """Values have units and the last line says what to do next."""
    done = run(*DOCTOR)
    lines = done.stdout.decode().splitlines()
    assert done.returncode == 0
    assert lines[0] == "build"
    assert f"  version                {platform.python_version()}" in lines
    assert any(line.startswith("  resident ") and line.endswith(" MiB") for line in lines)
    assert any(line.startswith("  duration ") and line.endswith(" ms") for line in lines)
    assert lines[-1] == "All is well. Try: memguard demo"


@pytest.mark.parametrize(
    ("section", "name", "value", "problem"),
    [
        ("python", "free_threaded", True, "use the default build of the same version"),
        ("build", "optimised", False, "unset MEMGUARD_BUILD and run pip install"),
        ("build", "sanitized", True, "unset MEMGUARD_BUILD and run pip install"),
        ("build", "traced", True, "unset MEMGUARD_BUILD and run pip install"),
        ("build", "assertions", True, "unset MEMGUARD_BUILD and run pip install"),
        ("self_test", "passed", False, "was not found (1 of 1 planted cycle): run pip install"),
    ],
)
def test_each_problem_comes_with_its_remedy(section, name, value, problem):
    """What is wrong is told with what to do about it."""
    seen = examine()
    seen["build"] |= {"optimised": True, "sanitized": False, "traced": False, "assertions": False}
    assert find_problems(seen) == []
    seen[section][name] = value
    (told,) = find_problems(seen)
    assert problem in told


def test_a_problem_is_an_exit_code(tmp_path):
    """With something wrong the exit code is 1, in text and in JSON."""
    source = (
        "import gc, sys\n"
        "from memguard import _core\n"
        "seen = _core.build_info() | {'optimised': False}\n"
        "_core.build_info = lambda: seen\n"
        "from memguard.cli import main\n"
        "sys.exit(main())\n"
    )
    text = run(sys.executable, "-c", source, "doctor")
    assert text.returncode == 1
    assert text.stdout.splitlines()[-1].startswith(b"Problem: The native core is not an optimised")
    as_json = run(sys.executable, "-c", source, "doctor", "--format=json")
    assert (as_json.returncode, len(json.loads(as_json.stdout)["problems"])) == (1, 1)


@POSIX
def test_a_terminal_gets_colour_with_rich_only():
    """Sections are bold and the verdict is green where rich is installed."""
    code, shown = on_terminal(*DOCTOR)
    assert code == 0
    assert "\x1b[1;32mAll is well. Try: memguard demo\x1b[0m" in shown
    code, shown = on_terminal(sys.executable, "-c", WITHOUT_RICH, "doctor")
    assert code == 0
    assert "\x1b" not in shown
    assert "All is well. Try: memguard demo" in shown


def test_it_tells_how_to_get_tables(tmp_path):
    """Where rich is missing its remedy is named."""
    source = (
        "import importlib.metadata, sys\n"
        "known = importlib.metadata.version\n"
        "def version(name):\n"
        "    if name == 'rich': raise importlib.metadata.PackageNotFoundError(name)\n"
        "    return known(name)\n"
        "importlib.metadata.version = version\n" + WITHOUT_RICH
    )
    done = run(sys.executable, "-c", source, "doctor")
    assert done.returncode == 0
    assert b'not installed: pip install "pymemguard[cli]"' in done.stdout
