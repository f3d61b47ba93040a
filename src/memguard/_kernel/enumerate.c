/* Which objects there are, and which of them are cut. */
#include "scan.h"

#define CHECK_EVERY 4096

int
mg_is_module(PyTypeObject *type)
{
    if (type == &PyModule_Type) {
        return 1;
    }
    return PyType_HasFeature(type, Py_TPFLAGS_HEAPTYPE) &&
           PyType_IsSubtype(type, &PyModule_Type);
}

static int
is_own(const mg_state *state, PyObject *object)
{
    return Py_TYPE(object) == state->request->own_type;
}

/* Whether a node is cut by its type; a module's dict is noted on the way. */
static int
classify(mg_state *state, PyObject *object)
{
    unsigned cuts = state->request->cuts;
    PyTypeObject *type = Py_TYPE(object);
    if (PyType_HasFeature(type, Py_TPFLAGS_TYPE_SUBCLASS)) {
        return (cuts & MG_CUT_TYPES) != 0;
    }
    /* Nearly all neighbours on the heap share a type; asking a heap type for
       its bases costs more than the rest of this function. */
    if (type == state->plain_type) {
        return 0;
    }
    if (!mg_is_module(type)) {
        state->plain_type = type;
        return 0;
    }
    if (cuts & MG_CUT_MODULE_DICTS) {
        PyObject *dict = PyModule_GetDict(object);
        if (dict != NULL && mg_push_pointer(&state->cut_dicts, dict) < 0) {
            state->out_of_memory = 1;
        }
    }
    return (cuts & MG_CUT_MODULES) != 0;
}

/* Called when `enumerated` gets to `next_check`, which is then moved on. */
static int
limits_reached(mg_state *state)
{
    size_t limit = state->request->max_objects;
    if (limit != 0 && state->enumerated == limit) {
        state->answer->stopped = MG_STOPPED_BY_OBJECTS;
        return 1;
    }
    state->next_check = state->enumerated + CHECK_EVERY;
    if (limit != 0 && state->next_check > limit) {
        state->next_check = limit;
    }
    return mg_must_stop(state);
}

static inline int
add_node(mg_state *state, PyObject *object, uint32_t *handle)
{
    uint32_t leaf = mg_map_leaf(&state->map, (uintptr_t)object);
    if (MG_UNLIKELY(leaf == 0)) {
        state->out_of_memory = 1;
        return -1;
    }
    *handle = mg_handle_of(leaf, (uintptr_t)object);
    state->map.words[*handle >> 6].open |= MG_BIT(*handle);
    state->enumerated++;
    return 0;
}

static int
on_tracked(PyObject *object, void *argument)
{
    mg_state *state = argument;
    uint32_t handle;
    if (MG_UNLIKELY(is_own(state, object))) {
        return 1;
    }
    if ((MG_UNLIKELY(state->enumerated == state->next_check) &&
         limits_reached(state)) ||
        add_node(state, object, &handle) < 0) {
        return 0;
    }
    if (state->map.cut != NULL && MG_UNLIKELY(classify(state, object))) {
        state->map.cut[handle >> 6] |= MG_BIT(handle);
    }
    return 1;
}

static void
cut_module_dicts(mg_state *state)
{
    for (size_t i = 0; i < state->cut_dicts.count; i++) {
        uint32_t handle = mg_find(&state->map,
                                  MG_ITEMS(void *, &state->cut_dicts)[i]);
        if (state->map.words[handle >> 6].open & MG_BIT(handle)) {
            state->map.cut[handle >> 6] |= MG_BIT(handle);
        }
    }
}

int
mg_enumerate_heap(mg_state *state)
{
    state->plain_type = NULL;
    mg_for_each_tracked(on_tracked, state);
    if (state->out_of_memory || mg_map_seal(&state->map) < 0) {
        return -1;
    }
    if (state->request->cuts != 0) {
        cut_module_dicts(state);
    }
    return 0;
}

/* ------------------------------------------------------------------------
   From given roots outward.  Nothing is known beforehand, so each object is
   looked at when it is first met: tracked ones become nodes, cut ones do not,
   and the cost depends on what is reached only. */

static int
module_dict_is_known(const mg_state *state, PyObject *object)
{
    for (size_t i = 0; i < state->cut_dicts.count; i++) {
        if (MG_ITEMS(void *, &state->cut_dicts)[i] == object) {
            return 1;
        }
    }
    return 0;
}

static int
is_cut(mg_state *state, PyObject *object)
{
    unsigned cuts = state->request->cuts;
    if (cuts == 0) {
        return 0;
    }
    if (PyType_Check(object)) {
        return (cuts & MG_CUT_TYPES) != 0;
    }
    if (mg_is_module(Py_TYPE(object))) {
        return (cuts & MG_CUT_MODULES) != 0;
    }
    return (cuts & MG_CUT_MODULE_DICTS) && PyDict_CheckExact(object) &&
           module_dict_is_known(state, object);
}

static int
on_reached(PyObject *object, void *argument)
{
    mg_state *state = argument;
    if (mg_is_gc(object) && PyObject_GC_IsTracked(object) &&
        !is_own(state, object) && !is_cut(state, object)) {
        uint32_t leaf = mg_map_leaf(&state->map, (uintptr_t)object);
        uint32_t handle = mg_handle_of(leaf, (uintptr_t)object);
        if (leaf != 0 &&
            state->map.words[handle >> 6].open & MG_BIT(handle)) {
            return 0;
        }
        if ((state->enumerated == state->next_check && limits_reached(state)) ||
            add_node(state, object, &handle) < 0) {
            return 1;
        }
        if (mg_push_pointer(&state->candidates, object) < 0) {
            state->out_of_memory = 1;
            return 1;
        }
    }
    return 0;
}

/* The dict of a module is known by the module.  Those in sys.modules are
   collected once; what a function calls its globals is one of them. */
static int
collect_module_dicts(mg_state *state)
{
    PyObject *modules = PyImport_GetModuleDict();
    PyObject *name, *module;
    Py_ssize_t position = 0;
    if (modules == NULL || !PyDict_Check(modules)) {
        return 0;
    }
    while (PyDict_Next(modules, &position, &name, &module)) {
        if (mg_is_module(Py_TYPE(module))) {
            PyObject *dict = PyModule_GetDict(module);
            if (dict != NULL && mg_push_pointer(&state->cut_dicts, dict) < 0) {
                return -1;
            }
        }
    }
    return 0;
}

int
mg_enumerate_roots(mg_state *state)
{
    const mg_request *request = state->request;
    if ((request->cuts & MG_CUT_MODULE_DICTS) &&
        collect_module_dicts(state) < 0) {
        return -1;
    }
    for (size_t i = 0; i < request->root_count; i++) {
        PyObject *root = request->roots[i];
        on_reached(root, state);
        /* A root that is cut is not a node, but what it holds is meant. */
        if (mg_is_gc(root) && PyObject_GC_IsTracked(root) &&
            is_cut(state, root)) {
            mg_traverse(root, on_reached, state);
        }
        while (state->candidates.count != 0 && !state->out_of_memory &&
               state->answer->stopped == MG_RUNS) {
            PyObject *next = MG_ITEMS(void *, &state->candidates)
                [--state->candidates.count];
            mg_traverse(next, on_reached, state);
        }
    }
    mg_vector_clear(&state->candidates, sizeof(void *));
    if (state->out_of_memory) {
        return -1;
    }
    return mg_map_seal(&state->map);
}
