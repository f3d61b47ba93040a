/* What everything weighs, added up along the tree of dominators.
 *
 * What the collector does not track is no node: texts, numbers, and dicts and tuples of
 * these.  It is counted where all that hold it come together, once as many references
 * to it were seen as it has; of what has more, somebody else holds the rest.
 */
#include "inquiry.h"
#include "sizes.h"

#include <string.h>

/* What holds something: garbage holds nothing that is alive, and what was not searched,
   such as the question itself, holds nothing at all. */
typedef enum { NOT_SEARCHED, GARBAGE, ALIVE } holder;

/* Where something is held. */
typedef struct {
    uint32_t place;             /* where all that hold it come together */
    uint16_t by;                /* holder: the one that counts most, others do not */
    uint16_t is_of_owners;      /* all of them are held by owners only */
} held_at;

/* An object that is not tracked, and has been seen less often than it is held. */
typedef struct {
    uint32_t left;              /* references not seen yet */
    held_at at;
} partly_seen;

typedef struct {
    PyObject *object;
    held_at at;
} leaf;

typedef struct {
    mg_inquiry *q;
    uint64_t *size_bytes;       /* by place */
    uint32_t *count;
    uint32_t *owner;            /* by place: of the nearest owner above, or MG_NOBODY */
    held_at at;                 /* what is being looked at */
    int out_of_memory;
    mg_pointer_index seen;
    mg_vector partly;           /* partly_seen, by number in there */
    mg_vector leaves;           /* leaf: containers still to be looked into */
    mg_pointer_index asked;     /* leaves; only while they are weighed by themselves */
    mg_vector asked_references; /* uint32_t, by number in there: of the question */
} weigher;

static void
add(mg_amount *amount, uint64_t size_bytes, uint64_t count)
{
    amount->size_bytes += size_bytes;
    amount->count += count;
}

static held_at
held_by_vertex(const mg_inquiry *q, uint32_t place, int is_of_owners)
{
    return (held_at){place, place < q->alive_count ? ALIVE : GARBAGE, (uint16_t)is_of_owners};
}

static held_at
held_by_both(const mg_inquiry *q, held_at one, held_at other)
{
    if (one.by != other.by) {
        return one.by > other.by ? one : other;
    }
    one.place = mg_common_dominator(&q->tree, one.place, other.place);
    one.is_of_owners &= other.is_of_owners;
    return one;
}

static void
weigh(weigher *w, PyObject *object, held_at at)
{
    size_t size_bytes = mg_shallow_bytes(object);
    w->size_bytes[at.place] += size_bytes;
    w->count[at.place]++;
    if (at.by == ALIVE) {
        add(&w->q->answer->all, size_bytes, 1);
    }
    uint32_t owner = w->owner[at.place];
    if (owner != MG_NOBODY) {
        add(&MG_ITEMS(mg_estate, &w->q->answer->estates)[owner].own, size_bytes, 1);
    }
    else if (at.is_of_owners) {
        add(&w->q->answer->shared, size_bytes, 1);
    }
}

/* The collector stops to track dicts and tuples only. */
static int
weigh_leaf(weigher *w, PyObject *object, held_at at)
{
    weigh(w, object, at);
    if (!PyTuple_Check(object) && !PyDict_Check(object)) {
        return 0;
    }
    mg_vector *leaves = &w->leaves;
    if (leaves->count == leaves->capacity && mg_vector_grow(leaves, sizeof(leaf)) < 0) {
        return -1;
    }
    MG_ITEMS(leaf, leaves)[leaves->count++] = (leaf){object, at};
    return 0;
}

static int
note_partly_seen(weigher *w, PyObject *object, Py_ssize_t references)
{
    uint32_t number = mg_pointer_number(&w->seen, object);
    if (number == MG_NO_NUMBER) {
        return -1;
    }
    mg_vector *all = &w->partly;
    if (number == all->count) {
        if (all->count == all->capacity && mg_vector_grow(all, sizeof(partly_seen)) < 0) {
            return -1;
        }
        MG_ITEMS(partly_seen, all)[all->count++] =
            (partly_seen){(uint32_t)references - 1, w->at};
        return 0;
    }
    partly_seen *one = &MG_ITEMS(partly_seen, all)[number];
    if (one->left == 0) {
        return 0;               /* seen more often than it is held */
    }
    one->at = held_by_both(w->q, one->at, w->at);
    return --one->left == 0 ? weigh_leaf(w, object, one->at) : 0;
}

static int
is_leaf(const weigher *w, PyObject *object)
{
    return object != NULL && mg_node_of(&w->q->state, object) == MG_NO_NODE &&
           !mg_is_immortal(object) && !(mg_is_gc(object) && PyObject_GC_IsTracked(object));
}

static int
on_child(PyObject *object, void *argument)
{
    weigher *w = argument;
    if (!is_leaf(w, object) || mg_pointer_is_in(&w->q->marks, object)) {
        return 0;
    }
    Py_ssize_t references = mg_reference_count(object);
    if (mg_pointer_is_in(&w->asked, object)) {
        references -= MG_ITEMS(uint32_t, &w->asked_references)[mg_number_in(&w->asked, object)];
    }
    if (references > INT32_MAX || references < 1) {
        return 0;
    }
    w->out_of_memory |= (references == 1 ? weigh_leaf(w, object, w->at)
                                         : note_partly_seen(w, object, references)) < 0;
    return w->out_of_memory;
}

static void
visit_all(weigher *w, PyObject *object, visitproc visit)
{
    PyObject *key;
    Py_ssize_t place = 0;
    mg_traverse(object, visit, w);
    if (PyDict_Check(object) && mg_hides_keys(object)) {
        while (!w->out_of_memory && PyDict_Next(object, &place, &key, NULL)) {
            (void)visit(key, w);
        }
    }
}

static void
look_into(weigher *w, PyObject *object, held_at at)
{
    w->at = at;
    visit_all(w, object, on_child);
}

/* Held from outside owners if any way is; only nodes that the question alone holds are
   neither that nor alive. */
static uint32_t
is_of_owners(const mg_inquiry *q, uint32_t node)
{
    return MG_IS_SET(q->is_alive, node) && !MG_IS_SET(q->is_unowned, node);
}

static int
look_into_leaves(weigher *w)
{
    while (w->leaves.count != 0 && !w->out_of_memory) {
        leaf next = MG_ITEMS(leaf, &w->leaves)[--w->leaves.count];
        look_into(w, next.object, next.at);
    }
    return w->out_of_memory ? -1 : 0;
}

/* Variables and marked objects that are no nodes: whoever else refers to a marked one, it
   is the owner's. */
static int
weigh_of_owners(weigher *w)
{
    const mg_inquiry *q = w->q;
    for (size_t i = 0; i < q->variables.count && !w->out_of_memory; i++) {
        mg_held_variable held = MG_ITEMS(mg_held_variable, &q->variables)[i];
        w->at = held_by_vertex(q, q->owner_place[held.owner], 1);
        on_child(held.object, w);
    }
    for (size_t i = 0; i < q->marks.pointers.count && !w->out_of_memory; i++) {
        PyObject *object = MG_ITEMS(void *, &q->marks.pointers)[i];
        uint32_t place = q->owner_place[MG_ITEMS(uint32_t, &q->owner_of_mark)[i]];
        if (mg_node_of(&q->state, object) == MG_NO_NODE &&
            weigh_leaf(w, object, held_by_vertex(q, place, 1)) < 0) {
            return -1;
        }
    }
    return look_into_leaves(w);
}

/* Garbage that nobody asked about, lists of memguard's, the variables of its frames. */
static int
look_into_what_was_not_searched(weigher *w)
{
    const mg_inquiry *q = w->q;
    const held_at nowhere = {0, NOT_SEARCHED, 0};
    for (uint32_t node = 0; node < q->rows.count && !w->out_of_memory; node++) {
        if (q->rows.rows[node].link == 0) {
            look_into(w, mg_object_at(&q->state, &q->rows, node), nowhere);
        }
    }
    w->at = nowhere;
    for (size_t i = 0; i < q->explained.count && !w->out_of_memory; i++) {
        on_child(MG_ITEMS(void *, &q->explained)[i], w);
    }
    return look_into_leaves(w);
}

static int
weigh_all(weigher *w)
{
    mg_inquiry *q = w->q;
    for (uint32_t place = 1; place < q->tree.count; place++) {
        uint32_t vertex = q->vertex_at[place];
        if (vertex >= q->rows.count) {
            w->owner[place] = vertex - (uint32_t)q->rows.count;
            continue;
        }
        w->owner[place] = w->owner[q->tree.dominator[place]];
    }
    for (uint32_t place = 1; place < q->tree.count && !w->out_of_memory; place++) {
        uint32_t node = q->vertex_at[place];
        if (node < q->rows.count) {
            PyObject *object = mg_object_at(&q->state, &q->rows, node);
            held_at at = held_by_vertex(q, place, is_of_owners(q, node));
            weigh(w, object, at);
            if (!mg_is_running(q, object)) {
                look_into(w, object, at);
            }
        }
        (void)look_into_leaves(w);
    }
    return w->out_of_memory || weigh_of_owners(w) < 0 ? -1 : look_into_what_was_not_searched(w);
}

static void
add_up(weigher *w)
{
    const mg_dominators *tree = &w->q->tree;
    mg_owners *answer = w->q->answer;
    for (uint32_t place = tree->count - 1; place != 0; place--) {
        w->size_bytes[tree->dominator[place]] += w->size_bytes[place];
        w->count[tree->dominator[place]] += w->count[place];
    }
    for (size_t owner = 0; owner < w->q->owner_count; owner++) {
        uint32_t place = w->q->owner_place[owner];
        if (place != 0) {
            MG_ITEMS(mg_estate, &answer->estates)[owner].retained =
                (mg_amount){w->size_bytes[place], w->count[place]};
        }
    }
}

static int
on_asked(PyObject *object, void *argument)
{
    weigher *w = argument;
    if (!is_leaf(w, object)) {
        return 0;
    }
    uint32_t number = mg_pointer_number(&w->asked, object);
    if (number == MG_NO_NUMBER || (number == w->asked_references.count &&
                                   mg_push_u32(&w->asked_references, 0) < 0)) {
        w->out_of_memory = 1;
        return 1;
    }
    MG_ITEMS(uint32_t, &w->asked_references)[number]++;
    return 0;
}

/* What was asked with holds nothing, unless the program has it, too. */
static int
note_asked(weigher *w)
{
    const mg_inquiry *q = w->q;
    PyObject *question = q->request->question;
    visit_all(w, q->request->asked, on_asked);
    if (question != NULL && mg_is_gc(question) && !w->out_of_memory) {
        uint32_t node = mg_node_of(&q->state, question);
        if (node == MG_NO_NODE || !MG_IS_SET(q->is_alive, node)) {
            visit_all(w, question, on_asked);
        }
    }
    return w->out_of_memory ? -1 : 0;
}

/* What is not tracked itself: with what only it holds. */
static int
weigh_untracked(weigher *w, PyObject *object, mg_amount *amount)
{
    uint64_t before_bytes = w->size_bytes[0];
    uint32_t before_count = w->count[0];
    int result = weigh_leaf(w, object, (held_at){0, NOT_SEARCHED, 0}) < 0 ? -1 : look_into_leaves(w);
    *amount = (mg_amount){w->size_bytes[0] - before_bytes, w->count[0] - before_count};
    w->size_bytes[0] = before_bytes;
    w->count[0] = before_count;
    return result;
}

static int
tell_of_asked(weigher *w)
{
    mg_inquiry *q = w->q;
    Py_ssize_t first = (Py_ssize_t)q->request->mark_count;
    Py_ssize_t end = PyTuple_GET_SIZE(q->request->asked);
    mg_vector *belongings = &q->answer->belongings;
    if (note_asked(w) < 0 ||
        mg_vector_make_room(belongings, (size_t)(end - first), sizeof(mg_belonging)) < 0) {
        return -1;
    }
    for (Py_ssize_t i = first; i < end; i++) {
        PyObject *object = PyTuple_GET_ITEM(q->request->asked, i);
        mg_belonging *one = &MG_ITEMS(mg_belonging, belongings)[belongings->count++];
        *one = (mg_belonging){.owner = MG_UNKNOWN_OWNER};
        uint32_t node = mg_node_of(&q->state, object);
        if (node == MG_NO_NODE) {
            /* Its own references are no matter, and others may have been seen. */
            mg_pointer_index_clear(&w->seen);
            w->partly.count = 0;
            if (weigh_untracked(w, object, &one->retained) < 0) {
                return -1;
            }
            continue;
        }
        uint32_t place = q->rows.rows[node].link;
        one->retained = (mg_amount){w->size_bytes[place], w->count[place]};
        one->owner = !MG_IS_SET(q->is_alive, node) ? MG_UNHELD
            : w->owner[place] != MG_NOBODY         ? w->owner[place]
            : is_of_owners(q, node)                ? MG_SHARED
                                                   : MG_NOBODY;
    }
    return 0;
}

int
mg_add_up_estates(mg_inquiry *q)
{
    size_t count = q->tree.count;
    weigher w = {.q = q};
    w.size_bytes = mg_allocate_zeroed(count * sizeof(*w.size_bytes));
    w.count = mg_allocate_zeroed(count * sizeof(*w.count));
    w.owner = mg_allocate(count * sizeof(*w.owner));
    int result = w.size_bytes == NULL || w.count == NULL || w.owner == NULL ? -1 : 0;
    if (result == 0) {
        w.owner[0] = MG_NOBODY;
        result = weigh_all(&w);
    }
    if (result == 0) {
        add_up(&w);
        result = tell_of_asked(&w);
    }
    mg_release(w.owner, count * sizeof(*w.owner));
    mg_release(w.count, count * sizeof(*w.count));
    mg_release(w.size_bytes, count * sizeof(*w.size_bytes));
    mg_pointer_index_clear(&w.asked);
    mg_vector_clear(&w.asked_references, sizeof(uint32_t));
    mg_pointer_index_clear(&w.seen);
    mg_vector_clear(&w.partly, sizeof(partly_seen));
    mg_vector_clear(&w.leaves, sizeof(leaf));
    return result;
}
