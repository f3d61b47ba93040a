"""What a guard costs: throughput of LangGraph and openai-agents with and without it.

Usage: python -m benchmarks.guard [NAME] [--pairs N] [--seconds N]

Each load runs in a process of its own, in blocks that are in turn bare, guarded,
guarded, bare, each about as long as a turn of the scheduler: what else the machine does
comes to both. Prints one JSON object. The models are fakes that answer at once, so that
a run is nothing but the library's work; a guarded run is one agent that delegates it to
another one. The collector is on. The guard is open all the time: its looks at memory
are measured by themselves.
"""

import argparse
import asyncio
import contextlib
import gc
import importlib
import importlib.util
import json
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.measure import require_release_build
from memguard import Guard
from memguard.settings import GuardSettings, PressureSettings

PAIRS = 1000
BLOCK_SECONDS = 0.01
_EMPTY = GuardSettings()
_NEVER_LOOKS = GuardSettings(pressure=PressureSettings(sample_seconds=3600))
_FOLDER = Path(__file__).parent.parent

Run = Callable[[], Awaitable[object]]
Way = Callable[[int, Guard | None], Awaitable[None]]
"""Does it so many times, guarded or not."""


def example(name: str) -> Any:
    """Load an example; those are programs, and in no package."""
    spec = importlib.util.spec_from_file_location(name, _FOLDER / "examples" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def each(run: Run, failure: type[BaseException] = ZeroDivisionError) -> Way:
    """Make runs one after the other; what they raise goes through the guard's blocks."""

    async def bare(count: int) -> None:
        for _ in range(count):
            with contextlib.suppress(failure):
                await run()

    async def guarded(count: int, guard: Guard) -> None:
        for _ in range(count):
            with contextlib.suppress(failure):
                async with guard.agent("planner"), guard.delegate("researcher"):
                    await run()

    async def way(count: int, guard: Guard | None) -> None:
        await (bare(count) if guard is None else guarded(count, guard))

    return way


def langgraph_compiling() -> Way:
    """The example's service: a graph for each request, the last node fails."""
    program = example("langgraph_agent")

    async def run() -> None:
        program.build_agent().invoke({"messages": [program.HumanMessage("question")]})

    return each(run, program.PolicyViolationError)


def langgraph_compiled() -> Way:
    """The same graph, compiled before."""
    program = example("langgraph_agent")
    graph = program.build_agent()

    async def run() -> None:
        graph.invoke({"messages": [program.HumanMessage("question")]})

    return each(run, program.PolicyViolationError)


def openai_agents() -> Way:
    """The example's agents, which hand over to each other twice."""
    program = example("openai_agent")
    program.set_tracing_disabled(True)
    return each(lambda: program.serve("question"))


def agents_without_work() -> Way:
    """Empty blocks, against as many of a semaphore."""

    async def way(count: int, guard: Guard | None) -> None:
        if guard is None:
            semaphore = asyncio.Semaphore(10)
            for _ in range(count):
                async with semaphore:
                    pass
            return
        for _ in range(count):
            async with guard.agent("agent"):
                pass

    return way


def children_without_work() -> Way:
    """The same for agents below another one."""
    agents = agents_without_work()

    async def way(count: int, guard: Guard | None) -> None:
        if guard is None:
            return await agents(count, None)
        async with guard.agent("planner"):
            for _ in range(count):
                async with guard.delegate("agent"):
                    pass
        return None

    return way


@dataclass(frozen=True, slots=True)
class Load:
    """What is run with a guard and without.

    Attributes:
        make: Prepares it.
        library: What has to be installed; "" for nothing.
        options: For the guard.
        is_empty: It is compared with a semaphore, for as long and not for as many runs.
    """

    make: Callable[[], Way]
    library: str = ""
    options: Callable[[], dict[str, Any]] = dict
    is_empty: bool = False


def _excluded() -> dict[str, Any]:
    # The circuit would open: every run fails.
    return {"exclude": [sys.modules["langgraph_agent"].PolicyViolationError]}


LOADS = {
    "LangGraph, a graph for each run": Load(langgraph_compiling, "langgraph", _excluded),
    "LangGraph, one graph": Load(langgraph_compiled, "langgraph", _excluded),
    "openai-agents": Load(openai_agents, "agents"),
    "agent()": Load(agents_without_work, "", lambda: {"settings": _EMPTY}, True),
    "agent(), no looks at memory": Load(
        agents_without_work, "", lambda: {"settings": _NEVER_LOOKS}, True
    ),
    'agent(), gc="bytes"': Load(
        agents_without_work, "", lambda: {"settings": _EMPTY, "gc": "bytes"}, True
    ),
    "delegate()": Load(children_without_work, "", lambda: {"settings": _EMPTY}, True),
}
"""By name."""


def is_available(name: str) -> bool:
    """Whether what a load needs is installed."""
    library = LOADS[name].library
    return not library or importlib.util.find_spec(library) is not None


@dataclass(frozen=True, slots=True)
class Block:
    """Seconds that a block took: by the clock, and of the processor."""

    seconds: float
    cpu_seconds: float


async def time_block(way: Way, count: int, guard: Guard | None) -> Block:
    """Run one block."""
    begun, cpu_begun = time.perf_counter(), time.process_time()
    await way(count, guard)
    return Block(time.perf_counter() - begun, time.process_time() - cpu_begun)


async def measure(name: str, pair_count: int, block_seconds: float) -> dict[str, Any]:
    """Run pairs of blocks, the order of every second pair turned round."""
    load = LOADS[name]
    way = load.make()
    async with Guard(**load.options()) as guard:
        bare_count = await count_for(way, block_seconds, None)
        guarded_count = await count_for(way, block_seconds, guard)
        if not load.is_empty:
            bare_count = guarded_count
        # Collections of what the libraries hold would come to one block and not the next.
        gc.collect()
        gc.freeze()
        pairs = []
        for number in range(pair_count):
            found = {}
            for is_guarded in (False, True) if number % 2 == 0 else (True, False):
                count = guarded_count if is_guarded else bare_count
                found[is_guarded] = await time_block(way, count, guard if is_guarded else None)
            pairs.append((found[False], found[True]))
    scale = bare_count / guarded_count
    return {
        "load": name,
        "pair_count": pair_count,
        "run_count": guarded_count,
        "bare_us": statistics.median(bare.seconds for bare, _ in pairs) / bare_count * 1e6,
        "guarded_us": statistics.median(each.seconds for _, each in pairs) / guarded_count * 1e6,
        "ratio": spread([guarded.seconds / bare.seconds * scale for bare, guarded in pairs]),
        "cpu_ratio": spread(
            [guarded.cpu_seconds / bare.cpu_seconds * scale for bare, guarded in pairs]
        ),
    }


async def count_for(way: Way, block_seconds: float, guard: Guard | None) -> int:
    """Find out how many runs a block takes, after one second of runs that import and cache."""
    warm_at = time.perf_counter() + 1.0
    while time.perf_counter() < warm_at:
        await way(1, guard)
    count = 1
    while (found := await time_block(way, count, guard)).seconds < block_seconds / 2:
        count *= 2
    return max(1, round(count * block_seconds / found.seconds))


def spread(ratios: list[float]) -> dict[str, float]:
    """Give the median, the quarters, and between what the true median is, 19 times of 20."""
    each = sorted(ratios)
    count = len(each)
    # Source: a median lies between order statistics n / 2 -+ 0.98 sqrt(n), by the binomial
    # distribution of how many are below it.
    margin = 0.98 * math.sqrt(count)
    least, most = max(0, math.floor(count / 2 - margin)), min(count, math.ceil(count / 2 + margin))
    lower, median, upper = statistics.quantiles([*each, *each], n=4, method="inclusive")
    return {
        "median": median,
        "lower_quarter": lower,
        "upper_quarter": upper,
        "from": each[least],
        "to": each[most - 1],
    }


def measure_looks(seconds: float) -> dict[str, Any]:
    """Look at memory a hundred times a second, and do nothing else."""
    every_seconds = 0.01
    settings = GuardSettings(pressure=PressureSettings(sample_seconds=every_seconds))
    with Guard(settings=settings) as guard:
        time.sleep(every_seconds)
        before, cpu_begun = guard.statistics().alerts.reading_count, time.process_time()
        time.sleep(seconds)
        look_count = guard.statistics().alerts.reading_count - before
        cpu_seconds = time.process_time() - cpu_begun
    return {"count": look_count, "cpu_us": cpu_seconds / max(1, look_count) * 1e6}


def measure_apart(name: str, *options: str) -> dict[str, Any]:
    """Do the same in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.guard", name, *options],
        cwd=_FOLDER,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise SystemExit(f"{name}: ended with exit code {done.returncode}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def main() -> None:
    """Measure one, or all that can be."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.guard")
    parser.add_argument("load", nargs="?", choices=LOADS, help="one load, in this process")
    parser.add_argument("--pairs", type=int, default=PAIRS, metavar="N", help="pairs of blocks")
    parser.add_argument(
        "--seconds", type=float, default=BLOCK_SECONDS, metavar="N", help="length of a block"
    )
    options = parser.parse_args()
    require_release_build()
    if options.load is not None:
        if not is_available(options.load):
            raise SystemExit(f"{options.load}: not installed; pip install -e '.[real]'")
        print(json.dumps(asyncio.run(measure(options.load, options.pairs, options.seconds))))
        return
    answers = []
    for name in LOADS:
        if is_available(name):
            sizes = ("--pairs", str(options.pairs), "--seconds", str(options.seconds))
            answers.append(measure_apart(name, *sizes))
        else:
            print(f"{name} is left out: pip install -e '.[real]'", file=sys.stderr)
    looks = measure_looks(options.seconds * 200)
    print(json.dumps({"loads": answers, "look": looks}))


if __name__ == "__main__":
    main()
