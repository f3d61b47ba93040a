/* Weak references, as far as CPython has no function for it in each version.
 *
 *   mg_keep_freed   let a class that is made from weakref.ref keep memory for its next ones
 *   mg_refer        make one of such a class
 *   mg_referent     what one refers to: a new reference, or NULL once it is dead
 *   mg_is_alive     whether it refers to anything
 */
#ifndef MG_REFERENT_H
#define MG_REFERENT_H

#include <Python.h>
#include <string.h>

/* A free list, as Cython makes for classes with no base from outside.  Without it
 * an agent's registration and death took an eighth longer.  One class of a module
 * can have it, which must be final: all blocks are of its size. */
#if defined(Py_GIL_DISABLED) || defined(__SANITIZE_ADDRESS__)
static inline void
mg_keep_freed(PyTypeObject *type)
{
    (void)type;
}
#else
#define MG_MOST_FREED 64
static PyObject *mg_freed[MG_MOST_FREED];
static int mg_freed_count;

static PyObject *
mg_take_freed(PyTypeObject *type, Py_ssize_t item_count)
{
    if (mg_freed_count == 0)
        return PyType_GenericAlloc(type, item_count);
    PyObject *object = mg_freed[--mg_freed_count];
    memset(object, 0, (size_t)type->tp_basicsize);
    (void)PyObject_Init(object, type);
    PyObject_GC_Track(object);
    return object;
}

static void
mg_give_freed(void *object)
{
    if (mg_freed_count < MG_MOST_FREED)
        mg_freed[mg_freed_count++] = object;
    else
        PyObject_GC_Del(object);
}

static inline void
mg_keep_freed(PyTypeObject *type)
{
    type->tp_alloc = mg_take_freed;
    type->tp_free = mg_give_freed;
}
#endif

/* The arguments lie in a tuple that the caller keeps for this: (NULL, callback),
 * which nobody else sees.  To make one each time was an eighth of registering an
 * agent and letting it die.  Making an object may run the collector, and that any
 * code, which may come here again with the same tuple: so it is set back. */
static inline PyObject *
mg_refer(PyTypeObject *type, PyObject *arguments, PyObject *referent)
{
    PyObject *outer = PyTuple_GET_ITEM(arguments, 0);
    PyTuple_SET_ITEM(arguments, 0, referent);
    PyObject *reference = type->tp_new(type, arguments, NULL);
    PyTuple_SET_ITEM(arguments, 0, outer);
    return reference;
}

static inline PyObject *
mg_referent(PyObject *reference)
{
    PyObject *referent;
#if PY_VERSION_HEX >= 0x030d0000
    /* It fails for what is no weak reference only, and no caller has another. */
    return PyWeakref_GetRef(reference, &referent) > 0 ? referent : NULL;
#else
    /* None, too, for one whose count fell to zero, though nothing cleared it yet. */
    referent = PyWeakref_GET_OBJECT(reference);
    return referent == Py_None ? NULL : Py_NewRef(referent);
#endif
}

static inline int
mg_is_alive(PyObject *reference)
{
#ifdef Py_GIL_DISABLED
    PyObject *referent = mg_referent(reference);
    Py_XDECREF(referent);
    return referent != NULL;
#else
    PyObject *referent = ((PyWeakReference *)reference)->wr_object;
    return referent != Py_None && Py_REFCNT(referent) > 0;
#endif
}

static inline int
mg_supports_weakrefs(PyObject *object)
{
    return PyType_SUPPORTS_WEAKREFS(Py_TYPE(object));
}

#endif
