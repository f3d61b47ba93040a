# cython: language_level=3, embedsignature=True, boundscheck=False, wraparound=False, auto_pickle=False
"""A bell that rings in the main thread, in time whoever holds the GIL.

Covers: waiting until so much time passed or ``malloc`` gave out so much, having the
main thread look then, giving memory back; nothing of this needs the GIL.

Does not cover: what is looked at, and when next (``memguard.pressure.watcher``).

Why natively: a thread that wants the GIL asks for it when it did not change hands for
5 ms, and an event loop lets go of it at each turn and takes it again at once. So a
busy loop kept a thread in Python waiting for 95 ms, in which it allocated 80 MB.
"""
cimport cython
from libc.stdint cimport uintptr_t


cdef extern from "_kernel/bell.h":
    size_t mg_in_use_bytes(uintptr_t mallinfo2) nogil
    double mg_thread_seconds() nogil
    double mg_trim(uintptr_t malloc_trim) nogil


cdef extern from "Python.h":
    int Py_AddPendingCall(int (*call)(void *) except -1, void *argument) nogil
    ctypedef void *PyThread_type_lock
    ctypedef enum PyLockStatus:
        PY_LOCK_FAILURE
        PY_LOCK_ACQUIRED
        PY_LOCK_INTR
    PyThread_type_lock PyThread_allocate_lock()
    void PyThread_free_lock(PyThread_type_lock lock) nogil
    int PyThread_acquire_lock(PyThread_type_lock lock, int wait) nogil
    PyLockStatus PyThread_acquire_lock_timed(
        PyThread_type_lock lock, long long microseconds, int interruptible
    ) nogil
    void PyThread_release_lock(PyThread_type_lock lock) nogil


# Those that may ring. The main thread finds them here, for what is handed to a pending
# call without the GIL cannot be kept alive.
cdef list _bells = []

cdef double _LONGEST_SECONDS = 1000.0
cdef double _NUDGE_SECONDS = 0.005
cdef double _STEP_RATIO = 0.02  # share of the time that asking malloc may take


@cython.final
cdef class Bell:
    """Rings in the main thread after some time, or when much was allocated.

    Args:
        look: Called in the main thread, between two of its instructions, with whether
            that much was allocated. What it raises is raised there.
        mallinfo2: Address of that function; 0 if there is none.
        malloc_trim: Address of that function; 0 if there is none.

    Thread-safety:
        One thread may `wait`; everything else may be called from any.
    """

    cdef object _look
    cdef uintptr_t _mallinfo2, _malloc_trim
    # Held but for when the waiting thread is to have another look at what follows ...
    cdef PyThread_type_lock _sleep
    # ... which both sides read and write while they hold this, for no longer.
    cdef PyThread_type_lock _guard
    cdef double _wait_seconds, _step_seconds, _trim_seconds
    cdef size_t _due_bytes
    cdef bint _is_stopped, _has_rung, _is_due, _trims
    cdef int _trim_count

    def __cinit__(self):
        self._sleep = PyThread_allocate_lock()
        self._guard = PyThread_allocate_lock()
        if self._sleep == NULL or self._guard == NULL:
            raise MemoryError
        PyThread_acquire_lock(self._sleep, 1)

    def __init__(self, look, uintptr_t mallinfo2=0, uintptr_t malloc_trim=0):
        self._look = look
        self._mallinfo2 = mallinfo2
        self._malloc_trim = malloc_trim
        self._wait_seconds = _LONGEST_SECONDS
        self._step_seconds = 0.001

    def __dealloc__(self):
        # Nobody waits: that would keep it alive.
        if self._sleep != NULL:
            PyThread_free_lock(self._sleep)
        if self._guard != NULL:
            PyThread_free_lock(self._guard)

    def set(self, double wait_seconds, double step_seconds=0.001, size_t due_bytes=0):
        """Say when to ring next.

        Args:
            wait_seconds: After this time [s] ...
            step_seconds: ... or, asked as often as this [s], ...
            due_bytes: ... when malloc has given out so much [bytes]; 0 for never.
        """
        PyThread_acquire_lock(self._guard, 1)
        self._wait_seconds = min(wait_seconds, _LONGEST_SECONDS)
        self._step_seconds = step_seconds
        self._due_bytes = due_bytes if self._mallinfo2 else 0
        PyThread_release_lock(self._guard)
        self._wake()

    def trim(self):
        """Have the waiting thread give free memory back to the system."""
        PyThread_acquire_lock(self._guard, 1)
        self._trims = self._malloc_trim != 0
        PyThread_release_lock(self._guard)
        self._wake()

    def take_trims(self):
        """Give how often memory was given back since this was asked, and the time [s]."""
        PyThread_acquire_lock(self._guard, 1)
        taken = (self._trim_count, self._trim_seconds)
        self._trim_count = 0
        self._trim_seconds = 0.0
        PyThread_release_lock(self._guard)
        return taken

    def stop(self):
        """Let `wait` return, for good."""
        PyThread_acquire_lock(self._guard, 1)
        self._is_stopped = True
        PyThread_release_lock(self._guard)
        self._wake()
        if self in _bells:
            _bells.remove(self)

    def wait(self, double patience_seconds):
        """Ring in time, again and again.

        Args:
            patience_seconds: How long the main thread may take to come round [s].

        Returns:
            True when it did not, so that this thread should look; False when stopped.
        """
        cdef bint unheard
        if self not in _bells and not self._is_stopped:
            _bells.append(self)
        with nogil:
            unheard = self._ring_in_time(patience_seconds)
        return unheard

    cdef bint _ring_in_time(self, double patience_seconds) noexcept nogil:
        cdef double left, step
        cdef size_t due
        cdef bint is_heard, trims
        while True:
            PyThread_acquire_lock(self._guard, 1)
            left, step, due = self._wait_seconds, self._step_seconds, self._due_bytes
            trims, self._trims = self._trims, False
            is_heard = not self._has_rung
            if self._is_stopped:
                PyThread_release_lock(self._guard)
                return False
            PyThread_release_lock(self._guard)
            if trims:
                self._do_trim()
            if self._sleeps(left, step, due):
                continue
            # One ring at a time: the interpreter keeps few, and it is not heard sooner.
            if not is_heard or not self._ring():
                return True
            if self._is_woken(_NUDGE_SECONDS):
                continue
            # On 3.12 the main thread is told only when it takes the GIL again. One that
            # lets go of it by itself has done so by now, and any other is made to here.
            with gil:
                pass
            if not self._is_woken(patience_seconds):
                return True

    cdef bint _sleeps(self, double left, double step, size_t due) noexcept nogil:
        """Sleep until it is to ring; says whether it was woken before."""
        cdef double begun
        while left > 0:
            if self._is_woken(min(step, left) if due else left):
                return True
            left -= step if due else left
            if due:
                begun = mg_thread_seconds()
                if mg_in_use_bytes(self._mallinfo2) >= due:
                    PyThread_acquire_lock(self._guard, 1)
                    self._is_due = True
                    PyThread_release_lock(self._guard)
                    return False
                # It walks free blocks, while nobody else can allocate.
                step = max(step, (mg_thread_seconds() - begun) / _STEP_RATIO)
        return False

    cdef bint _ring(self) noexcept nogil:
        PyThread_acquire_lock(self._guard, 1)
        self._has_rung = True
        PyThread_release_lock(self._guard)
        if Py_AddPendingCall(_hear, NULL) == 0:
            return True
        PyThread_acquire_lock(self._guard, 1)
        self._has_rung = False
        PyThread_release_lock(self._guard)
        return False

    cdef void _do_trim(self) noexcept nogil:
        cdef double cost = mg_trim(self._malloc_trim)
        PyThread_acquire_lock(self._guard, 1)
        self._trim_count += 1
        self._trim_seconds += cost
        PyThread_release_lock(self._guard)

    cdef bint _is_woken(self, double seconds) noexcept nogil:
        return PyThread_acquire_lock_timed(
            self._sleep, <long long> (seconds * 1e6), 0
        ) == PY_LOCK_ACQUIRED

    cdef void _wake(self) noexcept nogil:
        # However often, once: where the lock is a semaphore, it counts.
        PyThread_acquire_lock(self._sleep, 0)
        PyThread_release_lock(self._sleep)

    cdef int _heard(self) except -1:
        cdef bint has_rung, is_due
        PyThread_acquire_lock(self._guard, 1)
        has_rung, self._has_rung = self._has_rung, False
        is_due, self._is_due = self._is_due, False
        PyThread_release_lock(self._guard)
        if has_rung:
            self._look(is_due)
        return 0


cdef int _hear(void *nothing) except -1:
    """What the main thread calls."""
    cdef Bell bell
    for bell in list(_bells):
        bell._heard()
    return 0


def forget():
    """Forget all bells, in a child process: the threads that waited are not there."""
    _bells.clear()
