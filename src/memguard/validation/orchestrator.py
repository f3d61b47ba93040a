"""A small agent orchestrator that leaks, and its guarded twin.

Each request delegates to an agent, which delegates to helpers. In the one that leaks
every context refers to its parent, the parent lists it among its subtasks, and the
context registers its own method as the parent's callback: context, parent, subtasks,
callbacks and back. Nothing of a finished request is freed by counting.
"""

import asyncio
from collections.abc import Awaitable, Callable

from memguard.agents.context import AgentContext as GuardedContext
from memguard.guard.guard import Guard

CONTEXTS_PER_REQUEST = 7
_PAYLOAD_BYTES = 256


class AgentContext:
    """What an agent knows; refers to its parent, which refers back."""

    def __init__(self, task_id: str, parent_context: "AgentContext | None" = None) -> None:
        self.task_id = task_id
        self.parent_context = parent_context
        self.subtasks: list[AgentContext] = []
        self.data: list[bytes] = []
        self.callbacks: list[Callable[[], None]] = []
        if parent_context is not None:
            parent_context.subtasks.append(self)
            parent_context.callbacks.append(self.on_parent_done)

    def on_parent_done(self) -> None:
        """Forget intermediate results once the parent is done."""
        self.data.clear()


async def run_agent(context: AgentContext, depth: int, payload_bytes: int = _PAYLOAD_BYTES) -> int:
    """Work, and delegate while there is depth left; returns contexts used."""
    context.data.append(bytes(payload_bytes))
    await asyncio.sleep(0)
    used = 1
    if depth > 0:
        for number in range(2):
            child = AgentContext(f"{context.task_id}.{number}", context)
            used += await run_agent(child, depth - 1, payload_bytes)
    return used


async def handle_requests(count: int, on_done: Callable[[int], None]) -> int:
    """Serve requests one after another; returns contexts used."""
    used = 0
    for number in range(count):
        used += await run_agent(AgentContext(f"request-{number}"), depth=2)
        on_done(number + 1)
    return used


async def run_guarded(
    guard: Guard, context: GuardedContext, depth: int, payload_bytes: int = _PAYLOAD_BYTES
) -> int:
    """Do the same work in guarded blocks; returns contexts used."""
    context.data.append(bytes(payload_bytes))
    await asyncio.sleep(0)
    used = 1
    if depth > 0:
        for _ in range(2):
            async with guard.delegate("helper") as child:
                context.callbacks.append(child.data.clear)
                used += await run_guarded(guard, child, depth - 1, payload_bytes)
    return used


async def handle_requests_guarded(guard: Guard, count: int, on_done: Callable[[int], None]) -> int:
    """Serve requests one after another; returns contexts used."""
    used = 0
    for number in range(count):
        async with guard.agent("request") as context:
            used += await run_guarded(guard, context, depth=2)
        on_done(number + 1)
    return used


async def serve_side_by_side(
    count: int, width: int, serve: Callable[[int], Awaitable[object]]
) -> None:
    """Serve requests, some at the same time.

    Args:
        count: How many [count].
        width: How many at once [count].
        serve: Called with the number of each.
    """
    numbers = iter(range(count))

    async def work() -> None:
        for number in numbers:
            await serve(number)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(width):
            tasks.create_task(work())
