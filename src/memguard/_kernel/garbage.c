/* Trial deletion: which of the open nodes are alive, and which are garbage.
 *
 * The collector's own rule on a private copy: from each reference count take
 * the references found among the nodes; what keeps a positive count is held
 * from outside; what none of those reaches is cyclic garbage.  Nothing else
 * refers to an open node, for everything outside was traversed before.
 *
 * A count that goes below zero means that tp_traverse showed a reference
 * which is not owned.  The object is then treated as alive and counted as a
 * suspect: a claim of garbage has to be certain.
 *
 * Source: CPython Python/gc.c, deduce_unreachable().
 */
#include "rows.h"

#include <stdlib.h>
#include <string.h>

#define CHECK_EVERY 1024
#define ALWAYS_ALIVE INT32_MAX

/* Nodes are numbered by address; a row's link is MG_DONE once its node is
   known to be alive, and 0 before. */
typedef struct {
    mg_state *state;
    mg_rows nodes;
    int32_t *counts;            /* references left after those found */
    uint32_t *stack;
} rest;

static int
record(rest *r, PyObject *const *objects, size_t count)
{
    mg_state *state = r->state;
    mg_vector *edges = &r->nodes.edges;
    if (mg_vector_make_room(edges, count, sizeof(uint32_t)) < 0) {
        state->out_of_memory = 1;
        return 1;
    }
    uint32_t *items = MG_ITEMS(uint32_t, edges);
    size_t end = edges->count;
    for (size_t i = 0; i < count; i++) {
        uint32_t handle = mg_find(&state->map, objects[i]);
        state->edge_count += objects[i] != NULL;
        if (state->map.words[handle >> 6].open & MG_BIT(handle)) {
            items[end++] = mg_number_of(&state->map, handle);
        }
    }
    edges->count = end;
    return 0;
}

static int
record_gathered(mg_state *state)
{
    size_t count = mg_gathered_count(state);
    state->gathered_end = state->gathered;
    return record(state->searcher, state->gathered, count);
}

static int32_t
starting_count(PyObject *object)
{
    Py_ssize_t count = mg_reference_count(object);
    return mg_is_immortal(object) || count >= ALWAYS_ALIVE
        ? ALWAYS_ALIVE : (int32_t)count;
}

static inline void
take_one(rest *r, uint32_t number)
{
    r->counts[number] -= r->counts[number] != ALWAYS_ALIVE;
}

static int
compare_numbers(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left;
    uint32_t b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

static void
subtract_edges(rest *r, PyObject *source, size_t first)
{
    uint32_t *edges = MG_ITEMS(uint32_t, &r->nodes.edges);
    size_t end = r->nodes.edges.count;
    if (!mg_has_borrowed_stack(Py_TYPE(source))) {
        for (size_t e = first; e < end; e++) {
            take_one(r, edges[e]);
        }
        return;
    }
    /* A suspended 3.14+ frame may show the same object twice while owning it
       once.  Taking each distinct one once errs towards alive. */
    qsort(edges + first, end - first, sizeof(*edges), compare_numbers);
    for (size_t e = first; e < end; e++) {
        if (e == first || edges[e] != edges[e - 1]) {
            take_one(r, edges[e]);
        }
    }
}

static void
take_by_pointer(rest *r, PyObject *object, size_t times)
{
    mg_map *map = &r->state->map;
    uint32_t handle = mg_find(map, object);
    if (map->words[handle >> 6].open & MG_BIT(handle)) {
        while (times-- > 0) {
            take_one(r, mg_number_of(map, handle));
        }
    }
}

/* References that memguard itself holds count as nothing. */
static void
subtract_own(rest *r)
{
    const mg_request *request = r->state->request;
    for (mg_holding *h = mg_holdings.next; h != &mg_holdings; h = h->next) {
        if (h == request->keep) {
            continue;
        }
        for (size_t i = 0; i < h->count; i++) {
            take_by_pointer(r, h->objects[i], 1);
        }
    }
    for (size_t i = 0; i < request->root_count; i++) {
        take_by_pointer(r, request->roots[i], request->root_references);
    }
}

static void
count_references(rest *r)
{
    const mg_map *map = &r->state->map;
    size_t number = 0;
    size_t words = mg_word_count(map);
    for (size_t w = 0; w < words; w++) {
        for (uint64_t open = map->words[w].open; open != 0; open &= open - 1) {
            uint32_t handle = (uint32_t)(w << 6) | MG_LOWEST_BIT(open);
            r->nodes.handles[number] = handle;
            r->counts[number++] = starting_count(mg_object_of(map, handle));
        }
    }
    r->nodes.count = number;
}

static int
record_references_of(rest *r, PyObject *object)
{
    size_t count;
    PyObject *const *items = mg_items_of(object, &count);
    if (items != NULL) {
        return record(r, items, count);
    }
    mg_traverse(object, mg_gather, r->state);
    return record_gathered(r->state);
}

static int
record_all(rest *r)
{
    mg_state *state = r->state;
    for (size_t number = 0; number < r->nodes.count; number++) {
        PyObject *object = mg_object_of(&state->map, r->nodes.handles[number]);
        size_t first = r->nodes.edges.count;
        if (record_references_of(r, object) != 0 || state->out_of_memory ||
            r->nodes.edges.count > UINT32_MAX) {
            return -1;
        }
        subtract_edges(r, object, first);
        r->nodes.rows[number] = (mg_row){0, (uint32_t)r->nodes.edges.count};
        if (number % CHECK_EVERY == 0 && mg_must_stop(state)) {
            return 0;
        }
    }
    subtract_own(r);
    return 0;
}

static void
spread_from(rest *r, uint32_t root)
{
    const uint32_t *edges = MG_ITEMS(uint32_t, &r->nodes.edges);
    mg_row *rows = r->nodes.rows;
    size_t depth = 0;
    rows[root].link = MG_DONE;
    r->stack[depth++] = root;
    while (depth != 0) {
        uint32_t number = r->stack[--depth];
        for (uint32_t e = number == 0 ? 0 : rows[number - 1].end;
             e < rows[number].end; e++) {
            if (rows[edges[e]].link != MG_DONE) {
                rows[edges[e]].link = MG_DONE;
                r->stack[depth++] = edges[e];
            }
        }
    }
}

static int
find_alive(rest *r, mg_vector *held)
{
    for (uint32_t number = 0; number < r->nodes.count; number++) {
        if (r->counts[number] == 0) {
            continue;
        }
        r->state->answer->suspect_count += r->counts[number] < 0;
        if (r->nodes.rows[number].link != MG_DONE) {
            spread_from(r, number);
        }
        if (held != NULL && mg_push_u32(held, r->nodes.handles[number]) < 0) {
            return -1;
        }
    }
    return 0;
}

/* Count what is garbage, and close it: no later pass may look at it. */
static int
settle_garbage(rest *r)
{
    mg_state *state = r->state;
    mg_answer *answer = state->answer;
    mg_pointer_index types = {0};
    int result = 0;
    for (size_t number = 0; number < r->nodes.count && result == 0; number++) {
        if (r->nodes.rows[number].link != MG_DONE) {
            uint32_t handle = r->nodes.handles[number];
            PyObject *object = mg_object_of(&state->map, handle);
            state->map.words[handle >> 6].open &= ~MG_BIT(handle);
            state->map.words[handle >> 6].marked &= ~MG_BIT(handle);
            answer->unreachable_count++;
            result = mg_count_type(&answer->type_counts, &types, Py_TYPE(object));
        }
    }
    mg_pointer_index_clear(&types);
    return result;
}

static void
release_counts(rest *r, size_t node_count)
{
    mg_release(r->counts, node_count * sizeof(*r->counts));
    mg_release(r->stack, node_count * sizeof(*r->stack));
    r->counts = NULL;
    r->stack = NULL;
}

static int
judge(rest *r, size_t node_count, mg_vector *held)
{
    mg_state *state = r->state;
    r->counts = mg_allocate(node_count * sizeof(*r->counts));
    if (mg_rows_begin(&r->nodes, node_count) < 0 || r->counts == NULL) {
        return -1;
    }
    count_references(r);
    if (record_all(r) < 0) {
        return -1;
    }
    if (state->answer->stopped == MG_STOPPED_BY_BUDGET) {
        return 0;
    }
    mg_map_forget_ranks(&state->map);
    r->stack = mg_allocate(node_count * sizeof(*r->stack));
    if (r->stack == NULL || find_alive(r, held) < 0 || settle_garbage(r) < 0) {
        return -1;
    }
    release_counts(r, node_count);
    return state->request->kind == MG_GARBAGE
        ? mg_emit_components(state, &r->nodes) : 0;
}

/* Kind "garbage": the cycles among the garbage go to the answer.  Kind "live":
   the handles of nodes that are held from outside go to `held`.  When the
   budget ends first, nothing is claimed. */
int
mg_judge_rest(mg_state *state, mg_vector *held)
{
    rest r;
    size_t node_count;
    memset(&r, 0, sizeof(r));
    r.state = state;
    state->drain = record_gathered;
    state->searcher = &r;
    state->gathered_end = state->gathered;
    if (mg_map_rank_open(&state->map, &node_count) < 0) {
        state->out_of_memory = 1;
        return -1;
    }
    int result = node_count == 0 ? 0 : judge(&r, node_count, held);
    release_counts(&r, node_count);
    mg_rows_end(&r.nodes);
    mg_map_forget_ranks(&state->map);
    if (result < 0) {
        state->out_of_memory = 1;
    }
    return result;
}
