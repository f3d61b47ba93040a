/* Dominators: through which vertices every way from the root leads.
 *
 * Covers: the tree of dominators of a graph that was searched in depth, nearest
 * common dominators in it.
 * Does not cover: what the vertices are (owners.c).
 *
 * Vertices are numbered in the order in which the search reached them; 0 is the root.
 * O(references * log(vertices)) at worst, with no recursion.
 */
#ifndef MG_DOMINATORS_H
#define MG_DOMINATORS_H

#include <stdint.h>

#include "memory.h"

typedef struct {
    uint32_t count;
    uint32_t *dominator;        /* the nearest one; at first where the search came from */
    uint32_t *jump;             /* one further up, so that climbing takes log(depth) */
    uint32_t *depth;
} mg_dominators;

/* Room for so many vertices.  0, or -1: no memory; to be cleared in both cases. */
int mg_dominators_begin(mg_dominators *d, size_t capacity);
void mg_dominators_clear(mg_dominators *d, size_t capacity);

/* Where the references to a vertex come from: sources[first[vertex]] up to
   sources[first[vertex + 1] - 1].  0, or -1: no memory. */
int mg_dominators_find(mg_dominators *d, const uint32_t *first, const uint32_t *sources);

/* The nearest vertex that dominates both or is one of them. */
uint32_t mg_common_dominator(const mg_dominators *d, uint32_t one, uint32_t other);

#endif
