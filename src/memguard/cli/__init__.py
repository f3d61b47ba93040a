"""The command line: one file per command.

Only here do errors become exit codes: 0 done, 1 a check failed, 2 wrong use,
3 a shape of cycles that is not in the baseline; ``memguard run``
otherwise ends with the exit code of the program that it runs.
"""

import argparse
import os
import sys
from collections.abc import Sequence

from memguard.errors import MemguardError

EXAMPLES = """\
examples:
  memguard demo                          see a leak of agent contexts, found
  memguard run app.py --port 80          run a program, report at its end
  memguard run --gc off -m app           keep everything that only the collector frees
  memguard run --every 60 -m app         report each minute, too
  kill -USR1 PID                         report now (a program under memguard run)
  memguard run --format html --output cycles.html app.py
                                         report as a page for a browser
  memguard scan PID                      ask a running process, which goes on meanwhile
  memguard top PID                       watch one: memory, pauses, agents, what grows
  memguard report cycles.jsonl           show a saved report again, or compare two
  memguard approvals list                what running processes ask of people
  memguard audit approvals.db            who approved what, and that nobody changed it
  memguard validate                      measure what memguard promises, before and after
  memguard doctor                        check this build and this Python

"memguard COMMAND --help" says more.
"""


class _Version(argparse.Action):
    """Asks for the version only when it is wanted."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from memguard import __version__

        parser.exit(0, f"memguard {__version__}\n")


def build_parser() -> argparse.ArgumentParser:
    """Describe all commands."""
    from memguard.cli import approvals, audit, demo, doctor, report, run, scan, top, validate

    parser = argparse.ArgumentParser(
        prog="memguard",
        description="Find every reference cycle of a live Python process, without collecting.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="say which version this is")
    commands = parser.add_subparsers(metavar="command", required=True)
    for command in (run, scan, top, report, approvals, audit, validate, demo, doctor):
        command.add_to(commands)
    return parser


def parse(words: list[str]) -> argparse.Namespace:
    """Read the command line; ends the process when it is wrong or asks for help."""
    from memguard.cli.run import split_program

    # The program's words are its own: argparse must not see them.
    words, program = split_program(words)
    # Without a command, say what there is.
    return build_parser().parse_args(words or ["--help"], program)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and give its exit code."""
    options = parse(list(sys.argv[1:] if arguments is None else arguments))
    try:
        outcome = options.command(options)
    except MemguardError as error:
        print(f"memguard: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # The reader has seen enough; nor shall the interpreter try again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    # A program to run comes back here, because its errors are its own.
    return int(outcome() if callable(outcome) else outcome)
