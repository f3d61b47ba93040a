/* Visit everything that given nodes reach, each node once.
 *
 * A graph search waits for memory: a node is known only once its neighbour
 * was read.  Here three things go on at a time, so that the waits overlap.
 * Nodes to be visited stand in a short queue while their headers, then the
 * arrays that hang on them, are fetched; tp_traverse hands over references one
 * call at a time, so they are gathered; and the gathered ones are looked up in
 * one loop, in which the look-ups are independent.
 *
 * Nothing recurses: depth is bounded by memory, not by the C stack.
 *
 * A cut node is alive once reached, but no reference to or from it is part of
 * a cycle: what it leads to starts a tree of its own.
 *
 * Source: C.-Y. Cher, A. L. Hosking, T. N. Vijaykumar, "Software prefetching
 * for mark-sweep garbage collection", 2004 (the queue).
 */
#include "forest.h"

#include <string.h>

#define CHECK_EVERY 1024
#define HEADER_AHEAD 8          /* of MG_AHEAD, for the header; the rest is for
                                   the body, whose address the header holds */

enum { MARKING, FROM_CUT, RECORDING };

/* What a look-up appends to, in registers while it runs. */
typedef struct {
    mg_waiting *waiting;
    size_t waiting_count;
    uint32_t *handles;
    mg_row *rows;
    size_t visit_count;
    uint32_t *edges;
    size_t edge_end;
    size_t seen_count;          /* references, to nodes or not */
} cursor;

/* Sets out_of_memory when there is no room. */
static MG_INLINE cursor
open_cursor(mg_forest *f, size_t count)
{
    mg_vector *edges = &f->visits.edges;
    int has_room = !f->records ||
                   (mg_vector_make_room(edges, count, sizeof(uint32_t)) == 0 &&
                    edges->count + count <= UINT32_MAX);
    if (MG_UNLIKELY(!has_room)) {
        f->state->out_of_memory = 1;
    }
    return (cursor){
        .waiting = f->waiting,
        .waiting_count = f->waiting_count,
        .handles = f->visits.handles,
        .rows = f->visits.rows,
        .visit_count = f->visits.count,
        .edges = MG_ITEMS(uint32_t, edges),
        .edge_end = edges->count,
    };
}

static MG_INLINE void
close_cursor(mg_forest *f, const cursor *c)
{
    f->waiting_count = c->waiting_count;
    f->visits.count = c->visit_count;
    f->visits.edges.count = c->edge_end;
    f->state->edge_count += c->seen_count;
}

static MG_INLINE void
wait_for(cursor *c, uint32_t handle, uint32_t parent)
{
    c->waiting[c->waiting_count++] = (mg_waiting){handle, parent};
}

/* A node gets its number with its first reference to another.  One whose
   references do not fit in the buffer is looked up several times in a row. */
static MG_INLINE uint32_t
number_of(const cursor *c, mg_waiting node)
{
    int is_last = c->visit_count != 0 &&
                  c->handles[c->visit_count - 1] == node.handle;
    return (uint32_t)(c->visit_count - (size_t)is_last);
}

static MG_INLINE void
record(cursor *c, mg_waiting node, uint32_t number, uint32_t flags)
{
    if (number == c->visit_count) {
        c->visit_count++;
        c->handles[number] = node.handle;
        c->rows[number].link = node.parent;
    }
    c->rows[number].link |= flags;
    c->rows[number].end = (uint32_t)c->edge_end;
}

/* Look up references.  A node that is open is reached now, one that is marked
   was reached before; nothing else is a node. */
static MG_INLINE void
look_up(mg_forest *f, cursor *c, PyObject *const *objects, size_t count,
        PyObject *ignored, mg_waiting node, const int mode)
{
    const uint32_t number = mode == RECORDING ? number_of(c, node) : MG_NO_PARENT;
    const size_t first_edge = c->edge_end;
    const mg_map *map = &f->state->map;
    uint32_t flags = 0;
    for (size_t i = 0; i < count; i++) {
        PyObject *object = objects[i];
        uint32_t handle = mg_find(map, object);
        mg_word *word = &map->words[handle >> 6];
        uint64_t bit = MG_BIT(handle);
        c->seen_count += object != NULL;
        if (mode == RECORDING && MG_UNLIKELY(object == ignored)) {
            continue;
        }
        if (word->open & bit) {
            word->open ^= bit;
            if (mode == MARKING) {
                wait_for(c, handle, MG_NO_PARENT);
                continue;
            }
            word->marked ^= bit;
            if (MG_UNLIKELY(!(word->marked & bit))) {
                wait_for(c, handle, MG_CUT_NODE);
                continue;
            }
            wait_for(c, handle, number);
            if (mode == RECORDING) {
                c->edges[c->edge_end++] = handle;
            }
        }
        else if (mode == RECORDING && word->marked & bit) {
            f->again[handle >> 6] |= bit;
            flags = MG_LEADS_BACK;
            c->edges[c->edge_end++] = handle;
        }
    }
    if (mode == RECORDING && c->edge_end != first_edge) {
        record(c, node, number, flags);
    }
}

/* With classes in the graph, but the reference from an instance to its own
   class cut. */
static PyObject *
ignored_for(const mg_forest *f, mg_waiting node)
{
    return f->ignores_own_type
        ? (PyObject *)Py_TYPE((PyObject *)mg_object_of(&f->state->map, node.handle))
        : NULL;
}

static MG_INLINE void
look_up_of_node(mg_forest *f, cursor *c, PyObject *const *objects, size_t count,
                mg_waiting node, const int records)
{
    if (!records) {
        look_up(f, c, objects, count, NULL, node, MARKING);
    }
    else if (MG_UNLIKELY(node.parent == MG_CUT_NODE)) {
        look_up(f, c, objects, count, NULL, node, FROM_CUT);
    }
    else {
        look_up(f, c, objects, count, ignored_for(f, node), node, RECORDING);
    }
}

static MG_INLINE int
look_up_items(mg_forest *f, PyObject *const *items, size_t count, const int records)
{
    cursor c = open_cursor(f, count);
    if (MG_UNLIKELY(f->state->out_of_memory)) {
        return 1;
    }
    look_up_of_node(f, &c, items, count, f->current, records);
    close_cursor(f, &c);
    return 0;
}

static MG_INLINE int
look_up_gathered(mg_forest *f, const int records)
{
    mg_state *state = f->state;
    size_t count = mg_gathered_count(state);
    state->gathered_end = state->gathered;
    if (!records) {
        return look_up_items(f, state->gathered, count, 0);
    }
    cursor c = open_cursor(f, count);
    if (MG_UNLIKELY(state->out_of_memory)) {
        return 1;
    }
    uint32_t first = 0;
    for (uint32_t s = 0; s < f->segment_count; s++) {
        uint32_t end = f->segments[s].end;
        look_up_of_node(f, &c, state->gathered + first, end - first,
                        f->segments[s].node, 1);
        first = end;
    }
    f->segment_count = 0;
    close_cursor(f, &c);
    return 0;
}

static inline void
end_segment(mg_forest *f)
{
    f->segments[f->segment_count++] =
        (mg_segment){(uint32_t)mg_gathered_count(f->state), f->current};
}

/* The references of one object do not fit: look up what is there. */
static int
drain(mg_state *state)
{
    mg_forest *f = state->searcher;
    if (!f->records) {
        return look_up_gathered(f, 0);
    }
    end_segment(f);
    return look_up_gathered(f, 1);
}

static MG_INLINE int
gather_items(mg_forest *f, PyObject *const *items, size_t count, const int records)
{
    mg_state *state = f->state;
    if (count > MG_GATHERED - 1 - mg_gathered_count(state)) {
        if (drain(state) != 0) {
            return 1;
        }
        if (count >= MG_GATHERED) {
            return look_up_items(f, items, count, records);
        }
    }
    PyObject **end = state->gathered_end;
    for (size_t i = 0; i < count; i++) {
        *end = items[i];
        end += items[i] != NULL;
    }
    state->gathered_end = end;
    return 0;
}

static MG_INLINE int
visit(mg_forest *f, PyObject *object, mg_waiting node, const int records)
{
    mg_state *state = f->state;
    size_t waiting_before = f->waiting_count;
    size_t count;
    f->current = node;
    PyObject *const *items = mg_items_of(object, &count);
    if (items == NULL) {
        mg_traverse(object, mg_gather, state);
    }
    else if (gather_items(f, items, count, records) != 0) {
        return -1;
    }
    if (MG_UNLIKELY(state->out_of_memory)) {
        return -1;
    }
    if (records) {
        end_segment(f);
    }
    if (MG_UNLIKELY(f->waiting_count - waiting_before >= MG_LONG_RUN)) {
        mg_bring_near_together(f->waiting + waiting_before,
                               f->waiting_count - waiting_before);
    }
    if (mg_gathered_count(state) >= MG_GATHERED / 2 ||
        f->segment_count == MG_SEGMENTS - 1) {
        return look_up_gathered(f, records);
    }
    return 0;
}

/* From the stack to the queue. */
static MG_INLINE void
fetch(mg_forest *f)
{
    mg_waiting node = f->waiting[--f->waiting_count];
    PyObject *object = mg_object_of(&f->state->map, node.handle);
    MG_PREFETCH((char *)object - 32);
    MG_PREFETCH((char *)object + 16);
    f->soon[f->soon_end++ % MG_AHEAD] = (mg_soon){object, node};
}

static MG_INLINE int
explore(mg_forest *f, const int records)
{
    mg_state *state = f->state;
    size_t visited = 0;
    for (;;) {
        while (f->soon_end - f->soon_first < MG_AHEAD && f->waiting_count != 0) {
            fetch(f);
        }
        if (f->soon_first == f->soon_end) {
            if (mg_gathered_count(state) == 0 && f->segment_count == 0) {
                return 0;
            }
            if (look_up_gathered(f, records) != 0) {
                return -1;
            }
            continue;
        }
        mg_soon next = f->soon[f->soon_first++ % MG_AHEAD];
        if (f->soon_end - f->soon_first > MG_AHEAD - HEADER_AHEAD) {
            mg_prefetch_body(
                f->soon[(f->soon_first + MG_AHEAD - HEADER_AHEAD - 1) % MG_AHEAD].object);
        }
        if (visit(f, next.object, next.node, records) != 0) {
            return -1;
        }
        if (++visited % CHECK_EVERY == 0 && mg_must_stop(state)) {
            return look_up_gathered(f, records) != 0 ? -1 : 0;
        }
    }
}

int
mg_forest_explore(mg_forest *f)
{
    int result = f->records ? explore(f, 1) : explore(f, 0);
    if (result < 0) {
        f->state->out_of_memory = 1;
    }
    return result;
}

/* A place to start from. */
void
mg_forest_reach(mg_forest *f, uint32_t handle)
{
    mg_word *word = &f->state->map.words[handle >> 6];
    uint64_t bit = MG_BIT(handle);
    if (!(word->open & bit)) {
        return;
    }
    word->open ^= bit;
    word->marked ^= f->records ? bit : 0;
    int is_cut = f->records && !(word->marked & bit);
    f->waiting[f->waiting_count++] =
        (mg_waiting){handle, is_cut ? MG_CUT_NODE : MG_NO_PARENT};
}

/* What an object that is no node refers to, as places to start from. */
int
mg_forest_follow(mg_forest *f, PyObject *object)
{
    f->current = (mg_waiting){0, MG_CUT_NODE};
    mg_traverse(object, mg_gather, f->state);
    return drain(f->state) != 0 || f->state->out_of_memory ? -1 : 0;
}

/* Each node waits at most once and is visited at most once, so the arrays need
   no more room than there are open nodes, and none of them ever moves; what is
   not used of them is never touched. */
int
mg_forest_begin(mg_forest *f, mg_state *state, int records)
{
    memset(f, 0, sizeof(*f));
    f->state = state;
    f->records = records;
    f->capacity = state->enumerated;
    f->ignores_own_type = state->request->cuts & MG_CUT_INSTANCE_TYPES &&
                          !(state->request->cuts & MG_CUT_TYPES);
    f->waiting = mg_allocate(f->capacity * sizeof(*f->waiting));
    int failed = f->waiting == NULL || f->capacity > MG_MOST_VISITS;
    if (records) {
        f->again = mg_allocate_zeroed(mg_word_count(&state->map) *
                                      sizeof(*f->again));
        failed |= f->again == NULL || mg_rows_begin(&f->visits, f->capacity) < 0;
    }
    if (failed) {
        state->out_of_memory = 1;
        return -1;
    }
    mg_forest_resume(f);
    return 0;
}

/* Another pass has used the buffer of gathered references meanwhile. */
void
mg_forest_resume(mg_forest *f)
{
    f->state->drain = drain;
    f->state->searcher = f;
    f->state->gathered_end = f->state->gathered;
}

void
mg_forest_end(mg_forest *f)
{
    mg_release(f->waiting, f->capacity * sizeof(*f->waiting));
    mg_release(f->again, mg_word_count(&f->state->map) * sizeof(*f->again));
    mg_rows_end(&f->visits);
    memset(f, 0, sizeof(*f));
}
