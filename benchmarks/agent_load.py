"""Run many agents at once, with the collector off, and tell what is left of them.

Usage: python -m benchmarks.agent_load [--agents N] [--concurrent N] [--depth N]
           [--failing RATIO] [--cancelled RATIO] [--seed N]

Roots run concurrently in asyncio; each has children, level by level, in a
TaskGroup. A share of the agents raises and a share is cancelled by a sibling
task. Prints one JSON object; the exit code is 1 if anything is left.
"""

import argparse
import asyncio
import contextlib
import gc
import json
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import psutil

import memguard


class AgentFailedError(Exception):
    """What a failing agent raises."""


@dataclass(frozen=True)
class Load:
    """What to run.

    Attributes:
        agent_count: Agents in all [count].
        concurrent_count: Agents that live at the same time, about [count].
        depth: Levels of agents [count].
        failing_ratio: Share of agents that raise [0 to 1].
        cancelled_ratio: Share of agents that are cancelled [0 to 1].
        seed: For which ones.
    """

    agent_count: int = 1_000_000
    concurrent_count: int = 10_000
    depth: int = 3
    failing_ratio: float = 0.05
    cancelled_ratio: float = 0.05
    seed: int = 1


@dataclass
class Outcome:
    """How the agents fared [count]."""

    done: int = 0
    failed: int = 0
    cancelled: int = 0
    hooked: int = 0
    wrong_current: int = 0

    def count_hook(self, _agent_id: object) -> None:
        """Count an agent that ended."""
        self.hooked += 1


class Runner:
    """Run one load under one manager."""

    def __init__(self, load: Load, manager: memguard.AgentLifecycleManager) -> None:
        self.load = load
        self.manager = manager
        self.outcome = Outcome()
        self._random = random.Random(load.seed)
        self._left = load.agent_count
        self._begun = 0

    async def run(self) -> Outcome:
        """Keep as many roots going as it takes, until all agents have begun."""
        # Each root keeps a family of two children a level alive.
        family = 2**self.load.depth - 1
        worker_count = max(1, self.load.concurrent_count // family)
        async with asyncio.TaskGroup() as workers:
            for _ in range(worker_count):
                workers.create_task(self._work())
        return self.outcome

    async def _work(self) -> None:
        while self._left > 0:
            # The family's errors end here; what they hold is dropped with them.
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.create_task(self._live(1))

    async def _live(self, level: int) -> None:
        if self._left <= 0:
            return
        self._left -= 1
        self._begun += 1
        fate = self._random.random()
        try:
            async with self.manager.agent(self._begun) as context:
                context.data.append({"level": level})
                context.callbacks.append(context.cleanup)
                if context.parent is not None:
                    context.parent.subtasks.append(context)
                await self._have_children(level)
                self.outcome.wrong_current += memguard.current_agent() is not context
                await self._meet(fate)
            self.outcome.done += 1
        except AgentFailedError:
            self.outcome.failed += 1
        except asyncio.CancelledError:
            self.outcome.cancelled += 1

    async def _have_children(self, level: int) -> None:
        if level < self.load.depth:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._live(level + 1))
                group.create_task(self._live(level + 1))

    async def _meet(self, fate: float) -> None:
        if fate < self.load.failing_ratio:
            raise AgentFailedError
        if fate < self.load.failing_ratio + self.load.cancelled_ratio:
            asyncio.current_task().cancel()
        await asyncio.sleep(0)


def _resident_bytes() -> int:
    return psutil.Process().memory_info().rss


def run_once(load: Load) -> dict[str, object]:
    """Run a load on a loop of its own; gives how it went."""
    manager = memguard.AgentLifecycleManager()
    runner = Runner(load, manager)
    # Not a method of the runner: it holds the manager, which holds its hooks.
    manager.on_cleanup(runner.outcome.count_hook)
    asyncio.run(runner.run())
    counts = asdict(manager.statistics())
    manager.close()
    return {**counts, **asdict(runner.outcome)}


def measure(load: Load) -> dict[str, object]:
    """Warm up, run, and give what is left behind."""
    warm_up = Load(
        agent_count=2 * load.concurrent_count,
        concurrent_count=load.concurrent_count,
        depth=load.depth,
        failing_ratio=load.failing_ratio,
        cancelled_ratio=load.cancelled_ratio,
    )
    gc.collect()
    gc.disable()
    # The second one finds tables and lists of freed objects as the real one does.
    for _ in range(2):
        run_once(warm_up)
    started, resident = time.perf_counter(), _resident_bytes()
    tracked, blocks = len(gc.get_objects()), sys.getallocatedblocks()
    counts = run_once(load)
    seconds, grown = time.perf_counter() - started, _resident_bytes() - resident
    blocks = sys.getallocatedblocks() - blocks
    tracked = len(gc.get_objects()) - tracked
    leftovers = memguard.scan("garbage")
    return {
        **counts,
        "duration_seconds": round(seconds, 2),
        "agents_per_second": round(load.agent_count / seconds),
        "unreachable_count": leftovers.unreachable_count,
        "unreachable_types": dict(leftovers.unreachable_types),
        "tracked_growth_count": tracked,
        "block_growth_count": blocks,
        "resident_growth_bytes": grown,
        "python": sys.version.split()[0],
    }


def is_clean(result: dict[str, object]) -> bool:
    """Whether every agent ended once, and nothing is left."""
    return (
        result["unreachable_count"] == 0
        and result["begun_count"] == result["finished_count"] == result["hooked"]
        and result["active_count"] == result["wrong_current"] == result["failure_count"] == 0
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Read arguments, run, print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    default = Load()
    parser.add_argument("--agents", type=int, default=default.agent_count)
    parser.add_argument("--concurrent", type=int, default=default.concurrent_count)
    parser.add_argument("--depth", type=int, default=default.depth)
    parser.add_argument("--failing", type=float, default=default.failing_ratio)
    parser.add_argument("--cancelled", type=float, default=default.cancelled_ratio)
    parser.add_argument("--seed", type=int, default=default.seed)
    given = parser.parse_args(arguments)
    result = measure(
        Load(
            given.agents,
            given.concurrent,
            given.depth,
            given.failing,
            given.cancelled,
            given.seed,
        )
    )
    print(json.dumps(result))
    return 0 if is_clean(result) else 1


if __name__ == "__main__":
    sys.exit(main())
