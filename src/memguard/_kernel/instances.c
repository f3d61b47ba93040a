/* Objects of this interpreter by their type, and what threads keep. */
#include "owners.h"

#define KNOWN 64

typedef struct {
    PyObject *types;
    PyTypeObject *own_type;
    mg_vector *objects;
    uintptr_t known[KNOWN];     /* a type, and whether it is wanted in the lowest bit */
    int out_of_memory;
} instances;

static int
is_wanted(instances *i, PyTypeObject *type)
{
    uintptr_t bits = (uintptr_t)type;
    uintptr_t *known = &i->known[(bits >> 4 ^ bits >> 10) & (KNOWN - 1)];
    if ((*known & ~(uintptr_t)1) != bits) {
        int wanted = 0;
        for (Py_ssize_t t = 0; t < PyTuple_GET_SIZE(i->types) && !wanted; t++) {
            wanted = PyType_IsSubtype(type, (PyTypeObject *)PyTuple_GET_ITEM(i->types, t));
        }
        *known = bits | (uintptr_t)(wanted && type != i->own_type);
    }
    return (int)(*known & 1);
}

static int
on_object(PyObject *object, void *argument)
{
    instances *i = argument;
    if (is_wanted(i, Py_TYPE(object)) && mg_push_pointer(i->objects, object) < 0) {
        i->out_of_memory = 1;
        return 0;
    }
    return 1;
}

int
mg_find_instances(PyObject *types, PyTypeObject *own_type, mg_vector *objects)
{
    instances i = {.types = types, .own_type = own_type, .objects = objects};
    mg_for_each_tracked(on_object, &i);
    if (!i.out_of_memory) {
        mg_for_each_frozen(on_object, &i);
    }
    return i.out_of_memory ? -1 : 0;
}

typedef struct {
    mg_vector *kept;
    mg_vector *threads;
    int out_of_memory;
} thread_data;

static int
on_variable(const mg_running_frame *frame, int variable, PyObject *value, void *argument)
{
    thread_data *data = argument;
    if (variable == MG_THREAD_DATA || variable == MG_CURRENT_CONTEXT) {
        data->out_of_memory |= mg_push_pointer(data->kept, value) < 0 ||
                               mg_push_u64(data->threads, frame->thread) < 0;
    }
    return !data->out_of_memory;
}

int
mg_find_thread_data(mg_vector *kept, mg_vector *threads)
{
    thread_data data = {.kept = kept, .threads = threads};
    mg_for_each_running_variable(on_variable, &data);
    return data.out_of_memory ? -1 : 0;
}
