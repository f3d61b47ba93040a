"""Thousands of calls later, memory is where it was."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = sorted((Path(__file__).parent / "scripts").glob("leak_*.py"))

# glibc counts what lies in the caches of its threads as in use.
WITHOUT_CACHES = {"GLIBC_TUNABLES": "glibc.malloc.tcache_count=0"}

# Tables of the interpreter, such as that of all subclasses, grow in steps.
STEP_BYTES = 32 * 1024


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_nothing_grows_with_the_number_of_calls(script):
    """Python's blocks, the kernel's bytes and the C heap, in a process of its own."""
    run = subprocess.run(
        [sys.executable, script],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, **WITHOUT_CACHES},
    )
    assert (run.returncode, run.stderr) == (0, "")
    growth = json.loads(run.stdout)
    assert growth["native_bytes"] == 0
    # A leak of one small block in ten calls would show.
    assert growth["blocks"] < growth["call_count"] / 10
    assert growth["heap_bytes"] < growth["call_count"] * 8 + STEP_BYTES
