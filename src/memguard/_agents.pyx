# cython: language_level=3, embedsignature=True, boundscheck=False, wraparound=False, auto_pickle=False
"""The native floor of agents: contexts, and what hands them out again.

Covers: `AgentContext` and its cleanup, `FreeList`, `AgentMemoryPool`, and what
foreign code may do meanwhile.

Does not cover: words, logging and plain values (``memguard.agents``), who is
registered (``_registry``).

Any DECREF of a user's object, and any call of it, can run any code, which may
use the same context or pool again. So everywhere: first all of the state is made
what it will be, and until then variables ``_old`` hold the values of before.

See also: ``docs/design.md``, "Contexts and pools".
"""

cimport cython
from cpython.list cimport PyList_GET_SIZE, PyList_GetSlice, PyList_SetSlice
from cpython.ref cimport PyObject, PyTypeObject
from cpython.weakref cimport PyWeakref_Check, PyWeakref_NewRef
from libc.limits cimport INT_MAX
from libc.stdint cimport uintptr_t

from operator import index as _index
from sys import maxsize as _maxsize
from types import BuiltinMethodType as _BuiltinMethodType
from types import CoroutineType as _CoroutineType
from types import GenericAlias as _GenericAlias
from types import MemberDescriptorType as _MemberDescriptorType
from types import MethodType as _MethodType
from types import ModuleType as _ModuleType

from memguard.agents.counts import PoolStatistics as _PoolStatistics
from memguard.errors import (
    CannotCopyError as _CannotCopyError,
    ContextClosed as _ContextClosed,
    EnteredTwiceError as _EnteredTwiceError,
    LimitOutOfRangeError as _LimitOutOfRangeError,
    NotNewError as _NotNewError,
    ReturnedTwiceError as _ReturnedTwiceError,
    StillHeldError as _StillHeldError,
    StrangerError as _StrangerError,
    WrongTypeError as _WrongTypeError,
)


cdef extern from "Python.h":
    void PyDict_Clear(object)
    void PyErr_WriteUnraisable(object)
    Py_ssize_t Py_REFCNT(PyObject *)
    PyTypeObject *Py_TYPE(object)


cdef extern from "_kernel/reuse.h":
    enum:
        MG_MOST_DYING

    PyObject *mg_current_wave
    int mg_dying_count
    int mg_let_wait(object) except -1
    PyObject *mg_take_waiting()
    mg_ledger *mg_ledger_new()
    void mg_ledger_leave(mg_ledger *ledger)
    void mg_ledger_create(mg_ledger *ledger)
    void mg_ledger_lend(mg_ledger *ledger)
    PyObject *mg_take_unshared(PyObject *list_)
    bint mg_keep(PyObject *list_, Py_ssize_t most, object)

    enum:
        MG_MOST_ENTRIES

    bint mg_may_stay(PyObject *list_)
    bint mg_may_dict_stay(PyObject *dict_)
    bint mg_is_untouched(PyObject *list_)
    bint mg_is_dict_untouched(PyObject *dict_)
    Py_ssize_t mg_move_entries(PyObject *list_, PyObject **gone, Py_ssize_t count)
    void mg_drop_entries(PyObject **gone, Py_ssize_t count)
    int mg_wipe_dict(object) except -1
    object mg_steal(PyObject *)
    void mg_let_finalize(object)


cdef extern from "_kernel/identities.h":
    ctypedef struct mg_identity:
        uintptr_t entry
        PyTypeObject *type

    ctypedef struct mg_identities:
        pass

    enum:
        MG_LENT
        MG_KEPT

    mg_identity *mg_identity_find(const mg_identities *known, object)
    int mg_identity_add(mg_identities *known, object, uintptr_t mark)
    void mg_identity_mark(const mg_identities *known, object, uintptr_t mark)
    void mg_identity_forget(mg_identities *known, object)
    void mg_identities_clear(mg_identities *known)


cdef class AgentMemoryPool


cdef enum:
    FILLED = 1      # it has, or had, more than its task
    CLOSED = 2
    RETURNED = 4    # its pool has it back, or had and dropped it
    CLOSING = 8
    RETURNING = 16
    TENDED = 32     # somebody sees to it that it is cleaned up at its end
    DYING = 64      # that is what happens now


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

    # Fields are valid before this: a subclass need not call it.
    def __init__(self, task_id, parent_context=None):
        cdef int depth = 0
        if self._state & (RETURNED | RETURNING):
            raise _closed(self)
        parent_ref = None
        if parent_context is not None:
            parent_ref = _tie(parent_context, &depth)
        _begin(self, task_id, parent_ref, depth)

    def __del__(self):
        if self._state & TENDED:
            _die(self)

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
    context._state = was & TENDED | (0 if parent_ref is None else FILLED)
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


cdef inline bint _may_stay(AgentContext context) noexcept:
    """Whether lists and dict are small, the context's alone, and call nobody."""
    return (
        mg_may_stay(<PyObject *> context._data)
        and mg_may_stay(<PyObject *> context._subtasks)
        and mg_is_untouched(<PyObject *> context._callbacks)
        and mg_may_dict_stay(<PyObject *> context._metadata)
    )


cdef inline bint _is_untouched(AgentContext context) noexcept:
    """Whether lists and dict that stayed are empty, and still the context's alone."""
    return (
        mg_is_untouched(<PyObject *> context._data)
        and mg_is_untouched(<PyObject *> context._subtasks)
        and mg_is_untouched(<PyObject *> context._callbacks)
        and mg_is_dict_untouched(<PyObject *> context._metadata)
    )


cdef inline int _stay(AgentContext context, mg_ledger *ledger) except -1:
    """Let a context be back that lies in its pool with its emptied lists and dict."""
    cdef PyObject *gone[2 * MG_MOST_ENTRIES]
    cdef Py_ssize_t count = 0
    context._state = RETURNED | FILLED
    ledger.returned += 1
    ledger.in_use -= 1
    _old_task_id = context._task_id
    context._task_id = None
    if context._parent_ref is not None:
        _old_parent_ref = context._parent_ref
        context._parent_ref = None
    count = mg_move_entries(<PyObject *> context._data, gone, count)
    count = mg_move_entries(<PyObject *> context._subtasks, gone, count)
    # From here on anything can run. What it does to what stays is seen when the
    # context is handed out.
    mg_drop_entries(gone, count)
    if context._metadata is not None:
        PyDict_Clear(context._metadata)
    return 0


cdef list _emptied(AgentContext context):
    """Empty in place what a context holds; give its callbacks, or None without any."""
    cdef list taken = None
    held = context._callbacks
    if _has_callbacks(context):
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
        self.owners = {}
        self.failures = []


cdef Py_ssize_t _failure_count = 0


cdef void _set_current_wave(PyObject *wave) noexcept:
    global mg_current_wave
    mg_current_wave = wave


cdef _Wave _join(AgentContext context, list callbacks):
    """Leave callbacks to the wave of this thread; give a new one to run, or None."""
    cdef _Wave wave
    cdef _Wave started = None
    if mg_current_wave == NULL:
        wave = started = _Wave()
        wave.callbacks = callbacks
    else:
        wave = <_Wave> <object> mg_current_wave
        wave.callbacks.extend(callbacks)
    # It cleans itself up right now, whoever has a callback of it, too.
    wave.owners[<size_t> <PyObject *> context] = context
    # Last, when nothing can fail any more: nothing else holds it. What was made before
    # can have run the collector, and that another cleanup, but to its end.
    if started is not None:
        _set_current_wave(<PyObject *> started)
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
    owner = getattr(callback, "__self__", None)
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
        _set_current_wave(NULL)
    if wave.failures:
        _log(context, wave.failures)
    if wave.interrupt is not None:
        raise wave.interrupt
    return 0


cdef list _clean_gathering(
    AgentContext context, bint then_close=False, AgentMemoryPool then_keep=None
):
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
        try:
            if then_close:
                _shut(context)
            elif then_keep is not None:
                then_keep._take(context)
            if wave is not None:
                _run(wave)
        finally:
            if wave is not None:
                _set_current_wave(NULL)
    if wave is not None and wave.interrupt is not None:
        if failures:
            _log(context, failures)
        raise wave.interrupt
    return failures


cdef list _close(AgentContext context):
    if context._state & (CLOSED | RETURNED | CLOSING | RETURNING):
        return []
    if _asks_nobody(context):
        # And nobody can be added from here on.
        context._state = CLOSED
        _emptied(context)
        _let_go(context)
        return []
    context._state |= CLOSING
    return _clean_gathering(context, True)


cdef bint _has_callbacks(AgentContext context) noexcept:
    return context._callbacks is not None and PyList_GET_SIZE(context._callbacks) != 0


cdef bint _asks_nobody(AgentContext context) noexcept:
    """Whether cleaning it up means to empty it, and nothing of others is called."""
    return Py_TYPE(context) == <PyTypeObject *> AgentContext and not _has_callbacks(context)


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


cdef int _log(where, list failures) except -1:
    global _failure_count
    _failure_count += PyList_GET_SIZE(failures)
    try:
        from memguard.agents.failures import log_failures

        log_failures(failures)
    except Exception:   # the interpreter ends, and modules are gone
        PyErr_WriteUnraisable(where)
    return 0


cdef void _count_dying(int change) noexcept:
    global mg_dying_count
    mg_dying_count += change


cdef int _die(AgentContext context) except -1:
    """Clean up a context that dies, and those that it is the last to hold."""
    cdef PyObject *next_one
    if mg_dying_count >= MG_MOST_DYING:
        return mg_let_wait(context)
    _count_dying(1)
    try:
        _clean_dying(context)
        next_one = mg_take_waiting()
        while next_one != NULL:
            _clean_waiting(mg_steal(next_one))
            next_one = mg_take_waiting()
    finally:
        _count_dying(-1)
    return 0


cdef int _clean_waiting(AgentContext context) except -1:
    # Somebody may have cleaned it up meanwhile.
    if context._state & TENDED:
        _clean_dying(context)
    return 0


cdef int _clean_dying(AgentContext context) except -1:
    context._state = context._state & ~TENDED | DYING
    try:
        context.cleanup()
    except Exception as failure:    # somebody else's code
        _log(context, [failure])
    except BaseException:
        PyErr_WriteUnraisable(context)
    finally:
        context._state &= ~DYING
    # A wave that runs further up keeps its owners, and so would let this one live.
    if mg_current_wave != NULL and Py_REFCNT(<PyObject *> context) == 2:
        (<_Wave> <object> mg_current_wave).owners.pop(<size_t> <PyObject *> context, None)
    return 0


def clean(AgentContext context not None):
    """Clean a context up, and give what was raised instead of logging it.

    Within another cleanup on the same thread, what owners raise goes to that one.
    """
    return cleaned(context)


cdef list cleaned(AgentContext context):
    context._state &= ~TENDED
    # Its own cleanup runs, or ran when it came back to its pool.
    if context._state & (DYING | RETURNED | RETURNING):
        return []
    if _asks_nobody(context):
        _emptied(context)
        return []
    return _counted(_clean_gathering(context))


def tend(AgentContext context not None):
    """Let a context be cleaned up when it dies, unless `clean` or `close` came first."""
    tended(context)


cdef int tended(AgentContext context) except -1:
    if not context._state & (CLOSED | RETURNED):
        context._state |= TENDED
        mg_let_finalize(context)
    return 0


def close_gathering(AgentContext context not None):
    """Close a context, and give what was raised instead of logging it; see `clean`."""
    return closed(context)


cdef list closed(AgentContext context):
    return _counted(_close(context))


cdef list _counted(list failures):
    global _failure_count
    _failure_count += PyList_GET_SIZE(failures)
    return failures


def belongs_to_pool(context):
    """Tell whether a context was made for a pool, which takes it back."""
    return isinstance(context, AgentContext) and (<AgentContext> context)._ledger != NULL


def cleanup_failure_count():
    """Tell how many calls of foreign code raised while contexts were cleaned up [count]."""
    return _failure_count


cdef Py_ssize_t _count(name, value) except -1:
    """Check a number of objects that was given."""
    try:
        count = _index(value)
    except TypeError:
        raise _WrongTypeError(name, type(value).__name__, "an int") from None
    if not 0 <= count <= _maxsize:
        raise _LimitOutOfRangeError(name, value, "0 or more")
    return count


cdef object _statistics(const mg_ledger *ledger, Py_ssize_t pooled):
    cdef Py_ssize_t asked = ledger.reused + ledger.missed
    return _PoolStatistics(
        created_count=ledger.created,
        reused_count=ledger.reused,
        returned_count=ledger.returned,
        dropped_count=ledger.dropped,
        lost_count=ledger.lost,
        in_use_count=ledger.in_use,
        pooled_count=pooled,
        peak_in_use_count=ledger.peak_in_use,
        hit_ratio=<double> ledger.reused / asked if asked else 0.0,
    )


cdef class FreeList:
    """Keep objects of any kind after their use, and hand them out again.

    An object is handed out only if nobody but this list refers to it, strongly or
    weakly; that is looked at when it is handed out. What somebody still holds is
    passed over, and stays until it is let go.

    Args:
        factory: Makes a new object, without arguments.
        reset: Called with each object that is released, to let go of what it has;
            None where there is nothing.
        max_size: How many objects are kept [count, >= 0].

    Raises:
        WrongTypeError: *factory* or *reset* cannot be called, or *max_size* is no int.
        LimitOutOfRangeError: *max_size* is negative.

    Note:
        Whose an object is, is told by its identity, since a list cannot carry a mark.
        That is exact as long as all that is acquired is released. One that was
        acquired and died is noticed, as `lost_count`, only when the factory makes one
        at the same address. Until then another of the same type at that address
        is taken for it, which does no harm: it is kept in the place of the lost one.

    Thread-safety:
        Any thread, under the GIL: no Python code runs between a check and the change
        that rests on it. *factory* and *reset* run outside of that.
    """

    cdef mg_ledger _ledger
    cdef mg_identities _known
    cdef list _kept
    cdef object _factory
    cdef object _reset
    cdef Py_ssize_t _max_size
    cdef object __weakref__

    def __cinit__(self):
        self._kept = []
        self._factory = object

    def __init__(self, factory, reset=None, max_size=50):
        cdef Py_ssize_t most = _count("max_size", max_size)
        if not callable(factory):
            raise _WrongTypeError("factory", type(factory).__name__, "a callable")
        if reset is not None and not callable(reset):
            raise _WrongTypeError("reset", type(reset).__name__, "a callable, or None")
        _old_factory, _old_reset = self._factory, self._reset
        self._factory = factory
        self._reset = reset
        self._max_size = most
        self.clear()

    def __dealloc__(self):
        mg_identities_clear(&self._known)

    def __repr__(self):
        return (
            f"<{type(self).__name__} {len(self.pooled)} kept, {self._ledger.in_use} in use>"
        )

    @classmethod
    def __class_getitem__(cls, item):
        return _GenericAlias(cls, item)

    def __reduce_ex__(self, protocol):
        raise _CannotCopyError(type(self).__name__, "make a new one from its factory")

    @property
    def max_size(self) -> int:
        """How many objects are kept; what is above a lower value is dropped [count]."""
        return self._max_size

    @max_size.setter
    def max_size(self, value):
        self._max_size = _count("max_size", value)
        self._drop(self._max_size)

    @property
    def pooled(self) -> tuple:
        """What is kept now. While the tuple lives, none of it is handed out."""
        return tuple(self._kept or ())

    # Without binding, here and below, it is a method as those written in C are: calls
    # of it are faster on 3.11 and 3.12, and slower by 2 ns on 3.13.
    @cython.binding(False)
    @cython.embedsignature.format("clinic")
    def acquire(self):
        """Give an object that was released before, or a new one."""
        cdef PyObject *found = mg_take_unshared(<PyObject *> self._kept)
        if found == NULL:
            return self._create(MG_LENT)
        taken = mg_steal(found)
        mg_identity_mark(&self._known, taken, MG_LENT)
        self._ledger.reused += 1
        mg_ledger_lend(&self._ledger)
        return taken

    cdef object _create(self, uintptr_t mark):
        made = self._factory()
        cdef mg_identity *known = mg_identity_find(&self._known, made)
        if known != NULL:
            if known.entry & MG_KEPT:
                raise _NotNewError(type(made).__name__)
            # The one that was here before died without being released.
            mg_identity_forget(&self._known, made)
            self._ledger.lost += 1
            self._ledger.in_use -= 1
        if mg_identity_add(&self._known, made, mark) < 0:
            raise MemoryError("no memory to remember what was handed out")
        self._ledger.created += 1
        if mark == MG_LENT:
            self._ledger.missed += 1
            mg_ledger_lend(&self._ledger)
        return made

    @cython.binding(False)
    @cython.embedsignature.format("clinic")
    def release(self, obj):
        """Take an object back, once, after its last use.

        What *reset* raises is logged to "memguard.agents"; the object is dropped then.

        Raises:
            ReturnedTwiceError: It is back already.
            StrangerError: It is not on loan from here.
        """
        cdef mg_identity *known = mg_identity_find(&self._known, obj)
        if known == NULL or known.type != Py_TYPE(obj):
            raise _StrangerError(
                type(obj).__name__, "it was made elsewhere, or returned before and dropped"
            )
        if known.entry & MG_KEPT:
            raise _ReturnedTwiceError(type(obj).__name__)
        # From here on it is back, whatever reset does.
        known.entry |= MG_KEPT
        self._ledger.in_use -= 1
        self._ledger.returned += 1
        cdef bint clean = False
        try:
            clean = self._clean(obj)
        finally:
            if not clean or not mg_keep(<PyObject *> self._kept, self._max_size, obj):
                mg_identity_forget(&self._known, obj)
                self._ledger.dropped += 1

    cdef bint _clean(self, obj) except -1:
        reset = self._reset
        if reset is None:
            return True
        try:
            reset(obj)
        except Exception as failure:    # somebody else's code
            _log(self, [failure])
            return False
        return True

    def prefill(self, count):
        """Make objects until *count* are kept.

        Raises:
            LimitOutOfRangeError: More than `max_size`.
        """
        cdef Py_ssize_t wanted = _count("count", count)
        _require_room(wanted, self._max_size, "max_size")
        while len(self.pooled) < wanted:
            made = self._create(MG_KEPT)
            if not mg_keep(<PyObject *> self._kept, self._max_size, made):
                mg_identity_forget(&self._known, made)
                self._ledger.dropped += 1
                break

    def trim(self, count=0):
        """Drop what is kept beyond *count*; gives how many that were."""
        return self._drop(_count("count", count))

    def clear(self):
        """Drop all that is kept. What is in use can still be released."""
        self._drop(0)

    cdef Py_ssize_t _drop(self, Py_ssize_t count) except -1:
        if self._kept is None or PyList_GET_SIZE(self._kept) <= count:
            return 0
        dropped = self._kept[count:]
        # Making that list can run the collector, and that anything.
        if PyList_GET_SIZE(self._kept) != count + PyList_GET_SIZE(dropped):
            return self._drop(count)
        del self._kept[count:]
        for obj in dropped:
            mg_identity_forget(&self._known, obj)
        self._ledger.dropped += PyList_GET_SIZE(dropped)
        return PyList_GET_SIZE(dropped)

    def statistics(self):
        """Count what happened so far."""
        return _statistics(&self._ledger, len(self.pooled))


cdef int _require_room(Py_ssize_t wanted, Py_ssize_t most, name) except -1:
    if wanted > most:
        raise _LimitOutOfRangeError("count", wanted, f"at most {name}, which is {most}")
    return 0


cdef tuple _slots_of(context_class):
    """List the members that ``__slots__`` made in a subclass of AgentContext."""
    found = []
    for base in context_class.__mro__:
        if base is not AgentContext and base is not object:
            for member in vars(base).values():
                if type(member) is _MemberDescriptorType:
                    found.append(member)
    return tuple(found)


cdef int _wipe(AgentContext context, tuple slots) except -1:
    """Let go of the attributes that a subclass gave to a context."""
    mg_wipe_dict(context)
    for slot in slots or ():
        try:
            slot.__delete__(context)
        except AttributeError:
            pass    # it was not set
    return 0


cdef Py_ssize_t _references_to_itself(AgentContext context) except -1:
    """Count the references to a context that it has itself, as its own callbacks are."""
    cdef Py_ssize_t count = 0
    cdef list held = []
    for part in context._subtasks, context._data, context._callbacks:
        if part is not None:
            held.extend(part)
    for part in context._metadata, getattr(context, "__dict__", None):
        if part is not None:
            held.extend(part.values())
    while held:
        thing = held.pop()
        if thing is context:
            count += 1
        # A method that only this list refers to, apart from the variable here.
        elif (
            type(thing) in (_MethodType, _BuiltinMethodType)
            and Py_REFCNT(<PyObject *> thing) == 2
        ):
            count += thing.__self__ is context
    return count


# One variable or container of the caller, the stack of the call, which may only
# borrow from 3.14 on, and what Cython takes of an argument.
cdef enum:
    CALLER_REFERENCES = 3


cdef class AgentMemoryPool:
    """Hand out contexts, and keep those that come back for the next task.

    A context is handed out again only if nobody but the pool refers to it, strongly
    or weakly; that is looked at when it is handed out. So a handle that was kept too
    long never reaches into the next task: it raises `ContextClosed`. What somebody
    still holds is passed over, and stays until it is let go.

    Nothing that lies here keeps anything of its user alive, attributes of subclasses
    among it. A plain context keeps its lists and its dict for the next user, emptied, as
    long as they are small and nobody else refers to them. The pool does not hold what is in use, and what is in use does not hold
    the pool: there is no cycle. A context that dies without being returned is counted
    as lost. After a fork, each process has a pool of its own.

    Args:
        max_pool_size: How many contexts, and how many lists, are kept [count, >= 0].
        strict: Whether returning what somebody else still refers to is an error, and
            not only kept from being handed out.
        context_class: AgentContext, or a class made from it. Its instances are made
            with (task_id, parent_context); when one is used again its own ``__init__``
            is called with the same, then its own ``reset``.

    Raises:
        WrongTypeError: *context_class* is not made from AgentContext, or
            *max_pool_size* is no int.
        LimitOutOfRangeError: *max_pool_size* is negative.

    Thread-safety:
        Any thread, under the GIL: no Python code runs between a check and the change
        that rests on it, so nothing is handed out twice, without a lock. The same
        holds for finalizers and callbacks that use the pool while it is used.
    """

    cdef mg_ledger *_ledger
    cdef list _kept
    cdef FreeList _lists
    cdef object _context_class
    cdef tuple _slots
    # What is taken back at once; NULL if there is always more to be done.
    cdef PyTypeObject *_simple_type
    cdef Py_ssize_t _max_size
    cdef bint _strict
    cdef bint _is_plain
    cdef bint _has_init
    cdef bint _has_reset
    cdef bint _has_cleanup
    cdef object __weakref__

    def __cinit__(self):
        self._ledger = mg_ledger_new()
        if self._ledger == NULL:
            raise MemoryError("no memory for the counts of a pool")
        self._kept = []
        self._lists = FreeList(list, list.clear, 50)
        self._max_size = 50
        self._choose(AgentContext, False)

    def __init__(self, max_pool_size=50, *, strict=False, context_class=AgentContext):
        cdef Py_ssize_t most = _count("max_pool_size", max_pool_size)
        if not isinstance(context_class, type) or not issubclass(context_class, AgentContext):
            raise _WrongTypeError(
                "context_class", type(context_class).__name__, "a class made from AgentContext"
            )
        self._choose(context_class, strict)
        self._max_size = most
        self._lists.max_size = most
        self.clear()

    cdef int _choose(self, context_class, bint strict) except -1:
        _old_class, _old_slots = self._context_class, self._slots
        slots = _slots_of(context_class)
        has_init = context_class.__init__ is not AgentContext.__init__
        has_reset = context_class.reset is not AgentContext.reset
        has_cleanup = context_class.cleanup is not AgentContext.cleanup
        self._context_class = context_class
        self._slots = slots
        self._strict = strict
        self._has_init = has_init
        self._has_reset = has_reset
        self._has_cleanup = has_cleanup
        self._is_plain = context_class is AgentContext
        self._simple_type = (
            <PyTypeObject *> AgentContext if self._is_plain and not strict else NULL
        )
        return 0

    def __dealloc__(self):
        mg_ledger_leave(self._ledger)

    def __repr__(self):
        return (
            f"<{type(self).__name__} of {self._context_class.__name__}:"
            f" {len(self.context_pool)} kept, {self._ledger.in_use} in use>"
        )

    @classmethod
    def __class_getitem__(cls, item):
        return _GenericAlias(cls, item)

    def __reduce_ex__(self, protocol):
        raise _CannotCopyError(type(self).__name__, "make a new one in each process")

    @property
    def max_pool_size(self) -> int:
        """How many contexts, and how many lists, are kept [count].

        What is above a lower value is dropped.
        """
        return self._max_size

    @max_pool_size.setter
    def max_pool_size(self, value):
        cdef Py_ssize_t most = _count("max_pool_size", value)
        self._max_size = most
        self._lists.max_size = most
        self._drop(most)

    @property
    def context_pool(self) -> tuple:
        """The contexts kept now. While the tuple lives, none of them is handed out."""
        return tuple(self._kept or ())

    @property
    def data_pool(self) -> tuple:
        """The lists kept now. While the tuple lives, none of them is handed out."""
        return self._lists.pooled

    @cython.binding(False)
    @cython.embedsignature.format("clinic")
    def get_context(self, task_id=None, parent_context=None):
        """Give a context for a task: one that came back, or a new one.

        Args:
            task_id: See AgentContext.
            parent_context: See AgentContext.

        Raises:
            ContextClosed: The parent is closed, or back in its pool.
            WrongTypeError: The parent cannot be weakly referenced.
        """
        cdef PyObject *found
        cdef unsigned char state
        if parent_context is None and self._is_plain:
            found = mg_take_unshared(<PyObject *> self._kept)
            if found != NULL:
                state = (<AgentContext> found)._state & FILLED
                if state and not _is_untouched(<AgentContext> found):
                    return self._lend_emptied(mg_steal(found), task_id)
                # No variable of the context's own: it would be counted in and out.
                (<AgentContext> found)._depth = 0
                (<AgentContext> found)._state = state
                self._ledger.reused += 1
                mg_ledger_lend(self._ledger)
                (<AgentContext> found)._task_id = task_id
                return mg_steal(found)
        return self._get(task_id, parent_context)

    @cython.binding(False)
    @cython.embedsignature.format("clinic")
    def return_context(self, context):
        """Take a context back, once, after its last use: clean it up and keep it.

        Failures of foreign code are logged, as by `AgentContext.cleanup`.

        Raises:
            ReturnedTwiceError: It is back already.
            StrangerError: It was not handed out by this pool.
            StillHeldError: The pool is strict, and somebody besides the caller refers
                to it. From Python 3.14 on one such reference can go unnoticed.
        """
        if Py_TYPE(context) == self._simple_type:
            if (
                (<AgentContext> context)._state == 0
                and (<AgentContext> context)._ledger == self._ledger
                and mg_keep(<PyObject *> self._kept, self._max_size, context)
            ):
                (<AgentContext> context)._state = RETURNED
                self._ledger.returned += 1
                self._ledger.in_use -= 1
                # At last: whatever it runs finds all done.
                (<AgentContext> context)._task_id = None
                return
            if (
                (<AgentContext> context)._state == FILLED
                and (<AgentContext> context)._ledger == self._ledger
                and _may_stay(<AgentContext> context)
                and mg_keep(<PyObject *> self._kept, self._max_size, context)
            ):
                _stay(<AgentContext> context, self._ledger)
                return
        self._return(context, Py_REFCNT(<PyObject *> context))

    def context(self, task_id=None, parent_context=None):
        """Give a context for a ``with`` block, at whose end it is returned."""
        return _Loan(self, task_id, parent_context)

    def get_data(self):
        """Give an empty list: one that came back, or a new one."""
        return self._lists.acquire()

    def return_data(self, data):
        """Take a list back, once, after its last use, and empty it.

        Raises:
            ReturnedTwiceError: It is back already.
            StrangerError: It was not handed out by this pool.
            StillHeldError: See `return_context`.
        """
        cdef Py_ssize_t others = Py_REFCNT(<PyObject *> data) - CALLER_REFERENCES
        if self._strict and others > 0 and mg_identity_find(&self._lists._known, data) != NULL:
            raise _StillHeldError(type(data).__name__, others)
        self._lists.release(data)

    def prefill(self, count):
        """Make contexts until *count* are kept.

        Raises:
            LimitOutOfRangeError: More than `max_pool_size`.
        """
        cdef AgentContext context
        cdef Py_ssize_t wanted = _count("count", count)
        _require_room(wanted, self._max_size, "max_pool_size")
        while len(self.context_pool) < wanted:
            context = self._create(None, None)
            self._ledger.created += 1
            self._ledger.in_use += 1
            self._ledger.returned -= 1
            self._take(context)

    def trim(self, count=0):
        """Drop the contexts and the lists beyond *count*; gives how many that were."""
        cdef Py_ssize_t most = _count("count", count)
        return self._drop(most) + self._lists.trim(most)

    def clear(self):
        """Drop all that is kept. What is in use can still be returned."""
        self._drop(0)
        self._lists.clear()

    def statistics(self):
        """Count what happened to contexts so far."""
        return _statistics(self._ledger, len(self.context_pool))

    cdef Py_ssize_t _drop(self, Py_ssize_t count) except -1:
        if self._kept is None or PyList_GET_SIZE(self._kept) <= count:
            return 0
        dropped = self._kept[count:]
        # Making that list can run the collector, and that anything.
        if PyList_GET_SIZE(self._kept) != count + PyList_GET_SIZE(dropped):
            return self._drop(count)
        del self._kept[count:]
        self._ledger.dropped += PyList_GET_SIZE(dropped)
        return PyList_GET_SIZE(dropped)

    cdef AgentContext _lend_emptied(self, AgentContext context, task_id):
        """Hand out a context without what stayed with it, for somebody found that."""
        context._depth = 0
        context._state = FILLED
        self._ledger.reused += 1
        mg_ledger_lend(self._ledger)
        context._task_id = task_id
        _detach(context)
        return context

    cdef AgentContext _get(self, task_id, parent_context):
        cdef AgentContext context
        cdef PyObject *found
        cdef bint stays
        cdef int depth = 0
        parent_ref = None
        if parent_context is not None:
            parent_ref = _tie(parent_context, &depth)
        found = mg_take_unshared(<PyObject *> self._kept)
        while found != NULL:
            context = <AgentContext> mg_steal(found)
            # Who held it may have given it another class.
            if Py_TYPE(context) == <PyTypeObject *> self._context_class:
                self._ledger.reused += 1
                mg_ledger_lend(self._ledger)
                stays = context._state & FILLED and _is_untouched(context)
                # What does not stay is let go of where it begins.
                context._state = 0 if stays else context._state & FILLED
                if self._is_plain:
                    _begin(context, task_id, parent_ref, depth)
                    if stays:
                        context._state |= FILLED
                else:
                    self._revive(context, task_id, parent_context, parent_ref, depth)
                return context
            self._ledger.dropped += 1
            found = mg_take_unshared(<PyObject *> self._kept)
        context = self._create(task_id, parent_context)
        mg_ledger_create(self._ledger)
        mg_ledger_lend(self._ledger)
        return context

    cdef int _revive(
        self, AgentContext context, task_id, parent_context, parent_ref, int depth
    ) except -1:
        """Make an instance of a subclass as new, or let it lie as it did."""
        try:
            # Who still held it after its return may have put something there.
            _wipe(context, self._slots)
            _begin(context, task_id, parent_ref, depth)
            if self._has_init:
                context.__init__(task_id, parent_context)
            if self._has_reset:
                context.reset(task_id, parent_context)
        except BaseException:
            if not context._state & RETURNED:
                self._ledger.reused -= 1
                self._ledger.returned -= 1
                self._take(context)
            raise
        return 0

    cdef AgentContext _create(self, task_id, parent_context):
        cdef AgentContext context
        cdef int depth = 0
        if self._is_plain:
            parent_ref = None if parent_context is None else _tie(parent_context, &depth)
            context = AgentContext.__new__(AgentContext)
            _begin(context, task_id, parent_ref, depth)
        else:
            made = self._context_class(task_id, parent_context)
            if Py_TYPE(made) != <PyTypeObject *> self._context_class:
                raise _WrongTypeError(
                    "what context_class makes",
                    type(made).__name__,
                    f"a new {self._context_class.__name__}",
                )
            context = <AgentContext> made
            if context._ledger != NULL:
                raise _NotNewError(type(made).__name__)
        context._ledger = self._ledger
        self._ledger.owners += 1
        return context

    cdef int _return(self, context, Py_ssize_t references) except -1:
        cdef AgentContext mine
        cdef list failures
        name = type(context).__name__
        if not isinstance(context, AgentContext):
            raise _StrangerError(name, "it is no AgentContext")
        mine = <AgentContext> context
        if mine._ledger != self._ledger:
            raise _StrangerError(
                name, "it was made elsewhere" if mine._ledger == NULL else "it is of another pool"
            )
        if mine._state & (RETURNED | RETURNING):
            raise _ReturnedTwiceError(name)
        if self._strict and references > CALLER_REFERENCES:
            references -= CALLER_REFERENCES + _references_to_itself(mine)
            if references > 0:
                raise _StillHeldError(name, references)
            if mine._state & (RETURNED | RETURNING):
                raise _ReturnedTwiceError(name)
        # From here on to return it again is an error, whatever foreign code does.
        mine._state |= RETURNING
        if not self._has_cleanup and not _has_callbacks(mine):
            self._take(mine)
            return 0
        failures = _clean_gathering(mine, False, self)
        if failures:
            _log(mine, failures)
        return 0

    cdef int _take(self, AgentContext context) except -1:
        """Let a context be back, empty it of all that is left, and keep it."""
        cdef bint is_empty = False
        context._state = RETURNED
        self._ledger.returned += 1
        self._ledger.in_use -= 1
        _old_task_id = context._task_id
        context._task_id = None
        try:
            _let_go(context)
            if Py_TYPE(context) == <PyTypeObject *> self._context_class:
                if not self._is_plain:
                    _wipe(context, self._slots)
                is_empty = True
        finally:
            if not is_empty or not mg_keep(<PyObject *> self._kept, self._max_size, context):
                self._ledger.dropped += 1
        return 0


@cython.final
cdef class _Loan:
    """A context for the time of a ``with`` block."""

    cdef AgentMemoryPool _pool
    cdef object _task_id
    cdef object _parent_context
    cdef object _context

    def __init__(self, AgentMemoryPool pool not None, task_id, parent_context):
        self._pool = pool
        self._task_id = task_id
        self._parent_context = parent_context

    def __enter__(self):
        if self._context is not None:
            raise _EnteredTwiceError(type(self._context).__name__)
        self._context = self._pool.get_context(self._task_id, self._parent_context)
        return self._context

    def __exit__(self, *_):
        context = self._context
        self._context = None
        self._pool.return_context(context)
