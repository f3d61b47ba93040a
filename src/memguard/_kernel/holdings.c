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

typedef struct {
    const mg_holding *holding;
    size_t next_slice;
} taking;

static void
take_slices(void *argument, size_t thread)
{
    (void)thread;
    taking *t = argument;
    PyObject **objects = t->holding->objects;
    size_t first;
    while ((first = mg_claim(&t->next_slice) * SLICE) < t->holding->count) {
        size_t left = t->holding->count - first;
        size_t end = left < SLICE ? t->holding->count : first + SLICE;
        for (size_t i = first; i < end; i++) {
            if (i + LOOK_AHEAD < end) {
                MG_PREFETCH(objects[i + LOOK_AHEAD]);
            }
            Py_INCREF(objects[i]);
        }
    }
}

void
mg_hold(mg_holding *holding)
{
    taking t = {holding, 0};
    size_t slices = holding->count / SLICE;
    size_t most = COUNTS_ARE_PLAIN && slices > 1 ? mg_thread_count() : 1;
    mg_run_together(take_slices, &t, slices < most ? slices : most);
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
    for (size_t i = 0; i < count; i++) {
        if (i + LOOK_AHEAD < count) {
            MG_PREFETCH(objects[i + LOOK_AHEAD]);
        }
        Py_DECREF(objects[i]);
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
