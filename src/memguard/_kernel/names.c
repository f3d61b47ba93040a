/* "Module": on Windows plain Py_BUILD_CORE declares the interpreter's types as
   ones that are defined here, and they are then not found by the linker. */
#ifndef Py_BUILD_CORE_MODULE
#define Py_BUILD_CORE_MODULE 1
#endif
#include "names.h"

#include "internal/pycore_dict.h"
#include "internal/pycore_object.h"
#if MG_FRAME_VARIABLES
#include "internal/pycore_frame.h"
#include "internal/pycore_code.h"
#if PY_VERSION_HEX >= 0x030e0000
#include "internal/pycore_interpframe_structs.h"
#endif
#include "stackref.h"
#endif

/* A dict that is not managed by the interpreter lies at an offset of the type,
   counted from the end for types of variable size. */
static PyObject *
dict_at_offset(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    Py_ssize_t offset = type->tp_dictoffset;
    if (offset < 0) {
        Py_ssize_t items = Py_SIZE(object);
        size_t bytes = _PyObject_VAR_SIZE(type, items < 0 ? -items : items);
        offset += (Py_ssize_t)bytes;
    }
    return offset > 0 ? *(PyObject **)((char *)object + offset) : NULL;
}

#if PY_VERSION_HEX >= 0x030d0000

static PyDictValues *
inline_values(PyObject *object)
{
    if (!PyType_HasFeature(Py_TYPE(object), Py_TPFLAGS_INLINE_VALUES)) {
        return NULL;
    }
    PyDictValues *values = _PyObject_InlineValues(object);
    return values->valid ? values : NULL;
}

static PyObject *
managed_dict(PyObject *object)
{
    return (PyObject *)_PyObject_GetManagedDict(object);
}

#elif PY_VERSION_HEX >= 0x030c0000

static PyDictValues *
inline_values(PyObject *object)
{
    PyDictOrValues either = *_PyObject_DictOrValuesPointer(object);
    return _PyDictOrValues_IsValues(either)
        ? _PyDictOrValues_GetValues(either) : NULL;
}

static PyObject *
managed_dict(PyObject *object)
{
    PyDictOrValues either = *_PyObject_DictOrValuesPointer(object);
    return _PyDictOrValues_IsValues(either) ? NULL
                                            : _PyDictOrValues_GetDict(either);
}

#else

static PyDictValues *
inline_values(PyObject *object)
{
    return *_PyObject_ValuesPointer(object);
}

static PyObject *
managed_dict(PyObject *object)
{
    return *_PyObject_ManagedDictPointer(object);
}

#endif

PyObject *
mg_instance_dict(PyObject *object)
{
    return PyType_HasFeature(Py_TYPE(object), Py_TPFLAGS_MANAGED_DICT)
        ? managed_dict(object) : dict_at_offset(object);
}

typedef struct {
    PyObject *const *values;
    const PyDictUnicodeEntry *entries;
    Py_ssize_t count;           /* 0: the object has no such attributes */
} inline_attributes;

static inline inline_attributes
inline_attributes_of(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    PyDictKeysObject *keys = PyType_HasFeature(type, Py_TPFLAGS_MANAGED_DICT)
        ? ((PyHeapTypeObject *)type)->ht_cached_keys : NULL;
    PyDictValues *values = keys == NULL ? NULL : inline_values(object);
    if (values == NULL || !DK_IS_UNICODE(keys)) {
        return (inline_attributes){NULL, NULL, 0};
    }
    return (inline_attributes){values->values, DK_UNICODE_ENTRIES(keys),
                               keys->dk_nentries};
}

int
mg_for_each_inline_attribute(PyObject *object, mg_name_visitor visit,
                             void *argument)
{
    inline_attributes a = inline_attributes_of(object);
    int result = 0;
    for (Py_ssize_t i = 0; i < a.count && result == 0; i++) {
        if (a.entries[i].me_key != NULL && a.values[i] != NULL) {
            result = visit(a.entries[i].me_key, a.values[i], argument);
        }
    }
    return result;
}

PyObject *
mg_inline_name_of(PyObject *object, PyObject *target)
{
    inline_attributes a = inline_attributes_of(object);
    for (Py_ssize_t i = 0; i < a.count; i++) {
        if (a.values[i] == target && a.entries[i].me_key != NULL) {
            return a.entries[i].me_key;
        }
    }
    return NULL;
}

Py_ssize_t
mg_index_of(PyObject *sequence, PyObject *target)
{
    int is_list = PyList_Check(sequence);
    if (!is_list && !PyTuple_Check(sequence)) {
        return -1;
    }
    for (Py_ssize_t i = 0; i < Py_SIZE(sequence); i++) {
        if (target == (is_list ? PyList_GET_ITEM(sequence, i)
                               : PyTuple_GET_ITEM(sequence, i))) {
            return i;
        }
    }
    return -1;
}

PyObject *
mg_key_of(PyObject *dict, PyObject *target)
{
    PyObject *key, *value;
    Py_ssize_t place = 0;
    while (PyDict_Check(dict) && PyDict_Next(dict, &place, &key, &value)) {
        if (value == target || key == target) {
            return key;
        }
    }
    return NULL;
}

#if MG_FRAME_VARIABLES

#if PY_VERSION_HEX >= 0x030e0000
#define FRAME_IN(generator) (&(generator)->gi_iframe)
#else
#define FRAME_IN(generator) ((_PyInterpreterFrame *)(generator)->gi_iframe)
#endif

static _PyInterpreterFrame *
frame_of(PyObject *object)
{
    if (PyFrame_Check(object)) {
        _PyInterpreterFrame *frame = ((PyFrameObject *)object)->f_frame;
        return frame->owner == FRAME_OWNED_BY_FRAME_OBJECT ? frame : NULL;
    }
    if (PyGen_CheckExact(object) || PyCoro_CheckExact(object) ||
        PyAsyncGen_CheckExact(object)) {
        PyGenObject *generator = (PyGenObject *)object;
        return generator->gi_frame_state < FRAME_EXECUTING
            ? FRAME_IN(generator) : NULL;
    }
    return NULL;
}

#define VARIABLE(frame, i) mg_referred((frame)->localsplus[i])
#if PY_VERSION_HEX >= 0x030d0000
#define CODE_OF(frame) mg_referred((frame)->f_executable)
#else
#define CODE_OF(frame) ((PyObject *)(frame)->f_code)
#endif

int
mg_for_each_variable(PyObject *object, mg_name_visitor visit, void *argument)
{
    _PyInterpreterFrame *frame = frame_of(object);
    if (frame == NULL || CODE_OF(frame) == NULL || !PyCode_Check(CODE_OF(frame))) {
        return 0;
    }
    PyCodeObject *code = (PyCodeObject *)CODE_OF(frame);
    for (int i = 0; i < code->co_nlocalsplus; i++) {
        PyObject *value = VARIABLE(frame, i);
        if (value != NULL) {
            int result = visit(PyTuple_GET_ITEM(code->co_localsplusnames, i),
                               value, argument);
            if (result != 0) {
                return result;
            }
        }
    }
    return 0;
}

static PyObject *
code_in_frame(PyObject *object)
{
    if (PyFrame_Check(object)) {
        return CODE_OF(((PyFrameObject *)object)->f_frame);
    }
    if (PyGen_CheckExact(object) || PyCoro_CheckExact(object) ||
        PyAsyncGen_CheckExact(object)) {
#if PY_VERSION_HEX >= 0x030c0000
        return CODE_OF(FRAME_IN((PyGenObject *)object));
#else
        return (PyObject *)((PyGenObject *)object)->gi_code;
#endif
    }
    return NULL;
}

#if PY_VERSION_HEX >= 0x030e0000
#define STACK_END(frame) ((frame)->stackpointer - (frame)->localsplus)
#else
#define STACK_END(frame) ((Py_ssize_t)(frame)->stacktop)
#endif

Py_ssize_t
mg_stack_index_of(PyObject *object, PyObject *target)
{
    _PyInterpreterFrame *frame = frame_of(object);
    if (frame == NULL || CODE_OF(frame) == NULL || !PyCode_Check(CODE_OF(frame))) {
        return -1;
    }
    Py_ssize_t first = ((PyCodeObject *)CODE_OF(frame))->co_nlocalsplus;
    for (Py_ssize_t i = first; i < STACK_END(frame); i++) {
        if (VARIABLE(frame, i) == target) {
            return i - first;
        }
    }
    return -1;
}

#if PY_VERSION_HEX >= 0x030c0000
#define FUNCTION_OF(frame) mg_referred((frame)->f_funcobj)
#else
#define FUNCTION_OF(frame) ((PyObject *)(frame)->f_func)
#endif

const char *
mg_frame_field(PyObject *object, PyObject *target)
{
    _PyInterpreterFrame *frame = frame_of(object);
    if (PyFrame_Check(object)) {
        if (target == (PyObject *)((PyFrameObject *)object)->f_trace) {
            return "f_trace";
        }
        if (target == (PyObject *)((PyFrameObject *)object)->f_back) {
            return "f_back";
        }
    }
    else {
        PyGenObject *generator = (PyGenObject *)object;
        if (target == generator->gi_exc_state.exc_value) {
            return "<exception being handled>";
        }
        /* Generators have the field, too, and leave it unwritten. */
        if (!PyGen_CheckExact(object) && target == generator->gi_origin_or_finalizer) {
            return PyCoro_CheckExact(object) ? "cr_origin" : "<finalizer>";
        }
        if (frame != NULL && target == (PyObject *)frame->frame_obj) {
            return PyCoro_CheckExact(object) ? "cr_frame"
                : PyGen_CheckExact(object) ? "gi_frame" : "ag_frame";
        }
    }
    if (frame == NULL) {
        return NULL;
    }
    return target == frame->f_locals ? "f_locals"
        : target == FUNCTION_OF(frame) ? "<function>" : NULL;
}

#else

static PyObject *
code_in_frame(PyObject *object)
{
    PyCodeObject *code =
        PyFrame_Check(object) ? PyFrame_GetCode((PyFrameObject *)object)
        : PyGen_CheckExact(object) || PyCoro_CheckExact(object) ||
              PyAsyncGen_CheckExact(object) ? PyGen_GetCode((PyGenObject *)object)
        : NULL;
    Py_XDECREF(code);   /* the frame keeps it */
    return (PyObject *)code;
}

Py_ssize_t
mg_stack_index_of(PyObject *object, PyObject *target)
{
    (void)object;
    (void)target;
    return -1;
}

const char *
mg_frame_field(PyObject *object, PyObject *target)
{
    (void)object;
    (void)target;
    return NULL;
}

int
mg_for_each_variable(PyObject *object, mg_name_visitor visit, void *argument)
{
    (void)object;
    (void)visit;
    (void)argument;
    return 0;
}

#endif

PyCodeObject *
mg_code_of(PyObject *object)
{
    PyObject *code = PyFunction_Check(object) ? PyFunction_GET_CODE(object)
                                              : code_in_frame(object);
    return code != NULL && PyCode_Check(code) ? (PyCodeObject *)code : NULL;
}
