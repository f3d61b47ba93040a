/* What the two halves of weighing share: expansion.c finds the graph of what
 * cycles hold, owned.c decides in it which cycle holds what.
 */
#ifndef MG_WEIGHER_H
#define MG_WEIGHER_H

#include "scan.h"
#include "pointer_index.h"

#define MG_NOWHERE UINT32_MAX

typedef struct {
    uint64_t bytes;
    uint32_t count;
} mg_weight;

/* Nodes: 0 is "elsewhere", 1 .. cycles are the cycles, then objects that are
   not members, in order of first appearance.  An object without references of
   its own whose only reference comes from a node needs none: it is added to
   that node's weight at once. */
typedef struct {
    mg_state *state;
    uint32_t cycle_count;
    int records_edges;          /* of members, which the answer has otherwise */
    uint32_t *cycle_of;         /* by position of the member */
    uint32_t *position_of;      /* member's position, by its number in the map */
    size_t member_count;
    mg_pointer_index others;
    mg_vector weights;          /* mg_weight, by node: itself and its sole leaves */

    mg_vector found;            /* uint32_t by node: references found to it */
    mg_vector order;            /* uint32_t: nodes in the order of expansion */
    mg_vector edge_start;       /* uint64_t by place in order */
    mg_vector edges;            /* uint32_t nodes */
} mg_weigher;

static inline mg_weight *
mg_weight_of(const mg_weigher *w, uint32_t node)
{
    return &MG_ITEMS(mg_weight, &w->weights)[node];
}

static inline PyObject *
mg_other_object(const mg_weigher *w, uint32_t node)
{
    return MG_ITEMS(PyObject *, &w->others.pointers)[node - 1 - w->cycle_count];
}

/* Members and their references; then what they hold.  0, or -1: no memory. */
int mg_number_members(mg_weigher *w);
int mg_expand_cycles(mg_weigher *w);
int mg_expand_retained(mg_weigher *w);
void mg_weigher_clear(mg_weigher *w);

#endif
