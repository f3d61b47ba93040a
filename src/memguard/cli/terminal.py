"""Output for people: tables and colour where rich and a terminal are at hand.

Without either, plain text. ``NO_COLOR`` is respected by rich itself.
"""

import contextlib
import importlib.util
from collections.abc import Iterator
from typing import TYPE_CHECKING, TextIO

from memguard.heap.render.text import notes, render_text, size, verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from memguard.heap.report import ScanReport

MOST_SHAPES = 20


def has_rich() -> bool:
    """Tell whether the extra "cli" is installed."""
    return importlib.util.find_spec("rich") is not None


def print_report(report: "ScanReport", stream: TextIO) -> None:
    """Write a report: as a table on a terminal with rich, else as plain text."""
    if has_rich() and stream.isatty():
        _print_table(report, stream)
    else:
        print(render_text(report, width=100, most_shapes=MOST_SHAPES), file=stream)
    stream.flush()


def _print_table(report: "ScanReport", stream: TextIO) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(file=stream)
    found = bool(report.shapes)
    console.print(f"[bold {'yellow' if found else 'green'}]{escape(verdict(report))}[/]")
    if found:
        table = Table(header_style="bold")
        for name in ("cycles", "objects", "bytes", "holding"):
            table.add_column(name, justify="right")
        table.add_column("loop", overflow="fold")
        for shape in report.shapes[:MOST_SHAPES]:
            table.add_row(
                f"{shape.cycle_count:,}",
                f"{shape.object_count:,}",
                size(shape.shallow_bytes),
                size(shape.retained_bytes),
                escape(shape.path),
            )
        console.print(table)
        if len(report.shapes) > MOST_SHAPES:
            console.print(f"... and {len(report.shapes) - MOST_SHAPES:,} more shapes")
    for line in notes(report):
        console.print(escape(line), style="dim")


@contextlib.contextmanager
def progress(title: str, total: int, stream: TextIO) -> Iterator["Callable[[int], None]"]:
    """Show how far a long piece of work is; yields a function that is told so."""
    if not (has_rich() and stream.isatty()):
        yield lambda _done: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(file=stream), transient=True) as bar:
        task = bar.add_task(title, total=total)
        yield lambda done: bar.update(task, completed=done)
