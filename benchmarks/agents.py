"""Contexts, pools, registries and lifecycles, side by side.

Usage: python -m benchmarks.agents

Prints one JSON object for each operation and each of three situations: one
thread, eight threads that share what is measured, and a thousand tasks that
wait once in the middle of each operation. All ways to do it are measured in
turn, in one process, with automatic collection off. Where one thread does all,
its own processor time is measured: nothing waits there, and what else runs on
the machine is not in it.
"""

import asyncio
import collections
import gc
import json
import operator
import queue
import statistics
import textwrap
import threading
import time
import weakref
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any

import memguard
from benchmarks.measure import measure_timed, require_release_build
from benchmarks.native import load_floor
from benchmarks.ways import LOOP, OPERATIONS, Operation, Way
from memguard.validation import baselines

COUNT = 24_000
"""Operations of one round."""
THREADS_COUNT = 4 * COUNT
"""The same of all threads together: so many that they take turns within a round."""
THREADS = 8
TASKS = 1_000
LEAST_ROUNDS = 11

SOURCE = """\
def prepare():
{prepare}

    def run(task_ids):
        for task_id in task_ids:
{begin}
{end}

    async def run_task(task_ids):
        for task_id in task_ids:
{begin}
            await wait()
{end}

    return run, run_task
"""


Run = Callable[[list[str]], None]
RunTask = Callable[[list[str]], Awaitable[None]]
Prepare = Callable[[], tuple[Run, RunTask]]


class Agent:
    """Somebody to be registered."""

    __slots__ = ("__weakref__",)


def _compile(way: Way, names: dict[str, Any]) -> Prepare:
    source = SOURCE.format(
        prepare=textwrap.indent(way.prepare or "pass", " " * 4),
        begin=textwrap.indent(way.begin, " " * 12),
        end=textwrap.indent(way.end, " " * 12),
    )
    namespace = dict(names)
    exec(compile(source, f"<{way.name}>", "exec"), namespace)
    return namespace["prepare"]


def _parts(count: int, part_count: int) -> list[list[str]]:
    task_ids = [f"task-{number}" for number in range(count)]
    return [task_ids[number::part_count] for number in range(part_count)]


def one_thread_seconds(prepare: Prepare) -> float:
    """Run all in a plain loop."""
    run, _ = prepare()
    (task_ids,) = _parts(COUNT, 1)
    begun = time.thread_time()
    run(task_ids)
    return (time.thread_time() - begun) / COUNT


def threads_seconds(prepare: Prepare) -> float:
    """Run a share in each thread, from when all are ready until the last is done."""
    run, _ = prepare()
    ready = threading.Barrier(THREADS + 1)
    failures: list[Exception] = []

    def work(task_ids: list[str]) -> None:
        ready.wait()
        try:
            run(task_ids)
        except Exception as failure:
            failures.append(failure)

    threads = [
        threading.Thread(target=work, args=(part,)) for part in _parts(THREADS_COUNT, THREADS)
    ]
    for thread in threads:
        thread.start()
    ready.wait()
    begun = time.perf_counter()
    for thread in threads:
        thread.join()
    elapsed_seconds = time.perf_counter() - begun
    if failures:
        raise ExceptionGroup("threads failed", failures)
    return elapsed_seconds / THREADS_COUNT


def tasks_seconds(prepare: Prepare) -> float:
    """Run a share in each task, from their creation until the last is done."""
    _, run_task = prepare()
    parts = _parts(COUNT, TASKS)

    async def main() -> float:
        begun = time.thread_time()
        await asyncio.gather(*(run_task(part) for part in parts))
        return (time.thread_time() - begun) / COUNT

    return asyncio.run(main())


SITUATIONS: dict[str, Callable[[Prepare], float]] = {
    "one thread": one_thread_seconds,
    f"{THREADS} threads": threads_seconds,
    f"{TASKS:,} tasks": tasks_seconds,
}


def compare(operation: Operation, situation: str, names: dict[str, Any]) -> dict[str, object]:
    """Measure all ways to do an operation; gives seconds for each time it is done.

    The loop is taken off round by round, which is fairer than to subtract
    medians: what slows a round down slows both.
    """
    names = {**names, "COUNT": THREADS_COUNT if situation == f"{THREADS} threads" else COUNT}
    timers = {
        way.name: partial(SITUATIONS[situation], _compile(way, names)) for way in operation.ways
    }
    measured = measure_timed(timers, least_rounds=LEAST_ROUNDS, least_seconds=3.0)
    loops = measured.rounds[LOOP]
    return {
        "operation": operation.name,
        "situation": situation,
        "loop_seconds": measured.median_seconds(LOOP),
        "seconds": {
            name: statistics.median(map(operator.sub, rounds, loops))
            for name, rounds in measured.rounds.items()
            if name != LOOP
        },
    }


def agents() -> Iterator[dict[str, object]]:
    """Measure every operation in every situation."""
    require_release_build()
    names = {
        "Agent": Agent,
        "METADATA": {"role": "researcher"},
        "collections": collections,
        "floor": load_floor(),
        "memguard": memguard,
        "queue": queue,
        "report": baselines,
        "wait": partial(asyncio.sleep, 0),
        "weakref": weakref,
    }
    gc.collect()
    gc.freeze()
    for situation in SITUATIONS:
        for operation in OPERATIONS:
            yield compare(operation, situation, names)


if __name__ == "__main__":
    for answer in agents():
        print(json.dumps(answer), flush=True)
