"""Whole reports, written in the form that was asked for."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from memguard.cli.sink import UnwritableOutputError
from memguard.heap.baseline import replace_file

if TYPE_CHECKING:
    from memguard.heap.saved import SavedReport


def rendered(
    reports: Sequence["SavedReport"], form: str, output: Path | None, *, verbose: bool
) -> str:
    """Write reports as "text", "html" or "dot", for a file or for standard output."""
    if form == "html":
        from memguard.heap.render.html import render_page

        return render_page(reports).rstrip("\n")
    if form == "dot":
        from memguard.heap.render.dot import render_dot

        return render_dot(reports).rstrip("\n")
    from memguard.cli.terminal import render

    stream = None if output else sys.stdout
    return "\n\n".join(render(saved, stream, verbose=verbose) for saved in reports)


def put_out(text: str, output: Path | None) -> None:
    """Print a text, or replace a file by it.

    Raises:
        UnwritableOutputError: The file cannot be written.
    """
    if output is None:
        print(text, flush=True)
        return
    try:
        replace_file(output, text + "\n")
    except OSError as error:
        raise UnwritableOutputError(output, error.strerror or str(error)) from None
