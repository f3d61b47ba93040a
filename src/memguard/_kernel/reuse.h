/* What contexts and pools keep in C: what is counted, and what runs.
 *
 *   mg_current_wave   the cleanup of this thread
 *   mg_let_wait       leave what dies to the cleanups of this thread that run already
 *   mg_ledger         counts that outlive the pool, shared with its objects
 *   mg_take_unshared  take an object from a list, if nobody else knows it
 *   mg_keep           put one there, if there is room
 *   mg_may_stay       whether a list can stay with a context that lies in a pool
 *
 * Where nothing else is said no Python code runs, so under the GIL each call is one step.
 */
#ifndef MG_REUSE_H
#define MG_REUSE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdint.h>

#ifdef _MSC_VER
#define MG_OF_THIS_THREAD __declspec(thread)
#else
#define MG_OF_THIS_THREAD __thread
#endif

/* The cleanup that runs on this thread; held by the call that runs it.  After a fork
   there is none of a thread that is no more. */
static MG_OF_THIS_THREAD PyObject *mg_current_wave;

/* How many contexts of this thread are cleaned up because they die, each within the
   cleanup of the one before, and those that wait until one of these is done: the
   stack must not grow with a chain of contexts that hold each other. */
#define MG_MOST_DYING 20
static MG_OF_THIS_THREAD int mg_dying_count;
static MG_OF_THIS_THREAD PyObject *mg_waiting;

static inline int
mg_let_wait(PyObject *object)
{
    if (mg_waiting == NULL && (mg_waiting = PyList_New(0)) == NULL) {
        return -1;
    }
    return PyList_Append(mg_waiting, object);
}

/* Give the last one that waits, with a reference; NULL, without an error, for none. */
static inline PyObject *
mg_take_waiting(void)
{
    if (mg_waiting == NULL) {
        return NULL;
    }
    Py_ssize_t last = PyList_GET_SIZE(mg_waiting) - 1;
    if (last < 0) {
        Py_CLEAR(mg_waiting);
        return NULL;
    }
    PyObject *object = PyList_GET_ITEM(mg_waiting, last);
    Py_SET_SIZE(mg_waiting, last);
    return object;
}

typedef struct {
    Py_ssize_t owners;          /* the pool, and each object made for it */
    Py_ssize_t created;
    Py_ssize_t missed;          /* created because nothing could be reused */
    Py_ssize_t reused;
    Py_ssize_t returned;
    Py_ssize_t dropped;
    Py_ssize_t lost;
    Py_ssize_t in_use;
    Py_ssize_t peak_in_use;
} mg_ledger;

static inline mg_ledger *
mg_ledger_new(void)
{
    mg_ledger *ledger = PyMem_Calloc(1, sizeof(*ledger));
    if (ledger != NULL) {
        ledger->owners = 1;
    }
    return ledger;
}

static inline void
mg_ledger_leave(mg_ledger *ledger)
{
    if (ledger != NULL && --ledger->owners == 0) {
        PyMem_Free(ledger);
    }
}

static inline void
mg_ledger_create(mg_ledger *ledger)
{
    ledger->created++;
    ledger->missed++;
}

static inline void
mg_ledger_lend(mg_ledger *ledger)
{
    if (++ledger->in_use > ledger->peak_in_use) {
        ledger->peak_in_use = ledger->in_use;
    }
}

/* Whether the one reference that the caller knows of is the only way to it.

   Exact also from 3.14 on, where the stack of a frame may borrow references: what
   it borrows is always backed by a counted one, in a variable of the same frame or
   in a caller's, for as long as the borrowed one can be used. */
static inline int
mg_is_unshared(PyObject *object)
{
    if (Py_REFCNT(object) != 1) {
        return 0;
    }
    Py_ssize_t offset = Py_TYPE(object)->tp_weaklistoffset;
    return offset == 0 || *(PyObject **)((char *)object + offset) == NULL;
}

/* So many entries from the top are looked at: a loop that drops each object only
   when it has the next needs two, and more would be a cost without an end. */
#define MG_MOST_LOOKS 4

/* Give one entry that nobody else refers to, with its reference; NULL, without an
   error, if none of the topmost is like that. What somebody still holds stays. */
static inline PyObject *
mg_take_unshared(PyObject *list)
{
    if (!PyList_CheckExact(list)) {
        return NULL;            /* the collector took the list away */
    }
    PyObject **items = ((PyListObject *)list)->ob_item;
    Py_ssize_t top = PyList_GET_SIZE(list) - 1;
    Py_ssize_t last = top >= MG_MOST_LOOKS ? top - MG_MOST_LOOKS + 1 : 0;
    for (Py_ssize_t i = top; i >= last; i--) {
        PyObject *object = items[i];
        if (mg_is_unshared(object)) {
            items[i] = items[top];
            Py_SET_SIZE(list, top);
            return object;
        }
    }
    return NULL;
}

/* Put an object on a list of at most *most*, and tell whether there was room. */
static inline int
mg_keep(PyObject *list, Py_ssize_t most, PyObject *object)
{
    if (!PyList_CheckExact(list)) {
        return 0;
    }
    Py_ssize_t size = PyList_GET_SIZE(list);
    if (size >= most) {
        return 0;
    }
    if (size < ((PyListObject *)list)->allocated) {
        ((PyListObject *)list)->ob_item[size] = Py_NewRef(object);
        Py_SET_SIZE(list, size + 1);
    }
    else if (PyList_Append(list, object) < 0) {
        PyErr_Clear();          /* no memory is no room */
        return 0;
    }
    return 1;
}

/* A list that stays has room for so many entries at most: one that has grown large
   must not lie about. */
#define MG_MOST_ENTRIES 32

/* Whether a list, or None, is known to its context alone, and small. */
static inline int
mg_may_stay(PyObject *list)
{
    if (list == Py_None) {
        return 1;
    }
    if (!PyList_CheckExact(list) || Py_REFCNT(list) != 1) {
        return 0;
    }
    /* What is being sorted says -1. */
    Py_ssize_t room = ((PyListObject *)list)->allocated;
    return 0 <= room && room <= MG_MOST_ENTRIES && PyList_GET_SIZE(list) <= room;
}

static inline int
mg_may_dict_stay(PyObject *dict)
{
    return dict == Py_None || (PyDict_CheckExact(dict) && Py_REFCNT(dict) == 1);
}

/* Whether what stayed is as it was left: whoever found it through the collector may
   still hold it, or have put something there. */
static inline int
mg_is_untouched(PyObject *list)
{
    return list == Py_None || (mg_may_stay(list) && PyList_GET_SIZE(list) == 0);
}

static inline int
mg_is_dict_untouched(PyObject *dict)
{
    return dict == Py_None || (mg_may_dict_stay(dict) && PyDict_GET_SIZE(dict) == 0);
}

/* Move the entries of a list, or of None, behind *count* others, with their
   references, and leave it its memory.  Gives how many these are then. */
static inline Py_ssize_t
mg_move_entries(PyObject *list, PyObject **gone, Py_ssize_t count)
{
    if (list == Py_None) {
        return count;
    }
    Py_ssize_t size = PyList_GET_SIZE(list);
    for (Py_ssize_t i = 0; i < size; i++) {
        gone[count + i] = ((PyListObject *)list)->ob_item[i];
    }
    Py_SET_SIZE(list, 0);
    return count + size;
}

/* Any code can run here. */
static inline void
mg_drop_entries(PyObject **gone, Py_ssize_t count)
{
    while (count > 0) {
        Py_XDECREF(gone[--count]);
    }
}

/* The attributes of an instance are let go; who else holds its dict keeps that. */
static inline int
mg_wipe_dict(PyObject *object)
{
    if (Py_TYPE(object)->tp_dictoffset == 0) {
        return 0;
    }
    PyObject *dict = PyObject_GenericGetDict(object, NULL);
    if (dict == NULL) {
        return -1;
    }
    int failed = 0;
    if (Py_REFCNT(dict) > 2) {
        PyObject *fresh = PyDict_New();
        failed = fresh == NULL ? -1 : PyObject_GenericSetDict(object, fresh, NULL);
        Py_XDECREF(fresh);
    }
    PyDict_Clear(dict);
    Py_DECREF(dict);
    return failed;
}

/* Let the finalizer of an object run when it dies, whatever ran for what had the
   same memory before: Cython's lists of freed objects leave that mark in the
   collector's header, in the lowest bit of its second word. */
static inline void
mg_let_finalize(PyObject *object)
{
#ifndef Py_GIL_DISABLED
    ((uintptr_t *)object)[-1] &= ~(uintptr_t)1;
#endif
}

static inline PyObject *
mg_steal(PyObject *object)
{
    return object;
}

#endif
