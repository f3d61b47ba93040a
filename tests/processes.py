"""Programs in processes of their own: under ``python`` and under ``memguard run``."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

PROGRAMS = Path(__file__).parent / "programs"
RUN = (sys.executable, "-m", "memguard", "run")

# Compiled modules are kept for the next process, but not in the sources.
_COMPILED = tempfile.TemporaryDirectory(prefix="memguard-tests-")
_OF_THE_TERMINAL = ("FORCE_COLOR", "COLUMNS", "NO_COLOR", "TERM")
_OF_PYTHON = ("PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "PYTHONSAFEPATH")
ENVIRONMENT = {
    name: value for name, value in os.environ.items() if name not in _OF_THE_TERMINAL + _OF_PYTHON
} | {"PYTHONPYCACHEPREFIX": _COMPILED.name}

WITHOUT_RICH = """\
import sys
sys.modules["rich"] = None
from memguard.cli import main
sys.exit(main())
"""


def run(*command, **options):
    """Run to the end; gives exit status, output and errors as bytes."""
    (done,) = run_together(command, **options)
    return done


def run_together(*commands, given=b"", **options):
    """Run at the same time, each to its end, with the same input."""
    children = [start(*command, text=False, **options) for command in commands]
    done = []
    for child in children:
        with child:
            output, errors = child.communicate(given, timeout=60)
            done.append(subprocess.CompletedProcess(child.args, child.returncode, output, errors))
    return done


def start(*command, text=True, **options):
    """Start with pipes to all three streams."""
    return subprocess.Popen(
        [str(word) for word in command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=text,
        env=ENVIRONMENT,
        **options,
    )


def reports(*words, **options):
    """Run a program under ``memguard run --format json`` and give its reports."""
    done = run(*RUN, "--format", "json", *words, **options)
    assert done.returncode == 0, done.stderr.decode()
    return [json.loads(line) for line in done.stderr.splitlines()]


def on_terminal(*command, columns=100):
    """Run with a terminal as all three streams; gives exit status and what it shows."""
    import fcntl
    import struct
    import termios

    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    child = subprocess.Popen(
        [str(word) for word in command],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        env={**ENVIRONMENT, "TERM": "xterm"},
    )
    os.close(theirs)
    shown = bytearray()
    try:
        while block := os.read(ours, 65536):
            shown += block
    except OSError:  # how Linux says that the other end is closed
        pass
    os.close(ours)
    return child.wait(timeout=60), shown.decode()
