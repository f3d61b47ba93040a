"""For how many of the critical delegations somebody was asked beforehand.

Counted where agents run, and not by what asks: each agent that is deeper than the
report allows without a person has to have got a yes before it began.
"""

import random
from collections import Counter

from memguard.admission.refusals import ApprovalDenied
from memguard.guard.guard import Guard
from memguard.oversight.requests import ApprovalRequest
from memguard.settings import GuardSettings
from memguard.validation import baselines

RUN_COUNT = 1_000
MOST_DEPTH = 9
CRITICAL_DEPTH = 4
"""The report: all delegations deeper than 4, and its code asks from 4 on."""

_SEED = 11
_DENIED_SHARE = 0.1


def before() -> dict[str, float]:
    """Delegate with the report's classes as they stand: nothing calls the one that asks."""
    breaker = baselines.DelegationCircuitBreaker(max_depth=MOST_DEPTH + 1)
    questions: list[str] = []

    oversight = baselines.HumanOversightManager()
    # Where its questions would go.
    oversight._request_approval = questions.append  # type: ignore[method-assign]
    critical_count = 0
    for depth in _depths():
        for task in range(depth + 1):
            if breaker.can_delegate(task, "agent"):
                breaker.active_delegations[task + 1] = task
                critical_count += task >= CRITICAL_DEPTH
                breaker.active_delegations.pop(task + 1)
    return _coverage(critical_count, len(questions), critical_count - len(questions))


def after() -> dict[str, float]:
    """Delegate under a guard, to a person who denies one in ten."""
    chance = random.Random(_SEED)
    answers: dict[tuple[str, ...], bool] = {}
    counts: Counter[str] = Counter()

    def approve(request: ApprovalRequest) -> bool:
        counts["asked"] += 1
        is_approved = chance.random() >= _DENIED_SHARE
        answers[request.chain] = is_approved
        counts["denied"] += not is_approved
        return is_approved

    def nest(names: tuple[str, ...], depth: int) -> None:
        if len(names) > depth:
            return
        names = (*names, f"agent{len(names)}")
        is_critical = len(names) > CRITICAL_DEPTH
        counts["critical"] += is_critical
        try:
            with guard.delegate(names[-1]):
                if is_critical:
                    # An answer that came before this one began, and for no other one.
                    answer = answers.pop(names, None)
                    counts["unasked"] += answer is None
                    counts["forbidden"] += answer is False
                nest(names, depth)
        except ApprovalDenied:
            answers.pop(names, None)
            # What would have run below it does not come to be asked for.
            counts["critical"] += depth + 1 - len(names)
            counts["spared"] += depth + 1 - len(names)

    with Guard(settings=GuardSettings(), approve=approve, max_depth=MOST_DEPTH) as guard:
        for depth in _depths():
            nest((), depth)
    found = _coverage(counts["critical"], counts["asked"] + counts["spared"], counts["unasked"])
    return found | {"denied_count": counts["denied"], "forbidden_count": counts["forbidden"]}


def _depths() -> list[int]:
    chance = random.Random(_SEED)
    return [chance.randint(0, MOST_DEPTH) for _ in range(RUN_COUNT)]


def _coverage(critical_count: int, asked_count: int, unasked_count: int) -> dict[str, float]:
    return {
        "critical_count": critical_count,
        "asked_count": asked_count,
        "unasked_count": unasked_count,
        "forbidden_count": 0,
        "coverage_ratio": min(1.0, asked_count / critical_count),
    }
