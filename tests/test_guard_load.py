"""What a guard costs can be measured, also where the libraries are not installed.

A small version of what ``benchmarks/guard.py`` runs for minutes.
"""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from memguard import _core

FOLDER = Path(__file__).parent.parent

build = _core.build_info()
pytestmark = pytest.mark.skipif(
    not build["optimised"] or build["sanitized"] or build["traced"] or build["assertions"],
    reason="benchmarks refuse this build",
)


def measure(load):
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.guard", load, "--pairs", "1", "--seconds", "0.001"],
        cwd=FOLDER,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("load", ["agent()", 'agent(), gc="bytes"', "delegate()"])
def test_empty_blocks_are_compared_with_a_semaphore(load):
    """Both ways ran, and both clocks were read."""
    run = measure(load)
    assert run.returncode == 0, run.stderr
    answer = json.loads(run.stdout)
    assert (answer["load"], answer["pair_count"]) == (load, 1)
    assert answer["ratio"]["median"] > 0
    assert answer["cpu_ratio"]["median"] > 0
    assert answer["guarded_us"] > answer["bare_us"] > 0


@pytest.mark.parametrize(
    ("load", "library"), [("LangGraph, one graph", "langgraph"), ("openai-agents", "agents")]
)
def test_a_library_that_is_missing_is_said(load, library):
    """Otherwise its agents run."""
    run = measure(load)
    if importlib.util.find_spec(library) is None:
        assert run.returncode == 1
        assert "pip install -e '.[real]'" in run.stderr
    else:
        assert run.returncode == 0, run.stderr
        assert json.loads(run.stdout)["load"] == load
