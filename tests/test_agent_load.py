"""Thousands of agents at once, with the collector off, leave nothing behind.

A small version of what ``benchmarks/agent_load.py`` runs with a million.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parent.parent / "benchmarks" / "agent_load.py"
AGENT_COUNT = 3_000


@pytest.fixture(scope="module")
def load():
    """Run three levels of agents, 300 at once; one in twenty raises, one is cancelled."""
    run = subprocess.run(
        [sys.executable, PROGRAM, "--agents", str(AGENT_COUNT), "--concurrent", "300"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert run.stderr == ""
    return json.loads(run.stdout)


def test_every_agent_ends_once(load):
    """Done, failed or cancelled; the hook is called for each, and none is the wrong one."""
    assert load["begun_count"] == load["finished_count"] == load["hooked"] == AGENT_COUNT
    assert load["done"] + load["failed"] + load["cancelled"] == AGENT_COUNT
    assert (load["active_count"], load["died_count"], load["wrong_current"]) == (0, 0, 0)


def test_agents_lived_at_the_same_time_and_some_of_them_badly(load):
    """Otherwise the other tests would say little."""
    assert load["peak_active_count"] > 200
    assert load["failed"] > AGENT_COUNT / 40
    assert load["cancelled"] > AGENT_COUNT / 40


def test_nothing_waits_for_the_collector(load):
    """Not one object that cannot be reached, of any type."""
    assert (load["unreachable_count"], load["unreachable_types"]) == (0, {})


def test_memory_is_back_where_it_was(load):
    """But for the result: its dict, and blocks for its numbers.

    One block that is left by each agent that fails would be 150.
    """
    assert load["tracked_growth_count"] <= 3
    assert load["block_growth_count"] < 75
