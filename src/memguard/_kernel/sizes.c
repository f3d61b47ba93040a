#include "sizes.h"

static Py_ssize_t
str_bytes(PyObject *text)
{
    Py_ssize_t length = PyUnicode_GET_LENGTH(text);
    Py_ssize_t bytes;
    if (PyUnicode_IS_COMPACT_ASCII(text)) {
        return (Py_ssize_t)sizeof(PyASCIIObject) + length + 1;
    }
    if (PyUnicode_IS_COMPACT(text)) {
        bytes = (Py_ssize_t)sizeof(PyCompactUnicodeObject) +
                (length + 1) * PyUnicode_KIND(text);
    }
    else {
        bytes = (Py_ssize_t)sizeof(PyUnicodeObject);
        if (((PyUnicodeObject *)text)->data.any != NULL) {
            bytes += (length + 1) * PyUnicode_KIND(text);
        }
    }
    PyCompactUnicodeObject *compact = (PyCompactUnicodeObject *)text;
    int utf8_is_shared = !PyUnicode_IS_COMPACT(text) &&
                         ((PyUnicodeObject *)text)->data.any == compact->utf8;
    if (compact->utf8 != NULL && !utf8_is_shared) {
        bytes += compact->utf8_length + 1;
    }
    return bytes;
}

static Py_ssize_t
body_bytes(PyObject *object, PyTypeObject *type)
{
    Py_ssize_t bytes = type->tp_basicsize;
    if (PyList_Check(object)) {
        return bytes + ((PyListObject *)object)->allocated *
                           (Py_ssize_t)sizeof(PyObject *);
    }
    if (PyDict_Check(object)) {
        return bytes + mg_dict_table_bytes(object);
    }
    if (mg_is_set(object)) {
        PySetObject *set = (PySetObject *)object;
        return set->table == set->smalltable
            ? bytes
            : bytes + (set->mask + 1) * (Py_ssize_t)sizeof(setentry);
    }
    if (PyUnicode_Check(object)) {
        return str_bytes(object) +
               (bytes - PyUnicode_Type.tp_basicsize) * !PyUnicode_CheckExact(object);
    }
    if (PyByteArray_Check(object)) {
        return bytes + ((PyByteArrayObject *)object)->ob_alloc;
    }
    if (PyLong_Check(object)) {
        return bytes + type->tp_itemsize * mg_int_digit_count(object);
    }
    if (PyTuple_Check(object) || PyBytes_Check(object)) {
        return bytes + type->tp_itemsize * Py_SIZE(object);
    }
    /* Other types with items keep their count wherever they like. */
    return bytes + mg_frame_bytes(object);
}

size_t
mg_shallow_bytes(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    if (type == &PyLong_Type) {
        return (size_t)(type->tp_basicsize +
                        type->tp_itemsize * mg_int_digit_count(object));
    }
    return (size_t)(body_bytes(object, type) +
                    (mg_is_gc(object) ? mg_preheader_bytes(type) : 0));
}
