# cython: language_level=3, embedsignature=True, boundscheck=False, wraparound=False, auto_pickle=False
"""The native floor of agents: contexts, and what hands them out again.

Covers: `AgentContext`, its cleanup, and what foreign code may do meanwhile.

Does not cover: words, logging and plain values (``memguard.agents``), who is
registered (``_registry``).

Any DECREF of a user's object, and any call of it, can run any code, which may
use the same context or pool again. So everywhere: first the state is made what
it will be, then old values are dropped. Cython drops the old value of a field
before it sets the new one; a variable ``_old`` holds it beyond that.

See also: ``docs/design.md``, "Contexts and pools".
"""

cimport cython
from cpython.list cimport PyList_GET_SIZE, PyList_GetSlice, PyList_SetSlice
from cpython.ref cimport PyObject
from cpython.weakref cimport PyWeakref_Check, PyWeakref_NewRef
from libc.limits cimport INT_MAX

from _thread import _local as _ThreadLocal
from types import CoroutineType as _CoroutineType
from types import ModuleType as _ModuleType

from memguard.errors import (
    CannotCopyError as _CannotCopyError,
    ContextClosed as _ContextClosed,
    WrongTypeError as _WrongTypeError,
)


cdef extern from "Python.h":
    void PyDict_Clear(object)
    void PyErr_WriteUnraisable(object)


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

    void mg_ledger_leave(mg_ledger *ledger)


cdef enum:
    FILLED = 1      # it has, or had, more than its task
    CLOSED = 2
    RETURNED = 4    # its pool has it back, or had and dropped it
    CLOSING = 8
    RETURNING = 16


@cython.trashcan(True)
@cython.freelist(16)
cdef class AgentContext:
    """What one agent works with, tied weakly to the context that it works for.

    Lists and the dict are made when they are first asked for, so an idle context
    is one small object. There is no cycle between a context and its parent, and
    `cleanup` opens those that callbacks close.

    Can be used as ``with`` and ``async with`` block, which close it, and can be
    subclassed, also with ``__slots__``.

    Args:
        task_id: Anything that tells which task this is.
        parent_context: The context that this one works for: an AgentContext, or any
            object that can be weakly referenced.

    Raises:
        ContextClosed: The parent is closed, or back in its pool.
        WrongTypeError: The parent cannot be weakly referenced.

    Thread-safety:
        Any thread, under the GIL: no Python code runs between a check and the change
        that rests on it. Lists are as safe as lists are.
    """

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

    # Fields are valid before this: a subclass need not call it.
    def __init__(self, task_id, parent_context=None):
        cdef int depth = 0
        if self._state & (RETURNED | RETURNING):
            raise _closed(self)
        parent_ref = None
        if parent_context is not None:
            parent_ref = _tie(parent_context, &depth)
        _begin(self, task_id, parent_ref, depth)

    def __dealloc__(self):
        # Here and not in a finalizer: it runs once, whatever a subclass resurrects,
        # and needs nothing that the collector may have cleared.
        if self._ledger != NULL:
            if not self._state & RETURNED:
                self._ledger.in_use -= 1
                self._ledger.lost += 1
            mg_ledger_leave(self._ledger)

    def __repr__(self):
        if self._state & RETURNED:
            return f"<{type(self).__name__} back in its pool>"
        closed = " closed" if self._state & CLOSED else ""
        return f"<{type(self).__name__} {self._task_id!r} depth {self._depth}{closed}>"

    def __reduce_ex__(self, protocol):
        raise _CannotCopyError(
            type(self).__name__, "make a new one with the task_id and the values that it needs"
        )

    @property
    def task_id(self):
        """What tells which task this is; gone when the context is back in its pool."""
        if self._state & RETURNED:
            raise _closed(self)
        return self._task_id

    @task_id.setter
    def task_id(self, value):
        if self._state & RETURNED:
            raise _closed(self)
        _old = self._task_id
        self._task_id = value

    @property
    def parent_ref(self):
        """The weak reference to the parent, or None for a root."""
        _require_open(self)
        return self._parent_ref

    @parent_ref.setter
    def parent_ref(self, value):
        cdef int depth = 0
        _require_open(self)
        if value is not None:
            if not PyWeakref_Check(value) or not callable(value):
                raise _WrongTypeError(
                    "parent_ref", type(value).__name__, "a weakref.ref of the parent, or None"
                )
            parent = value()
            if parent is None:
                depth = self._depth
            else:
                _tie(parent, &depth)
                _require_open(self)
        _old = self._parent_ref
        self._parent_ref = value
        self._depth = depth
        self._state |= FILLED

    @property
    def parent(self):
        """The parent; None for a root, and when it died, was closed or returned."""
        _require_open(self)
        if self._parent_ref is None:
            return None
        parent = self._parent_ref()
        if isinstance(parent, AgentContext) and (<AgentContext> parent)._state & (
            CLOSED | RETURNED
        ):
            return None
        return parent

    @property
    def depth(self) -> int:
        """How many contexts stand above this one; kept when they die [count]."""
        return self._depth

    @property
    def closed(self) -> bool:
        """Whether it must not be used: it was closed, or is back in its pool."""
        return self._state & (CLOSED | RETURNED) != 0

    @property
    def subtasks(self):
        """What this context delegated, as a list."""
        _require_open(self)
        if self._subtasks is None:
            made = []
            # Making a list can run the collector, and that anything.
            _require_open(self)
            if self._subtasks is None:
                self._subtasks = made
                self._state |= FILLED
        return self._subtasks

    @subtasks.setter
    def subtasks(self, value):
        _require_list(self, "subtasks", value)
        _old = self._subtasks
        self._subtasks = value
        self._state |= FILLED

    @property
    def data(self):
        """What this context works on, as a list."""
        _require_open(self)
        if self._data is None:
            made = []
            _require_open(self)
            if self._data is None:
                self._data = made
                self._state |= FILLED
        return self._data

    @data.setter
    def data(self, value):
        _require_list(self, "data", value)
        _old = self._data
        self._data = value
        self._state |= FILLED

    @property
    def callbacks(self):
        """Whom to call; `cleanup` cleans their owners up, too. A list."""
        _require_open(self)
        if self._callbacks is None:
            made = []
            _require_open(self)
            if self._callbacks is None:
                self._callbacks = made
                self._state |= FILLED
        return self._callbacks

    @callbacks.setter
    def callbacks(self, value):
        _require_list(self, "callbacks", value)
        _old = self._callbacks
        self._callbacks = value
        self._state |= FILLED

    @property
    def metadata(self):
        """What else is to be known of it, as a dict."""
        _require_open(self)
        if self._metadata is None:
            made = {}
            _require_open(self)
            if self._metadata is None:
                self._metadata = made
                self._state |= FILLED
        return self._metadata

    @metadata.setter
    def metadata(self, value):
        _require_open(self)
        if not isinstance(value, dict):
            raise _WrongTypeError("metadata", type(value).__name__, "a dict")
        _old = self._metadata
        self._metadata = value
        self._state |= FILLED

    def cleanup(self):
        """Empty what this context holds, and clean up the owners of its callbacks.

        Lists and metadata are emptied in place: whoever holds them sees them empty.
        Then ``callback.__self__.cleanup()`` is called, once for each owner, where
        there is such a method. A cleanup that is called meanwhile on the same thread
        empties its context at once and leaves the owners to the first one: no chain
        of owners is too long, and a cycle ends by itself.

        What owners raise is logged to "memguard.agents" and counted by
        `cleanup_failure_count`; the others go on. The context can be used afterwards.
        On a closed one this does nothing.

        Raises:
            BaseException: What is no Exception, KeyboardInterrupt for one, is raised
                again when all owners had their turn.
        """
        if not self._state & RETURNED:
            _clean(self)

    def close(self):
        """Clean up, and let every further use raise `ContextClosed`. Again: nothing.

        `reset` opens it again.
        """
        failures = _close(self)
        if failures:
            _log(self, failures)

    def reset(self, task_id=None, parent_context=None):
        """Clean up, and begin anew with another task; opens a closed context.

        Raises:
            ContextClosed: The context or the new parent is back in its pool, or the
                new parent is closed.
        """
        cdef int depth = 0
        parent_ref = None
        if parent_context is not None:
            parent_ref = _tie(parent_context, &depth)
        if self._state & (RETURNED | RETURNING):
            raise _closed(self)
        self.cleanup()
        if self._state & (RETURNED | RETURNING):
            raise _closed(self)
        _begin(self, task_id, parent_ref, depth)

    def __enter__(self):
        _require_open(self)
        return self

    def __exit__(self, *_):
        self.close()

    async def __aenter__(self):
        _require_open(self)
        return self

    async def __aexit__(self, *_):
        self.close()


cdef _closed(AgentContext context):
    """Make the error for a context that must not be used."""
    if context._state & RETURNED:
        return _ContextClosed(None, True)
    return _ContextClosed(context._task_id, False)


cdef int _require_open(AgentContext context) except -1:
    if context._state & (CLOSED | RETURNED):
        raise _closed(context)
    return 0


cdef int _require_list(AgentContext context, name, value) except -1:
    _require_open(context)
    if not isinstance(value, list):
        raise _WrongTypeError(name, type(value).__name__, "a list")
    return 0


cdef object _tie(parent, int *depth):
    """Give a weak reference to a parent, and how deep its children are."""
    if isinstance(parent, AgentContext):
        _require_open(parent)
        depth[0] = (<AgentContext> parent)._depth + 1
        return PyWeakref_NewRef(parent, None)
    try:
        parent_ref = PyWeakref_NewRef(parent, None)
    except TypeError:
        if not parent:
            return None     # as the plain class has it: 0, "" and () are no parents
        raise _WrongTypeError(
            "parent_context", type(parent).__name__, "an object that can be weakly referenced"
        ) from None
    level = getattr(parent, "depth", 0)
    known = type(level) is int and 0 <= level < INT_MAX
    depth[0] = (<int> level if known else 0) + 1
    return parent_ref


cdef int _begin(AgentContext context, task_id, parent_ref, int depth) except -1:
    """Let a context be as if it had just been made."""
    cdef unsigned char was = context._state
    _old_task_id = context._task_id
    _old_parent_ref = context._parent_ref
    context._task_id = task_id
    context._parent_ref = parent_ref
    context._depth = depth
    context._state = 0 if parent_ref is None else FILLED
    if was & FILLED:
        _detach(context)
    return 0


cdef int _detach(AgentContext context) except -1:
    """Let go of the lists and the dict; who else holds them keeps them."""
    _old_subtasks = context._subtasks
    _old_data = context._data
    _old_callbacks = context._callbacks
    _old_metadata = context._metadata
    context._subtasks = None
    context._data = None
    context._callbacks = None
    context._metadata = None
    return 0


cdef list _emptied(AgentContext context):
    """Empty in place what a context holds; give its callbacks, or None without any."""
    cdef list taken = None
    held = context._callbacks
    if held is not None and PyList_GET_SIZE(held):
        taken = PyList_GetSlice(held, 0, PyList_GET_SIZE(held))
        PyList_SetSlice(held, 0, PyList_GET_SIZE(held), <object> NULL)
    held = context._subtasks
    if held is not None:
        PyList_SetSlice(held, 0, PyList_GET_SIZE(held), <object> NULL)
    held = context._data
    if held is not None:
        PyList_SetSlice(held, 0, PyList_GET_SIZE(held), <object> NULL)
    held = context._metadata
    if held is not None:
        PyDict_Clear(held)
    return taken


@cython.final
cdef class _Wave:
    """One cleanup that runs on a thread, with all that it leads to."""

    cdef list callbacks         # whose owners are to be cleaned up
    cdef dict owners            # by address; held, so that an address stays theirs
    cdef list failures
    cdef object interrupt

    def __cinit__(self):
        self.callbacks = []
        self.owners = {}
        self.failures = []


# The wave of each thread. Of this and not by thread id: after a fork there are no
# waves of threads that are no more.
cdef object _local = _ThreadLocal()
cdef Py_ssize_t _failure_count = 0


cdef _Wave _join(AgentContext context, list callbacks):
    """Leave callbacks to the wave of this thread; give a new one to run, or None."""
    cdef _Wave wave = getattr(_local, "wave", None)
    cdef _Wave started = None
    if wave is None:
        wave = started = _Wave()
        _local.wave = wave
    # It cleans itself up right now, whoever has a callback of it, too.
    wave.owners[<size_t> <PyObject *> context] = context
    wave.callbacks.extend(callbacks)
    return started


cdef int _run(_Wave wave) except -1:
    """Clean up all owners of a wave, those that are added meanwhile among them."""
    cdef Py_ssize_t next_one = 0
    try:
        while next_one < PyList_GET_SIZE(wave.callbacks):
            callback = wave.callbacks[next_one]
            wave.callbacks[next_one] = None
            next_one += 1
            try:
                _clean_owner(wave, callback)
            except Exception as failure:    # somebody else's code
                wave.failures.append(failure)
            except BaseException as interrupt:
                wave.interrupt = interrupt
            callback = None
    finally:
        del wave.callbacks[:next_one]
    return 0


cdef int _clean_owner(_Wave wave, callback) except -1:
    try:
        owner = callback.__self__
    except AttributeError:
        return 0
    # What is built in has its module there, which owns nothing.
    if owner is None or isinstance(owner, _ModuleType):
        return 0
    if <size_t> <PyObject *> owner in wave.owners:
        return 0
    wave.owners[<size_t> <PyObject *> owner] = owner
    clean = getattr(owner, "cleanup", None)
    if not callable(clean):
        return 0
    # A class that owns a class method is not one of its instances.
    if isinstance(owner, type) and getattr(clean, "__self__", None) is not owner:
        return 0
    result = clean()
    if isinstance(result, _CoroutineType):
        result.close()
        raise _WrongTypeError(
            f"cleanup of {type(owner).__name__}",
            "coroutine function",
            "a plain one; await what is async before",
        )
    return 0


cdef int _clean(AgentContext context) except -1:
    cdef list callbacks = _emptied(context)
    if callbacks is None:
        return 0
    cdef _Wave wave = _join(context, callbacks)
    if wave is None:
        return 0
    try:
        _run(wave)
    finally:
        _local.wave = None
    if wave.failures:
        _log(context, wave.failures)
    if wave.interrupt is not None:
        raise wave.interrupt
    return 0


cdef list _clean_gathering(AgentContext context, bint then_close=False):
    """Call `cleanup`, which may be a subclass's, and give what was raised."""
    cdef _Wave wave = _join(context, [])
    cdef list failures = [] if wave is None else wave.failures
    try:
        try:
            context.cleanup()
        except Exception as failure:
            failures.append(failure)
        except BaseException as interrupt:
            if wave is None:
                raise
            wave.interrupt = interrupt
        if wave is not None:
            _run(wave)
    finally:
        # Still within the wave, so that no owner is asked twice.
        if then_close:
            _shut(context)
        if wave is not None:
            _run(wave)
            _local.wave = None
    if wave is not None and wave.interrupt is not None:
        if failures:
            _log(context, failures)
        raise wave.interrupt
    return failures


cdef list _close(AgentContext context):
    if context._state & (CLOSED | RETURNED | CLOSING | RETURNING):
        return []
    context._state |= CLOSING
    return _clean_gathering(context, True)


cdef int _shut(AgentContext context) except -1:
    # Its cleanup may have given it back to its pool, which is more than closed.
    if not context._state & RETURNED:
        context._state = CLOSED
        _let_go(context)
    return 0


cdef int _let_go(AgentContext context) except -1:
    """Drop what a context has, also what foreign code put there while it was cleaned."""
    _old_parent_ref = context._parent_ref
    context._parent_ref = None
    _clean(context)
    _detach(context)
    return 0


cdef int _log(AgentContext context, list failures) except -1:
    global _failure_count
    _failure_count += PyList_GET_SIZE(failures)
    try:
        from memguard.agents.failures import log_failures

        log_failures(failures)
    except Exception:   # the interpreter ends, and modules are gone
        PyErr_WriteUnraisable(context)
    return 0


def clean(AgentContext context not None):
    """Clean a context up, and give what was raised instead of logging it.

    Within another cleanup on the same thread, what owners raise goes to that one.
    """
    return _counted(_clean_gathering(context))


def close_gathering(AgentContext context not None):
    """Close a context, and give what was raised instead of logging it; see `clean`."""
    return _counted(_close(context))


cdef list _counted(list failures):
    global _failure_count
    _failure_count += PyList_GET_SIZE(failures)
    return failures


def cleanup_failure_count():
    """Tell how many calls of foreign code raised while contexts were cleaned up [count]."""
    return _failure_count
