"""What a context costs: made anew as in the report, or taken from memguard's pool.

Both are timed in turns in each process, for machines are noisy; only their ratio is told.
"""

import statistics
import time
from collections.abc import Callable

from memguard.agents.pool import AgentMemoryPool
from memguard.validation import baselines

ROUND_COUNT = 41
_COUNT = 4_000


def before() -> dict[str, float]:
    """Time the report's pool against making contexts anew."""
    pool = baselines.CompletedMemoryPool()

    def pair() -> None:
        for _ in range(_COUNT):
            pool.return_context(pool.get_context("agent"))

    return _reduction(pair)


def after() -> dict[str, float]:
    """Time memguard's pool against the same."""
    pool = AgentMemoryPool()
    get_context, return_context = pool.get_context, pool.return_context

    def pair() -> None:
        for _ in range(_COUNT):
            return_context(get_context("agent"))

    return _reduction(pair)


def _make_anew() -> None:
    context_class: Callable[[str], object] = baselines.AgentContext
    for _ in range(_COUNT):
        context_class("agent")


def _reduction(pair: Callable[[], None]) -> dict[str, float]:
    ratios = []
    for turn in range(ROUND_COUNT):
        # Who comes first changes, for a machine may get slower all the time.
        first, second = (pair, _make_anew) if turn % 2 else (_make_anew, pair)
        seconds = {work: _seconds(work) for work in (first, second)}
        ratios.append(seconds[pair] / seconds[_make_anew])
    ratio = statistics.median(ratios)
    return {"reduction_ratio": 1 - ratio, "round_count": ROUND_COUNT}


def _seconds(work: Callable[[], None]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun
