/* Objects by identity, each with one mark: what a free list handed out, or keeps.
 *
 * For objects that cannot carry a mark themselves, as lists. No references are
 * held: an object that dies unnoticed stays known until it is made anew at the
 * same address, or forgotten.
 */
#ifndef MG_IDENTITIES_H
#define MG_IDENTITIES_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdint.h>

#define MG_LENT 0
#define MG_KEPT 1               /* in the lowest bit, which no address uses */

typedef struct {
    uintptr_t entry;            /* address and mark; 0: empty */
    PyTypeObject *type;         /* compared, never followed */
} mg_identity;

typedef struct {
    mg_identity *slots;
    size_t slot_count;          /* a power of two, or 0 */
    size_t count;
} mg_identities;

static inline size_t
mg_identity_home(const mg_identities *known, uintptr_t entry)
{
    uint64_t address = entry & ~(uintptr_t)MG_KEPT;
    return (size_t)(address * 0x9e3779b97f4a7c15u >> 20) & (known->slot_count - 1);
}

/* NULL: not known. */
static inline mg_identity *
mg_identity_find(const mg_identities *known, PyObject *object)
{
    if (known->slot_count == 0) {
        return NULL;
    }
    size_t slot = mg_identity_home(known, (uintptr_t)object);
    for (; known->slots[slot].entry != 0; slot = (slot + 1) & (known->slot_count - 1)) {
        if ((known->slots[slot].entry & ~(uintptr_t)MG_KEPT) == (uintptr_t)object) {
            return &known->slots[slot];
        }
    }
    return NULL;
}

static inline void
mg_identity_put(mg_identities *known, mg_identity identity)
{
    size_t slot = mg_identity_home(known, identity.entry);
    while (known->slots[slot].entry != 0) {
        slot = (slot + 1) & (known->slot_count - 1);
    }
    known->slots[slot] = identity;
}

/* Learn of an object that is not known.  -1: no memory, and nothing changed. */
static inline int
mg_identity_add(mg_identities *known, PyObject *object, uintptr_t mark)
{
    if (known->count * 2 >= known->slot_count) {
        mg_identities grown = *known;
        grown.slot_count = known->slot_count ? known->slot_count * 2 : 64;
        grown.slots = PyMem_Calloc(grown.slot_count, sizeof(*grown.slots));
        if (grown.slots == NULL) {
            return -1;
        }
        for (size_t i = 0; i < known->slot_count; i++) {
            if (known->slots[i].entry != 0) {
                mg_identity_put(&grown, known->slots[i]);
            }
        }
        PyMem_Free(known->slots);
        *known = grown;
    }
    mg_identity_put(known, (mg_identity){(uintptr_t)object | mark, Py_TYPE(object)});
    known->count++;
    return 0;
}

static inline void
mg_identity_mark(const mg_identities *known, PyObject *object, uintptr_t mark)
{
    mg_identity *identity = mg_identity_find(known, object);
    if (identity != NULL) {
        identity->entry = (uintptr_t)object | mark;
    }
}

/* Those behind an emptied slot move up, so that a search never passes a gap. */
static inline void
mg_identity_forget(mg_identities *known, PyObject *object)
{
    mg_identity *identity = mg_identity_find(known, object);
    if (identity == NULL) {
        return;
    }
    size_t mask = known->slot_count - 1;
    size_t gap = (size_t)(identity - known->slots);
    for (size_t next = (gap + 1) & mask; known->slots[next].entry != 0;
         next = (next + 1) & mask) {
        size_t home = mg_identity_home(known, known->slots[next].entry);
        if (((next - home) & mask) >= ((next - gap) & mask)) {
            known->slots[gap] = known->slots[next];
            gap = next;
        }
    }
    known->slots[gap] = (mg_identity){0, NULL};
    known->count--;
}

static inline void
mg_identities_clear(mg_identities *known)
{
    PyMem_Free(known->slots);
    *known = (mg_identities){NULL, 0, 0};
}

#endif
