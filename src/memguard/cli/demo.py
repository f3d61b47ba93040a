"""``memguard demo``: a leak, found, and gone under a guard."""

import argparse
import contextlib
import gc
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from memguard.cli.quantity import positive_count

REQUESTS = 1000
_LOOK_COUNT = 100


def add_to(commands: Any) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "demo",
        help="a leak, found, and gone under a guard",
        description="Run a small agent orchestrator whose contexts, parents, subtasks and"
        " callbacks refer to each other, and report what is left of its requests; then do the"
        " same work under memguard.Guard. Exit code 1 when not exactly the leak is found, or"
        " the guarded run leaves anything.",
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
    parser.add_argument(
        "--picture",
        type=Path,
        metavar="FILE",
        help="write memory without and with a guard as an SVG picture, too",
    )
    parser.set_defaults(command=demo)


def demo(options: argparse.Namespace) -> int:
    """Leak, look, show that looking changed nothing, and do it again under a guard."""
    # Held until the end: a progress bar of rich leaves cycles of its own when it goes.
    leaked = _leak(options)
    is_found = _report(options)
    guarded, left_count = _guard(options)
    _compare(options, leaked.grown_megabytes, guarded.grown_megabytes)
    print(
        "\nTo end such a loop, keep the parent as a weakref.ref and callbacks as\n"
        "weakref.WeakMethod, or let memguard.AgentContext do it. To look at your own program:\n"
        "memguard run app.py. To measure what memguard promises: memguard validate",
        flush=True,
    )
    return 0 if is_found and not left_count else 1


class _Watch:
    """Shows progress, and notes memory after each request.

    Attributes:
        grown_megabytes: Beyond what there was before [MB].
    """

    def __init__(self, request_count: int, on_done: Callable[[int], None]) -> None:
        from memguard.pressure.cleanup import read_allocated_bytes

        self.grown_megabytes: list[float] = []
        self._request_count = request_count
        self._on_done = on_done
        # To read memory takes longer than a request does.
        self._every = max(1, request_count // _LOOK_COUNT)
        self._read = read_allocated_bytes
        self._start_bytes = read_allocated_bytes()

    def note(self, done: int) -> None:
        """So many requests are done."""
        if done % self._every == 0 or done == self._request_count:
            self.grown_megabytes.append((self._read() - self._start_bytes) / 1e6)
        self._on_done(done)


def _leak(options: argparse.Namespace) -> _Watch:
    """Serve requests that leak."""
    import asyncio

    from memguard.validation.orchestrator import handle_requests

    print(f"Serving {options.requests:,} requests; each delegates to agents, two levels deep.")
    with _watched(options) as watch:
        used = asyncio.run(handle_requests(options.requests, watch.note))
    print(f"All done: {used:,} contexts used, none in use. What is left of them:\n")
    return watch


def _report(options: argparse.Namespace) -> bool:
    """Report what is left, and free it; whether it is exactly what leaked."""
    from memguard.cli.terminal import render
    from memguard.heap.scan import scan
    from memguard.validation.orchestrator import AgentContext

    with scan("garbage", types=[AgentContext]) as report:
        print(render(report, sys.stdout))
        duration_seconds = report.duration_seconds
        found = report.cycle_count
        if options.html is not None:
            _write(options.html, report.to_html())
            print(f"\nThe same as a page, with a picture: {options.html}")

    still_there = len(gc.get_objects())
    freed = gc.collect()
    gc.enable()
    print(
        f"\nThe scan took {duration_seconds * 1e3:.1f} ms and freed nothing: the collector, run"
        f" now, frees {freed:,} of {still_there:,} objects."
    )
    return bool(found == options.requests)


def _guard(options: argparse.Namespace) -> tuple[_Watch, int]:
    """Do the same work under a guard; also gives how many contexts are left."""
    import asyncio

    from memguard.agents.context import AgentContext
    from memguard.guard.guard import Guard
    from memguard.heap.scan import scan
    from memguard.settings import GuardSettings
    from memguard.validation.orchestrator import handle_requests_guarded

    print(
        "\nThe same requests under a guard, with the collector off again:\n\n"
        "    guard = memguard.Guard()\n"
        '    async with guard.agent("request") as context:\n'
        '        async with guard.delegate("helper") as child: ...'
    )
    with Guard(settings=GuardSettings()) as guard:
        # What is made once, with the first request, is none of what a request leaves.
        asyncio.run(handle_requests_guarded(guard, 1, lambda _done: None))
        with _watched(options) as watch:
            asyncio.run(handle_requests_guarded(guard, options.requests, watch.note))
    with scan("garbage", types=[AgentContext]) as report:
        left_count = report.cycle_count
    gc.enable()
    print(f"\n{left_count:,} of its contexts are left for the collector.")
    return watch, left_count


@contextlib.contextmanager
def _watched(options: argparse.Namespace) -> Iterator[_Watch]:
    """Show progress, with the collector off from then on."""
    from memguard.cli.terminal import progress

    with progress("requests", options.requests, sys.stdout) as on_done:
        gc.collect()
        gc.disable()
        yield _Watch(options.requests, on_done)


def _compare(
    options: argparse.Namespace, leaked: Sequence[float], guarded: Sequence[float]
) -> None:
    from memguard.cli.chart import picture, row, spread

    top = max(*leaked, *guarded)
    print("\nMemory in use while they were served:\n")
    for name, values in (("without", leaked), ("guarded", guarded)):
        drawn = row(spread(values), top, encoding=sys.stdout.encoding)
        print(f"    {name}  {drawn}  {values[-1]:.1f} MB")
    if options.picture is not None:
        series = [("without a guard", leaked), ("with memguard.Guard", guarded)]
        _write(options.picture, picture("Memory in use while requests are served", series, "MB"))
        print(f"\nThe same as a picture: {options.picture}")


def _write(path: Path, text: str) -> None:
    from memguard.cli.sink import UnwritableOutputError
    from memguard.heap.baseline import replace_file

    try:
        replace_file(path, text)
    except OSError as error:
        raise UnwritableOutputError(path, error.strerror or str(error)) from None
