"""The report's success metrics: what is to be reached, and whether it is.

Covers: which check has the number, how it is said, the verdict.
Does not cover: measuring (``checks``), running (``runs``).

Source:
    The original report, "Success Metrics" and "Implementation Timeline & Validation";
    where memguard asks more of itself, the tighter target stands here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Numbers = Mapping[str, float]

_MEGABYTE = 1_000_000


@dataclass(frozen=True, slots=True)
class Target:
    """One success metric.

    Attributes:
        title: Its name.
        check: The check that measures it.
        reported: What the report wants.
        wanted: What is wanted here.
        is_met: Whether numbers of the check reach that.
        told: How numbers of the check are said.
        judged_by: Which of several uses or readings the verdict follows from; empty
            where there is one.
    """

    title: str
    check: str
    reported: str
    wanted: str
    is_met: Callable[[Numbers], bool]
    told: Callable[[Numbers], str]
    judged_by: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one metric.

    Attributes:
        target: The metric.
        before: Numbers of the report's patterns.
        after: Numbers of memguard.
    """

    target: Target
    before: Numbers
    after: Numbers

    @property
    def is_met(self) -> bool:
        """Whether memguard reaches the target."""
        return self.target.is_met(self.after)

    @property
    def was_met(self) -> bool:
        """Whether the report's patterns do."""
        return self.target.is_met(self.before)

    def to_dict(self) -> dict[str, Any]:
        """Give it as JSON has it."""
        return {
            "metric": self.target.title,
            "check": self.target.check,
            "reported_target": self.target.reported,
            "target": self.target.wanted,
            "judged_by": self.target.judged_by or None,
            "before": dict(self.before),
            "after": dict(self.after),
            "before_met": self.was_met,
            "met": self.is_met,
        }


def _least(numbers: Numbers) -> tuple[str, float]:
    return min(numbers.items(), key=lambda item: item[1])


def _told_cleanup(numbers: Numbers) -> str:
    name, percent = _least(numbers)
    return f"{percent:.1f} % ({name}, the least of {len(numbers)})"


def _change(reduction_ratio: float) -> str:
    word = "lower" if reduction_ratio >= 0 else "higher"
    return f"{abs(reduction_ratio):.0%} {word}"


def _signed(reduction_ratio: float) -> str:
    return f"{-reduction_ratio:+.0%}"


TARGETS = (
    Target(
        "circular reference survival",
        "survival",
        "0 of 200",
        "0 of 1,000,000",
        lambda n: n["survived_count"] == 0 and n["object_count"] >= 1_000_000,
        lambda n: f"{n['survived_count']:,.0f} of {n['object_count']:,.0f}",
    ),
    Target(
        "collector passes to free the rest",
        "survival",
        "1 to 2",
        "0",
        lambda n: n["pass_count"] == 0 and n["survived_passes_count"] == 0,
        lambda n: f"{n['pass_count']:.0f}",
    ),
    Target(
        "cleanup effectiveness",
        "cleanup",
        "95 % in all components",
        ">= 95 %",
        lambda n: _least(n)[1] >= 95,
        _told_cleanup,
    ),
    Target(
        "memory growth under load",
        "growth",
        "< 10 MB",
        "< 10 MB, 14,000 agents",
        lambda n: n["growth_bytes"] < 10 * _MEGABYTE and n["agent_count"] >= 14_000,
        lambda n: f"{n['growth_bytes'] / _MEGABYTE:.1f} MB",
    ),
    Target(
        "false memory alerts",
        "alarms",
        "< 5 %",
        "< 5 %, none missed",
        lambda n: n["false_ratio"] < 0.05 and n["missed_count"] == 0,
        lambda n: (
            f"{n['false_ratio']:.1%} of {n['alert_count']:,.0f} ({n['sustained_false_ratio']:.1%}),"
            f" {n['missed_count']:.0f} missed"
        ),
        "spikes of one to five readings, none of which is pressure; in parentheses those"
        " of five are",
    ),
    Target(
        "oversight of delegations deeper than 4",
        "coverage",
        "100 %",
        "100 %",
        lambda n: (
            n["coverage_ratio"] == 1
            and n["unasked_count"] == n["forbidden_count"] == 0 < n["critical_count"]
        ),
        lambda n: f"{n['coverage_ratio']:.0%} of {n['critical_count']:,.0f}",
    ),
    Target(
        "allocation overhead, with one datum",
        "allocation",
        "40 % lower",
        ">= 75 % lower",
        lambda n: n["datum_reduction_ratio"] >= 0.75,
        lambda n: (
            f"{_change(n['datum_reduction_ratio'])}"
            f" (whole {_signed(n['datum_whole_reduction_ratio'])},"
            f" unused {_signed(n['unused_reduction_ratio'])},"
            f" callback {_signed(n['callback_reduction_ratio'])})"
        ),
        "contexts that get one datum, beyond what it takes to put that there; in parentheses"
        " the change with that, of unused contexts, and of such with a callback whose owner"
        " is cleaned up",
    ),
    Target(
        "concurrent agents without leaks",
        "concurrency",
        "100",
        "10,000, nothing left",
        lambda n: n["left_count"] == 0 and n["held_count"] == 0 and n["peak_count"] >= 10_000,
        lambda n: f"{n['peak_count']:,.0f}, {n['left_count'] + n['held_count']:,.0f} objects left",
    ),
)

CHECKS = tuple(dict.fromkeys(target.check for target in TARGETS))
"""What has to be run, each once."""
