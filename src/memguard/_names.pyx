# cython: language_level=3, embedsignature=True, boundscheck=False, wraparound=False, auto_pickle=False
"""Names of references, read from the structs that hold them.

Covers: attributes, slots, items, variables and code of one object. Nothing
here runs code of the program, and nothing is made in it by looking.

Does not cover: which references there are (``_core``), words
(``memguard.heap``).
"""

from cpython.ref cimport PyObject, PyTypeObject
from cpython.type cimport PyType_Check


cdef extern from "Python.h":
    const Py_ssize_t PY_SSIZE_T_MAX

cdef extern from "_kernel/compat.h":
    void *mg_code_of(PyObject *object)


cdef extern from "_kernel/names.h":
    ctypedef int (*mg_name_visitor)(PyObject *name, PyObject *value, void *argument) except -1
    PyObject *mg_instance_dict(PyObject *object)
    int mg_for_each_inline_attribute(
        PyObject *object, mg_name_visitor visit, void *argument
    ) except -1
    int mg_for_each_variable(
        PyObject *object, mg_name_visitor visit, void *argument
    ) except -1
    Py_ssize_t mg_index_of(PyObject *sequence, PyObject *target)
    PyObject *mg_key_of(PyObject *dict, PyObject *target)


cdef extern from "_kernel/labels.h":
    ctypedef struct mg_label:
        pass

    mg_label mg_label_of(PyObject *source, PyObject *target)
    object mg_label_text(const mg_label *label)
    object mg_referents(PyObject *object, Py_ssize_t most)
    object mg_type_name(PyTypeObject *type)
    object mg_type_module(PyTypeObject *type)


cdef int _append_pair(PyObject *name, PyObject *value, void *pairs) except -1:
    (<list> pairs).append((<object> name, <object> value))
    return 0


def instance_dict(obj):
    """Give the attribute dict of an instance, or None while it has none.

    Unlike ``obj.__dict__`` this neither makes the dict nor runs any code.
    """
    cdef PyObject *found = mg_instance_dict(<PyObject *> obj)
    return None if found == NULL else <object> found


def inline_attributes(obj):
    """List (name, value) of the attributes that an instance keeps without a dict."""
    pairs = []
    mg_for_each_inline_attribute(<PyObject *> obj, _append_pair, <void *> pairs)
    return pairs


def frame_variables(obj):
    """List (name, value) of a suspended generator's, coroutine's or frame's variables.

    Empty while it runs, and for other objects.
    """
    pairs = []
    mg_for_each_variable(<PyObject *> obj, _append_pair, <void *> pairs)
    return pairs


def referents_of(obj, Py_ssize_t most=PY_SSIZE_T_MAX):
    """List what an object refers to, in the order in which its type reports it.

    No more than *most* are listed.

    Like ``gc.get_referents``, which tells audit hooks that it is called.
    """
    return mg_referents(<PyObject *> obj, most)


def code_of(obj):
    """Give the code of a function, generator, coroutine or frame; None for others."""
    cdef void *code = mg_code_of(<PyObject *> obj)
    return None if code == NULL else <object> code


def index_of(sequence, target):
    """Give the index at which a list or tuple holds *target*, or None.

    Safe while it is half built, when iterating over it is not.
    """
    cdef Py_ssize_t index = mg_index_of(<PyObject *> sequence, <PyObject *> target)
    return None if index < 0 else index


def key_of(dict_, target):
    """Give (key,) of the first entry of a dict that is *target*, value or key; None."""
    cdef PyObject *key = mg_key_of(<PyObject *> dict_, <PyObject *> target)
    return None if key == NULL else (<object> key,)


def label_of(source, target):
    """Name the reference from one object to another; None if no struct tells.

    ``.name`` for an attribute, slot or C field, ``.<local name>`` for a
    variable of a frame that does not run and ``.<stack 0>`` for a value that
    an expression there waits with, ``[0]`` for an index, ``[str]`` for an
    entry of a dict by the type of its key, ``{element}`` for a set.
    """
    cdef mg_label label = mg_label_of(<PyObject *> source, <PyObject *> target)
    return mg_label_text(&label)


def type_name(cls):
    """Give "module.QualName" of a class; "?" for a module that it does not tell."""
    if not PyType_Check(cls):
        raise TypeError("a name can be given to a class only")
    return mg_type_name(<PyTypeObject *> cls)


def type_module(cls):
    """Give the module in which a class says it was made; "?" if it does not."""
    if not PyType_Check(cls):
        raise TypeError("a module can be told of a class only")
    return mg_type_module(<PyTypeObject *> cls)
