# cython: language_level=3, embedsignature=True, boundscheck=False, wraparound=False, auto_pickle=False
"""The hot path of a guarded agent: admitted, alive, closed and counted out, in one block.

Covers: making blocks, and going in and out where nobody has to wait.
Does not cover: deciding (``_admission``), lives (``_lives``), what a guard is made of
(``memguard.guard``).

Whatever ran before a block has left little of this in the processor's caches. So what
it needs lies in few objects, and is found by address, not by name.
"""

cimport cython

from memguard._admission cimport Gate, Passage
from memguard._lives cimport Block, LifeTable


cdef extern from *:
    """
    static void
    mg_stop_with(PyObject *value)
    {
        PyObject *stop = PyObject_CallOneArg(PyExc_StopIteration, value);
        if (stop != NULL) {
            PyErr_SetObject(PyExc_StopIteration, stop);
            Py_DECREF(stop);
        }
    }
    """
    void mg_stop_with(object value) noexcept


@cython.final
@cython.freelist(16)
cdef class _Done:
    """What `async with` awaits where there is nothing to wait for: gives its value."""

    cdef object value

    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        if self.value is not None:
            mg_stop_with(self.value)
        # Without a value it makes neither an exception nor a traceback, which took longer
        # than all the rest of a block; the one that is set is left alone.
        raise StopIteration


cdef _Done _done(value):
    cdef _Done done = _Done.__new__(_Done)
    done.value = value
    return done


cdef _Done _NOTHING = _Done.__new__(_Done)


cdef class GuardBase:
    """Make blocks for agents; the subclass says by which parts, and starts them."""

    cdef Gate _gate
    cdef LifeTable _lives
    cdef object _locate
    cdef object _watch_loop
    cdef bint _is_open
    cdef long long _agent_count

    def agent(self, agent, **options):
        """Make a block in which an agent runs to whom nobody delegated: depth 0.

        It begins a chain of its own, also within another agent's block, and takes a
        slot of its own: for what the other one waits for, use `delegate`.

        Args:
            agent: Its name; contexts get a number, too, such as "planner-1".
            **options: ``wait_seconds``, ``cost_bytes`` and ``task``, as for
                `DelegationCircuitBreaker.delegate`.

        Raises:
            GuardClosedError: When it is entered, and the guard is closed.
            DelegationRefused: When it is entered, and there is no room.
        """
        return self.block(agent, options, True)

    def delegate(self, agent, **options):
        """Make a block in which an agent runs for the one whose block this is in.

        Its context knows the other one as its parent. Outside of any agent's block it
        begins a chain.

        Args:
            agent: Its name.
            **options: As for `agent`; and ``parent``, a token, where the context
                variables do not lead to the other agent.

        Raises:
            GuardClosedError: When it is entered, and the guard is closed.
            DelegationRefused: When it is entered, and there is no room.
        """
        return self.block(agent, options, False)

    cdef GuardedAgent block(self, agent, dict options, bint begins):
        cdef GuardedAgent block = GuardedAgent.__new__(GuardedAgent)
        block._guard = self
        block._agent = agent
        block._options = options
        block._detached = begins
        if self._watch_loop is not None:
            self._watch_loop()
        return block

    def _use(self, Gate gate not None, lifecycle not None, locate, watch_loop):
        """Say which parts blocks go through; those that are entered keep theirs.

        Args:
            gate: Who admits.
            lifecycle: Knows the agents.
            locate: Called where a block is entered; gives the file and line, if they
                are wanted, or None.
            watch_loop: Called where a block is made, or None.
        """
        self._gate = gate
        self._lives = <LifeTable?> lifecycle._lives
        self._locate = locate
        self._watch_loop = watch_loop
        self._agent_count = 0

    def _open(self, bint is_open):
        """Say whether blocks may be entered without `start`."""
        self._is_open = is_open

    def start(self):
        raise NotImplementedError


@cython.final
@cython.freelist(16)
cdef class GuardedAgent(Block):
    """An agent that runs under a guard: for one ``with`` or ``async with``.

    Made by `Guard.agent` and `Guard.delegate`; nothing happens before it is entered.
    The block gets an `AgentContext`, which is closed at its end.

    Raises:
        DelegationRefused: When it is entered: see its children.

    Thread-safety:
        Enter and leave it in one task or thread.
    """

    cdef GuardBase _guard
    cdef object _agent
    cdef dict _options
    cdef Passage _delegation

    def __init__(self, *args, **kwargs):
        raise TypeError("a GuardedAgent is made by Guard.agent or Guard.delegate")

    def __repr__(self):
        return f"<{type(self).__name__} {self._agent!r}>"

    cdef int open(self) except -1:
        """Ask for the delegation; nothing is entered."""
        cdef GuardBase guard = self._guard
        cdef dict options = self._options
        cdef Gate gate
        cdef Passage delegation
        if not guard._is_open:
            guard.start()
        gate = guard._gate
        if gate is None:
            raise RuntimeError(f"{guard!r} has no parts: call _use before")
        if self._detached and gate.current_run() is not None:
            options = {**options, "parent": None}
        delegation = gate.delegate(self._agent, **options) if options else gate._open(self._agent)
        guard._agent_count += 1
        self._lives = guard._lives
        self._agent_id = f"{delegation.agent}-{guard._agent_count}"
        self._opened_at = None if guard._locate is None else guard._locate()
        self._delegation = delegation
        return 0

    cdef object begin(self):
        """Begin the life; the delegation was entered."""
        try:
            return self._begin()
        except BaseException as error:
            self._delegation.come_out(error)
            raise

    cdef int check_entered(self) except -1:
        if self._delegation is None:
            raise RuntimeError(f"{self!r} was not entered")
        return 0

    def __enter__(self):
        self.open()
        self._delegation.__enter__()
        return self.begin()

    def __exit__(self, kind, error, traceback):
        self.check_entered()
        self.end(error)

    cdef int end(self, error) except -1:
        try:
            self._leave()
        finally:
            self._delegation.come_out(error)
        return 0

    def __aenter__(self):
        self.open()
        if self._delegation.passes_for_task():
            return _done(self.begin())
        return self._enter_in_task()

    def __aexit__(self, kind, error, traceback):
        self.check_entered()
        if self._lives.is_watched:
            return self._leave_in_task(error)
        self.end(error)
        return _NOTHING

    async def _enter_in_task(self):
        await self._delegation._enter_in_task()
        return self.begin()

    async def _leave_in_task(self, error):
        try:
            self._leave()
            if self._lives.is_watched:
                await self._lives.await_hooks()
        finally:
            self._delegation.come_out(error)
