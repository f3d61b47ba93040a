# cython: language_level=3, embedsignature=True, boundscheck=False, wraparound=False, auto_pickle=False
"""Counts of objects by type and the lengths of containers, from pass to pass.

Covers: the door from Python to the kernel's census. It has no kernel of its own:
that of ``_core`` is called.

Does not cover: what of it is growth (``memguard.heap.growth``).
"""

cimport cython
from cpython.exc cimport PyErr_CheckSignals
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.ref cimport PyObject, PyTypeObject, Py_DECREF, Py_INCREF
from libc.stdint cimport uint64_t
from libc.string cimport memset

import os as _os
from collections import deque as _deque

from memguard._core cimport (
    MG_CHILD_ANSWERED,
    MG_CHILD_RUNS,
    MG_NO_MEMORY_FOR_ANSWER,
    begin_census,
    clear_census,
    clear_seen,
    clear_vector,
    end_child,
    find_in_census,
    find_newest,
    find_tracked,
    list_types,
    mg_census,
    mg_census_request,
    mg_census_snapshot,
    mg_child_state,
    mg_place,
    mg_population,
    mg_seen_types,
    mg_vector,
    name_of_type,
    names_of_seen,
    now_seconds,
    receive_census,
    take_census,
)

from memguard import _core


cdef size_t _CHANGE_WORDS = 6

cdef enum:
    _MOST_TYPES = 16
    _MOST_NEWEST = 8


cdef bytes _bytes_of(const mg_vector *changes):
    return PyBytes_FromStringAndSize(
        <char *> changes.items, changes.count * _CHANGE_WORDS * sizeof(uint64_t)
    )


cdef void _let_go(mg_vector *taken) noexcept:
    cdef mg_population *populations = <mg_population *> taken.items
    cdef size_t i
    for i in range(taken.count):
        Py_DECREF(<object> populations[i].type)
    clear_vector(taken, sizeof(mg_population))


@cython.final
cdef class Census:
    """What the last pass saw. Holds nothing of it.

    Args:
        floor: Containers with fewer items are left out [count, >= 1].
        most_containers: The floor doubles until no more than so many are left
            [count, >= 1]; it does not come down again.

    Thread-safety: any thread, under the GIL.
    """

    cdef mg_census _census
    cdef mg_census_request _request
    cdef readonly double pause_seconds

    def __cinit__(self, size_t floor, size_t most_containers):
        if floor < 1 or most_containers < 1:
            raise ValueError("floor and most_containers are 1 or more")
        self._request.floor = floor
        self._request.most_containers = most_containers
        self._request.deque_type = <PyTypeObject *> _deque

    def __dealloc__(self):
        clear_census(&self._census)

    @property
    def floor(self) -> int:
        return self._census.floor

    @property
    def object_count(self) -> int:
        return self._census.object_count

    @property
    def container_count(self) -> int:
        return self._census.table.count

    @property
    def duration_seconds(self) -> float:
        return self._census.duration_seconds

    cdef int look(self, mg_vector *taken) except -1:
        """Look at the heap, and give the types that were met, with a reference to each.

        What is made after the look may let the collector run, and with it code that
        takes this census again; or types go.
        """
        cdef mg_population *populations
        cdef size_t i
        if take_census(&self._census, &self._request) < 0:
            raise MemoryError("no memory for the tables of the census")
        taken[0] = self._census.populations
        memset(&self._census.populations, 0, sizeof(mg_vector))
        populations = <mg_population *> taken.items
        for i in range(taken.count):
            Py_INCREF(<object> populations[i].type)
        return 0

    def take(self):
        """Look at the heap.

        Returns:
            Containers whose length is another than in the pass before, six native
            64-bit integers each: address, address of the type, length before (0: not
            seen), length (0: shorter than the floor, or gone), bytes of its own, and
            bytes of what only it refers to and the collector does not know; empty for
            the first pass. And (name, count, bytes) of
            each type of which the collector knows objects, a name once for each type
            that has it.

        Raises:
            MemoryError: A native table could not be had; the census is as it was.
        """
        cdef mg_population *populations
        cdef mg_vector taken
        cdef size_t i
        cdef double started_seconds = now_seconds()
        self.look(&taken)
        populations = <mg_population *> taken.items
        try:
            changes = _bytes_of(&self._census.changes)
            types = []
            for i in range(taken.count):
                types.append((
                    name_of_type(populations[i].type),
                    populations[i].count,
                    populations[i].bytes,
                ))
            self.pause_seconds = now_seconds() - started_seconds
            return changes, types
        finally:
            _let_go(&taken)

    def find(self, list places):
        """Look for containers, and hold them.

        Args:
            places: (address, address of the type) as from `take`.

        Returns:
            For each the container that is there now, None if there is none.

        Raises:
            MemoryError: As from `take`.
        """
        found = [None] * len(places)
        cdef Py_ssize_t i
        cdef Py_ssize_t count = len(places)
        cdef bint is_all = True
        cdef mg_place *wanted = <mg_place *> PyMem_Malloc((count + 1) * sizeof(mg_place))
        cdef PyObject **there = <PyObject **> PyMem_Malloc((count + 1) * sizeof(PyObject *))
        try:
            if wanted == NULL or there == NULL:
                raise MemoryError("no memory for what is looked for")
            for i in range(count):
                wanted[i].address, wanted[i].type = places[i]
            if find_tracked(wanted, count, there) < 0:
                raise MemoryError("no memory for what is looked for")
            for i in range(count):
                if there[i] != NULL:
                    found[i] = <object> there[i]
                elif wanted[i].type == <uint64_t> <size_t> <PyTypeObject *> dict:
                    is_all = False
            if not is_all:
                self._find_untracked(wanted, found)
            return found
        finally:
            PyMem_Free(wanted)
            PyMem_Free(there)

    cdef int _find_untracked(self, const mg_place *wanted, list found) except -1:
        """Look for what was not found in a whole look, which meets dicts that are not tracked."""
        cdef Py_ssize_t i
        cdef PyObject *container
        if take_census(&self._census, &self._request) < 0:
            raise MemoryError("no memory for the tables of the census")
        for i in range(len(found)):
            container = find_in_census(&self._census, wanted[i].address, wanted[i].type)
            if container != NULL:
                found[i] = <object> container
        return 0

    def newest(self, list names):
        """Hold the objects of some types that are newest in the heap.

        Args:
            names: Of types, as from `take`. Of more than 16 types the rest is left out.

        Returns:
            For each name up to 8 objects: those that the collector has longest are
            left out, and what was frozen.

        Raises:
            MemoryError: As from `take`.
        """
        cdef PyTypeObject *types[_MOST_TYPES]
        cdef PyObject *newest[_MOST_TYPES * _MOST_NEWEST]
        cdef size_t met[_MOST_TYPES]
        cdef size_t type_count = 0
        cdef size_t first
        cdef size_t i
        cdef mg_vector all_types
        cdef PyTypeObject **each
        if list_types(&all_types) < 0:
            raise MemoryError("no memory for the types of all objects")
        each = <PyTypeObject **> all_types.items
        for i in range(all_types.count):
            Py_INCREF(<object> each[i])
        try:
            found = [[] for _ in names]
            places = []
            for i in range(all_types.count):
                name = name_of_type(each[i])
                if name in names and type_count < _MOST_TYPES:
                    types[type_count] = each[i]
                    type_count += 1
                    places.append(found[names.index(name)])
            # Made before they are found: to make it may free them.
            held = [None] * (type_count * _MOST_NEWEST)
            find_newest(types, type_count, _MOST_NEWEST, newest, met)
            for i in range(type_count * _MOST_NEWEST):
                if newest[i] != NULL:
                    held[i] = <object> newest[i]
            for i in range(type_count):
                first = i * _MOST_NEWEST
                places[i] += held[first:first + min(met[i], <size_t> _MOST_NEWEST)]
            return found
        finally:
            for i in range(all_types.count):
                Py_DECREF(<object> each[i])
            clear_vector(&all_types, sizeof(PyTypeObject *))


@cython.final
cdef class CensusSnapshot:
    """A look in a child of this process, which begins when this is made.

    The process goes on meanwhile, and `answer` waits for the child. When this is
    dropped before, the child is killed, and the census is as it was.

    Args:
        census: What takes the look.

    Raises:
        OSError: No child is to be had, with the number of the system's error.
        MemoryError: A native table could not be had.
        RuntimeError: This build of Python cannot be scanned.
    """

    cdef mg_census_snapshot _snapshot
    cdef Census _census
    cdef size_t _pass_count
    cdef bint _is_begun

    def __init__(self, Census census not None):
        if self._is_begun:
            raise RuntimeError("a snapshot is taken once")
        cdef int error = begin_census(&self._snapshot, &census._census, &census._request)
        if error > 0:
            raise OSError(error, _os.strerror(error))
        if error < 0:
            raise MemoryError("no memory for what is noted before a look")
        self._is_begun = True
        self._census = census
        self._pass_count = census._census.pass_count

    def __dealloc__(self):
        if self._is_begun:
            end_child(&self._snapshot.child)

    def answer(self, is_given_up):
        """Wait for the child, and end it.

        The census is then as after `Census.take` at the moment of the fork; one that was
        taken meanwhile stays as it is.

        Args:
            is_given_up: Called without arguments every 50 ms; when it says true, or
                raises, the child is killed.

        Returns:
            As `Census.take`, None unless the child answered; and how the child ended,
            and its status, as ``_core.Snapshot.answer``.

        Raises:
            MemoryError: None for the answer; the census is as it was.
            RuntimeError: It was given before.
        """
        cdef mg_child_state state = MG_CHILD_RUNS
        cdef mg_census found
        cdef mg_seen_types seen
        cdef Census census = self._census
        if census is None:
            raise RuntimeError("a snapshot answers once")
        self._census = None
        memset(&found, 0, sizeof(found))
        memset(&seen, 0, sizeof(seen))
        try:
            try:
                while state == MG_CHILD_RUNS and not is_given_up():
                    with nogil:
                        state = receive_census(&self._snapshot, &found, &seen, 50)
                    PyErr_CheckSignals()
            finally:
                with nogil:
                    end_child(&self._snapshot.child)
            if state == MG_NO_MEMORY_FOR_ANSWER:
                raise MemoryError("no memory for the answer of a look")
            taken = self._adopt(census, &found, &seen) if state == MG_CHILD_ANSWERED else None
            return taken, _core.CHILD_ENDS[state], self._snapshot.child.exit_status
        finally:
            clear_census(&found)
            clear_seen(&seen)

    cdef tuple _adopt(self, Census census, mg_census *found, const mg_seen_types *seen):
        """Make of the census what the child made of its own, once all else is there."""
        cdef double started_seconds = now_seconds()
        cdef mg_population *populations = <mg_population *> found.populations.items
        cdef size_t i
        changes = _bytes_of(&found.changes)
        types = []
        for i, (name, _) in enumerate(names_of_seen(seen)):
            types.append((name, populations[i].count, populations[i].bytes))
        if census._census.pass_count != self._pass_count:
            return changes, types
        clear_vector(&found.populations, sizeof(mg_population))
        clear_census(&census._census)
        census._census = found[0]
        memset(found, 0, sizeof(mg_census))
        census.pause_seconds = self._snapshot.pause_seconds + now_seconds() - started_seconds
        return changes, types
