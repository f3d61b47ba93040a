"""The report's 1.1, "Agent Context Isolation"."""

import weakref


class AgentContext:
    """What an agent works on; it knows its parent by a weak reference.

    Faults: `cleanup` calls the owners of callbacks before it lets go of the
    callbacks, so a cycle of two never ends, and a chain of owners nests as deep
    as it is long; a callback of an owner without `cleanup`, such as the
    `append` of a list, is an AttributeError that leaves the rest as it was.
    """

    def __init__(self, task_id, parent_context=None):
        self.task_id = task_id
        self.parent_ref = weakref.ref(parent_context) if parent_context else None
        self.subtasks = []
        self.data = []
        self.callbacks = []

    def cleanup(self):
        """Empty the lists, and clean up whoever asked to be called back."""
        self.subtasks.clear()
        self.data.clear()
        for callback in self.callbacks:
            if hasattr(callback, "__self__"):
                callback.__self__.cleanup()
        self.callbacks.clear()


class ResettableContext(AgentContext):
    """The same with what the report's pool calls."""

    # Left out by the report: `reset`, which its pool calls, and a `task_id` that
    # may be missing, as its pool has none to give.
    def __init__(self, task_id=None, parent_context=None):
        super().__init__(task_id, parent_context)

    def reset(self, task_id=None, parent_context=None):
        """Make it as new; its lists are empty since it was returned."""
        self.task_id = task_id
        self.parent_ref = weakref.ref(parent_context) if parent_context else None
