"""How many memory alerts are false, on readings whose truth is known."""

from memguard.validation.readings import Rule, memguard_rule, report_rule_once, score, synthetic

SERIES_COUNT = 10
"""Of 10,000 readings each: one alone has some forty true alerts, too few for a share."""


def before() -> dict[str, float]:
    """Alert at each rise, by the report's thresholds."""
    return _share(report_rule_once)


def after() -> dict[str, float]:
    """Alert as memguard does."""
    return _share(memguard_rule)


def _share(rule: Rule) -> dict[str, float]:
    scores = []
    for seed in range(1, SERIES_COUNT + 1):
        readings = synthetic(seed)
        scores.append(score(readings, rule([reading.value for reading in readings])))
    alert_count = sum(found.alert_count for found in scores)
    return {
        "series_count": SERIES_COUNT,
        "alert_count": alert_count,
        "false_ratio": sum(found.false_count for found in scores) / max(1, alert_count),
        "missed_count": sum(found.missed_count for found in scores),
    }
