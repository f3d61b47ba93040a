"""Write beside each example the report that it prints.

Usage: example_reports.py [NAME...]
Without names, all. Needs memguard, and what examples/requirements.txt says.
"""

import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def reported() -> list[Path]:
    """Give the examples that have a report beside them."""
    return sorted(path.with_suffix(".py") for path in EXAMPLES.glob("*.txt") if _is_report(path))


def _is_report(path: Path) -> bool:
    return path.with_suffix(".py").exists()


def printed(example: Path) -> str:
    """Run an example, and give what it prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error", str(example)],
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        check=True,
    )
    return done.stdout


if __name__ == "__main__":
    names = sys.argv[1:]
    for example in [EXAMPLES / f"{name}.py" for name in names] or reported():
        example.with_suffix(".txt").write_text(printed(example), encoding="utf-8")
        print(example.with_suffix(".txt").name)
