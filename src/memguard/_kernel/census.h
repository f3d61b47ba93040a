/* How many objects of each type there are, and how long each container is.
 *
 * Covers: one pass over the heap; what changed since the pass before.
 * Does not cover: which change is growth (heap/growth); names.
 *
 * Containers are dict, list, set, deque and what is made from them; so the table of
 * an lru_cache, and the data of weak dictionaries.  They are known from pass to pass by
 * address and type, and not held: one that is freed leaves the table with the next
 * pass, one that took its address looks as if the old one had another length.
 *
 * The caller holds the GIL.  No Python code runs, no reference count changes (see
 * scan.h for 3.16).
 */
#ifndef MG_CENSUS_H
#define MG_CENSUS_H

#include "compat.h"
#include "memory.h"
#include "pointer_index.h"

/* Seen in the last pass, at least `floor` long. */
typedef struct {
    PyObject *object;           /* never to be followed later; NULL: an empty slot */
    PyTypeObject *type;
    uint64_t length;
    uint64_t shallow_bytes;
    uint64_t leaf_bytes;        /* of what only it refers to and is not tracked */
} mg_counted;

typedef struct {
    mg_counted *slots;
    size_t slot_count;          /* a power of two, or 0 */
    size_t count;
} mg_counted_table;

typedef struct {
    uint64_t address;
    uint64_t type;
    uint64_t before;            /* the length in the pass before; 0: not seen there */
    uint64_t length;            /* 0: it is shorter than the floor now, or gone */
    uint64_t shallow_bytes;
    uint64_t leaf_bytes;
} mg_change;

typedef struct {
    PyTypeObject *type;
    uint64_t count;
    uint64_t bytes;
} mg_population;

/* What a child process cannot ask for: that may want a lock of another thread. */
typedef struct {
    mg_vector objects;          /* PyObject *, where the collector's lists are not walked */
    mg_vector variables;        /* PyObject *, of running frames: dicts that are not tracked */
} mg_census_noted;

int mg_census_note(mg_census_noted *noted);     /* -1: no memory */
void mg_census_noted_clear(mg_census_noted *noted);

typedef struct {
    size_t floor;               /* containers that are shorter are left out [items] */
    size_t most_containers;     /* the floor doubles until no more are left [count] */
    PyTypeObject *deque_type;
    const mg_census_noted *noted;   /* NULL: all is looked for */
} mg_census_request;

typedef struct {
    mg_counted_table table;
    size_t floor;               /* of the last pass */
    size_t pass_count;
    mg_vector changes;          /* mg_change, of the last pass */
    mg_vector populations;      /* mg_population, of the last pass; tracked objects */
    size_t object_count;
    double duration_seconds;
} mg_census;

/* Count.  0, or -1: no memory; the census is then as it was. */
int mg_census_take(mg_census *census, const mg_census_request *request);

/* A container that the last pass saw; NULL: it did not. */
PyObject *mg_census_find(const mg_census *census, uint64_t address, uint64_t type);

/* Of a container, as a change has them. */
typedef struct {
    uint64_t address;
    uint64_t type;
} mg_place;

/* Find tracked objects by address and type, in a walk without a look at what they refer
   to: dicts that are not tracked are not met.  `found` has room for one for each place,
   NULL where there is none.  -1: no memory. */
int mg_find_tracked(const mg_place *places, size_t count, PyObject **found);

/* PyTypeObject *, of which there are tracked objects that are not frozen.  -1: no memory. */
int mg_list_types(mg_vector *types);

/* The objects of each type that were met last, which is the newest of the oldest
   generation: `most` for each, NULL where there are fewer.  `met` counts all. */
void mg_newest_of(PyTypeObject *const *types, size_t type_count, size_t most,
                  PyObject **newest, size_t *met);

void mg_census_clear(mg_census *census);

#endif
