"""The command line: one file per command.

Only here do errors become exit codes: 0 done, 1 a check failed, 2 wrong use;
``memguard run`` ends with the exit code of the program that it runs.
"""

import argparse
import sys
from collections.abc import Sequence

from memguard.errors import MemguardError

EXAMPLES = """\
examples:
  memguard demo                         see what a leak of contexts looks like
  memguard run app.py --port 80         run a program, report at its end
  memguard run --gc off --kind garbage -m app
                                        everything that only the collector could free
  memguard run --every 60 -m app        report each minute
  kill -USR1 PID                        report now (a program under memguard run)
  memguard doctor                       what this build and this Python can do
"""


def build_parser() -> argparse.ArgumentParser:
    """Describe all commands."""
    from memguard import __version__
    from memguard.cli import demo, doctor, run

    parser = argparse.ArgumentParser(
        prog="memguard",
        description="Find every reference cycle of a live Python process, without collecting.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"memguard {__version__}")
    commands = parser.add_subparsers(metavar="command", required=True)
    for command in (run, demo, doctor):
        command.add_to(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and give its exit code."""
    options = build_parser().parse_args(arguments)
    try:
        return int(options.command(options))
    except MemguardError as error:
        print(f"memguard: {error}", file=sys.stderr)
        return 2
