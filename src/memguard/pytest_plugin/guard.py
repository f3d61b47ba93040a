"""Look at what tests leave behind, and let those fail that leave cycles.

Covers: the hooks around the call of a test, and a second run.
Does not cover: what is told at the end (``summary``).
"""

import time
from collections.abc import Generator
from typing import Any

import pytest
from _pytest.runner import runtestprotocol

from memguard import _core
from memguard.errors import UnsupportedPythonError
from memguard.heap.report import ScanReport
from memguard.pytest_plugin.findings import (
    ShapeFacts,
    TestFacts,
    failure_text,
    identity,
    known_shape,
)
from memguard.pytest_plugin.origin import Origin, TestCode, origin_of
from memguard.pytest_plugin.settings import Settings, Wish
from memguard.pytest_plugin.window import Window, find_garbage, find_live

_FACTS = pytest.StashKey[TestFacts]()
_WISH = pytest.StashKey[Wish]()


class Guard:
    """The part of the plugin that is there once a test is to be looked at."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @classmethod
    def of(cls, config: pytest.Config) -> "Guard":
        """Begin, with what the command line and the settings say.

        Raises:
            pytest.UsageError: They cannot be followed, here or on this Python.
        """
        if _core.build_info()["free_threaded"]:
            error = UnsupportedPythonError(
                "a free-threaded build", "run the tests with the default build"
            )
            raise pytest.UsageError(f"memguard: {error}")
        return cls(Settings.of(config))

    def check_marker(self, item: pytest.Item) -> None:
        """Complain about a marker before any test runs."""
        item.stash[_WISH] = Wish.of(item, self._settings)

    def _looks_at(self, item: pytest.Item) -> bool:
        return self._settings.every_test or _WISH in item.stash

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Run the test, and look; nearest to it, so that no other plugin is seen."""
        if not self._looks_at(item):
            return (yield)
        started = time.perf_counter()
        window = Window()
        window.open()
        looked_seconds = time.perf_counter() - started
        try:
            # A test that fails or is skipped has its own say: its exception
            # holds frames, and with them what is not garbage yet.
            result = yield
            started = time.perf_counter()
            facts = self._look(item, window)
        finally:
            window.close()
        facts.seconds = looked_seconds + time.perf_counter() - started
        item.stash[_FACTS] = facts
        if facts.shapes and self._settings.fails:
            pytest.fail(failure_text(facts), pytrace=False)
        return result

    def _look(self, item: pytest.Item, window: Window) -> TestFacts:
        test = TestCode.of(item)
        cleared_count = window.clear_frames(test.may_clear)
        created = window.created(item)
        facts = TestFacts(cleared_frame_count=cleared_count)
        if not created:
            return facts
        wish = item.stash.get(_WISH, None) or Wish.of(item, self._settings)
        with find_garbage(created) as garbage:
            facts.object_count = garbage.object_count
            self._sort(facts, garbage, test, wish)
            if wish.live:
                with find_live(created, garbage) as live:
                    self._sort(facts, live, test, wish)
        return facts

    def _sort(self, facts: TestFacts, report: ScanReport, test: TestCode, wish: Wish) -> None:
        """Tell shapes that count from others."""
        if not report.shapes:
            return
        origins = [origin_of(report, shape, test) for shape in report.shapes]
        described: list[ShapeFacts] = report.to_dict()["shapes"]
        for shape, origin in zip(described, origins, strict=True):
            shape["in_use"] = report.kind == "live"
            if origin in (Origin.TEST, Origin.TOOLS) or (
                origin is Origin.LIBRARY and not self._settings.stdlib
            ):
                facts.leave_out(origin, shape)
            elif shape in wish.allowed:
                facts.leave_out("allowed", shape)
            elif self._settings.known.knows(known_shape(shape)):
                facts.leave_out("baseline", shape)
            else:
                facts.shapes.append(shape)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Let the report of the call carry what was found, to another process, too."""
        report = yield
        if call.when == "call" and _FACTS in item.stash:
            report.memguard = item.stash[_FACTS].to_dict()  # type: ignore[attr-defined]
            del item.stash[_FACTS]
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> Any:
        """Run a test that leaves cycles once more, if that was asked for."""
        if not (self._settings.twice and self._looks_at(item) and _can_run_again(item)):
            return None
        hook = item.ihook
        hook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
        if _left_cycles(reports) and all(report.passed or _is_leak(report) for report in reports):
            item._initrequest()  # type: ignore[attr-defined]
            again = runtestprotocol(item, nextitem=nextitem, log=False)
            reports = _second_if_it_tells(reports, again)
        for report in reports:
            hook.pytest_runtest_logreport(report=report)
        hook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True


def _can_run_again(item: pytest.Item) -> bool:
    """Tell whether it is ours to run it again: pytest-rerunfailures would do so itself."""
    reruns = getattr(item.config.option, "reruns", None) or item.get_closest_marker("flaky")
    return hasattr(item, "_initrequest") and not reruns


def _facts_of(reports: list[pytest.TestReport]) -> dict[str, Any]:
    """Give what the report of the call carries."""
    return next((vars(report)["memguard"] for report in reports if "memguard" in vars(report)), {})


def _left_cycles(reports: list[pytest.TestReport]) -> bool:
    return bool(_facts_of(reports).get("shapes"))


def _is_leak(report: pytest.TestReport) -> bool:
    return report.when == "call" and _left_cycles([report])


def _second_if_it_tells(
    first: list[pytest.TestReport], second: list[pytest.TestReport]
) -> list[pytest.TestReport]:
    """Choose the reports to go by.

    A second run that fails for another reason, be it that the test can run
    only once, tells nothing of the first.
    """
    facts = _facts_of(second)
    if not facts or not all(report.passed or _is_leak(report) for report in second):
        return first
    lasting = {identity(shape) for shape in facts["shapes"]}
    found_first = _facts_of(first)
    facts["first_call"] = [
        shape for shape in found_first["shapes"] if identity(shape) not in lasting
    ]
    facts["seconds"] += found_first["seconds"]
    return second
