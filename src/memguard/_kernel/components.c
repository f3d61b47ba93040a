/* Strongly connected components, by one depth-first search over the open
 * nodes, straight from tp_traverse.
 *
 * Tarjan's algorithm: `entered` holds the nodes whose component is not yet
 * known, in order; each node on the path keeps the lowest place on it that a
 * reference led back to, and ends a component when that is its own.  The place
 * of a node is needed for references back only, so it lives in a side array
 * and the common reference costs one look-up of two bits.
 *
 * tp_traverse cannot be paused, so entering a node pushes all its references
 * that may matter on `candidates`; each is looked at again when its turn
 * comes.  Nothing recurses: depth is bounded by memory, not by the C stack.
 *
 * A node that is cut is alive once reached, but references to it are not
 * followed as part of a cycle: it waits in `pending`, and what it refers to
 * starts a search of its own.
 *
 * Source: R. Tarjan, "Depth-first search and linear graph algorithms", 1972;
 * D. J. Pearce, "A space-efficient algorithm for finding strongly connected
 * components", 2016 (what has to be kept for a node, and for how long).
 */
#include "scan.h"

#include <string.h>

#define CHECK_EVERY 1024
#define LOOK_AHEAD 8
#define NO_PLACE UINT32_MAX
#define SELF_LOOP (1u << 31)
#define MOST_ENTERED SELF_LOOP

/* A node whose references are being followed. */
typedef struct {
    uint32_t base;              /* candidates below belong to parents */
    uint32_t place;             /* on entered; SELF_LOOP may be set */
    uint32_t lowest;            /* place that it is known to reach */
} step;

typedef struct {
    mg_state *state;
    int ignores_own_type;
    mg_vector entered;          /* uint32_t handles */
    mg_vector path;             /* step */
    uint32_t *place_of;         /* by number */
    size_t place_count;
    size_t visited;

    /* of the node that is being traversed */
    uint32_t handle;
    uint32_t lowest_place;      /* of an entered node that it refers to */
    uint32_t self_loop;         /* SELF_LOOP or 0 */
} search;

/* Look up references: an open node becomes a candidate, a cut node that was
   not reached before goes to `pending`, of entered ones the lowest matters. */
static MG_INLINE int
look_up(search *s, PyObject *const *objects, size_t count)
{
    mg_state *state = s->state;
    if (mg_vector_make_room(&state->candidates, count, sizeof(uint32_t)) < 0) {
        state->out_of_memory = 1;
        return 1;
    }
    uint32_t *list = MG_ITEMS(uint32_t, &state->candidates);
    size_t end = state->candidates.count;
    state->edge_count += count;
    for (size_t i = 0; i < count; i++) {
        PyObject *object = objects[i];
        uint32_t handle = mg_find(&state->map, object);
        mg_word *word = &state->map.words[handle >> 6];
        if (!((word->open | word->on_stack) >> (handle & 63) & 1) ||
            object == state->ignored) {
            state->edge_count -= object == NULL;
            continue;
        }
        if (word->on_stack & MG_BIT(handle)) {
            if (handle == s->handle) {
                s->self_loop = SELF_LOOP;
                continue;
            }
            uint32_t place = s->place_of[mg_number_of(&state->map, handle)];
            s->lowest_place = place < s->lowest_place ? place : s->lowest_place;
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
look_up_gathered(mg_state *state)
{
    size_t count = mg_gathered_count(state);
    state->gathered_end = state->gathered;
    return look_up(state->searcher, state->gathered, count);
}

MG_DEFINE_PUSH(push_step, step)

/* The references of an object: its items, or what tp_traverse gathers, though
   more than MG_GATHERED of those are looked up on the way. */
static MG_INLINE PyObject *const *
references_of(search *s, PyObject *object, size_t *count)
{
    mg_state *state = s->state;
    PyObject *const *items = mg_items_of(object, count);
    /* With classes in the graph but the reference from an instance to its
       class cut. */
    state->ignored = s->ignores_own_type ? (PyObject *)Py_TYPE(object) : NULL;
    if (items != NULL) {
        return items;
    }
    mg_traverse(object, mg_gather, state);
    *count = mg_gathered_count(state);
    state->gathered_end = state->gathered;
    return state->gathered;
}

static int
emit(search *s, const uint32_t *handles, size_t count)
{
    mg_state *state = s->state;
    mg_answer *answer = state->answer;
    size_t end = answer->members.count;
    if (end + count >= UINT32_MAX ||
        mg_vector_make_room(&answer->members, count, sizeof(void *)) < 0) {
        return -1;
    }
    void **members = MG_ITEMS(void *, &answer->members);
    for (size_t i = 0; i < count; i++) {
        members[end++] = (void *)mg_address_of(&state->map, handles[i]);
    }
    answer->members.count = end;
    return mg_push_u32(&answer->cycle_start, (uint32_t)answer->members.count);
}

/* The node at the top of the path reaches an entered one. */
static inline void
reach_back(search *s, uint32_t place)
{
    if (s->path.count != 0) {
        step *top = &MG_ITEMS(step, &s->path)[s->path.count - 1];
        top->lowest = place < top->lowest ? place : top->lowest;
    }
}

/* A node that refers to nothing but nodes entered before it has no step of its
   own: it is part of a component below, or one by itself. */
static int
enter(search *s, uint32_t handle)
{
    mg_state *state = s->state;
    mg_word *word = &state->map.words[handle >> 6];
    PyObject *object = (PyObject *)mg_address_of(&state->map, handle);
    size_t base = state->candidates.count;
    size_t count;
    if (base >= LOOK_AHEAD) {
        uint32_t soon = MG_ITEMS(uint32_t, &state->candidates)[base - LOOK_AHEAD];
        MG_PREFETCH((char *)mg_address_of(&state->map, soon) - 16);
    }
    word->open ^= MG_BIT(handle);
    word->on_stack |= MG_BIT(handle);
    s->handle = handle;
    s->lowest_place = NO_PLACE;
    s->self_loop = 0;
    PyObject *const *references = references_of(s, object, &count);
    if ((count != 0 && look_up(s, references, count) != 0) ||
        MG_UNLIKELY(state->out_of_memory)) {
        return -1;
    }
    int refers_on = state->candidates.count != base;
    if (!refers_on && s->lowest_place == NO_PLACE) {
        word->on_stack ^= MG_BIT(handle);
        return s->self_loop ? emit(s, &handle, 1) : 0;
    }
    uint32_t place = (uint32_t)s->entered.count;
    if (s->entered.count >= MOST_ENTERED || base > UINT32_MAX) {
        return -1;
    }
    s->place_of[mg_number_of(&state->map, handle)] = place;
    if (mg_push_u32(&s->entered, handle) < 0) {
        return -1;
    }
    if (!refers_on) {
        reach_back(s, s->lowest_place);
        return 0;
    }
    uint32_t lowest = s->lowest_place < place ? s->lowest_place : place;
    return push_step(&s->path,
                     (step){(uint32_t)base, place | s->self_loop, lowest});
}

/* The top of the path is complete. */
static int
leave(search *s)
{
    step done = MG_ITEMS(step, &s->path)[--s->path.count];
    uint32_t place = done.place & ~SELF_LOOP;
    if (done.lowest != place) {
        reach_back(s, done.lowest);
        return 0;
    }
    uint32_t *handles = MG_ITEMS(uint32_t, &s->entered) + place;
    size_t count = s->entered.count - place;
    for (size_t i = 0; i < count; i++) {
        s->state->map.words[handles[i] >> 6].on_stack &= ~MG_BIT(handles[i]);
    }
    s->entered.count = place;
    return count > 1 || done.place & SELF_LOOP ? emit(s, handles, count) : 0;
}

static int
search_from(search *s, uint32_t root)
{
    mg_state *state = s->state;
    const mg_word *words = state->map.words;
    if (enter(s, root) < 0) {
        return -1;
    }
    while (s->path.count != 0) {
        if (state->candidates.count ==
            MG_ITEMS(step, &s->path)[s->path.count - 1].base) {
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
            reach_back(s, s->place_of[mg_number_of(&state->map, next)]);
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
    size_t count;
    PyObject *const *references = references_of(s, object, &count);
    if (look_up(s, references, count) != 0 || s->state->out_of_memory) {
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
    state->searcher = s;
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
    mg_vector_clear(&s->path, sizeof(step));
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
