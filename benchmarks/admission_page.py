"""The page about delegation, written from the results."""

from typing import Any

from benchmarks.tables import by_version, ratio, table

YARDSTICK = "asyncio.Semaphore, async with"

HEAD = """\
# Benchmarks of delegation

Written by `python -m benchmarks --only admission` (after `pip install -e ".[bench]"`); the numbers
are kept in `benchmarks/results.json`. One pair of going in and out again, where nobody else is, as
a ratio to `async with` of an asyncio.Semaphore beside it in the same process. Medians of many short
rounds in turn; automatic collection off.

- **ready to wait**: `wait_seconds=30`, without having to.
- **all limits set**: children, descendants, live ones, repeats, bytes, and one of the agent's own.
- **somebody listens**: a subscriber to all events, two of which are made for each pair.
"""


def write_admission_page(results: dict[str, Any]) -> str:
    """Write the whole page."""
    kept = dict(sorted(results.items(), key=by_version))
    names = sorted(next(iter(kept.values()))["seconds"])
    rows = [
        [
            name,
            *(ratio(one["seconds"][name] / one["seconds"][YARDSTICK]) for one in kept.values()),
        ]
        for name in names
    ]
    return f"{HEAD}\n{table(['what', *kept], rows)}"
