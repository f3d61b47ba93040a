/* Whose an object is, and what each owner holds.
 *
 * Covers: roots of this interpreter, marked objects that belong to owners, running
 * frames that belong to tasks and threads, what would be freed without each owner.
 * Does not cover: which objects are marked, and the names of owners (heap/owners.py).
 *
 * An owner stands in the graph as a vertex of its own: whatever refers to an object
 * of an owner leads there, and from there to all objects of that owner.  What the
 * vertex dominates is what only this owner holds, by whichever of its objects.
 *
 * Garbage holds nothing that is alive.  Owners of garbage come after all others have had
 * their turn, and what they hold is what would be freed with the objects marked as theirs.
 *
 * The caller holds the GIL from mg_find_owners() until it has read the answer.  Like a
 * scan it runs no Python code and changes no count.
 */
#ifndef MG_OWNERS_H
#define MG_OWNERS_H

#include "scan.h"

typedef struct {
    PyObject *asked;            /* a tuple, which holds for the question only: marked
                                   objects, then those that are asked about */
    PyObject *question;         /* what it was asked with, or NULL: variables of the frame
                                   that asks, and expressions, hold it for that only */
    PyObject *own_folder;       /* code from files in it belongs to the question */
    size_t mark_count;
    const uint32_t *mark_owners;    /* by mark: the number of its owner */
    size_t owner_count;
    size_t first_of_garbage;    /* owners from this number on have what is not alive */
    const uint64_t *owner_threads;  /* by owner: as threading.get_ident(); 0: no thread */
    double (*clock_seconds)(void);
    PyObject *name_key;
    PyTypeObject *own_type;
} mg_owners_request;

typedef struct {
    uint64_t size_bytes;
    uint64_t count;
} mg_amount;

typedef struct {
    mg_amount retained;         /* what would be freed without the owner */
    mg_amount own;              /* of that, what belongs to no other owner in between */
    uint64_t thread;
} mg_estate;

/* In place of an owner: */
#define MG_SHARED UINT32_MAX            /* only owners hold it, but not one alone */
#define MG_NOBODY (UINT32_MAX - 1)      /* held without any owner */
#define MG_UNHELD (UINT32_MAX - 2)      /* by nothing but the question */
#define MG_UNKNOWN_OWNER (UINT32_MAX - 3)   /* not looked at: the collector does not track it */

typedef struct {
    mg_amount retained;
    uint32_t owner;
} mg_belonging;

typedef struct {
    mg_vector estates;          /* mg_estate, by owner; those of other threads follow */
    mg_vector belongings;       /* mg_belonging, by object asked about */
    mg_amount shared;           /* what owners hold together */
    mg_amount all;              /* what is alive */
    size_t object_count;
    size_t side_table_bytes;
    double duration_seconds;
} mg_owners;

/* 0, or -1: no memory; the answer is then empty. */
int mg_find_owners(const mg_owners_request *request, mg_owners *answer);
void mg_owners_clear(mg_owners *answer);

/* Append to objects, a vector of PyObject *, all instances of some types and of types
   derived from them; own_type as in a request.  0, or -1: no memory. */
int mg_find_instances(PyObject *types, PyTypeObject *own_type, mg_vector *objects);

/* Append the dicts in which threads keep their data and their current contexts, and
   whose each is (uint64_t). */
int mg_find_thread_data(mg_vector *kept, mg_vector *threads);

#endif
