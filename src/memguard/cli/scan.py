"""``memguard scan``: find the cycles of a process that runs."""

import argparse
import json
from functools import partial
from pathlib import Path
from typing import Any

from memguard.cli.choices import add_choices
from memguard.cli.quantity import positive_count, positive_seconds

DESCRIPTION = """\
Ask a running process of yours for its reference cycles. It is not stopped for
longer than a fork takes, and nothing in it is collected or changed.
"""

EPILOG = """\
The process must listen. Let the program say, once, where it starts:

  import memguard
  memguard.listen()

A memguard.Guard(approve=...) listens already. Where this Python and that of the
process are both 3.14 or later, memguard opens the door itself, and it closes a
minute after the last question. Only your own user is answered, over a socket in
a private folder; docs/running-process.md says where.

examples:
  memguard scan 4711                     garbage and live cycles
  memguard scan 4711 --kind live --format html --output cycles.html
  memguard scan 4711 --format json --output monday.jsonl
  memguard report --diff monday.jsonl friday.jsonl
  memguard scan 4711 --mode inline       no child process; it stands still meanwhile

Names of types and attributes leave the process, values do not.
"""


def add_to(commands: Any) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "scan",
        help="find the cycles of a process that runs",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("pid", type=positive_count, metavar="PID", help="the process")
    add_choices(parser)
    add(
        "--mode",
        choices=("snapshot", "inline"),
        help="snapshot: in a child of the process, which goes on; inline: in the process itself,"
        " which stands still (default: as the process decides, a snapshot where it can)",
    )
    add(
        "--timeout",
        type=positive_seconds,
        default=300.0,
        metavar="SECONDS",
        help="give up after so long, which ends the scan, too (default: 300)",
    )
    add("--output", type=Path, metavar="FILE", help="write to a file (default: standard output)")
    parser.set_defaults(command=scan)


def scan(options: argparse.Namespace) -> int:
    """Ask, and show."""
    from memguard.cli.asked import AskedProcess
    from memguard.cli.shown import put_out, rendered
    from memguard.cli.sink import MissingOutputError, show_status
    from memguard.heap.saved import SavedReport

    if options.format == "html" and options.output is None:
        raise MissingOutputError
    process = AskedProcess.find(options.pid)
    kinds = ("garbage", "live") if options.kind == "both" else (options.kind,)
    documents = []
    try:
        for kind in kinds:
            looking = f"memguard: process {options.pid} looks for {kind} cycles ..."
            show_status(looking)
            document = process.scan(
                kind,
                longest_seconds=options.timeout,
                on_sign=partial(_show_sign, looking),
                types=options.type or None,
                mode=options.mode,
                max_objects=options.max_objects,
                budget_seconds=options.budget_seconds,
                include_stdlib=options.include_stdlib or None,
            )
            documents.append(document)
    finally:
        show_status("")
    if options.format == "json":
        put_out("\n".join(map(json.dumps, documents)), options.output)
        return 0
    reports = [SavedReport.from_dict(document) for document in documents]
    text = rendered(reports, options.format, options.output, verbose=options.verbose)
    if options.format == "text":
        text += _left_out(documents)
    put_out(text, options.output)
    return 0


def _show_sign(text: str, seconds: float) -> None:
    from memguard.cli.sink import show_status

    show_status(f"{text} {seconds:.0f} s")


def _left_out(documents: list[dict[str, Any]]) -> str:
    from memguard.heap.render.text import count

    number = sum(document["shapes_left_out_count"] for document in documents)
    if not number:
        return ""
    return (
        f"\n\nLeft out: {count(number, 'shape')} of the standard library alone"
        " (see --include-stdlib)."
    )
