#include "scan.h"

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

/* Each pass but the last counts the references of the objects it traverses
   for the first time; going over known ones again must not add to them. */
static int
find_garbage(mg_state *state)
{
    mg_vector held = {0};
    int result = 0;
    if (state->request->roots == NULL) {
        result = mg_mark_reachable(state);
    }
    if (result == 0 && !budget_is_spent(state)) {
        result = mg_judge_rest(state, &held);
        mg_vector_clear(&held, sizeof(uint32_t));
        if (result == 0 && !budget_is_spent(state)) {
            size_t edge_count = state->edge_count;
            result = mg_components_of_open(state);
            state->edge_count = edge_count;
        }
    }
    return result;
}

static int
find_live(mg_state *state)
{
    const mg_request *request = state->request;
    if (request->roots != NULL) {
        return mg_components_from_objects(state, request->roots,
                                          request->root_count);
    }
    if (mg_components_from_roots(state) < 0) {
        return -1;
    }
    if (budget_is_spent(state)) {
        return 0;
    }
    mg_vector held = {0};
    int result = mg_judge_rest(state, &held);
    if (result == 0 && !budget_is_spent(state)) {
        size_t edge_count = state->edge_count;
        result = mg_components_from_handles(state, &held);
        state->edge_count = edge_count;
    }
    mg_vector_clear(&held, sizeof(uint32_t));
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
    if (mg_map_begin(&state->map, request->cuts != 0) < 0 ||
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
    mg_vector_clear(&state.cut_dicts, sizeof(void *));
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
    int result = mg_map_begin(&state.map, 0);
    if (result == 0 && answer->cycle_count != 0) {
        result = mg_enumerate_members(&state) < 0 ? -1 : describe(&state);
    }
    mg_map_end(&state.map);
    mg_vector_clear(&state.cut_dicts, sizeof(void *));
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
