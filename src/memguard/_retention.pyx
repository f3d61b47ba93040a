# cython: language_level=3, embedsignature=True, boundscheck=False, wraparound=False, auto_pickle=False
"""Ways from a root to objects, as objects.

Covers: the door from Python to the kernel's search. It has no kernel of its own:
that of ``_core`` is called, whose answers and hooks are then known to it.

Does not cover: the names of what lies on a way (``memguard.heap.retention``).
"""

from cpython.dict cimport PyDict_Next
from cpython.ref cimport PyObject, Py_DECREF, Py_INCREF
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memset

cdef extern from *:
    """
    /* What is half built has places without an item; others of a list may come and go. */
    static PyObject *mg_item_at(PyObject *sequence, Py_ssize_t place)
    {
        return place >= Py_SIZE(sequence) ? NULL
            : PyList_Check(sequence) ? PyList_GET_ITEM(sequence, place)
                                     : PyTuple_GET_ITEM(sequence, place);
    }
    """
    PyObject *_item_at "mg_item_at" (PyObject *sequence, Py_ssize_t place)
    Py_ssize_t _size_of "Py_SIZE" (PyObject *sequence)


from memguard._core cimport (
    MG_ROOT_MODULES,
    MG_ROOT_UNEXPLAINED,
    clear_ways,
    find_ways as find_ways_in_heap,
    mg_way_root,
    mg_ways,
    mg_ways_request,
)


cdef void _own(mg_ways *ways) noexcept:
    cdef PyObject **steps = <PyObject **> ways.steps.items
    cdef mg_way_root *roots = <mg_way_root *> ways.roots.items
    cdef size_t i
    for i in range(ways.steps.count):
        Py_INCREF(<object> steps[i])
    for i in range(ways.roots.count):
        if roots[i].code != NULL:
            Py_INCREF(<object> roots[i].code)


cdef void _disown(mg_ways *ways) noexcept:
    cdef PyObject **steps = <PyObject **> ways.steps.items
    cdef mg_way_root *roots = <mg_way_root *> ways.roots.items
    cdef size_t i
    for i in range(ways.steps.count):
        Py_DECREF(<object> steps[i])
    for i in range(ways.roots.count):
        if roots[i].code != NULL:
            Py_DECREF(<object> roots[i].code)


cdef tuple _root_of(mg_way_root *root):
    if root.kind == MG_ROOT_MODULES:
        return ("modules", None, 0, 0)
    if root.kind == MG_ROOT_UNEXPLAINED:
        return ("unexplained", None, root.unexplained_count, root.place)
    code = None if root.code == NULL else <object> root.code
    return ("running", code, root.variable, root.thread)


def find_ways(
    tuple asked,
    str own_folder,
    size_t most_ways,
    bint weighs,
    bint asker_holds=False,
    object own_root=None,
):
    """Find the shortest ways from a root to each of some objects, in one call.

    Args:
        asked: What a caller gave to ask with, then the objects. References of the
            tuple count as nothing; so do variables of the frame that asks which hold
            one of these.
        own_folder: Frames of code from files in it, as far as they are the
            innermost of their thread, belong to a question.
        most_ways: For each target; they share no object but modules [count].
        weighs: Whether to find out what would be freed.
        asker_holds: Variables of the frame that asks count like all others.
        own_root: Variables that hold this count, too, though they are of own frames.

    Returns:
        Ways: (place of the target, root, objects from root to target, how many are left
        out amid 64 of them); a root is ("modules", None, 0, 0), ("running", code or
        None, variable, thread) or ("unexplained", None, references, the place at which
        a tuple holds the first object, or -1). Such a tuple may still be being made,
        which it could not be while it is referred to: it is left out. How many objects would be freed if the last
        references of all ways were cut, and their bytes; objects that were looked
        at; bytes of the tables; seconds.

    Raises:
        MemoryError: A native table could not be had; nothing was changed.
    """
    cdef mg_ways_request request
    cdef mg_ways ways
    cdef size_t way
    cdef size_t step
    cdef size_t first = 0
    cdef size_t end
    cdef size_t root
    cdef uint32_t target
    memset(&request, 0, sizeof(request))
    request.asked = <PyObject *> asked
    request.own_folder = <PyObject *> own_folder
    request.asker_holds = asker_holds
    request.root = NULL if own_root is None else <PyObject *> own_root
    request.most_ways = most_ways
    request.weighs = weighs
    if find_ways_in_heap(&request, &ways) < 0:
        raise MemoryError("no memory for the tables of the search")
    _own(&ways)
    try:
        found = []
        for way in range(ways.way_end.count):
            target = (<uint32_t *> ways.way_target.items)[way]
            end = (<uint32_t *> ways.way_end.items)[way]
            if target != 0xffffffff:
                objects = [
                    <object> (<PyObject **> ways.steps.items)[step]
                    for step in range(first, end)
                ]
                root = (<uint32_t *> ways.way_root.items)[way]
                found.append(
                    (
                        target,
                        _root_of(&(<mg_way_root *> ways.roots.items)[root]),
                        objects,
                        (<uint32_t *> ways.way_hidden.items)[way],
                    )
                )
            first = end
        return (
            found,
            ways.freed_count,
            ways.freed_bytes,
            ways.object_count,
            ways.side_table_bytes,
            ways.duration_seconds,
        )
    finally:
        _disown(&ways)
        clear_ways(&ways)


cdef class _Wanted:
    """Objects that are looked for in large containers, by their addresses."""

    cdef uint8_t _may_be[65536]
    cdef dict _places

    def __cinit__(self, list targets):
        cdef Py_ssize_t i
        cdef PyObject *target
        memset(self._may_be, 0, sizeof(self._may_be))
        self._places = {}
        for i in range(len(targets)):
            target = <PyObject *> targets[i]
            self._may_be[(<size_t> target >> 4) & 0xffff] = 1
            self._places.setdefault(<size_t> target, i)

    cdef Py_ssize_t place_of(self, PyObject *thing) except -2:
        if not self._may_be[(<size_t> thing >> 4) & 0xffff]:
            return -1
        return self._places.get(<size_t> thing, -1)


def keys_of(dict_, list targets):
    """Give (key,) of an entry that is the target, value or key, for each; or None.

    In one pass over the dict, or one of a class made from it, where
    `memguard._names.key_of` takes one for each.
    """
    cdef _Wanted wanted = _Wanted(targets)
    cdef PyObject *key
    cdef PyObject *value
    cdef Py_ssize_t position = 0
    cdef Py_ssize_t place
    found = [None] * len(targets)
    while isinstance(dict_, dict) and PyDict_Next(dict_, &position, &key, &value):
        place = wanted.place_of(value)
        if place < 0:
            place = wanted.place_of(key)
        if place >= 0 and found[place] is None:
            found[place] = (<object> key,)
    return found


def indices_of(items, list targets):
    """Give the index at which a list or tuple holds each target, or None; in one pass.

    Safe while it is half built, when iterating over it is not.
    """
    cdef _Wanted wanted = _Wanted(targets)
    cdef PyObject *sequence = <PyObject *> items
    cdef PyObject *item
    cdef Py_ssize_t place
    cdef Py_ssize_t index
    found = [None] * len(targets)
    if isinstance(items, (list, tuple)):
        for index in range(_size_of(sequence)):
            item = _item_at(sequence, index)
            if item == NULL:
                continue
            place = wanted.place_of(item)
            if place >= 0 and found[place] is None:
                found[place] = index
    return found
