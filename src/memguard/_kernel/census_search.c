/* Objects that a census told of, found again in walks over the heap that look at no
   reference. */
#include "census.h"

#include "nodemap.h"

#include <string.h>

typedef struct {
    uintptr_t last_address;
    mg_pointer_index wanted;    /* addresses */
    mg_pointer_index met;       /* of them */
    int out_of_memory;
} address_search;

static int
note_wanted(PyObject *object, void *argument)
{
    address_search *search = argument;
    mg_fetch_ahead(&search->last_address, object);
    if (MG_UNLIKELY(mg_pointer_is_in(&search->wanted, object)) &&
        mg_pointer_number(&search->met, object) == MG_NO_NUMBER) {
        search->out_of_memory = 1;
    }
    return !search->out_of_memory;
}

int
mg_find_tracked(const mg_place *places, size_t count, PyObject **found)
{
    address_search search = {0};
    for (size_t i = 0; i < count && !search.out_of_memory; i++) {
        void *address = (void *)(uintptr_t)places[i].address;
        search.out_of_memory =
            mg_pointer_number(&search.wanted, address) == MG_NO_NUMBER;
    }
    if (!search.out_of_memory) {
        mg_for_each_tracked(note_wanted, &search);
    }
    if (!search.out_of_memory) {
        mg_for_each_frozen(note_wanted, &search);
    }
    for (size_t i = 0; i < count && !search.out_of_memory; i++) {
        PyObject *object = (PyObject *)(uintptr_t)places[i].address;
        found[i] = mg_pointer_is_in(&search.met, object) &&
                           (uintptr_t)Py_TYPE(object) == places[i].type
            ? object : NULL;
    }
    mg_pointer_index_clear(&search.wanted);
    mg_pointer_index_clear(&search.met);
    return search.out_of_memory ? -1 : 0;
}

typedef struct {
    uintptr_t last_address;
    mg_pointer_index types;
    PyTypeObject *known[64];
    int out_of_memory;
} type_list;

static int
note_type(PyObject *object, void *argument)
{
    type_list *list = argument;
    mg_fetch_ahead(&list->last_address, object);
    uintptr_t bits = (uintptr_t)Py_TYPE(object);
    PyTypeObject **known = &list->known[(bits >> 4 ^ bits >> 10) & 63];
    if (MG_UNLIKELY(*known != Py_TYPE(object))) {
        *known = Py_TYPE(object);
        list->out_of_memory |= mg_pointer_number(&list->types, *known) == MG_NO_NUMBER;
    }
    return !list->out_of_memory;
}

int
mg_list_types(mg_vector *types)
{
    type_list list = {0};
    mg_for_each_tracked(note_type, &list);
    if (!list.out_of_memory) {
        *types = list.types.pointers;
        memset(&list.types.pointers, 0, sizeof(list.types.pointers));
    }
    mg_pointer_index_clear(&list.types);
    return list.out_of_memory ? -1 : 0;
}

typedef struct {
    PyTypeObject *const *types;
    size_t type_count;
    size_t most;
    PyObject **newest;
    size_t *met;
} newest_search;

static int
note_newest(PyObject *object, void *argument)
{
    newest_search *search = argument;
    PyTypeObject *type = Py_TYPE(object);
    for (size_t i = 0; i < search->type_count; i++) {
        if (search->types[i] == type) {
            size_t place = search->met[i]++ % search->most;
            search->newest[i * search->most + place] = object;
        }
    }
    return 1;
}

void
mg_newest_of(PyTypeObject *const *types, size_t type_count, size_t most,
             PyObject **newest, size_t *met)
{
    newest_search search = {types, type_count, most, newest, met};
    memset(newest, 0, type_count * most * sizeof(*newest));
    memset(met, 0, type_count * sizeof(*met));
    mg_for_each_tracked(note_newest, &search);
}
