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
#include "scan.h"
#include "pointer_index.h"

#include <stdlib.h>
#include <string.h>

#define CHECK_EVERY 1024
#define ALWAYS_ALIVE INT32_MAX

typedef struct {
    mg_state *state;
    size_t node_count;
    uint32_t *handles;          /* by number */
    int32_t *counts;            /* references left after those found */
    uint64_t *edge_start;       /* node_count + 1 */
    mg_vector *edges;           /* uint32_t numbers */
    uint32_t *stack;
    uint8_t *alive;
} rest;

static int
record_gathered(mg_state *state)
{
    mg_vector *edges = &state->candidates;
    size_t count = mg_gathered_count(state);
    state->gathered_end = state->gathered;
    state->edge_count += count;
    if (mg_vector_make_room(edges, count, sizeof(uint32_t)) < 0) {
        state->out_of_memory = 1;
        return 1;
    }
    for (size_t i = 0; i < count; i++) {
        uint32_t handle = mg_find(&state->map, state->gathered[i]);
        if (state->map.words[handle >> 6].open & MG_BIT(handle)) {
            MG_ITEMS(uint32_t, edges)[edges->count++] =
                mg_number_of(&state->map, handle);
        }
    }
    return 0;
}

static int32_t
starting_count(PyObject *object)
{
    Py_ssize_t count = mg_reference_count(object);
    return mg_is_immortal(object) || count >= ALWAYS_ALIVE
        ? ALWAYS_ALIVE : (int32_t)count;
}

static void
take_one(rest *r, uint32_t number)
{
    if (r->counts[number] != ALWAYS_ALIVE) {
        r->counts[number]--;
    }
}

static int
compare_numbers(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left;
    uint32_t b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

static void
subtract_edges_of(rest *r, size_t number, PyObject *object)
{
    uint32_t *edges = MG_ITEMS(uint32_t, r->edges);
    size_t first = r->edge_start[number];
    size_t end = r->edges->count;
    if (!mg_has_borrowed_stack(Py_TYPE(object))) {
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

static int
record_all(rest *r)
{
    mg_map *map = &r->state->map;
    size_t number = 0;
    size_t words = mg_word_count(map);
    for (size_t w = 0; w < words; w++) {
        for (uint64_t open = map->words[w].open; open != 0; open &= open - 1) {
            uint32_t handle = (uint32_t)(w << 6) | MG_LOWEST_BIT(open);
            r->handles[number] = handle;
            r->counts[number++] =
                starting_count((PyObject *)mg_address_of(map, handle));
        }
    }
    for (number = 0; number < r->node_count; number++) {
        PyObject *object = (PyObject *)mg_address_of(map, r->handles[number]);
        r->edge_start[number] = r->edges->count;
        mg_traverse(object, mg_gather, r->state);
        if (record_gathered(r->state) != 0 || r->state->out_of_memory) {
            return -1;
        }
        subtract_edges_of(r, number, object);
        if (number % CHECK_EVERY == 0 && mg_must_stop(r->state)) {
            return 0;
        }
    }
    r->edge_start[r->node_count] = r->edges->count;
    subtract_own(r);
    return 0;
}

static void
spread_from(rest *r, uint32_t root)
{
    const uint32_t *edges = MG_ITEMS(uint32_t, r->edges);
    size_t depth = 0;
    r->alive[root] = 1;
    r->stack[depth++] = root;
    while (depth != 0) {
        uint32_t number = r->stack[--depth];
        for (size_t e = r->edge_start[number]; e < r->edge_start[number + 1]; e++) {
            if (!r->alive[edges[e]]) {
                r->alive[edges[e]] = 1;
                r->stack[depth++] = edges[e];
            }
        }
    }
}

static int
find_alive(rest *r, mg_vector *alive_roots)
{
    for (uint32_t number = 0; number < r->node_count; number++) {
        if (r->counts[number] == 0) {
            continue;
        }
        r->state->answer->suspect_count += r->counts[number] < 0;
        if (!r->alive[number]) {
            spread_from(r, number);
        }
        if (mg_push_u32(alive_roots, r->handles[number]) < 0) {
            return -1;
        }
    }
    return 0;
}

static int
count_type(mg_answer *answer, mg_pointer_index *types, PyTypeObject *type)
{
    uint32_t number = mg_pointer_number(types, type);
    if (number == MG_NO_NUMBER) {
        return -1;
    }
    mg_vector *counts = &answer->type_counts;
    if (number == counts->count) {
        if (counts->count == counts->capacity &&
            mg_vector_grow(counts, sizeof(mg_type_count)) < 0) {
            return -1;
        }
        MG_ITEMS(mg_type_count, counts)[counts->count++] =
            (mg_type_count){type, 0};
    }
    MG_ITEMS(mg_type_count, counts)[number].count++;
    return 0;
}

/* The garbage stays open for kind "garbage", and is closed for "live". */
static int
settle(rest *r, mg_pointer_index *types)
{
    mg_state *state = r->state;
    mg_answer *answer = state->answer;
    int keep_garbage = state->request->kind == MG_GARBAGE;
    for (size_t number = 0; number < r->node_count; number++) {
        uint32_t handle = r->handles[number];
        if (!r->alive[number]) {
            PyObject *object = (PyObject *)mg_address_of(&state->map, handle);
            answer->unreachable_count++;
            if (count_type(answer, types, Py_TYPE(object)) < 0) {
                return -1;
            }
        }
        if (r->alive[number] == keep_garbage) {
            state->map.words[handle >> 6].open &= ~MG_BIT(handle);
        }
    }
    return 0;
}

static int
judge(rest *r, mg_vector *alive_roots)
{
    size_t n = r->node_count;
    r->handles = mg_allocate(n * sizeof(*r->handles));
    r->counts = mg_allocate(n * sizeof(*r->counts));
    r->edge_start = mg_allocate((n + 1) * sizeof(*r->edge_start));
    if (r->handles == NULL || r->counts == NULL || r->edge_start == NULL ||
        record_all(r) < 0) {
        return -1;
    }
    if (r->state->answer->stopped == MG_STOPPED_BY_BUDGET) {
        return 0;
    }
    r->stack = mg_allocate(n * sizeof(*r->stack));
    r->alive = mg_allocate_zeroed(n);
    if (r->stack == NULL || r->alive == NULL ||
        find_alive(r, alive_roots) < 0) {
        return -1;
    }
    mg_pointer_index types = {0};
    int result = settle(r, &types);
    mg_pointer_index_clear(&types);
    return result;
}

/* Pushes the handles of nodes that are held from outside.  When the budget
   ends first, nothing is claimed. */
int
mg_judge_rest(mg_state *state, mg_vector *alive_roots)
{
    rest r;
    memset(&r, 0, sizeof(r));
    r.state = state;
    r.edges = &state->candidates;
    state->drain = record_gathered;
    state->gathered_end = state->gathered;
    if (mg_map_rank(&state->map, &r.node_count) < 0) {
        return -1;
    }
    int result = r.node_count == 0 ? 0 : judge(&r, alive_roots);
    size_t n = r.node_count;
    mg_release(r.handles, n * sizeof(*r.handles));
    mg_release(r.counts, n * sizeof(*r.counts));
    mg_release(r.edge_start, (n + 1) * sizeof(*r.edge_start));
    mg_release(r.stack, n * sizeof(*r.stack));
    mg_release(r.alive, n);
    mg_vector_clear(r.edges, sizeof(uint32_t));
    if (result < 0) {
        state->out_of_memory = 1;
    }
    return result;
}
