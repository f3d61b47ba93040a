"""The report's 4.1, "Memory Pool Implementation"."""

from memguard.validation.baselines.context import AgentContext, ResettableContext


class AgentMemoryPool:
    """Keeps contexts for the next user.

    Faults: `get_context` makes an `AgentContext` without the `task_id` that it
    needs, and calls a `reset` that it does not have, so it never gives one;
    what is returned twice is later given to two users; nothing notices that
    somebody still uses what was returned.
    """

    def __init__(self):
        self.context_pool = []
        self.data_pool = []
        self.max_pool_size = 50

    def get_context(self):
        """Get recycled context or create new one."""
        if self.context_pool:
            context = self.context_pool.pop()
            context.reset()  # Reset to clean state
            return context
        return AgentContext()

    def return_context(self, context):
        """Return context to pool for reuse."""
        if len(self.context_pool) < self.max_pool_size:
            context.cleanup()
            self.context_pool.append(context)


class CompletedMemoryPool(AgentMemoryPool):
    """The same, so that it runs."""

    # Left out by the report: where a context's `task_id` and parent come from,
    # and the context that can be reset.
    def get_context(self, task_id=None, parent_context=None):
        """Get recycled context or create new one."""
        if self.context_pool:
            context = self.context_pool.pop()
            context.reset(task_id, parent_context)
            return context
        return ResettableContext(task_id, parent_context)
