/* References that answers hold.
 *
 * They are real references: the collector must see them (tp_traverse below),
 * or a report stored on an object of its own cycle could never be freed.  The
 * scanner in turn must know them, or a first scan would make the garbage it
 * found look alive to the second.  Hence the ring.
 */
#include "scan.h"

#define LOOK_AHEAD 24

mg_holding mg_holdings = {NULL, NULL, 0, &mg_holdings, &mg_holdings};

static traverseproc inherited_traverse;
static inquiry inherited_clear;
static ptrdiff_t holding_offset;    /* in each owner; 0: nothing was ever held */

void
mg_hold(mg_holding *holding)
{
    for (size_t i = 0; i < holding->count; i++) {
        if (i + LOOK_AHEAD < holding->count) {
            MG_PREFETCH(holding->objects[i + LOOK_AHEAD]);
        }
        Py_INCREF(holding->objects[i]);
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
