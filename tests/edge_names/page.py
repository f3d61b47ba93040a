"""The page of the docs that shows the name of every kind of reference.

Prints it; each name on it is what a scan said. Other Pythons that have
memguard fill a column each.
"""

import argparse
import json
import platform
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import memguard
from edge_names.kinds import KINDS
from edge_names.look import look

_PEERS = ("refcycle", "torch", "pympler", "objgraph", "leak-hunter", "referrers")
_INTRODUCTION = """\
# Names of references

A step of a path is an object and the name of its reference to the next. This is what memguard calls
each kind, found by scanning one cycle through it on each Python below. For every row a test checks
that naming runs no code of the program and that no instance gets a `__dict__` by it.

Names are folded into one step where the step between says nothing by itself: the `__dict__` of an
instance, a cell, a tuple of one, the parts of a function or a partial, the tables of a context.
`Shape.verbose_path`, `to_text(verbose=True)` and `memguard run --verbose` show every step.

Keys of a dict are data of the program and never shown: an entry is named by the type of its key.
`[0]` is a position; `.<local x>` a variable of a frame, generator or coroutine that does not run;
`.<stack 0>` a value that an unfinished expression or loop waits with. What stands in `<...>`
otherwise is no attribute that a program could read. `.<reference 1 of T>` is a C type that tells no
more: the position among the references that it reports, its class left out, and the type.

Written by memguard {memguard}. To repeat it, with a column for each other Python that has memguard:

```sh
python tests/edge_names --python ../other/bin/python > docs/edge-names.md
```

"""
_PEERS_INTRODUCTION = """
## What peers name

On 3.11 where nothing else is said, in November 2026: refcycle 0.3.1, torch 2.15.0
(`torch.utils.viz._cycles`), pympler 1.1, objgraph 3.7.0, python-leak-hunter 0.1.1 and
referrers 0.16.4. Kinds that are not listed were not tried.

"""


def names_here() -> dict[str, str]:
    """Give the name of each kind on this Python."""
    return {kind.title: look(kind) for kind in KINDS}


def names_on(python: str) -> dict[str, object]:
    """Give the version of another Python, and the names there."""
    output = subprocess.run(
        [python, str(Path(__file__).parent), "--json"], check=True, stdout=subprocess.PIPE
    ).stdout
    names: dict[str, object] = json.loads(output)
    return names


def page(columns: Sequence[dict[str, object]]) -> str:
    """Write the page with a column for each Python."""
    heading = ["Reference", *(str(column["python"]) for column in columns)]
    rows = [
        [kind.title, *(_code(column["names"][kind.title]) for column in columns)]  # type: ignore[index]
        for kind in KINDS
    ]
    compared = [
        [kind.title, *kind.peers, _code(columns[0]["names"][kind.title])]  # type: ignore[index]
        for kind in KINDS
        if kind.peers
    ]
    return "".join(
        (
            _INTRODUCTION.format(memguard=memguard.__version__),
            _table(heading, rows),
            _PEERS_INTRODUCTION,
            _table(["Reference", *_PEERS, "memguard"], compared),
        )
    )


def _code(text: object) -> str:
    return f"`{text}`"


def _table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heading, ["---"] * len(heading), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def main(arguments: Sequence[str]) -> int:
    """Print the page, or this Python's names for it."""
    parser = argparse.ArgumentParser(prog="edge_names", description=__doc__)
    parser.add_argument("--json", action="store_true", help="names on this Python alone")
    parser.add_argument("--python", action="append", default=[], help="a Python with memguard")
    options = parser.parse_args(arguments)
    here: dict[str, object] = {"python": platform.python_version(), "names": names_here()}
    if options.json:
        print(json.dumps(here))
    else:
        sys.stdout.write(page([here, *map(names_on, options.python)]))
    return 0
