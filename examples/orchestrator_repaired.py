"""The orchestrator of orchestrator.py, repaired: nothing is left of a request.

The parent owns its subtasks; what points back, the parent and the callback, is
weak. A finished request is freed at once, by counting.
"""

import asyncio
import gc
import weakref

import memguard


class AgentContext:
    def __init__(self, task_id, parent_context=None):
        self.task_id = task_id
        self._parent_ref = None if parent_context is None else weakref.ref(parent_context)
        self.subtasks = []
        self.data = []
        self.callbacks = []
        if parent_context is not None:
            parent_context.subtasks.append(self)
            parent_context.callbacks.append(weakref.WeakMethod(self.on_parent_done))

    @property
    def parent_context(self):
        return None if self._parent_ref is None else self._parent_ref()

    def on_parent_done(self):
        self.data.clear()


async def run_agent(context, depth):
    context.data.append(bytes(1024))
    await asyncio.sleep(0)
    if depth > 0:
        for number in range(2):
            await run_agent(AgentContext(f"{context.task_id}.{number}", context), depth - 1)
    for reference in context.callbacks:
        callback = reference()
        if callback is not None:
            callback()


async def main():
    for number in range(20):
        await run_agent(AgentContext(f"request-{number}"), depth=2)


if __name__ == "__main__":
    gc.disable()
    asyncio.run(main())
    with memguard.scan("garbage", types=[AgentContext]) as report:
        print(report)
