#include "memory.h"

#include <stdlib.h>
#include <string.h>

mg_memory_account mg_memory;

static int
refuses(void)
{
    mg_memory.allocation_count++;
    return mg_memory.fail_at != 0 &&
           mg_memory.allocation_count == mg_memory.fail_at;
}

static void
account(size_t added_bytes, size_t removed_bytes)
{
    mg_memory.current_bytes += added_bytes;
    mg_memory.current_bytes -= removed_bytes;
    if (mg_memory.current_bytes > mg_memory.peak_bytes) {
        mg_memory.peak_bytes = mg_memory.current_bytes;
    }
}

void *
mg_allocate(size_t size_bytes)
{
    void *block = refuses() ? NULL : malloc(size_bytes ? size_bytes : 1);
    if (block != NULL) {
        account(size_bytes, 0);
    }
    return block;
}

void *
mg_allocate_zeroed(size_t size_bytes)
{
    /* calloc, not malloc and memset: large blocks come from the kernel zeroed
       and stay untouched until used. */
    void *block = refuses() ? NULL : calloc(1, size_bytes ? size_bytes : 1);
    if (block != NULL) {
        account(size_bytes, 0);
    }
    return block;
}

void *
mg_reallocate(void *block, size_t old_bytes, size_t new_bytes)
{
    void *moved = refuses() ? NULL : realloc(block, new_bytes ? new_bytes : 1);
    if (moved != NULL) {
        account(new_bytes, old_bytes);
    }
    return moved;
}

void
mg_release(void *block, size_t size_bytes)
{
    if (block != NULL) {
        account(0, size_bytes);
        free(block);
    }
}

int
mg_vector_grow(mg_vector *vector, size_t item_bytes)
{
    return mg_vector_enlarge(vector, 64, item_bytes);
}

int
mg_vector_enlarge(mg_vector *vector, size_t more, size_t item_bytes)
{
    /* By half: a doubled array may be half empty when it is at its largest,
       and that is when side_table_bytes is read. */
    size_t capacity = vector->capacity + vector->capacity / 2 + more;
    if (capacity > SIZE_MAX / item_bytes) {
        return -1;
    }
    void *items = mg_reallocate(vector->items, vector->capacity * item_bytes,
                                capacity * item_bytes);
    if (items == NULL) {
        return -1;
    }
    vector->items = items;
    vector->capacity = capacity;
    return 0;
}

void
mg_vector_clear(mg_vector *vector, size_t item_bytes)
{
    mg_release(vector->items, vector->capacity * item_bytes);
    memset(vector, 0, sizeof(*vector));
}
