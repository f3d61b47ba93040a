"""Run the pytest plugin on the test suites of other people's packages.

Usage: look_at_suites.py [--page docs/pytest.md] [NAME...]

Fetches the source distribution of each package, installs it and what its
tests need into a venv of its own, and runs its tests four times: plain and with
the plugin, and both again after the repairs. A repair may not change what
passes, and every shape that is found has to match a cause, or this ends with 1.
See also: ``suite_causes`` for causes and repairs.
"""

import argparse
import json
import re
import subprocess
import sys
import tarfile
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from suite_causes import SUITES, Cause, Suite

ROOT = Path(__file__).resolve().parent.parent
_MARKDOWN = re.compile(r"[_<*`|]")
_SECTION = re.compile(r"(?<=<!-- suites: begin -->\n).*(?=<!-- suites: end -->)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a suite: its last line, what it took [s], and what was found."""

    outcome: str
    seconds: float
    found: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Looked:
    """What the runs of a suite tell."""

    suite: Suite
    plain: Run
    guarded: Run
    repaired_plain: Run
    repaired: Run

    def complaints(self) -> list[str]:
        """Say what has no cause, and whether the repair broke something."""
        # Of the repaired, too: a cycle that is cut in one place may show another.
        unexplained = [
            f"{self.suite.name}: {shape['path']}"
            for run in (self.guarded, self.repaired)
            for shape in run.found["shapes"]
            if self.suite.cause_of(shape["path"]) is None
        ]
        if _counts(self.plain) != _counts(self.repaired_plain):
            unexplained.append(f"{self.suite.name}, repaired: {self.repaired_plain.outcome}")
        return unexplained

    def cycles_of(self, cause: Cause | None, run: Run) -> int:
        """Count the cycles that have a cause, or none of those known."""
        return sum(
            shape["cycle_count"]
            for shape in run.found["shapes"]
            if self.suite.cause_of(shape["path"]) is cause
        )

    def advice_for(self, cause: Cause) -> str:
        """Give what the plugin says about the most frequent shape of a cause."""
        shapes = [
            shape
            for shape in self.guarded.found["shapes"]
            if self.suite.cause_of(shape["path"]) is cause
        ]
        advice = max(shapes, key=lambda shape: shape["cycle_count"])["advice"]
        if not advice:
            return ""
        return _MARKDOWN.sub(r"\\\g<0>", advice["sentence"])


def look_at(suite: Suite, folder: Path) -> Looked:
    """Run a suite four times in a folder that is its own."""
    python = _install(suite, folder)
    tests = _unpack(suite, folder)
    plain = _run(python, tests, folder)
    guarded = _run(python, tests, folder, "--memguard", "--memguard-twice")
    _repair(suite, python, tests)
    repaired_plain = _run(python, tests, folder)
    repaired = _run(python, tests, folder, "--memguard", "--memguard-twice")
    return Looked(suite, plain, guarded, repaired_plain, repaired)


def _counts(run: Run) -> str:
    return run.outcome.partition(" in ")[0]


def _install(suite: Suite, folder: Path) -> Path:
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    python = folder / "venv" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    needs = [f"{suite.name}=={suite.version}", *suite.needs, "pytest>=9", str(ROOT)]
    subprocess.run([python, "-m", "pip", "install", "-q", *needs], check=True)
    return python


def _unpack(suite: Suite, folder: Path) -> Path:
    download = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:"]
    subprocess.run([*download, "-d", folder, f"{suite.name}=={suite.version}"], check=True)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as source:
        source.extractall(folder / "source", filter="data")
    (unpacked,) = (folder / "source").iterdir()
    return unpacked


def _run(python: Path, tests: Path, folder: Path, *options: str) -> Run:
    report = folder / "found.json"
    report.unlink(missing_ok=True)
    asked = [*options, f"--memguard-report={report}"] if options else []
    started = time.perf_counter()
    done = subprocess.run(
        [python, "-m", "pytest", "-q", "--tb=no", "-p", "no:cacheprovider", *asked],
        cwd=tests,
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - started
    if done.returncode not in (0, 1):
        raise SystemExit(done.stdout[-2000:] + done.stderr[-2000:])
    found = json.loads(report.read_text()) if options else {"shapes": []}
    return Run(done.stdout.splitlines()[-1], seconds, found)


def _repair(suite: Suite, python: Path, tests: Path) -> None:
    # In some distributions the tests import the package that lies beside them.
    find = f"import {suite.name}, pathlib; print(pathlib.Path({suite.name}.__file__).parent)"
    done = subprocess.run(
        [python, "-c", find], cwd=tests, capture_output=True, text=True, check=True
    )
    for repair in suite.repairs:
        path = (tests if repair.is_in_tests else Path(done.stdout.strip())) / repair.file
        text = path.read_text(encoding="utf-8")
        if repair.old not in text:
            raise SystemExit(f"{path} does not have: {repair.old}")
        path.write_text(text.replace(repair.old, repair.new), encoding="utf-8")


def page(all_looked: list[Looked]) -> str:
    """Write what was found, for the docs."""
    lines = [
        (
            "| Package | Tests | Plain | With the plugin | Looking, a test | Left cycles | Cycles |"
            " Repaired | Unexplained |"
        ),
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for looked in all_looked:
        found = looked.guarded.found
        leaking = {test for shape in found["shapes"] for test in shape["tests"]}
        per_test = found["duration_seconds"] / found["test_count"] * 1e3
        lines.append(
            f"| {looked.suite.name} {looked.suite.version} | {found['test_count']:,} |"
            f" {looked.plain.seconds:.1f} s | {looked.guarded.seconds:.1f} s |"
            f" {per_test:.2f} ms | {len(leaking):,} tests | {found['cycle_count']:,} |"
            f" {looked.repaired.found['cycle_count']:,} |"
            f" {looked.cycles_of(None, looked.guarded)} |"
        )
    for looked in all_looked:
        lines += ["", *_causes(looked)]
    return "\n".join([*lines, "", ""])


def _causes(looked: Looked) -> list[str]:
    lines = [
        f"### {looked.suite.name} {looked.suite.version}",
        "",
        (
            "| Cycles | Repaired | Whose | What it is, and what would end it |"
            " What the plugin advises |"
        ),
        "| ---: | ---: | --- | --- | --- |",
    ]
    for cause in looked.suite.causes:
        before = looked.cycles_of(cause, looked.guarded)
        after = f"{looked.cycles_of(cause, looked.repaired):,}" if cause.is_repaired else ""
        if before:
            lines.append(
                f"| {before:,} | {after} | {cause.whose} | {cause.text} |"
                f" {looked.advice_for(cause)} |"
            )
    left_out = {
        reason: sum(shape["cycle_count"] for shape in shapes)
        for reason, shapes in looked.guarded.found["left_out"].items()
    }
    said = ", ".join(f'{count:,} "{reason}"' for reason, count in left_out.items())
    return [
        *lines,
        "",
        (
            f"Left out by the plugin: {said or 'none'}. The suite itself, with and"
            f" without the repairs: {_counts(looked.plain)}."
        ),
    ]


def main() -> int:
    """Look at the suites that are named, or at all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--page", type=Path, help="a page with marks between which to write")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    all_looked = []
    for suite in SUITES:
        if not options.names or suite.name in options.names:
            with tempfile.TemporaryDirectory() as folder:
                all_looked.append(look_at(suite, Path(folder)))
    text = page(all_looked)
    if options.page:
        whole = options.page.read_text(encoding="utf-8")
        options.page.write_text(_SECTION.sub(lambda _: text, whole), encoding="utf-8")
    print(text)
    complaints = [text for looked in all_looked for text in looked.complaints()]
    print("\n".join(complaints))
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
