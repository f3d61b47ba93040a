"""For how many of the critical delegations somebody was asked beforehand.

Counted where agents run, and not by what asks: each agent that is deeper than the
report allows without a person, against the questions that a person got.
"""

import random
from collections import Counter

from memguard.guard.guard import Guard
from memguard.oversight.requests import ApprovalRequest
from memguard.settings import GuardSettings
from memguard.validation import baselines

RUN_COUNT = 1_000
MOST_DEPTH = 9
CRITICAL_DEPTH = 4
"""The report: all delegations deeper than 4, and its code asks from 4 on."""

_SEED = 11


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
    """Delegate under a guard."""
    ran: Counter[tuple[str, ...]] = Counter()
    asked: Counter[tuple[str, ...]] = Counter()

    def approve(request: ApprovalRequest) -> bool:
        asked[request.chain] += 1
        return True

    def nest(names: tuple[str, ...], depth: int) -> None:
        if len(names) > depth:
            return
        names = (*names, f"agent{len(names)}")
        with guard.delegate(names[-1]) as agent:
            if agent.depth >= CRITICAL_DEPTH:
                ran[names] += 1
            nest(names, depth)

    with Guard(settings=GuardSettings(), approve=approve, max_depth=MOST_DEPTH) as guard:
        for depth in _depths():
            nest((), depth)
    return _coverage(ran.total(), asked.total(), (ran - asked).total())


def _depths() -> list[int]:
    chance = random.Random(_SEED)
    return [chance.randint(0, MOST_DEPTH) for _ in range(RUN_COUNT)]


def _coverage(critical_count: int, asked_count: int, unasked_count: int) -> dict[str, float]:
    return {
        "critical_count": critical_count,
        "asked_count": asked_count,
        "unasked_count": unasked_count,
        "coverage_ratio": min(1.0, asked_count / critical_count),
    }
