"""What other native modules use of agents' lives."""

cimport cython

from memguard._registry cimport WeakAgentRegistry


@cython.final
cdef class Life:
    cdef readonly object agent_id
    cdef readonly Life parent
    cdef readonly object opened_at
    cdef readonly bint closes
    cdef readonly bint has_ended
    # What tells the table apart, the context's weak reference until it ends, and
    # the children's ids by the address of their lives.
    cdef object _home
    # The life of another table within which it began.
    cdef Life _outer
    cdef object _reference
    cdef dict _children

    cdef object held(self)
    cdef int leave_all(self) except -1
    cdef int adopt(self, Life child) except -1


cdef class LifeTable(WeakAgentRegistry):
    cdef public bint is_closed
    cdef public bint is_watched
    cdef object _home

    cdef Life begin_life(self, agent_id, context, Life parent, bint closes, opened_at)
    cdef Life current_life(self)
    cdef object claim_life(self, Life life)
    cdef bint end_life(self, Life life, list failures) except -1


cdef class Block:
    cdef LifeTable _lives
    cdef object _agent_id
    cdef object _given
    cdef object _parent_id
    cdef object _opened_at
    cdef bint _detached
    cdef Life _life
    cdef object _context
    cdef object _token

    cdef object _begin(self)
    cdef int _leave(self) except -1
