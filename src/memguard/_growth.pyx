# cython: language_level=3, embedsignature=True, boundscheck=False, wraparound=False, auto_pickle=False
"""Counts of objects by type and the lengths of containers, from pass to pass.

Covers: the door from Python to the kernel's census. It has no kernel of its own:
that of ``_core`` is called.

Does not cover: what of it is growth (``memguard.heap.growth``).
"""

cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.ref cimport PyObject, PyTypeObject, Py_DECREF, Py_INCREF
from libc.stdint cimport uint64_t
from libc.string cimport memset

from collections import deque as _deque

from memguard._core cimport (
    clear_census,
    clear_vector,
    find_in_census,
    find_newest,
    mg_census,
    mg_census_request,
    mg_population,
    mg_vector,
    name_of_type,
    take_census,
)


cdef size_t _CHANGE_WORDS = 6

cdef enum:
    _MOST_TYPES = 16
    _MOST_NEWEST = 8


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
        self.look(&taken)
        populations = <mg_population *> taken.items
        try:
            changes = PyBytes_FromStringAndSize(
                <char *> self._census.changes.items,
                self._census.changes.count * _CHANGE_WORDS * sizeof(uint64_t),
            )
            types = []
            for i in range(taken.count):
                types.append((
                    name_of_type(populations[i].type),
                    populations[i].count,
                    populations[i].bytes,
                ))
            return changes, types
        finally:
            _let_go(&taken)

    def find(self, list places):
        """Look at the heap, and hold containers.

        Args:
            places: (address, address of the type) as from `take`.

        Returns:
            For each the container that is there now, None if there is none.

        Raises:
            MemoryError: As from `take`.
        """
        found = [None] * len(places)
        cdef uint64_t address
        cdef uint64_t type
        cdef Py_ssize_t i
        cdef PyObject *container
        if take_census(&self._census, &self._request) < 0:
            raise MemoryError("no memory for the tables of the census")
        for i in range(len(places)):
            address, type = places[i]
            container = find_in_census(&self._census, address, type)
            if container != NULL:
                found[i] = <object> container
        return found

    def newest(self, list names):
        """Look at the heap, and hold the objects of some types that are newest in it.

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
        cdef mg_vector taken
        cdef mg_population *populations
        self.look(&taken)
        populations = <mg_population *> taken.items
        try:
            found = [[] for _ in names]
            places = []
            for i in range(taken.count):
                name = name_of_type(populations[i].type)
                if name in names and type_count < _MOST_TYPES:
                    types[type_count] = populations[i].type
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
            _let_go(&taken)
