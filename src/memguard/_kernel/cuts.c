/* Which objects a live cycle may not pass through. */
#include "scan.h"

int
mg_note_module_dict(mg_state *state, PyObject *module)
{
    PyObject *dict = PyModule_GetDict(module);
    return dict != NULL &&
           mg_pointer_number(&state->cut_dicts, dict) == MG_NO_NUMBER ? -1 : 0;
}

static int
note_imported_modules(mg_state *state)
{
    PyObject *modules = mg_imported_modules();
    PyObject *name, *module;
    Py_ssize_t position = 0;
    state->knows_modules = 1;
    if (modules == NULL || !PyDict_Check(modules)) {
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

/* The dict of a module is known by the module.  A scan of the whole heap meets
   every module; others look in sys.modules, once, and only if they come to a
   dict that could be one.  What a function calls its globals is nearly always
   one of those. */
static int
is_module_dict(mg_state *state, PyObject *dict)
{
    if (!mg_may_be_module_dict(dict, state->request->name_key)) {
        return 0;
    }
    if (!state->knows_modules && note_imported_modules(state) < 0) {
        state->out_of_memory = 1;
        return 0;
    }
    return mg_pointer_is_in(&state->cut_dicts, dict);
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
    if (mg_kind_of(state, Py_TYPE(object)) != MG_SPECIAL) {
        return 0;
    }
    return PyType_Check(object) ? (cuts & MG_CUT_TYPES) != 0
                                : (cuts & MG_CUT_MODULES) && mg_is_module(object);
}
