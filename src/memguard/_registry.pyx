# cython: language_level=3, embedsignature=True, boundscheck=False, wraparound=False, auto_pickle=False, binding=False
"""Which agents are alive, by id, without keeping one alive.

Covers: a table from ids to weak references, what is known of each agent, the
counts, for one table and for the process.

Does not cover: what views and statistics are made of
(``memguard.agents.registry``), cleaning up (``memguard.agents.lifecycle``).

One object stands for each agent: a weak reference that also holds id and
metadata. It knows the table only through the callback that all of them share,
and the table takes itself out of that before it goes. So nothing here is a
cycle, and nothing waits for the collector.
"""

cimport cython
from cpython.dict cimport PyDict_GetItemWithError
from cpython.ref cimport PyObject, PyTypeObject, Py_INCREF, Py_DECREF

from _weakref import getweakrefs as _weak_references

from memguard.errors import (
    AgentIdTakenError as _AgentIdTakenError,
    WrongTypeError as _WrongTypeError,
)


cdef extern from "Python.h":
    # Borrowed, and the same object where the key was not there before.
    PyObject *PyDict_SetDefault(object dict_, object key, object value) except NULL
    Py_ssize_t Py_REFCNT(PyObject *object)
    PyObject *PyTuple_New(Py_ssize_t size) except NULL
    void PyTuple_SET_ITEM(PyObject *tuple_, Py_ssize_t index, PyObject *item)
    void PyObject_GC_UnTrack(void *object)


cdef extern from "_kernel/referent.h":
    void mg_keep_freed(PyTypeObject *type)
    object mg_refer(PyTypeObject *type, PyObject *arguments, PyObject *referent)
    bint mg_is_alive(PyObject *reference)
    bint mg_supports_weakrefs(PyObject *object)


# How often to try to take a place that others take meanwhile, or that ids which
# compare inconsistently do not give free.
cdef enum:
    MOST_ATTEMPTS = 100
    # From so many entries on a table's room is worth giving back.
    _LARGE_COUNT = 1024


cdef Py_ssize_t _active_count = 0
cdef object _view = None
cdef object _statistics = None


cdef int _load_values() except -1:
    """Load what views and statistics are made of, when it is first needed."""
    global _view, _statistics
    if _view is None:
        from memguard.agents.registry import RegistryStatistics, View

        _statistics = RegistryStatistics
        _view = View
    return 0


@cython.binding(True)
def get_active_agent_count():
    """Count the living agents of all registries of this process.

    Returns:
        Agents that are registered and alive [count]; one that is in two
        registries counts twice.

    Thread-safety:
        Any thread; takes no lock.
    """
    return _active_count


@cython.binding(True)
def ids_of(agent):
    """List the ids under which an object is registered, in any table.

    Cost: O(weak references to the object).
    """
    cdef _Entry entry
    found = []
    for reference in _weak_references(agent):
        if type(reference) is _Entry:
            entry = <_Entry> reference
            if entry._collector is not None:
                found.append(entry._agent_id)
    return found


cdef void _tell(on_death, agent_id, metadata) noexcept:
    on_death(agent_id, metadata)


@cython.final
cdef class _Collector:
    """What the weak references of one table call when their agent died."""

    # _table is not owned: the table owns this, and sets NULL before it goes.

    def take(self, reference):
        """Take a dead agent out; anything else is left alone."""
        cdef _Entry entry
        cdef WeakAgentRegistry table
        # With no references left, its fields are about to be dropped anyway.
        if self._table == NULL or Py_REFCNT(self._table) == 0 or type(reference) is not _Entry:
            return
        table = <WeakAgentRegistry> self._table
        entry = <_Entry> reference
        if entry._collector is self and not entry.is_alive():
            table.lose(entry)


@cython.final
cdef class _Entry(ReferenceType):
    """A weak reference to one agent, its id, and what is known of it."""

    # _collector is None while it does not count: before it is in a table, and after.

    cdef bint is_alive(self) noexcept:
        return mg_is_alive(<PyObject *> self)

    cdef object agent(self):
        """Give the agent, or None."""
        return referent_of(self)


mg_keep_freed(<PyTypeObject *> _Entry)


cdef class WeakAgentRegistry:
    """Find agents by id without keeping one alive.

    An agent that dies is gone from here in the same moment, and what was known
    of it, too. Iterating goes over the ids of the agents that are alive when it
    begins; agents may come and go meanwhile. `on_death`, if set, is called with
    id and metadata of each agent that died without `unregister`, after it was
    taken out. What it raises goes to ``sys.unraisablehook``.

    Example:
        >>> registry = WeakAgentRegistry()
        >>> registry.register("planner", agent, {"model": "large"})
        >>> registry.get("planner") is agent
        True
        >>> del agent
        >>> registry.get_active_count()
        0

    Cost:
        `register` and the death of the agent together are a fifth of what a
        ``WeakValueDictionary`` and a dict for the metadata take;
        `get_active_count` is one read, whatever the size.

    Thread-safety:
        Any thread, and code that runs when agents die or ids are compared; no
        call waits for another. After a fork each process has its own.
    """

    # Ids may run any code when they are hashed and compared: an entry counts from
    # the instruction after it came into the table until somebody, whoever is
    # first, takes it out of the count.
    #
    # This very class is what users see: methods of native code are called faster
    # on its instances than on those of a subclass in Python.
    #
    # _collector and _arguments, the arguments of new entries, are owned, and not
    # cleared by the collector: entries may outlive a table that it takes apart, and
    # must find out that it is gone.
    #
    # _shown and _shown_count are the last answer of `get_active_count`, as an object
    # and as a number.

    def __cinit__(self, *args, **kwargs):
        cdef _Collector collector = _Collector.__new__(_Collector)
        take = collector.take
        self._entries = {}
        self._arguments = PyTuple_New(2)
        PyObject_GC_UnTrack(self._arguments)
        Py_INCREF(take)
        PyTuple_SET_ITEM(self._arguments, 1, <PyObject *> take)
        Py_INCREF(collector)
        self._collector = <PyObject *> collector
        collector._table = <PyObject *> self

    def __dealloc__(self):
        global _active_count
        _active_count -= self._active_count
        if self._collector != NULL:
            (<_Collector> self._collector)._table = NULL
            Py_DECREF(<object> self._collector)
        if self._arguments != NULL:
            Py_DECREF(<object> self._arguments)

    def register(self, agent_id, agent_instance, metadata=None, *, bint replace=False):
        """Know an agent by an id, as long as it lives.

        Args:
            agent_id: Anything hashable; not the agent.
            agent_instance: The agent, held weakly.
            metadata: What to know of it, held as long as the agent lives; must
                not refer to the agent, which would then live as long as this.
            replace: Take the place of a living agent that has this id, as if
                that had been unregistered before.

        Raises:
            AgentIdTakenError: A living agent has this id; finish that one
                first, or give ``replace=True``.
            WrongTypeError: The agent cannot be referred to weakly, or its id or
                metadata is the agent itself.
            TypeError: The id cannot be hashed.
        """
        self.add(agent_id, agent_instance, metadata, replace)

    def unregister(self, agent_id):
        """Forget an agent.

        Returns:
            Whether a living agent had this id.
        """
        cdef _Entry entry = self.find(agent_id)
        return entry is not None and self.end_entry(entry)

    def unregister_entry(self, agent_id, metadata):
        """Forget an agent if it was registered with just this object as metadata.

        Returns:
            Whether it was, and nobody else was told so.
        """
        return self.forget(agent_id, metadata)

    def get(self, agent_id, default=None):
        """Give the living agent that has an id, or *default*."""
        cdef _Entry entry = self.find(agent_id)
        agent = None if entry is None else entry.agent()
        return default if agent is None else agent

    def get_metadata(self, agent_id, default=None):
        """Give what is known of the living agent that has an id, or *default*."""
        cdef _Entry entry = self.find(agent_id)
        return entry._metadata if entry is not None and entry.is_alive() else default

    def get_active_count(self):
        """Count the living agents, whatever their number, in one step."""
        # To make an int takes as long as all the rest of the call.
        if self._shown_count != self._active_count or self._shown is None:
            self._shown = self._active_count
            self._shown_count = self._active_count
        return self._shown

    @property
    def agents(self):
        """The living agents by id: a read-only view of what there is now."""
        _load_values()
        return _view(self, self.get)

    @property
    def metadata(self):
        """What is known of the living agents, by id: a read-only view."""
        _load_values()
        return _view(self, self.get_metadata)

    def statistics(self):
        """Count what became of the agents so far."""
        _load_values()
        return _statistics(*self.counts())

    def counts(self):
        """Give how many were registered, are alive, died, were unregistered; the peak."""
        return (
            self._registered_count,
            self._active_count,
            self._died_count,
            self._unregistered_count,
            self._peak_active_count,
        )

    def ids(self):
        """List the ids of the living agents, in the order in which they came."""
        cdef _Entry entry
        found = []
        for entry in list(self._entries.values()):
            if entry.is_alive():
                found.append(entry._agent_id)
        return found

    def living(self):
        """List (id, agent) of the living agents; no id is hashed or compared."""
        cdef _Entry entry
        found = []
        for entry in list(self._entries.values()):
            agent = entry.agent()
            if agent is not None and entry._collector is not None:
                found.append((entry._agent_id, agent))
        return found

    def __repr__(self):
        return f"<{type(self).__name__}: {len(self)} active>"

    def __contains__(self, agent_id):
        cdef _Entry entry = self.find(agent_id)
        return entry is not None and entry.is_alive()

    def __len__(self):
        return self._active_count

    def __iter__(self):
        return iter(self.ids())

    cdef int add(self, agent_id, agent, metadata, bint replace) except -1:
        """Do as `register`."""
        global _active_count
        cdef _Entry entry, other
        cdef int _attempt
        if not mg_supports_weakrefs(<PyObject *> agent):
            raise _WrongTypeError(
                "agent_instance",
                type(agent).__qualname__,
                "an object that can be referred to weakly; a class with __slots__"
                " needs '__weakref__' among them",
            )
        if agent_id is agent or metadata is agent:
            raise _WrongTypeError(
                "agent_id" if agent_id is agent else "metadata",
                type(agent).__qualname__,
                "something else than the agent itself, which would live as long as this",
            )
        entry = mg_refer(
            <PyTypeObject *> _Entry, self._arguments, <PyObject *> agent
        )
        entry._agent_id = agent_id
        entry._metadata = metadata
        for _attempt in range(MOST_ATTEMPTS):
            other = <_Entry> PyDict_SetDefault(self._entries, agent_id, entry)
            if other is entry:
                entry._collector = <_Collector> self._collector
                self._registered_count += 1
                self._active_count += 1
                _active_count += 1
                if self._active_count > self._peak_active_count:
                    self._peak_active_count = self._active_count
                if self._active_count > self._room_count:
                    self._room_count = self._active_count
                return 0
            if not other.is_alive():
                self.lose(other)
            elif replace:
                self.take_out(other)
            else:
                break
        raise _AgentIdTakenError(agent_id)

    cdef _Entry find(self, agent_id):
        """Give the entry of an id while it counts, or None."""
        cdef PyObject *found = PyDict_GetItemWithError(self._entries, agent_id)
        if found == NULL or (<_Entry> found)._collector is None:
            return None
        return <_Entry> found

    cdef bint forget(self, agent_id, metadata) except -1:
        """Do as `unregister_entry`."""
        cdef _Entry entry = self.find(agent_id)
        return entry is not None and entry._metadata is metadata and self.end_entry(entry)

    cdef bint stop_counting(self, _Entry entry) noexcept:
        """Whether this is the call that ends an entry; one of them is."""
        global _active_count
        if entry._collector is None:
            return False
        # The table has another reference to it: no code runs when this one goes.
        entry._collector = None
        self._active_count -= 1
        _active_count -= 1
        return True

    cdef bint end_entry(self, _Entry entry) except -1:
        """Take one out, whether it lives or nobody was told yet that it died."""
        if entry.is_alive():
            return self.take_out(entry)
        self.lose(entry)
        return False

    cdef bint take_out(self, _Entry entry) except -1:
        """Take out one that may live; whether it was this call that did."""
        if not self.stop_counting(entry):
            return False
        self._unregistered_count += 1
        self.free_place(entry)
        return True

    cdef int lose(self, _Entry entry) except -1:
        """Take out one that died, and tell."""
        if not self.stop_counting(entry):
            self.free_place(entry)
            return 0
        self._died_count += 1
        agent_id = entry._agent_id
        metadata = entry._metadata
        on_death = self.on_death
        # Also where an id that cannot be compared keeps the place.
        entry._metadata = None
        try:
            self.free_place(entry)
        finally:
            if on_death is not None:
                _tell(on_death, agent_id, metadata)
        return 0

    cdef int free_place(self, _Entry entry) except -1:
        """Take an entry out of the dict, and no other.

        The key is the very id that the entry has, so it is found without a
        comparison unless another id has the same hash and was there before.
        """
        cdef _Entry found = self._entries.pop(entry._agent_id, None)
        if found is None or found is entry:
            if self._room_count > _LARGE_COUNT and not self._entries:
                # A dict keeps its room when it is emptied one by one.
                self._room_count = 0
                self._entries.clear()
            return 0
        # It says that it equals what it does not equal in the table.
        if <_Entry> PyDict_SetDefault(self._entries, found._agent_id, found) is not found:
            if self.stop_counting(found):
                self._unregistered_count += 1
        return 0
