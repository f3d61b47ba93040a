"""``memguard top``: watch a process that runs."""

import argparse
import json
import sys
import time
from typing import Any

from memguard.cli.quantity import positive_count, positive_seconds

DESCRIPTION = """\
Watch a running process of yours in the terminal: memory against its limit, what
the collector does and how long it stops the program, agents, and, scan by scan,
which shapes of cycles grow. Looking costs the process next to nothing; only a
scan takes work, and only when you ask for one.
"""

EPILOG = """\
keys:
  s  scan now          o  sort by another column      g g  let it collect
  w  save the scan     h  help                        q    quit

The process must listen: memguard.listen() where the program starts, or a
memguard.Guard(approve=...); from Python 3.14 on neither is needed.

examples:
  memguard top 4711
  memguard top 4711 --every 5 --scan-every 60
  memguard top 4711 --once               what it is now, as text
  memguard top 4711 --json               a line every refresh, for a script
  memguard top 4711 --json --once

The screen needs the extra "cli": pip install "pymemguard[cli]"; --once and --json
do not.
"""


def add_to(commands: Any) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "top",
        help="watch a process that runs: memory, pauses, agents, what grows",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("pid", type=positive_count, metavar="PID", help="the process")
    add(
        "--every",
        type=positive_seconds,
        default=1.0,
        metavar="SECONDS",
        help="ask for numbers so often (default: 1)",
    )
    add(
        "--scan-every",
        type=positive_seconds,
        metavar="SECONDS",
        help="scan so often, too (default: only when you press s)",
    )
    add("--once", action="store_true", help="print the numbers once, without a screen")
    add(
        "--json",
        action="store_true",
        help="print the numbers as JSON, one object a line, without a screen",
    )
    parser.set_defaults(command=top)


def top(options: argparse.Namespace) -> int:
    """Show the screen, or print."""
    from memguard.cli.asked import AskedProcess

    is_plain = options.once or options.json
    if not is_plain:
        _require_screen()
    process = AskedProcess.find(options.pid)
    if is_plain:
        return _print(process, options)
    from memguard.cli.screen import TopApp

    app = TopApp(process, every_seconds=options.every, scan_every_seconds=options.scan_every)
    app.run()
    if app.ended:
        print(f"memguard: {app.ended}", file=sys.stderr)
    return app.return_code or 0


def _require_screen() -> None:
    from memguard.errors import MissingExtraError, UnknownOptionError

    if not sys.stdout.isatty():
        raise UnknownOptionError(
            "standard output", "no terminal", ("a terminal", "anything with --once or --json")
        )
    try:
        import textual.app  # not find_spec: a folder of that name would do for it  # noqa: F401
    except ImportError:
        raise MissingExtraError("memguard top", "textual", "cli") from None


def _print(process: Any, options: argparse.Namespace) -> int:
    from memguard.cli.asked import ProcessEndedError
    from memguard.cli.figures import plain_lines

    is_first = True
    while True:
        try:
            stats = process.stats()
        except ProcessEndedError:
            if is_first:
                raise
            # What was asked for was to follow it to its end.
            return 0
        print(json.dumps(stats) if options.json else "\n".join(plain_lines(stats)), flush=True)
        if options.once:
            return 0
        is_first = False
        try:
            time.sleep(options.every)
        except KeyboardInterrupt:
            return 0
