"""Classes as the report wrote them that memguard began with, faults and all."""

import weakref


class AgentContext:
    def __init__(self, task_id, parent_context=None):
        self.task_id = task_id
        self.parent_ref = weakref.ref(parent_context) if parent_context else None
        self.subtasks = []
        self.data = []
        self.callbacks = []

    def cleanup(self):
        self.subtasks.clear()
        self.data.clear()
        for callback in self.callbacks:
            if hasattr(callback, "__self__"):
                callback.__self__.cleanup()
        self.callbacks.clear()


class AgentMemoryPool:
    def __init__(self):
        self.context_pool = []
        self.data_pool = []
        self.max_pool_size = 50

    def get_context(self):
        if self.context_pool:
            context = self.context_pool.pop()
            context.reset()
            return context
        return AgentContext()

    def return_context(self, context):
        if len(self.context_pool) < self.max_pool_size:
            context.cleanup()
            self.context_pool.append(context)
