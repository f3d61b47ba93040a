"""Run something again and again, and tell what grows with each run.

Covers: the runs, of functions and of coroutine functions.
Does not cover: the looks between them (``tracker``).
"""

from collections.abc import Awaitable, Callable
from types import CoroutineType
from typing import Any, TypeGuard

from memguard.errors import LimitOutOfRangeError, WouldBlockLoopError
from memguard.heap.arguments import wrong_type
from memguard.heap.growth.report import GrowthReport
from memguard.heap.growth.tracker import GrowthTracker
from memguard.heap.growth.trend import LEAST_LOOKS
from memguard.heap.names import bases_of, namespace_of

_MOST_LOOKS = 50
_OF_COROUTINES = {"__await__", "send", "throw", "close"}


def growth(
    function: Callable[[], object],
    runs: int = 50,
    *,
    warmup: int = 10,
    floor: int = 4,
    collect: bool = True,
) -> GrowthReport:
    """Tell what grows with each run of a function.

    What a run returns is dropped before the look that follows it. Coroutines run one
    after another in one event loop, which lives as long as the measurement, as in
    a service; what waits there is looked at where it waits.

    Args:
        function: What to run; give ``lambda: handle(request)`` for arguments.
        runs: How often, after the warm-up [count, >= 7].
        warmup: Runs before the first look [count, >= 1].
        floor: Containers are seen once they have so many entries [count, >= 1].
        collect: Let the collector run before each look.

    Returns:
        What grew steadily, containers first.

    Raises:
        WrongTypeError: *function* cannot be called.
        LimitOutOfRangeError: A number is out of range.
        MemoryError: A native table could not be had.
        WouldBlockLoopError: *function* makes coroutines, and an event loop runs in
            this thread; call it in another one.
        Exception: Whatever *function* raises.

    Cost:
        The runs, and at most 51 looks: with a million objects up to 1.5 times a ``gc.collect()``
        each, 0.3 to 0.5 without *collect*; see ``benchmarks/growth.py``.
    """
    if not callable(function):
        raise wrong_type("function", function, "a function without arguments, or a lambda")
    if type(runs) is not int or runs < LEAST_LOOKS - 1:
        raise LimitOutOfRangeError("runs", runs, f"a whole number of at least {LEAST_LOOKS - 1}")
    if type(warmup) is not int or warmup < 1:
        raise LimitOutOfRangeError("warmup", warmup, "a whole number of at least 1")
    tracker = GrowthTracker("run", floor=floor, collect=collect, warmup_looks=0)
    plan = _looks_after(runs, warmup)
    first = function()
    if _is_coroutine(first):
        return _run_in_loop(first, function, plan, tracker)
    del first
    for number in range(1, warmup + runs + 1):
        if number > 1:
            function()
        if number in plan:
            tracker.observe(plan[number])
    return tracker.report(function)


def _is_coroutine(thing: object) -> "TypeGuard[CoroutineType[Any, Any, Any]]":
    """Tell it without the class that it says to have; what Cython makes is one, too."""
    names = {name for cls in bases_of(type(thing)) for name in namespace_of(cls)}
    return names >= _OF_COROUTINES


def _looks_after(runs: int, warmup: int) -> dict[int, int]:
    """Say after which runs to look, and how many runs after the warm-up that is."""
    stride = -(-runs // _MOST_LOOKS)
    return {warmup + number: number for number in range(0, runs + 1, stride)}


def _run_in_loop(
    first: "CoroutineType[Any, Any, Any]",
    function: Callable[[], object],
    plan: dict[int, int],
    tracker: GrowthTracker,
) -> GrowthReport:
    import asyncio

    if asyncio._get_running_loop() is not None:
        first.close()
        raise WouldBlockLoopError(
            "growth() of a coroutine function", "asyncio.to_thread(memguard.growth, function)"
        )
    waiting: list[Awaitable[object]] = [first]
    del first

    async def run_all() -> GrowthReport:
        for number in range(1, max(plan) + 1):
            await (waiting.pop() if waiting else function())  # type: ignore[misc]
            # What was cancelled or closed ends in the turns that follow.
            for _ in range(3):
                await asyncio.sleep(0)
            if number in plan:
                tracker.observe(plan[number])
        # While the loop is there: it is what holds timers and tasks.
        return tracker.report(function)

    try:
        with asyncio.Runner() as runner:
            return runner.run(run_all())
    finally:
        for coroutine in waiting:
            coroutine.close()  # type: ignore[attr-defined]
