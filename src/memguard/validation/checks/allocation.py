"""What a context costs: made anew as in the report, or taken from memguard's pool.

Both are timed in turns in each process, for machines are noisy; only their ratio is told.
Judged by contexts that get one datum, as agents' do; beside it stand contexts that are
given back unused, and such that get a callback as well, whose owner is cleaned up.
Overhead is what a loop takes beyond one that puts the same into a context that is there
already; how whole loops compare is told, too.
"""

import statistics
import time
from collections.abc import Callable
from itertools import repeat
from typing import Any

from memguard.agents.pool import AgentMemoryPool
from memguard.validation import baselines

ROUND_COUNT = 101
_COUNT = 4_000
_DATUM = "a finding"


class _Owner:
    """Whom a callback belongs to."""

    def on_done(self) -> None:
        """Be called."""

    def cleanup(self) -> None:
        """Be cleaned up."""


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
    owner = _Owner()
    there = make_context("agent")

    def loop() -> None:
        for _ in repeat(None, _COUNT):
            pass

    def put_datum() -> None:
        there.data.clear()
        for _ in repeat(None, _COUNT):
            context = there
            context.data.append(_DATUM)

    def put_callback() -> None:
        there.data.clear()
        there.callbacks.clear()
        for _ in repeat(None, _COUNT):
            context = there
            context.data.append(_DATUM)
            context.callbacks.append(owner.on_done)

    def pair() -> None:
        for _ in repeat(None, _COUNT):
            return_context(get_context("agent"))

    def make() -> None:
        for _ in repeat(None, _COUNT):
            make_context("agent")

    def pair_with_datum() -> None:
        for _ in repeat(None, _COUNT):
            context = get_context("agent")
            context.data.append(_DATUM)
            return_context(context)

    def make_with_datum() -> None:
        for _ in repeat(None, _COUNT):
            context = make_context("agent")
            context.data.append(_DATUM)

    def pair_with_callback() -> None:
        for _ in repeat(None, _COUNT):
            context = get_context("agent")
            context.data.append(_DATUM)
            context.callbacks.append(owner.on_done)
            return_context(context)

    def make_with_callback() -> None:
        for _ in repeat(None, _COUNT):
            context = make_context("agent")
            context.data.append(_DATUM)
            context.callbacks.append(owner.on_done)
            # Else its owner is not cleaned up, as it is on the other side.
            context.cleanup()

    datum, datum_whole = _reduction(pair_with_datum, make_with_datum, put_datum)
    unused, unused_whole = _reduction(pair, make, loop)
    callback, callback_whole = _reduction(pair_with_callback, make_with_callback, put_callback)
    return {
        "datum_reduction_ratio": datum,
        "datum_whole_reduction_ratio": datum_whole,
        "unused_reduction_ratio": unused,
        "unused_whole_reduction_ratio": unused_whole,
        "callback_reduction_ratio": callback,
        "callback_whole_reduction_ratio": callback_whole,
        "round_count": ROUND_COUNT,
    }


def _reduction(
    pair: Callable[[], None], make_anew: Callable[[], None], use: Callable[[], None]
) -> tuple[float, float]:
    """Say by how much a pair's overhead is lower, and the whole of its loop."""
    ratios, whole_ratios = [], []
    for turn in range(ROUND_COUNT):
        # Who comes first changes, for a machine may get slower all the time.
        order = (pair, use, make_anew) if turn % 2 else (make_anew, use, pair)
        seconds = {work: _seconds(work) for work in order}
        whole_ratios.append(seconds[pair] / seconds[make_anew])
        # One that was interrupted in the loop without contexts says nothing.
        if seconds[make_anew] > seconds[use]:
            ratios.append((seconds[pair] - seconds[use]) / (seconds[make_anew] - seconds[use]))
    return 1 - statistics.median(ratios), 1 - statistics.median(whole_ratios)


def _seconds(work: Callable[[], None]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun
