"""``memguard report``: show a saved report again, or compare two."""

import argparse
import sys
from pathlib import Path
from typing import Any

DESCRIPTION = """\
Show a report that was saved as JSON: as text, as a page for a browser, or as a
graph for Graphviz. A file with several reports, one on each line as memguard
run writes them, is shown with the newest of each kind.
"""

EPILOG = """\
examples:
  memguard run --format json --output cycles.jsonl app.py
  memguard report cycles.jsonl
  memguard report cycles.jsonl --format html --output cycles.html
  memguard report cycles.jsonl --format dot | dot -Tsvg > cycles.svg
  memguard report --diff monday.json friday.json
  memguard report --fail-on shapes.toml cycles.jsonl
"""


def add_to(commands: Any) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "report",
        help="show a saved report again, or compare two",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("file", type=Path, metavar="FILE", help="a report, from --format json or to_json()")
    add(
        "--diff",
        type=Path,
        metavar="EARLIER",
        help="say which shapes of FILE are new, grown, smaller and gone since this report",
    )
    add(
        "--format",
        choices=("text", "json", "html", "dot"),
        default="text",
        help="json only with --diff, html and dot only without (default: text)",
    )
    add("--verbose", action="store_true", help="show every step of each loop, nothing folded")
    add("--output", type=Path, metavar="FILE", help="write to a file (default: standard output)")
    add(
        "--write-baseline",
        type=Path,
        metavar="FILE",
        help="add the shapes to a file of known ones",
    )
    add(
        "--fail-on",
        type=Path,
        metavar="FILE",
        help="end with exit code 3 when a shape is not in this file of known ones",
    )
    parser.set_defaults(command=report)


def report(options: argparse.Namespace) -> int:
    """Read, show, judge."""
    from memguard.cli.gate import Gate
    from memguard.cli.shown import put_out, rendered
    from memguard.cli.sink import complain
    from memguard.errors import UnknownOptionError

    known = ("text", "json") if options.diff else ("text", "html", "dot")
    if options.format not in known:
        raise UnknownOptionError("--format", options.format, known)
    gate = Gate(options.write_baseline, options.fail_on)
    reports = read_reports(options.file)
    if options.diff:
        text = _difference(read_reports(options.diff), reports, options)
    else:
        text = rendered(reports, options.format, options.output, verbose=options.verbose)
    put_out(text, options.output)
    for shown in reports:
        gate.see(shown)
    verdict, exit_code = gate.judge()
    if verdict:
        sys.stdout.flush()
        complain(verdict.removeprefix("memguard: ").removesuffix("\n"))
    return exit_code


def read_reports(path: Path) -> list[Any]:
    """Read the newest report of each kind from a file.

    Raises:
        UnreadableReportError: It has none.
    """
    from memguard.errors import UnreadableReportError
    from memguard.heap.saved import newest_of_each_kind, read_documents

    try:
        return newest_of_each_kind(read_documents(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise UnreadableReportError(error.strerror or str(error), repr(str(path))) from None
    except UnicodeDecodeError:
        raise UnreadableReportError("it is not UTF-8 text", repr(str(path))) from None
    except UnreadableReportError as error:
        raise UnreadableReportError(error.reason, repr(str(path))) from None


def _difference(earlier: list[Any], later: list[Any], options: argparse.Namespace) -> str:
    from memguard.errors import MismatchedReportsError
    from memguard.heap.difference import difference_between

    before = {saved.kind: saved for saved in earlier}
    pairs = [(before[saved.kind], saved) for saved in later if saved.kind in before]
    if not pairs:
        raise MismatchedReportsError(earlier[0].kind, later[0].kind)
    differences = [difference_between(*pair) for pair in pairs]
    if options.format == "json":
        return "\n".join(difference.to_json(indent=None) for difference in differences)
    return "\n\n".join(difference.to_text() for difference in differences)
