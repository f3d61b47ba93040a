/* What a search has visited, in the order of visiting.
 *
 * Whoever reaches a node first is its parent; parents and children form a
 * forest, and every other reference leads to a node that was reached before.
 * Nodes that refer to nothing are not kept, for they are part of no cycle.
 * Visits of the others are numbered 0, 1, ...; a parent has a smaller number
 * than its children.
 *
 *   explore.c      visits everything that given nodes reach
 *   order.c        near nodes one after another
 *   candidates.c   leaves out what cannot be part of a cycle
 *   components.c   strongly connected components of the rest
 */
#ifndef MG_FOREST_H
#define MG_FOREST_H

#include "rows.h"

#define MG_VISIT_MASK ((UINT32_C(1) << 30) - 1)
#define MG_NO_PARENT MG_VISIT_MASK
#define MG_CUT_NODE (MG_VISIT_MASK - 1)     /* waits to be followed, is no node */
#define MG_MOST_VISITS (MG_VISIT_MASK - 1)

/* Flags beside the parent of a node. */
#define MG_LEADS_BACK (UINT32_C(1) << 31)   /* it, or what hangs below it, refers
                                               to a node that was reached before */
#define MG_BELOW_AGAIN (UINT32_C(1) << 30)  /* it, or a node above it, was reached
                                               once more */

typedef struct {
    uint32_t handle;
    uint32_t parent;
} mg_waiting;

/* Whose references were gathered: up to `end`, from that of the one before. */
typedef struct {
    uint32_t end;
    mg_waiting node;
} mg_segment;

#define MG_SEGMENTS 64
#define MG_AHEAD 16             /* a power of two */

typedef struct {
    PyObject *object;
    mg_waiting node;
} mg_soon;

typedef struct {
    mg_state *state;
    int records;                /* else reached nodes are only closed */
    int ignores_own_type;

    mg_waiting *waiting;        /* a stack: reached, not yet visited */
    size_t waiting_count;
    size_t capacity;
    mg_soon soon[MG_AHEAD];     /* a queue: on their way into the cache */
    uint32_t soon_first;
    uint32_t soon_end;
    mg_segment segments[MG_SEGMENTS];
    uint32_t segment_count;
    mg_waiting current;         /* whose references are being gathered */

    mg_rows visits;             /* edges are handles; candidates.c makes numbers */
    uint64_t *again;            /* a bit by handle: reached once more */
} mg_forest;

/* All return 0, or -1: no memory. */
int mg_forest_begin(mg_forest *forest, mg_state *state, int records);
void mg_forest_reach(mg_forest *forest, uint32_t handle);
int mg_forest_follow(mg_forest *forest, PyObject *object);
int mg_forest_explore(mg_forest *forest);
void mg_forest_resume(mg_forest *forest);
void mg_forest_end(mg_forest *forest);

/* See order.c. */
#define MG_LONG_RUN 1024
void mg_bring_near_together(mg_waiting *run, size_t count);

int mg_keep_candidates(mg_forest *forest);

#endif
