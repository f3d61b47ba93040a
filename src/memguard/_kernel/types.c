/* How many objects of each type there are. */
#include "scan.h"

int
mg_count_type(mg_vector *counts, mg_pointer_index *types, PyTypeObject *type)
{
    uint32_t number = mg_pointer_number(types, type);
    if (number == MG_NO_NUMBER) {
        return -1;
    }
    if (number == counts->count) {
        if (counts->count == counts->capacity &&
            mg_vector_grow(counts, sizeof(mg_type_count)) < 0) {
            return -1;
        }
        MG_ITEMS(mg_type_count, counts)[counts->count++] =
            (mg_type_count){type, 0};
    }
    MG_ITEMS(mg_type_count, counts)[number].count++;
    return 0;
}

int
mg_count_types(mg_vector *counts, PyObject *const *objects, size_t count)
{
    mg_pointer_index types = {0};
    int result = 0;
    for (size_t i = 0; i < count && result == 0; i++) {
        result = mg_count_type(counts, &types, Py_TYPE(objects[i]));
    }
    mg_pointer_index_clear(&types);
    return result;
}
