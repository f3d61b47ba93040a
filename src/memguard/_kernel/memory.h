/* Native memory of one scan.
 *
 * Covers: every allocation of the kernel, its accounting, and the hook with
 * which the tests make each of them fail in turn.
 * Does not cover: Python objects; the kernel creates none.
 *
 * Callers pass the size back on release, so an allocation carries no header
 * and `side_table_bytes` is exact.
 */
#ifndef MG_MEMORY_H
#define MG_MEMORY_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    size_t current_bytes;
    size_t peak_bytes;
    long fail_at;               /* 0: never; n: the n-th allocation fails */
    long allocation_count;
} mg_memory_account;

/* One account a process: scans run one at a time, under the GIL.  Threads of a
   scan may allocate. */
extern mg_memory_account mg_memory;

void *mg_allocate(size_t size_bytes);        /* NULL: no memory */
void *mg_allocate_zeroed(size_t size_bytes);
void *mg_reallocate(void *block, size_t old_bytes, size_t new_bytes);
void mg_release(void *block, size_t size_bytes);

/* From now on nothing is asked of malloc, whose locks a child process inherits as
   they happened to be.  There is no way back. */
void mg_do_without_malloc(void);

/* A growable array.  All three kinds fail alike: -1, and the contents stay. */
typedef struct {
    void *items;
    size_t count;
    size_t capacity;
} mg_vector;

int mg_vector_grow(mg_vector *vector, size_t item_bytes);
int mg_vector_enlarge(mg_vector *vector, size_t more, size_t item_bytes);
/* Give back what is not used; keeps what cannot be given back. */
void mg_vector_fit(mg_vector *vector, size_t item_bytes);
void mg_vector_clear(mg_vector *vector, size_t item_bytes);

/* Room for `more` items after the present ones. */
static inline int
mg_vector_make_room(mg_vector *vector, size_t more, size_t item_bytes)
{
    return vector->capacity - vector->count >= more
        ? 0 : mg_vector_enlarge(vector, more, item_bytes);
}

#define MG_ITEMS(type, vector) ((type *)(vector)->items)

#define MG_DEFINE_PUSH(name, type)                                        \
    static inline int name(mg_vector *vector, type item)                  \
    {                                                                     \
        if (vector->count == vector->capacity &&                          \
            mg_vector_grow(vector, sizeof(type)) < 0) {                   \
            return -1;                                                    \
        }                                                                 \
        MG_ITEMS(type, vector)[vector->count++] = item;                   \
        return 0;                                                         \
    }

MG_DEFINE_PUSH(mg_push_u32, uint32_t)
MG_DEFINE_PUSH(mg_push_u64, uint64_t)
MG_DEFINE_PUSH(mg_push_pointer, void *)

#endif
