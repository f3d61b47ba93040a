/* Which objects a live cycle may not pass through. */
#include "scan.h"

#define FILTER_BITS (sizeof(((mg_state *)0)->cut_dict_filter) * 8)

int
mg_is_module(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    return type == &PyModule_Type ||
           (PyType_HasFeature(type, Py_TPFLAGS_HEAPTYPE) &&
            PyType_IsSubtype(type, &PyModule_Type));
}

int
mg_find_out_plain(mg_state *state, PyTypeObject *type)
{
    if (PyType_HasFeature(type, Py_TPFLAGS_TYPE_SUBCLASS) ||
        type == state->request->own_type ||
        PyType_IsSubtype(type, &PyModule_Type)) {
        return 0;
    }
    *mg_plain_slot(state, type) = type;
    return 1;
}

static size_t
filter_bit(const PyObject *dict)
{
    return (size_t)((uint64_t)(uintptr_t)dict * 0x9e3779b97f4a7c15u >> 40) %
           FILTER_BITS;
}

int
mg_note_module_dict(mg_state *state, PyObject *module)
{
    PyObject *dict = PyModule_GetDict(module);
    if (dict == NULL) {
        return 0;
    }
    size_t bit = filter_bit(dict);
    state->cut_dict_filter[bit / 64] |= MG_BIT(bit);
    return mg_push_pointer(&state->cut_dicts, dict);
}

/* The dict of a module is known by the module.  A scan of the whole heap meets
   every module; others look in sys.modules once.  What a function calls its
   globals is nearly always one of those. */
int
mg_note_imported_modules(mg_state *state)
{
    PyObject *modules = mg_imported_modules();
    PyObject *name, *module;
    Py_ssize_t position = 0;
    if (!(state->request->cuts & MG_CUT_MODULE_DICTS) || modules == NULL ||
        !PyDict_Check(modules)) {
        return 0;
    }
    while (PyDict_Next(modules, &position, &name, &module)) {
        if (mg_is_module(module) &&
            mg_note_module_dict(state, module) < 0) {
            return -1;
        }
    }
    return 0;
}

static int
is_module_dict(const mg_state *state, PyObject *object)
{
    size_t bit = filter_bit(object);
    if (!(state->cut_dict_filter[bit / 64] & MG_BIT(bit))) {
        return 0;
    }
    for (size_t i = 0; i < state->cut_dicts.count; i++) {
        if (MG_ITEMS(void *, &state->cut_dicts)[i] == object) {
            return 1;
        }
    }
    return 0;
}

int
mg_is_cut(mg_state *state, PyObject *object)
{
    unsigned cuts = state->request->cuts;
    if (cuts == 0) {
        return 0;
    }
    if (PyDict_CheckExact(object)) {
        return (cuts & MG_CUT_MODULE_DICTS) && is_module_dict(state, object);
    }
    if (mg_is_plain(state, object)) {
        return 0;
    }
    return PyType_Check(object) ? (cuts & MG_CUT_TYPES) != 0
                                : (cuts & MG_CUT_MODULES) && mg_is_module(object);
}
