/* Strongly connected components, by one depth-first search over the open
 * nodes, straight from tp_traverse.
 *
 * Path-based (Gabow): `entered` holds the nodes whose component is not yet
 * known, `boundaries` where on it the tentative components begin.  A
 * reference back to an entered node joins all tentative components above it.
 * The place of a node on `entered` is needed for those references only, so it
 * lives in a side array and the common reference costs one look-up of two
 * bits.
 *
 * tp_traverse cannot be paused, so entering a node pushes all its references
 * that may matter on `candidates`; each is looked at again when its turn
 * comes.  Nothing recurses: depth is bounded by memory, not by the C stack.
 *
 * A node that is cut is alive once reached, but references to it are not
 * followed as part of a cycle: it waits in `pending`, and what it refers to
 * starts a search of its own.
 *
 * Source: H. N. Gabow, "Path-based depth-first search for strong and
 * biconnected components", 2000.
 */
#include "scan.h"

#include <string.h>

#define CHECK_EVERY 1024
#define SELF_LOOP ((uint64_t)1 << 63)

typedef struct {
    mg_state *state;
    int ignores_own_type;
    mg_vector entered;          /* uint32_t handles */
    mg_vector boundaries;       /* uint32_t places on entered */
    mg_vector path_base;        /* uint64_t: candidates below belong to parents */
    mg_vector path_place;       /* uint32_t: place on entered */
    uint32_t *place_of;         /* by number */
    size_t place_count;
    size_t visited;
} search;

/* Look up what tp_traverse handed over: what may matter becomes a candidate,
   a cut node that was not reached before goes to `pending`. */
static int
look_up_gathered(mg_state *state)
{
    size_t count = mg_gathered_count(state);
    state->gathered_end = state->gathered;
    state->edge_count += count;
    if (mg_vector_make_room(&state->candidates, count, sizeof(uint32_t)) < 0) {
        state->out_of_memory = 1;
        return 1;
    }
    uint32_t *list = MG_ITEMS(uint32_t, &state->candidates);
    size_t end = state->candidates.count;
    for (size_t i = 0; i < count; i++) {
        PyObject *object = state->gathered[i];
        uint32_t handle = mg_find(&state->map, object);
        mg_word *word = &state->map.words[handle >> 6];
        if (!((word->open | word->on_stack) >> (handle & 63) & 1) ||
            object == state->ignored) {
            continue;
        }
        if (MG_UNLIKELY(state->map.cut != NULL &&
                        state->map.cut[handle >> 6] & MG_BIT(handle))) {
            word->open ^= MG_BIT(handle);
            if (mg_push_u32(&state->pending, handle) < 0) {
                state->out_of_memory = 1;
                return 1;
            }
            continue;
        }
        MG_PREFETCH((char *)object - 16);
        list[end++] = handle;
    }
    state->candidates.count = end;
    return 0;
}

static int
traverse_node(search *s, PyObject *object)
{
    mg_state *state = s->state;
    /* With classes in the graph but the reference from an instance to its
       class cut. */
    state->ignored = s->ignores_own_type ? (PyObject *)Py_TYPE(object) : NULL;
    mg_traverse(object, mg_gather, state);
    return look_up_gathered(state);
}

static int
emit(search *s, const uint32_t *handles, size_t count)
{
    mg_state *state = s->state;
    mg_answer *answer = state->answer;
    if (answer->members.count + count >= UINT32_MAX) {
        return -1;
    }
    for (size_t i = 0; i < count; i++) {
        void *member = (void *)mg_address_of(&state->map, handles[i]);
        if (mg_push_pointer(&answer->members, member) < 0) {
            return -1;
        }
    }
    return mg_push_u32(&answer->cycle_start, (uint32_t)answer->members.count);
}

static int
enter(search *s, uint32_t handle)
{
    mg_state *state = s->state;
    mg_word *word = &state->map.words[handle >> 6];
    uint64_t bit = MG_BIT(handle);
    size_t base = state->candidates.count;
    word->open ^= bit;
    word->on_stack |= bit;
    if (traverse_node(s, (PyObject *)mg_address_of(&state->map, handle)) != 0 ||
        MG_UNLIKELY(state->out_of_memory)) {
        return -1;
    }
    if (state->candidates.count == base) {
        word->on_stack ^= bit;      /* refers to nothing that matters */
        return 0;
    }
    uint32_t place = (uint32_t)s->entered.count;
    s->place_of[mg_number_of(&state->map, handle)] = place;
    if (mg_push_u32(&s->entered, handle) < 0 ||
        mg_push_u32(&s->boundaries, place) < 0 ||
        mg_push_u64(&s->path_base, base) < 0 ||
        mg_push_u32(&s->path_place, place) < 0) {
        return -1;
    }
    return 0;
}

/* A reference back to a node on `entered`. */
static void
join(search *s, uint32_t handle)
{
    uint32_t place = s->place_of[mg_number_of(&s->state->map, handle)];
    size_t top = s->path_place.count - 1;
    if (place == MG_ITEMS(uint32_t, &s->path_place)[top]) {
        MG_ITEMS(uint64_t, &s->path_base)[top] |= SELF_LOOP;
        return;
    }
    uint32_t *boundaries = MG_ITEMS(uint32_t, &s->boundaries);
    while (boundaries[s->boundaries.count - 1] > place) {
        s->boundaries.count--;
    }
}

static int
leave(search *s)
{
    size_t top = --s->path_place.count;
    s->path_base.count--;
    uint32_t place = MG_ITEMS(uint32_t, &s->path_place)[top];
    if (MG_ITEMS(uint32_t, &s->boundaries)[s->boundaries.count - 1] != place) {
        return 0;
    }
    s->boundaries.count--;
    uint32_t *handles = MG_ITEMS(uint32_t, &s->entered) + place;
    size_t count = s->entered.count - place;
    for (size_t i = 0; i < count; i++) {
        s->state->map.words[handles[i] >> 6].on_stack &= ~MG_BIT(handles[i]);
    }
    s->entered.count = place;
    int is_cycle = count > 1 ||
                   MG_ITEMS(uint64_t, &s->path_base)[top] & SELF_LOOP;
    return is_cycle ? emit(s, handles, count) : 0;
}

static int
search_from(search *s, uint32_t root)
{
    mg_state *state = s->state;
    const mg_word *words = state->map.words;
    if (enter(s, root) < 0) {
        return -1;
    }
    while (s->path_base.count != 0) {
        uint64_t base = MG_ITEMS(uint64_t, &s->path_base)[s->path_base.count - 1] &
                        ~SELF_LOOP;
        if (state->candidates.count == base) {
            if (leave(s) < 0) {
                return -1;
            }
            continue;
        }
        uint32_t next = MG_ITEMS(uint32_t, &state->candidates)
            [--state->candidates.count];
        if (words[next >> 6].open & MG_BIT(next)) {
            if (enter(s, next) < 0) {
                return -1;
            }
            if (++s->visited % CHECK_EVERY == 0 && mg_must_stop(state)) {
                return 0;
            }
        }
        else if (words[next >> 6].on_stack & MG_BIT(next)) {
            join(s, next);
        }
    }
    return 0;
}

static int
is_cut(const mg_state *state, uint32_t handle)
{
    return state->map.cut != NULL && state->map.cut[handle >> 6] & MG_BIT(handle);
}

/* Search from each candidate that lies above `base`, emptying it. */
static int
search_candidates(search *s, size_t base)
{
    mg_state *state = s->state;
    while (state->candidates.count > base) {
        uint32_t handle = MG_ITEMS(uint32_t, &state->candidates)
            [--state->candidates.count];
        if (state->map.words[handle >> 6].open & MG_BIT(handle) &&
            search_from(s, handle) < 0) {
            return -1;
        }
        if (state->answer->stopped == MG_STOPPED_BY_BUDGET) {
            return 0;
        }
    }
    return 0;
}

static int
follow(search *s, PyObject *object)
{
    if (traverse_node(s, object) != 0 || s->state->out_of_memory) {
        return -1;
    }
    return search_candidates(s, 0);
}

static int
follow_pending(search *s)
{
    mg_state *state = s->state;
    while (state->pending.count != 0 &&
           state->answer->stopped != MG_STOPPED_BY_BUDGET) {
        uint32_t handle = MG_ITEMS(uint32_t, &state->pending)
            [--state->pending.count];
        PyObject *object = (PyObject *)mg_address_of(&state->map, handle);
        if (follow(s, object) < 0) {
            return -1;
        }
    }
    return 0;
}

/* A place to start from: a node, or one that is cut. */
static int
start_at(search *s, uint32_t handle)
{
    mg_state *state = s->state;
    mg_word *word = &state->map.words[handle >> 6];
    if (!(word->open & MG_BIT(handle))) {
        return 0;
    }
    if (is_cut(state, handle)) {
        word->open ^= MG_BIT(handle);
        return mg_push_u32(&state->pending, handle);
    }
    return mg_push_u32(&state->candidates, handle);
}

static int
start_at_object(PyObject *object, void *argument)
{
    search *s = argument;
    if (start_at(s, mg_find(&s->state->map, object)) < 0) {
        s->state->out_of_memory = 1;
        return 0;
    }
    return 1;
}

static int
begin(search *s, mg_state *state)
{
    memset(s, 0, sizeof(*s));
    s->state = state;
    s->ignores_own_type = state->request->cuts & MG_CUT_INSTANCE_TYPES &&
                          !(state->request->cuts & MG_CUT_TYPES);
    state->drain = look_up_gathered;
    state->gathered_end = state->gathered;
    if (mg_map_rank(&state->map, &s->place_count) < 0) {
        return -1;
    }
    s->place_of = mg_allocate(s->place_count * sizeof(*s->place_of));
    return s->place_of == NULL ? -1 : 0;
}

static void
end(search *s)
{
    mg_release(s->place_of, s->place_count * sizeof(*s->place_of));
    mg_vector_clear(&s->entered, sizeof(uint32_t));
    mg_vector_clear(&s->boundaries, sizeof(uint32_t));
    mg_vector_clear(&s->path_base, sizeof(uint64_t));
    mg_vector_clear(&s->path_place, sizeof(uint32_t));
    mg_vector_clear(&s->state->candidates, sizeof(uint32_t));
    mg_vector_clear(&s->state->pending, sizeof(uint32_t));
}

static int
finish(search *s, int failed)
{
    if (!failed) {
        failed = search_candidates(s, 0) < 0 || follow_pending(s) < 0;
    }
    mg_state *state = s->state;
    end(s);
    if (failed) {
        state->out_of_memory = 1;
        return -1;
    }
    return 0;
}

/* Components of what sys.modules and running frames reach. */
int
mg_components_from_roots(mg_state *state)
{
    search s;
    int failed = begin(&s, state) < 0;
    if (!failed) {
        PyObject *modules = PyImport_GetModuleDict();
        if (modules != NULL) {
            start_at_object(modules, &s);
        }
        mg_for_each_frame_root(start_at_object, &s);
        failed = state->out_of_memory;
    }
    return finish(&s, failed);
}

/* Components of what the given objects reach; the cut ones among them are
   followed, though they are not nodes. */
int
mg_components_from_objects(mg_state *state, PyObject **objects, size_t count)
{
    search s;
    int failed = begin(&s, state) < 0;
    for (size_t i = 0; i < count && !failed; i++) {
        uint32_t handle = mg_find(&state->map, objects[i]);
        if (state->map.words[handle >> 6].open & MG_BIT(handle)) {
            failed = start_at(&s, handle) < 0;
        }
        else if (mg_is_gc(objects[i]) && PyObject_GC_IsTracked(objects[i])) {
            failed = follow(&s, objects[i]) < 0;
        }
    }
    return finish(&s, failed);
}

/* Components of what the given nodes reach. */
int
mg_components_from_handles(mg_state *state, const mg_vector *handles)
{
    search s;
    int failed = begin(&s, state) < 0;
    for (size_t i = 0; i < handles->count && !failed; i++) {
        failed = start_at(&s, MG_ITEMS(uint32_t, handles)[i]) < 0;
    }
    return finish(&s, failed);
}

/* Components of every node that is still open. */
int
mg_components_of_open(mg_state *state)
{
    search s;
    int failed = begin(&s, state) < 0;
    size_t words = failed ? 0 : mg_word_count(&state->map);
    for (size_t w = 0; w < words && !failed; w++) {
        while (state->map.words[w].open != 0 && !failed &&
               state->answer->stopped != MG_STOPPED_BY_BUDGET) {
            uint32_t handle = (uint32_t)(w << 6) |
                              MG_LOWEST_BIT(state->map.words[w].open);
            failed = search_from(&s, handle) < 0;
        }
    }
    return finish(&s, failed);
}
