"""The report's success metrics are measured, and the verdict follows from the numbers."""

import contextlib
import json
import sys
from functools import partial
from importlib import import_module
from types import SimpleNamespace

import pytest

from memguard import Guard
from memguard.cli import main
from memguard.errors import ValidationFailedError
from memguard.validation import runs, targets
from memguard.validation.checks import coverage
from memguard.validation.targets import CHECKS, TARGETS, Outcome
from processes import run

SMALL = {
    "survival": {"BEFORE_COUNT": 80, "AFTER_COUNT": 800},
    "cleanup": {},
    "growth": {},
    "alarms": {"SERIES_COUNT": 4},
    "coverage": {"RUN_COUNT": 50},
    "allocation": {"ROUND_COUNT": 3},
    "concurrency": {"AGENT_COUNT": 300},
}
"""What makes a check quick; where nothing stands it is quick as it is."""

ALLOCATION_USES = [
    f"{use}{part}" for use in ("datum", "unused", "callback") for part in ("", "_whole")
]


def measure(check, side, **sizes):
    """Run one side in a process of its own, with other sizes than usual."""
    code = (
        "import json\n"
        f"from memguard.validation.checks import {check} as check\n"
        f"for name, value in {sizes or SMALL[check]!r}.items():\n"
        "    assert hasattr(check, name)\n"
        "    setattr(check, name, value)\n"
        f"print(json.dumps(check.{side}()))\n"
    )
    done = run(sys.executable, "-c", code)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def test_survival_is_all_before_and_none_after():
    """Counted by weak references, with the collector off."""
    before, after = measure("survival", "before"), measure("survival", "after")
    assert before == {
        "object_count": 80,
        "survived_count": 80,
        "survived_ratio": 1.0,
        "pass_count": 1,
        "survived_passes_count": 0,
    }
    assert (after["object_count"], after["survived_count"], after["pass_count"]) == (800, 0, 0)


def test_cleanup_is_complete_in_every_component():
    """By allocated bytes, before the collector has run."""
    before, after = measure("cleanup", "before"), measure("cleanup", "after")
    assert set(before) < set(after)
    assert min(after.values()) >= 95
    assert before["contexts"] < 5
    assert before["lifecycle"] < 5
    assert before["registry"] < 95


def test_memory_grows_before_and_not_after():
    """Under the same load, with the collector as it is."""
    before, after = measure("growth", "before"), measure("growth", "after")
    assert before["agent_count"] == after["agent_count"] == 14_000
    assert after["growth_bytes"] < 10_000_000 < before["growth_bytes"]


def test_alarms_are_false_before_and_true_after():
    """On the same readings."""
    before, after = measure("alarms", "before"), measure("alarms", "after")
    assert before["false_ratio"] > 0.5
    assert after["false_ratio"] < 0.05
    assert after["missed_count"] == 0


def test_oversight_covers_nothing_before_and_all_after():
    """Counted where agents run; some are denied, and do not run."""
    before, after = measure("coverage", "before"), measure("coverage", "after")
    assert (before["coverage_ratio"], before["unasked_count"]) == (0, before["critical_count"])
    assert before["critical_count"] == after["critical_count"] > 50
    assert (after["coverage_ratio"], after["unasked_count"]) == (1.0, 0)
    assert after["forbidden_count"] == 0
    assert 0 < after["denied_count"] < after["critical_count"]


def test_a_guard_that_only_observes_covers_nothing(monkeypatch):
    """What is not asked for, or runs although it was denied, is counted."""
    monkeypatch.setattr(coverage, "Guard", partial(Guard, observe_only=True))
    monkeypatch.setattr(coverage, "RUN_COUNT", 20)
    found = coverage.after()
    assert found["unasked_count"] + found["forbidden_count"] == found["critical_count"] > 0


def test_a_yes_that_comes_too_late_is_none(monkeypatch):
    """Each agent is asked for before it begins."""

    class Late(Guard):
        def delegate(self, name, **options):
            self.chain = (*getattr(self, "chain", ()), name)
            return self.block(name, options)

        @contextlib.contextmanager
        def block(self, name, options):
            chain = self.chain
            try:
                with super().delegate(name, **options) as context:
                    yield context
            finally:
                if len(chain) > coverage.CRITICAL_DEPTH:
                    self.approve_late(SimpleNamespace(chain=chain))
                self.chain = chain[:-1]

    def make(*, approve, **options):
        guard = Late(**options)
        guard.approve_late = approve
        return guard

    monkeypatch.setattr(coverage, "Guard", make)
    monkeypatch.setattr(coverage, "RUN_COUNT", 1)
    found = coverage.after()
    assert found["unasked_count"] == found["critical_count"] > 0


def test_allocation_is_a_ratio_of_two_times():
    """Of one process, in turns; how large it is depends on the machine."""
    for side in ("before", "after"):
        numbers = measure("allocation", side)
        assert numbers["round_count"] == 3
        assert all(numbers[f"{use}_reduction_ratio"] < 1 for use in ALLOCATION_USES)


def test_many_agents_at_once_leave_nothing():
    """And before they leave all their contexts."""
    before, after = measure("concurrency", "before"), measure("concurrency", "after")
    assert before["left_count"] >= 300
    assert before["held_count"] == 0
    assert after["held_count"] == 0
    assert after["left_count"] == 0
    assert before["peak_count"] == after["peak_count"] == 300


def numbers_of(**changes):
    """Numbers with which every target is met, and then changed."""
    numbers = {
        "object_count": 1_000_000,
        "survived_count": 0,
        "pass_count": 0,
        "survived_passes_count": 0,
        "growth_bytes": 9_999_999,
        "agent_count": 14_000,
        "false_ratio": 0.049,
        "sustained_false_ratio": 0.01,
        "alert_count": 100,
        "missed_count": 0,
        "coverage_ratio": 1.0,
        "unasked_count": 0,
        "forbidden_count": 0,
        "critical_count": 10,
        "datum_reduction_ratio": 0.75,
        "unused_reduction_ratio": 0.9,
        "callback_reduction_ratio": -0.1,
        "datum_whole_reduction_ratio": 0.7,
        "left_count": 0,
        "held_count": 0,
        "peak_count": 10_000,
    }
    return numbers | changes


@pytest.mark.parametrize(
    ("check", "missing"),
    [
        ("survival", {"survived_count": 1, "pass_count": 1}),
        ("survival", {"object_count": 999_999, "survived_passes_count": 1}),
        ("growth", {"growth_bytes": 10_000_000}),
        ("growth", {"agent_count": 13_999}),
        ("alarms", {"false_ratio": 0.05}),
        ("alarms", {"missed_count": 1}),
        ("coverage", {"coverage_ratio": 0.99}),
        ("coverage", {"unasked_count": 1}),
        ("coverage", {"forbidden_count": 1}),
        ("coverage", {"critical_count": 0}),
        ("allocation", {"datum_reduction_ratio": 0.749}),
        ("concurrency", {"left_count": 1}),
        ("concurrency", {"held_count": 1}),
        ("concurrency", {"peak_count": 9_999}),
    ],
)
def test_a_target_is_met_or_missed_by_its_numbers(check, missing):
    """At the very limit, and just beyond."""
    for target in TARGETS:
        if target.check == check:
            assert target.is_met(numbers_of())
            assert not target.is_met(numbers_of(**missing))
            assert target.told(numbers_of())


def test_the_least_of_all_components_counts():
    """One that leaves something is enough to miss."""
    (target,) = [target for target in TARGETS if target.check == "cleanup"]
    assert target.is_met({"a": 100.0, "b": 95.0})
    assert not target.is_met({"a": 100.0, "b": 94.9})
    assert target.told({"a": 100.0, "b": 94.9}) == "94.9 % (b, the least of 2)"


def test_the_command_prints_a_table_and_progress(monkeypatch, capsys):
    """Before, after, verdict; exit code 0 when all is met."""
    monkeypatch.setattr(runs, "run_side", lambda check, side: numbers_of())
    assert main(["validate", "--only", "growth", "--only", "survival"]) == 0
    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    assert lines[0].split() == ["metric", "target", "before", "after", "verdict"]
    assert [line.split("  ")[0] for line in lines[2:]] == [
        "circular reference survival",
        "collector passes to free the rest",
        "memory growth under load",
    ]
    assert all(line.endswith("met") for line in lines[2:])
    assert "measuring 4 of 4: survival, after" in shown.err


def test_a_missed_target_is_exit_code_1(monkeypatch, capsys):
    """And is named."""
    missed = {"before": numbers_of(), "after": numbers_of(growth_bytes=2e7)}
    monkeypatch.setattr(runs, "run_side", lambda check, side: missed[side])
    assert main(["validate", "--only", "growth", "--json"]) == 1
    shown = capsys.readouterr()
    document = json.loads(shown.out)
    assert not document["met"]
    (metric,) = document["metrics"]
    assert metric["after"]["growth_bytes"] == 2e7
    assert (metric["before_met"], metric["met"]) == (True, False)
    assert "missed: memory growth under load" in shown.err


def test_a_check_that_fails_is_an_error_and_no_verdict(monkeypatch, capsys):
    """With what it said, and how to run it alone."""
    with pytest.raises(ValidationFailedError, match="give one of survival"):
        runs.run_side("nothing", "before")
    monkeypatch.setattr(sys, "executable", "/bin/false")
    assert main(["validate", "--only", "growth"]) == 2
    assert "python -m memguard.validation growth before" in capsys.readouterr().err


def test_one_side_is_run_in_a_process_of_its_own():
    """By its name, without the settings of this machine's services."""
    numbers = runs.run_side("allocation", "before")
    assert set(numbers) == {f"{use}_reduction_ratio" for use in ALLOCATION_USES} | {"round_count"}


def test_every_check_has_both_sides():
    """What targets name is there."""
    for check in CHECKS:
        module = import_module(f"memguard.validation.checks.{check}")
        assert callable(module.before)
        assert callable(module.after)
    assert set(SMALL) == set(CHECKS)
    assert targets.Outcome is Outcome
