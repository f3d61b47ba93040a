/* Recording the references of one node after another.
 *
 *   record.c    nodes by blocks, on several threads
 *   foreign.c   nodes that only the thread with the GIL may record, beforehand
 */
#ifndef MG_RECORDER_H
#define MG_RECORDER_H

#include "order.h"
#include "rows.h"

/* Rows of foreign nodes, in order of numbers. */
typedef struct {
    uint64_t *is_foreign;       /* a bit for each node; NULL: there are none */
    mg_vector ends;             /* uint32_t, by foreign node */
    mg_vector edges;
    uint32_t *before_block;     /* foreign nodes in all blocks before */
} mg_foreign_rows;

/* What all threads share. */
typedef struct {
    mg_state *state;
    mg_rows *rows;
    mg_foreign_rows foreign;
    size_t threads;
    size_t next_block;
    size_t seen_count;
    int stops;                  /* the budget is spent, or there is no memory */
    int out_of_memory;
} mg_recording;

typedef struct {
    mg_recording *shared;
    mg_state *state;
    mg_rows *rows;
    size_t thread;
    size_t block_first;         /* of the edges of the block being recorded */
    mg_vector edges;            /* a copy, for two threads must not write to one
                                   cache line all the time */
    size_t seen_count;          /* references, to nodes or not */
    int out_of_memory;
    PyObject **gathered_end;
    PyObject *gathered[MG_GATHERED];
} mg_recorder;

/* Counting bits is a good part of a look-up, and the instruction for it no part
   of plain x86-64.  What counts is therefore compiled twice: with_popcnt is a
   constant wherever it stands. */
#if defined(__GNUC__) && defined(__x86_64__)
#define MG_POPCNT __attribute__((target("popcnt")))
#define MG_HAS_POPCNT() __builtin_cpu_supports("popcnt")
#else
#define MG_POPCNT
#define MG_HAS_POPCNT() 0
#endif

static MG_INLINE uint32_t
mg_counted_number_of(const mg_map *map, uint32_t handle, const int with_popcnt)
{
#if defined(__GNUC__)
    if (with_popcnt) {
        const mg_word *word = &map->words[handle >> 6];
        return word->before + (uint32_t)__builtin_popcountll(
            word->open & (MG_BIT(handle) - 1));
    }
#endif
    return mg_number_of(map, handle);
}

static MG_INLINE int
mg_record_items(mg_recorder *r, PyObject *const *objects, size_t count, const int with_popcnt)
{
    const mg_map *map = &r->state->map;
    if (mg_vector_make_room(&r->edges, count, sizeof(uint32_t)) < 0) {
        r->out_of_memory = 1;
        return 1;
    }
    uint32_t *first = MG_ITEMS(uint32_t, &r->edges);
    uint32_t *end = first + r->edges.count;
    size_t seen_count = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t handle = mg_find(map, objects[i]);
        seen_count += objects[i] != NULL;
        if (mg_is_open(map, handle)) {
            *end++ = mg_counted_number_of(map, handle, with_popcnt);
        }
    }
    r->edges.count = (size_t)(end - first);
    r->seen_count += seen_count;
    return 0;
}

static MG_INLINE int
mg_record_gathered(mg_recorder *r, const int with_popcnt)
{
    size_t count = (size_t)(r->gathered_end - r->gathered);
    r->gathered_end = r->gathered;
    return mg_record_items(r, r->gathered, count, with_popcnt);
}

static inline int
mg_record_later(PyObject *object, void *argument)
{
    mg_recorder *r = argument;
    *r->gathered_end++ = object;
    return MG_UNLIKELY(r->gathered_end == r->gathered + MG_GATHERED)
        ? mg_record_gathered(r, 0) : 0;
}

static inline mg_recorder
mg_new_recorder(mg_recording *shared, size_t thread)
{
    return (mg_recorder){
        .shared = shared,
        .state = shared->state,
        .rows = shared->rows,
        .thread = thread,
    };
}

static inline size_t
mg_block_count(const mg_rows *rows)
{
    return (rows->count + MG_BLOCK_NODES - 1) >> MG_BLOCK_SHIFT;
}

static inline int
mg_is_foreign(const mg_foreign_rows *foreign, uint32_t node)
{
    return foreign->is_foreign != NULL &&
           (foreign->is_foreign[node >> 6] & MG_BIT(node)) != 0;
}

/* What is left when references are as the interpreter owns them: record.c.
   0, or -1: no memory. */
int mg_tidy_references(mg_recorder *r, PyObject *object, uint32_t node, size_t first);

/* -1: no memory. */
static MG_INLINE int
mg_record_references(mg_recorder *r, uint32_t node, const int with_popcnt)
{
    PyObject *object = mg_object_at(r->state, r->rows, node);
    size_t first = r->edges.count;
    size_t count;
    PyObject *const *items = mg_items_of(object, &count);
    if (items != NULL) {
        mg_record_items(r, items, count, with_popcnt);
    }
    else {
        mg_traverse(object, mg_record_later, r);
        mg_record_gathered(r, with_popcnt);
    }
    if (MG_UNLIKELY(r->out_of_memory)) {
        return -1;
    }
    if (MG_UNLIKELY(mg_has_borrowed_stack(Py_TYPE(object)) ||
                    mg_own_types_are_cut(r->state)) &&
        mg_tidy_references(r, object, node, first) < 0) {
        return -1;
    }
    if (MG_UNLIKELY(r->edges.count - first >= MG_LONG_RUN)) {
        mg_bring_near_together(MG_ITEMS(uint32_t, &r->edges) + first,
                               r->edges.count - first);
    }
    return r->edges.count - r->block_first > UINT32_MAX ? -1 : 0;
}

/* All return 0, or -1: no memory. */
int mg_foreign_begin(mg_recording *shared);
/* Append the row of the foreign node with this number among foreign ones. */
int mg_foreign_copy(mg_recorder *r, uint32_t number);
void mg_foreign_end(mg_recording *shared);

#endif
