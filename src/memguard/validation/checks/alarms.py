"""How many memory alerts are false, on readings whose truth is known.

Spikes last one to five readings. Five that are beyond a level add up to
``alerts.evidence_points``, which can be called sustained pressure; judged by is that they
are none, and what comes of the other view is told beside it.
"""

from memguard.settings import AlertSettings
from memguard.validation.readings import (
    Rule,
    memguard_rule,
    report_rule_once,
    score,
    synthetic,
    with_sustained,
)

SERIES_COUNT = 60
"""Of 10,000 readings each: one alone has some forty true alerts, too few for a share."""

LONGEST_SPIKE_COUNT = 5


def before() -> dict[str, float]:
    """Alert at each rise, by the report's thresholds."""
    return _share(report_rule_once)


def after() -> dict[str, float]:
    """Alert as memguard does."""
    return _share(memguard_rule)


def _share(rule: Rule) -> dict[str, float]:
    settings = AlertSettings()
    sustained_count = round(settings.evidence_points / settings.reading_points)
    scores, sustained_scores = [], []
    for seed in range(1, SERIES_COUNT + 1):
        readings = synthetic(seed, LONGEST_SPIKE_COUNT)
        told = rule([reading.value for reading in readings])
        scores.append(score(readings, told))
        sustained_scores.append(score(with_sustained(readings, sustained_count), told))
    alert_count = sum(found.alert_count for found in scores)
    return {
        "series_count": SERIES_COUNT,
        "longest_spike_count": LONGEST_SPIKE_COUNT,
        "alert_count": alert_count,
        "false_ratio": sum(found.false_count for found in scores) / max(1, alert_count),
        "sustained_false_ratio": sum(found.false_count for found in sustained_scores)
        / max(1, alert_count),
        "owed_count": sum(found.owed_count for found in scores),
        "missed_count": sum(found.missed_count for found in scores),
    }
