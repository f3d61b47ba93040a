"""``memguard validate``: the original report's success metrics, measured here and now."""

import argparse
import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

DESCRIPTION = """\
Measure the success metrics of the report that memguard began with, on this machine
and this Python: its patterns in pure Python before, memguard after, each in a fresh
process. About a minute. Exit code 1 when memguard misses a target.
"""

EPILOG = """\
examples:
  memguard validate
  memguard validate --only survival --only growth
  memguard validate --json > metrics.json
"""


def add_to(commands: Any) -> None:
    """Describe the command."""
    from memguard.validation.targets import CHECKS

    parser = commands.add_parser(
        "validate",
        help="measure the success metrics, before and after",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--only",
        action="append",
        choices=CHECKS,
        metavar="CHECK",
        help=f"measure only this, may be given more than once: {', '.join(CHECKS)}",
    )
    parser.add_argument(
        "--json", action="store_true", help="print all numbers as one JSON object instead"
    )
    parser.set_defaults(command=validate)


def validate(options: argparse.Namespace) -> int:
    """Measure, and print the table."""
    from memguard.validation import runs
    from memguard.validation.targets import CHECKS

    checks = options.only or CHECKS
    with _progress(2 * len(set(checks))) as on_run:
        outcomes = runs.validate(checks, on_run)
    if options.json:
        print(json.dumps(_document(outcomes), indent=2))
    else:
        print(_table(outcomes))
    missed = [outcome.target.title for outcome in outcomes if not outcome.is_met]
    if missed:
        print(f"memguard: missed: {', '.join(missed)}", file=sys.stderr, flush=True)
    return 1 if missed else 0


@contextlib.contextmanager
def _progress(total: int) -> Iterator[Callable[[str, str], None]]:
    """Say on standard error what is being measured."""
    done = 0
    is_terminal = sys.stderr.isatty()

    def on_run(check: str, side: str) -> None:
        nonlocal done
        done += 1
        text = f"measuring {done} of {total}: {check}, {side}"
        if is_terminal:
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
        else:
            print(text, file=sys.stderr, flush=True)

    yield on_run
    if is_terminal:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _document(outcomes: list[Any]) -> dict[str, Any]:
    import platform

    from memguard import __version__

    return {
        "memguard": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "metrics": [outcome.to_dict() for outcome in outcomes],
        "met": all(outcome.is_met for outcome in outcomes),
    }


def _table(outcomes: list[Any]) -> str:
    header = ("metric", "target", "before", "after", "verdict")
    rows = [
        (
            outcome.target.title,
            outcome.target.wanted,
            outcome.target.told(outcome.before),
            outcome.target.told(outcome.after),
            "met" if outcome.is_met else "MISSED",
        )
        for outcome in outcomes
    ]
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (header, tuple("-" * width for width in widths), *rows)
    ]
    return "\n".join(lines)
