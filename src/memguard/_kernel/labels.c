#include "labels.h"

#include "structmember.h"

#include <stddef.h>
#include <string.h>

typedef struct {
    size_t offset;
    const char *name;
} struct_field;

/* References that no PyMemberDef describes, by type. */
static const struct_field FUNCTION_FIELDS[] = {
    {offsetof(PyFunctionObject, func_defaults), "__defaults__"},
    {offsetof(PyFunctionObject, func_kwdefaults), "__kwdefaults__"},
    {offsetof(PyFunctionObject, func_annotations), "__annotations__"},
    {offsetof(PyFunctionObject, func_code), "__code__"},
    {offsetof(PyFunctionObject, func_name), "__name__"},
    {offsetof(PyFunctionObject, func_qualname), "__qualname__"},
#if PY_VERSION_HEX >= 0x030c0000
    {offsetof(PyFunctionObject, func_typeparams), "__type_params__"},
#endif
#if PY_VERSION_HEX >= 0x030e0000
    {offsetof(PyFunctionObject, func_annotate), "__annotate__"},
#endif
};

static const struct_field CELL_FIELDS[] = {
    {offsetof(PyCellObject, ob_ref), "cell_contents"},
};

static const struct_field BUILTIN_FIELDS[] = {
    {offsetof(PyCFunctionObject, m_self), "__self__"},
};

static const struct_field TRACEBACK_FIELDS[] = {
    {offsetof(PyTracebackObject, tb_next), "tb_next"},
    {offsetof(PyTracebackObject, tb_frame), "tb_frame"},
};

static const struct_field EXCEPTION_FIELDS[] = {
    {offsetof(PyBaseExceptionObject, traceback), "__traceback__"},
    {offsetof(PyBaseExceptionObject, context), "__context__"},
    {offsetof(PyBaseExceptionObject, cause), "__cause__"},
    {offsetof(PyBaseExceptionObject, args), "args"},
    {offsetof(PyBaseExceptionObject, notes), "__notes__"},
};

static const struct_field CLASS_FIELDS[] = {
    {offsetof(PyTypeObject, tp_mro), "__mro__"},
    {offsetof(PyTypeObject, tp_bases), "__bases__"},
    {offsetof(PyTypeObject, tp_base), "__base__"},
};

static const char *
field_at(PyObject *source, PyObject *target, const struct_field *fields,
         size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (*(PyObject **)((char *)source + fields[i].offset) == target) {
            return fields[i].name;
        }
    }
    return NULL;
}

#define FIELD_IN(fields) \
    field_at(source, target, fields, sizeof(fields) / sizeof(*(fields)))

/* A slot or a field of a C type, by what the type says of its own struct. */
static const char *
member_of(PyObject *source, PyObject *target)
{
    for (PyTypeObject *type = Py_TYPE(source); type != NULL; type = type->tp_base) {
        const PyMemberDef *member = type->tp_members;
        for (; member != NULL && member->name != NULL; member++) {
            if ((member->type == T_OBJECT || member->type == T_OBJECT_EX) &&
                *(PyObject **)((char *)source + member->offset) == target) {
                return member->name;
            }
        }
    }
    return NULL;
}

typedef struct {
    PyObject *target;
    PyObject *name;
} search;

static int
is_it(PyObject *name, PyObject *value, void *argument)
{
    search *sought = argument;
    if (value != sought->target) {
        return 0;
    }
    sought->name = name;
    return 1;
}

static int
is_element(PyObject *object, PyObject *target)
{
    const PySetObject *set = (PySetObject *)object;
    for (Py_ssize_t i = 0; i <= set->mask; i++) {
        if (set->table[i].key == target) {
            return 1;
        }
    }
    return 0;
}

static mg_label
label_in_container(PyObject *source, PyObject *target)
{
    mg_label label = {MG_UNKNOWN, NULL, NULL, 0};
    if (PyList_Check(source) || PyTuple_Check(source)) {
        label.index = mg_index_of(source, target);
        label.kind = label.index >= 0 ? MG_INDEX : MG_UNKNOWN;
    }
    else if (PyDict_Check(source)) {
        label.text = mg_key_of(source, target);
        label.kind = label.text == NULL ? MG_UNKNOWN
            : label.text == target ? MG_KEY : MG_KEYED;
    }
    else if (mg_is_set(source) && is_element(source, target)) {
        label.kind = MG_ELEMENT;
    }
    return label;
}

static mg_label
label_in_frame(PyObject *source, PyObject *target)
{
    search sought = {target, NULL};
    mg_for_each_variable(source, is_it, &sought);
    if (sought.name != NULL) {
        return (mg_label){MG_VARIABLE, sought.name, NULL, 0};
    }
    const char *field = mg_frame_field(source, target);
    if (field != NULL) {
        return (mg_label){MG_ATTRIBUTE, NULL, field, 0};
    }
    Py_ssize_t index = mg_stack_index_of(source, target);
    return (mg_label){index < 0 ? MG_UNKNOWN : MG_STACK, NULL, NULL, index};
}

static int
has_frame(PyObject *object)
{
    return PyFrame_Check(object) || PyGen_CheckExact(object) ||
           PyCoro_CheckExact(object) || PyAsyncGen_CheckExact(object);
}

static const char *
struct_field_of(PyObject *source, PyObject *target)
{
    const char *field =
        PyFunction_Check(source) ? FIELD_IN(FUNCTION_FIELDS)
        : PyCell_Check(source) ? FIELD_IN(CELL_FIELDS)
        : PyCFunction_Check(source) ? FIELD_IN(BUILTIN_FIELDS)
        : PyTraceBack_Check(source) ? FIELD_IN(TRACEBACK_FIELDS)
        : PyExceptionInstance_Check(source) ? FIELD_IN(EXCEPTION_FIELDS)
        : PyType_Check(source) ? FIELD_IN(CLASS_FIELDS)
        : NULL;
    return field != NULL ? field : member_of(source, target);
}

int
mg_keeps_attributes_in(PyObject *owner, PyObject *dict)
{
    return mg_instance_dict(owner) == dict ||
           (PyType_Check(owner) && ((PyTypeObject *)owner)->tp_dict == dict);
}

mg_label
mg_label_of(PyObject *source, PyObject *target)
{
    mg_label label = {MG_UNKNOWN, NULL, NULL, 0};
    if (mg_is_container(source)) {
        label = label_in_container(source, target);
        if (label.kind != MG_UNKNOWN || PyList_CheckExact(source) ||
            PyTuple_CheckExact(source) || PyDict_CheckExact(source)) {
            return label;
        }
    }
    PyObject *name = mg_inline_name_of(source, target);
    if (name != NULL) {
        return (mg_label){MG_ATTRIBUTE, name, NULL, 0};
    }
    if (mg_is_namespace_of(source, target)) {
        return (mg_label){MG_ATTRIBUTE, NULL, "__dict__", 0};
    }
    if (has_frame(source)) {
        label = label_in_frame(source, target);
    }
    if (label.kind == MG_UNKNOWN) {
        label.field = struct_field_of(source, target);
        if (label.field == NULL && target == (PyObject *)Py_TYPE(source)) {
            label.field = "__class__";
        }
        label.kind = label.field == NULL ? MG_UNKNOWN : MG_ATTRIBUTE;
    }
    return label;
}

mg_label
mg_label_in_namespace(PyObject *dict, PyObject *target)
{
    mg_label label = label_in_container(dict, target);
    if (label.kind == MG_KEYED && PyUnicode_Check(label.text)) {
        label.kind = MG_ATTRIBUTE;
    }
    return label;
}

mg_type_words
mg_words_of_type(PyTypeObject *type)
{
    mg_type_words words = {NULL, NULL, type->tp_name};
    if (PyType_HasFeature(type, Py_TPFLAGS_HEAPTYPE)) {
        words.qualname = ((PyHeapTypeObject *)type)->ht_qualname;
        PyObject *key, *value;
        Py_ssize_t place = 0;
        /* Looked through and not looked up: keys can be anything, and comparing
           them could run anything. */
        while (type->tp_dict != NULL && PyDict_Next(type->tp_dict, &place, &key, &value)) {
            if (PyUnicode_CheckExact(key) && PyUnicode_CheckExact(value) &&
                PyUnicode_CompareWithASCIIString(key, "__module__") == 0) {
                words.module = value;
                break;
            }
        }
    }
    return words;
}

static int
is_builtins(PyObject *module)
{
    return module != NULL && PyUnicode_CompareWithASCIIString(module, "builtins") == 0;
}

PyObject *
mg_spell_module(mg_type_words words)
{
    if (words.qualname != NULL) {
        return words.module != NULL ? Py_NewRef(words.module) : PyUnicode_FromString("?");
    }
    const char *dot = strrchr(words.name, '.');
    return dot == NULL ? PyUnicode_FromString("builtins")
                       : PyUnicode_FromStringAndSize(words.name, dot - words.name);
}

PyObject *
mg_spell_type(mg_type_words words)
{
    if (words.qualname == NULL) {
        return PyUnicode_FromFormat(
            strchr(words.name, '.') == NULL ? "builtins.%s" : "%s", words.name);
    }
    return words.module == NULL ? PyUnicode_FromFormat("?.%U", words.qualname)
                                : PyUnicode_FromFormat("%U.%U", words.module, words.qualname);
}

PyObject *
mg_type_module(PyTypeObject *type)
{
    return mg_spell_module(mg_words_of_type(type));
}

PyObject *
mg_type_name(PyTypeObject *type)
{
    return mg_spell_type(mg_words_of_type(type));
}

int
mg_compare_types(PyTypeObject *left, PyTypeObject *right)
{
    if (left == right) {
        return 0;
    }
    PyObject *left_name = mg_type_name(left);
    PyObject *right_name = mg_type_name(right);
    int order = left_name == NULL || right_name == NULL
        ? 0 : PyUnicode_Compare(left_name, right_name);
    Py_XDECREF(left_name);
    Py_XDECREF(right_name);
    PyErr_Clear();      /* no memory for a name: then there is no order either */
    return order;
}

static int
sign(Py_ssize_t difference)
{
    return (difference > 0) - (difference < 0);
}

int
mg_compare_labels(const mg_label *left, const mg_label *right)
{
    if (left->kind != right->kind) {
        return left->kind < right->kind ? -1 : 1;
    }
    if (left->kind == MG_KEYED) {
        return mg_compare_types(Py_TYPE(left->text), Py_TYPE(right->text));
    }
    if (left->text != NULL && right->text != NULL && left->kind != MG_KEY) {
        return left->text == right->text ? 0 : PyUnicode_Compare(left->text, right->text);
    }
    if (left->field != NULL && right->field != NULL) {
        return sign(strcmp(left->field, right->field));
    }
    if (left->text != NULL && right->field != NULL) {
        return PyUnicode_CompareWithASCIIString(left->text, right->field);
    }
    if (left->field != NULL && right->text != NULL) {
        return -PyUnicode_CompareWithASCIIString(right->text, left->field);
    }
    return sign(left->index - right->index);
}

PyObject *
mg_label_text(const mg_label *label)
{
    switch (label->kind) {
    case MG_ATTRIBUTE:
        return label->text != NULL ? PyUnicode_FromFormat(".%U", label->text)
                                   : PyUnicode_FromFormat(".%s", label->field);
    case MG_VARIABLE:
        return PyUnicode_FromFormat(".<local %U>", label->text);
    case MG_STACK:
        return PyUnicode_FromFormat(".<stack %zd>", label->index);
    case MG_INDEX:
        return PyUnicode_FromFormat("[%zd]", label->index);
    case MG_KEY:
        return PyUnicode_FromString("[key]");
    case MG_ELEMENT:
        return PyUnicode_FromString("{element}");
    case MG_KEYED: {
        mg_type_words words = mg_words_of_type(Py_TYPE(label->text));
        return words.qualname == NULL ? PyUnicode_FromFormat("[%s]", words.name)
            : is_builtins(words.module)
            ? PyUnicode_FromFormat("[%U]", words.qualname)
            : PyUnicode_FromFormat("[%U.%U]", words.module, words.qualname);
    }
    default:
        Py_RETURN_NONE;
    }
}

typedef struct {
    PyObject *list;
    Py_ssize_t most;
} referents;

static int
append(PyObject *referred, void *argument)
{
    const referents *found = argument;
    if (PyList_GET_SIZE(found->list) >= found->most) {
        return 1;
    }
    /* The module _asyncio of 3.12.1 shows what lies in its free list (gh-122695): held
       and dropped, that would be put there a second time. */
    return Py_REFCNT(referred) == 0 ? 0 : PyList_Append(found->list, referred);
}

PyObject *
mg_referents(PyObject *object, Py_ssize_t most)
{
    PyObject *list = PyList_New(0);
    referents found = {list, most};
    if (list != NULL && mg_is_gc(object) && Py_TYPE(object)->tp_traverse != NULL) {
        Py_TYPE(object)->tp_traverse(object, append, &found);
        /* No memory, or a type that raises where it must not: fewer are named. */
        PyErr_Clear();
    }
    return list;
}
