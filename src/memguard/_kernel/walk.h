/* A search in breadth from the roots of this interpreter, over recorded references.
 *
 * Covers: roots, which of them belong to the question, the search, what may be left
 * out of it.
 * Does not cover: the ways that it found (ways.c), what would be freed (freed.c).
 *
 * The link of a node becomes the node from which it was first reached.
 */
#ifndef MG_WALK_H
#define MG_WALK_H

#include "rows.h"
#include "ways.h"

#define MG_MODULE_LEVELS 3      /* sys.modules, the module, its dict */

/* A link: */
#define MG_ROOT (UINT32_C(1) << 30)     /* reached from root number link - MG_ROOT */
#define MG_BARRED (UINT32_C(1) << 31)
#define MG_EXCESS (MG_BARRED - 1)       /* a root by more references than are found */

typedef struct {
    mg_state state;
    mg_rows rows;
    const mg_ways_request *request;
    mg_ways *ways;
    uint32_t *queue;            /* nodes in the order in which they were reached */
    size_t end;
    size_t variables_end;       /* until then: modules, and what holds their variables */
    uint32_t *found;            /* references to a node that was not reached */
    uint64_t *is_target;        /* bits */
    mg_vector asking;           /* PyObject *: references of the question */
    mg_vector cuts;             /* uint64_t, sorted: source << 32 | target */
    mg_vector used_roots;       /* uint32_t, sorted: not to be started from */
    mg_vector barred;           /* uint32_t: nodes not to be passed */
    mg_pointer_index untracked; /* targets that are no nodes */
    mg_vector freed;            /* PyObject *: whose references are still to be counted */
    uint32_t *depth;            /* steps to a node, or NULL: not asked yet */
    uint32_t *outer;            /* of those the one that ends the first half */
    uint32_t hidden_count;      /* steps left out of the way that is read */
    const PyObject *tuple;      /* whose places are known */
    mg_pointer_index in_tuple;
    mg_vector places;           /* Py_ssize_t, by number in that */
    mg_pointer_index losing;    /* no nodes; freed things refer to them */
    mg_vector lost_counts;      /* uint32_t, by number in that: so often */
    uint32_t fixed_root_count;
    int asker_seen;
    const void *asker;          /* the frame that asks */
    unsigned long other_thread; /* whose frames were last looked at */
    int past_frames_of_other;   /* that are memguard's own */
    PyObject *asking_generator; /* whose frame asks; shows its variables as well */
    uint32_t asking_node;
} mg_walk;

/* The question comes first, then the targets. */
#define MG_QUESTION(w) PyTuple_GET_ITEM((w)->request->asked, 0)
#define MG_TARGET(w, i) PyTuple_GET_ITEM((w)->request->asked, (i) + 1)
#define MG_TARGET_COUNT(w) (PyTuple_GET_SIZE((w)->request->asked) - 1)

static inline int
mg_is_unreached(const mg_walk *w, uint32_t node)
{
    uint32_t link = w->rows.rows[node].link;
    return link == MG_NEW || link == MG_BARRED;
}

/* All of these: 0, or -1: no memory. */

/* Before the tables of nodes, for threads are listed under a lock. */
int mg_note_roots(mg_walk *w);

/* A root that has `node` by references which neither an object nor a frame explains;
   `place`: if that is left out as a tuple, where it has the next step. */
int mg_add_unexplained_root(mg_walk *w, uint32_t node, Py_ssize_t place);

/* Where a tuple has an item; -1: nowhere, or no memory. */
Py_ssize_t mg_place_in_tuple(mg_walk *w, PyObject *tuple, void *item);

/* From modules, frames and threads. */
void mg_walk_from_fixed_roots(mg_walk *w);

/* Then from what C code must hold; what is not reached after that is garbage. */
void mg_walk_heap(mg_walk *w);

/* Nothing is left out any more. */
void mg_forget_bars(mg_walk *w);
int mg_leave_out_reference(mg_walk *w, const void *source, const void *target);
/* Once for each reference, however many ways end with it. */
void mg_sort_cuts(mg_walk *w);

/* Note the way to a target: steps[first] and on lie after `node`, last one first;
   or they are all of it. */
int mg_add_way(mg_walk *w, uint32_t target, uint32_t node, size_t first);
int mg_end_way(mg_walk *w, uint32_t target, uint32_t root, size_t first);

/* The ways to targets that the collector does not track, and are no nodes. */
int mg_find_untracked(mg_walk *w);

/* Give the count and bytes of what would be freed without the last reference of
   each way. */
int mg_weigh_freed(mg_walk *w);
int mg_add_freed(mg_walk *w, PyObject *object);

#endif
