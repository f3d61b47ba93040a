"""The page about contexts, pools, registries and lifecycles, written from the results."""

from typing import Any

from benchmarks.tables import by_version, ratio, table
from benchmarks.ways import FLOOR, LOOP, MEMGUARD, REPORT

LEAST_SHARE = 0.05
"""What is less than this share of the loop is noise."""

HEAD = """\
# Benchmarks of what agents live in

Written by `python -m benchmarks --only agents` (after `pip install -e ".[bench]"`); the numbers
are kept in `benchmarks/results.json`. All ways to do an operation are measured in turn, in one
process, and compared with each other. Medians; an otherwise idle machine; automatic collection off.
Processor time where one thread does all, and the time that passes with eight.

- **report**: the pure-Python classes that memguard started from, written out in
  `src/memguard/validation/baselines/`, and completed where they cannot run.
- **floor**: native methods that take the same arguments and do nothing, compiled in the same way
  (`benchmarks/floor.pyx`). Nothing that is called as a method can be faster.
- **loop**: what the loop itself takes, and in tasks to wait once; it is taken off all the others.
  What is less than a twentieth of it cannot be told from noise: "-".
- **8 threads** share one pool, registry or manager; **1,000 tasks** do, too, and each lets the
  others run in the middle of each operation, so that a thousand are under way at any time.
- In "register, drop" the agents exist before, and die at the end: to end them is in the loop.
  In "count" that many are alive. In "begin, end" a context is made, registered, and ended.
"""

SUMMARY = (
    ("get, return", MEMGUARD, FLOOR, "get and return, to an empty native pair", "at most 1.5"),
    ("get, return", REPORT, MEMGUARD, "the report's pool, to get and return", "at least 7"),
    (
        "get, return",
        MEMGUARD,
        "report, constructed",
        "get and return, to constructing the report's context",
        "at most 0.25",
    ),
    (
        "register, drop",
        "WeakValueDictionary and dict",
        MEMGUARD,
        "WeakValueDictionary and dict, to register and drop",
        "at least 5",
    ),
    ("count 100", MEMGUARD, FLOOR, "count of 100, to an empty native call", "at most 1.5"),
    ("count 100,000", MEMGUARD, FLOOR, "count of 100,000, the same", "at most 1.5"),
    ("begin, end", REPORT, MEMGUARD, "the report's manager, to begin and end", ""),
)


def write_agents_page(results: dict[str, Any]) -> str:
    """Write the page from what was measured on each version of Python."""
    parts = [HEAD, "## In short\n", _summary(results)]
    for version, measured in sorted(results.items(), key=by_version):
        parts += [_version(version, measured)]
    return "\n".join(parts)


def _by_operation(measured: dict[str, Any]) -> dict[tuple[str, str], dict[str, float]]:
    """Give seconds by operation and situation, then by way; the loop is one of them."""
    return {
        (answer["operation"], answer["situation"]): {
            LOOP: answer["loop_seconds"],
            **answer["seconds"],
        }
        for answer in measured["operations"]
    }


def _summary(results: dict[str, Any]) -> str:
    versions = [version for version, _ in sorted(results.items(), key=by_version)]
    seconds = {version: _by_operation(results[version]) for version in versions}
    rows = []
    for operation, way, to, title, aim in SUMMARY:
        row = [title, aim]
        for version in versions:
            ways = seconds[version][operation, "one thread"]
            row.append(ratio(ways[way] / ways[to]))
        rows.append(row)
    text = "On one thread. Ratios; the aim stands beside.\n"
    return f"{text}\n{table(['', 'aim', *versions], rows)}"


def _version(version: str, measured: dict[str, Any]) -> str:
    seconds = _by_operation(measured)
    situations = list(dict.fromkeys(situation for _, situation in seconds))
    title = (
        f"CPython {measured['python']}, {measured['machine']}, {measured['processor_count']}"
        f" processors, {measured['date']}. Nanoseconds for each operation, and in brackets: how"
        " many times memguard's.\n"
    )
    parts = [f"## {version}\n", title]
    for operation in dict.fromkeys(operation for operation, _ in seconds):
        rows = []
        for way in seconds[operation, situations[0]]:
            row = [way]
            for situation in situations:
                row.append(_cell(seconds[operation, situation], way))
            rows.append(row)
        parts.append(table([operation, *situations], rows))
    return "\n".join(parts)


def _cell(seconds: dict[str, float], way: str) -> str:
    least = seconds[LOOP] * LEAST_SHARE
    if seconds[way] < least:
        return "-"
    text = f"{seconds[way] * 1e9:,.0f}"
    if way in (LOOP, MEMGUARD) or seconds[MEMGUARD] < least:
        return text
    return f"{text} ({ratio(seconds[way] / seconds[MEMGUARD])})"
