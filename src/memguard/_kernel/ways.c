/* The references are recorded as for a scan and searched; then each way is read
 * backward, from what was asked about.
 */
#include "walk.h"
#include "threads.h"

#include <string.h>

/* Of one that begins with modules all share what leads to their variables. */
static uint32_t
first_own_step(const mg_walk *w, uint32_t root, void **steps, uint32_t count)
{
    uint32_t shared = 0;
    if (MG_ITEMS(mg_way_root, &w->ways->roots)[root].kind == MG_ROOT_MODULES) {
        int is_variable = count > 2 && mg_is_module(steps[1]) &&
                          PyModule_GetDict(steps[1]) == steps[2];
        shared = is_variable ? MG_MODULE_LEVELS : MG_MODULE_LEVELS - 1;
    }
    return shared < count ? shared : count;
}

/* For each node its depth, and the last node of the first half of a way to it: in the
   order of the search what a node was reached from comes before it. */
static int
find_depths(mg_walk *w)
{
    size_t size_bytes = w->rows.count * sizeof(*w->depth);
    w->depth = mg_allocate(size_bytes);
    w->outer = mg_allocate(size_bytes);
    if (w->depth == NULL || w->outer == NULL) {
        return -1;
    }
    for (size_t i = 0; i < w->end; i++) {
        uint32_t node = w->queue[i];
        uint32_t link = w->rows.rows[node].link;
        w->depth[node] = link >= MG_ROOT ? 1 : w->depth[link - 1] + 1;
        w->outer[node] = w->depth[node] <= MG_MOST_STEPS / 2 ? node : w->outer[link - 1];
    }
    return 0;
}

/* So that a way to each node of a long chain costs no more than one to its end. */
static int
skip_middle(mg_walk *w, uint32_t *node)
{
    if (w->depth == NULL && find_depths(w) < 0) {
        return -1;
    }
    if (w->depth[*node] > MG_MOST_STEPS / 2) {
        w->hidden_count = w->depth[*node] - MG_MOST_STEPS / 2;
        *node = w->outer[*node];
    }
    return 0;
}

/* A tuple that nobody but C code refers to may still be made there: it could not be
   enlarged while somebody else held it, too. */
static int
begin_with_unexplained(mg_walk *w, uint32_t node, size_t first)
{
    mg_vector *steps = &w->ways->steps;
    PyObject *object = mg_object_at(&w->state, &w->rows, node);
    Py_ssize_t place = -1;
    if (steps->count - first > 1 && PyTuple_CheckExact(object) &&
        mg_reference_count(object) == 1) {
        place = mg_place_in_tuple(w, object, MG_ITEMS(void *, steps)[steps->count - 2]);
        if (w->state.out_of_memory) {
            return -1;
        }
        steps->count -= place >= 0;
    }
    return mg_add_unexplained_root(w, node, place);
}

int
mg_add_way(mg_walk *w, uint32_t target, uint32_t node, size_t first)
{
    mg_ways *ways = w->ways;
    uint32_t root;
    w->hidden_count = 0;
    for (;;) {
        if (mg_push_pointer(&ways->steps, mg_object_at(&w->state, &w->rows, node)) < 0) {
            return -1;
        }
        uint32_t link = w->rows.rows[node].link;
        if (link == MG_EXCESS) {
            root = (uint32_t)ways->roots.count;
            if (begin_with_unexplained(w, node, first) < 0) {
                return -1;
            }
            break;
        }
        if (link >= MG_ROOT) {
            root = link - MG_ROOT;
            break;
        }
        node = link - 1;
        if (w->request->most_ways == 1 && ways->steps.count - first >= MG_MOST_STEPS / 2 &&
            skip_middle(w, &node) < 0) {
            return -1;
        }
    }
    return mg_end_way(w, target, root, first);
}

int
mg_end_way(mg_walk *w, uint32_t target, uint32_t root, size_t first)
{
    mg_ways *ways = w->ways;
    void **steps = MG_ITEMS(void *, &ways->steps);
    uint32_t hidden_count = w->hidden_count;
    w->hidden_count = 0;
    for (size_t a = first, b = ways->steps.count - 1; a < b; a++, b--) {
        void *kept = steps[a];
        steps[a] = steps[b];
        steps[b] = kept;
    }
    return mg_push_u32(&ways->way_root, root) < 0 ||
                   mg_push_u32(&ways->way_target, target) < 0 ||
                   mg_push_u32(&ways->way_hidden, hidden_count) < 0 ||
                   mg_push_u32(&ways->way_end, (uint32_t)ways->steps.count) < 0
        ? -1 : 0;
}

/* Close what the last way went through, so that the next one shares nothing. */
static int
bar_last_way(mg_walk *w, size_t first_step)
{
    mg_ways *ways = w->ways;
    void **steps = MG_ITEMS(void *, &ways->steps) + first_step;
    uint32_t count = (uint32_t)(ways->steps.count - first_step);
    uint32_t root = MG_ITEMS(uint32_t, &ways->way_root)[ways->way_root.count - 1];
    if (count == 1) {
        return mg_push_u32(&w->used_roots, root);
    }
    uint32_t first = first_own_step(w, root, steps, count - 1);
    if (first == count - 1) {
        if (mg_leave_out_reference(w, steps[count - 2], steps[count - 1]) < 0) {
            return -1;
        }
    }
    for (uint32_t i = first; i < count - 1; i++) {
        if (mg_push_u32(&w->barred, mg_node_of(&w->state, steps[i])) < 0) {
            return -1;
        }
    }
    return 0;
}

/* Others for one target, one search each; what only C code holds is not asked. */
static int
find_more_ways(mg_walk *w, uint32_t target, uint32_t node, size_t first_step)
{
    mg_forget_bars(w);
    for (size_t way = 1; way < w->request->most_ways; way++) {
        if (bar_last_way(w, first_step) < 0) {
            return -1;
        }
        mg_sort_cuts(w);
        mg_walk_from_fixed_roots(w);
        if (mg_is_unreached(w, node)) {
            break;
        }
        first_step = w->ways->steps.count;
        if (mg_add_way(w, target, node, first_step) < 0) {
            return -1;
        }
    }
    mg_forget_bars(w);
    return 0;
}

static int
find_ways(mg_walk *w)
{
    Py_ssize_t targets = MG_TARGET_COUNT(w);
    for (Py_ssize_t i = 0; i < targets; i++) {
        uint32_t node = mg_node_of(&w->state, MG_TARGET(w, i));
        if (node != MG_NO_NODE && !mg_is_unreached(w, node) &&
            mg_add_way(w, (uint32_t)i, node, w->ways->steps.count) < 0) {
            return -1;
        }
    }
    if (mg_find_untracked(w) < 0) {
        return -1;
    }
    size_t first_ways = w->request->most_ways > 1 ? w->ways->way_end.count : 0;
    for (size_t way = 0; way < first_ways; way++) {
        uint32_t target = MG_ITEMS(uint32_t, &w->ways->way_target)[way];
        uint32_t node = mg_node_of(&w->state, MG_TARGET(w, target));
        uint32_t *ends = MG_ITEMS(uint32_t, &w->ways->way_end);
        /* The first one again, at the end, as those that follow it. */
        if (node == MG_NO_NODE) {
            continue;
        }
        size_t first = way == 0 ? 0 : ends[way - 1];
        size_t count = ends[way] - first;
        uint32_t root = MG_ITEMS(uint32_t, &w->ways->way_root)[way];
        size_t again = w->ways->steps.count;
        if (mg_vector_make_room(&w->ways->steps, count, sizeof(void *)) < 0) {
            return -1;
        }
        memcpy(MG_ITEMS(void *, &w->ways->steps) + again,
               MG_ITEMS(void *, &w->ways->steps) + first, count * sizeof(void *));
        w->ways->steps.count += count;
        if (mg_push_u32(&w->ways->way_root, root) < 0 ||
            mg_push_u32(&w->ways->way_target, target) < 0 ||
            mg_push_u32(&w->ways->way_hidden, 0) < 0 ||
            mg_push_u32(&w->ways->way_end, (uint32_t)w->ways->steps.count) < 0 ||
            find_more_ways(w, target, node, again) < 0) {
            return -1;
        }
        MG_ITEMS(uint32_t, &w->ways->way_target)[way] = MG_NO_NODE;     /* it came again */
    }
    return 0;
}

static int
note_targets(mg_walk *w)
{
    Py_ssize_t targets = MG_TARGET_COUNT(w);
    for (Py_ssize_t i = 0; i < targets; i++) {
        uint32_t node = mg_node_of(&w->state, MG_TARGET(w, i));
        if (node != MG_NO_NODE) {
            MG_SET(w->is_target, node);
        }
        else if (mg_pointer_number(&w->untracked, MG_TARGET(w, i)) == MG_NO_NUMBER) {
            return -1;
        }
    }
    return 0;
}

static int
make_tables(mg_walk *w)
{
    if (mg_map_begin(&w->state.map) < 0 || mg_note_roots(w) < 0 ||
        mg_enumerate_heap(&w->state) < 0 || mg_rows_record(&w->rows, &w->state) < 0) {
        return -1;
    }
    w->ways->object_count = w->rows.count;
    w->asking_node = mg_node_of(&w->state, w->asking_generator);
    w->queue = mg_allocate(w->rows.count * sizeof(*w->queue));
    w->found = mg_allocate_zeroed(w->rows.count * sizeof(*w->found));
    w->is_target = mg_allocate_zeroed(mg_bit_bytes(&w->rows));
    return w->queue == NULL || w->found == NULL || w->is_target == NULL ? -1 : 0;
}

static void
release_tables(mg_walk *w)
{
    mg_release(w->queue, w->rows.count * sizeof(*w->queue));
    mg_release(w->found, w->rows.count * sizeof(*w->found));
    mg_release(w->depth, w->rows.count * sizeof(*w->depth));
    mg_release(w->outer, w->rows.count * sizeof(*w->outer));
    mg_release(w->is_target, mg_bit_bytes(&w->rows));
    mg_vector_clear(&w->asking, sizeof(void *));
    mg_vector_clear(&w->cuts, sizeof(uint64_t));
    mg_vector_clear(&w->used_roots, sizeof(uint32_t));
    mg_vector_clear(&w->barred, sizeof(uint32_t));
    mg_pointer_index_clear(&w->untracked);
    mg_vector_clear(&w->freed, sizeof(void *));
    mg_pointer_index_clear(&w->losing);
    mg_vector_clear(&w->lost_counts, sizeof(uint32_t));
    mg_pointer_index_clear(&w->in_tuple);
    mg_vector_clear(&w->places, sizeof(Py_ssize_t));
    mg_rows_clear(&w->rows);
}

int
mg_find_ways(const mg_ways_request *request, mg_ways *ways)
{
    mg_request heap =
        mg_request_of_all(request->clock_seconds, request->name_key, request->own_type);
    mg_answer totals;
    mg_walk w = {.request = request, .ways = ways};
    memset(ways, 0, sizeof(*ways));
    mg_state_begin(&w.state, &heap, &totals);
    int result = make_tables(&w) < 0 || note_targets(&w) < 0 ? -1 : 0;
    if (result == 0) {
        mg_walk_heap(&w);
        result = find_ways(&w) < 0 || (request->weighs && mg_weigh_freed(&w) < 0) ? -1 : 0;
    }
    release_tables(&w);
    result = mg_scan_end(&w.state, result);
    ways->side_table_bytes = totals.side_table_bytes;
    ways->duration_seconds = totals.duration_seconds;
    if (result < 0) {
        mg_ways_clear(ways);
    }
    return result;
}

void
mg_ways_clear(mg_ways *ways)
{
    mg_vector_clear(&ways->roots, sizeof(mg_way_root));
    mg_vector_clear(&ways->steps, sizeof(void *));
    mg_vector_clear(&ways->way_root, sizeof(uint32_t));
    mg_vector_clear(&ways->way_end, sizeof(uint32_t));
    mg_vector_clear(&ways->way_target, sizeof(uint32_t));
    mg_vector_clear(&ways->way_hidden, sizeof(uint32_t));
    memset(ways, 0, sizeof(*ways));
}
