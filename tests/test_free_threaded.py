"""Free-threaded builds: every scan is refused, clearly, and nothing else happens.

On a default build the refusal is asked for by what `build_info` says; on a
free-threaded one it is the real thing.
"""

import platform
import subprocess
import sys
import sysconfig

import pytest

import memguard
from memguard import _core
from memguard.cli import main

FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))


@pytest.fixture(autouse=True)
def _free_threaded(monkeypatch):
    told = {**_core.build_info(), "free_threaded": True}
    if not FREE_THREADED:
        monkeypatch.setattr(_core, "build_info", lambda: told)


def test_the_build_is_told_apart():
    """What the native core says of the build is what the interpreter says."""
    answer = subprocess.run(
        [sys.executable, "-c", "from memguard import _core; print(_core.build_info())"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert f"'free_threaded': {FREE_THREADED}" in answer


@pytest.mark.parametrize("kind", ["garbage", "live"])
@pytest.mark.parametrize("options", [{}, {"roots": [[]]}, {"explain": False}])
def test_a_scan_is_refused_with_the_version_and_the_remedy(kind, options):
    """The error names this Python and what to use instead."""
    with pytest.raises(memguard.UnsupportedPythonError) as caught:
        memguard.scan(kind, **options)
    assert platform.python_version() in caught.value.python
    assert "free-threaded" in caught.value.python
    assert "use the default build" in caught.value.remedy
    assert str(caught.value) == f"{caught.value.python} cannot be scanned: {caught.value.remedy}"


def test_the_refusal_is_a_memguard_error_and_a_runtime_error():
    """Programs that catch either go on without the report."""
    with pytest.raises(memguard.MemguardError):
        memguard.scan()
    with pytest.raises(RuntimeError):
        memguard.scan()


def test_wrong_arguments_are_still_told_first():
    """A mistake in the call is not hidden behind the refusal."""
    with pytest.raises(memguard.UnknownOptionError):
        memguard.scan("dead")


def test_counting_is_refused_and_not_answered_with_zero():
    """No number stands for "not known"."""
    with pytest.raises(memguard.UnsupportedPythonError):
        memguard.detect_circular_references()


def test_a_function_whose_cycles_cannot_be_told_is_not_run():
    """The refusal comes before the work."""
    ran = []
    with pytest.raises(memguard.UnsupportedPythonError):
        memguard.scan_created(ran.append, None)
    assert ran == []


def test_doctor_fails_and_says_why(capsys):
    """The self-test reports the refusal as its result."""
    assert main(["doctor"]) == 1
    assert "cannot be scanned" in capsys.readouterr().out


def test_a_program_is_not_run_without_a_report(tmp_path, capsys):
    """``memguard run`` ends as for wrong use, before the program starts."""
    script = tmp_path / "program.py"
    script.write_text("print('ran')")
    assert main(["run", str(script)]) == 2
    output = capsys.readouterr()
    assert "cannot be scanned" in output.err
    assert output.out == ""
