/* Close everything that given nodes reach, each node once.
 *
 * A graph search waits for memory: a node is known only once its neighbour
 * was read.  Here three things go on at a time, so that the waits overlap.
 * Nodes to be visited stand in a short queue while their headers, then the
 * arrays that hang on them, are fetched; tp_traverse hands over references one
 * call at a time, so they are gathered; and the gathered ones are looked up in
 * one loop, in which the look-ups are independent.
 *
 * Nothing recurses: depth is bounded by memory, not by the C stack.
 *
 * Source: C.-Y. Cher, A. L. Hosking, T. N. Vijaykumar, "Software prefetching
 * for mark-sweep garbage collection", 2004 (the queue).
 */
#include "explore.h"

#include <string.h>

#define CHECK_EVERY 1024
#define HEADER_AHEAD 8          /* of MG_AHEAD, for the header; the rest is for
                                   the body, whose address the header holds */

static void
look_up(mg_exploration *x, PyObject *const *objects, size_t count)
{
    const mg_map *map = &x->state->map;
    uint32_t *end = x->waiting + x->waiting_count;
    size_t seen_count = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t handle = mg_find(map, objects[i]);
        mg_word *word = &map->words[handle >> 6];
        uint64_t bit = MG_BIT(handle);
        seen_count += objects[i] != NULL;
        if (word->open & bit) {
            word->open ^= bit;
            *end++ = handle;
        }
    }
    x->waiting_count = (size_t)(end - x->waiting);
    x->state->edge_count += seen_count;
}

/* Also called when the references of one object do not fit. */
static int
look_up_gathered(mg_state *state)
{
    size_t count = mg_gathered_count(state);
    state->gathered_end = state->gathered;
    look_up(state->searcher, state->gathered, count);
    return 0;
}

static inline void
gather_items(mg_state *state, PyObject *const *items, size_t count)
{
    if (count > MG_GATHERED - 1 - mg_gathered_count(state)) {
        look_up_gathered(state);
        if (count >= MG_GATHERED) {
            look_up(state->searcher, items, count);
            return;
        }
    }
    PyObject **end = state->gathered_end;
    for (size_t i = 0; i < count; i++) {
        *end = items[i];
        end += items[i] != NULL;
    }
    state->gathered_end = end;
}

static inline void
visit(mg_exploration *x, PyObject *object)
{
    mg_state *state = x->state;
    size_t waiting_before = x->waiting_count;
    size_t count;
    PyObject *const *items = mg_items_of(object, &count);
    if (items == NULL) {
        mg_traverse(object, mg_gather, state);
    }
    else {
        gather_items(state, items, count);
    }
    if (MG_UNLIKELY(x->waiting_count - waiting_before >= MG_LONG_RUN)) {
        mg_bring_near_together(x->waiting + waiting_before,
                               x->waiting_count - waiting_before);
    }
    if (mg_gathered_count(state) >= MG_GATHERED / 2) {
        look_up_gathered(state);
    }
}

/* From the stack to the queue. */
static inline void
fetch(mg_exploration *x)
{
    uint32_t handle = x->waiting[--x->waiting_count];
    PyObject *object = mg_object_of(&x->state->map, handle);
    MG_PREFETCH((char *)object - 32);
    MG_PREFETCH((char *)object + 16);
    x->soon[x->soon_end++ % MG_AHEAD] = object;
}

int
mg_explore(mg_exploration *x)
{
    mg_state *state = x->state;
    size_t visited = 0;
    for (;;) {
        while (x->soon_end - x->soon_first < MG_AHEAD && x->waiting_count != 0) {
            fetch(x);
        }
        if (x->soon_first == x->soon_end) {
            if (mg_gathered_count(state) == 0) {
                return 0;
            }
            look_up_gathered(state);
            continue;
        }
        PyObject *next = x->soon[x->soon_first++ % MG_AHEAD];
        if (x->soon_end - x->soon_first > MG_AHEAD - HEADER_AHEAD) {
            mg_prefetch_body(
                x->soon[(x->soon_first + MG_AHEAD - HEADER_AHEAD - 1) % MG_AHEAD]);
        }
        visit(x, next);
        if (++visited % CHECK_EVERY == 0 && mg_must_stop(state)) {
            return state->out_of_memory ? -1 : 0;
        }
    }
}

/* A place to start from. */
void
mg_exploration_reach(mg_exploration *x, uint32_t handle)
{
    if (mg_is_open(&x->state->map, handle)) {
        x->state->map.words[handle >> 6].open ^= MG_BIT(handle);
        x->waiting[x->waiting_count++] = handle;
    }
}

/* Each node waits at most once, so the stack needs no more room than there are
   open nodes; what is not used of it is never touched. */
int
mg_exploration_begin(mg_exploration *x, mg_state *state)
{
    memset(x, 0, sizeof(*x));
    x->state = state;
    x->capacity = state->enumerated;
    x->waiting = mg_allocate(x->capacity * sizeof(*x->waiting));
    state->drain = look_up_gathered;
    state->searcher = x;
    state->gathered_end = state->gathered;
    return x->waiting == NULL ? -1 : 0;
}

void
mg_exploration_end(mg_exploration *x)
{
    mg_release(x->waiting, x->capacity * sizeof(*x->waiting));
    memset(x, 0, sizeof(*x));
}
