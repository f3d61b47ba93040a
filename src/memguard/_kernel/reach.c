/* Mark what is certainly alive: what sys.modules and running frames reach.
 *
 * Those references come from outside the heap, so whatever they lead to is
 * alive by the collector's own rule, without counting anything.  In a real
 * process that is nearly every object, and each is traversed just once; only
 * the few that are left need trial deletion (garbage.c).
 */
#include "scan.h"

#define CHECK_EVERY 1024
#define LOOK_AHEAD 8

static int
mark_gathered(mg_state *state)
{
    size_t count = mg_gathered_count(state);
    if (mg_vector_make_room(&state->candidates, count, sizeof(void *)) < 0) {
        state->out_of_memory = 1;
        return 1;
    }
    PyObject **list = MG_ITEMS(PyObject *, &state->candidates);
    size_t end = state->candidates.count;
    for (size_t i = 0; i < count; i++) {
        PyObject *object = state->gathered[i];
        uint32_t handle = mg_find(&state->map, object);
        uint64_t *open = &state->map.words[handle >> 6].open;
        if (*open >> (handle & 63) & 1) {
            *open ^= MG_BIT(handle);
            list[end++] = object;
        }
    }
    state->candidates.count = end;
    state->edge_count += count;
    state->gathered_end = state->gathered;
    return 0;
}

static int
mark_root(PyObject *object, void *argument)
{
    mg_state *state = argument;
    state->edge_count--;        /* not a reference between objects */
    return mg_gather(object, state) == 0;
}

int
mg_mark_reachable(mg_state *state)
{
    PyObject *modules = PyImport_GetModuleDict();
    state->drain = mark_gathered;
    state->gathered_end = state->gathered;
    if (modules != NULL) {
        mark_root(modules, state);
    }
    mg_for_each_frame_root(mark_root, state);
    size_t visited = 0;
    do {
        while (state->candidates.count != 0) {
            PyObject **next = MG_ITEMS(PyObject *, &state->candidates) +
                              --state->candidates.count;
            PyObject *object = *next;
            if (state->candidates.count >= LOOK_AHEAD) {
                MG_PREFETCH(*(next - LOOK_AHEAD));
            }
            mg_traverse(object, mg_gather, state);
            if (mg_gathered_count(state) >= MG_GATHERED / 2) {
                mark_gathered(state);
            }
            if (++visited % CHECK_EVERY == 0 && mg_must_stop(state)) {
                goto stopped;
            }
        }
    } while (mark_gathered(state) == 0 && state->candidates.count != 0);
stopped:
    mg_vector_clear(&state->candidates, sizeof(void *));
    return state->out_of_memory ? -1 : 0;
}
