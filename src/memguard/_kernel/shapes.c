/* Equal cycles together: those whose signatures (signatures.c) are equal. */
#include "scan.h"
#include "sort.h"

static int
compare_shapes(const mg_shape *a, const mg_shape *b)
{
    if (a->object_count != b->object_count) {
        return a->object_count < b->object_count ? 1 : -1;
    }
    return (a->exemplar > b->exemplar) - (a->exemplar < b->exemplar);
}

MG_DEFINE_SORT(sort_by_objects, mg_shape, compare_shapes)

/* Slots of an open-addressing table: shape number + 1 by signature. */
static int
assign_shapes(mg_answer *answer, uint32_t *slots, size_t slot_count)
{
    const uint32_t *start = MG_ITEMS(uint32_t, &answer->cycle_start);
    mg_vector shapes = {0};
    for (uint32_t c = 0; c < answer->cycle_count; c++) {
        mg_cycle *cycle = &answer->cycles[c];
        size_t slot = cycle->signature & (slot_count - 1);
        while (slots[slot] != 0 &&
               answer->cycles[MG_ITEMS(mg_shape, &shapes)[slots[slot] - 1].exemplar]
                       .signature != cycle->signature) {
            slot = (slot + 1) & (slot_count - 1);
        }
        if (slots[slot] == 0) {
            if (shapes.count == shapes.capacity &&
                mg_vector_grow(&shapes, sizeof(mg_shape)) < 0) {
                mg_vector_clear(&shapes, sizeof(mg_shape));
                return -1;
            }
            MG_ITEMS(mg_shape, &shapes)[shapes.count++] = (mg_shape){.exemplar = c};
            slots[slot] = (uint32_t)shapes.count;
        }
        mg_shape *shape = &MG_ITEMS(mg_shape, &shapes)[slots[slot] - 1];
        cycle->shape = slots[slot] - 1;
        shape->cycle_count++;
        shape->object_count += start[c + 1] - start[c];
    }
    answer->shapes = mg_reallocate(shapes.items,
                                   shapes.capacity * sizeof(mg_shape),
                                   shapes.count * sizeof(mg_shape));
    if (answer->shapes == NULL) {
        mg_vector_clear(&shapes, sizeof(mg_shape));
        return -1;
    }
    answer->shape_count = shapes.count;
    return 0;
}

static int
sort_shapes(mg_answer *answer)
{
    size_t bytes = answer->shape_count * sizeof(uint32_t);
    uint32_t *rank = mg_allocate(bytes);
    uint32_t *old_shape = mg_allocate(bytes);
    int result = rank != NULL && old_shape != NULL ? 0 : -1;
    if (result == 0) {
        sort_by_objects(answer->shapes, answer->shape_count);
        for (uint32_t s = 0; s < answer->shape_count; s++) {
            old_shape[s] = answer->cycles[answer->shapes[s].exemplar].shape;
        }
        for (uint32_t s = 0; s < answer->shape_count; s++) {
            rank[old_shape[s]] = s;
        }
        for (size_t c = 0; c < answer->cycle_count; c++) {
            answer->cycles[c].shape = rank[answer->cycles[c].shape];
        }
    }
    mg_release(rank, bytes);
    mg_release(old_shape, bytes);
    return result;
}

/* From the weights of cycles. */
void
mg_add_up_shapes(mg_answer *answer)
{
    for (size_t s = 0; s < answer->shape_count; s++) {
        answer->shapes[s].shallow_bytes = 0;
        answer->shapes[s].retained_bytes = 0;
    }
    for (size_t c = 0; c < answer->cycle_count; c++) {
        mg_shape *shape = &answer->shapes[answer->cycles[c].shape];
        shape->shallow_bytes += answer->cycles[c].shallow_bytes;
        shape->retained_bytes += answer->cycles[c].retained_bytes;
    }
}

static int
has_room_for_cycles(mg_answer *answer)
{
    if (answer->cycles == NULL) {
        answer->cycles =
            mg_allocate_zeroed(answer->cycle_count * sizeof(*answer->cycles));
    }
    return answer->cycles != NULL;
}

int
mg_group_shapes(mg_answer *answer)
{
    if (answer->cycle_count == 0) {
        return 0;
    }
    size_t slot_count = 16;
    while (slot_count < answer->cycle_count * 2) {
        slot_count *= 2;
    }
    if (!has_room_for_cycles(answer) || mg_sign_cycles(answer) < 0) {
        return -1;
    }
    uint32_t *slots = mg_allocate_zeroed(slot_count * sizeof(*slots));
    int result = slots == NULL ? -1 : assign_shapes(answer, slots, slot_count);
    mg_release(slots, slot_count * sizeof(*slots));
    return result < 0 ? -1 : sort_shapes(answer);
}
