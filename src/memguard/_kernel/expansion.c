/* The graph of what cycles hold: members, their references, and everything to
 * which all references come from there.
 *
 * Cost: one traversal of the members and of what they retain.
 */
#include "weigher.h"
#include "sizes.h"
#include "sort.h"

#include <string.h>

#define SMALL_CYCLE 8
#define LOOK_AHEAD 4
#define EXPANDED (UINT32_C(1) << 31)    /* in `found`: no count comes up to it */

/* More references than fit in the state at once are moved here. */
static int
keep_gathered(mg_state *state)
{
    size_t count = mg_gathered_count(state);
    state->gathered_end = state->gathered;
    if (mg_vector_make_room(&state->children, count, sizeof(void *)) < 0) {
        state->out_of_memory = 1;
        return 1;
    }
    memcpy(MG_ITEMS(void *, &state->children) + state->children.count,
           state->gathered, count * sizeof(void *));
    state->children.count += count;
    return 0;
}

MG_DEFINE_SORT(sort_pointers, PyObject *, MG_COMPARE_VALUES)

/* See garbage.c, subtract_edges_of. */
static size_t
drop_borrowed(PyObject **children, size_t count)
{
    sort_pointers(children, count);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || children[i] != children[i - 1]) {
            children[kept++] = children[i];
        }
    }
    return kept;
}

static void
visit_children(mg_weigher *w, PyObject *object)
{
    mg_state *state = w->state;
    if (mg_is_gc(object) && PyObject_GC_IsTracked(object)) {
        mg_traverse(object, mg_gather, state);
    }
    else if (PyTuple_CheckExact(object)) {
        for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(object); i++) {
            PyObject *item = PyTuple_GET_ITEM(object, i);
            if (item != NULL && mg_gather(item, state)) {
                break;
            }
        }
    }
    else if (PyDict_CheckExact(object)) {
        PyObject *key, *value;
        Py_ssize_t place = 0;
        while (PyDict_Next(object, &place, &key, &value)) {
            if (mg_gather(key, state) || mg_gather(value, state)) {
                break;
            }
        }
    }
}

/* The references of an object, valid until the next call.  NULL: no memory. */
static PyObject **
children_of(mg_weigher *w, PyObject *object, size_t *count)
{
    mg_state *state = w->state;
    PyObject **children = state->gathered;
    state->children.count = 0;
    visit_children(w, object);
    if (MG_UNLIKELY(state->children.count != 0)) {
        keep_gathered(state);
        children = MG_ITEMS(PyObject *, &state->children);
        *count = state->children.count;
    }
    else {
        *count = mg_gathered_count(state);
    }
    state->gathered_end = state->gathered;
    if (MG_UNLIKELY(state->out_of_memory)) {
        return NULL;
    }
    if (mg_has_borrowed_stack(Py_TYPE(object))) {
        *count = drop_borrowed(children, *count);
    }
    return children;
}

static int
can_be_retained(const mg_weigher *w, PyObject *object)
{
    return !mg_is_immortal(object) && object != Py_None &&
           Py_TYPE(object) != w->state->request->own_type &&
           !mg_is_cut(w->state, object);
}

static int
has_references(PyObject *object)
{
    return mg_is_gc(object) &&
           (PyObject_GC_IsTracked(object) || PyTuple_CheckExact(object) ||
            PyDict_CheckExact(object));
}

static int
add_node(mg_weigher *w, uint32_t node, size_t bytes, uint32_t count)
{
    if (w->weights.count == w->weights.capacity &&
        mg_vector_grow(&w->weights, sizeof(mg_weight)) < 0) {
        return -1;
    }
    MG_ITEMS(mg_weight, &w->weights)[w->weights.count++] = (mg_weight){bytes, count};
    return node == w->found.count ? mg_push_u32(&w->found, 0) : -1;
}

/* The node of a child of `parent`, MG_NOWHERE when it needs none. */
static int
node_of(mg_weigher *w, uint32_t parent, PyObject *object, uint32_t *node,
        uint32_t *position)
{
    mg_map *map = &w->state->map;
    uint32_t handle = mg_find(map, object);
    *position = MG_NOWHERE;
    *node = MG_NOWHERE;
    if (map->words[handle >> 6].open & MG_BIT(handle)) {
        *position = w->position_of[mg_number_of(map, handle)];
        *node = 1 + w->cycle_of[*position];
        return 0;
    }
    if (!can_be_retained(w, object)) {
        return 0;
    }
    if (mg_reference_count(object) == 1 && !has_references(object)) {
        mg_weight_of(w, parent)->bytes += mg_shallow_bytes(object);
        mg_weight_of(w, parent)->count++;
        return 0;
    }
    uint32_t number = mg_pointer_number(&w->others, object);
    if (number == MG_NO_NUMBER) {
        return -1;
    }
    *node = 1 + w->cycle_count + number;
    return *node == w->found.count
        ? add_node(w, *node, mg_shallow_bytes(object), 1) : 0;
}

static int
add_edge(mg_weigher *w, uint32_t node)
{
    MG_ITEMS(uint32_t, &w->found)[node]++;
    return mg_push_u32(&w->edges, node);
}

static int
begin_expansion(mg_weigher *w, uint32_t node)
{
    return mg_push_u32(&w->order, node) < 0 ||
           mg_push_u64(&w->edge_start, w->edges.count) < 0 ? -1 : 0;
}

/* Where in the same cycle a child is.  Most cycles have a handful of members,
   and comparing with each costs less than a look-up. */
static uint32_t
place_in_small_cycle(PyObject *const *members, uint32_t size, PyObject *child)
{
    for (uint32_t i = 0; i < size; i++) {
        if (members[i] == child) {
            return i;
        }
    }
    return MG_NOWHERE;
}

/* A reference that is cut holds the class, but leads round no cycle. */
static int
is_own_type_cut(const mg_weigher *w, PyObject *member, PyObject *child)
{
    return mg_own_types_are_cut(w->state) && child == (PyObject *)Py_TYPE(member);
}

static int
expand_member(mg_weigher *w, uint32_t cycle, uint32_t position)
{
    mg_answer *answer = w->state->answer;
    const uint32_t *start = MG_ITEMS(uint32_t, &answer->cycle_start) + cycle;
    PyObject **members = MG_ITEMS(PyObject *, &answer->members) + start[0];
    uint32_t size = start[1] - start[0];
    PyObject *member = members[position - start[0]];
    mg_cycle *facts = &answer->cycles[cycle];
    size_t count;
    PyObject **children = children_of(w, member, &count);
    if (children == NULL ||
        (w->records_edges &&
         mg_push_u64(&answer->edge_start, answer->edge_target.count) < 0)) {
        return -1;
    }
    for (size_t i = 0; i < count; i++) {
        MG_PREFETCH(children[i]);
    }
    if (position + LOOK_AHEAD < w->member_count) {
        MG_PREFETCH(members[position - start[0] + LOOK_AHEAD]);
    }
    facts->shallow_bytes += mg_shallow_bytes(member);
    facts->outside_references += mg_is_immortal(member)
        ? 1 : mg_reference_count(member);
    for (size_t i = 0; i < count; i++) {
        uint32_t node = 1 + cycle;
        uint32_t target = size > SMALL_CYCLE
            ? MG_NOWHERE : place_in_small_cycle(members, size, children[i]);
        if (target != MG_NOWHERE) {
            target += start[0];
        }
        else if (node_of(w, node, children[i], &node, &target) < 0) {
            return -1;
        }
        if (node == 1 + cycle) {
            facts->outside_references -= !mg_is_immortal(children[i]);
            if (w->records_edges && !is_own_type_cut(w, member, children[i]) &&
                mg_push_u32(&answer->edge_target, target) < 0) {
                return -1;
            }
        }
        else if (node != MG_NOWHERE && add_edge(w, node) < 0) {
            return -1;
        }
    }
    return 0;
}

int
mg_expand_cycles(mg_weigher *w)
{
    mg_answer *answer = w->state->answer;
    const uint32_t *start = MG_ITEMS(uint32_t, &answer->cycle_start);
    for (uint32_t node = 0; node <= w->cycle_count; node++) {
        uint32_t size = node == 0 ? 0 : start[node] - start[node - 1];
        if (add_node(w, node, 0, size) < 0) {
            return -1;
        }
    }
    for (uint32_t cycle = 0; cycle < w->cycle_count; cycle++) {
        if (begin_expansion(w, 1 + cycle) < 0) {
            return -1;
        }
        for (uint32_t p = start[cycle]; p < start[cycle + 1]; p++) {
            if (expand_member(w, cycle, p) < 0) {
                return -1;
            }
        }
        mg_weight_of(w, 1 + cycle)->bytes += answer->cycles[cycle].shallow_bytes;
    }
    return w->records_edges
        ? mg_push_u64(&answer->edge_start, answer->edge_target.count) : 0;
}

/* An object is retained by cycles together once all references to it are
   found in what has been expanded; then its own references count too. */
int
mg_expand_retained(mg_weigher *w)
{
    size_t next = 0;
    while (next < w->edges.count) {
        uint32_t node = MG_ITEMS(uint32_t, &w->edges)[next++];
        if (node <= w->cycle_count) {
            continue;
        }
        PyObject *object = mg_other_object(w, node);
        uint32_t *found = MG_ITEMS(uint32_t, &w->found);
        if ((Py_ssize_t)found[node] != mg_reference_count(object)) {
            continue;
        }
        /* Once only, whatever a type may show that it does not own; `missing`
           is counted afresh later. */
        found[node] = EXPANDED;
        size_t count;
        PyObject **children = children_of(w, object, &count);
        if (children == NULL || begin_expansion(w, node) < 0) {
            return -1;
        }
        for (size_t i = 0; i < count; i++) {
            uint32_t child, position;
            if (node_of(w, node, children[i], &child, &position) < 0 ||
                (child != MG_NOWHERE && add_edge(w, child) < 0)) {
                return -1;
            }
        }
    }
    return 0;
}

int
mg_number_members(mg_weigher *w)
{
    mg_state *state = w->state;
    mg_answer *answer = state->answer;
    const uint32_t *start = MG_ITEMS(uint32_t, &answer->cycle_start);
    state->drain = keep_gathered;
    state->gathered_end = state->gathered;
    mg_open_members(state);
    (void)mg_map_number(&state->map);
    w->cycle_of = mg_allocate(w->member_count * sizeof(*w->cycle_of));
    w->position_of = mg_allocate(w->member_count * sizeof(*w->position_of));
    if (w->cycle_of == NULL || w->position_of == NULL) {
        return -1;
    }
    for (uint32_t cycle = 0; cycle < w->cycle_count; cycle++) {
        for (uint32_t p = start[cycle]; p < start[cycle + 1]; p++) {
            uint32_t handle = mg_find(&state->map,
                                      MG_ITEMS(void *, &answer->members)[p]);
            w->cycle_of[p] = cycle;
            w->position_of[mg_number_of(&state->map, handle)] = p;
        }
    }
    return 0;
}

void
mg_weigher_clear(mg_weigher *w)
{
    mg_release(w->cycle_of, w->member_count * sizeof(*w->cycle_of));
    mg_release(w->position_of, w->member_count * sizeof(*w->position_of));
    mg_pointer_index_clear(&w->others);
    mg_vector_clear(&w->state->children, sizeof(void *));
    mg_vector_clear(&w->weights, sizeof(mg_weight));
    mg_vector_clear(&w->found, sizeof(uint32_t));
    mg_vector_clear(&w->order, sizeof(uint32_t));
    mg_vector_clear(&w->edge_start, sizeof(uint64_t));
    mg_vector_clear(&w->edges, sizeof(uint32_t));
}
