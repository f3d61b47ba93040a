#include "explore.h"
#include "rows.h"
#include "threads.h"

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
note_root(PyObject *object, void *argument)
{
    mg_state *state = argument;
    state->out_of_memory |= mg_push_pointer(&state->interpreter_roots, object) < 0;
    return !state->out_of_memory;
}

/* What sys.modules and running frames lead to is alive by the collector's own
   rule, for those references come from outside the heap.  In a real process
   that is nearly every object, and none of their counts has to be looked at.
   Noted beforehand: threads are listed under a lock of the interpreter. */
static int
note_interpreter_roots(mg_state *state)
{
    PyObject *modules = mg_imported_modules();
    if (modules != NULL) {
        note_root(modules, state);
    }
    mg_for_each_frame_root(note_root, state);
    return state->out_of_memory ? -1 : 0;
}

static void
for_each_interpreter_root(mg_state *state, mg_object_visitor visit, void *argument)
{
    PyObject **roots = MG_ITEMS(PyObject *, &state->interpreter_roots);
    for (size_t i = 0; i < state->interpreter_roots.count && visit(roots[i], argument);
         i++) {
    }
}

static int
reach_object(PyObject *object, void *argument)
{
    mg_exploration *x = argument;
    mg_exploration_reach(x, mg_find(&x->state->map, object));
    return 1;
}

static int
close_reachable(mg_state *state)
{
    mg_exploration x;
    int result = mg_exploration_begin(&x, state);
    if (result == 0) {
        for_each_interpreter_root(state, reach_object, &x);
        result = mg_explore(&x);
    }
    mg_exploration_end(&x);
    return result;
}

/* Garbage in what is open: all that is not held from elsewhere. */
static int
search_garbage(mg_search *search)
{
    return mg_judge_rest(search) < 0 ? -1 : mg_search_rest(search);
}

static int
search_from_object(PyObject *object, void *argument)
{
    mg_search *search = argument;
    const mg_map *map = &search->state->map;
    uint32_t handle = mg_find(map, object);
    if (mg_is_open(map, handle) &&
        mg_search_from(search, mg_number_of(map, handle)) < 0) {
        search->state->out_of_memory = 1;
        return 0;
    }
    return 1;
}

static void
mark_cut(mg_search *search, const mg_vector *objects)
{
    const mg_map *map = &search->state->map;
    for (size_t i = 0; i < objects->count; i++) {
        uint32_t handle = mg_find(map, MG_ITEMS(void *, objects)[i]);
        if (mg_is_open(map, handle)) {
            search->rows->rows[mg_number_of(map, handle)].link = MG_CUT;
        }
    }
}

/* All that given roots reach is open, and nothing else.  Of the whole heap,
   what the interpreter does not lead to may be held by C code.  What was
   recorded when the budget ended is searched all the same: its cycles are
   cycles, though there may be more. */
static int
search_live(mg_search *search)
{
    mg_state *state = search->state;
    if (state->request->roots != NULL) {
        return mg_search_rest(search);
    }
    mark_cut(search, &state->cut_objects);
    mark_cut(search, &state->cut_dicts.pointers);
    for_each_interpreter_root(state, search_from_object, search);
    if (state->out_of_memory) {
        return -1;
    }
    return budget_is_spent(state) ? 0 : mg_judge_rest(search);
}

static int
search(mg_search *search)
{
    const mg_request *request = search->state->request;
    mg_answer *answer = search->state->answer;
    int result = request->kind == MG_GARBAGE ? search_garbage(search)
                                             : search_live(search);
    return result == 0 && request->describes
        ? mg_push_u64(&answer->edge_start, answer->edge_target.count) : result;
}

static int
search_open(mg_state *state)
{
    mg_rows rows;
    mg_search s = {0};
    int result = mg_rows_record(&rows, state);
    /* Without all references nothing can be called garbage. */
    int gives_up = state->request->kind == MG_GARBAGE && budget_is_spent(state);
    if (result == 0 && !gives_up) {
        result = mg_search_begin(&s, state, &rows) < 0 ? -1 : search(&s);
    }
    mg_search_end(&s);
    mg_rows_clear(&rows);
    return result;
}

static int
find_cycles(mg_state *state)
{
    if (state->request->kind == MG_GARBAGE && state->request->roots == NULL) {
        if (close_reachable(state) < 0) {
            return -1;
        }
        if (budget_is_spent(state)) {
            return 0;
        }
    }
    return search_open(state);
}

static int
enumerate(mg_state *state)
{
    const mg_request *request = state->request;
    int result = request->roots != NULL ? mg_enumerate_roots(state)
                                        : mg_enumerate_heap(state);
    state->answer->object_count = state->enumerated;
    return result;
}

static int
prepare(mg_state *state)
{
    if (mg_map_begin(&state->map) < 0 ||
        mg_push_u32(&state->answer->cycle_start, 0) < 0) {
        return -1;
    }
    if (state->request->roots != NULL) {
        return 0;
    }
    return note_interpreter_roots(state) < 0 ||
                   (!MG_WALKS_LISTS && enumerate(state) < 0) ? -1 : 0;
}

void
mg_state_begin(mg_state *state, const mg_request *request, mg_answer *answer)
{
    memset(state, 0, sizeof(*state));
    memset(answer, 0, sizeof(*answer));
    state->request = request;
    state->answer = answer;
    /* What roots reach is little as a rule, and how much is not known. */
    state->thread_count = request->roots == NULL ? mg_thread_count() : 1;
    state->started_seconds = request->clock_seconds();
    if (request->budget_seconds > 0) {
        state->deadline_seconds = state->started_seconds + request->budget_seconds;
    }
    state->before_bytes = mg_memory.current_bytes;
    mg_memory.peak_bytes = state->before_bytes;
}

int
mg_scan_begin(mg_state *state, const mg_request *request, mg_answer *answer)
{
    mg_state_begin(state, request, answer);
    return prepare(state);
}

int
mg_scan_go_on(mg_state *state)
{
    const mg_request *request = state->request;
    mg_answer *answer = state->answer;
    int is_enumerated = request->roots == NULL && !MG_WALKS_LISTS;
    if (!is_enumerated && enumerate(state) < 0) {
        return -1;
    }
    if (!budget_is_spent(state) && find_cycles(state) < 0) {
        return -1;
    }
    answer->cycle_count = answer->cycle_start.count - 1;
    /* What was found is described in full even when the budget is spent: a
       cycle without its facts is no answer. */
    return request->describes ? mg_group_shapes(answer) : 0;
}

int
mg_scan_end(mg_state *state, int result)
{
    mg_answer *answer = state->answer;
    answer->edge_count = state->edge_count;
    mg_map_end(&state->map);
    mg_pointer_index_clear(&state->cut_dicts);
    mg_vector_clear(&state->cut_objects, sizeof(void *));
    mg_vector_clear(&state->foreign, sizeof(void *));
    mg_vector_clear(&state->interpreter_roots, sizeof(void *));
    answer->side_table_bytes = mg_memory.peak_bytes - state->before_bytes;
    answer->duration_seconds = state->request->clock_seconds() - state->started_seconds;
    if (result < 0) {
        mg_answer_clear(answer);
    }
    return result;
}

int
mg_scan(const mg_request *request, mg_answer *answer)
{
    mg_state state;
    int result = mg_scan_begin(&state, request, answer);
    return mg_scan_end(&state, result < 0 ? result : mg_scan_go_on(&state));
}

static void
forget_shapes(mg_answer *answer)
{
    mg_vector_clear(&answer->edge_start, sizeof(uint64_t));
    mg_vector_clear(&answer->edge_target, sizeof(uint32_t));
    mg_release(answer->cycles, answer->cycle_count * sizeof(*answer->cycles));
    mg_release(answer->shapes, answer->shape_count * sizeof(*answer->shapes));
    answer->cycles = NULL;
    answer->shapes = NULL;
    answer->shape_count = 0;
}

static int
weigh(mg_state *state)
{
    mg_answer *answer = state->answer;
    int has_shapes = answer->shapes != NULL;
    int result = mg_enumerate_members(state) < 0 || mg_weigh_cycles(state) < 0
        ? -1 : has_shapes ? 0 : mg_group_shapes(answer);
    if (result == 0) {
        mg_add_up_shapes(answer);
    }
    else if (!has_shapes) {
        forget_shapes(answer);
    }
    return result;
}

int
mg_weigh(const mg_request *request, mg_answer *answer)
{
    mg_state state;
    memset(&state, 0, sizeof(state));
    state.request = request;
    state.answer = answer;
    int result = mg_map_begin(&state.map);
    if (result == 0 && answer->cycle_count != 0) {
        result = weigh(&state);
    }
    mg_map_end(&state.map);
    mg_pointer_index_clear(&state.cut_dicts);
    return result;
}

void
mg_answer_clear(mg_answer *answer)
{
    mg_vector_clear(&answer->type_counts, sizeof(mg_type_count));
    mg_vector_clear(&answer->members, sizeof(void *));
    mg_vector_clear(&answer->cycle_start, sizeof(uint32_t));
    forget_shapes(answer);
    memset(answer, 0, sizeof(*answer));
}
