"""``memguard run``: run a program and report its cycles."""

import argparse
import atexit
import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

from memguard.cli.choices import add_choices
from memguard.cli.quantity import positive_count, positive_seconds

USAGE = """\
memguard run [options] script.py [arguments]
       memguard run [options] -m module [arguments]"""

DESCRIPTION = """\
Run a program and report its reference cycles: at its end, on SIGUSR1, and
every N seconds if wanted. The program is a script, a folder or archive with
__main__.py, or with -m a module. What follows its name is its own.
"""

EPILOG = """\
A garbage cycle is one that the collector would free now. A live cycle is in
use, be it only by a global of a module, and will need the collector when it is
dropped; cycles that were there before the program started are left out.

examples:
  memguard run app.py --port 80          report at its end
  memguard run --gc off -m app           keep everything that only the collector frees
  memguard run --type app.models.Context --min-size 3 -m app
  memguard run --every 60 --format json --output cycles.jsonl -m app
  memguard run --format html --output cycles.html app.py
  memguard run --growth -m app           report what grew while it ran, too
  memguard run --write-baseline shapes.toml app.py     what there is is known
  memguard run --fail-on shapes.toml app.py            exit code 3 if more is there
  kill -USR1 PID                         report now, and go on
  python -X dev -m memguard run app.py   give options to Python itself

The program runs in this process as Python would run it: arguments, exit code,
tracebacks, signals and streams are its own. Reports go to standard error or to
--output, never to standard output. "At its end" is when its threads have ended
and its exit handlers have run; a program that is killed, calls os._exit or
replaces itself ends without a report. Only the process that was started
reports, its children do not: run a server in the foreground. A program that
handles SIGUSR1 itself keeps it. --every runs a thread, memguard-report, of which
os.fork() may warn. A page or graph shows the newest report: each replaces the
one before.

--fail-on judges the shapes of all reports when the program has ended. A new one
makes the exit code 3, unless the program itself failed: its own exit code stays.
The process then ends without taking its modules apart.
"""

_WITHOUT_VALUE = ("-h", "--help", "--growth", "--include-stdlib", "--verbose")


def split_program(words: list[str]) -> tuple[list[str], argparse.Namespace]:
    """Split the command line where the program begins.

    Returns:
        Our own words, and ``module`` and ``program``: whether it is a module,
        and its name followed by its arguments.
    """
    position = 1
    while words[:1] == ["run"] and position < len(words):
        word = words[position]
        if word.startswith("-m"):
            name = [word[2:]] if word[2:] else []
            return words[:position], _program([*name, *words[position + 1 :]], module=True)
        if word == "--":
            return words[:position], _program(words[position + 1 :], module=False)
        if not word.startswith("-"):
            return words[:position], _program(words[position:], module=False)
        position += 1 if word in _WITHOUT_VALUE or "=" in word else 2
    return words, _program([], module=False)


def _program(words: list[str], *, module: bool) -> argparse.Namespace:
    return argparse.Namespace(module=module, program=words)


def add_to(commands: Any) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "run",
        help="run a program and report its cycles",
        usage=USAGE,
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add_choices(parser)
    add(
        "--gc",
        choices=("default", "off"),
        default="default",
        help="off: no automatic collection, so that all garbage is still there to be reported;"
        " memory grows by it (default: as Python does)",
    )
    add(
        "--every",
        type=positive_seconds,
        metavar="SECONDS",
        help="report at intervals, too, such as 60 or 0.5 (default: no)",
    )
    add(
        "--growth",
        action="store_true",
        help="look at the heap while the program runs, and report at its end which containers and"
        " types grew steadily; text or json",
    )
    add(
        "--min-size",
        type=positive_count,
        default=1,
        metavar="OBJECTS",
        help="report only cycles of so many objects or more (default: 1)",
    )
    add(
        "--output",
        type=Path,
        metavar="FILE",
        help="append the reports to a file; html and dot replace it (default: standard error)",
    )
    add(
        "--write-baseline",
        type=Path,
        metavar="FILE",
        help="add the shapes of all reports to a file of known ones",
    )
    add(
        "--fail-on",
        type=Path,
        metavar="FILE",
        help="end with exit code 3, and advice, when a shape is not in this file of known ones",
    )
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> Callable[[], int]:
    """Prepare to report, and give what runs the program."""
    from memguard.cli import program
    from memguard.cli.gate import Gate
    from memguard.cli.reporter import Reporter, ReportOptions
    from memguard.cli.sink import MissingOutputError, Sink

    if not options.program:
        raise program.MissingProgramError
    name, *arguments = options.program
    if options.format == "html" and options.output is None:
        raise MissingOutputError
    gate = Gate(options.write_baseline, options.fail_on)
    start = (program.module if options.module else program.script)(name, arguments)
    sink = Sink(options.output)
    sampler = None
    if options.growth:
        from memguard.cli.growing import GrowthSampler

        sampler = GrowthSampler(sink, options.format)
    reporter = Reporter(
        ReportOptions(
            kinds=("garbage", "live") if options.kind == "both" else (options.kind,),
            format=options.format,
            min_size=options.min_size,
            types=tuple(options.type),
            verbose=options.verbose,
            include_stdlib=options.include_stdlib,
            max_objects=options.max_objects,
            budget_seconds=options.budget_seconds,
        ),
        sink,
        gate,
    )
    # The first handler runs last: after the program's own, and the report's.
    atexit.register(gate.exit_if_failed)
    reporter.start(options.every)
    if sampler is not None:
        sampler.start()
    if options.gc == "off":
        gc.disable()

    def run_program() -> int:
        gate.program_failed = True
        try:
            start()
        except SystemExit as end:
            gate.program_failed = end.code not in (None, 0)
            raise
        gate.program_failed = False
        return 0

    return run_program
