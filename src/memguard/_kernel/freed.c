/* What would be freed if the last reference of each way were cut. */
#include "walk.h"
#include "sizes.h"

static int
cut_last_references(mg_walk *w)
{
    const mg_ways *ways = w->ways;
    void **steps = MG_ITEMS(void *, &ways->steps);
    mg_forget_bars(w);
    for (size_t way = 0; way < ways->way_end.count; way++) {
        size_t first = way == 0 ? 0 : MG_ITEMS(uint32_t, &ways->way_end)[way - 1];
        size_t end = MG_ITEMS(uint32_t, &ways->way_end)[way];
        uint32_t root = MG_ITEMS(uint32_t, &ways->way_root)[way];
        uint32_t target = mg_node_of(w, steps[end - 1]);
        if (target == MG_NO_NODE || MG_ITEMS(uint32_t, &ways->way_target)[way] == MG_NO_NODE) {
            continue;
        }
        if (end - first == 1) {
            if (root < w->fixed_root_count && mg_push_u32(&w->used_roots, root) < 0) {
                return -1;
            }
        }
        else if (mg_leave_out_reference(w, steps[end - 2], steps[end - 1]) < 0) {
            return -1;
        }
    }
    mg_sort_cuts(w);
    return 0;
}

static int
weigh_untracked(PyObject *object, void *argument)
{
    mg_walk *w = argument;
    if (object != NULL && mg_reference_count(object) == 1 && !mg_is_immortal(object) &&
        mg_node_of(w, object) == MG_NO_NODE) {
        w->ways->freed_count++;
        w->ways->freed_bytes += mg_shallow_bytes(object);
    }
    return 0;
}

void
mg_add_freed(mg_walk *w, PyObject *object)
{
    w->ways->freed_count++;
    w->ways->freed_bytes += mg_shallow_bytes(object);
    if (Py_TYPE(object)->tp_traverse != NULL) {
        mg_traverse(object, weigh_untracked, w);
    }
}

static void
add_freed(mg_walk *w, const uint64_t *was_dead)
{
    for (uint32_t node = 0; node < w->rows.count; node++) {
        if (mg_is_unreached(w, node) &&
            (!MG_IS_SET(was_dead, node) || MG_IS_SET(w->is_target, node))) {
            mg_add_freed(w, mg_object_at(&w->state, &w->rows, node));
        }
    }
}

int
mg_weigh_freed(mg_walk *w)
{
    size_t size_bytes = mg_words_of(w) * sizeof(uint64_t);
    uint64_t *was_dead = mg_allocate_zeroed(size_bytes);
    if (was_dead == NULL) {
        return -1;
    }
    mg_walk_heap(w);
    for (uint32_t node = 0; node < w->rows.count; node++) {
        was_dead[node >> 6] |= mg_is_unreached(w, node) ? MG_BIT(node) : 0;
    }
    int result = cut_last_references(w);
    if (result == 0) {
        mg_walk_heap(w);
        add_freed(w, was_dead);
    }
    mg_release(was_dead, size_bytes);
    return result;
}
