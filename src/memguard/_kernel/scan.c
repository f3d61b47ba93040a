#include "forest.h"

#include <string.h>

int
mg_must_stop(mg_state *state)
{
    if (state->out_of_memory) {
        return 1;
    }
    if (state->deadline_seconds > 0 &&
        state->request->clock_seconds() >= state->deadline_seconds) {
        state->answer->stopped = MG_STOPPED_BY_BUDGET;
        return 1;
    }
    return 0;
}

static int
budget_is_spent(const mg_state *state)
{
    return state->answer->stopped == MG_STOPPED_BY_BUDGET;
}

static int
reach_object(PyObject *object, void *argument)
{
    mg_forest *forest = argument;
    mg_forest_reach(forest, mg_find(&forest->state->map, object));
    return 1;
}

/* What sys.modules and running frames lead to is alive by the collector's own
   rule, for those references come from outside the heap.  In a real process
   that is nearly every object, and none of their counts has to be looked at. */
static int
explore_from_interpreter(mg_forest *forest)
{
    PyObject *modules = mg_imported_modules();
    if (modules != NULL) {
        reach_object(modules, forest);
    }
    mg_for_each_frame_root(reach_object, forest);
    return forest->state->out_of_memory ? -1 : mg_forest_explore(forest);
}

/* From the given roots; those that are cut are no nodes, but what they lead to
   is meant. */
static int
explore_from_request(mg_forest *forest)
{
    const mg_request *request = forest->state->request;
    mg_map *map = &forest->state->map;
    for (size_t i = 0; i < request->root_count; i++) {
        PyObject *root = request->roots[i];
        uint32_t handle = mg_find(map, root);
        const mg_word *word = &map->words[handle >> 6];
        if ((word->open | word->marked) & MG_BIT(handle)) {
            mg_forest_reach(forest, handle);
        }
        else if (mg_is_gc(root) && PyObject_GC_IsTracked(root) &&
                 mg_forest_follow(forest, root) < 0) {
            return -1;
        }
    }
    return mg_forest_explore(forest);
}

static int
explore_from_handles(mg_forest *forest, const mg_vector *handles)
{
    mg_forest_resume(forest);
    for (size_t i = 0; i < handles->count; i++) {
        mg_forest_reach(forest, MG_ITEMS(uint32_t, handles)[i]);
    }
    return mg_forest_explore(forest);
}

/* What was explored when the budget ended is searched all the same: its cycles
   are cycles, though there may be more. */
static int
find_components(mg_forest *forest)
{
    return mg_keep_candidates(forest) < 0
        ? -1 : mg_emit_components(forest->state, &forest->visits);
}

static int
close_reachable(mg_state *state)
{
    mg_forest forest;
    int result = mg_forest_begin(&forest, state, 0);
    if (result == 0) {
        result = explore_from_interpreter(&forest);
    }
    mg_forest_end(&forest);
    return result;
}

static int
find_garbage(mg_state *state)
{
    if (state->request->roots == NULL && close_reachable(state) < 0) {
        return -1;
    }
    return budget_is_spent(state) ? 0 : mg_judge_rest(state, NULL);
}

/* What the interpreter does not lead to may be held by C code. */
static int
explore_what_is_held(mg_forest *forest)
{
    mg_state *state = forest->state;
    mg_vector held = {0};
    int result = mg_judge_rest(state, &held);
    /* What an object that was not looked at holds may still be garbage, so of
       a partial map only what modules and frames reach is certainly live. */
    if (result == 0 && state->answer->stopped == MG_RUNS) {
        size_t edge_count = state->edge_count;
        result = explore_from_handles(forest, &held);
        state->edge_count = edge_count;
    }
    mg_vector_clear(&held, sizeof(uint32_t));
    return result;
}

static int
explore_live(mg_forest *forest)
{
    if (forest->state->request->roots != NULL) {
        return explore_from_request(forest);
    }
    if (explore_from_interpreter(forest) < 0) {
        return -1;
    }
    return budget_is_spent(forest->state) ? 0 : explore_what_is_held(forest);
}

static int
find_live(mg_state *state)
{
    mg_forest forest;
    int result = mg_forest_begin(&forest, state, 1);
    if (result == 0) {
        result = explore_live(&forest);
    }
    if (result == 0) {
        result = find_components(&forest);
    }
    mg_forest_end(&forest);
    return result;
}

static int
describe(mg_state *state)
{
    return mg_weigh_cycles(state) < 0 || mg_group_shapes(state) < 0 ? -1 : 0;
}

static int
run(mg_state *state)
{
    const mg_request *request = state->request;
    mg_answer *answer = state->answer;
    if (mg_map_begin(&state->map) < 0 ||
        mg_push_u32(&answer->cycle_start, 0) < 0) {
        return -1;
    }
    int enumerated = request->roots != NULL ? mg_enumerate_roots(state)
                                            : mg_enumerate_heap(state);
    answer->object_count = state->enumerated;
    if (enumerated < 0) {
        return -1;
    }
    if (!budget_is_spent(state)) {
        int found = request->kind == MG_GARBAGE ? find_garbage(state)
                                                : find_live(state);
        if (found < 0) {
            return -1;
        }
    }
    answer->cycle_count = answer->cycle_start.count - 1;
    /* What was found is described in full even when the budget is spent: a
       cycle without its facts is no answer. */
    return request->describes ? describe(state) : 0;
}

int
mg_scan(const mg_request *request, mg_answer *answer)
{
    mg_state state;
    memset(&state, 0, sizeof(state));
    memset(answer, 0, sizeof(*answer));
    state.request = request;
    state.answer = answer;
    double started_seconds = request->clock_seconds();
    if (request->budget_seconds > 0) {
        state.deadline_seconds = started_seconds + request->budget_seconds;
    }
    size_t before_bytes = mg_memory.current_bytes;
    mg_memory.peak_bytes = before_bytes;

    int result = run(&state);

    answer->edge_count = state.edge_count;
    mg_map_end(&state.map);
    mg_pointer_index_clear(&state.cut_dicts);
    answer->side_table_bytes = mg_memory.peak_bytes - before_bytes;
    answer->duration_seconds = request->clock_seconds() - started_seconds;
    if (result < 0) {
        mg_answer_clear(answer);
    }
    return result;
}

static void
forget_description(mg_answer *answer)
{
    mg_vector_clear(&answer->edge_start, sizeof(uint64_t));
    mg_vector_clear(&answer->edge_target, sizeof(uint32_t));
    mg_release(answer->cycles, answer->cycle_count * sizeof(*answer->cycles));
    mg_release(answer->shapes, answer->shape_count * sizeof(*answer->shapes));
    answer->cycles = NULL;
    answer->shapes = NULL;
    answer->shape_count = 0;
}

int
mg_describe(const mg_request *request, mg_answer *answer)
{
    mg_state state;
    memset(&state, 0, sizeof(state));
    state.request = request;
    state.answer = answer;
    int result = mg_map_begin(&state.map);
    if (result == 0 && answer->cycle_count != 0) {
        result = mg_enumerate_members(&state) < 0 ? -1 : describe(&state);
    }
    mg_map_end(&state.map);
    mg_pointer_index_clear(&state.cut_dicts);
    if (result < 0) {
        forget_description(answer);
    }
    return result;
}

void
mg_answer_clear(mg_answer *answer)
{
    mg_vector_clear(&answer->type_counts, sizeof(mg_type_count));
    mg_vector_clear(&answer->members, sizeof(void *));
    mg_vector_clear(&answer->cycle_start, sizeof(uint32_t));
    forget_description(answer);
    memset(answer, 0, sizeof(*answer));
}
