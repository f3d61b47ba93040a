"""CPython's own tests of its collector, with every full collection predicted."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "scripts" / "run_test_gc.py"

# Tests whose finalizers resurrect objects or break the cycle first: the
# collector then frees less than what was unreachable when it began.
FINALIZERS_INTERVENE = {
    "test_bug21435",
    "test_resurrection_does_not_block_cleanup_of_other_objects",
    "test_resurrection_is_transitive",
    "test_resurrection_only_happens_once_per_object",
}
if sys.version_info >= (3, 14):
    # Frozen objects are enumerated from there on, and never collected.
    FINALIZERS_INTERVENE.add("test_traverse_frozen_objects")


def has_own_tests():
    try:
        return importlib.util.find_spec("test.test_gc") is not None
    except ModuleNotFoundError:  # not even the package that would hold them
        return False


@pytest.mark.skipif(
    not has_own_tests(),
    reason="this Python comes without its own tests; on Debian install libpython3.x-testsuite",
)
def test_every_full_collection_of_test_gc_is_predicted():
    """Only tests in which finalizers intervene differ, and they all do."""
    run = subprocess.run(
        [sys.executable, SCRIPT], capture_output=True, text=True, timeout=300, check=False
    )
    assert run.returncode == 0, run.stderr[-2000:]
    answer = json.loads(run.stdout.splitlines()[-1])
    assert answer["failures"] == []
    assert answer["predicted_count"] > 100
    assert set(answer["differences"]) == FINALIZERS_INTERVENE
