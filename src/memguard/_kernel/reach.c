/* Mark what is certainly alive: what sys.modules and running frames reach.
 *
 * Those references come from outside the heap, so whatever they lead to is
 * alive by the collector's own rule, without counting anything.  In a real
 * process that is nearly every object, and each is traversed just once; only
 * the few that are left need trial deletion (garbage.c).
 */
#include "scan.h"

#define CHECK_EVERY 1024

static int
mark(PyObject *object, void *argument)
{
    mg_state *state = argument;
    state->edge_count++;
    uint32_t handle = mg_find(&state->map, object);
    mg_word *word = &state->map.words[handle >> 6];
    uint64_t bit = MG_BIT(handle);
    if (word->open & bit) {
        word->open ^= bit;
        MG_PREFETCH((char *)object - 16);
        if (MG_UNLIKELY(mg_push_pointer(&state->candidates, object) < 0)) {
            state->out_of_memory = 1;
            return 1;
        }
    }
    return 0;
}

static int
mark_root(PyObject *object, void *argument)
{
    mg_state *state = argument;
    size_t edges = state->edge_count;
    mark(object, state);
    state->edge_count = edges;
    return !state->out_of_memory;
}

int
mg_mark_reachable(mg_state *state)
{
    PyObject *modules = PyImport_GetModuleDict();
    if (modules != NULL) {
        mark_root(modules, state);
    }
    mg_for_each_frame_root(mark_root, state);
    size_t visited = 0;
    while (state->candidates.count != 0 && !state->out_of_memory) {
        PyObject *object = MG_ITEMS(PyObject *, &state->candidates)
            [--state->candidates.count];
        mg_traverse(object, mark, state);
        if (++visited % CHECK_EVERY == 0 && mg_must_stop(state)) {
            break;
        }
    }
    mg_vector_clear(&state->candidates, sizeof(void *));
    return state->out_of_memory ? -1 : 0;
}
