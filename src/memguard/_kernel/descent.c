/* A search in depth over what is alive, with owners as vertices of their own.
 *
 * The way back is kept in the tree itself, so that a list nested ten million deep needs
 * no more room than any other heap.
 */
#include "inquiry.h"

#include <string.h>

#define ROOT_VERTEX UINT32_MAX

static mg_span
references_of(const mg_inquiry *q, uint32_t vertex)
{
    if (vertex < q->rows.count) {
        return mg_references_of(&q->rows, vertex);
    }
    if (vertex == ROOT_VERTEX) {
        return (mg_span){MG_ITEMS(uint32_t, &q->starts), 0, (uint32_t)q->starts.count};
    }
    return (mg_span){NULL, q->first_belonging[vertex - q->rows.count],
                     q->first_belonging[vertex - q->rows.count + 1]};
}

/* Where a reference leads: to the owner of a marked object, unless it comes from there. */
static inline uint32_t
target_of(const mg_inquiry *q, uint32_t vertex, mg_span span, uint32_t e)
{
    uint32_t own = MG_SHARED;
    uint32_t target;
    if (span.items == NULL) {
        target = (uint32_t)MG_ITEMS(uint64_t, &q->belongings)[e];
        own = vertex - (uint32_t)q->rows.count;
    }
    else {
        target = span.items[e];
    }
    if (target >= q->rows.count || MG_LIKELY(!MG_IS_SET(q->is_mark, target))) {
        return target;
    }
    uint32_t owner = mg_owner_of_mark(q, target);
    return owner == own ? target : mg_owner_vertex(q, owner);
}

static inline uint32_t
place_of(const mg_inquiry *q, uint32_t vertex)
{
    return vertex < q->rows.count ? q->rows.rows[vertex].link
                                  : q->owner_place[vertex - q->rows.count];
}

static void
enter(mg_inquiry *q, uint32_t vertex, uint32_t from, uint32_t *next_reference)
{
    uint32_t place = q->tree.count++;
    if (vertex < q->rows.count) {
        q->rows.rows[vertex].link = place;
    }
    else {
        q->owner_place[vertex - q->rows.count] = place;
    }
    q->vertex_at[place] = vertex;
    q->tree.dominator[place] = from;
    next_reference[place] = 0;
    mg_span span = references_of(q, vertex);
    for (uint32_t e = span.first; span.items != NULL && e < span.end; e++) {
        MG_PREFETCH(&q->rows.rows[span.items[e]]);
    }
}

/* From the root, until nothing is left; next_reference is by place. */
static void
search(mg_inquiry *q, uint32_t *next_reference)
{
    uint32_t place = 0;
    for (;;) {
        uint32_t vertex = q->vertex_at[place];
        mg_span span = references_of(q, vertex);
        uint32_t e = span.first + next_reference[place];
        uint32_t found = MG_NO_NODE;
        for (; e < span.end && found == MG_NO_NODE; e++) {
            uint32_t target = target_of(q, vertex, span, e);
            if (place_of(q, target) == 0 && target != q->asked_node) {
                found = target;
            }
        }
        next_reference[place] = e - span.first;
        if (found != MG_NO_NODE) {
            enter(q, found, place, next_reference);
            place = q->tree.count - 1;
        }
        else if (place == 0) {
            return;
        }
        else {
            place = q->tree.dominator[place];
        }
    }
}

/* Garbage, and each object that only the question holds, are roots once all others had
   their turn. */
static int
search_all(mg_inquiry *q, uint32_t *next_reference)
{
    const mg_owners_request *request = q->request;
    for (uint32_t node = 0; node < q->rows.count; node++) {
        q->rows.rows[node].link = 0;
    }
    q->vertex_at[0] = ROOT_VERTEX;
    q->tree.dominator[0] = 0;
    q->tree.count = 1;
    next_reference[0] = 0;
    search(q, next_reference);
    q->alive_count = q->tree.count;
    for (size_t owner = request->first_of_garbage; owner < request->owner_count; owner++) {
        if (mg_push_u32(&q->starts, mg_owner_vertex(q, (uint32_t)owner)) < 0) {
            return -1;
        }
    }
    Py_ssize_t end = PyTuple_GET_SIZE(request->asked);
    for (Py_ssize_t i = (Py_ssize_t)request->mark_count; i < end; i++) {
        uint32_t node = mg_node_of(&q->state, PyTuple_GET_ITEM(request->asked, i));
        if (node != MG_NO_NODE && !MG_IS_SET(q->is_mark, node) &&
            !MG_IS_SET(q->is_alive, node) && mg_push_u32(&q->starts, node) < 0) {
            return -1;
        }
    }
    search(q, next_reference);
    return 0;
}

/* Calls for each reference that holds something, by places: those of what only the
   question holds do not count for what is alive. */
#define FOR_EACH_REFERENCE(q, from, to)                                         \
    for (uint32_t from = 0; from < (q)->tree.count; from++)                     \
        for (mg_span span = references_of(q, (q)->vertex_at[from]);             \
             span.first < span.end; span.first++)                               \
            for (uint32_t to = place_of(q, target_of(q, (q)->vertex_at[from],   \
                                                     span, span.first));        \
                 to != 0 && (from < (q)->alive_count || to >= (q)->alive_count); \
                 to = 0)

static int
find_dominators(mg_inquiry *q, uint32_t *first)
{
    size_t count = q->tree.count;
    uint64_t total = 0;
    memset(first, 0, (count + 1) * sizeof(*first));
    FOR_EACH_REFERENCE(q, from, to) {
        first[to]++;
        total++;
    }
    if (total > UINT32_MAX) {
        return -1;
    }
    for (size_t place = 1; place <= count; place++) {
        first[place] += first[place - 1];
    }
    uint32_t *sources = mg_allocate(total * sizeof(uint32_t));
    int result = -1;
    if (sources != NULL) {
        /* Each row is filled from its end, and so `first` is right in the end. */
        FOR_EACH_REFERENCE(q, from, to) {
            sources[--first[to]] = from;
        }
        result = mg_dominators_find(&q->tree, first, sources);
    }
    mg_release(sources, total * sizeof(uint32_t));
    return result;
}

int
mg_descend(mg_inquiry *q)
{
    if (mg_dominators_begin(&q->tree, q->capacity) < 0) {
        return -1;
    }
    size_t first_bytes = (q->capacity + 1) * sizeof(uint32_t);
    uint32_t *first = mg_allocate(first_bytes);
    /* The tree's jumps are not needed before the search has ended. */
    int result = first == NULL || search_all(q, q->tree.jump) < 0 ||
                         find_dominators(q, first) < 0
        ? -1 : 0;
    mg_release(first, first_bytes);
    return result;
}
