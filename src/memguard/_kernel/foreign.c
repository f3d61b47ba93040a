/* Rows of nodes that only the thread with the GIL may record.
 *
 * They are recorded beforehand, in order of numbers, and copied where they
 * belong when a block is recorded, on whatever thread.
 */
#include "recorder.h"

#include <string.h>

#define CHECK_EVERY 1024

/* Afterwards the list of foreign objects is empty. */
static void
mark_foreign(mg_recording *shared)
{
    const mg_map *map = &shared->state->map;
    mg_vector *objects = &shared->state->foreign;
    for (size_t i = 0; i < objects->count; i++) {
        uint32_t handle = mg_find(map, MG_ITEMS(void *, objects)[i]);
        if (mg_is_open(map, handle)) {
            uint32_t node = mg_number_of(map, handle);
            shared->foreign.is_foreign[node >> 6] |= MG_BIT(node);
        }
    }
    mg_vector_clear(objects, sizeof(void *));
}

static size_t
foreign_words(const mg_rows *rows)
{
    return (rows->count + 63) >> 6;
}

static int
record_foreign(mg_recording *shared)
{
    mg_foreign_rows *foreign = &shared->foreign;
    mg_recorder r = mg_new_recorder(shared, 0);
    int result = 0;
    r.gathered_end = r.gathered;
    for (size_t w = 0; w < foreign_words(shared->rows) && result == 0; w++) {
        /* Once stopped, no block is recorded, and none of these rows copied. */
        if (w % (CHECK_EVERY >> 6) == 0 && mg_must_stop(shared->state)) {
            mg_raise_flag(&shared->stops);
            break;
        }
        uint32_t node = (uint32_t)(w << 6);
        if (node % MG_BLOCK_NODES == 0) {
            foreign->before_block[node >> MG_BLOCK_SHIFT] =
                (uint32_t)foreign->ends.count;
        }
        for (uint64_t bits = foreign->is_foreign[w]; bits != 0 && result == 0;
             bits &= bits - 1) {
            result = mg_record_references(&r, node | MG_LOWEST_BIT(bits), 0);
            if (result == 0) {
                result = mg_push_u32(&foreign->ends, (uint32_t)r.edges.count);
            }
        }
    }
    foreign->edges = r.edges;
    shared->seen_count += r.seen_count;
    return result;
}

int
mg_foreign_begin(mg_recording *shared)
{
    mg_foreign_rows *foreign = &shared->foreign;
    const mg_rows *rows = shared->rows;
    if (shared->state->foreign.count == 0) {
        return 0;
    }
    foreign->is_foreign = mg_allocate_zeroed(foreign_words(rows) * sizeof(uint64_t));
    foreign->before_block = mg_allocate(mg_block_count(rows) * sizeof(uint32_t));
    if (foreign->is_foreign == NULL || foreign->before_block == NULL) {
        return -1;
    }
    mark_foreign(shared);
    return record_foreign(shared);
}

int
mg_foreign_copy(mg_recorder *r, uint32_t number)
{
    const mg_foreign_rows *foreign = &r->shared->foreign;
    const uint32_t *ends = MG_ITEMS(uint32_t, &foreign->ends);
    uint32_t first = number == 0 ? 0 : ends[number - 1];
    size_t count = ends[number] - first;
    if (mg_vector_make_room(&r->edges, count, sizeof(uint32_t)) < 0) {
        return -1;
    }
    if (count != 0) {
        memcpy(MG_ITEMS(uint32_t, &r->edges) + r->edges.count,
               MG_ITEMS(uint32_t, &foreign->edges) + first,
               count * sizeof(uint32_t));
    }
    r->edges.count += count;
    return 0;
}

void
mg_foreign_end(mg_recording *shared)
{
    mg_foreign_rows *foreign = &shared->foreign;
    mg_release(foreign->is_foreign, foreign_words(shared->rows) * sizeof(uint64_t));
    mg_release(foreign->before_block,
               mg_block_count(shared->rows) * sizeof(uint32_t));
    mg_vector_clear(&foreign->ends, sizeof(uint32_t));
    mg_vector_clear(&foreign->edges, sizeof(uint32_t));
}

