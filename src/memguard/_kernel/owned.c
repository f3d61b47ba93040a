/* What each cycle weighs: sizes, references from outside, what only it holds.
 *
 * A cycle retains what would be freed with it.  Each cycle is taken as one
 * node; its references, and those of everything that only cycles hold, form a
 * graph without cycles.  There "only it holds" is dominance: an object belongs
 * to the nearest node through which every counted reference to it passes, and
 * what a cycle retains is its subtree of the dominator tree.  An object with a
 * reference that was not found in this graph is held from elsewhere.
 *
 * Cost: one traversal of the members and of what they retain.
 * Source: A. V. Aho, J. D. Ullman, "The Theory of Parsing, Translation, and
 * Compiling", 1973 (dominators); E. W. Myers, "An applicative random-access
 * stack", 1983 (jump pointers, for common ancestors in logarithmic time).
 */
#include "scan.h"
#include "pointer_index.h"
#include "sizes.h"

#include <stdlib.h>
#include <string.h>

#define NOWHERE UINT32_MAX
#define SMALL_CYCLE 8
#define LOOK_AHEAD 4

typedef struct {
    uint64_t bytes;
    uint32_t count;
} weight;

/* Nodes: 0 is "elsewhere", 1 .. cycles are the cycles, then objects that are
   not members, in order of first appearance.  An object without references of
   its own whose only reference comes from a node needs none: it is added to
   that node's weight at once. */
typedef struct {
    mg_state *state;
    uint32_t cycle_count;
    uint32_t *cycle_of;         /* by position of the member */
    uint32_t *position_of;      /* member's position, by its number in the map */
    size_t member_count;
    mg_pointer_index others;
    mg_vector weights;          /* weight, by node: itself and its sole leaves */

    mg_vector found;            /* uint32_t by node: references found to it */
    mg_vector order;            /* uint32_t: nodes in the order of expansion */
    mg_vector edge_start;       /* uint64_t by place in order */
    mg_vector edges;            /* uint32_t nodes */

    uint64_t *first_edge;       /* by node from here on */
    uint64_t *end_edge;
    int64_t *missing;           /* references not yet accounted for */
    uint32_t *holder;           /* immediate dominator */
    uint32_t *jump;
    uint32_t *depth;
    uint32_t *queue;
    size_t node_count;
} weigher;

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

static int
compare_pointers(const void *left, const void *right)
{
    uintptr_t a = *(const uintptr_t *)left;
    uintptr_t b = *(const uintptr_t *)right;
    return (a > b) - (a < b);
}

/* See garbage.c, subtract_edges_of. */
static size_t
drop_borrowed(PyObject **children, size_t count)
{
    qsort(children, count, sizeof(*children), compare_pointers);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || children[i] != children[i - 1]) {
            children[kept++] = children[i];
        }
    }
    return kept;
}

static void
visit_children(weigher *w, PyObject *object)
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
children_of(weigher *w, PyObject *object, size_t *count)
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
can_be_retained(const weigher *w, PyObject *object, uint32_t handle)
{
    const mg_map *map = &w->state->map;
    if (mg_is_immortal(object) || object == Py_None ||
        Py_TYPE(object) == w->state->request->own_type ||
        (map->cut != NULL && map->cut[handle >> 6] & MG_BIT(handle))) {
        return 0;
    }
    return !(w->state->request->cuts & MG_CUT_TYPES && PyType_Check(object));
}

static int
has_references(PyObject *object)
{
    return mg_is_gc(object) &&
           (PyObject_GC_IsTracked(object) || PyTuple_CheckExact(object) ||
            PyDict_CheckExact(object));
}

static weight *
weight_of(const weigher *w, uint32_t node)
{
    return &MG_ITEMS(weight, &w->weights)[node];
}

static int
add_node(weigher *w, uint32_t node, size_t bytes, uint32_t count)
{
    if (w->weights.count == w->weights.capacity &&
        mg_vector_grow(&w->weights, sizeof(weight)) < 0) {
        return -1;
    }
    MG_ITEMS(weight, &w->weights)[w->weights.count++] = (weight){bytes, count};
    return node == w->found.count ? mg_push_u32(&w->found, 0) : -1;
}

/* The node of a child of `parent`, NOWHERE when it needs none. */
static int
node_of(weigher *w, uint32_t parent, PyObject *object, uint32_t *node,
        uint32_t *position)
{
    mg_map *map = &w->state->map;
    uint32_t handle = mg_find(map, object);
    *position = NOWHERE;
    *node = NOWHERE;
    if (map->words[handle >> 6].open & MG_BIT(handle)) {
        *position = w->position_of[mg_number_of(map, handle)];
        *node = 1 + w->cycle_of[*position];
        return 0;
    }
    if (!can_be_retained(w, object, handle)) {
        return 0;
    }
    if (mg_reference_count(object) == 1 && !has_references(object)) {
        weight_of(w, parent)->bytes += mg_shallow_bytes(object);
        weight_of(w, parent)->count++;
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
add_edge(weigher *w, uint32_t node)
{
    MG_ITEMS(uint32_t, &w->found)[node]++;
    return mg_push_u32(&w->edges, node);
}

static int
begin_expansion(weigher *w, uint32_t node)
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
    return NOWHERE;
}

static int
expand_member(weigher *w, uint32_t cycle, uint32_t position)
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
        mg_push_u64(&answer->edge_start, answer->edge_target.count) < 0) {
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
            ? NOWHERE : place_in_small_cycle(members, size, children[i]);
        if (target != NOWHERE) {
            target += start[0];
        }
        else if (node_of(w, node, children[i], &node, &target) < 0) {
            return -1;
        }
        if (node == 1 + cycle) {
            facts->outside_references--;
            if (mg_push_u32(&answer->edge_target, target) < 0) {
                return -1;
            }
        }
        else if (node != NOWHERE && add_edge(w, node) < 0) {
            return -1;
        }
    }
    return 0;
}

static int
expand_cycles(weigher *w)
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
        weight_of(w, 1 + cycle)->bytes += answer->cycles[cycle].shallow_bytes;
    }
    return mg_push_u64(&answer->edge_start, answer->edge_target.count);
}

static PyObject *
other_object(const weigher *w, uint32_t node)
{
    return MG_ITEMS(PyObject *, &w->others.pointers)[node - 1 - w->cycle_count];
}

/* An object is retained by cycles together once all references to it are
   found in what has been expanded; then its own references count too. */
static int
expand_retained(weigher *w)
{
    size_t next = 0;
    while (next < w->edges.count) {
        uint32_t node = MG_ITEMS(uint32_t, &w->edges)[next++];
        if (node <= w->cycle_count) {
            continue;
        }
        PyObject *object = other_object(w, node);
        uint32_t *found = MG_ITEMS(uint32_t, &w->found);
        if ((Py_ssize_t)found[node] != mg_reference_count(object)) {
            continue;
        }
        found[node] = 0;    /* once only; `missing` is counted afresh later */
        size_t count;
        PyObject **children = children_of(w, object, &count);
        if (children == NULL || begin_expansion(w, node) < 0) {
            return -1;
        }
        for (size_t i = 0; i < count; i++) {
            uint32_t child, position;
            if (node_of(w, node, children[i], &child, &position) < 0 ||
                (child != NOWHERE && add_edge(w, child) < 0)) {
                return -1;
            }
        }
    }
    return 0;
}

static int
allocate_nodes(weigher *w)
{
    size_t n = w->node_count = w->found.count;
    w->first_edge = mg_allocate_zeroed(n * sizeof(*w->first_edge));
    w->end_edge = mg_allocate_zeroed(n * sizeof(*w->end_edge));
    w->missing = mg_allocate_zeroed(n * sizeof(*w->missing));
    w->holder = mg_allocate_zeroed(n * sizeof(*w->holder));
    w->jump = mg_allocate_zeroed(n * sizeof(*w->jump));
    w->depth = mg_allocate_zeroed(n * sizeof(*w->depth));
    w->queue = mg_allocate_zeroed(n * sizeof(*w->queue));
    return w->first_edge && w->end_edge && w->missing && w->holder &&
           w->jump && w->depth && w->queue ? 0 : -1;
}

static void
release_nodes(weigher *w)
{
    size_t n = w->node_count;
    mg_release(w->first_edge, n * sizeof(*w->first_edge));
    mg_release(w->end_edge, n * sizeof(*w->end_edge));
    mg_release(w->missing, n * sizeof(*w->missing));
    mg_release(w->holder, n * sizeof(*w->holder));
    mg_release(w->jump, n * sizeof(*w->jump));
    mg_release(w->depth, n * sizeof(*w->depth));
    mg_release(w->queue, n * sizeof(*w->queue));
}

static void
prepare_nodes(weigher *w)
{
    mg_answer *answer = w->state->answer;
    const uint32_t *order = MG_ITEMS(uint32_t, &w->order);
    const uint64_t *edge_start = MG_ITEMS(uint64_t, &w->edge_start);
    for (size_t i = 0; i < w->order.count; i++) {
        uint32_t node = order[i];
        w->first_edge[node] = edge_start[i];
        w->end_edge[node] = i + 1 < w->order.count ? edge_start[i + 1]
                                                   : w->edges.count;
        w->holder[node] = NOWHERE;
        w->missing[node] = node <= w->cycle_count
            ? answer->cycles[node - 1].outside_references
            : mg_reference_count(other_object(w, node));
    }
}

/* A cycle with a reference that is not in this graph is held from elsewhere,
   and so is one without any: nothing has to be waited for. */
static size_t
queue_cycles_held_from_elsewhere(weigher *w)
{
    size_t end = 0;
    for (uint32_t node = 1; node <= w->cycle_count; node++) {
        int64_t found = MG_ITEMS(uint32_t, &w->found)[node];
        if (found == 0 || w->missing[node] != found) {
            w->missing[node] = -1;
            w->holder[node] = 0;
            w->queue[end++] = node;
        }
    }
    return end;
}

static uint32_t
common_holder(const weigher *w, uint32_t a, uint32_t b)
{
    while (w->depth[a] > w->depth[b]) {
        a = w->depth[w->jump[a]] >= w->depth[b] ? w->jump[a] : w->holder[a];
    }
    while (w->depth[b] > w->depth[a]) {
        b = w->depth[w->jump[b]] >= w->depth[a] ? w->jump[b] : w->holder[b];
    }
    while (a != b) {
        int far = w->jump[a] != w->jump[b];
        a = far ? w->jump[a] : w->holder[a];
        b = far ? w->jump[b] : w->holder[b];
    }
    return a;
}

static void
settle_holder(weigher *w, uint32_t node)
{
    uint32_t up = w->holder[node];
    uint32_t far = w->jump[up];
    w->depth[node] = w->depth[up] + 1;
    w->jump[node] = w->depth[up] - w->depth[far] ==
                            w->depth[far] - w->depth[w->jump[far]]
        ? w->jump[far] : up;
}

static void
find_holders(weigher *w)
{
    size_t end = queue_cycles_held_from_elsewhere(w);
    for (size_t next = 0; next < end; next++) {
        uint32_t node = w->queue[next];
        settle_holder(w, node);
        for (uint64_t e = w->first_edge[node]; e < w->end_edge[node]; e++) {
            uint32_t child = MG_ITEMS(uint32_t, &w->edges)[e];
            if (w->missing[child] <= 0) {
                continue;   /* held from elsewhere, or never expanded */
            }
            w->holder[child] = w->holder[child] == NOWHERE
                ? node : common_holder(w, w->holder[child], node);
            if (--w->missing[child] == 0) {
                w->queue[end++] = child;
            }
        }
    }
    while (end-- > 0) {
        uint32_t node = w->queue[end];
        weight_of(w, w->holder[node])->bytes += weight_of(w, node)->bytes;
        weight_of(w, w->holder[node])->count += weight_of(w, node)->count;
    }
}

static void
report_weights(weigher *w)
{
    mg_answer *answer = w->state->answer;
    for (uint32_t cycle = 0; cycle < w->cycle_count; cycle++) {
        answer->cycles[cycle].retained_bytes = weight_of(w, 1 + cycle)->bytes;
        answer->cycles[cycle].retained_count = weight_of(w, 1 + cycle)->count;
    }
}

static int
number_members(weigher *w)
{
    mg_state *state = w->state;
    mg_answer *answer = state->answer;
    const uint32_t *start = MG_ITEMS(uint32_t, &answer->cycle_start);
    size_t words = mg_word_count(&state->map);
    memset(state->map.words, 0, words * sizeof(*state->map.words));
    for (size_t p = 0; p < w->member_count; p++) {
        uint32_t handle = mg_find(&state->map,
                                  MG_ITEMS(void *, &answer->members)[p]);
        state->map.words[handle >> 6].open |= MG_BIT(handle);
    }
    size_t count;
    if (mg_map_rank(&state->map, &count) < 0) {
        return -1;
    }
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

static void
forget_own_reference(weigher *w, PyObject *object, int64_t times)
{
    mg_map *map = &w->state->map;
    uint32_t handle = mg_find(map, object);
    if (map->words[handle >> 6].open & MG_BIT(handle)) {
        uint32_t position = w->position_of[mg_number_of(map, handle)];
        w->state->answer->cycles[w->cycle_of[position]].outside_references -= times;
    }
}

/* What memguard holds is not "outside" in a user's eyes. */
static void
forget_own_references(weigher *w)
{
    const mg_request *request = w->state->request;
    for (mg_holding *h = mg_holdings.next; h != &mg_holdings; h = h->next) {
        for (size_t i = 0; i < h->count; i++) {
            forget_own_reference(w, h->objects[i], 1);
        }
    }
    for (size_t i = 0; i < request->root_count; i++) {
        forget_own_reference(w, request->roots[i],
                             (int64_t)request->root_references);
    }
    mg_answer *answer = w->state->answer;
    for (size_t c = 0; c < answer->cycle_count; c++) {
        if (answer->cycles[c].outside_references < 0) {
            answer->cycles[c].outside_references = 0;
            answer->suspect_count++;
        }
    }
}

static int
weigh(weigher *w)
{
    if (number_members(w) < 0 || expand_cycles(w) < 0) {
        return -1;
    }
    forget_own_references(w);
    if (expand_retained(w) < 0 || allocate_nodes(w) < 0) {
        return -1;
    }
    prepare_nodes(w);
    find_holders(w);
    report_weights(w);
    return 0;
}

int
mg_describe_cycles(mg_state *state)
{
    mg_answer *answer = state->answer;
    weigher w;
    memset(&w, 0, sizeof(w));
    w.state = state;
    state->drain = keep_gathered;
    state->gathered_end = state->gathered;
    w.member_count = answer->members.count;
    w.cycle_count = (uint32_t)(answer->cycle_start.count - 1);
    answer->cycle_count = w.cycle_count;
    if (w.cycle_count == 0) {
        return 0;
    }
    answer->cycles = mg_allocate_zeroed(w.cycle_count * sizeof(*answer->cycles));
    int result = answer->cycles == NULL ? -1 : weigh(&w);
    release_nodes(&w);
    mg_release(w.cycle_of, w.member_count * sizeof(*w.cycle_of));
    mg_release(w.position_of, w.member_count * sizeof(*w.position_of));
    mg_pointer_index_clear(&w.others);
    mg_vector_clear(&w.weights, sizeof(weight));
    mg_vector_clear(&state->children, sizeof(void *));
    mg_vector_clear(&w.found, sizeof(uint32_t));
    mg_vector_clear(&w.order, sizeof(uint32_t));
    mg_vector_clear(&w.edge_start, sizeof(uint64_t));
    mg_vector_clear(&w.edges, sizeof(uint32_t));
    return result;
}
