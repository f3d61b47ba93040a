"""What going in and out costs, beside semaphores, limiters and breakers.

Usage: python -m benchmarks.admission

Prints one JSON object. All are measured in turn in one process, each entering and
leaving at once where nobody else is.
"""

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

from benchmarks.measure import measure, require_release_build
from memguard.admission.breaker import DelegationCircuitBreaker
from memguard.admission.limits import AgentLimits

PAIRS = 500
"""In and out in one round [count]: shorter than a turn of the scheduler, so that most
rounds are not interrupted by what else runs."""


def _nothing() -> None:
    pass


async def _nothing_async() -> None:
    pass


async def _empty_loop() -> None:
    for _ in range(PAIRS):
        await _nothing_async()


async def _semaphore() -> None:
    semaphore = asyncio.Semaphore(10)
    for _ in range(PAIRS):
        async with semaphore:
            pass


async def _semaphore_calls() -> None:
    semaphore = asyncio.Semaphore(10)
    for _ in range(PAIRS):
        await semaphore.acquire()
        semaphore.release()


async def _capacity_limiter() -> None:
    import anyio

    limiter = anyio.CapacityLimiter(10)
    for _ in range(PAIRS):
        async with limiter:
            pass


async def _in_task(breaker: DelegationCircuitBreaker) -> None:
    for _ in range(PAIRS):
        async with breaker.delegate("agent"):
            pass


async def _memguard() -> None:
    await _in_task(DelegationCircuitBreaker())


async def _memguard_waiting() -> None:
    breaker = DelegationCircuitBreaker()
    for _ in range(PAIRS):
        async with breaker.delegate("agent", wait_seconds=30):
            pass


async def _memguard_below() -> None:
    breaker = DelegationCircuitBreaker()
    async with breaker.delegate("a"), breaker.delegate("b"), breaker.delegate("c"):
        await _in_task(breaker)


async def _memguard_all_limits() -> None:
    breaker = DelegationCircuitBreaker(
        max_children=10**9,
        max_descendants=10**9,
        max_live=1000,
        max_repeats=1,
        max_bytes=10**9,
        default_cost_bytes=1000,
        agents={"agent": AgentLimits(max_live=100)},
    )
    async with breaker.delegate("a"):
        await _in_task(breaker)


async def _memguard_listening() -> None:
    from memguard.events import Event

    breaker = DelegationCircuitBreaker()
    breaker.events.subscribe(Event, id)
    await _in_task(breaker)


def _memguard_sync() -> None:
    breaker = DelegationCircuitBreaker()
    for _ in range(PAIRS):
        with breaker.delegate("agent"):
            pass


def _memguard_decorated() -> None:
    call = DelegationCircuitBreaker().delegate("agent")(_nothing)
    for _ in range(PAIRS):
        call()


def _pybreaker_call() -> None:
    import pybreaker

    breaker = pybreaker.CircuitBreaker()
    for _ in range(PAIRS):
        breaker.call(_nothing)


def _pybreaker_block() -> None:
    import pybreaker

    breaker = pybreaker.CircuitBreaker()
    for _ in range(PAIRS):
        with breaker.calling():
            pass


def _run(make: Callable[[], Coroutine[Any, Any, None]], loop: Any) -> Callable[[], None]:
    def run() -> None:
        loop.run_until_complete(make())

    return run


def compare() -> dict[str, Any]:
    """Measure all of them [s for one pair]."""
    require_release_build()
    loop = asyncio.new_event_loop()
    calls: dict[str, Callable[[], object]] = {
        "an empty coroutine": _run(_empty_loop, loop),
        "asyncio.Semaphore, async with": _run(_semaphore, loop),
        "asyncio.Semaphore, acquire() and release()": _run(_semaphore_calls, loop),
        "anyio.CapacityLimiter, async with": _run(_capacity_limiter, loop),
        "pybreaker, call()": _pybreaker_call,
        "pybreaker, with calling()": _pybreaker_block,
        "memguard, async with": _run(_memguard, loop),
        "memguard, async with, ready to wait": _run(_memguard_waiting, loop),
        "memguard, async with, below three others": _run(_memguard_below, loop),
        "memguard, async with, all limits set": _run(_memguard_all_limits, loop),
        "memguard, async with, somebody listens": _run(_memguard_listening, loop),
        "memguard, with": _memguard_sync,
        "memguard, decorator": _memguard_decorated,
    }
    try:
        measured = measure(calls, least_rounds=201, least_seconds=10.0, most_rounds=1001)
    finally:
        loop.close()
    return {
        "pair_count": PAIRS,
        "round_count": len(measured.rounds["memguard, with"]),
        "seconds": {name: measured.median_seconds(name) / PAIRS for name in calls},
    }


if __name__ == "__main__":
    print(json.dumps(compare()))
