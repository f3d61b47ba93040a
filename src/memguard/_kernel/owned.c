/* What each cycle weighs: sizes, references from outside, what only it holds.
 *
 * A cycle retains what would be freed with it.  Each cycle is taken as one
 * node; its references, and those of everything that only cycles hold, form a
 * graph without cycles.  There "only it holds" is dominance: an object belongs
 * to the nearest node through which every counted reference to it passes, and
 * what a cycle retains is its subtree of the dominator tree.  An object with a
 * reference that was not found in this graph is held from elsewhere.
 *
 * Cost: one traversal of the members and of what they retain.
 * Source: A. V. Aho, J. D. Ullman, "The Theory of Parsing, Translation, and
 * Compiling", 1973 (dominators); E. W. Myers, "An applicative random-access
 * stack", 1983 (jump pointers, for common ancestors in logarithmic time).
 */
#include "weigher.h"

#include <string.h>

/* A node in the tree of holders. */
typedef struct {
    uint64_t first_edge;
    uint64_t end_edge;
    int64_t missing;            /* references not yet accounted for */
    uint32_t holder;            /* immediate dominator */
    uint32_t jump;
    uint32_t depth;
} place;

static void
prepare_places(mg_weigher *w, place *places)
{
    mg_answer *answer = w->state->answer;
    const uint32_t *order = MG_ITEMS(uint32_t, &w->order);
    const uint64_t *edge_start = MG_ITEMS(uint64_t, &w->edge_start);
    for (size_t i = 0; i < w->order.count; i++) {
        uint32_t node = order[i];
        place *own = &places[node];
        own->first_edge = edge_start[i];
        own->end_edge = i + 1 < w->order.count ? edge_start[i + 1]
                                               : w->edges.count;
        own->holder = MG_NOWHERE;
        own->missing = node <= w->cycle_count
            ? answer->cycles[node - 1].outside_references
            : mg_reference_count(mg_other_object(w, node));
    }
}

/* A cycle with a reference that is not in this graph is held from elsewhere,
   and so is one without any: nothing has to be waited for. */
static size_t
queue_cycles_held_from_elsewhere(mg_weigher *w, place *places, uint32_t *queue)
{
    size_t end = 0;
    for (uint32_t node = 1; node <= w->cycle_count; node++) {
        int64_t found = MG_ITEMS(uint32_t, &w->found)[node];
        if (found == 0 || places[node].missing != found) {
            places[node].missing = -1;
            places[node].holder = 0;
            queue[end++] = node;
        }
    }
    return end;
}

static uint32_t
common_holder(const place *places, uint32_t a, uint32_t b)
{
    while (places[a].depth > places[b].depth) {
        uint32_t far = places[a].jump;
        a = places[far].depth >= places[b].depth ? far : places[a].holder;
    }
    while (places[b].depth > places[a].depth) {
        uint32_t far = places[b].jump;
        b = places[far].depth >= places[a].depth ? far : places[b].holder;
    }
    while (a != b) {
        int is_far = places[a].jump != places[b].jump;
        a = is_far ? places[a].jump : places[a].holder;
        b = is_far ? places[b].jump : places[b].holder;
    }
    return a;
}

static void
settle_holder(place *places, uint32_t node)
{
    place *own = &places[node];
    const place *up = &places[own->holder];
    const place *far = &places[up->jump];
    own->depth = up->depth + 1;
    own->jump = up->depth - far->depth == far->depth - places[far->jump].depth
        ? far->jump : own->holder;
}

static void
find_holders(mg_weigher *w, place *places, uint32_t *queue)
{
    const uint32_t *edges = MG_ITEMS(uint32_t, &w->edges);
    size_t end = queue_cycles_held_from_elsewhere(w, places, queue);
    for (size_t next = 0; next < end; next++) {
        uint32_t node = queue[next];
        settle_holder(places, node);
        for (uint64_t e = places[node].first_edge; e < places[node].end_edge; e++) {
            place *child = &places[edges[e]];
            if (child->missing <= 0) {
                continue;   /* held from elsewhere, or never expanded */
            }
            child->holder = child->holder == MG_NOWHERE
                ? node : common_holder(places, child->holder, node);
            if (--child->missing == 0) {
                queue[end++] = edges[e];
            }
        }
    }
    while (end-- > 0) {
        uint32_t node = queue[end];
        mg_weight *up = mg_weight_of(w, places[node].holder);
        up->bytes += mg_weight_of(w, node)->bytes;
        up->count += mg_weight_of(w, node)->count;
    }
}

/* Add to each cycle what is held through others.  -1: no memory. */
static int
add_up(mg_weigher *w)
{
    if (w->edges.count == 0) {
        return 0;
    }
    size_t n = w->found.count;
    place *places = mg_allocate_zeroed(n * sizeof(*places));
    uint32_t *queue = mg_allocate(n * sizeof(*queue));
    int result = places != NULL && queue != NULL ? 0 : -1;
    if (result == 0) {
        prepare_places(w, places);
        find_holders(w, places, queue);
    }
    mg_release(places, n * sizeof(*places));
    mg_release(queue, n * sizeof(*queue));
    return result;
}

static void
report_weights(mg_weigher *w)
{
    mg_answer *answer = w->state->answer;
    for (uint32_t cycle = 0; cycle < w->cycle_count; cycle++) {
        answer->cycles[cycle].retained_bytes = mg_weight_of(w, 1 + cycle)->bytes;
        answer->cycles[cycle].retained_count = mg_weight_of(w, 1 + cycle)->count;
    }
}

static void
forget_own_reference(mg_weigher *w, PyObject *object)
{
    mg_map *map = &w->state->map;
    uint32_t handle = mg_find(map, object);
    if (map->words[handle >> 6].open & MG_BIT(handle) && !mg_is_immortal(object)) {
        uint32_t position = w->position_of[mg_number_of(map, handle)];
        w->state->answer->cycles[w->cycle_of[position]].outside_references--;
    }
}

/* What memguard holds is not "outside" in a user's eyes. */
static void
forget_own_references(mg_weigher *w)
{
    for (mg_holding *h = mg_holdings.next; h != &mg_holdings; h = h->next) {
        for (size_t i = 0; i < h->count; i++) {
            forget_own_reference(w, h->objects[i]);
        }
    }
}

/* More references were found inside a cycle than its members have.  Returns how
   many cycles are suspect for that. */
static size_t
raise_to_zero(mg_answer *answer)
{
    size_t suspect_count = 0;
    for (size_t c = 0; c < answer->cycle_count; c++) {
        if (answer->cycles[c].outside_references < 0) {
            answer->cycles[c].outside_references = 0;
            suspect_count++;
        }
    }
    return suspect_count;
}

/* Of an attempt for which there was no memory. */
static void
forget_weights(mg_weigher *w)
{
    for (uint32_t c = 0; c < w->cycle_count; c++) {
        mg_cycle *cycle = &w->state->answer->cycles[c];
        cycle->shallow_bytes = 0;
        cycle->retained_bytes = 0;
        cycle->retained_count = 0;
        cycle->outside_references = 0;
    }
}

static int
weigh(mg_weigher *w)
{
    forget_weights(w);
    if (mg_number_members(w) < 0 || mg_expand_cycles(w) < 0) {
        return -1;
    }
    forget_own_references(w);
    size_t suspect_count = raise_to_zero(w->state->answer);
    if (mg_expand_retained(w) < 0 || add_up(w) < 0) {
        return -1;
    }
    report_weights(w);
    w->state->answer->suspect_count += suspect_count;
    return 0;
}

int
mg_weigh_cycles(mg_state *state)
{
    mg_answer *answer = state->answer;
    mg_weigher w;
    if (answer->cycle_count == 0) {
        return 0;
    }
    memset(&w, 0, sizeof(w));
    w.state = state;
    w.member_count = answer->members.count;
    w.cycle_count = (uint32_t)answer->cycle_count;
    w.records_edges = answer->edge_start.count == 0;
    if (answer->cycles == NULL) {
        answer->cycles = mg_allocate_zeroed(w.cycle_count * sizeof(*answer->cycles));
    }
    int result = answer->cycles == NULL ? -1 : weigh(&w);
    mg_weigher_clear(&w);
    return result;
}
