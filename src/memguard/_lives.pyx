# cython: language_level=3, embedsignature=True, boundscheck=False, wraparound=False, auto_pickle=False
"""The hot path of an agent's life: it begins, is the current one, and ends once.

Covers: one life, the table of a manager's lives, the block around a life, the
context variable that says which agent runs here.

Does not cover: children, hooks and failures (``memguard.agents.lives``), what
users call (``memguard.agents``).

A timer or a task that copied the context variables can be there for hours. So
they hold a `Life`, which refers to its agent weakly, and only while it lasts.
"""

cimport cython
from cpython.contextvars cimport (
    PyContextVar_New,
    PyContextVar_Reset,
    PyContextVar_Set,
    get_value,
)
from cpython.object cimport PyObject_TypeCheck, PyTypeObject
from cpython.weakref cimport PyWeakref_NewRef

from memguard._agents cimport AgentContext, cleaned, closed, tended
from memguard._registry cimport WeakAgentRegistry, referent_of

from types import CoroutineType as _CoroutineType

from memguard.errors import (
    LifecycleClosedError as _LifecycleClosedError,
    UnknownAgentError as _UnknownAgentError,
    WrongTypeError as _WrongTypeError,
)


cdef bint _is_native(context) noexcept:
    """Whether it is an AgentContext, and does not only say so, as a mock does."""
    return PyObject_TypeCheck(context, <PyTypeObject *> AgentContext)


cdef object _current = PyContextVar_New("memguard_current_agent", NULL)


@cython.final
@cython.trashcan(True)
@cython.freelist(64)
cdef class Life:
    """One agent from its beginning to its end, without the agent.

    Refers to its parent, and knows its children by their ids only: no cycle.

    Attributes:
        agent_id: The agent's id.
        parent: The life within which it began, or None.
        closes: Whether the context ends for good with this life.
        has_ended: Whether somebody has begun to end it.
        opened_at: File and line where it began, if they are wanted, or None.
    """

    def __init__(self, *args, **kwargs):
        raise TypeError("a Life is begun by a LifeTable, not by calling it")

    def __repr__(self):
        return f"<Life {'ended' if self.has_ended else 'not ended'}>"

    def context(self):
        """Give the agent's context; None once it ended or the agent died."""
        return self.held()

    cdef object held(self):
        return None if self._reference is None else referent_of(self._reference)

    def take_child_id(self):
        """Take the newest child out; gives (id,), or None if there is none."""
        # An ended life gets no more: see `adopt`.
        return (self._children.popitem()[1],) if self._children else None

    def part(self):
        """End: lead to the context no longer, take no more children, leave the parent."""
        self.leave_all()

    cdef int leave_all(self) except -1:
        _reference = self._reference
        self.has_ended = True
        self._reference = None
        if self.parent is not None and self.parent._children is not None:
            self.parent._children.pop(<size_t> <void *> self, None)
        return 0

    cdef int adopt(self, Life child) except -1:
        """Let a life end before this one does, unless this one has ended already."""
        if self.has_ended:
            child.parent = None
            return 0
        if self._children is None:
            self._children = {}
        self._children[<size_t> <void *> child] = child.agent_id
        # Making a number or a dict may have run the collector, and that anything.
        if self.has_ended and self._children.pop(<size_t> <void *> child, self) is not self:
            child.parent = None
        return 0


cdef class LifeTable(WeakAgentRegistry):
    """The lives of one manager; each is the metadata of its agent.

    Whoever takes a life out of the table ends it, and nobody else does: that is why
    cleanup runs once.

    Attributes:
        is_closed: Whether no more lives begin.
        is_watched: Whether more is to be done at an end than cleaning up.

    Thread-safety: any thread, under the GIL.
    """

    def __cinit__(self, *args, **kwargs):
        self._home = object()

    def begin(self, agent_id, context, Life parent, bint closes, opened_at):
        """Begin a life; raises what `WeakAgentRegistry.register` does.

        Raises:
            LifecycleClosedError: The table is closed.
        """
        return self.begin_life(agent_id, context, parent, closes, opened_at)

    cdef Life begin_life(self, agent_id, context, Life parent, bint closes, opened_at):
        cdef Life life
        if self.is_closed:
            raise _LifecycleClosedError()
        life = Life.__new__(Life)
        life.agent_id = agent_id
        life.parent = parent
        life.closes = closes
        life.opened_at = opened_at
        life._home = self._home
        try:
            life._reference = PyWeakref_NewRef(context, None)
        except TypeError:
            pass    # to register it will say what is wrong
        self.add(agent_id, context, life, False)
        if _is_native(context):
            tended(<AgentContext> context)
        if parent is not None:
            parent.adopt(life)
        if self.is_closed:
            # While it was registered: whoever closed it may not have seen this one.
            failures = []
            self.end_life(life, failures)
            self.log(failures)
            raise _LifecycleClosedError()
        return life

    def find_life(self, agent_id):
        """Give the life of an active agent.

        Raises:
            UnknownAgentError: There is none.
        """
        life = self.get_metadata(agent_id)
        if life is None:
            raise _UnknownAgentError(agent_id)
        return life

    def current(self):
        """Give the innermost life of this context, if it is one of these."""
        return self.current_life()

    cdef Life current_life(self):
        cdef Life life = get_value(_current)
        while life is not None and (life.has_ended or life._home is not self._home):
            life = life.parent if life._outer is None else life._outer
        return life

    def claim(self, Life life not None):
        """Take a life out; gives its context to the one caller who is to end it."""
        return self.claim_life(life)

    cdef object claim_life(self, Life life):
        context = life.held()
        if context is None or not self.forget(life.agent_id, life):
            return None
        life.leave_all()
        return context

    def end(self, Life life not None, list failures not None):
        """End a life and all below it; adds what is raised.

        Returns:
            Whether this call did; False if somebody else does, or it died.
        """
        return self.end_life(life, failures)

    cdef bint end_life(self, Life life, list failures) except -1:
        context = self.claim_life(life)
        if context is None:
            return False
        if self.is_watched or life._children:
            self.end_claimed(life, context, failures)
            return True
        if _is_native(context):
            found = closed(<AgentContext> context) if life.closes \
                else cleaned(<AgentContext> context)
        else:
            found = clean_up_plain(context)
        if found:
            self.noted(life, found, failures)
        return True


def clean_up_plain(context):
    """Call the ``cleanup()`` of any object, if it has one; gives what it raised in a list."""
    try:
        cleanup = getattr(context, "cleanup", None)
        if callable(cleanup):
            result = cleanup()
            if isinstance(result, _CoroutineType):
                result.close()
                raise _WrongTypeError(
                    f"cleanup of {type(context).__name__}",
                    "coroutine function",
                    "a plain one; what is async belongs into an async hook",
                )
    except Exception as failure:    # somebody else's code
        return [failure]
    return []


@cython.final
cdef class Mourner:
    """What a table calls when an agent died; it does not keep the table alive."""

    cdef object _table

    def __init__(self, LifeTable table not None):
        self._table = PyWeakref_NewRef(table, None)

    def __call__(self, agent_id, Life life not None):
        cdef LifeTable table = self._table()
        life.leave_all()
        if table is not None and (
            table.is_watched or life._children or life.opened_at is not None
        ):
            table.mourn(life)


@cython.freelist(16)
cdef class Block:
    """One agent's life as a block; made by `AgentLifecycleManager.agent`.

    It keeps the context alive while it is entered. It can be entered again after it
    was left.

    Thread-safety: enter and leave it in one task.
    """

    def __init__(
        self, LifeTable lives not None, agent_id, given, parent_id, bint detached, opened_at
    ):
        self._lives = lives
        self._agent_id = agent_id
        self._given = given
        self._parent_id = parent_id
        self._detached = detached
        self._opened_at = opened_at

    def __enter__(self):
        return self._begin()

    cdef object _begin(self):
        cdef LifeTable lives = self._lives
        cdef Life parent = None
        cdef Life life
        cdef Life outer
        if self._parent_id is not None:
            parent = lives.find_life(self._parent_id)
        elif not self._detached:
            parent = lives.current_life()
        context = self._given
        if context is None:
            context = AgentContext(self._agent_id, None if parent is None else parent.held())
        life = lives.begin_life(
            self._agent_id, context, parent, self._given is None, self._opened_at
        )
        outer = get_value(_current)
        if outer is not None and outer._home is not lives._home:
            life._outer = outer
        self._context = context
        self._life = life
        self._token = PyContextVar_Set(_current, life)
        return context

    def __exit__(self, kind, error, traceback):
        self._leave()

    async def __aenter__(self):
        return self._begin()

    async def __aexit__(self, kind, error, traceback):
        self._leave()
        if self._lives.is_watched:
            await self._lives.await_hooks()

    cdef int _leave(self) except -1:
        """End the life; what is raised is logged."""
        cdef Life life = self._life
        token = self._token
        cdef list failures = []
        if life is None:
            return 0
        _context = self._context
        self._life = None
        self._token = None
        self._context = None
        try:
            self._lives.end_life(life, failures)
        finally:
            leave(token)
            if failures:
                self._lives.log(failures)
        return 0


cdef Life _current_life():
    cdef Life life = get_value(_current)
    while life is not None and life.has_ended:
        life = life.parent
    return life


def current_life():
    """Give the innermost life of this context that has not ended, or None."""
    return _current_life()


def life_in(context):
    """Give the innermost life that has not ended in a copy of the context variables, or None."""
    cdef Life life = context.get(_current)
    while life is not None and life.has_ended:
        life = life.parent
    return life


def enter(Life life):
    """Let a life be the current one; gives a token for `leave`."""
    return PyContextVar_Set(_current, life)


def leave(token):
    """Let the life be current that was before `enter`."""
    try:
        PyContextVar_Reset(_current, token)
    except ValueError:
        # Left in another context than entered, as asynchronous generators are
        # that nobody ended: what was set there leads to an ended life.
        pass


def current_agent():
    """Give the context of the agent that runs here, or None.

    Within ``with manager.agent(...)``, in all that is called there, in the tasks
    started there (also by TaskGroup) and in ``asyncio.to_thread``. Other threads
    start without one; see `carry_agent`. Where the agent has ended, it is the
    innermost agent around it that has not.

    Thread-safety:
        Any thread, any task: each has its own.
    """
    cdef Life life = get_value(_current)
    while life is not None:
        context = life.held()
        if context is not None:
            return context
        life = life.parent
    return None
