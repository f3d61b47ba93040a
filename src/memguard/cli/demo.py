"""``memguard demo``: a leak, found."""

import argparse
import asyncio
import gc
import sys
from typing import Any

REQUESTS = 1000


def add_to(commands: Any) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "demo",
        help="run a bundled orchestrator that leaks, and report it",
        description="Run a small agent orchestrator whose contexts, parents, subtasks and"
        " callbacks refer to each other, and report what is left of its requests.",
    )
    parser.add_argument(
        "--requests", type=int, default=REQUESTS, metavar="N", help=f"default: {REQUESTS}"
    )
    parser.set_defaults(command=demo)


def demo(options: argparse.Namespace) -> int:
    """Leak, look, and show that looking changed nothing."""
    from memguard.cli.orchestrator import AgentContext, handle_requests
    from memguard.cli.terminal import print_report, progress
    from memguard.errors import LimitOutOfRangeError
    from memguard.heap.scan import scan

    if options.requests < 1:
        raise LimitOutOfRangeError("--requests", options.requests, "at least 1")
    print(f"Serving {options.requests:,} requests; each delegates to agents, two levels deep.")
    gc.collect()
    gc.disable()
    with progress("requests", options.requests, sys.stdout) as on_done:
        used = asyncio.run(handle_requests(options.requests, on_done))
    print(f"All done, {used:,} contexts used, none in use. What is left of them:\n")

    with scan("garbage", types=[AgentContext]) as report:
        print_report(report, sys.stdout)
        duration_seconds = report.duration_seconds
        found = report.cycle_count

    still_there = len(gc.get_objects())
    freed = gc.collect()
    print(
        f"\nThe scan took {duration_seconds * 1e3:.1f} ms and freed nothing: the collector, run"
        f" now, frees {freed:,} of {still_there:,} objects.\n"
        "Cut the loop at the reference that points back: keep the parent as a weakref.ref, and\n"
        "callbacks as weakref.WeakMethod."
    )
    gc.enable()
    return 0 if found == options.requests else 1
