"""The command: all programs compared, a line each, and the page for the docs."""

import argparse
import sys
from pathlib import Path

from real_programs.catalogue import LIBRARIES, STANDARD_LIBRARY
from real_programs.comparison import Comparison, compare, compare_apart, to_json
from real_programs.page import write_page

PAGE = Path(__file__).resolve().parents[2] / "docs" / "real-programs.md"

_PROGRAMS = STANDARD_LIBRARY + LIBRARIES


def main(arguments: list[str]) -> int:
    """Compare; end with 1 if any two counts that must agree do not."""
    parser = argparse.ArgumentParser(prog="python tests/real_programs", description=__doc__)
    parser.add_argument("--page", type=Path, default=PAGE, help="where to write the page")
    parser.add_argument(
        "--also", metavar="PYTHON", nargs="*", default=[], help="other interpreters to sum up"
    )
    parser.add_argument("--in-this-process", metavar="NAME", help="one program only, as JSON")
    options = parser.parse_args(arguments)
    if options.in_this_process:
        (program,) = (one for one in _PROGRAMS if one.name == options.in_this_process)
        print(to_json(compare(program)))
        return 0
    by_python = [_compare_all(python) for python in [sys.executable, *options.also]]
    options.page.parent.mkdir(exist_ok=True)
    write_page(options.page, by_python)
    return 0 if all(found.is_equal for comparisons in by_python for found in comparisons) else 1


def _compare_all(python: str) -> list[Comparison]:
    comparisons = []
    for program in _PROGRAMS:
        found = compare_apart(program, python)
        comparisons.append(found)
        print(
            f"{found.python:8} {program.name:40} {sum(found.types.values()):7,} unreachable"
            f" {len(found.cycles):4} cycles  {'equal' if found.is_equal else 'DIFFERENT'}",
            flush=True,
        )
    return comparisons
