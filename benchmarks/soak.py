"""Let a guard work for long, under a mixed load, and tell what grew.

Usage: python -m benchmarks.soak [--minutes N] [--seed N]

Trees of agents come and go in an event loop and in threads; one in twenty fails and one
in twenty is cancelled; deep ones wait for a person, who answers late, not at all, or
twice. The audit is written, and the guard looks for harm. The collector runs as it does.
Each quarter of a minute one line tells how it stands, and at the end one JSON object
what came of it; the exit code is 1 if anything grew, was lost, or was not answered.
"""

import argparse
import asyncio
import contextlib
import gc
import json
import os
import random
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import memguard
from memguard.oversight.events import ApprovalDecided, ApprovalRequested
from memguard.pressure.cleanup import read_allocated_bytes

SAMPLE_SECONDS = 15.0
MOST_GROWTH_BYTES = 2_000_000
WIDTH = 40
THREAD_COUNT = 4


class AgentFailedError(Exception):
    """What a failing agent raises."""


@dataclass
class Outcome:
    """What came of it.

    Attributes:
        seconds: How long it ran [s].
        agent_count: Agents that were admitted.
        failed_count: ... that raised.
        cancelled_count: Trees that were cancelled.
        refused_count: Delegations that were refused, for whatever reason.
        requested_count: Questions to people; not those of full queues.
        decided_count: ... that were decided.
        how_counts: ... by how.
        floor_bytes: Least memory in use of each quarter of the time [bytes].
        growth_bytes: From the second quarter to the last [bytes].
        left: What should be nothing, and was not: name and how much.
        problems: What is wrong.
    """

    seconds: float = 0.0
    agent_count: int = 0
    failed_count: int = 0
    cancelled_count: int = 0
    refused_count: int = 0
    requested_count: int = 0
    decided_count: int = 0
    how_counts: dict[str, int] = field(default_factory=dict)
    floor_bytes: list[int] = field(default_factory=list)
    growth_bytes: int = 0
    left: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


class Person:
    """Answers late, and not always."""

    def __init__(self, seed: int, timeout_seconds: float) -> None:
        self._chance = random.Random(seed)
        self._timeout_seconds = timeout_seconds
        self.manager: memguard.HumanOversightManager | None = None

    async def __call__(self, request: memguard.ApprovalRequest) -> memguard.Decision | None:
        """Answer a request."""
        draw = self._chance.random()
        await asyncio.sleep(self._timeout_seconds * self._chance.random())
        if draw < 0.05:
            return None  # never: it expires
        if draw < 0.10 and self.manager is not None:
            # By another way, too: one of the two is late.
            with contextlib.suppress(memguard.UnknownRequestError):
                self.manager.decide(request.id, memguard.Decision.deny("another", "no"))
        if draw < 0.15:
            raise AgentFailedError("no line to the person")
        return memguard.Decision("approve" if draw < 0.8 else "deny", "person")


def _fail_at_times(chance: random.Random) -> None:
    if chance.random() < 0.05:
        raise AgentFailedError


class Load:
    """Runs trees of agents."""

    def __init__(self, guard: memguard.Guard, seed: int, outcome: Outcome) -> None:
        self._guard = guard
        self._chance = random.Random(seed)
        self._outcome = outcome
        self.is_over = threading.Event()

    async def grow(self, depth: int) -> None:
        """Run one agent and what it starts."""
        guard, chance = self._guard, self._chance
        async with guard.delegate(f"agent{chance.randrange(6)}") as context:
            context.data.append(bytes(chance.randrange(20_000)))
            await asyncio.sleep(chance.random() * 0.01)
            _fail_at_times(chance)
            if depth > 0:
                async with asyncio.TaskGroup() as tasks:
                    for _ in range(chance.randrange(1, 3)):
                        tasks.create_task(self.grow(depth - 1))

    async def run_tree(self) -> None:
        """Run one tree, which may fail, be refused or be cancelled."""
        chance = self._chance
        # Few are so deep that a person is asked: people answer a few times a second.
        tree = asyncio.create_task(self.grow(chance.choice((0, 1, 1, 2, 2, 2, 3, 3, 4))))
        if chance.random() < 0.05:
            self._outcome.cancelled_count += 1
            await asyncio.sleep(chance.random() * 0.05)
            tree.cancel()
        # What it raised is counted by the guard.
        await asyncio.wait([tree])
        if not tree.cancelled():
            tree.exception()

    async def run_tasks(self) -> None:
        """Keep trees going until it is over."""

        async def work() -> None:
            while not self.is_over.is_set():
                await self.run_tree()

        async with asyncio.TaskGroup() as tasks:
            for _ in range(WIDTH):
                tasks.create_task(work())

    def run_thread(self, seed: int) -> None:
        """Run small trees without an event loop until it is over."""
        chance = random.Random(seed)
        while not self.is_over.is_set():
            try:
                with self._guard.agent("thread") as parent:
                    for _ in range(3):
                        with self._guard.delegate("helper") as child:
                            parent.callbacks.append(child.data.clear)
                            child.data.append(bytes(chance.randrange(20_000)))
                            _fail_at_times(chance)
            except (AgentFailedError, memguard.DelegationRefused):
                pass
            self.is_over.wait(chance.random() * 0.02)


def run(minutes: float, seed: int, folder: Path) -> Outcome:
    """Run it, and look at what is left."""
    outcome = Outcome()
    settings = memguard.GuardSettings(
        oversight=memguard.OversightSettings(timeout_seconds=2.0, max_pending_count=50),
        metrics=memguard.MetricsSettings(sample_seconds=1.0, history_count=60),
        # That people deny much is part of the load.
        rollback=memguard.RollbackSettings(blocked_ratio=1.0),
    )
    person = Person(seed, timeout_seconds=2.0)
    threads_before = threading.active_count()
    guard = memguard.Guard(
        approve=person,
        audit=folder / "audit.db",
        settings=settings,
        max_depth=6,
        max_parallel=64,
        wait_seconds=1.0,
        fail_max=None,
        rollback="report",
    )
    person.manager = guard.oversight
    guard.events.subscribe(ApprovalRequested, lambda _: _count(outcome, "requested_count"))
    guard.events.subscribe(ApprovalDecided, lambda _: _count(outcome, "decided_count"))
    load = Load(guard, seed, outcome)
    samples: list[tuple[float, int]] = []
    begun = time.monotonic()
    with guard:
        threads = [
            threading.Thread(target=load.run_thread, args=(seed + number,))
            for number in range(THREAD_COUNT)
        ]
        loop_thread = threading.Thread(target=lambda: asyncio.run(load.run_tasks()))
        for thread in (*threads, loop_thread):
            thread.start()
        end = begun + minutes * 60
        every = min(SAMPLE_SECONDS, minutes * 60 / 40)
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(every, left))
            samples.append((time.monotonic() - begun, read_allocated_bytes()))
            _say(guard, samples)
        load.is_over.set()
        for thread in (*threads, loop_thread):
            thread.join()
        _judge_memory(outcome, samples)
    # Withdrawals are written down until then.
    _judge_guard(outcome, guard)
    outcome.seconds = time.monotonic() - begun
    if threading.active_count() != threads_before:
        outcome.left["threads"] = threading.active_count() - threads_before
    found = guard._audit.verify() if guard._audit else None
    if found is not None and not found.is_sound:
        outcome.problems.append(f"the audit is not sound: {found.problem}")
    outcome.problems += [f"{count} {name} left" for name, count in outcome.left.items()]
    return outcome


def _count(outcome: Outcome, name: str) -> None:
    # Events come on any thread, one at a time under the GIL between these two lines or
    # not: so they are compared with the guard's own counts at the end, too.
    setattr(outcome, name, getattr(outcome, name) + 1)


def _say(guard: memguard.Guard, samples: list[tuple[float, int]]) -> None:
    counted = guard.statistics()
    at, in_use_bytes = samples[-1]
    print(
        f"{at:6.0f} s  {in_use_bytes / 1e6:7.1f} MB in use  {counted.admission.live_count:4d} live"
        f"  {counted.admission.admitted_count:9,d} admitted",
        file=sys.stderr,
        flush=True,
    )


def _judge_memory(outcome: Outcome, samples: list[tuple[float, int]]) -> None:
    quarter = max(1, len(samples) // 4)
    parts = [samples[n * quarter : (n + 1) * quarter] for n in range(4)]
    outcome.floor_bytes = [min(size for _, size in part) for part in parts if part]
    # The first quarter warms up.
    outcome.growth_bytes = outcome.floor_bytes[-1] - outcome.floor_bytes[1]
    if outcome.growth_bytes > MOST_GROWTH_BYTES:
        outcome.problems.append(f"memory grew by {outcome.growth_bytes / 1e6:.1f} MB")


def _judge_guard(outcome: Outcome, guard: memguard.Guard) -> None:
    counted = guard.statistics()
    admission, oversight = counted.admission, counted.oversight
    assert oversight is not None
    outcome.agent_count = admission.admitted_count
    outcome.failed_count = admission.failed_count
    outcome.refused_count = admission.refused_count
    outcome.how_counts = {str(how): count for how, count in oversight.how_counts.items()}
    gc.collect()
    outcome.left = {
        name: count
        for name, count in {
            "live delegations": admission.live_count,
            "running slots": admission.running_count,
            "waiting": admission.waiting_count,
            "reserved bytes": admission.reserved_bytes,
            "active agents": counted.lifecycle.active_count,
            "pending hooks": counted.lifecycle.pending_hook_count,
            "pending requests": oversight.pending_count,
            "undecided requests": oversight.request_count - sum(oversight.how_counts.values()),
            "promised bytes": counted.memory.promised_bytes,
            "failed listeners": guard.events.failure_count,
        }.items()
        if count
    }
    if guard.rollback is not None and guard.rollback.done is not None:
        outcome.problems.append(f"a trigger fired: {guard.rollback.done.reason}")


def main() -> int:
    """Run, and print what came of it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak")
    parser.add_argument("--minutes", type=float, default=30.0, metavar="N")
    parser.add_argument("--seed", type=int, default=1, metavar="N")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MEMGUARD_RUNTIME_DIR"] = f"{folder}/run"
        Path(f"{folder}/run").mkdir(mode=0o700)
        outcome = run(options.minutes, options.seed, Path(folder))
    print(json.dumps(asdict(outcome), indent=2))
    return 1 if outcome.problems else 0


if __name__ == "__main__":
    sys.exit(main())
