"""``memguard run``: run a program and report its cycles."""

import argparse
import gc
import sys
from pathlib import Path
from typing import Any

EPILOG = """\
The program runs in this process as python would run it: its arguments, exit
code, signals and standard streams are its own. The report goes to standard
error or to --output, never to standard output. "At the end" is after the
program's threads are joined and its own exit handlers have run; a program that
calls os._exit or is killed ends without a report.

A garbage cycle is one that the collector would free now. A live cycle is in
use, and will need the collector when it is dropped; cycles that were there
before the program started are left out.
"""


def add_to(commands: Any) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "run",
        help="run a program and report its cycles",
        description="Run a program and report its reference cycles at its end, on SIGUSR1, or"
        " every N seconds.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--kind", choices=("garbage", "live", "both"), default="both", help="default: both")
    add(
        "--gc",
        choices=("default", "off"),
        default="default",
        help="off: no automatic collection, so that all garbage is there to be reported",
    )
    add("--format", choices=("text", "json"), default="text", help="json: one object per line")
    add("--output", type=Path, metavar="FILE", help="append the reports to a file")
    add("--every", type=float, metavar="SECONDS", help="report at intervals, too")
    add("--min-size", type=int, default=1, metavar="OBJECTS", help="smallest cycle to report")
    add(
        "--type",
        action="append",
        default=[],
        metavar="MODULE.CLASS",
        help="report only cycles with an instance of it or of a subclass; may be repeated",
    )
    add("--include-stdlib", action="store_true", help="report the standard library's own cycles")
    add("--max-objects", type=int, metavar="N", help="look at N objects at most")
    add("--budget-seconds", type=float, metavar="S", help="stop a scan after S seconds")
    add("-m", dest="module", action="store_true", help="the program is a module, as in python -m")
    add("program", help="a script, a folder or archive with __main__.py, or a module with -m")
    add("arguments", nargs=argparse.REMAINDER, help="passed to the program")
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Run the program; leaves by SystemExit when the program does."""
    from memguard.cli.program import run_module, run_script
    from memguard.cli.reporter import Reporter
    from memguard.errors import LimitOutOfRangeError

    if options.every is not None and not options.every > 0:
        raise LimitOutOfRangeError("--every", options.every, "a number of seconds above 0")
    if not options.module and not Path(options.program).exists():
        print(
            f"memguard: no file {options.program!r}; give the path of a script, or -m and a module",
            file=sys.stderr,
        )
        return 2
    reporter = Reporter(_report_options(options))
    reporter.start(options.every)
    if options.gc == "off":
        gc.disable()
    (run_module if options.module else run_script)(options.program, options.arguments)
    return 0


def _report_options(options: argparse.Namespace) -> Any:
    from memguard.cli.reporter import ReportOptions

    return ReportOptions(
        kinds=("garbage", "live") if options.kind == "both" else (options.kind,),
        output=options.output.absolute() if options.output is not None else None,
        as_json=options.format == "json",
        min_size=options.min_size,
        types=tuple(options.type),
        include_stdlib=options.include_stdlib,
        max_objects=options.max_objects,
        budget_seconds=options.budget_seconds,
    )
