/* Ways to what the collector does not track: strings, bytes, numbers, and the tuples
 * and dicts that hold nothing else.  They are no nodes, and so stand in no row.
 *
 * Covers: their first holder in the order of the search, through any number of such
 * tuples and dicts, and whether the last reference keeps one of them alive.
 */
#include "walk.h"

#include <string.h>

/* Who holds something: a node; or: */
#define CONTAINER (UINT32_C(1) << 30)   /* an untracked one, by its number */
#define ROOT (UINT32_C(1) << 31)        /* a variable, by the number of the root */
#define NOT_REACHED (UINT32_MAX - 1)
#define NOBODY UINT32_MAX

typedef struct {
    uint32_t holder;
    uint32_t held_count;        /* references of what is reached */
    uint32_t other_count;       /* of the question and of garbage */
    int is_weighed;             /* it may be asked about twice */
} wanted;

typedef struct {
    mg_walk *walk;
    wanted *wanted;             /* by number of the target */
    mg_pointer_index containers;
    mg_vector holders;          /* uint32_t, one for each container */
    size_t visited_count;
    uint32_t from;
    int out_of_memory;
} untracked_search;

static int
is_container(PyObject *object)
{
    return (PyTuple_CheckExact(object) || PyDict_CheckExact(object)) &&
           !PyObject_GC_IsTracked(object);
}

static int
on_held(PyObject *object, void *argument)
{
    untracked_search *u = argument;
    if (object == NULL || u->out_of_memory) {
        return 0;
    }
    if (mg_pointer_is_in(&u->walk->untracked, object)) {
        wanted *found = &u->wanted[mg_number_in(&u->walk->untracked, object)];
        if (found->holder == NOBODY) {
            found->holder = u->from;
        }
        *(u->from == NOT_REACHED ? &found->other_count : &found->held_count) += 1;
    }
    if (is_container(object) && !mg_pointer_is_in(&u->containers, object)) {
        u->out_of_memory = mg_pointer_number(&u->containers, object) == MG_NO_NUMBER ||
                           mg_push_u32(&u->holders, u->from) < 0;
    }
    return 0;
}

static void
look_into(untracked_search *u, PyObject *object, uint32_t from)
{
    u->from = from;
    mg_traverse(object, on_held, u);
    while (u->visited_count < u->holders.count && !u->out_of_memory) {
        uint32_t number = (uint32_t)u->visited_count++;
        uint32_t holder = MG_ITEMS(uint32_t, &u->holders)[number];
        u->from = holder == NOT_REACHED ? holder : CONTAINER | number;
        mg_traverse(MG_ITEMS(PyObject *, &u->containers.pointers)[number], on_held, u);
    }
}

static void
look_into_reached(untracked_search *u, size_t first, size_t end)
{
    for (size_t i = first; i < end && !u->out_of_memory; i++) {
        uint32_t node = u->walk->queue[i];
        look_into(u, mg_object_at(&u->walk->state, &u->walk->rows, node), node);
    }
}

static void
look_everywhere(untracked_search *u)
{
    mg_walk *w = u->walk;
    look_into_reached(u, 0, w->variables_end);
    for (uint32_t root = 1; root < w->fixed_root_count; root++) {
        PyObject *value = MG_ITEMS(mg_way_root, &w->ways->roots)[root].object;
        if (value != NULL && mg_node_of(&w->state, value) == MG_NO_NODE) {
            u->from = ROOT | root;
            on_held(value, u);
        }
    }
    look_into_reached(u, w->variables_end, w->end);
    for (size_t i = 0; i < w->asking.count; i++) {
        u->from = NOT_REACHED;
        on_held(MG_ITEMS(PyObject *, &w->asking)[i], u);
    }
    /* From 3.14 on a tuple of what is not tracked is not tracked from the beginning. */
    if (mg_node_of(&w->state, w->request->asked) == MG_NO_NODE) {
        look_into(u, w->request->asked, NOT_REACHED);
    }
    for (uint32_t node = 0; node < w->rows.count && !u->out_of_memory; node++) {
        if (mg_is_unreached(w, node)) {
            look_into(u, mg_object_at(&w->state, &w->rows, node), NOT_REACHED);
        }
    }
}

static int
add_way_to(untracked_search *u, uint32_t target)
{
    mg_walk *w = u->walk;
    PyObject *object = MG_TARGET(w, target);
    wanted *found = &u->wanted[mg_number_in(&w->untracked, object)];
    uint32_t holder = found->holder;
    size_t first = w->ways->steps.count;
    if (holder >= NOT_REACHED) {
        return 0;
    }
    if (w->request->weighs && !found->is_weighed && found->held_count == 1 &&
        !mg_is_immortal(object) &&
        mg_reference_count(object) == 1 + (int64_t)found->other_count) {
        found->is_weighed = 1;
        if (mg_add_freed(w, object) < 0) {
            return -1;
        }
    }
    if (mg_push_pointer(&w->ways->steps, object) < 0) {
        return -1;
    }
    while (!(holder & ROOT) && (holder & CONTAINER)) {
        uint32_t number = holder & ~CONTAINER;
        if (mg_push_pointer(&w->ways->steps,
                            MG_ITEMS(void *, &u->containers.pointers)[number]) < 0) {
            return -1;
        }
        holder = MG_ITEMS(uint32_t, &u->holders)[number];
    }
    return holder & ROOT ? mg_end_way(w, target, holder & ~ROOT, first)
                         : mg_add_way(w, target, holder, first);
}

int
mg_find_untracked(mg_walk *w)
{
    size_t size_bytes = w->untracked.pointers.count * sizeof(wanted);
    Py_ssize_t targets = MG_TARGET_COUNT(w);
    untracked_search u = {.walk = w};
    if (size_bytes == 0) {
        return 0;
    }
    u.wanted = mg_allocate_zeroed(size_bytes);
    u.out_of_memory = u.wanted == NULL;
    if (!u.out_of_memory) {
        for (size_t i = 0; i < w->untracked.pointers.count; i++) {
            u.wanted[i].holder = NOBODY;
        }
        look_everywhere(&u);
    }
    for (Py_ssize_t i = 0; i < targets && !u.out_of_memory; i++) {
        if (mg_pointer_is_in(&w->untracked, MG_TARGET(w, i))) {
            u.out_of_memory = add_way_to(&u, (uint32_t)i) < 0;
        }
    }
    mg_release(u.wanted, size_bytes);
    mg_pointer_index_clear(&u.containers);
    mg_vector_clear(&u.holders, sizeof(uint32_t));
    return u.out_of_memory ? -1 : 0;
}
