"""Code run in an interpreter of its own."""

import json
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from typing import Any

_LONGEST_RUN_SECONDS = 300
_LONGEST_THREAD_END_SECONDS = 30


def run_fresh(code: str, **environment: str) -> str:
    """Run code in a fresh interpreter, which must end well and in silence.

    Args:
        code: Source; may be indented.
        **environment: Variables to set besides those of this process.

    Returns:
        What it printed.
    """
    run = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=_LONGEST_RUN_SECONDS,
        check=False,
        env={**os.environ, **environment},
    )
    assert (run.returncode, run.stderr) == (0, "")
    return run.stdout


def measured_apart(command: list[str], name: str) -> dict[str, Any]:
    """Run a command that prints one JSON object as its last line.

    Args:
        command: The program and its arguments.
        name: What it measures, for the error.

    Returns:
        The object.
    """
    run = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=_LONGEST_RUN_SECONDS,
        check=False,
        # Sets in the same order each time, so that what is written can be repeated.
        env={**os.environ, "PYTHONHASHSEED": "0"},
    )
    if run.returncode != 0:
        raise RuntimeError(f"{name} failed:\n{run.stderr[-4000:]}")
    return json.loads(run.stdout.splitlines()[-1])


def run_to_end(run: Callable[[], object]) -> None:
    """Run a program, and wait for the threads that it started."""
    run()
    # A thread that was told to end holds its variables until it does.
    for thread in threading.enumerate():
        if thread is not threading.current_thread():
            thread.join(_LONGEST_THREAD_END_SECONDS)
            if thread.is_alive():
                raise RuntimeError(f"{thread.name} still runs after the program's end")
