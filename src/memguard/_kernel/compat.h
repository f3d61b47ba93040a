/* What differs between CPython versions, and nothing else.
 *
 *   mg_for_each_tracked    every object that the collector tracks
 *   mg_for_each_frame_root objects that running frames own
 *   mg_is_immortal         never freed, so always a root
 *   mg_reference_count     as a C long
 *   mg_has_borrowed_stack  3.14+: a suspended frame may hold uncounted
 *                          references, which tp_traverse shows all the same
 *
 * Facts and measurements: docs/design.md, "CPython".
 */
#ifndef MG_COMPAT_H
#define MG_COMPAT_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#if PY_VERSION_HEX < 0x030b0000
#error "memguard needs CPython 3.11 or later"
#endif

#if SIZEOF_VOID_P != 8
#error "memguard needs 64-bit pointers: others align objects to less than 16 bytes"
#endif

#ifdef Py_GIL_DISABLED
#define MG_FREE_THREADED 1
#else
#define MG_FREE_THREADED 0
#endif

/* The layout of frames and dict key tables is internal and changes with every
   minor version; the headers of the version compiled for are the only source.
   Later versions do without (frames) until somebody has tested them. */
#if PY_VERSION_HEX < 0x03100000 && !MG_FREE_THREADED
#define MG_FRAME_ROOTS 1
#else
#define MG_FRAME_ROOTS 0
#endif

/* The collector's lists, walked without a write to any object; in a process that was
   forked a write copies the page.  3.16 is not known yet. */
#if PY_VERSION_HEX < 0x03100000 && !MG_FREE_THREADED
#define MG_WALKS_LISTS 1
#else
#define MG_WALKS_LISTS 0
#endif

/* Variables of frames that do not run, for their names.  3.16 is not known yet. */
#if PY_VERSION_HEX < 0x03100000 && !MG_FREE_THREADED
#define MG_FRAME_VARIABLES 1
#else
#define MG_FRAME_VARIABLES 0
#endif

/* By size first: to ask a class for its bases takes longer than all else that is
   asked of an object. */
static inline int
mg_is_set(PyObject *object)
{
    return Py_TYPE(object)->tp_basicsize >= (Py_ssize_t)sizeof(PySetObject) &&
           PyAnySet_Check(object);
}

/* A list, tuple, dict or set, or an instance of a class made from one. */
static inline int
mg_is_container(PyObject *object)
{
    return PyType_HasFeature(Py_TYPE(object), Py_TPFLAGS_LIST_SUBCLASS |
                                                  Py_TPFLAGS_TUPLE_SUBCLASS |
                                                  Py_TPFLAGS_DICT_SUBCLASS) ||
           mg_is_set(object);
}

typedef int (*mg_object_visitor)(PyObject *object, void *argument);

/* Call visit(object, argument) for each; 0 from it stops the walk.  A list
   walk, or PyUnstable_GC_VisitObjects (3.16+), which holds one reference of its own
   while visit runs. */
void mg_for_each_tracked(mg_object_visitor visit, void *argument);
const char *mg_enumeration_name(void);

/* Those that gc.freeze() put aside; none from 3.16 on. */
void mg_for_each_frozen(mg_object_visitor visit, void *argument);

/* sys.modules.  NULL while the interpreter ends: it takes the dict down before
   the last collection, and asking for it then is a fatal error. */
PyObject *mg_imported_modules(void);

void mg_for_each_frame_root(mg_object_visitor visit, void *argument);

typedef struct {
    PyObject *code;                 /* borrowed; NULL: the thread itself */
    PyObject *generator;            /* borrowed: whose frame it is, or NULL */
    unsigned long thread;           /* as threading.get_ident() */
    int is_current;                 /* the thread that asks */
    const void *frame;              /* which one it is; NULL: the thread itself */
} mg_running_frame;

/* In place of the number of a variable: */
enum {
    MG_FUNCTION = -1,
    MG_NAMESPACE = -2,
    MG_THREAD_DATA = -3,            /* of threading.local; from 3.13 on also the object by
                                       which every local knows the thread */
    MG_CURRENT_CONTEXT = -4,
    MG_HANDLED_EXCEPTION = -5,
};

/* 0 from it stops the walk.  Innermost frames first, each of them at once. */
typedef int (*mg_variable_visitor)(const mg_running_frame *frame, int variable,
                                   PyObject *value, void *argument);
void mg_for_each_running_variable(mg_variable_visitor visit, void *argument);

/* Whether a dict could be that of a module, for which it needs this key.  Runs no
   code: a dict whose keys are not all strings may always be one. */
int mg_may_be_module_dict(PyObject *dict, PyObject *name_key);

/* The bytes of a dict beyond its object struct, as dict.__sizeof__ counts. */
Py_ssize_t mg_dict_table_bytes(PyObject *dict);

/* Whether a dict holds keys that it does not show to the collector: texts, which cannot be
   part of a cycle.  A table that instances share belongs to their class. */
int mg_hides_keys(PyObject *dict);

/* How many entries a walk over a dict passes, deleted ones among them. */
Py_ssize_t mg_dict_entry_count(PyObject *dict);

/* Bytes of variables and stack inside a generator, coroutine or frame; 0 for
   other objects. */
Py_ssize_t mg_frame_bytes(PyObject *object);

/* Digits for which an int has room. */
Py_ssize_t mg_int_digit_count(PyObject *number);

double mg_monotonic_seconds(void);

static inline int
mg_is_immortal(PyObject *object)
{
#if PY_VERSION_HEX >= 0x030e0000
    return PyUnstable_IsImmortal(object);
#elif PY_VERSION_HEX >= 0x030c0000
    return _Py_IsImmortal(object);
#else
    (void)object;
    return 0;
#endif
}

/* PyObject_IS_GC, which is a call into the interpreter. */
static inline int
mg_is_gc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    return PyType_HasFeature(type, Py_TPFLAGS_HAVE_GC) &&
           (type->tp_is_gc == NULL || type->tp_is_gc(object));
}

static inline Py_ssize_t
mg_reference_count(PyObject *object)
{
    return Py_REFCNT(object);
}

/* Bytes in front of the object: the collector's head, and the two words in
   which 3.11+ keeps a managed dict or weak reference list. */
static inline Py_ssize_t
mg_preheader_bytes(PyTypeObject *type)
{
    Py_ssize_t bytes = 0;
    if (PyType_IS_GC(type)) {
        bytes += 2 * (Py_ssize_t)sizeof(uintptr_t);
    }
#if PY_VERSION_HEX >= 0x030c0000
    if (PyType_HasFeature(type, Py_TPFLAGS_PREHEADER)) {
        bytes += 2 * (Py_ssize_t)sizeof(PyObject *);
    }
#else
    if (PyType_HasFeature(type, Py_TPFLAGS_MANAGED_DICT)) {
        bytes += 2 * (Py_ssize_t)sizeof(PyObject *);
    }
#endif
    return bytes;
}

/* Objects that are looked at one after another: so many before its turn the header
   of one is fetched, */
#define MG_HEADER_AHEAD 16
/* and then what the header points at. */
#define MG_BODY_AHEAD 8

/* In a walk over the collector's lists, where neighbours mostly lie at equal distances:
   the processor's own guess ends at each page. */
static inline void
mg_fetch_ahead(uintptr_t *last_address, PyObject *object)
{
    uintptr_t stride = (uintptr_t)object - *last_address;
    *last_address = (uintptr_t)object;
#if defined(__GNUC__)
    /* A guess, and no place within any object: as a number it may also overflow. */
    __builtin_prefetch((void *)((uintptr_t)object + stride * MG_HEADER_AHEAD));
#endif
}

static inline void
mg_prefetch_header(PyObject *object)
{
#if defined(__GNUC__)
    __builtin_prefetch((char *)object - 32);
    __builtin_prefetch((char *)object + 16);
#else
    (void)object;
#endif
}

/* Fetch into the cache what the header of an object points at and tp_traverse
   reads: items, key tables, attribute values. */
static inline void
mg_prefetch_body(PyObject *object)
{
#if defined(__GNUC__)
    PyTypeObject *type = Py_TYPE(object);
    if (type == &PyList_Type) {
        __builtin_prefetch(((PyListObject *)object)->ob_item);
    }
    else if (type == &PyDict_Type) {
        PyDictObject *dict = (PyDictObject *)object;
        __builtin_prefetch((char *)dict->ma_keys + 64);
        __builtin_prefetch(dict->ma_values != NULL ? (void *)dict->ma_values
                                                   : (void *)dict->ma_keys);
    }
    else if (PyType_HasFeature(type, Py_TPFLAGS_MANAGED_DICT)) {
#if PY_VERSION_HEX >= 0x030d0000
        __builtin_prefetch((char *)object + 64);        /* values are inline */
#elif PY_VERSION_HEX >= 0x030c0000
        __builtin_prefetch(((void **)object)[-3]);
#else
        __builtin_prefetch(((void **)object)[-4]);
#endif
    }
#else
    (void)object;
#endif
}

extern int mg_force_stack_dedupe;   /* test hook: behave as on 3.14+ */

static inline int
mg_has_borrowed_stack(PyTypeObject *type)
{
#if PY_VERSION_HEX < 0x030e0000
    if (!mg_force_stack_dedupe) {
        return 0;
    }
#endif
    return type == &PyGen_Type || type == &PyCoro_Type || type == &PyAsyncGen_Type;
}

#endif
