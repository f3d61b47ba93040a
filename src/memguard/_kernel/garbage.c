/* Trial deletion: which of the nodes that were not reached are alive, and
 * which are garbage.
 *
 * The collector's own rule on private counts: from each reference count take
 * the references found among those nodes; what keeps a positive count is held
 * from outside; what none of those reaches is cyclic garbage.  Nothing else
 * refers to such a node, for whatever a reached node refers to was reached.
 *
 * A count that goes below zero means that tp_traverse showed a reference
 * which is not owned.  The object is then treated as alive and counted as a
 * suspect: a claim of garbage has to be certain.
 *
 * Source: CPython Python/gc.c, deduce_unreachable().
 */
#include "rows.h"

#include <string.h>

/* Meanwhile the link of a node that was not reached holds its count, beside
   MG_CUT: no second table is needed. */
#define COUNT_MASK ((UINT32_C(1) << 29) - 1)
#define NO_REFERENCE (UINT32_C(1) << 28)
#define MOST_REFERENCES (NO_REFERENCE - 2)
#define ALWAYS_ALIVE (COUNT_MASK - 1)

static inline int
is_in_rest(const mg_search *s, uint32_t node)
{
    return !mg_is_done(s->rows->rows[node].link);
}

/* An object without any reference is about to be freed by somebody. */
static uint32_t
starting_count(PyObject *object)
{
    Py_ssize_t count = mg_reference_count(object);
    if (mg_is_immortal(object) || count > (Py_ssize_t)MOST_REFERENCES) {
        return ALWAYS_ALIVE;
    }
    return count > 0 ? NO_REFERENCE + (uint32_t)count : NO_REFERENCE - 1;
}

static inline void
take_one(mg_search *s, uint32_t node)
{
    uint32_t *link = &s->rows->rows[node].link;
    uint32_t count = *link & COUNT_MASK;
    *link -= !mg_is_done(*link) && count != ALWAYS_ALIVE && count != 0;
}

/* The nodes that the search has not reached, with their counts. */
static int
list_rest(mg_search *s, mg_vector *rest)
{
    mg_row *rows = s->rows->rows;
    for (uint32_t node = 0; node < s->rows->count; node++) {
        if (!mg_is_done(rows[node].link)) {
            rows[node].link |= starting_count(mg_object_at(s->state, s->rows, node));
            if (mg_push_u32(rest, node) < 0) {
                return -1;
            }
        }
    }
    return 0;
}

static void
take_by_pointer(mg_search *s, PyObject *object)
{
    const mg_map *map = &s->state->map;
    uint32_t handle = mg_find(map, object);
    if (mg_is_open(map, handle)) {
        take_one(s, mg_number_of(map, handle));
    }
}

/* What a list, tuple or set holds as its items, and nothing else of it. */
static void
take_items(mg_search *s, PyObject *holder)
{
    if (PyList_Check(holder) || PyTuple_Check(holder)) {
        for (Py_ssize_t i = 0; i < Py_SIZE(holder); i++) {
            take_by_pointer(s, PySequence_Fast_ITEMS(holder)[i]);
        }
    }
    else if (mg_is_set(holder)) {
        const PySetObject *set = (PySetObject *)holder;
        for (Py_ssize_t i = 0; i <= set->mask; i++) {
            take_by_pointer(s, set->table[i].key);
        }
    }
}

/* What the roots were given in holds them for the call alone, unless they lead back
   to it: then it is part of the heap, and its references are in the rows like any
   other's.  Of a partial map nobody knows.  What it holds is counted and not
   concluded from the roots: it may iterate over other objects than it holds, and
   another thread may have changed it since. */
static void
take_of_the_call(mg_search *s)
{
    const mg_request *request = s->state->request;
    const mg_map *map = &s->state->map;
    for (size_t i = 0; i < 2 && s->state->answer->stopped == MG_RUNS; i++) {
        PyObject *holder = request->root_holders[i];
        if (holder != NULL && !mg_is_open(map, mg_find(map, holder))) {
            take_items(s, holder);
        }
    }
}

/* References that memguard itself holds count as nothing. */
static void
take_own(mg_search *s)
{
    const mg_request *request = s->state->request;
    for (mg_holding *h = mg_holdings.next; h != &mg_holdings; h = h->next) {
        if (h == request->keep) {
            continue;
        }
        for (size_t i = 0; i < h->count; i++) {
            take_by_pointer(s, h->objects[i]);
        }
    }
    take_of_the_call(s);
}

static void
take_recorded(mg_search *s, const mg_vector *rest)
{
    for (size_t i = 0; i < rest->count; i++) {
        mg_span span = mg_references_of(s->rows, MG_ITEMS(uint32_t, rest)[i]);
        for (uint32_t e = span.first; e < span.end; e++) {
            take_one(s, span.items[e]);
        }
    }
    const uint32_t *pairs = MG_ITEMS(uint32_t, &s->rows->own_type_edges);
    for (size_t i = 0; i < s->rows->own_type_edges.count; i += 2) {
        if (is_in_rest(s, pairs[i])) {
            take_one(s, pairs[i + 1]);
        }
    }
}

/* Move to the front of the rest what is held from outside, and put the links
   back.  Returns how many. */
static size_t
find_held(mg_search *s, mg_vector *rest)
{
    uint32_t *nodes = MG_ITEMS(uint32_t, rest);
    size_t held_count = 0;
    for (size_t i = 0; i < rest->count; i++) {
        uint32_t node = nodes[i];
        uint32_t *link = &s->rows->rows[node].link;
        uint32_t count = *link & COUNT_MASK;
        *link &= MG_CUT;
        s->state->answer->suspect_count += count < NO_REFERENCE;
        if (count != NO_REFERENCE) {
            nodes[i] = nodes[held_count];
            nodes[held_count++] = node;
        }
    }
    return held_count;
}

/* What a node that is held leads to is alive.  The path of the search is empty
   now, and has room for every node. */
static void
spread_from(mg_search *s, uint32_t root)
{
    uint32_t *waiting = (uint32_t *)s->path;
    size_t waiting_count = 0;
    if (is_in_rest(s, root)) {
        s->rows->rows[root].link = MG_DONE;
        waiting[waiting_count++] = root;
    }
    while (waiting_count != 0) {
        mg_span span = mg_references_of(s->rows, waiting[--waiting_count]);
        for (uint32_t e = span.first; e < span.end; e++) {
            if (is_in_rest(s, span.items[e])) {
                s->rows->rows[span.items[e]].link = MG_DONE;
                waiting[waiting_count++] = span.items[e];
            }
        }
    }
}

/* What an object that was not looked at holds may still be garbage, so of a
   partial map only what modules and frames reach is certainly live. */
static int
settle_held(mg_search *s, const uint32_t *held, size_t held_count)
{
    int are_live = s->state->request->kind == MG_LIVE &&
                   s->state->answer->stopped == MG_RUNS;
    for (size_t i = 0; i < held_count; i++) {
        if (!are_live) {
            spread_from(s, held[i]);
        }
        else if (mg_search_from(s, held[i]) < 0) {
            return -1;
        }
    }
    return 0;
}

static int
count_garbage(mg_search *s, const mg_vector *rest)
{
    mg_answer *answer = s->state->answer;
    mg_pointer_index types = {0};
    int result = 0;
    for (size_t i = 0; i < rest->count && result == 0; i++) {
        uint32_t node = MG_ITEMS(uint32_t, rest)[i];
        if (is_in_rest(s, node)) {
            answer->unreachable_count++;
            result = mg_count_type(&answer->type_counts, &types,
                                   Py_TYPE(mg_object_at(s->state, s->rows, node)));
        }
    }
    mg_pointer_index_clear(&types);
    return result;
}

static int
judge(mg_search *s, mg_vector *rest)
{
    if (list_rest(s, rest) < 0) {
        return -1;
    }
    take_recorded(s, rest);
    take_own(s);
    size_t held_count = find_held(s, rest);
    return settle_held(s, MG_ITEMS(uint32_t, rest), held_count) < 0
        ? -1 : count_garbage(s, rest);
}

/* Afterwards what the search has not reached is garbage.  Kind "live": what is
   held from outside was searched, too. */
int
mg_judge_rest(mg_search *s)
{
    mg_vector rest = {0};
    int result = judge(s, &rest);
    mg_vector_clear(&rest, sizeof(uint32_t));
    return result;
}
