/* Record the references among all open nodes.
 *
 * In the order of addresses, block by block: the processor then reads the heap
 * as it lies, while a search would read it as it is tied together.
 *
 * Blocks are recorded by several threads at a time.  Those that do not hold
 * the GIL call tp_traverse of types that are known to need no thread state
 * (kinds.c); other objects, called foreign, are recorded beforehand.
 */
#include "recorder.h"
#include "sort.h"

#include <string.h>

#define CHECK_EVERY 1024
#define USUAL_REFERENCES 1      /* that stand in the array of a block */

MG_DEFINE_SORT(sort_numbers, uint32_t, MG_COMPARE_VALUES)

/* A suspended 3.14+ frame may show the same object twice while owning it once.
   Keeping each distinct one once errs towards alive. */
static void
drop_borrowed(mg_vector *edges, size_t first)
{
    uint32_t *items = MG_ITEMS(uint32_t, edges);
    if (edges->count == first) {
        return;
    }
    sort_numbers(items + first, edges->count - first);
    size_t kept = first;
    for (size_t e = first; e < edges->count; e++) {
        if (e == first || items[e] != items[e - 1]) {
            items[kept++] = items[e];
        }
    }
    edges->count = kept;
}

static int
set_own_type_apart(mg_recorder *r, PyObject *object, uint32_t node, size_t first)
{
    mg_vector *edges = &r->edges;
    uint32_t *items = MG_ITEMS(uint32_t, edges);
    uint32_t handle = mg_find(&r->state->map, Py_TYPE(object));
    if (!mg_is_open(&r->state->map, handle)) {
        return 0;
    }
    uint32_t own_type = mg_number_of(&r->state->map, handle);
    size_t kept = first;
    for (size_t e = first; e < edges->count; e++) {
        if (items[e] != own_type) {
            items[kept++] = items[e];
        }
        else if (mg_push_u32(&r->rows->own_type_edges, node) < 0 ||
                 mg_push_u32(&r->rows->own_type_edges, own_type) < 0) {
            return -1;
        }
    }
    edges->count = kept;
    return 0;
}

int
mg_tidy_references(mg_recorder *r, PyObject *object, uint32_t node, size_t first)
{
    if (mg_has_borrowed_stack(Py_TYPE(object))) {
        drop_borrowed(&r->edges, first);
    }
    return mg_own_types_are_cut(r->state)
        ? set_own_type_apart(r, object, node, first) : 0;
}

static uint32_t
end_of_block(const mg_rows *rows, uint32_t block)
{
    size_t end = ((size_t)block + 1) << MG_BLOCK_SHIFT;
    return (uint32_t)(end < rows->count ? end : rows->count);
}

static inline void
fetch(const mg_recorder *r, uint32_t node, uint32_t end)
{
    if (node + MG_HEADER_AHEAD < end) {
        mg_prefetch_header(mg_object_at(r->state, r->rows, node + MG_HEADER_AHEAD));
        mg_prefetch_body(mg_object_at(r->state, r->rows, node + MG_BODY_AHEAD));
    }
}

/* The clock may be the program's: only the thread that holds the GIL asks. */
static int
must_stop(mg_recorder *r)
{
    if (r->thread == 0 && mg_must_stop(r->state)) {
        mg_raise_flag(&r->shared->stops);
    }
    return mg_is_raised(&r->shared->stops);
}

/* What was recorded last, from first on, becomes the row of the node. */
static inline void
end_row(mg_recorder *r, uint32_t node, size_t first)
{
    mg_row *row = &r->rows->rows[node];
    const uint32_t *edges = MG_ITEMS(uint32_t, &r->edges) + first;
    size_t count = r->edges.count - first;
    if (count > MG_MOST_NEAR) {
        *row = (mg_row){MG_NEW, {MG_FAR, (uint32_t)(first - r->block_first),
                                 (uint32_t)(r->edges.count - r->block_first)}};
        return;
    }
    *row = (mg_row){MG_NEW, {count > 0 ? edges[0] : MG_NO_NODE,
                             count > 1 ? edges[1] : MG_NO_NODE,
                             count > 2 ? edges[2] : MG_NO_NODE}};
    r->edges.count = first;
}

/* When the budget ends, what is left gets no references. */
static MG_INLINE int
record_block(mg_recorder *r, uint32_t block, const int with_popcnt)
{
    uint32_t first = block << MG_BLOCK_SHIFT;
    uint32_t end = end_of_block(r->rows, block);
    mg_foreign_rows *foreign = &r->shared->foreign;
    uint32_t next_foreign =
        foreign->before_block == NULL ? 0 : foreign->before_block[block];
    int result = 0;
    r->block_first = r->edges.count;
    r->rows->blocks[block] = (mg_block){NULL, r->block_first, r->thread};
    uint32_t node = first;
    for (; node < end && result == 0; node++) {
        if (node % CHECK_EVERY == 0 && must_stop(r)) {
            break;
        }
        fetch(r, node, end);
        size_t row_first = r->edges.count;
        result = MG_UNLIKELY(mg_is_foreign(foreign, node))
            ? mg_foreign_copy(r, next_foreign++) : mg_record_references(r, node, with_popcnt);
        end_row(r, node, row_first);
    }
    for (; node < end; node++) {
        end_row(r, node, r->edges.count);
    }
    return result;
}

/* Record one block after another, until none is left. */
static MG_INLINE void
record_blocks(mg_recorder *r, const int with_popcnt)
{
    mg_recording *shared = r->shared;
    size_t usual_count = shared->rows->count / shared->threads * USUAL_REFERENCES;
    int result = mg_vector_make_room(&r->edges, usual_count, sizeof(uint32_t));
    r->gathered_end = r->gathered;
    while (result == 0) {
        size_t block = mg_claim(&shared->next_block);
        if (block >= mg_block_count(shared->rows)) {
            break;
        }
        result = record_block(r, (uint32_t)block, with_popcnt);
    }
    if (result < 0) {
        mg_raise_flag(&shared->out_of_memory);
        mg_raise_flag(&shared->stops);
    }
    mg_vector_fit(&r->edges, sizeof(uint32_t));
    shared->rows->edges[r->thread] = r->edges;
    mg_lock();
    shared->seen_count += r->seen_count;
    mg_unlock();
}

static void
record_on_thread(void *argument, size_t thread)
{
    mg_recorder r = mg_new_recorder(argument, thread);
    record_blocks(&r, 0);
}

MG_POPCNT static void
record_on_thread_with_popcnt(void *argument, size_t thread)
{
    mg_recorder r = mg_new_recorder(argument, thread);
    record_blocks(&r, 1);
}

static void
list_handles(mg_rows *rows, const mg_map *map)
{
    uint32_t *next = rows->handles;
    size_t words = mg_word_count(map);
    for (size_t w = 0; w < words; w++) {
        for (uint64_t open = map->words[w].open; open != 0; open &= open - 1) {
            *next++ = (uint32_t)(w << 6) | MG_LOWEST_BIT(open);
        }
    }
}

static size_t
threads_for(const mg_recording *shared)
{
    size_t blocks = mg_block_count(shared->rows);
    size_t most = mg_own_types_are_cut(shared->state)
        ? 1 : shared->state->thread_count;
    size_t count = blocks < most ? blocks : most;
    return count != 0 ? count : 1;
}

/* Arrays may have moved while they grew. */
static void
find_edges(mg_rows *rows)
{
    for (size_t b = 0; b < mg_block_count(rows); b++) {
        mg_block *block = &rows->blocks[b];
        const uint32_t *edges = MG_ITEMS(uint32_t, &rows->edges[block->thread]);
        block->edges = edges == NULL ? NULL : edges + block->first;
    }
}

static int
record_all(mg_rows *rows, mg_state *state)
{
    mg_recording shared = {.state = state, .rows = rows};
    shared.threads = threads_for(&shared);
    int result = shared.threads > 1 ? mg_foreign_begin(&shared) : 0;
    if (result == 0) {
        mg_run_together(MG_HAS_POPCNT() ? record_on_thread_with_popcnt : record_on_thread,
                        &shared, shared.threads);
        find_edges(rows);
        /* Others may have recorded it all, and this thread not seen the clock. */
        result = shared.out_of_memory || (mg_must_stop(state) && state->out_of_memory)
            ? -1 : 0;
    }
    mg_foreign_end(&shared);
    state->edge_count += shared.seen_count;
    return result;
}

int
mg_rows_record(mg_rows *rows, mg_state *state)
{
    memset(rows, 0, sizeof(*rows));
    rows->count = mg_map_number(&state->map);
    rows->handles = mg_allocate(rows->count * sizeof(*rows->handles));
    rows->rows = mg_allocate(rows->count * sizeof(*rows->rows));
    rows->blocks = mg_allocate_zeroed(mg_block_count(rows) * sizeof(*rows->blocks));
    if (rows->handles == NULL || rows->rows == NULL || rows->blocks == NULL ||
        rows->count > MG_MOST_NODES) {
        return -1;
    }
    list_handles(rows, &state->map);
    return record_all(rows, state);
}

void
mg_rows_clear(mg_rows *rows)
{
    for (size_t thread = 0; thread < MG_MOST_THREADS; thread++) {
        mg_vector_clear(&rows->edges[thread], sizeof(uint32_t));
    }
    mg_release(rows->blocks, mg_block_count(rows) * sizeof(*rows->blocks));
    mg_release(rows->handles, rows->count * sizeof(*rows->handles));
    mg_release(rows->rows, rows->count * sizeof(*rows->rows));
    mg_vector_clear(&rows->own_type_edges, sizeof(uint32_t));
    memset(rows, 0, sizeof(*rows));
}
