"""The page of the docs that shows the repairs; every number on it was measured."""

import datetime
import platform
import re
from collections.abc import Iterable
from pathlib import Path

import memguard
from repairs.outcome import Outcome

PAGE = Path(__file__).resolve().parents[2] / "docs" / "advice.md"

_MARKDOWN = re.compile(r"[_<*`]")
_INTRODUCTION = """\
# Does the advice help?

Each program below uses a library as its documentation shows and leaves cycles. memguard's advice
on one of them was followed in a copy of the program, or of the library where the reference is made
there: the lines were replaced while the module was imported, and nothing else. Both versions run in
a process of their own, twice to warm up and once between the two scans of `scan_created`, and check
that they did what they are for.

A cycle counts as removed when the advice names the changed reference and dissolves every cycle that
it was tried on, when the second scan no longer finds its shape, and when the program leaves fewer
cycles by as many as there were. **{removed} of {total} are removed.** Other cycles of the same
program, which have advice of their own, are the rest of "cycles left".

Written by memguard {memguard} and Python {python} on {system}, {date}. To repeat it:

```sh
python3 -m venv .venv && .venv/bin/pip install -e ".[test,real]"
.venv/bin/python tests/repairs
```
"""


def write_page(path: Path, outcomes: list[Outcome]) -> None:
    """Write the page: a table, then each repair with its advice."""
    introduction = _INTRODUCTION.format(
        date=datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        memguard=memguard.__version__,
        python=platform.python_version(),
        system=f"{platform.system()} {platform.machine()}",
        removed=sum(outcome.is_removed for outcome in outcomes),
        total=len(outcomes),
    )
    details = "\n".join(_details(number, outcome) for number, outcome in enumerate(outcomes, 1))
    path.write_text(f"{introduction}\n{_summary(outcomes)}\n## One by one\n\n{details}")


def _summary(outcomes: list[Outcome]) -> str:
    heading = (
        "", "Library", "Program", "Reference", "Action", "Cycles", "All cycles", "Cycles left",
        "Unreachable", "Left", "Removed",
    )  # fmt: skip
    rows = [
        (
            number,
            _library(outcome),
            outcome.before.title,
            f"`{outcome.repair.cut.removeprefix('builtins.')}`",
            _advice(outcome)["action"],
            outcome.cycle_count,
            outcome.before.cycle_count,
            outcome.after.cycle_count,
            f"{outcome.before.unreachable_count:,}",
            f"{outcome.after.unreachable_count:,}",
            "yes" if outcome.is_removed else "**no**",
        )
        for number, outcome in enumerate(outcomes, 1)
    ]
    return _table(heading, rows, right=range(5, 10))


def _details(number: int, outcome: Outcome) -> str:
    advice = _advice(outcome)
    made = outcome.shapes[0]["lines"] if outcome.shapes else []
    lines = [
        f"### {number}. {_library(outcome)}: {outcome.before.title}",
        "",
        f"`{outcome.shapes[0]['path']}`" if outcome.shapes else "Not found.",
        "",
        "> " + _MARKDOWN.sub(r"\\\g<0>", advice["sentence"]),
        "",
        *(f"    {line}" for line in advice["code"].splitlines()),
        "",
    ]
    if advice["remedy"]:
        lines.append(f"Remedy: {advice['remedy']}.")
    if made:
        listed = ", ".join(f"`{line}`" for line in made[:3])
        more = f" and {len(made) - 3} more" if len(made) > 3 else ""
        lines.append(f"Assigned at {listed}{more}.")
    if outcome.after.changed_lines:
        changed = ", ".join(f"`{line}`" for line in sorted(set(outcome.after.changed_lines)))
        lines.append(f"Changed at {changed}.")
    if outcome.repair.note:
        lines.append(f"**{outcome.repair.note}**")
    return "\n".join([*lines, ""])


def _advice(outcome: Outcome) -> dict:
    if outcome.shapes:
        return outcome.shapes[0]["advice"]
    return {"action": "", "sentence": "", "code": "", "remedy": ""}


def _library(outcome: Outcome) -> str:
    versions = outcome.before.versions
    return ", ".join(f"{name} {version}".strip() for name, version in versions.items())


def _table(heading: tuple[str, ...], rows: Iterable[tuple], right: Iterable[int] = ()) -> str:
    rule = tuple("---:" if column in right else "---" for column in range(len(heading)))
    return "".join(
        f"| {' | '.join(str(value).replace('|', chr(92) + '|') for value in line)} |\n"
        for line in (heading, rule, *rows)
    )
