"""An orchestrator that delegates to agents, and leaks every request.

A context refers to its parent, the parent lists its subtasks, and each subtask
registers its own method as a callback of the parent. orchestrator_repaired.py
is the same without the loops.
"""

import asyncio
import gc

import memguard


class AgentContext:
    def __init__(self, task_id, parent_context=None):
        self.task_id = task_id
        self.parent_context = parent_context
        self.subtasks = []
        self.data = []
        self.callbacks = []
        if parent_context is not None:
            parent_context.subtasks.append(self)
            parent_context.callbacks.append(self.on_parent_done)

    def on_parent_done(self):
        self.data.clear()


async def run_agent(context, depth):
    context.data.append(bytes(1024))
    await asyncio.sleep(0)
    if depth > 0:
        for number in range(2):
            await run_agent(AgentContext(f"{context.task_id}.{number}", context), depth - 1)
    for callback in context.callbacks:
        callback()


async def main():
    for number in range(20):
        await run_agent(AgentContext(f"request-{number}"), depth=2)


if __name__ == "__main__":
    gc.disable()  # so that all of it is still there to be seen
    asyncio.run(main())
    with memguard.scan("garbage", types=[AgentContext]) as report:
        print(report)
