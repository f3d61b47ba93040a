"""How many contexts outlive their request, and how often the collector has to run.

The collector is off until the load is done: what is left then is what only it frees.
"""

from collections.abc import Iterator

from memguard.guard.guard import Guard
from memguard.heap.survival import measure_survival
from memguard.settings import GuardSettings
from memguard.validation.orchestrator import AgentContext

BEFORE_COUNT = 100_000
"""Fewer, for each takes a kilobyte that stays."""

AFTER_COUNT = 1_000_000
_TREE = 8


def before() -> dict[str, float]:
    """Run the pattern of the report's findings: contexts that refer to each other."""

    def make() -> Iterator[AgentContext]:
        for number in range(BEFORE_COUNT // _TREE):
            parent = AgentContext(f"request-{number}")
            yield parent
            for child in range(_TREE - 1):
                yield AgentContext(f"request-{number}.{child}", parent)

    return _survival(make())


def after() -> dict[str, float]:
    """Run as many guarded agents, in trees of the same size."""

    def make() -> Iterator[object]:
        with Guard(settings=GuardSettings()) as guard:
            for _ in range(AFTER_COUNT // _TREE):
                with guard.agent("request") as parent:
                    yield parent
                    for _ in range(_TREE - 1):
                        with guard.delegate("helper") as child:
                            parent.callbacks.append(child.data.clear)
                            yield child

    return _survival(make())


def _survival(made: Iterator[object]) -> dict[str, float]:
    found = measure_survival(made)
    return {
        "object_count": found.object_count,
        "survived_count": found.survived_count,
        "survived_ratio": found.survival_ratio,
        "pass_count": len(found.alive_counts) - 1,
        "survived_passes_count": found.alive_counts[-1],
    }
