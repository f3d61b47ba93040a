/* References that answers hold.
 *
 * They are real references: the collector must see them (tp_traverse below),
 * or a report stored on an object of its own cycle could never be freed.  The
 * scanner in turn must know them, or a first scan would make the garbage it
 * found look alive to the second.  Hence the ring.
 */
#include "scan.h"
#include "threads.h"

#define LOOK_AHEAD 24
#define SLICE ((size_t)1 << 15)     /* objects for one thread at a time */

/* Builds for debugging keep totals by thread. */
#if defined(Py_REF_DEBUG) || defined(Py_STATS)
#define COUNTS_ARE_PLAIN 0
#else
#define COUNTS_ARE_PLAIN 1
#endif

mg_holding mg_holdings = {NULL, NULL, 0, &mg_holdings, &mg_holdings};

static traverseproc inherited_traverse;
static inquiry inherited_clear;
static ptrdiff_t holding_offset;    /* in each owner; 0: nothing was ever held */

/* One piece of work on many objects, divided among threads. */
typedef struct {
    PyObject **objects;
    size_t count;
    size_t next_slice;
    void (*work)(PyObject **objects, size_t count);
} slices;

static void
work_on_slices(void *argument, size_t thread)
{
    (void)thread;
    slices *s = argument;
    size_t first;
    while ((first = mg_claim(&s->next_slice) * SLICE) < s->count) {
        size_t left = s->count - first;
        s->work(s->objects + first, left < SLICE ? left : SLICE);
    }
}

static void
work_together(PyObject **objects, size_t count, void (*work)(PyObject **, size_t))
{
    slices s = {objects, count, 0, work};
    size_t slice_count = count / SLICE;
    size_t most = slice_count > 1 ? mg_thread_count() : 1;
    mg_run_together(work_on_slices, &s, slice_count < most ? slice_count : most);
}

static inline void
fetch_ahead(PyObject *const *objects, size_t i, size_t count)
{
    if (i + LOOK_AHEAD < count) {
        MG_PREFETCH(objects[i + LOOK_AHEAD]);
    }
}

static void
take(PyObject **objects, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        fetch_ahead(objects, i, count);
        Py_INCREF(objects[i]);
    }
}

/* Each object stands there once, so nobody else changes its count. */
static void
drop_what_others_hold(PyObject **objects, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        fetch_ahead(objects, i, count);
        if (Py_REFCNT(objects[i]) > 1) {
            Py_DECREF(objects[i]);
            objects[i] = NULL;
        }
    }
}

void
mg_hold(mg_holding *holding)
{
    if (COUNTS_ARE_PLAIN) {
        work_together(holding->objects, holding->count, take);
    }
    else {
        take(holding->objects, holding->count);
    }
    holding_offset = (char *)holding - (char *)holding->owner;
    holding->next = mg_holdings.next;
    holding->previous = &mg_holdings;
    mg_holdings.next->previous = holding;
    mg_holdings.next = holding;
}

/* Leaves the ring first: dropping a reference can run any code, and that code
   may scan, or release this holding once more. */
void
mg_let_go(mg_holding *holding)
{
    if (holding->next == NULL) {
        return;
    }
    holding->next->previous = holding->previous;
    holding->previous->next = holding->next;
    holding->next = holding->previous = NULL;
    PyObject **objects = holding->objects;
    size_t count = holding->count;
    holding->count = 0;
    if (COUNTS_ARE_PLAIN) {
        work_together(objects, count, drop_what_others_hold);
    }
    for (size_t i = 0; i < count; i++) {
        Py_XDECREF(objects[i]);
    }
}

/* Part of its owner, all zero until something is held.  To look for it in the
   ring would make a collection take time by the square of the answers. */
static mg_holding *
holding_of(PyObject *owner)
{
    return holding_offset == 0 ? NULL
                               : (mg_holding *)((char *)owner + holding_offset);
}

static int
traverse_holder(PyObject *self, visitproc visit, void *arg)
{
    mg_holding *holding = holding_of(self);
    for (size_t i = 0; holding != NULL && i < holding->count; i++) {
        Py_VISIT(holding->objects[i]);
    }
    return inherited_traverse(self, visit, arg);
}

static int
clear_holder(PyObject *self)
{
    mg_holding *holding = holding_of(self);
    if (holding != NULL) {
        mg_let_go(holding);
    }
    return inherited_clear(self);
}

/* Cython writes tp_traverse itself and cannot be told about C arrays, so the
   two slots are wrapped once, before the first instance exists. */
void
mg_make_holder(PyTypeObject *type)
{
    if (type->tp_traverse != traverse_holder) {
        inherited_traverse = type->tp_traverse;
        inherited_clear = type->tp_clear;
        type->tp_traverse = traverse_holder;
        type->tp_clear = clear_holder;
    }
}
