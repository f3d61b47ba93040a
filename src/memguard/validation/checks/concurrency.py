"""Ten thousand agents at the same time, and what they leave behind."""

import asyncio
import gc
import weakref
from collections.abc import Callable, Coroutine
from typing import Any

from memguard.guard.guard import Guard
from memguard.heap.scan import scan
from memguard.settings import GuardSettings
from memguard.validation.orchestrator import AgentContext

AGENT_COUNT = 10_000


def before() -> dict[str, float]:
    """Let contexts that refer to each other live at once."""

    async def run() -> None:
        parent = AgentContext("parent")

        async def work(number: int) -> None:
            context = AgentContext(f"agent-{number}", parent)
            born.append(weakref.ref(context))
            context.data.append(bytes(256))
            await everybody.wait()

        everybody = _Meeting(AGENT_COUNT, note)
        async with asyncio.TaskGroup() as tasks:
            for number in range(AGENT_COUNT):
                tasks.create_task(work(number))

    born: list[weakref.ref[Any]] = []
    alive_counts = [0]

    def note() -> None:
        alive_counts.append(_alive(born))

    left_count = _left_after(run)
    return {"left_count": left_count, "held_count": _held(born), "peak_count": max(alive_counts)}


def after() -> dict[str, float]:
    """Let as many guarded agents live at once."""
    guard = Guard(settings=GuardSettings(), max_parallel=AGENT_COUNT)
    born: list[weakref.ref[Any]] = []
    alive_counts = [0]

    def note() -> None:
        alive_counts.append(_alive(born))

    async def run() -> None:
        async def work() -> None:
            async with guard.delegate("helper") as context:
                born.append(weakref.ref(context))
                context.data.append(bytes(256))
                await everybody.wait()

        everybody = _Meeting(AGENT_COUNT, note)
        async with guard, guard.agent("planner"), asyncio.TaskGroup() as tasks:
            for _ in range(AGENT_COUNT):
                tasks.create_task(work())

    left_count = _left_after(run)
    return {"left_count": left_count, "held_count": _held(born), "peak_count": max(alive_counts)}


class _Meeting:
    """Lets all go on once the last one has come."""

    def __init__(self, count: int, on_all: Callable[[], object]) -> None:
        self._missing_count = count
        self._on_all = on_all
        self._all_here = asyncio.Event()

    async def wait(self) -> None:
        self._missing_count -= 1
        if self._missing_count == 0:
            self._on_all()
            self._all_here.set()
        await self._all_here.wait()


def _left_after(run: Callable[[], Coroutine[object, object, None]]) -> int:
    asyncio.run(_nothing())
    gc.collect()
    gc.disable()
    asyncio.run(_nothing())
    with scan("garbage", explain=False) as report:
        # What an event loop itself leaves, whoever runs in it.
        usual_count = report.unreachable_count
    gc.collect()
    asyncio.run(run())
    with scan("garbage", explain=False) as report:
        return max(0, report.unreachable_count - usual_count)


def _held(born: list["weakref.ref[Any]"]) -> int:
    """Count the contexts that somebody still refers to, once the garbage is gone."""
    gc.collect()
    return _alive(born)


def _alive(born: list["weakref.ref[Any]"]) -> int:
    return sum(reference() is not None for reference in born)


async def _nothing() -> None:
    """Run in a loop and do nothing."""
