/* Equal cycles together.
 *
 * The signature of a cycle is invariant under renaming its members: colour
 * refinement (Weisfeiler-Leman) over the references inside, up to ROUNDS
 * rounds, fewer once a round tells no more members apart.  Colours start from
 * the types, of classes and of what has code from their names, and of what has
 * attributes or variables from the names of those that refer to members: two
 * attributes of one class are two leaks.  Cycles with the same signature have
 * the same size, the same types and, up to that refinement, the same structure.
 */
#include "labels.h"
#include "scan.h"

#include <stdlib.h>
#include <string.h>

#define ROUNDS 12
#define MOST_COUNTED 4096       /* members whose colours are told apart */
#define MOST_ENTRIES 64         /* of a dict that is looked through for names */

static uint64_t
mix(uint64_t value)
{
    value = (value ^ value >> 32) * 0xff51afd7ed558ccdu;
    return value ^ value >> 29;
}

typedef struct {
    const PyObject *const *members;
    const uint64_t *edge_start;
    const uint32_t *edge_target;
    uint64_t *colour;           /* by place in the cycle */
    uint64_t *next;
    uint64_t *seen;             /* a table of colours, see count_colours */
    size_t seen_capacity;
} painter;

static void
repaint(painter *p, uint32_t first, uint32_t count)
{
    memset(p->next, 0, count * sizeof(*p->next));
    for (uint32_t i = 0; i < count; i++) {
        for (uint64_t e = p->edge_start[first + i];
             e < p->edge_start[first + i + 1]; e++) {
            uint32_t target = p->edge_target[e] - first;
            p->next[i] += mix(p->colour[target] ^ 0x5851f42d4c957f2du);
            p->next[target] += mix(p->colour[i] ^ 0x14057b7ef767814fu);
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        p->colour[i] = mix(p->colour[i] + mix(p->next[i]));
    }
}

/* Strings are equal by what they spell: code and classes that each call makes
   anew have names of their own that read the same. */
static uint64_t
mix_text(uint64_t colour, PyObject *text)
{
    if (text == NULL || !PyUnicode_Check(text) || !PyUnicode_IS_READY(text)) {
        return colour;
    }
    const unsigned char *bytes = PyUnicode_DATA(text);
    Py_ssize_t count = PyUnicode_GET_LENGTH(text) * PyUnicode_KIND(text);
    for (Py_ssize_t i = 0; i < count; i++) {
        colour = (colour ^ bytes[i]) * 0x100000001b3u;
    }
    return mix(colour);
}

/* The type, and of classes and what has code the name and the line: cycles of
   two functions that each keep their own exception are two leaks. */
static uint64_t
first_colour(PyObject *member)
{
    uint64_t colour = mix((uint64_t)(uintptr_t)Py_TYPE(member));
    const PyCodeObject *code = mg_code_of(member);
    if (code != NULL) {
        colour = mix_text(mix(colour ^ mix((uint64_t)code->co_firstlineno)),
                          code->co_qualname);
    }
    else if (PyType_Check(member) &&
             PyType_HasFeature((PyTypeObject *)member, Py_TPFLAGS_HEAPTYPE)) {
        colour = mix_text(colour, ((PyHeapTypeObject *)member)->ht_qualname);
    }
    return colour;
}

static int
has_names(PyObject *member)
{
    PyTypeObject *type = Py_TYPE(member);
    return PyType_HasFeature(type, Py_TPFLAGS_HEAPTYPE)
        ? !PyType_Check(member)
        : PyFrame_Check(member) || PyGen_Check(member) || PyCoro_CheckExact(member) ||
              PyAsyncGen_CheckExact(member) || PyExceptionInstance_Check(member);
}

static uint64_t
mix_label(const mg_label *label)
{
    if (label->kind != MG_ATTRIBUTE && label->kind != MG_VARIABLE) {
        return 0;
    }
    uint64_t colour = mix(label->kind);
    if (label->text != NULL) {
        return mix_text(colour, label->text);
    }
    for (const char *c = label->field; *c != 0; c++) {
        colour = (colour ^ (unsigned char)*c) * 0x100000001b3u;
    }
    return mix(colour);
}

static int
is_small_dict(PyObject *object)
{
    return PyDict_CheckExact(object) &&
           ((PyDictObject *)object)->ma_used <= MOST_ENTRIES;
}

/* The attributes and variables of a member that refer to members. */
static uint64_t
names_in(const painter *p, uint32_t first, uint32_t place)
{
    PyObject *member = (PyObject *)p->members[first + place];
    uint64_t colour = 0;
    for (uint64_t e = p->edge_start[first + place];
         e < p->edge_start[first + place + 1]; e++) {
        uint32_t target = p->edge_target[e];
        PyObject *object = (PyObject *)p->members[target];
        if (!mg_is_namespace_of(member, object)) {
            mg_label label = mg_label_of(member, object);
            colour += mix_label(&label);
            continue;
        }
        for (uint64_t d = p->edge_start[target];
             d < p->edge_start[target + 1] && is_small_dict(object); d++) {
            mg_label label = mg_label_in_namespace(
                object, (PyObject *)p->members[p->edge_target[d]]);
            colour += mix_label(&label);
        }
    }
    return colour;
}

/* How many colours there are, in a table of at least twice as many slots. */
static uint32_t
count_colours(painter *p, uint32_t count)
{
    size_t mask = p->seen_capacity - 1;
    while (mask >= 4 * (size_t)count) {
        mask >>= 1;
    }
    uint32_t colour_count = 0;
    memset(p->seen, 0, (mask + 1) * sizeof(*p->seen));
    for (uint32_t i = 0; i < count; i++) {
        size_t slot = p->colour[i] & mask;
        while (p->seen[slot] != 0 && p->seen[slot] != p->colour[i]) {
            slot = (slot + 1) & mask;
        }
        colour_count += p->seen[slot] == 0;
        p->seen[slot] = p->colour[i];
    }
    return colour_count;
}

static uint64_t
signature_of(painter *p, uint32_t first, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        p->colour[i] = first_colour((PyObject *)p->members[first + i]);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (has_names((PyObject *)p->members[first + i])) {
            p->colour[i] = mix(p->colour[i] + names_in(p, first, i));
        }
    }
    uint32_t rounds = count - 1 < ROUNDS ? count - 1 : ROUNDS;
    uint32_t colour_count = 0;
    while (rounds-- > 0) {
        repaint(p, first, count);
        if (count <= MOST_COUNTED) {
            uint32_t before = colour_count;
            colour_count = count_colours(p, count);
            if (colour_count == before) {
                break;      /* and no later round would tell more */
            }
        }
    }
    uint64_t sum = mix(count) + p->edge_start[first + count] - p->edge_start[first];
    for (uint32_t i = 0; i < count; i++) {
        sum += mix(p->colour[i]);
    }
    return mix(mix(sum));
}

static int
sign_cycles(mg_answer *answer)
{
    const uint32_t *start = MG_ITEMS(uint32_t, &answer->cycle_start);
    uint32_t largest = 0;
    for (size_t c = 0; c < answer->cycle_count; c++) {
        uint32_t size = start[c + 1] - start[c];
        largest = size > largest ? size : largest;
    }
    size_t bytes = largest * sizeof(uint64_t);
    size_t seen_capacity = 8;
    while (seen_capacity < 2 * (size_t)(largest < MOST_COUNTED ? largest : MOST_COUNTED)) {
        seen_capacity *= 2;
    }
    painter p = {
        .members = MG_ITEMS(const PyObject *const, &answer->members),
        .edge_start = MG_ITEMS(uint64_t, &answer->edge_start),
        .edge_target = MG_ITEMS(uint32_t, &answer->edge_target),
        .colour = mg_allocate(bytes),
        .next = mg_allocate(bytes),
        .seen = mg_allocate(seen_capacity * sizeof(uint64_t)),
        .seen_capacity = seen_capacity,
    };
    int result = p.colour != NULL && p.next != NULL && p.seen != NULL ? 0 : -1;
    for (size_t c = 0; c < answer->cycle_count && result == 0; c++) {
        answer->cycles[c].signature =
            signature_of(&p, start[c], start[c + 1] - start[c]);
    }
    mg_release(p.colour, bytes);
    mg_release(p.next, bytes);
    mg_release(p.seen, seen_capacity * sizeof(uint64_t));
    return result;
}

static int
compare_shapes(const void *left, const void *right)
{
    const mg_shape *a = left;
    const mg_shape *b = right;
    if (a->object_count != b->object_count) {
        return a->object_count < b->object_count ? 1 : -1;
    }
    return (a->exemplar > b->exemplar) - (a->exemplar < b->exemplar);
}

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
        shape->shallow_bytes += cycle->shallow_bytes;
        shape->retained_bytes += cycle->retained_bytes;
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
        qsort(answer->shapes, answer->shape_count, sizeof(*answer->shapes),
              compare_shapes);
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

int
mg_group_shapes(mg_state *state)
{
    mg_answer *answer = state->answer;
    if (answer->cycle_count == 0) {
        return 0;
    }
    size_t slot_count = 16;
    while (slot_count < answer->cycle_count * 2) {
        slot_count *= 2;
    }
    if (sign_cycles(answer) < 0) {
        return -1;
    }
    uint32_t *slots = mg_allocate_zeroed(slot_count * sizeof(*slots));
    int result = slots == NULL ? -1 : assign_shapes(answer, slots, slot_count);
    mg_release(slots, slot_count * sizeof(*slots));
    return result < 0 ? -1 : sort_shapes(answer);
}
