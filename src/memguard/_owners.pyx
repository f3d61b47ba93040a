# cython: language_level=3, embedsignature=True, boundscheck=False, wraparound=False, auto_pickle=False
"""What owners hold, as numbers.

Covers: the door from Python to the kernel's tree of dominators, objects by type, the
data of threads. It has no kernel of its own: that of ``_core`` is called, whose answers
and hooks are then known to it.

Does not cover: who the owners are, and their names (``memguard.heap.owners``).
"""

from cpython.ref cimport PyObject, Py_INCREF
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from memguard._core cimport (
    MG_NOBODY,
    MG_SHARED,
    MG_UNHELD,
    MG_UNKNOWN_OWNER,
    clear_owners,
    clear_vector,
    find_instances as find_instances_in_heap,
    find_owners,
    find_thread_data,
    mg_amount,
    mg_belonging,
    mg_estate,
    mg_owners,
    mg_owners_request,
    mg_vector,
)

cdef extern from "Python.h":
    const Py_ssize_t PY_SSIZE_T_MAX
    void Py_DECREF(PyObject *object)


SHARED = -1
"""In place of an owner: only owners hold it, but not one of them alone."""

NOBODY = -2
"""In place of an owner: it is held without any owner."""

UNHELD = -3
"""In place of an owner: nothing but the question holds it."""

UNTRACKED = -4
"""In place of an owner: the collector does not track it, so it was not looked at."""


cdef int _number_of(uint32_t owner) noexcept:
    if owner == MG_SHARED:
        return SHARED_NUMBER
    if owner == MG_NOBODY:
        return NOBODY_NUMBER
    if owner == MG_UNHELD:
        return UNHELD_NUMBER
    if owner == MG_UNKNOWN_OWNER:
        return UNTRACKED_NUMBER
    return <int> owner


cdef enum:
    SHARED_NUMBER = -1
    NOBODY_NUMBER = -2
    UNHELD_NUMBER = -3
    UNTRACKED_NUMBER = -4


cdef tuple _pair(mg_amount amount):
    return (amount.size_bytes, amount.count)


cdef tuple _as_objects(mg_owners *owners):
    cdef mg_estate *estates = <mg_estate *> owners.estates.items
    cdef mg_belonging *belongings = <mg_belonging *> owners.belongings.items
    cdef size_t i
    return (
        [
            (*_pair(estates[i].retained), *_pair(estates[i].own), estates[i].thread)
            for i in range(owners.estates.count)
        ],
        [
            (*_pair(belongings[i].retained), _number_of(belongings[i].owner))
            for i in range(owners.belongings.count)
        ],
        _pair(owners.shared),
        _pair(owners.all),
        owners.object_count,
        owners.side_table_bytes,
        owners.duration_seconds,
    )


def weigh_owners(
    tuple asked,
    str own_folder,
    list mark_owners,
    list owner_threads,
    Py_ssize_t first_of_garbage=PY_SSIZE_T_MAX,
    question=None,
):
    """Find out what each owner holds, and whose some objects are, in one call.

    Args:
        asked: Objects that belong to owners, then those that are asked about.
            References of the tuple count as nothing.
        own_folder: Frames of code from files in it, as far as they are the
            innermost of their thread, belong to a question.
        mark_owners: For each of the first objects, the number of its owner.
        owner_threads: For each owner the id of the thread that it is; 0 for others.
        first_of_garbage: Owners from this number on have what nothing alive holds;
            what the others hold is not measured by these.
        question: The object in which a caller keeps what is asked about, and which
            variables of the frame that asks hold for that only.

    Returns:
        For each owner (bytes and objects that would be freed without it, bytes and
        objects of these that belong to no owner in between, id of the thread or 0);
        threads that were not given follow. For each object asked about (bytes and
        objects that would be freed with it, number of its owner or one of `SHARED`,
        `NOBODY`, `UNHELD`, `UNTRACKED`). Then (bytes, objects) that owners hold
        together, and that are alive at all; objects that were looked at; bytes of the
        tables; seconds.

    Raises:
        ValueError: The numbers do not go with each other.
        MemoryError: A native table could not be had; nothing was changed.
    """
    cdef mg_owners_request request
    cdef mg_owners owners
    cdef size_t mark_count = <size_t> len(mark_owners)
    cdef size_t owner_count = <size_t> len(owner_threads)
    cdef uint32_t *numbers = NULL
    cdef uint64_t *threads = NULL
    cdef size_t i
    if mark_count > <size_t> len(asked):
        raise ValueError("more owners of objects than objects")
    memset(&request, 0, sizeof(request))
    try:
        numbers = <uint32_t *> malloc((mark_count + 1) * sizeof(uint32_t))
        threads = <uint64_t *> malloc((owner_count + 1) * sizeof(uint64_t))
        if numbers == NULL or threads == NULL:
            raise MemoryError("no memory for the numbers of owners")
        for i in range(mark_count):
            numbers[i] = mark_owners[i]
            if numbers[i] >= owner_count:
                raise ValueError(f"no owner has the number {numbers[i]}")
        for i in range(owner_count):
            threads[i] = owner_threads[i]
        request.asked = <PyObject *> asked
        request.question = NULL if question is None else <PyObject *> question
        request.own_folder = <PyObject *> own_folder
        request.mark_count = mark_count
        request.mark_owners = numbers
        request.owner_count = owner_count
        request.first_of_garbage = <size_t> max(first_of_garbage, 0)
        request.owner_threads = threads
        if find_owners(&request, &owners) < 0:
            raise MemoryError("no memory for the tables of the search")
    finally:
        free(numbers)
        free(threads)
    try:
        return _as_objects(&owners)
    finally:
        clear_owners(&owners)


def find_instances(tuple types):
    """List all objects that the collector tracks and that are of some types or below.

    Raises:
        TypeError: Something in *types* is no type.
        MemoryError: A native table could not be had.
    """
    cdef mg_vector found
    cdef size_t i
    for each in types:
        if not isinstance(each, type):
            raise TypeError("not a type")
    memset(&found, 0, sizeof(found))
    cdef int result = find_instances_in_heap(<PyObject *> types, &found)
    # Before anything can run that frees one of them.
    for i in range(found.count):
        Py_INCREF(<object> (<PyObject **> found.items)[i])
    try:
        if result < 0:
            raise MemoryError("no memory for the list of objects")
        return [<object> (<PyObject **> found.items)[i] for i in range(found.count)]
    finally:
        _drop(&found)
        clear_vector(&found, sizeof(PyObject *))


cdef void _drop(mg_vector *objects) noexcept:
    cdef size_t i
    for i in range(objects.count):
        Py_DECREF((<PyObject **> objects.items)[i])


def thread_data():
    """List the kept in which threads keep their data: (id of the thread, dict).

    Raises:
        MemoryError: A native table could not be had.
    """
    cdef mg_vector kept
    cdef mg_vector threads
    cdef size_t i
    memset(&kept, 0, sizeof(kept))
    memset(&threads, 0, sizeof(threads))
    cdef int result = find_thread_data(&kept, &threads)
    for i in range(kept.count):
        Py_INCREF(<object> (<PyObject **> kept.items)[i])
    try:
        if result < 0:
            raise MemoryError("no memory for the list of threads")
        return [
            ((<uint64_t *> threads.items)[i], <object> (<PyObject **> kept.items)[i])
            for i in range(kept.count)
        ]
    finally:
        _drop(&kept)
        clear_vector(&kept, sizeof(PyObject *))
        clear_vector(&threads, sizeof(uint64_t))
