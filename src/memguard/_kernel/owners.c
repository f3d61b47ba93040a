/* References are recorded as for a scan.  One search tells what is alive, and what is
 * alive without owners; then the graph is made in which owners are vertices.
 */
#include "inquiry.h"
#include "sort.h"
#include "threads.h"

#include <string.h>

#define AHEAD 8

MG_DEFINE_SORT(sort_belongings, uint64_t, MG_COMPARE_VALUES)

/* ------------------------------------------------------------------------
   What more is held than objects and frames explain. */

static void
add_found(const mg_inquiry *q, uint32_t *found, const void *object)
{
    uint32_t node = mg_node_of(&q->state, object);
    if (node != MG_NO_NODE) {
        found[node]++;
    }
}

static inline void
count_row(const mg_inquiry *q, uint32_t *found, uint32_t node, uint32_t change)
{
    mg_span span = mg_references_of(&q->rows, node);
    for (uint32_t e = span.first; e < span.end; e++) {
        found[span.items[e]] += change;
    }
}

static void
count_found(const mg_inquiry *q, uint32_t *found)
{
    for (uint32_t node = 0; node < q->rows.count; node++) {
        count_row(q, found, node, 1);
    }
    for (size_t i = 0; i < q->running.pointers.count; i++) {
        uint32_t node = mg_node_of(&q->state, MG_ITEMS(void *, &q->running.pointers)[i]);
        if (node != MG_NO_NODE) {
            count_row(q, found, node, UINT32_MAX);
        }
    }
    for (size_t i = 0; i < q->variables.count; i++) {
        add_found(q, found, MG_ITEMS(mg_held_variable, &q->variables)[i].object);
    }
    for (size_t i = 0; i < q->explained.count; i++) {
        add_found(q, found, MG_ITEMS(void *, &q->explained)[i]);
    }
    for (mg_holding *h = mg_holdings.next; h != &mg_holdings; h = h->next) {
        for (size_t i = 0; i < h->count; i++) {
            add_found(q, found, h->objects[i]);
        }
    }
}

static int
find_unexplained(mg_inquiry *q)
{
    size_t found_bytes = q->rows.count * sizeof(uint32_t);
    uint32_t *found = mg_allocate_zeroed(found_bytes);
    int result = found == NULL ? -1 : 0;
    if (result == 0) {
        count_found(q, found);
    }
    for (uint32_t node = 0; node < q->rows.count && result == 0; node++) {
        PyObject *object = mg_object_at(&q->state, &q->rows, node);
        if (node != q->asked_node && object != q->request->question &&
            (mg_reference_count(object) > (Py_ssize_t)found[node] || mg_is_immortal(object))) {
            result = mg_push_pointer(&q->unowned, object);
        }
    }
    mg_release(found, found_bytes);
    return result;
}

/* ------------------------------------------------------------------------
   What is alive. */

typedef struct {
    mg_inquiry *q;
    uint32_t *queue;
    size_t end;
    mg_vector marks;            /* uint32_t: reached, and still to be passed */
    int passes_marks;
} spread;

static int
reach(spread *s, uint32_t node)
{
    mg_inquiry *q = s->q;
    if (node == MG_NO_NODE || node == q->asked_node || MG_IS_SET(q->is_alive, node)) {
        return 0;
    }
    MG_SET(q->is_alive, node);
    if (!s->passes_marks && MG_IS_SET(q->is_mark, node)) {
        return mg_push_u32(&s->marks, node);
    }
    s->queue[s->end++] = node;
    return 0;
}

static int
spread_on(spread *s, size_t next)
{
    const mg_rows *rows = &s->q->rows;
    for (; next < s->end; next++) {
        if (next + AHEAD < s->end) {
            MG_PREFETCH(&rows->rows[s->queue[next + AHEAD]]);
        }
        mg_span span = mg_references_of(rows, s->queue[next]);
        for (uint32_t e = span.first; e < span.end; e++) {
            if (reach(s, span.items[e]) < 0) {
                return -1;
            }
        }
    }
    return 0;
}

/* First what is held without owners, then the rest. */
static int
find_alive(mg_inquiry *q, spread *s)
{
    for (size_t i = 0; i < q->unowned.count; i++) {
        if (reach(s, mg_node_of(&q->state, MG_ITEMS(void *, &q->unowned)[i])) < 0) {
            return -1;
        }
    }
    if (spread_on(s, 0) < 0) {
        return -1;
    }
    size_t next = s->end;
    for (size_t i = 0; i < next; i++) {
        MG_SET(q->is_unowned, s->queue[i]);
    }
    s->passes_marks = 1;
    for (size_t i = 0; i < s->marks.count; i++) {
        s->queue[s->end++] = MG_ITEMS(uint32_t, &s->marks)[i];
    }
    for (size_t i = 0; i < q->variables.count; i++) {
        (void)reach(s, mg_node_of(&q->state, MG_ITEMS(mg_held_variable, &q->variables)[i].object));
    }
    return spread_on(s, next);
}

/* ------------------------------------------------------------------------
   The graph that is searched in depth. */

static int
add_start(mg_inquiry *q, uint32_t node)
{
    return mg_push_u32(&q->starts, MG_IS_SET(q->is_mark, node)
                                       ? mg_owner_vertex(q, mg_owner_of_mark(q, node))
                                       : node);
}

static int
add_belonging(mg_inquiry *q, uint32_t owner, uint32_t node)
{
    return node == MG_NO_NODE || node == q->asked_node
        ? 0 : mg_push_u64(&q->belongings, (uint64_t)owner << 32 | node);
}

/* Owners of garbage have garbage, others have none.  What is not tied to its owner is
   an object like any other. */
static int
tie_marks(mg_inquiry *q)
{
    for (size_t i = 0; i < q->marks.pointers.count; i++) {
        uint32_t owner = MG_ITEMS(uint32_t, &q->owner_of_mark)[i];
        uint32_t node = mg_node_of(&q->state, MG_ITEMS(void *, &q->marks.pointers)[i]);
        if (node == MG_NO_NODE) {
            if (mg_push_u32(&q->starts, mg_owner_vertex(q, owner)) < 0) {
                return -1;
            }
            continue;
        }
        if (mg_is_of_garbage(q, owner) != MG_IS_SET(q->is_alive, node)) {
            if (add_belonging(q, owner, node) < 0) {
                return -1;
            }
        }
        else {
            q->is_mark[node >> 6] &= ~MG_BIT(node);
        }
    }
    return 0;
}

static int
tie_owners(mg_inquiry *q)
{
    if (tie_marks(q) < 0) {
        return -1;
    }
    for (size_t i = 0; i < q->unowned.count; i++) {
        uint32_t node = mg_node_of(&q->state, MG_ITEMS(void *, &q->unowned)[i]);
        if (node != MG_NO_NODE && add_start(q, node) < 0) {
            return -1;
        }
    }
    for (size_t i = 0; i < q->variables.count; i++) {
        mg_held_variable held = MG_ITEMS(mg_held_variable, &q->variables)[i];
        if (mg_push_u32(&q->starts, mg_owner_vertex(q, held.owner)) < 0 ||
            add_belonging(q, held.owner, mg_node_of(&q->state, held.object)) < 0) {
            return -1;
        }
    }
    uint64_t *pairs = MG_ITEMS(uint64_t, &q->belongings);
    sort_belongings(pairs, q->belongings.count);
    size_t next = 0;
    for (uint32_t owner = 0; owner <= q->owner_count; owner++) {
        while (next < q->belongings.count && pairs[next] >> 32 < owner) {
            next++;
        }
        q->first_belonging[owner] = (uint32_t)next;
    }
    return 0;
}

static int
find_owned(mg_inquiry *q)
{
    for (size_t i = 0; i < q->marks.pointers.count; i++) {
        uint32_t node = mg_node_of(&q->state, MG_ITEMS(void *, &q->marks.pointers)[i]);
        if (node != MG_NO_NODE) {
            MG_SET(q->is_mark, node);
        }
    }
    spread s = {.q = q, .queue = q->vertex_at};
    int result = find_unexplained(q) < 0 || find_alive(q, &s) < 0 || tie_owners(q) < 0 ? -1 : 0;
    mg_vector_clear(&s.marks, sizeof(uint32_t));
    return result;
}

/* ------------------------------------------------------------------------ */

static int
make_tables(mg_inquiry *q)
{
    size_t bits = mg_bit_bytes(&q->rows);
    q->answer->object_count = q->rows.count;
    q->asked_node = mg_node_of(&q->state, q->request->asked);
    q->capacity = q->rows.count + q->owner_count + 1;
    q->is_mark = mg_allocate_zeroed(bits);
    q->is_alive = mg_allocate_zeroed(bits);
    q->is_unowned = mg_allocate_zeroed(bits);
    q->first_belonging = mg_allocate((q->owner_count + 1) * sizeof(uint32_t));
    q->owner_place = mg_allocate_zeroed((q->owner_count + 1) * sizeof(uint32_t));
    q->vertex_at = mg_allocate(q->capacity * sizeof(uint32_t));
    return q->is_mark == NULL || q->is_alive == NULL || q->is_unowned == NULL ||
                   q->first_belonging == NULL || q->owner_place == NULL || q->vertex_at == NULL
        ? -1 : 0;
}

static int
make_estates(mg_inquiry *q)
{
    mg_vector *estates = &q->answer->estates;
    size_t count = q->request->owner_count;
    if (mg_vector_make_room(estates, count, sizeof(mg_estate)) < 0) {
        return -1;
    }
    for (size_t i = 0; i < count; i++) {
        MG_ITEMS(mg_estate, estates)[i] = (mg_estate){.thread = q->request->owner_threads[i]};
    }
    estates->count = count;
    return 0;
}

static void
release_tables(mg_inquiry *q)
{
    size_t bits = mg_bit_bytes(&q->rows);
    mg_dominators_clear(&q->tree, q->capacity);
    mg_release(q->vertex_at, q->capacity * sizeof(uint32_t));
    mg_release(q->owner_place, (q->owner_count + 1) * sizeof(uint32_t));
    mg_release(q->first_belonging, (q->owner_count + 1) * sizeof(uint32_t));
    mg_release(q->is_unowned, bits);
    mg_release(q->is_alive, bits);
    mg_release(q->is_mark, bits);
    mg_vector_clear(&q->belongings, sizeof(uint64_t));
    mg_vector_clear(&q->starts, sizeof(uint32_t));
    mg_vector_clear(&q->explained, sizeof(void *));
    mg_vector_clear(&q->unowned, sizeof(void *));
    mg_vector_clear(&q->variables, sizeof(mg_held_variable));
    mg_vector_clear(&q->owner_of_mark, sizeof(uint32_t));
    mg_pointer_index_clear(&q->marks);
    mg_pointer_index_clear(&q->running);
    mg_rows_clear(&q->rows);
}

int
mg_find_owners(const mg_owners_request *request, mg_owners *answer)
{
    mg_request heap =
        mg_request_of_all(request->clock_seconds, request->name_key, request->own_type);
    mg_answer totals;
    mg_inquiry q = {.request = request, .answer = answer};
    memset(answer, 0, sizeof(*answer));
    mg_state_begin(&q.state, &heap, &totals);
    int result = make_estates(&q) < 0 || mg_note_marks(&q) < 0 ||
                         mg_map_begin(&q.state.map) < 0 || mg_note_stacks(&q) < 0 ||
                         mg_enumerate_heap(&q.state) < 0 ||
                         mg_rows_record(&q.rows, &q.state) < 0 || make_tables(&q) < 0 ||
                         find_owned(&q) < 0 || mg_descend(&q) < 0 || mg_add_up_estates(&q) < 0
        ? -1 : 0;
    release_tables(&q);
    result = mg_scan_end(&q.state, result);
    answer->side_table_bytes = totals.side_table_bytes;
    answer->duration_seconds = totals.duration_seconds;
    if (result < 0) {
        mg_owners_clear(answer);
    }
    return result;
}

void
mg_owners_clear(mg_owners *answer)
{
    mg_vector_clear(&answer->estates, sizeof(mg_estate));
    mg_vector_clear(&answer->belongings, sizeof(mg_belonging));
    memset(answer, 0, sizeof(*answer));
}
