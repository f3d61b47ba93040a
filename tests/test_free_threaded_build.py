"""What only a free-threaded build of Python can show; collected on no other."""

import subprocess
import sys

import pytest

from memguard import _core


def test_the_native_core_refuses_by_itself():
    """No way around the checks reaches a scan."""
    with pytest.raises(RuntimeError, match="free-threaded"):
        _core.scan_heap("garbage", 0, None, 0, 0.0)


def test_using_turns_the_gil_on_and_python_says_so():
    """The documented price of using memguard there: nothing was declared untested."""
    code = "import sys, memguard; memguard.scan; print(sys._is_gil_enabled())"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "True"
    assert "memguard._core" in run.stderr


def test_importing_leaves_the_gil_off():
    """The plugin of pytest is imported in every run, whoever asks for it."""
    code = "import sys, memguard.pytest_plugin; print(sys._is_gil_enabled())"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (run.stdout.strip(), run.stderr) == ("False", "")


def test_the_gil_can_be_kept_off():
    """With PYTHON_GIL=0 an import leaves it off, and a scan is refused all the same."""
    code = """
import sys, memguard
try:
    memguard.scan()
except memguard.UnsupportedPythonError:
    print(sys._is_gil_enabled())
"""
    run = subprocess.run(
        [sys.executable, "-X", "gil=0", "-c", code], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "False"
