"""How tables are written."""

from typing import Any


def by_version(item: tuple[str, Any]) -> tuple[int, ...]:
    """Sort versions of Python, which are the first of each pair, as numbers."""
    return tuple(int(part) for part in item[0].split("."))


def table(head: list[str], rows: list[list[str]]) -> str:
    """Write a table with numbers in all columns but the first."""
    rule = ["---"] + ["---:"] * (len(head) - 1)
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, rule, *rows]) + "\n"


def ratio(value: float) -> str:
    """Write two digits after the point of what is small."""
    return f"{value:.2f}" if value < 10 else f"{value:,.0f}"
