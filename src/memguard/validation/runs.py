"""Runs one side of one check in a process of its own, and reads its numbers."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping

from memguard.errors import ValidationFailedError
from memguard.validation.targets import CHECKS, TARGETS, Numbers, Outcome

SIDES = ("before", "after")
_LONGEST_SECONDS = 600


def run_side(check: str, side: str) -> Numbers:
    """Run it.

    Raises:
        ValidationFailedError: It ended badly, or not at all.
    """
    command = [sys.executable, "-m", "memguard.validation", check, side]
    # Settings of this machine's services are not what is measured.
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("MEMGUARD_")
    }
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=_LONGEST_SECONDS,
            check=False,
            env=environment,
        )
    except subprocess.TimeoutExpired:
        raise ValidationFailedError(
            check, side, f"it did not end within {_LONGEST_SECONDS} s"
        ) from None
    if done.returncode != 0:
        raise ValidationFailedError(check, side, done.stderr.strip() or f"exit {done.returncode}")
    numbers: Mapping[str, float] = json.loads(done.stdout.splitlines()[-1])
    return numbers


def validate(
    checks: Iterable[str] = CHECKS, on_run: Callable[[str, str], object] = lambda *_: None
) -> list[Outcome]:
    """Measure success metrics, one process after another.

    Args:
        checks: Which.
        on_run: Called with check and side before each is run.

    Raises:
        ValidationFailedError: One could not be measured.
    """
    measured: dict[str, list[Numbers]] = {}
    for check in dict.fromkeys(checks):
        measured[check] = []
        for side in SIDES:
            on_run(check, side)
            measured[check].append(run_side(check, side))
    return [
        Outcome(target, *measured[target.check]) for target in TARGETS if target.check in measured
    ]
