"""The page of the docs that shows the comparisons; every number on it is theirs."""

import datetime
import platform
from collections.abc import Iterable, Mapping
from pathlib import Path

import networkx

import memguard
from real_programs.comparison import Comparison

_INTRODUCTION = """\
# Real programs

Does memguard find what is there? Each program below uses a library as its documentation shows, in
a process of its own, and drops all that it made. What is left is counted by memguard and, over the
very same objects, by four others that share no code with it: a trial deletion in plain Python
(`sys.getrefcount`, `gc.get_referents`); the collector, which under `gc.DEBUG_COLLECTABLE` names
what it found before it runs a finalizer; `gc.DEBUG_SAVEALL`, which keeps what is left after that;
and networkx, which looks for strongly connected components.

"Equal" means that all agree, type by type, and that memguard and networkx put the same objects into
the same cycles: garbage cycles, and live ones of the whole process after `memguard.DEFAULT_CUTS`.
`DEBUG_SAVEALL` alone may show less, where a finalizer was first; the last section lists that.

Each program runs twice to warm up; then everything is collected, and it runs once more with
automatic collection off. Written by memguard {memguard}, networkx {networkx} and Python {python} on
{system}, {date}. To repeat it:

```sh
python3 -m venv .venv && .venv/bin/pip install -e ".[test,real]"
.venv/bin/python tests/real_programs
```
"""

_SHOWN_TYPE_BY_TYPE = "langgraph"


def write_page(path: Path, by_python: list[list[Comparison]]) -> None:
    """Write the page: the first interpreter in full, the others summed up."""
    comparisons = by_python[0]
    introduction = _INTRODUCTION.format(
        date=datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        memguard=memguard.__version__,
        networkx=networkx.__version__,
        python=platform.python_version(),
        system=f"{platform.system()} {platform.machine()}",
    )
    path.write_text(
        "\n".join(
            (
                introduction,
                _sums(by_python),
                _counts(comparisons),
                _shapes(comparisons),
                _types(comparisons),
                _not_saved(comparisons),
            )
        )
    )


def _sums(by_python: list[list[Comparison]]) -> str:
    heading = ("Python", "Programs", "Equal", "Unreachable objects", "Cycles", "Live cycles")
    rows = [
        (
            comparisons[0].python,
            len(comparisons),
            sum(found.is_equal for found in comparisons),
            f"{sum(_unreachable_count(found) for found in comparisons):,}",
            f"{sum(len(found.cycles) for found in comparisons):,}",
            f"{sum(found.live_cycle_count for found in comparisons):,}",
        )
        for comparisons in by_python
    ]
    return _table(heading, rows, right=range(1, 6))


def _counts(comparisons: list[Comparison]) -> str:
    heading = (
        "Library", "Program", "Unreachable", "Types", "Cycles", "Shapes", "Largest cycle",
        "On a cycle", "Live cycles", "Equal", "DEBUG_SAVEALL",
    )  # fmt: skip
    rows = []
    for found in comparisons:
        unreachable_count = _unreachable_count(found)
        member_count = sum(size for size, _ in found.cycles)
        not_saved_count = sum(found.types_not_saved.values())
        rows.append(
            (
                _library(found),
                found.title,
                f"{unreachable_count:,}",
                len(found.types),
                len(found.cycles),
                found.shape_count,
                max((size for size, _ in found.cycles), default=0),
                f"{member_count / unreachable_count:.0%}" if unreachable_count else "",
                f"{found.live_cycle_count:,}",
                "yes" if found.is_equal else "**no**",
                f"{not_saved_count:,} fewer" if not_saved_count else "same",
            )
        )
    return f"## What was found\n\n{_table(heading, rows, right=range(2, 9))}"


def _shapes(comparisons: list[Comparison]) -> str:
    rows = [
        (
            _library(found),
            found.title,
            found.largest_shape[0],
            f"`{found.largest_shape[1]}`",
            _listed(found.types, most=3),
        )
        for found in comparisons
        if found.cycles
    ]
    heading = ("Library", "Program", "Cycles", "Path", "Unreachable")
    return (
        "## The largest shape of each\n\n"
        "As memguard names it, and the most frequent types among all that is unreachable.\n\n"
        f"{_table(heading, rows, right=(2,))}"
    )


def _types(comparisons: list[Comparison]) -> str:
    shown = max(
        (found for found in comparisons if _SHOWN_TYPE_BY_TYPE in found.versions),
        key=_unreachable_count,
    )
    rows = [
        (
            f"`{_short(name)}`",
            count,
            shown.types_of_trial_deletion.get(name, 0),
            shown.types_of_collector.get(name, 0),
            shown.types_saved.get(name, 0),
        )
        for name, count in _most_first(shown.types)
    ]
    heading = ("Type", "memguard", "Trial deletion", "Collector", "DEBUG_SAVEALL")
    return (
        "## Type by type\n\n"
        f"{_library(shown)}: {shown.title}.\n\n{_table(heading, rows, right=range(1, 5))}"
    )


def _not_saved(comparisons: list[Comparison]) -> str:
    rows = [
        (
            _library(found),
            found.title,
            _listed(found.types_not_saved),
            _listed(found.types_with_finalizer),
        )
        for found in comparisons
        if found.types_not_saved
    ]
    heading = ("Library", "Program", "Not in `gc.garbage`", "With a finalizer")
    return (
        "## Where DEBUG_SAVEALL shows less\n\n"
        "The collector runs finalizers before it puts anything into `gc.garbage`. They close"
        " suspended generators, for one, which then\nlet go of their variables; what that frees is"
        " gone before it can be kept.\n\n"
        f"{_table(heading, rows) if rows else 'In none of these programs.'}"
    )


def _unreachable_count(found: Comparison) -> int:
    return sum(found.types.values())


def _library(found: Comparison) -> str:
    return ", ".join(f"{name} {version}".strip() for name, version in found.versions.items())


def _most_first(types: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(types.items(), key=lambda item: (-item[1], item[0]))


def _listed(types: Mapping[str, int], most: int | None = None) -> str:
    ordered = _most_first(types)
    shown = [f"{count:,} {_short(name)}" for name, count in ordered[:most]]
    more_count = len(ordered) - len(shown)
    if more_count:
        shown.append(f"{more_count} more type{'s' if more_count > 1 else ''}")
    return ", ".join(shown)


def _short(name: str) -> str:
    return name.removeprefix("builtins.")


def _table(heading: tuple[str, ...], rows: Iterable[tuple], right: Iterable[int] = ()) -> str:
    """Write a table, with numbers to the right."""
    rule = tuple("---:" if column in right else "---" for column in range(len(heading)))
    return "".join(
        f"| {' | '.join(str(value).replace('|', chr(92) + '|') for value in line)} |\n"
        for line in (heading, rule, *rows)
    )
