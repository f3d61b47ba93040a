/* What has to be known of a type before its instances are looked at. */
#include "scan.h"

int
mg_is_module(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    return type == &PyModule_Type ||
           (PyType_HasFeature(type, Py_TPFLAGS_HEAPTYPE) &&
            PyType_IsSubtype(type, &PyModule_Type));
}

/* tp_traverse of every class that is written in Python; it visits what the
   class adds and then calls that of the first base that has another one. */
static traverseproc traverse_of_classes;

void
mg_learn_from_class(PyTypeObject *type)
{
    traverse_of_classes = type->tp_traverse;
}

/* Types of the interpreter whose tp_traverse reads structs and nothing else. */
static PyTypeObject *const known_types[] = {
    &PyList_Type, &PyTuple_Type, &PyDict_Type, &PySet_Type, &PyFunction_Type,
    &PyMethod_Type, &PyCFunction_Type, &PyCell_Type, &PyGen_Type, &PyCoro_Type,
    &PyAsyncGen_Type, &PyFrame_Type, &PyTraceBack_Type, &PyProperty_Type,
    &PyStaticMethod_Type, &PyClassMethod_Type, &PyDictProxy_Type, &PyODict_Type,
    &PyMethodDescr_Type, &PyGetSetDescr_Type, &PyMemberDescr_Type,
    &PyWrapperDescr_Type, &PyClassMethodDescr_Type, &PySlice_Type,
    &PyListIter_Type, &PyTupleIter_Type, &PyDictKeys_Type, &PyDictValues_Type,
    &PyDictItems_Type, &_PyWeakref_RefType,
};

static int
is_known(traverseproc traverse)
{
    for (size_t i = 0; i < Py_ARRAY_LENGTH(known_types); i++) {
        if (known_types[i]->tp_traverse == traverse) {
            return 1;
        }
    }
    return traverse == ((PyTypeObject *)PyExc_BaseException)->tp_traverse ||
           traverse == PyType_Type.tp_traverse;
}

/* Whether tp_traverse needs no thread state.  That of an extension may, for
   all one knows: it is called on the thread that holds the GIL. */
int
mg_traverses_anywhere(PyTypeObject *type)
{
    while (type->tp_traverse == traverse_of_classes && type->tp_base != NULL) {
        type = type->tp_base;
    }
    return type->tp_traverse == NULL || is_known(type->tp_traverse);
}

static int
find_out(const mg_state *state, PyTypeObject *type)
{
    if (type == state->request->own_type) {
        return MG_OWN;
    }
    if (PyType_HasFeature(type, Py_TPFLAGS_TYPE_SUBCLASS) ||
        PyType_IsSubtype(type, &PyModule_Type)) {
        return MG_SPECIAL;
    }
    return mg_traverses_anywhere(type) ? MG_PLAIN : MG_FOREIGN;
}

int
mg_find_out_kind(mg_state *state, PyTypeObject *type)
{
    int kind = find_out(state, type);
    *mg_kind_slot(state, type) = (uintptr_t)type | (uintptr_t)kind;
    return kind;
}
