"""What other native modules use of the table."""

from cpython.ref cimport Py_DECREF, PyObject


cdef extern from "Python.h":
    ctypedef class _weakref.ReferenceType [object PyWeakReference, check_size ignore]:
        pass


cdef extern from "_kernel/referent.h":
    PyObject *mg_referent(PyObject *reference)


cdef inline object referent_of(reference):
    """Give what a weak reference refers to, or None."""
    cdef PyObject *referent = mg_referent(<PyObject *> reference)
    if referent == NULL:
        return None
    owned = <object> referent
    Py_DECREF(owned)
    return owned


cdef class _Collector:
    cdef PyObject *_table


cdef class _Entry(ReferenceType):
    cdef object _agent_id
    cdef object _metadata
    cdef _Collector _collector

    cdef bint is_alive(self) noexcept
    cdef object agent(self)


cdef class WeakAgentRegistry:
    cdef object __weakref__
    cdef dict _entries
    # The most that were in it since it was small.
    cdef Py_ssize_t _room_count
    cdef public object on_death
    cdef PyObject *_collector
    cdef PyObject *_arguments
    cdef Py_ssize_t _active_count
    cdef object _shown
    cdef Py_ssize_t _shown_count
    cdef Py_ssize_t _peak_active_count
    cdef long long _registered_count
    cdef long long _died_count
    cdef long long _unregistered_count

    cdef int add(self, agent_id, agent, metadata, bint replace) except -1
    cdef _Entry find(self, agent_id)
    cdef bint forget(self, agent_id, metadata) except -1
    cdef bint stop_counting(self, _Entry entry) noexcept
    cdef bint end_entry(self, _Entry entry) except -1
    cdef bint take_out(self, _Entry entry) except -1
    cdef int lose(self, _Entry entry) except -1
    cdef int free_place(self, _Entry entry) except -1
