"""Options of all commands that scan: what to look for, and how to show it."""

import argparse

from memguard.cli.quantity import positive_count, positive_seconds, qualified_name


def add_choices(parser: argparse.ArgumentParser) -> None:
    """Describe which cycles are reported, in which form, and the limits of a scan."""
    add = parser.add_argument
    add(
        "--kind",
        choices=("garbage", "live", "both"),
        default="both",
        help="which cycles to report (default: both)",
    )
    add(
        "--type",
        action="append",
        default=[],
        type=qualified_name,
        metavar="MODULE.CLASS",
        help="report only cycles with an instance of it or of a subclass, such as"
        " app.models.Context or __main__.Context; may be repeated (default: all)",
    )
    add(
        "--include-stdlib",
        action="store_true",
        help="report cycles in which only the standard library takes part, too",
    )
    add(
        "--max-objects",
        type=positive_count,
        metavar="OBJECTS",
        help="look at so many objects at most (default: all)",
    )
    add(
        "--budget-seconds",
        type=positive_seconds,
        metavar="SECONDS",
        help="end a scan after so long, with a partial report (default: none)",
    )
    add(
        "--format",
        choices=("text", "json", "html", "dot"),
        default="text",
        help="json: one object per line and kind of cycle; html: a page for a browser, needs"
        " --output; dot: a graph for Graphviz (default: text)",
    )
    add("--verbose", action="store_true", help="show every step of each loop, nothing folded")
