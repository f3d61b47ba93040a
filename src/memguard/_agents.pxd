"""What other native modules use of contexts."""

cimport cython


cdef extern from "_kernel/reuse.h":
    ctypedef struct mg_ledger:
        Py_ssize_t owners
        Py_ssize_t created
        Py_ssize_t missed
        Py_ssize_t reused
        Py_ssize_t returned
        Py_ssize_t dropped
        Py_ssize_t lost
        Py_ssize_t in_use
        Py_ssize_t peak_in_use


@cython.trashcan(True)
cdef class AgentContext:
    # Fields are read and written by this module alone. The ledger is that of the
    # pool which made this; NULL for others.
    cdef mg_ledger *_ledger
    cdef object _task_id
    cdef object _parent_ref
    cdef object _subtasks
    cdef object _data
    cdef object _callbacks
    cdef object _metadata
    cdef int _depth
    cdef unsigned char _state
    cdef object __weakref__


# Each is given a context, never None.
cdef list cleaned(AgentContext context)
cdef int tended(AgentContext context) except -1
cdef list closed(AgentContext context)
