/* Numbers for pointers, in order of first appearance: 0, 1, 2, ...
 *
 * For the few sets that are not nodes (types, children that are not tracked).
 */
#ifndef MG_POINTER_INDEX_H
#define MG_POINTER_INDEX_H

#include <stdint.h>
#include <string.h>

#include "memory.h"

typedef struct {
    mg_vector pointers;         /* void *, by number */
    uint32_t *slots;            /* number + 1; 0: empty */
    size_t slot_count;          /* a power of two, or 0 */
} mg_pointer_index;

#define MG_NO_NUMBER UINT32_MAX

static inline size_t
mg_pointer_slot(const mg_pointer_index *index, const void *pointer)
{
    size_t mask = index->slot_count - 1;
    size_t slot = (size_t)((uint64_t)(uintptr_t)pointer * 0x9e3779b97f4a7c15u >> 24);
    for (;; slot++) {
        uint32_t number = index->slots[slot & mask];
        if (number == 0 ||
            MG_ITEMS(void *, &index->pointers)[number - 1] == pointer) {
            return slot & mask;
        }
    }
}

static inline int
mg_pointer_index_grow(mg_pointer_index *index)
{
    size_t old_count = index->slot_count;
    size_t count = old_count ? old_count * 2 : 256;
    uint32_t *slots = mg_allocate_zeroed(count * sizeof(*slots));
    if (slots == NULL) {
        return -1;
    }
    mg_release(index->slots, old_count * sizeof(*slots));
    index->slots = slots;
    index->slot_count = count;
    for (size_t i = 0; i < index->pointers.count; i++) {
        slots[mg_pointer_slot(index, MG_ITEMS(void *, &index->pointers)[i])] =
            (uint32_t)i + 1;
    }
    return 0;
}

static inline int
mg_pointer_is_in(const mg_pointer_index *index, const void *pointer)
{
    return index->slot_count != 0 &&
           index->slots[mg_pointer_slot(index, pointer)] != 0;
}

/* Of one that is in. */
static inline uint32_t
mg_number_in(const mg_pointer_index *index, const void *pointer)
{
    return index->slots[mg_pointer_slot(index, pointer)] - 1;
}

/* MG_NO_NUMBER: no memory. */
static inline uint32_t
mg_pointer_number(mg_pointer_index *index, void *pointer)
{
    if (index->pointers.count * 2 >= index->slot_count &&
        mg_pointer_index_grow(index) < 0) {
        return MG_NO_NUMBER;
    }
    size_t slot = mg_pointer_slot(index, pointer);
    if (index->slots[slot] == 0) {
        if (mg_push_pointer(&index->pointers, pointer) < 0) {
            return MG_NO_NUMBER;
        }
        index->slots[slot] = (uint32_t)index->pointers.count;
    }
    return index->slots[slot] - 1;
}

static inline void
mg_pointer_index_clear(mg_pointer_index *index)
{
    mg_release(index->slots, index->slot_count * sizeof(*index->slots));
    mg_vector_clear(&index->pointers, sizeof(void *));
    memset(index, 0, sizeof(*index));
}

#endif
