# cython: language_level=3, embedsignature=True, boundscheck=False, wraparound=False, auto_pickle=False
"""Who runs below whom, and how many: the counting part of admission.

Covers: runs, the ledger that counts them, and going in and out where nobody has
to wait or to be told. Native because it surrounds every run of an agent: the
same in Python took more than twice as long.

Does not cover: waiting, refusals in words, events, the circuit
(``memguard.admission``).

Thread-safety: the GIL is the lock. Between reading a count and changing it
nothing here makes an object that the collector tracks, calls a function of
Python or lets go of the last reference to anything, so no other code can run in
between; objects are made before, and dropped after.
"""

cimport cython
from cpython.contextvars cimport PyContextVar_New, PyContextVar_Reset, PyContextVar_Set, get_value
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.object cimport PyTypeObject
from cpython.unicode cimport PyUnicode_Compare


cdef extern from "Python.h":
    Py_ssize_t PY_SSIZE_T_MAX
    Py_ssize_t PyObject_Size(object mapping) except -1
    int PyUnicode_CheckExact(object text) noexcept

cdef extern from *:
    """
    static PyObject *mg_new_instance(PyTypeObject *type, PyObject *no_arguments)
    {
        return type->tp_new(type, no_arguments, NULL);
    }
    """
    object mg_new_instance(PyTypeObject *type, object no_arguments)


cdef object _CURRENT = PyContextVar_New("memguard_run", NULL)
CURRENT = _CURRENT
"""The context variable itself: the innermost `Run`, of whichever ledger."""

cdef class _Unset:
    """What was not given, where None means something."""

    def __repr__(self):
        return "<from the breaker>"


cdef object _UNSET = _Unset()
UNSET = _UNSET
cdef tuple _NO_ARGUMENTS = ()
cdef object _get_running_loop = None

# From so many runs on a set's room is worth giving back.
cdef enum:
    _LARGE_COUNT = 1024

cdef enum:
    _ADMITTED
    _DEPTH
    _REPEAT
    _CHILDREN
    _DESCENDANTS
    _LIVE
    _AGENT
    _BYTES
    _PARALLEL

_REASONS = (
    "", "depth", "repeat", "children", "descendants", "live", "agent", "bytes", "parallel",
)


@cython.final
@cython.freelist(64)
cdef class Run:
    """One admitted delegation: a name and numbers, never an agent.

    The context variable holds it, so whatever copies a context keeps it and those
    above it alive, some hundred bytes each, and nothing else.

    Attributes:
        id: Which admission of its ledger this was, from 1 on.
        agent: Name.
        parent: The run that delegated; None for the first of a chain.
        depth: Its place in the chain, from the ledger's ``first_depth`` on [count].
        live_count: Delegations directly below that have not ended, and those that
            one which ended before them left behind [count].
        waiting_count: Delegations below that wait for this one's slot, too [count].
        started_count: Delegations that it started so far [count].
        descendant_count: Delegations started so far below it, if it is the first
            of its chain [count].
        reserved_bytes: What it has reserved [bytes].
        has_ended: Whether it was left.
        has_failed_below: Whether a failure passed out of one that it waited for.
        loop: The event loop of its holder, until it ends; None for threads.
    """

    @property
    def chain(self) -> tuple:
        """Names from the first of the chain to this one."""
        names = []
        run = self
        while run is not None:
            names.append(run.agent or "?")
            run = run.parent
        names.reverse()
        return tuple(names)

    @property
    def root_id(self):
        """Give the `id` of the first run of the chain."""
        return self.id if self.root is None else self.root.id

    def __repr__(self):
        state = "ended" if self.has_ended else "live"
        return f"<Run {self.id} {' -> '.join(self.chain)} {state}>"


@cython.final
cdef class Breach:
    """Why a ledger did not admit.

    Attributes:
        reason: Word of ``refusals.Reason``.
        limit: The limit.
        measured: What it would have been.
    """

    cdef readonly str reason
    cdef readonly long long limit
    cdef readonly long long measured

    def __repr__(self):
        return f"Breach({self.reason!r}, limit={self.limit}, measured={self.measured})"


@cython.final
cdef class AgentCount:
    """How many runs of one agent are live, and may be.

    Attributes:
        max_live: Limit [count].
        live_count: How many are [count].
    """

    cdef public Py_ssize_t max_live
    cdef readonly Py_ssize_t live_count

    def __cinit__(self, Py_ssize_t max_live):
        self.max_live = max_live


cdef Run _nearest_live(Run run):
    while run is not None and run.has_ended:
        run = run.parent
    return run


cdef Py_ssize_t _earlier_count(Run parent, str agent) noexcept:
    cdef Py_ssize_t count = 0
    while parent is not None:
        if parent.agent is agent or (
            parent.agent is not None and PyUnicode_Compare(parent.agent, agent) == 0
        ):
            count += 1
        parent = parent.parent
    return count


@cython.final
cdef class Ledger:
    """Count runs, and admit no more than the limits allow.

    A parent lends its slot: it waits for those it started, so what takes a slot is
    a live run that has no live run below it. The first child of such a run takes
    over its slot, the last one that ends gives it back, and a tree that runs can
    always go on. Limits are set as attributes; 2**63 - 1 and -1 bytes are none.
    ``first_depth`` is the depth of what begins a chain: 1 for a delegation, 0 for an
    agent to whom nobody delegated.

    Thread-safety:
        Any thread; each method is one step.
    """

    @property
    def ledger(self):
        """Itself: a store whose counts are all here."""
        return self

    def __cinit__(self):
        self.owner = object()
        self.live = set()
        self.due = []
        self.agents = {}
        self.max_depth = self.max_repeats = self.max_children = PY_SSIZE_T_MAX
        self.max_descendants = self.max_live = self.max_parallel = PY_SSIZE_T_MAX
        self.max_bytes = -1
        self.first_depth = 1

    cdef int judge(
        self, Run parent, str agent, long long cost_bytes, bint is_next,
        long long *limit, long long *measured,
    ) except -1:
        """Decide; reads and changes nothing. *is_next*: its turn has come in the line."""
        cdef Py_ssize_t depth = self.first_depth
        cdef Run root
        cdef Run lender
        cdef AgentCount count
        if parent is not None:
            depth = parent.depth + 1
            root = parent if parent.root is None else parent.root
            limit[0], measured[0] = self.max_repeats, 0
            if self.max_repeats != PY_SSIZE_T_MAX:
                measured[0] = _earlier_count(parent, agent)
                if measured[0] > limit[0]:
                    return _REPEAT
            limit[0], measured[0] = self.max_children, parent.started_count + 1
            if measured[0] > limit[0]:
                return _CHILDREN
            limit[0], measured[0] = self.max_descendants, root.descendant_count + 1
            if measured[0] > limit[0]:
                return _DESCENDANTS
        limit[0], measured[0] = self.max_depth, depth
        if depth > limit[0]:
            return _DEPTH
        limit[0], measured[0] = self.max_live, len(self.live) + 1
        if measured[0] > limit[0]:
            return _LIVE
        if self.agents:
            count = self.agents.get(agent)
            if count is not None and count.live_count >= count.max_live:
                limit[0], measured[0] = count.max_live, count.live_count + 1
                return _AGENT
        limit[0], measured[0] = self.max_bytes, self.reserved_bytes + cost_bytes
        if cost_bytes > 0 and limit[0] >= 0 and measured[0] > limit[0]:
            return _BYTES
        lender = _nearest_live(parent)
        limit[0], measured[0] = self.max_parallel, self.running_count + 1
        if lender is None or lender.live_count > 0:
            if measured[0] > limit[0] or (self.waiting_count > 0 and not is_next):
                return _PARALLEL
        elif lender.waiting_count > 0 and not is_next:
            return _PARALLEL
        return _ADMITTED

    cdef int count_in(self, Run run, Run parent, str agent, long long cost_bytes) except -1:
        """Count a run that was judged; *run* is new."""
        cdef Run root = None
        cdef Run lender = _nearest_live(parent)
        cdef AgentCount count
        self.live.add(run)
        self.admitted_count += 1
        run.id = self.admitted_count
        run.owner = self.owner
        run.agent = agent
        run.depth = self.first_depth
        run.reserved_bytes = cost_bytes
        self.reserved_bytes += cost_bytes
        if parent is not None:
            root = parent if parent.root is None else parent.root
            run.parent = parent
            run.root = root
            run.depth = parent.depth + 1
            parent.started_count += 1
            root.descendant_count += 1
            if _earlier_count(parent, agent):
                self.repeated_count += 1
        if lender is None:
            self.running_count += 1
        else:
            if lender.live_count > 0:
                self.running_count += 1
            else:
                self.lent_count += 1
            lender.live_count += 1
        if self.agents:
            count = self.agents.get(agent)
            if count is not None:
                count.live_count += 1
        if self.running_count > self.peak_running_count:
            self.peak_running_count = self.running_count
        if len(self.live) > self.peak_live_count:
            self.peak_live_count = len(self.live)
        if len(self.live) > self._room_count:
            self._room_count = len(self.live)
        return 0

    cdef bint count_out(self, Run run) except -1:
        """Count a run out, once; says whether it was live."""
        cdef Run lender
        cdef AgentCount count
        if run.has_ended or run.owner is not self.owner:
            return False
        run.has_ended = True
        self.live.discard(run)
        if self._room_count > _LARGE_COUNT and not self.live:
            # A set keeps its room when it is emptied one by one.
            self._room_count = 0
            self.live.clear()
        self.ended_count += 1
        self.reserved_bytes -= run.reserved_bytes
        lender = _nearest_live(run.parent)
        if run.live_count > 0:
            # It ended before what it started, which now belongs to who waits for it.
            if lender is not None:
                lender.live_count += run.live_count - 1
        elif lender is None:
            self.running_count -= 1
        else:
            lender.live_count -= 1
            if lender.live_count > 0:
                self.running_count -= 1
        if lender is not None:
            lender.waiting_count += run.waiting_count
            if lender.live_count == 0 and lender.waiting_count > 0:
                self.due.append(lender)
        if self.agents:
            count = self.agents.get(run.agent)
            if count is not None and count.live_count > 0:
                count.live_count -= 1
        return True

    cdef int check_own(self, Run run) except -1:
        if run is not None and run.owner is not self.owner:
            raise ValueError(f"{run!r} is of another ledger")
        return 0

    def admit(
        self, Run parent, str agent not None, long long cost_bytes=0, *, bint is_next=False,
        bint is_forced=False,
    ):
        """Admit a run below *parent*, or say why not.

        Args:
            parent: Who delegates, ended or not; None begins a chain.
            agent: Name.
            cost_bytes: What to reserve [bytes, >= 0].
            is_next: It has waited, and its turn has come.
            is_forced: Admit it whatever the limits say.

        Returns:
            The `Run`, or a `Breach`.
        """
        cdef long long limit = 0
        cdef long long measured = 0
        cdef Run run = Run.__new__(Run)
        cdef Breach breach = Breach.__new__(Breach)
        cdef int reason
        self.check_own(parent)
        reason = self.judge(parent, agent, cost_bytes, is_next, &limit, &measured)
        if reason == _ADMITTED or is_forced:
            self.count_in(run, parent, agent, cost_bytes)
            return run
        breach.reason = <str> _REASONS[reason]
        breach.limit = limit
        breach.measured = measured
        return breach

    def would_refuse(self, Run parent, str agent not None, long long cost_bytes=0):
        """Give the `Breach` that `admit` would give now, or None; nothing is counted."""
        cdef long long limit = 0
        cdef long long measured = 0
        cdef Breach breach = Breach.__new__(Breach)
        cdef int reason
        self.check_own(parent)
        reason = self.judge(parent, agent, cost_bytes, False, &limit, &measured)
        if reason == _ADMITTED:
            return None
        breach.reason = <str> _REASONS[reason]
        breach.limit = limit
        breach.measured = measured
        return breach

    def leave(self, Run run not None):
        """Count a run out; says whether it was live, for a second time does nothing."""
        return self.count_out(run)

    def reserve(self, Run run not None, long long cost_bytes):
        """Change what a live run has reserved [bytes]."""
        self.check_own(run)
        if not run.has_ended:
            self.reserved_bytes += cost_bytes - run.reserved_bytes
            run.reserved_bytes = cost_bytes

    def hold(self, Py_ssize_t count):
        """Take slots for what is counted elsewhere, or give them back if below 0."""
        self.running_count += count
        if self.running_count > self.peak_running_count:
            self.peak_running_count = self.running_count

    def expect(self, Run parent):
        """Count one that waits below *parent*, and look at it soon."""
        cdef Run lender = _nearest_live(parent)
        self.check_own(parent)
        self.waiting_count += 1
        if lender is not None:
            lender.waiting_count += 1
            self.due.append(lender)

    def expect_no_more(self, Run parent):
        """Count out one that waited below *parent*."""
        cdef Run lender = _nearest_live(parent)
        self.check_own(parent)
        self.waiting_count -= 1
        if lender is not None:
            lender.waiting_count -= 1

    def lender_of(self, Run parent):
        """Give the nearest run from *parent* upwards that is live, or None."""
        return _nearest_live(parent)

    def take_due(self):
        """Give the parents to look at, who ran again while one waits below them."""
        due = self.due
        self.due = []
        return due

    def has_room(self):
        """Whether a slot is free."""
        return self.running_count < self.max_parallel

    def origin(self, chain, Py_ssize_t depth, long long run_id=0):
        """Make an ended run that stands for a chain of which only names are known."""
        cdef Run run = None
        cdef Run above
        cdef Run root = None
        for name in chain:
            above = run
            run = Run.__new__(Run)
            run.owner = self.owner
            run.agent = <str?> name
            run.parent = above
            run.root = root
            run.depth = depth
            run.has_ended = True
            if root is None:
                root = run
                run.id = run_id
        return run


cdef Run _own_of(Run run, object owner):
    """Give the run of this ledger that a context is in whose innermost is *run*, or None."""
    while run is not None and (run.owner is not owner or run.is_passed):
        run = run.parent if run.owner is owner and run.parent is not None else run.outer
    return run


cdef class Passage:
    """One way into a ledger and out of it; each is used once.

    What nobody has to wait for, nor be told of, is done here. Everything else is
    asked of the subclass, by `_enter` and `_leave`; it has the ``__aenter__``, too,
    since a coroutine of Python is awaited faster than anything else.

    Attributes:
        gate: Where it leads in.
        agent: Name.
        run: What was admitted; None before, and when it was refused.
        is_plain: Whether nothing was asked for that is looked at before it is admitted.
        is_trial: Whether it was admitted to try a half-open circuit.
        request: What was asked for; None for what the gate does anyway.
        refusal: Why it was not admitted, if it did not raise.
        was_entered: Whether it was used.

    Thread-safety:
        It may be left by another thread or task than it was entered by.
    """

    cdef bint passes_at_once(self) except -1:
        cdef Gate gate = self.gate
        cdef Ledger ledger
        cdef long long limit = 0
        cdef long long measured = 0
        cdef Run current
        cdef Run parent
        cdef Run run
        if gate is None or not self.is_plain or self.was_entered or gate.is_watched:
            return False
        ledger = gate.ledger
        if ledger is None or gate.is_heard():
            return False
        run = Run.__new__(Run)
        current = get_value(_CURRENT)
        parent = _own_of(current, ledger.owner)
        if ledger.judge(parent, self.agent, 0, False, &limit, &measured) != _ADMITTED:
            return False
        if gate.agrees is not None:
            # Who is asked may do anything, so look at all that may have changed.
            if not gate.has_agreed() or self.was_entered or gate.is_watched or gate.is_heard():
                return False
            if ledger.judge(parent, self.agent, 0, False, &limit, &measured) != _ADMITTED:
                return False
        ledger.count_in(run, parent, self.agent, 0)
        self.begin(run, current)
        gate.tell(run.depth)
        return True

    cdef bint passes_for_task(self) except -1:
        if not self.passes_at_once():
            return False
        self.run.loop = running_loop()
        return True

    cdef int begin(self, Run run, Run previous) except -1:
        self.was_entered = True
        self.run = run
        if previous is not None:
            run.outer = previous if previous.owner is not run.owner else previous.outer
        self.token = PyContextVar_Set(_CURRENT, run)
        return 0

    cdef int restore(self) except -1:
        token, self.token = self.token, None
        if get_value(_CURRENT) is not self.run:
            self.run.is_passed = True
        else:
            try:
                PyContextVar_Reset(_CURRENT, token)
            except ValueError:  # in a copy of the context that it was entered in
                self.run.is_passed = True
        self.run.loop = None
        return 0

    cdef int come_out(self, object exception) except -1:
        cdef Gate gate = self.gate
        cdef Ledger ledger
        if self.run is None or gate is None:
            return 0
        ledger = gate.ledger
        self.restore()
        if (
            self.is_plain and not self.is_trial and ledger is not None
            and not gate.is_failure(exception) and not gate.is_heard()
        ):
            ledger.count_out(self.run)
            if ledger.waiting_count > 0:
                gate._hand_on()
        else:
            self._leave(exception)
        return 0

    def _begin(self, Run run not None):
        """Go on as *run*, which was admitted, in this context."""
        self.begin(run, get_value(_CURRENT))

    def _mark_entered(self):
        """Say whether it was used before; from now on it was."""
        was_entered = self.was_entered
        self.was_entered = True
        return was_entered

    def _enter(self):
        raise NotImplementedError

    def _leave(self, exception):
        raise NotImplementedError

    def _drop(self):
        raise NotImplementedError

    def __enter__(self):
        if not self.passes_at_once():
            self._enter()
        return self

    def __exit__(self, exception_type, exception, traceback):
        self.come_out(exception)

    def _passes_at_once(self):
        """Go in, for a task, if nobody has to wait nor to be told; says whether it did."""
        return self.passes_for_task()

    def __aexit__(self, exception_type, exception, traceback):
        self.come_out(exception)
        return _DONE

    def __del__(self):
        if self.run is not None and not self.run.has_ended:
            self.restore()
            self._drop()


@cython.final
cdef class _Exit:
    """What `async with` awaits to come out: nothing."""

    def __await__(self):
        return self

    def __next__(self):
        raise StopIteration


cdef object _DONE = _Exit()


cpdef running_loop():
    """Give the event loop that runs in this thread, or None."""
    global _get_running_loop
    if _get_running_loop is None:
        # Not before somebody awaits: importing memguard does not bring asyncio.
        from asyncio import _get_running_loop as get
        _get_running_loop = get
    return _get_running_loop()


@cython.final
cdef class Flag:
    """A yes or no that the gate reads at each entry, and somebody else sets."""

cdef double _CLOSED = -1e300


cdef struct _Start:
    double seconds
    double size_bytes


@cython.final
cdef class Spare:
    """Starts that are granted without a decision each, while all limits are far.

    Whoever decides opens it, with what is left and until when, and notes what it grants
    itself, too. A start counts until a reading may show it.

    Attributes:
        unseen_bytes: What the starts that count take together [bytes].
        granted_count: Starts that were granted here [count].

    Thread-safety:
        Any thread; each method is one step.
    """

    cdef object clock
    # A ring of starts, the oldest first; its room is a power of two.
    cdef _Start *starts
    cdef size_t room
    cdef size_t first
    cdef size_t count
    cdef double until_seconds
    cdef double most_bytes
    cdef double each_bytes
    cdef double ramp_seconds
    cdef readonly double unseen_bytes
    cdef readonly long long granted_count

    def __cinit__(self, clock not None):
        self.clock = clock
        self.until_seconds = _CLOSED

    def __dealloc__(self):
        PyMem_Free(self.starts)

    def open(
        self, double most_bytes, double until_seconds, double each_bytes, double ramp_seconds
    ):
        """Grant starts of *each_bytes*, until so much is unseen, or that time comes."""
        self.most_bytes = most_bytes
        self.until_seconds = until_seconds
        self.each_bytes = each_bytes
        self.ramp_seconds = ramp_seconds

    def close(self):
        """Grant nothing."""
        self.until_seconds = _CLOSED

    @property
    def unseen_count(self):
        """How many starts count [count]."""
        return self.count

    def note(self, double now_seconds, double size_bytes):
        """Let a start count that was granted elsewhere."""
        self.add(now_seconds, size_bytes)

    def forget(self, double until_seconds):
        """Let starts of that time and before count no more."""
        self.forget_until(until_seconds)

    def last_seconds(self):
        """Give the time of the last start that counts, or None."""
        if self.count == 0:
            return None
        return self.starts[(self.first + self.count - 1) & (self.room - 1)].seconds

    def __call__(self):
        """Grant a start, and say whether it was."""
        return self.grant()

    cdef bint grant(self) except -1:
        cdef double now
        if self.until_seconds == _CLOSED:
            return False
        now = self.clock()
        if now >= self.until_seconds:
            return False
        self.forget_until(now - self.ramp_seconds)
        if self.unseen_bytes >= self.most_bytes:
            return False
        self.add(now, self.each_bytes)
        self.granted_count += 1
        return True

    cdef int forget_until(self, double until_seconds) except -1:
        while self.count > 0 and self.starts[self.first].seconds <= until_seconds:
            self.unseen_bytes -= self.starts[self.first].size_bytes
            self.first = (self.first + 1) & (self.room - 1)
            self.count -= 1
        if self.count == 0:
            self.unseen_bytes = 0.0
        return 0

    cdef int add(self, double now_seconds, double size_bytes) except -1:
        cdef _Start *start
        if self.count == self.room:
            self.grow()
        start = &self.starts[(self.first + self.count) & (self.room - 1)]
        start.seconds = now_seconds
        start.size_bytes = size_bytes
        self.count += 1
        self.unseen_bytes += size_bytes
        return 0

    cdef int grow(self) except -1:
        cdef size_t room = 64 if self.room == 0 else 2 * self.room
        cdef size_t position
        cdef _Start *starts = <_Start *> PyMem_Malloc(room * sizeof(_Start))
        if starts == NULL:
            raise MemoryError
        for position in range(self.count):
            starts[position] = self.starts[(self.first + position) & (self.room - 1)]
        PyMem_Free(self.starts)
        self.starts = starts
        self.room = room
        self.first = 0
        return 0


@cython.final
cdef class Quiet:
    """Values that change nothing: up to the highest of them they are only counted.

    Attributes:
        most: The highest; below 0 none is.
        count: How many there were [count].
    """

    def __cinit__(self):
        self.most = -1.0


cdef class Gate:
    """Open passages into one ledger.

    Attributes:
        ledger: What counts; None where another store does.
        excluded: Exceptions that are no failures.
        is_watched: Whether each entry has to be looked at.
        alarm: The same for entries and exits, as long as its flag is up.
        heard: Up while somebody is told of each entry or exit.
        agrees: Called before an entry, which is looked at if that gives False; or None.
        tell_depth: Called with the depth of each run that was admitted, or None.
        quiet_depths: Depths that are counted there instead, or None.
    """

    def __cinit__(self, *_, **__):
        self.excluded = ()
        self.alarm = Flag()
        self.heard = Flag()

    cdef bint has_agreed(self) except -1:
        if type(self.agrees) is Spare:
            return (<Spare> self.agrees).grant()
        return bool(self.agrees())

    cdef int tell(self, Py_ssize_t depth) except -1:
        if self.quiet_depths is not None and depth <= self.quiet_depths.most:
            self.quiet_depths.count += 1
        elif self.tell_depth is not None:
            self.tell_depth(depth)
        return 0

    def _tell_depth(self, Py_ssize_t depth):
        self.tell(depth)

    cdef bint is_failure(self, exception) except -1:
        """Whether an exception has to be looked at; not if it is excluded, or cancels."""
        if exception is None:
            return False
        if isinstance(exception, BaseExceptionGroup):
            return True
        return isinstance(exception, Exception) and not isinstance(exception, self.excluded)

    cdef bint is_heard(self) noexcept:
        """Whether each entry and exit has to be looked at now."""
        return self.alarm.is_up or self.heard.is_up

    def _prepare(self, store, passage_type not None, Flag heard not None):
        if not issubclass(passage_type, Passage):
            raise TypeError("passage_type must be a subclass of Passage")
        self.ledger = store if type(store) is Ledger else None
        self.owner = store.ledger.owner
        self.passage_type = passage_type
        self.heard = heard

    cpdef _open(self, agent):
        """Make a passage for an agent."""
        cdef Passage passage
        if self.passage_type is None:
            raise RuntimeError("the gate leads nowhere yet: _prepare it first")
        if not PyUnicode_CheckExact(agent):
            agent = self._checked_agent(agent)
        passage = <Passage?> mg_new_instance(<PyTypeObject *> self.passage_type, _NO_ARGUMENTS)
        passage.gate = self
        passage.agent = <str?> agent
        passage.is_plain = True
        return passage

    def delegate(
        self, agent, *, wait_seconds=_UNSET, from_task=None, parent=_UNSET, task=None,
        cost_bytes=None, on_refuse=None,
    ):
        """Ask for the right to run an agent: a context, sync or async, or a decorator.

        Nothing happens before it is entered.

        Args:
            agent: Name of the agent.
            wait_seconds: How long to wait if too many run [s]: 0 refuses at once,
                None waits without end. All other limits refuse at once.
            from_task: Who delegates, as in `can_delegate`.
            parent: Who delegates, as a delegation or its token; None begins a
                chain. Without this and *from_task* the context tells.
            task: By what it will be known in ``active_delegations``; its number
                by default.
            cost_bytes: What to reserve of ``max_bytes`` [bytes]; by default what is
                expected of such an agent.
            on_refuse: "raise" or "message"; by default what the breaker does.

        Raises:
            WrongTypeError: *agent* is no string, or *parent* no delegation.
            LimitOutOfRangeError: *wait_seconds* or *cost_bytes* is below 0.
            UnknownOptionError: *on_refuse* does not exist.
            DelegationRefused: When it is entered, and there is no room; see its
                children.
        """
        passage = self._open(agent)
        if (
            wait_seconds is not _UNSET or from_task is not None or parent is not _UNSET
            or task is not None or cost_bytes is not None or on_refuse is not None
        ):
            self._ask_for(passage, wait_seconds, from_task, parent, task, cost_bytes, on_refuse)
        return passage

    def _current(self):
        """Give the run of this gate that the context is in, or None."""
        return self.current_run()

    cdef Run current_run(self):
        return _own_of(get_value(_CURRENT), self.owner)

    def _ask_for(
        self, passage, wait_seconds, from_task, parent, task, cost_bytes, on_refuse
    ):
        raise NotImplementedError

    def _hand_on(self):
        raise NotImplementedError

    def _checked_agent(self, agent):
        raise NotImplementedError
