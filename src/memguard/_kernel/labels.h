/* How a reference is called: what it is within the object that holds it.
 *
 * Covers: instances, built-in containers, and what the public structs of
 * CPython hold.  Labels are compared and spelled without running any code.
 * Does not cover: fields of C types without a public struct (heap/explain.py).
 */
#ifndef MG_LABELS_H
#define MG_LABELS_H

#include "names.h"

typedef enum {
    MG_UNKNOWN,
    MG_ATTRIBUTE,       /* .text or .field */
    MG_VARIABLE,        /* .<local text> */
    MG_STACK,           /* .<stack index>: a value that an expression waits with */
    MG_INDEX,           /* [index] */
    MG_KEYED,           /* [type of text], and text itself in a namespace */
    MG_KEY,             /* [key] */
    MG_ELEMENT          /* {element} */
} mg_label_kind;

typedef struct {
    mg_label_kind kind;
    PyObject *text;     /* borrowed: the name, or the key of an entry */
    const char *field;  /* in place of text */
    Py_ssize_t index;
} mg_label;

mg_label mg_label_of(PyObject *source, PyObject *target);

/* An entry of the dict of an instance, a class or a function: an attribute. */
mg_label mg_label_in_namespace(PyObject *dict, PyObject *target);

/* Whether a dict is where `owner` keeps its attributes. */
int mg_keeps_attributes_in(PyObject *owner, PyObject *dict);

static inline int
mg_is_namespace_of(PyObject *owner, PyObject *object)
{
    return PyDict_CheckExact(object) && mg_keeps_attributes_in(owner, object);
}

/* By kind and spelling, so that the order is the same in every process. */
int mg_compare_labels(const mg_label *left, const mg_label *right);

/* A class says where it was made in its own dict; others in their name. */
typedef struct {
    PyObject *module;       /* borrowed; NULL: it lies, or does not say */
    PyObject *qualname;     /* borrowed; NULL: not made by a class statement */
    const char *name;       /* then this, with the module unless it is builtins */
} mg_type_words;

mg_type_words mg_words_of_type(PyTypeObject *type);

/* New references; NULL with an error set.  An unknown label is None. */
PyObject *mg_label_text(const mg_label *label);
PyObject *mg_spell_type(mg_type_words words);
PyObject *mg_spell_module(mg_type_words words);
PyObject *mg_type_name(PyTypeObject *type);     /* "module.QualName" */
PyObject *mg_type_module(PyTypeObject *type);

/* What an object refers to, in the order in which its type reports it. */
PyObject *mg_referents(PyObject *object, Py_ssize_t most);

/* "module.QualName" of two types, compared without making it. */
int mg_compare_types(PyTypeObject *left, PyTypeObject *right);

#endif
