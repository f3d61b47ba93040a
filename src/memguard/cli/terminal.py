"""Output for people: tables and colour where rich and a terminal are at hand.

Without either, plain text. ``NO_COLOR`` is respected by rich itself.
"""

import contextlib
import functools
import shutil
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from memguard.heap.render.text import (
    Path,
    advice_on,
    left_out,
    merge_by_path,
    notes,
    render_text,
    size,
    unreachable,
    verdict,
)

if TYPE_CHECKING:
    from rich.table import Table

    from memguard.heap.report import ScanReport
    from memguard.heap.saved import SavedReport

MOST_SHAPES = 20
_PLAIN_WIDTH = 100


@functools.cache
def has_rich() -> bool:
    """Tell whether the extra "cli" is installed."""
    try:
        import rich.console  # not find_spec: a folder of that name would do for it
    except ImportError:
        return False
    return bool(rich.console)


def render(
    report: "ScanReport | SavedReport", stream: TextIO | None, *, verbose: bool = False
) -> str:
    """Write a report as a stream shows it best.

    Args:
        report: What to write.
        stream: Where it will be shown; None for no place that people watch.
        verbose: Show every step of each loop.

    Returns:
        A table with colour for a terminal if rich is there, else plain text;
        without a line end.
    """
    is_terminal = stream is not None and stream.isatty()
    if not (is_terminal and has_rich()):
        width = shutil.get_terminal_size().columns if is_terminal else _PLAIN_WIDTH
        text = render_text(report, width=width, most_shapes=MOST_SHAPES, verbose=verbose)
        return text.rstrip("\n")
    from rich.console import Console
    from rich.markup import escape

    console = Console(file=stream, highlight=False)
    with console.capture() as written:
        colour = "yellow" if report.shapes else "green"
        console.print(f"[bold {colour}]{escape(verdict(report))}[/]")
        for line in unreachable(report):
            console.print(line, markup=False)
        paths = merge_by_path(report.shapes, verbose=verbose)
        if paths:
            console.print(_table(paths[:MOST_SHAPES]))
        for line in left_out(paths[MOST_SHAPES:]):
            console.print(line, markup=False)
        for line in notes(report):
            console.print(line, markup=False, style="dim")
    return written.get().rstrip()


def _table(paths: Sequence[Path]) -> "Table":
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for name in ("cycles", "objects", "bytes", "holding"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("loop", overflow="fold")
    for path, advice in zip(paths, advice_on(paths, _PLAIN_WIDTH), strict=True):
        table.add_row(
            f"{path.cycle_count:,}",
            f"{path.object_count:,}",
            size(path.shallow_bytes),
            size(path.retained_bytes),
            escape("\n".join([path.text, *(line[5:] for line in advice)])),
        )
    return table


def render_sections(
    sections: dict[str, dict[str, Any]], problems: list[str], stream: TextIO
) -> str:
    """Write named values in sections, then what is wrong with them."""
    lines = []
    for title, values in sections.items():
        lines.append(_bold(title.replace("_", " "), stream))
        lines += [f"  {_label(name):<22} {_value(name, value)}" for name, value in values.items()]
    lines.append("")
    if problems:
        lines += [_bold(f"Problem: {problem}", stream, "red") for problem in problems]
    else:
        lines.append(_bold("All is well. Try: memguard demo", stream, "green"))
    return "\n".join(lines)


def _bold(text: str, stream: TextIO, colour: str = "") -> str:
    if not (stream.isatty() and has_rich()):
        return text
    from rich.console import Console

    console = Console(file=stream, highlight=False)
    with console.capture() as written:
        console.print(text, style=f"bold {colour}", markup=False, end="")
    return written.get()


def _label(name: str) -> str:
    for unit in ("_bytes", "_seconds"):
        name = name.removesuffix(unit)
    return name.replace("_", " ")


def _value(name: str, value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) and name.endswith("_bytes"):
        return size(value)
    if isinstance(value, float) and name.endswith("_seconds"):
        return f"{value * 1e3:.1f} ms"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list):
        return ", ".join(f"{item:,}" for item in value)
    if value is None:
        return 'not installed: pip install "pymemguard[cli]"'
    return str(value)


@contextlib.contextmanager
def progress(title: str, total: int, stream: TextIO) -> Iterator[Callable[[int], None]]:
    """Show how far a long piece of work is; yields a function that is told so."""
    if not stream.isatty():
        yield lambda _done: None
    elif has_rich():
        from rich.console import Console
        from rich.progress import Progress

        with Progress(console=Console(file=stream), transient=True) as bar:
            task = bar.add_task(title, total=total)
            yield lambda done: bar.update(task, completed=done)
    else:
        yield lambda done: print(f"\r{title} {done:,} of {total:,}", end="", file=stream)
        print("\r\x1b[K", end="", file=stream)
