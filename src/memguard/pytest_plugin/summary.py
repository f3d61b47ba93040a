"""What was found over all tests: a section at the end, and files.

Covers: gathering, from workers of pytest-xdist, too.
Does not cover: rendering HTML (``memguard.heap.render``).
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from memguard.errors import UnreadableBaselineError
from memguard.heap.baseline import add_to_baseline, replace_file
from memguard.heap.render.text import count
from memguard.heap.saved import SavedReport
from memguard.pytest_plugin.findings import (
    Group,
    ShapeFacts,
    add_up,
    known_shape,
    shape_lines,
)
from memguard.pytest_plugin.settings import read_baseline, report_paths

_MOST_SHAPES = 10
_MOST_TESTS = 3
_REASONS = {
    "test": "of frames, classes and functions of the test functions themselves",
    "tools": "of pytest and its plugins",
    "stdlib": "of the standard library alone",
    "allowed": "allowed",
    "baseline": "in the baseline",
    "first call": "that only a first call left",
}


class Summary:
    """Gathers what the reports of tests carry.

    Attributes:
        found: The facts of each test that was looked at, by its node id.
    """

    def __init__(self, reports: list[Path], baseline: Path | None) -> None:
        self.found: list[tuple[str, dict[str, Any]]] = []
        self._reports = reports
        self._baseline = baseline

    @classmethod
    def of(cls, config: pytest.Config) -> "Summary":
        """Begin, with what the command line says.

        Raises:
            pytest.UsageError: A file cannot be written.
        """
        name = config.getoption("memguard_write_baseline")
        baseline = None if name is None else config.invocation_params.dir / name
        if baseline is not None and baseline.exists():
            read_baseline(baseline)
        return cls(report_paths(config), baseline)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take what a report carries."""
        facts = vars(report).get("memguard")
        if facts is not None:
            self.found.append((report.nodeid, facts))

    def pytest_sessionfinish(self) -> None:
        """Write the files."""
        if self._baseline is not None:
            try:
                add_to_baseline(
                    self._baseline, (known_shape(group.shape) for group in self.groups())
                )
            except UnreadableBaselineError as error:
                raise pytest.UsageError(f"memguard: {error}") from None
        for path in self._reports:
            replace_file(path, _rendered(self.to_dict(), path.suffix))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what was found."""
        if not self.found:
            return
        terminalreporter.section("memguard")
        for line in self.lines():
            terminalreporter.write_line(line)

    def groups(self) -> list[Group]:
        """Give the shapes that count, over all tests."""
        return add_up((nodeid, shape) for nodeid, facts in self.found for shape in facts["shapes"])

    def _left_out(self) -> Iterator[tuple[str, str, ShapeFacts]]:
        for nodeid, facts in self.found:
            for reason, shapes in facts["left_out"].items():
                yield from ((reason, nodeid, shape) for shape in shapes)
            yield from (("first call", nodeid, shape) for shape in facts["first_call"])

    def lines(self, width: int = 96) -> Iterator[str]:
        """Write the section."""
        seconds = sum(facts["seconds"] for _, facts in self.found)
        leaking = sum(bool(facts["shapes"]) for _, facts in self.found)
        yield (
            f"{count(len(self.found), 'test')} looked at, {leaking} left cycles;"
            f" looking took {seconds:.2f} s, {seconds / len(self.found) * 1e3:.2f} ms a test."
        )
        groups = self.groups()
        for number, group in enumerate(groups[:_MOST_SHAPES], 1):
            yield ""
            yield from shape_lines(number, group.shape, width, len(group.tests))
            more = len(group.tests) - _MOST_TESTS
            yield from (f"     {nodeid}" for nodeid in group.tests[:_MOST_TESTS])
            if more > 0:
                yield f"     and {count(more, 'more test')}"
        if len(groups) > _MOST_SHAPES:
            yield ""
            yield f"... and {count(len(groups) - _MOST_SHAPES, 'more shape')}"
        counts = dict.fromkeys(_REASONS, 0)
        for reason, _, shape in self._left_out():
            counts[reason] += shape["cycle_count"]
        parts = [f"{counts[name]:,} {text}" for name, text in _REASONS.items() if counts[name]]
        if parts:
            yield ""
            yield f"Cycles that do not count: {'; '.join(parts)}."

    def to_dict(self) -> dict[str, Any]:
        """Give all that was found, as a document like that of `ScanReport.to_dict`."""
        groups = self.groups()
        cycle_count = sum(group.shape["cycle_count"] for group in groups)
        left_out: dict[str, list[dict[str, Any]]] = {}
        for reason in _REASONS:
            same = add_up(
                (nodeid, shape) for why, nodeid, shape in self._left_out() if why == reason
            )
            if same:
                left_out[reason] = [{**group.shape, "tests": group.tests} for group in same]
        return {
            "schema": 1,
            "kind": "created",
            "complete": True,
            "stopped_by": "",
            "object_count": sum(facts["object_count"] for _, facts in self.found),
            "edge_count": 0,
            "duration_seconds": sum(facts["seconds"] for _, facts in self.found),
            "side_table_bytes": 0,
            "cuts": [],
            "suspect_count": 0,
            "unreachable_count": 0,
            "unreachable_types": {},
            "cycle_count": cycle_count,
            "shapes": [{**group.shape, "tests": group.tests} for group in groups],
            "cycles": [],
            "cycles_not_listed_count": cycle_count,
            "test_count": len(self.found),
            "left_out": left_out,
        }


def _rendered(document: dict[str, Any], suffix: str) -> str:
    if suffix == ".json":
        return json.dumps(document, indent=2) + "\n"
    from memguard.heap.render.html import render_page

    return render_page([SavedReport.from_dict(document)])
