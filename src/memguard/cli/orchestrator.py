"""A small agent orchestrator that leaks: the program of ``memguard demo``.

Each request delegates to an agent, which delegates to helpers. Every context
refers to its parent, the parent lists it among its subtasks, and the context
registers its own method as the parent's callback: context, parent, subtasks,
callbacks and back. Nothing of a finished request is freed by counting.
"""

import asyncio
from collections.abc import Callable


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


async def run_agent(context: AgentContext, depth: int) -> int:
    """Work, and delegate while there is depth left; returns contexts used."""
    context.data.append(bytes(256))
    await asyncio.sleep(0)
    used = 1
    if depth > 0:
        for number in range(2):
            child = AgentContext(f"{context.task_id}.{number}", context)
            used += await run_agent(child, depth - 1)
    return used


async def handle_requests(count: int, on_done: Callable[[int], None]) -> int:
    """Serve requests one after another; returns contexts used."""
    used = 0
    for number in range(count):
        used += await run_agent(AgentContext(f"request-{number}"), depth=2)
        on_done(number + 1)
    return used
