"""``memguard demo``: a leak, found."""

import argparse
import gc
import sys
from pathlib import Path
from typing import Any

from memguard.cli.quantity import positive_count

REQUESTS = 1000


def add_to(commands: Any) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "demo",
        help="run a bundled orchestrator that leaks, and report it",
        description="Run a small agent orchestrator whose contexts, parents, subtasks and"
        " callbacks refer to each other, and report what is left of its requests. Exit code 1"
        " when not exactly that is found.",
    )
    parser.add_argument(
        "--requests",
        type=positive_count,
        default=REQUESTS,
        metavar="COUNT",
        help=f"requests to serve, seven contexts each (default: {REQUESTS})",
    )
    parser.add_argument(
        "--html",
        type=Path,
        metavar="FILE",
        help="write the report as a page for a browser, too",
    )
    parser.set_defaults(command=demo)


def demo(options: argparse.Namespace) -> int:
    """Leak, look, and show that looking changed nothing."""
    import asyncio

    from memguard.cli.sink import UnwritableOutputError
    from memguard.cli.terminal import progress, render
    from memguard.heap.baseline import replace_file
    from memguard.heap.scan import scan
    from memguard.validation.orchestrator import AgentContext, handle_requests

    print(f"Serving {options.requests:,} requests; each delegates to agents, two levels deep.")
    with progress("requests", options.requests, sys.stdout) as on_done:
        gc.collect()
        gc.disable()
        used = asyncio.run(handle_requests(options.requests, on_done))
    print(f"All done: {used:,} contexts used, none in use. What is left of them:\n")

    with scan("garbage", types=[AgentContext]) as report:
        print(render(report, sys.stdout))
        duration_seconds = report.duration_seconds
        found = report.cycle_count
        if options.html is not None:
            try:
                replace_file(options.html, report.to_html())
            except OSError as error:
                raise UnwritableOutputError(options.html, error.strerror or str(error)) from None
            print(f"\nThe same as a page, with a picture: {options.html}")

    still_there = len(gc.get_objects())
    freed = gc.collect()
    gc.enable()
    print(
        f"\nThe scan took {duration_seconds * 1e3:.1f} ms and freed nothing: the collector, run"
        f" now, frees {freed:,} of {still_there:,} objects.\n"
        "\n"
        "To end such a loop, keep the parent as a weakref.ref and callbacks as\n"
        "weakref.WeakMethod. To look at your own program: memguard run app.py",
        flush=True,
    )
    return 0 if found == options.requests else 1
