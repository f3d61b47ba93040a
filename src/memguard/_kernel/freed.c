/* What would be freed if the last reference of each way were cut.
 *
 * What the collector tracks is freed if the search finds it no more.  Of the rest,
 * references from what is freed are counted: it goes once that is all there are.
 */
#include "walk.h"
#include "sizes.h"

static int
is_one_reference(const mg_walk *w, uint32_t root)
{
    return root < w->fixed_root_count ||
           MG_ITEMS(mg_way_root, &w->ways->roots)[root].unexplained_count == 1;
}

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
        uint32_t target = mg_node_of(&w->state, steps[end - 1]);
        if (target == MG_NO_NODE || MG_ITEMS(uint32_t, &ways->way_target)[way] == MG_NO_NODE) {
            continue;
        }
        const mg_way_root *begin = &MG_ITEMS(mg_way_root, &ways->roots)[root];
        if (end - first == 1 && begin->kind == MG_ROOT_UNEXPLAINED && begin->place >= 0) {
            if (mg_leave_out_reference(w, begin->object, steps[end - 1]) < 0) {
                return -1;
            }
        }
        else if (end - first == 1) {
            if (is_one_reference(w, root) && mg_push_u32(&w->used_roots, root) < 0) {
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

/* Whether what is no node lost its last reference with the one that is met now. */
static int
loses_last_reference(mg_walk *w, PyObject *object)
{
    Py_ssize_t references = mg_reference_count(object);
    if (references == 1) {
        return 1;
    }
    uint32_t number = mg_pointer_number(&w->losing, object);
    if (number == MG_NO_NUMBER ||
        (number == w->lost_counts.count && mg_push_u32(&w->lost_counts, 0) < 0)) {
        w->state.out_of_memory = 1;
        return 0;
    }
    return ++MG_ITEMS(uint32_t, &w->lost_counts)[number] == references;
}

static void
weigh(mg_walk *w, PyObject *object)
{
    w->ways->freed_count++;
    w->ways->freed_bytes += mg_shallow_bytes(object);
    if (Py_TYPE(object)->tp_traverse != NULL && mg_push_pointer(&w->freed, object) < 0) {
        w->state.out_of_memory = 1;
    }
}

static int
weigh_untracked(PyObject *object, void *argument)
{
    mg_walk *w = argument;
    if (object != NULL && !mg_is_immortal(object) && mg_node_of(&w->state, object) == MG_NO_NODE &&
        loses_last_reference(w, object)) {
        weigh(w, object);
    }
    return 0;
}

int
mg_add_freed(mg_walk *w, PyObject *object)
{
    weigh(w, object);
    while (w->freed.count != 0 && !w->state.out_of_memory) {
        mg_traverse(MG_ITEMS(PyObject *, &w->freed)[--w->freed.count], weigh_untracked, w);
    }
    return w->state.out_of_memory ? -1 : 0;
}

static int
add_freed(mg_walk *w, const uint64_t *was_dead)
{
    for (uint32_t node = 0; node < w->rows.count; node++) {
        if (mg_is_unreached(w, node) && !MG_IS_SET(was_dead, node) &&
            mg_add_freed(w, mg_object_at(&w->state, &w->rows, node)) < 0) {
            return -1;
        }
    }
    return 0;
}

int
mg_weigh_freed(mg_walk *w)
{
    size_t size_bytes = mg_bit_bytes(&w->rows);
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
        result = add_freed(w, was_dead);
    }
    mg_release(was_dead, size_bytes);
    return result;
}
