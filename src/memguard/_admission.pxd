"""What other native modules use of admission."""

cimport cython


@cython.final
cdef class Run:
    cdef object owner
    cdef Run root
    cdef readonly long long id
    cdef readonly str agent
    cdef readonly Run parent
    # The run of another ledger that the context was in before.
    cdef Run outer
    cdef readonly Py_ssize_t depth
    cdef readonly Py_ssize_t live_count
    cdef readonly Py_ssize_t waiting_count
    cdef readonly Py_ssize_t started_count
    cdef readonly Py_ssize_t descendant_count
    cdef readonly long long reserved_bytes
    cdef readonly bint has_ended
    # Ended where it was not the current one: who comes back to it in that
    # context goes on to its parent.
    cdef bint is_passed
    cdef public bint has_failed_below
    cdef public object loop


@cython.final
cdef class Flag:
    cdef public bint is_up


@cython.final
cdef class Quiet:
    cdef public double most
    cdef readonly long long count


@cython.final
cdef class Ledger:
    cdef readonly object owner
    cdef readonly set live
    # The most that were in it since it was small.
    cdef Py_ssize_t _room_count
    cdef list due
    cdef public dict agents
    cdef public Py_ssize_t first_depth
    cdef public Py_ssize_t max_depth
    cdef public Py_ssize_t max_repeats
    cdef public Py_ssize_t max_children
    cdef public Py_ssize_t max_descendants
    cdef public Py_ssize_t max_live
    cdef public Py_ssize_t max_parallel
    cdef public long long max_bytes
    cdef readonly Py_ssize_t running_count
    cdef readonly Py_ssize_t waiting_count
    cdef readonly long long reserved_bytes
    cdef readonly long long admitted_count
    cdef readonly long long ended_count
    cdef readonly long long lent_count
    cdef readonly long long repeated_count
    cdef readonly Py_ssize_t peak_running_count
    cdef readonly Py_ssize_t peak_live_count

    cdef int judge(
        self, Run parent, str agent, long long cost_bytes, bint is_next,
        long long *limit, long long *measured,
    ) except -1
    cdef int count_in(self, Run run, Run parent, str agent, long long cost_bytes) except -1
    cdef bint count_out(self, Run run) except -1
    cdef int check_own(self, Run run) except -1


cdef class Gate:
    cdef readonly Ledger ledger
    cdef object owner
    cdef public tuple excluded
    cdef public object agrees
    cdef public object tell_depth
    cdef public Quiet quiet_depths
    cdef public bint is_watched
    cdef readonly Flag alarm
    cdef readonly Flag heard
    cdef object passage_type

    cdef bint has_agreed(self) except -1
    cdef int tell(self, Py_ssize_t depth) except -1
    cdef bint is_failure(self, exception) except -1
    cdef bint is_heard(self) noexcept
    cdef Run current_run(self)
    cpdef _open(self, agent)


cdef class Passage:
    cdef readonly Gate gate
    cdef readonly str agent
    cdef readonly Run run
    cdef readonly bint was_entered
    cdef public bint is_plain
    cdef public bint is_trial
    cdef public object request
    cdef public object refusal
    cdef object token

    cdef bint passes_at_once(self) except -1
    cdef bint passes_for_task(self) except -1
    cdef int begin(self, Run run, Run previous) except -1
    cdef int restore(self) except -1
    cdef int come_out(self, object exception) except -1
