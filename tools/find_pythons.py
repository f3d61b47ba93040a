"""Print other CPython interpreters of this machine, one path per line.

Usage: find_pythons.py [MINIMUM]     such as 3.12
One of each version; the interpreter that runs this is left out.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

PROBE = """
import json, sys
flags = getattr(sys, "abiflags", "")
print(json.dumps([sys.implementation.name, list(sys.version_info[:3]), flags]))
"""


def candidates() -> Iterator[Path]:
    """Look on PATH and where pyenv and setup-python keep theirs."""
    folders = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep)]
    folders += sorted(Path.home().glob(".pyenv/versions/*/bin"))
    folders += sorted(Path("/opt/hostedtoolcache/Python").glob("*/*/bin"))
    for folder in folders:
        if folder.is_dir():
            for path in sorted(folder.iterdir()):
                if re.fullmatch(r"python3\.\d+t?", path.name):
                    yield path


def describe(python: Path) -> tuple[str, tuple[int, ...], str] | None:
    """Ask an interpreter what it is; None when it does not run."""
    try:
        answer = subprocess.run(
            [python, "-c", PROBE], capture_output=True, text=True, timeout=30, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    name, version, flags = json.loads(answer)
    return name, tuple(version), flags


def main(minimum: tuple[int, ...]) -> None:
    """Print each version once."""
    seen: set[tuple[str, tuple[int, ...], str]] = {("cpython", sys.version_info[:3], sys.abiflags)}
    for python in candidates():
        found = describe(python)
        if found and found not in seen and found[0] == "cpython" and found[1] >= minimum:
            seen.add(found)
            print(python)


if __name__ == "__main__":
    main(tuple(int(part) for part in (sys.argv[1:] or ["3.12"])[0].split(".")))
