"""Code run in an interpreter of its own."""

import os
import subprocess
import sys
import textwrap


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
        timeout=300,
        check=False,
        env={**os.environ, **environment},
    )
    assert (run.returncode, run.stderr) == (0, "")
    return run.stdout
