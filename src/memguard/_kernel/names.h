/* Names of references, read from the structs that hold them.
 *
 * Asking Python for them would change the program: `obj.__dict__` makes a
 * dict that was not there, `frame.f_locals` likewise, attribute access can run
 * anything, and some attributes tell audit hooks that they are read.
 */
#ifndef MG_NAMES_H
#define MG_NAMES_H

#include "compat.h"

/* 0 goes on, anything else stops and is returned. */
typedef int (*mg_name_visitor)(PyObject *name, PyObject *value, void *argument);

/* The dict of an instance if it exists by now; NULL: none.  Borrowed. */
PyObject *mg_instance_dict(PyObject *object);

/* Attributes that an instance keeps without a dict. */
int mg_for_each_inline_attribute(PyObject *object, mg_name_visitor visit,
                                 void *argument);

/* The name of the first of those that is `target`; NULL: none.  Borrowed. */
PyObject *mg_inline_name_of(PyObject *object, PyObject *target);

/* Variables of a suspended generator, coroutine or asynchronous generator, or
   of a frame object that outlived its call.  None on builds where
   MG_FRAME_VARIABLES is 0. */
int mg_for_each_variable(PyObject *object, mg_name_visitor visit,
                         void *argument);

/* The code of a function, generator, coroutine or frame; NULL for other objects.
   Borrowed.  Where MG_FRAME_VARIABLES is 0 a reference is taken and dropped again,
   for which the thread must hold the GIL. */
PyCodeObject *mg_code_of(PyObject *object);

/* The value at which place of the evaluation stack of a frame that does not run;
   -1: none. */
Py_ssize_t mg_stack_index_of(PyObject *object, PyObject *target);

/* The field of a generator, coroutine, asynchronous generator or frame that
   holds `target`; NULL: none. */
const char *mg_frame_field(PyObject *object, PyObject *target);

/* Where a list or tuple, which may be half built, holds an object; -1: nowhere. */
Py_ssize_t mg_index_of(PyObject *sequence, PyObject *target);

/* The key of the first entry of a dict whose value is `target`, or which is
   itself `target`; NULL: none.  Borrowed. */
PyObject *mg_key_of(PyObject *dict, PyObject *target);

#endif
