# cython: language_level=3, boundscheck=False, wraparound=False, auto_pickle=False, binding=False
"""What a native call costs that does nothing, and Cython's own free list.

Compiled when benchmarks run, as the native modules of memguard are: no method
that takes these arguments can be faster.
"""

cimport cython

from weakref import ref


@cython.final
cdef class Nothing:
    """Methods that take what memguard's take, and return None."""

    def get_context(self, task_id=None, parent_context=None):
        pass

    def return_context(self, context):
        pass

    def register(self, agent_id, agent_instance, metadata=None):
        pass

    def get_active_count(self):
        pass

    def register_agent(self, agent_id, agent_context):
        pass

    def finish(self, agent_id):
        pass


@cython.final
cdef class EmptyContext:
    """Takes what a context takes, and keeps none of it."""

    def __init__(self, task_id, parent_context=None):
        pass


@cython.freelist(1000)
cdef class FreeListContext:
    """The report's context as a native class whose memory Cython recycles."""

    cdef public object task_id, parent_ref
    cdef public list subtasks, data, callbacks
    cdef object __weakref__

    def __init__(self, task_id, parent_context=None):
        self.task_id = task_id
        self.parent_ref = None if parent_context is None else ref(parent_context)
        self.subtasks = []
        self.data = []
        self.callbacks = []
