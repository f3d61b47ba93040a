/* Semi-dominators by path compression, then the nearest common ancestor of each
 * vertex's parent and semi-dominator.  Walking up step by step would make that
 * O(n^2) on a chain with many shortcuts; jumps make it O(n log n).
 *
 * Source: T. Lengauer, R. Tarjan, "A fast algorithm for finding dominators in a
 * flowgraph", 1979; L. Georgiadis, R. Tarjan, R. Werneck, "Finding dominators in
 * practice", 2006 (the semi-NCA algorithm); E. Myers, "An applicative random-access
 * stack", 1983 (the jumps).
 */
#include "dominators.h"

#include <string.h>

typedef struct {
    uint32_t *ancestor;         /* towards the root of a tree that is linked so far */
    uint32_t *label;            /* the vertex with the least semi-dominator on the way */
    uint32_t *semi;
    uint32_t *stack;
} forest;

int
mg_dominators_begin(mg_dominators *d, size_t capacity)
{
    memset(d, 0, sizeof(*d));
    d->dominator = mg_allocate(capacity * sizeof(uint32_t));
    d->jump = mg_allocate(capacity * sizeof(uint32_t));
    d->depth = mg_allocate(capacity * sizeof(uint32_t));
    return d->dominator == NULL || d->jump == NULL || d->depth == NULL ? -1 : 0;
}

void
mg_dominators_clear(mg_dominators *d, size_t capacity)
{
    mg_release(d->dominator, capacity * sizeof(uint32_t));
    mg_release(d->jump, capacity * sizeof(uint32_t));
    mg_release(d->depth, capacity * sizeof(uint32_t));
    memset(d, 0, sizeof(*d));
}

/* Vertices from `linked` on are linked to where the search came from. */
static uint32_t
least_above(const forest *f, uint32_t vertex, uint32_t linked)
{
    if (f->ancestor[vertex] < linked) {
        return f->label[vertex];
    }
    size_t depth = 0;
    do {
        f->stack[depth++] = vertex;
        vertex = f->ancestor[vertex];
    } while (f->ancestor[vertex] >= linked);
    uint32_t top = f->ancestor[vertex];
    uint32_t least = f->label[vertex];
    while (depth != 0) {
        vertex = f->stack[--depth];
        f->ancestor[vertex] = top;
        if (f->semi[least] < f->semi[f->label[vertex]]) {
            f->label[vertex] = least;
        }
        least = f->label[vertex];
    }
    return least;
}

static void
find_semi_dominators(const forest *f, uint32_t count, const uint32_t *first,
                     const uint32_t *sources)
{
    for (uint32_t vertex = count - 1; vertex != 0; vertex--) {
        uint32_t semi = f->ancestor[vertex];
        for (uint32_t e = first[vertex]; e < first[vertex + 1]; e++) {
            uint32_t through = f->semi[least_above(f, sources[e], vertex + 1)];
            semi = through < semi ? through : semi;
        }
        f->semi[vertex] = semi;
    }
}

static void
add_to_tree(mg_dominators *d, uint32_t vertex)
{
    uint32_t above = d->dominator[vertex];
    uint32_t far = d->jump[above];
    d->depth[vertex] = d->depth[above] + 1;
    d->jump[vertex] = d->depth[above] - d->depth[far] == d->depth[far] - d->depth[d->jump[far]]
        ? d->jump[far] : above;
}

int
mg_dominators_find(mg_dominators *d, const uint32_t *first, const uint32_t *sources)
{
    size_t bytes = d->count * sizeof(uint32_t);
    /* Their places are needed later only. */
    forest f = {.ancestor = d->jump, .label = d->depth};
    f.semi = mg_allocate(bytes);
    f.stack = mg_allocate(bytes);
    int result = f.semi == NULL || f.stack == NULL ? -1 : 0;
    if (result == 0) {
        memcpy(f.ancestor, d->dominator, bytes);
        for (uint32_t vertex = 0; vertex < d->count; vertex++) {
            f.semi[vertex] = f.label[vertex] = vertex;
        }
        find_semi_dominators(&f, d->count, first, sources);
        d->dominator[0] = d->jump[0] = d->depth[0] = 0;
        for (uint32_t vertex = 1; vertex < d->count; vertex++) {
            uint32_t semi = f.semi[vertex];
            uint32_t above = d->dominator[vertex];
            while (above > semi) {
                above = d->jump[above] > semi ? d->jump[above] : d->dominator[above];
            }
            d->dominator[vertex] = above;
            add_to_tree(d, vertex);
        }
    }
    mg_release(f.semi, bytes);
    mg_release(f.stack, bytes);
    return result;
}

uint32_t
mg_common_dominator(const mg_dominators *d, uint32_t one, uint32_t other)
{
    if (d->depth[one] < d->depth[other]) {
        uint32_t deeper = other;
        other = one;
        one = deeper;
    }
    while (d->depth[one] > d->depth[other]) {
        one = d->depth[d->jump[one]] >= d->depth[other] ? d->jump[one] : d->dominator[one];
    }
    /* At the same depth both jump equally far. */
    while (one != other) {
        int same = d->jump[one] == d->jump[other];
        one = same ? d->dominator[one] : d->jump[one];
        other = same ? d->dominator[other] : d->jump[other];
    }
    return one;
}
