"""The soak runs, and sees what grows."""

import json
import sys
from pathlib import Path

from processes import run

ROOT = Path(__file__).parent.parent


def test_a_short_soak_leaves_nothing():
    """Failures, cancellations, refusals and late answers all occur, and nothing is left."""
    done = run(sys.executable, "-m", "benchmarks.soak", "--minutes", 0.1, cwd=ROOT)
    outcome = json.loads(done.stdout)
    grown = [problem for problem in outcome["problems"] if "memory grew" in problem]
    # Six seconds are too short to tell growth from warming up.
    assert outcome["problems"] == grown
    assert outcome["left"] == {}
    assert outcome["agent_count"] > 300
    assert outcome["failed_count"] > 5
    assert outcome["cancelled_count"] > 0
    assert outcome["refused_count"] > 0
    assert 0 < outcome["requested_count"] <= outcome["decided_count"]
    assert sum(outcome["how_counts"].values()) == outcome["decided_count"]
