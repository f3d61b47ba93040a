"""What a context costs: made anew as in the report, or taken from memguard's pool.

Both are timed in turns in each process, for machines are noisy; only their ratio is told.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

from memguard.agents.pool import AgentMemoryPool
from memguard.validation import baselines

ROUND_COUNT = 41
_COUNT = 4_000


def before() -> dict[str, float]:
    """Time the report's pool against making contexts anew."""
    pool = baselines.CompletedMemoryPool()
    return _reductions(pool.get_context, pool.return_context)


def after() -> dict[str, float]:
    """Time memguard's pool against the same."""
    pool = AgentMemoryPool()
    return _reductions(pool.get_context, pool.return_context)


def _reductions(
    get_context: Callable[[str], Any], return_context: Callable[[Any], object]
) -> dict[str, float]:
    make_context: Callable[[str], Any] = baselines.AgentContext

    def pair() -> None:
        for _ in range(_COUNT):
            return_context(get_context("agent"))

    def make_anew() -> None:
        for _ in range(_COUNT):
            make_context("agent")

    def used_pair() -> None:
        for number in range(_COUNT):
            context = get_context("agent")
            context.data.append(number)
            return_context(context)

    def make_and_use() -> None:
        for number in range(_COUNT):
            context = make_context("agent")
            context.data.append(number)

    return {
        "reduction_ratio": _reduction(pair, make_anew),
        "used_reduction_ratio": _reduction(used_pair, make_and_use),
        "round_count": ROUND_COUNT,
    }


def _reduction(pair: Callable[[], None], make_anew: Callable[[], None]) -> float:
    ratios = []
    for turn in range(ROUND_COUNT):
        # Who comes first changes, for a machine may get slower all the time.
        first, second = (pair, make_anew) if turn % 2 else (make_anew, pair)
        seconds = {work: _seconds(work) for work in (first, second)}
        ratios.append(seconds[pair] / seconds[make_anew])
    return 1 - statistics.median(ratios)


def _seconds(work: Callable[[], None]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun
