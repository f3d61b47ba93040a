/* Leave out what cannot be part of a cycle, without searching.
 *
 * A cycle has at least one reference to a node that had been reached before,
 * or numbers of visits would go up all the way round.  Follow a cycle back
 * from one of its nodes to the first such reference: the way there goes down
 * the forest, so the node is that reference's target, or below it.  Follow it
 * forward: the node is the reference's source, or above it.  Nodes that are
 * not both are left out.  Two passes over the visits tell, since a parent's
 * number is smaller than its children's.
 *
 * In most heaps hardly a node is left: what many refer to (a config object, a
 * constant) is reached again and again, but does not lead back.
 */
#include "forest.h"

#include <string.h>

static void
flag_below_again(const mg_forest *f)
{
    mg_row *rows = f->visits.rows;
    for (size_t v = 0; v < f->visits.count; v++) {
        uint32_t handle = f->visits.handles[v];
        uint32_t parent = rows[v].link & MG_VISIT_MASK;
        uint32_t below = parent == MG_NO_PARENT
            ? 0 : rows[parent].link & MG_BELOW_AGAIN;
        if (f->again[handle >> 6] & MG_BIT(handle)) {
            below = MG_BELOW_AGAIN;
        }
        rows[v].link |= below;
    }
}

static inline int
is_candidate(const mg_row *row)
{
    const uint32_t both = MG_LEADS_BACK | MG_BELOW_AGAIN;
    return (row->link & both) == both;
}

/* Returns how many candidates there are. */
static size_t
flag_leads_back(const mg_forest *f)
{
    mg_row *rows = f->visits.rows;
    size_t candidates = 0;
    for (size_t v = f->visits.count; v-- > 0;) {
        uint32_t parent = rows[v].link & MG_VISIT_MASK;
        if (rows[v].link & MG_LEADS_BACK && parent != MG_NO_PARENT) {
            rows[parent].link |= MG_LEADS_BACK;
        }
        candidates += (size_t)is_candidate(&rows[v]);
    }
    return candidates;
}

#define NO_NUMBER UINT32_MAX

/* Number the candidates in order of visits and move their rows together, with
   numbers in place of handles.  All in place: nothing moves up. */
static void
renumber(mg_forest *f, uint32_t *number_by_rank)
{
    const mg_map *map = &f->state->map;
    mg_row *rows = f->visits.rows;
    uint32_t *edges = MG_ITEMS(uint32_t, &f->visits.edges);
    uint32_t count = 0;
    for (size_t v = 0; v < f->visits.count; v++) {
        if (is_candidate(&rows[v])) {
            number_by_rank[mg_number_of(map, f->visits.handles[v])] = count;
            f->visits.handles[count++] = f->visits.handles[v];
        }
    }
    uint32_t kept = 0;
    uint32_t first = 0;
    count = 0;
    for (size_t v = 0; v < f->visits.count; v++) {
        uint32_t end = rows[v].end;
        if (is_candidate(&rows[v])) {
            for (uint32_t e = first; e < end; e++) {
                uint32_t number = number_by_rank[mg_number_of(map, edges[e])];
                edges[kept] = number;
                kept += number != NO_NUMBER;
            }
            rows[count++] = (mg_row){0, kept};
        }
        first = end;
    }
    f->visits.count = count;
    f->visits.edges.count = kept;
}

static void
release_again(mg_forest *f)
{
    mg_release(f->again, mg_word_count(&f->state->map) * sizeof(*f->again));
    f->again = NULL;
}

/* Afterwards the visits are those of the candidates only, and edges hold their
   numbers. */
int
mg_keep_candidates(mg_forest *f)
{
    mg_release(f->waiting, f->capacity * sizeof(*f->waiting));
    f->waiting = NULL;
    mg_vector_fit(&f->visits.edges, sizeof(uint32_t));
    flag_below_again(f);
    if (flag_leads_back(f) == 0) {
        f->visits.count = 0;
        return 0;
    }
    release_again(f);
    size_t ranked;
    if (mg_map_rank_marked(&f->state->map, &ranked) < 0) {
        return -1;
    }
    uint32_t *number_by_rank = mg_allocate(ranked * sizeof(*number_by_rank));
    if (number_by_rank == NULL) {
        return -1;
    }
    memset(number_by_rank, 0xff, ranked * sizeof(*number_by_rank));
    renumber(f, number_by_rank);
    mg_release(number_by_rank, ranked * sizeof(*number_by_rank));
    mg_map_forget_ranks(&f->state->map);
    return 0;
}
