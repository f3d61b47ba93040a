/* Which objects there are, and which of them are cut. */
#include "scan.h"

#include <string.h>

#define CHECK_EVERY 4096

/* Whether a class or module is cut; a module's dict is noted on the way. */
static int
classify(mg_state *state, PyObject *object)
{
    unsigned cuts = state->request->cuts;
    if (PyType_Check(object)) {
        return (cuts & MG_CUT_TYPES) != 0;
    }
    if (cuts & MG_CUT_MODULE_DICTS && mg_note_module_dict(state, object) < 0) {
        state->out_of_memory = 1;
    }
    return (cuts & MG_CUT_MODULES) != 0;
}

static int
note_kind(mg_state *state, PyObject *object, int kind)
{
    int is_special = kind == MG_SPECIAL;
    int is_foreign = !is_special || !mg_traverses_anywhere(Py_TYPE(object));
    if ((is_special && classify(state, object) &&
         mg_push_pointer(&state->cut_objects, object) < 0) ||
        (is_foreign && state->thread_count > 1 &&
         mg_push_pointer(&state->foreign, object) < 0)) {
        state->out_of_memory = 1;
    }
    return !state->out_of_memory;
}

/* Called when `enumerated` gets to `next_check`, which is then moved on. */
static int
limits_reached(mg_state *state)
{
    size_t limit = state->request->max_objects;
    if (limit != 0 && state->enumerated == limit) {
        state->answer->stopped = MG_STOPPED_BY_OBJECTS;
        return 1;
    }
    state->next_check = state->enumerated + CHECK_EVERY;
    if (limit != 0 && state->next_check > limit) {
        state->next_check = limit;
    }
    return mg_must_stop(state);
}

static inline int
add_node(mg_state *state, PyObject *object, uint32_t *handle)
{
    uint32_t leaf = mg_map_leaf(&state->map, (uintptr_t)object);
    if (MG_UNLIKELY(leaf == 0)) {
        state->out_of_memory = 1;
        return -1;
    }
    *handle = mg_handle_of(leaf, (uintptr_t)object);
    state->map.words[*handle >> 6].open |= MG_BIT(*handle);
    state->enumerated++;
    return 0;
}

static int
on_tracked(PyObject *object, void *argument)
{
    mg_state *state = argument;
    uint32_t handle;
    mg_fetch_ahead(&state->last_address, object);
    int kind = mg_kind_of(state, Py_TYPE(object));
    if (MG_UNLIKELY(kind == MG_OWN || !mg_may_be_node(object))) {
        return 1;
    }
    if ((MG_UNLIKELY(state->enumerated == state->next_check) &&
         limits_reached(state)) ||
        add_node(state, object, &handle) < 0) {
        return 0;
    }
    return MG_LIKELY(kind == MG_PLAIN) || note_kind(state, object, kind);
}

int
mg_enumerate_heap(mg_state *state)
{
    mg_for_each_tracked(on_tracked, state);
    if (state->request->with_frozen) {
        mg_for_each_frozen(on_tracked, state);
    }
    state->knows_modules = 1;
    return state->out_of_memory || mg_map_seal(&state->map) < 0 ? -1 : 0;
}

/* ------------------------------------------------------------------------
   From given roots outward.  Nothing is known beforehand, so each object is
   looked at when it is first met: tracked ones become nodes, cut ones do not,
   and the cost depends on what is reached only. */

static int
on_reached(PyObject *object, void *argument)
{
    mg_state *state = argument;
    if (object != NULL && mg_may_be_node(object) && mg_is_gc(object) &&
        PyObject_GC_IsTracked(object) &&
        mg_kind_of(state, Py_TYPE(object)) != MG_OWN && !mg_is_cut(state, object)) {
        uint32_t leaf = mg_map_leaf(&state->map, (uintptr_t)object);
        uint32_t handle = mg_handle_of(leaf, (uintptr_t)object);
        if (leaf != 0 && mg_is_open(&state->map, handle)) {
            return 0;
        }
        if (leaf == 0) {
            state->out_of_memory = 1;
            return 1;
        }
        if ((state->enumerated == state->next_check && limits_reached(state)) ||
            add_node(state, object, &handle) < 0) {
            return 1;
        }
        if (mg_push_pointer(&state->references, object) < 0) {
            state->out_of_memory = 1;
            return 1;
        }
    }
    return 0;
}

int
mg_enumerate_roots(mg_state *state)
{
    const mg_request *request = state->request;
    for (size_t i = 0; i < request->root_count; i++) {
        PyObject *root = request->roots[i];
        on_reached(root, state);
        /* A root that is cut is not a node, but what it holds is meant. */
        if (mg_is_gc(root) && PyObject_GC_IsTracked(root) &&
            mg_is_cut(state, root)) {
            mg_traverse(root, on_reached, state);
        }
        while (state->references.count != 0 && !state->out_of_memory &&
               state->answer->stopped == MG_RUNS) {
            PyObject *next = MG_ITEMS(void *, &state->references)
                [--state->references.count];
            mg_traverse(next, on_reached, state);
        }
    }
    mg_vector_clear(&state->references, sizeof(void *));
    if (state->out_of_memory) {
        return -1;
    }
    return mg_map_seal(&state->map);
}

/* ------------------------------------------------------------------------
   Only the members of cycles that an earlier call found. */

void
mg_open_members(mg_state *state)
{
    const mg_vector *members = &state->answer->members;
    mg_map *map = &state->map;
    memset(map->words, 0, mg_word_count(map) * sizeof(*map->words));
    for (size_t p = 0; p < members->count; p++) {
        uint32_t handle = mg_find(map, MG_ITEMS(void *, members)[p]);
        map->words[handle >> 6].open |= MG_BIT(handle);
    }
}

int
mg_enumerate_members(mg_state *state)
{
    const mg_vector *members = &state->answer->members;
    for (size_t p = 0; p < members->count; p++) {
        if (mg_map_leaf(&state->map,
                        (uintptr_t)MG_ITEMS(void *, members)[p]) == 0) {
            return -1;
        }
    }
    return mg_map_seal(&state->map);
}
