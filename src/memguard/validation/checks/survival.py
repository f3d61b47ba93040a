"""How many contexts outlive their request, and how often the collector has to run.

The collector is off until the load is done: what is left then is what only it frees.
"""

import gc
import weakref
from collections.abc import Iterator

from memguard.guard.guard import Guard
from memguard.settings import GuardSettings
from memguard.validation.orchestrator import AgentContext

BEFORE_COUNT = 100_000
"""Fewer, for each takes a kilobyte that stays."""

AFTER_COUNT = 1_000_000
MOST_PASSES = 5
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
    gc.collect()
    gc.disable()
    refs = [weakref.ref(each) for each in made]
    count = len(refs)
    refs = [ref for ref in refs if ref() is not None]
    survived_count = len(refs)
    passes = 0
    while refs and passes < MOST_PASSES:
        gc.collect()
        passes += 1
        refs = [ref for ref in refs if ref() is not None]
    return {
        "object_count": count,
        "survived_count": survived_count,
        "survived_ratio": survived_count / count,
        "pass_count": passes,
        "survived_passes_count": len(refs),
    }
