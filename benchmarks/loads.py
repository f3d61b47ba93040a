"""Programs whose agents hold bytes in cycles: the loads for profiles of the collector.

Usage: python -m benchmarks.loads LOAD PROFILE [SECONDS]

Prints one JSON object: peak of resident memory above the start, pauses, share of the
time, runs a second. Each agent holds 1 MB and waits 20 to 60 ms for its "model".
"""

import asyncio
import contextlib
import gc
import importlib.util
import json
import random
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypedDict

from memguard.pressure.allocator import trim_malloc
from memguard.pressure.collector import ConfiguredCollector, configure_optimized_gc
from memguard.pressure.files import read_named
from memguard.pressure.memory import read_memory
from memguard.pressure.pauses import PauseRecorder

AGENT_COUNT = 50
AGENT_BYTES = 1_000_000
WARM_UP_SECONDS = 0.5

Agent = Callable[[random.Random], Awaitable[object]]


class FailedError(Exception):
    """What a tool raises."""


def payload() -> bytes:
    """Make what an agent holds; every page of it is written."""
    return b"x" * AGENT_BYTES


async def model(chance: random.Random) -> None:
    """Wait as for a model's answer."""
    await asyncio.sleep(chance.uniform(0.02, 0.06))


def make_parent_child() -> Agent:
    """Contexts that know their parent, their subtasks and their callbacks."""

    class Context:
        def __init__(self, parent: "Context | None" = None) -> None:
            self.parent = parent
            self.subtasks: list[Context] = []
            self.callbacks = [self.done]
            self.data: bytes = b""
            if parent is not None:
                parent.subtasks.append(self)

        def done(self) -> None:
            """Do what a callback would."""

    async def agent(chance: random.Random) -> None:
        root = Context()
        root.data = payload()
        for _ in range(3):
            Context(root)
        await model(chance)

    return agent


def make_small_parts() -> Agent:
    """The same bytes in small strings, which ``malloc`` does not see."""

    class Context:
        def __init__(self) -> None:
            self.me = self
            self.words: list[str] = []

    async def agent(chance: random.Random) -> None:
        context = Context()
        context.words = [f"word {chance.random()}" for _ in range(AGENT_BYTES // 90)]
        await model(chance)

    return agent


def make_no_cycles() -> Agent:
    """Nothing that needs the collector."""

    async def agent(chance: random.Random) -> int:
        data = payload()
        await model(chance)
        return len(data)

    return agent


def make_task_group(failing: float) -> Agent:
    """A group of tasks, one of which fails now and then."""

    async def leaf(data: bytes, chance: random.Random) -> int:
        await model(chance)
        if chance.random() < failing:
            raise FailedError
        return len(data)

    async def agent(chance: random.Random) -> None:
        data = payload()
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(3):
                    group.create_task(leaf(data, chance))
        except* FailedError:
            pass

    return agent


def make_langgraph(failing: float) -> Agent:
    """A compiled graph of LangGraph, a node of which fails now and then."""
    from langgraph.graph import END, START, StateGraph

    class State(TypedDict):
        data: bytes
        chance: random.Random

    async def work(state: State) -> dict[str, Any]:
        await model(state["chance"])
        if state["chance"].random() < failing:
            raise FailedError
        return {"data": state["data"]}

    builder = StateGraph(State)
    builder.add_node("work", work)
    builder.add_edge(START, "work")
    builder.add_edge("work", END)
    graph = builder.compile()

    async def agent(chance: random.Random) -> None:
        with contextlib.suppress(FailedError):
            await graph.ainvoke({"data": payload(), "chance": chance})

    return agent


def make_openai_agents(failing: float) -> Agent:
    """An agent of openai-agents whose model fails now and then; no network is used."""
    from agents import Agent as SdkAgent
    from agents import ModelResponse, RunConfig, Runner, Usage
    from agents.models.interface import Model
    from openai.types.responses import ResponseOutputMessage, ResponseOutputText

    class Fake(Model):
        async def get_response(self, *_: Any, **__: Any) -> ModelResponse:
            chance = random
            await asyncio.sleep(chance.uniform(0.02, 0.06))
            if chance.random() < failing:
                raise FailedError
            text = ResponseOutputText(annotations=[], text="done", type="output_text")
            message = ResponseOutputMessage(
                id="1", content=[text], role="assistant", status="completed", type="message"
            )
            return ModelResponse(output=[message], usage=Usage(), response_id="1")

        def stream_response(self, *_: Any, **__: Any) -> Any:
            raise NotImplementedError

    shared: Any = SdkAgent(name="worker", model=Fake())

    async def agent(_: random.Random) -> None:
        with contextlib.suppress(FailedError):
            await Runner.run(
                shared, "work", context=payload(), run_config=RunConfig(tracing_disabled=True)
            )

    return agent


LOADS: dict[str, tuple[str, Callable[[], Agent]]] = {
    "parent-child": ("", make_parent_child),
    "small parts": ("", make_small_parts),
    "no cycles": ("", make_no_cycles),
    "TaskGroup, 5 % fail": ("", lambda: make_task_group(0.05)),
    "TaskGroup, 20 % fail": ("", lambda: make_task_group(0.20)),
    "LangGraph, 0 % fail": ("langgraph", lambda: make_langgraph(0.0)),
    "LangGraph, 5 % fail": ("langgraph", lambda: make_langgraph(0.05)),
    "LangGraph, 50 % fail": ("langgraph", lambda: make_langgraph(0.50)),
    "openai-agents, 5 % fail": ("agents", lambda: make_openai_agents(0.05)),
    "openai-agents, 20 % fail": ("agents", lambda: make_openai_agents(0.20)),
}
"""By name: the library that is needed, and what makes one agent."""


def available_loads() -> list[str]:
    """Give the loads whose library is installed."""
    return [
        name
        for name, (library, _) in LOADS.items()
        if not library or importlib.util.find_spec(library) is not None
    ]


class Peak:
    """The largest resident size since it was made, as the kernel keeps it."""

    def __init__(self) -> None:
        # Source: proc_pid_clear_refs(5): 5 sets the peak back to what is resident now.
        Path("/proc/self/clear_refs").write_text("5")

    def read_bytes(self) -> int:
        return read_named(Path("/proc/self/status"), {"VmHWM"})["VmHWM"] * 1024


async def run_agents(agent: Agent, seconds: float, chance: random.Random) -> int:
    """Keep `AGENT_COUNT` agents running for some time; gives how many ran."""
    end = time.perf_counter() + seconds
    count = 0

    async def worker() -> None:
        nonlocal count
        while time.perf_counter() < end:
            await agent(chance)
            count += 1

    await asyncio.gather(*(worker() for _ in range(AGENT_COUNT)))
    return count


def set_up(profile: str) -> ConfiguredCollector | None:
    """Set the collector up; "freeze and raise" is an advice that is often given."""
    if profile == "freeze and raise":
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 100)
        return None
    return configure_optimized_gc(profile)


async def measure(load: str, profile: str, seconds: float) -> dict[str, Any]:
    """Run one load under one profile."""
    chance = random.Random(1)
    agent = LOADS[load][1]()
    await run_agents(agent, WARM_UP_SECONDS, chance)
    # All profiles begin with the same: no garbage, no free memory.
    gc.collect()
    trim_malloc()
    base = read_memory().rss_bytes
    configured = set_up(profile)
    recorder, cpu_recorder = PauseRecorder(), PauseRecorder(clock=time.thread_time)
    recorder.start()
    cpu_recorder.start()
    begun, cpu_begun = time.perf_counter(), time.process_time()
    peak = Peak()
    count = await run_agents(agent, seconds, chance)
    peak_bytes = peak.read_bytes()
    wall, cpu = time.perf_counter() - begun, time.process_time() - cpu_begun
    total = recorder.total()
    recorder.stop()
    cpu_recorder.stop()
    watched = configured.statistics() if configured else None
    return {
        "load": load,
        "profile": profile,
        "python": ".".join(map(str, sys.version_info[:3])),
        "peak_mb": (peak_bytes - base) / 1e6,
        "base_mb": base / 1e6,
        "collector_ratio": total.total_seconds / wall,
        "trim_ratio": watched.trim_seconds / wall if watched else 0.0,
        "longest_ms": total.longest_seconds * 1e3,
        # Without what other programs of the machine took meanwhile.
        "longest_cpu_ms": cpu_recorder.total().longest_seconds * 1e3,
        "collector_cpu_ratio": cpu_recorder.total().total_seconds / wall,
        "p99_ms": total.quantile_seconds(0.99) * 1e3,
        "collection_count": total.collection_count,
        "full_count": watched.collection_count if watched else 0,
        "trim_count": watched.trim_count if watched else 0,
        "thaw_count": watched.thaw_count if watched else 0,
        "run_count": count,
        "cpu_ms_a_run": cpu / count * 1e3,
    }


def main() -> None:
    """Measure, and print what was measured."""
    load, profile, *rest = sys.argv[1:]
    seconds = float(rest[0]) if rest else 8.0
    print(json.dumps(asyncio.run(measure(load, profile, seconds))))


if __name__ == "__main__":
    main()
