#include "census.h"

#include "nodemap.h"
#include "sizes.h"

#include <string.h>

#define LEAST_SLOTS 1024
#define DEQUE_BLOCK_ITEMS 64
#define DEQUE_BLOCK_BYTES ((DEQUE_BLOCK_ITEMS + 2) * sizeof(void *))

/* What an object of a type is. */
enum { NO_CONTAINER, IS_LIST, IS_DICT, IS_SET, IS_DEQUE };

typedef struct {
    PyTypeObject *type;
    int kind;
    uint32_t number;            /* in populations */
} known_type;

typedef struct {
    const mg_census_request *request;
    mg_counted_table table;
    mg_vector populations;
    mg_pointer_index types;
    known_type known[64];
    size_t floor;
    size_t object_count;
    int out_of_memory;
    uint64_t leaf_bytes;        /* while a container is looked through */
    uintptr_t last_address;
} census_pass;

/* ------------------------------------------------------------------------
   The table of containers. */

static size_t
slot_of(const mg_counted_table *table, const PyObject *object)
{
    size_t mask = table->slot_count - 1;
    size_t slot = (size_t)((uint64_t)(uintptr_t)object * 0x9e3779b97f4a7c15u >> 24);
    for (;; slot++) {
        const mg_counted *entry = &table->slots[slot & mask];
        if (entry->object == NULL || entry->object == object) {
            return slot & mask;
        }
    }
}

static const mg_counted *
find_counted(const mg_counted_table *table, const PyObject *object)
{
    if (table->slot_count == 0) {
        return NULL;
    }
    const mg_counted *entry = &table->slots[slot_of(table, object)];
    return entry->object == NULL ? NULL : entry;
}

static void
clear_table(mg_counted_table *table)
{
    mg_release(table->slots, table->slot_count * sizeof(*table->slots));
    memset(table, 0, sizeof(*table));
}

/* Into a new table, without what is shorter than the floor. */
static int
rebuild(mg_counted_table *table, size_t slot_count, size_t floor)
{
    mg_counted_table rebuilt = {
        mg_allocate_zeroed(slot_count * sizeof(mg_counted)), slot_count, 0};
    if (rebuilt.slots == NULL) {
        return -1;
    }
    for (size_t i = 0; i < table->slot_count; i++) {
        const mg_counted *entry = &table->slots[i];
        if (entry->object != NULL && entry->length >= floor) {
            rebuilt.slots[slot_of(&rebuilt, entry->object)] = *entry;
            rebuilt.count++;
        }
    }
    clear_table(table);
    *table = rebuilt;
    return 0;
}

static int
make_room(census_pass *pass)
{
    mg_counted_table *table = &pass->table;
    if (table->count * 2 >= table->slot_count) {
        size_t slot_count = table->slot_count ? table->slot_count * 2 : LEAST_SLOTS;
        if (rebuild(table, slot_count, pass->floor) < 0) {
            return -1;
        }
    }
    while (table->count >= pass->request->most_containers) {
        pass->floor *= 2;
        if (rebuild(table, table->slot_count, pass->floor) < 0) {
            return -1;
        }
    }
    return 0;
}

/* ------------------------------------------------------------------------
   What there is. */

static int
kind_of(const census_pass *pass, PyTypeObject *type)
{
    if (PyType_HasFeature(type, Py_TPFLAGS_LIST_SUBCLASS)) {
        return IS_LIST;
    }
    if (PyType_HasFeature(type, Py_TPFLAGS_DICT_SUBCLASS)) {
        return IS_DICT;
    }
    if (type->tp_basicsize >= (Py_ssize_t)sizeof(PySetObject) &&
        PyType_IsSubtype(type, &PySet_Type)) {
        return IS_SET;
    }
    PyTypeObject *deque_type = pass->request->deque_type;
    return type == deque_type || (type->tp_basicsize >= deque_type->tp_basicsize &&
                                  PyType_IsSubtype(type, deque_type))
        ? IS_DEQUE : NO_CONTAINER;
}

static size_t
length_of(PyObject *object, int kind)
{
    switch (kind) {
    case IS_DICT:
        return (size_t)((PyDictObject *)object)->ma_used;
    case IS_SET:
        return (size_t)((PySetObject *)object)->used;
    default:
        return (size_t)Py_SIZE(object);
    }
}

/* NULL: no memory. */
static const known_type *
know_type(census_pass *pass, PyTypeObject *type)
{
    uintptr_t bits = (uintptr_t)type;
    known_type *known = &pass->known[(bits >> 4 ^ bits >> 10) & 63];
    if (MG_LIKELY(known->type == type)) {
        return known;
    }
    uint32_t number = mg_pointer_number(&pass->types, type);
    if (number == MG_NO_NUMBER) {
        return NULL;
    }
    if (number == pass->populations.count) {
        if (pass->populations.count == pass->populations.capacity &&
            mg_vector_grow(&pass->populations, sizeof(mg_population)) < 0) {
            return NULL;
        }
        MG_ITEMS(mg_population, &pass->populations)[pass->populations.count++] =
            (mg_population){type, 0, 0};
    }
    *known = (known_type){type, kind_of(pass, type), number};
    return known;
}

static int
visit_leaf(PyObject *object, void *argument)
{
    census_pass *pass = argument;
    if (Py_REFCNT(object) == 1 && !PyType_IS_GC(Py_TYPE(object))) {
        pass->leaf_bytes += mg_shallow_bytes(object);
    }
    return 0;
}

static int
note_container(census_pass *pass, PyObject *object, size_t length, size_t shallow_bytes)
{
    if (make_room(pass) < 0) {
        return -1;
    }
    if (length < pass->floor) {
        return 0;
    }
    mg_counted *entry = &pass->table.slots[slot_of(&pass->table, object)];
    if (entry->object != NULL) {
        return 0;               /* a dict that is not tracked, met a second time */
    }
    pass->leaf_bytes = 0;
    (void)Py_TYPE(object)->tp_traverse(object, visit_leaf, pass);
    *entry = (mg_counted){object, Py_TYPE(object), length, shallow_bytes,
                          pass->leaf_bytes};
    pass->table.count++;
    return 0;
}

/* Up to 3.13 the collector does not track a dict whose values it need not track: then
   it is met only where something refers to it. */
static int
visit_referent(PyObject *object, void *argument)
{
    census_pass *pass = argument;
    if (PyDict_Check(object) && !PyObject_GC_IsTracked(object)) {
        size_t length = length_of(object, IS_DICT);
        if (length >= pass->floor &&
            note_container(pass, object, length, mg_shallow_bytes(object)) < 0) {
            pass->out_of_memory = 1;
            return 1;
        }
    }
    return 0;
}

/* Variables of running frames, which hold such dicts, too. */
static int
on_variable(PyObject *object, void *argument)
{
    return visit_referent(object, argument) == 0;
}

static int
on_object(PyObject *object, void *argument)
{
    census_pass *pass = argument;
    mg_fetch_ahead(&pass->last_address, object);
    PyTypeObject *type = Py_TYPE(object);
    const known_type *known = know_type(pass, type);
    if (known == NULL) {
        pass->out_of_memory = 1;
        return 0;
    }
    size_t bytes = mg_shallow_bytes(object);
    if (known->kind == IS_DEQUE) {
        bytes += ((size_t)Py_SIZE(object) / DEQUE_BLOCK_ITEMS + 1) * DEQUE_BLOCK_BYTES;
    }
    mg_population *population =
        &MG_ITEMS(mg_population, &pass->populations)[known->number];
    population->count++;
    population->bytes += bytes;
    pass->object_count++;
    if (known->kind != NO_CONTAINER) {
        size_t length = length_of(object, known->kind);
        if (length >= pass->floor && note_container(pass, object, length, bytes) < 0) {
            pass->out_of_memory = 1;
            return 0;
        }
    }
    (void)type->tp_traverse(object, visit_referent, pass);
    return !pass->out_of_memory;
}

/* ------------------------------------------------------------------------
   What is noted before a fork. */

typedef struct {
    mg_vector *noted;
    int out_of_memory;
} noting;

static int
note_object(PyObject *object, void *argument)
{
    noting *n = argument;
    n->out_of_memory |= mg_push_pointer(n->noted, object) < 0;
    return !n->out_of_memory;
}

static int
note_variable(PyObject *object, void *argument)
{
    return !PyDict_Check(object) || PyObject_GC_IsTracked(object) ||
           note_object(object, argument);
}

int
mg_census_note(mg_census_noted *noted)
{
    noting objects = {&noted->objects, 0};
    noting variables = {&noted->variables, 0};
    if (!MG_WALKS_LISTS) {
        mg_for_each_tracked(note_object, &objects);
    }
    mg_for_each_frame_root(note_variable, &variables);
    return objects.out_of_memory || variables.out_of_memory ? -1 : 0;
}

void
mg_census_noted_clear(mg_census_noted *noted)
{
    mg_vector_clear(&noted->objects, sizeof(void *));
    mg_vector_clear(&noted->variables, sizeof(void *));
}

static void
for_each_noted(const mg_vector *noted, mg_object_visitor visit, void *argument)
{
    PyObject **objects = MG_ITEMS(PyObject *, noted);
    for (size_t i = 0; i < noted->count && visit(objects[i], argument); i++) {
    }
}

static void
look_at_all(census_pass *pass)
{
    const mg_census_noted *noted = pass->request->noted;
    if (noted != NULL && !MG_WALKS_LISTS) {
        for_each_noted(&noted->objects, on_object, pass);
    }
    else {
        mg_for_each_tracked(on_object, pass);
    }
    if (!pass->out_of_memory) {
        mg_for_each_frozen(on_object, pass);
    }
    if (pass->out_of_memory) {
        return;
    }
    if (noted != NULL) {
        for_each_noted(&noted->variables, on_variable, pass);
    }
    else {
        mg_for_each_frame_root(on_variable, pass);
    }
}

/* ------------------------------------------------------------------------
   What changed. */

static int
push_change(mg_vector *changes, const mg_counted *entry, uint64_t before, uint64_t length)
{
    if (changes->count == changes->capacity &&
        mg_vector_grow(changes, sizeof(mg_change)) < 0) {
        return -1;
    }
    MG_ITEMS(mg_change, changes)[changes->count++] = (mg_change){
        (uintptr_t)entry->object, (uintptr_t)entry->type, before, length,
        entry->shallow_bytes, entry->leaf_bytes};
    return 0;
}

static int
is_same(const mg_counted *left, const mg_counted *right)
{
    return left != NULL && right != NULL && left->type == right->type;
}

static int
compare(const mg_counted_table *before, const mg_counted_table *after, size_t floor,
        mg_vector *changes)
{
    for (size_t i = 0; i < after->slot_count; i++) {
        const mg_counted *entry = &after->slots[i];
        if (entry->object == NULL) {
            continue;
        }
        const mg_counted *earlier = find_counted(before, entry->object);
        uint64_t length = is_same(earlier, entry) ? earlier->length : 0;
        if (length != entry->length &&
            push_change(changes, entry, length, entry->length) < 0) {
            return -1;
        }
    }
    for (size_t i = 0; i < before->slot_count; i++) {
        const mg_counted *entry = &before->slots[i];
        /* What the floor rose above is not gone. */
        if (entry->object != NULL && entry->length >= floor &&
            !is_same(entry, find_counted(after, entry->object)) &&
            push_change(changes, entry, entry->length, 0) < 0) {
            return -1;
        }
    }
    return 0;
}

int
mg_census_take(mg_census *census, const mg_census_request *request)
{
    double started_seconds = mg_monotonic_seconds();
    census_pass pass = {.request = request, .floor = request->floor};
    mg_vector changes = {0};
    if (pass.floor < census->floor) {
        pass.floor = census->floor;     /* else all that lies between would seem new */
    }
    int result = rebuild(&pass.table, LEAST_SLOTS, 0);
    if (result == 0) {
        look_at_all(&pass);
        result = pass.out_of_memory ? -1 : 0;
    }
    /* At first everything is new, and nothing has changed. */
    if (result == 0 && census->pass_count > 0) {
        result = compare(&census->table, &pass.table, pass.floor, &changes);
    }
    mg_pointer_index_clear(&pass.types);
    if (result < 0) {
        clear_table(&pass.table);
        mg_vector_clear(&pass.populations, sizeof(mg_population));
        mg_vector_clear(&changes, sizeof(mg_change));
        return -1;
    }
    size_t pass_count = census->pass_count + 1;
    mg_census_clear(census);
    census->table = pass.table;
    census->populations = pass.populations;
    census->changes = changes;
    census->floor = pass.floor;
    census->pass_count = pass_count;
    census->object_count = pass.object_count;
    census->duration_seconds = mg_monotonic_seconds() - started_seconds;
    return 0;
}

PyObject *
mg_census_find(const mg_census *census, uint64_t address, uint64_t type)
{
    const mg_counted *entry =
        find_counted(&census->table, (const PyObject *)(uintptr_t)address);
    return entry != NULL && (uintptr_t)entry->type == type ? entry->object : NULL;
}

void
mg_census_clear(mg_census *census)
{
    clear_table(&census->table);
    mg_vector_clear(&census->changes, sizeof(mg_change));
    mg_vector_clear(&census->populations, sizeof(mg_population));
    memset(census, 0, sizeof(*census));
}
