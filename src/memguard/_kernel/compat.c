/* With names.c the only file that sees CPython's internal headers. */
/* "Module": on Windows plain Py_BUILD_CORE declares the interpreter's types as
   ones that are defined here, and they are then not found by the linker. */
#ifndef Py_BUILD_CORE_MODULE
#define Py_BUILD_CORE_MODULE 1
#endif
#include "compat.h"
#include "names.h"

#if MG_WALKS_LISTS
#include "internal/pycore_interp.h"
#include "internal/pycore_gc.h"
#endif
#if MG_FRAME_ROOTS
#include "internal/pycore_frame.h"
#include "internal/pycore_code.h"
#if PY_VERSION_HEX >= 0x030e0000
#include "internal/pycore_genobject.h"
#include "internal/pycore_interpframe_structs.h"
#include "internal/pycore_tstate.h"
#endif
#include "stackref.h"
#endif
#include "internal/pycore_dict.h"

int mg_force_stack_dedupe;

#if MG_WALKS_LISTS

/* 3.14.0 to 3.14.4 keep a bit of their own there; 3.14.5 went back to what was before,
   and a module that was built for one of them runs on all. */
static PyGC_Head *
next_in_list(PyGC_Head *node)
{
    return (PyGC_Head *)(node->_gc_next & ~(uintptr_t)3);
}

/* Three lists, at the same place in all of 3.14. */
static struct gc_generation *
collected_lists(struct _gc_runtime_state *state)
{
#if PY_VERSION_HEX >= 0x030e0000 && PY_VERSION_HEX < 0x030e0500
    return &state->young;
#else
    return state->generations;
#endif
}

/* The three collected generations; frozen objects (gc.freeze) are left out,
   as the collector leaves them out. */
static int
walk_list(PyGC_Head *head, mg_object_visitor visit, void *argument)
{
    for (PyGC_Head *node = next_in_list(head); node != head; node = next_in_list(node)) {
        if (!visit((PyObject *)(node + 1), argument)) {
            return 0;
        }
    }
    return 1;
}

void
mg_for_each_tracked(mg_object_visitor visit, void *argument)
{
    struct _gc_runtime_state *state = &PyInterpreterState_Get()->gc;
    for (int generation = 0; generation < NUM_GENERATIONS; generation++) {
        if (!walk_list(&collected_lists(state)[generation].head, visit, argument)) {
            return;
        }
    }
}

void
mg_for_each_frozen(mg_object_visitor visit, void *argument)
{
    walk_list(&PyInterpreterState_Get()->gc.permanent_generation.head, visit, argument);
}

const char *
mg_enumeration_name(void)
{
    return "list_walk";
}

#else

void
mg_for_each_tracked(mg_object_visitor visit, void *argument)
{
    PyUnstable_GC_VisitObjects(visit, argument);
}

void
mg_for_each_frozen(mg_object_visitor visit, void *argument)
{
    (void)visit;
    (void)argument;
}

const char *
mg_enumeration_name(void)
{
    return "visit_objects";
}

#endif

PyObject *
mg_imported_modules(void)
{
#if PY_VERSION_HEX >= 0x030d0000
    return Py_IsFinalizing() ? NULL : PyImport_GetModuleDict();
#else
    return _Py_IsFinalizing() ? NULL : PyImport_GetModuleDict();
#endif
}

#if MG_FRAME_ROOTS

/* NULL: of C code. */
static PyObject *
running_code(_PyInterpreterFrame *frame)
{
#if PY_VERSION_HEX >= 0x030e0000
    if (frame->owner >= FRAME_OWNED_BY_INTERPRETER) {
        return NULL;
    }
#elif PY_VERSION_HEX >= 0x030c0000
    if (frame->owner == FRAME_OWNED_BY_CSTACK) {
        return NULL;
    }
#endif
#if PY_VERSION_HEX >= 0x030d0000
    PyObject *code = mg_referred(frame->f_executable);
#else
    PyObject *code = (PyObject *)frame->f_code;
#endif
    return code != NULL && PyCode_Check(code) ? code : NULL;
}

static PyObject *
running_function(_PyInterpreterFrame *frame)
{
#if PY_VERSION_HEX >= 0x030c0000
    return mg_referred(frame->f_funcobj);
#else
    return (PyObject *)frame->f_func;
#endif
}

static _PyInterpreterFrame *
innermost_frame(PyThreadState *thread)
{
#if PY_VERSION_HEX >= 0x030d0000
    return thread->current_frame;
#else
    return thread->cframe != NULL ? thread->cframe->current_frame : NULL;
#endif
}

static int
visit_frame(_PyInterpreterFrame *frame, mg_object_visitor visit, void *argument)
{
    PyObject *code = running_code(frame);
    if (code == NULL) {
        return 1;
    }
    PyObject *function = running_function(frame);
    if ((function != NULL && !visit(function, argument)) ||
        (frame->f_locals != NULL && !visit(frame->f_locals, argument))) {
        return 0;
    }
    /* Locals, cells and free variables only: they are always owned or NULL.
       The evaluation stack above them is not looked at, for its height is
       not stored while the frame runs. */
    int count = ((PyCodeObject *)code)->co_nlocalsplus;
    for (int i = 0; i < count; i++) {
        PyObject *value = mg_referred(frame->localsplus[i]);
        if (value != NULL && !visit(value, argument)) {
            return 0;
        }
    }
    return 1;
}

void
mg_for_each_frame_root(mg_object_visitor visit, void *argument)
{
    PyInterpreterState *interpreter = PyInterpreterState_Get();
    for (PyThreadState *thread = PyInterpreterState_ThreadHead(interpreter);
         thread != NULL; thread = PyThreadState_Next(thread)) {
        _PyInterpreterFrame *frame = innermost_frame(thread);
        for (; frame != NULL; frame = frame->previous) {
            if (!visit_frame(frame, visit, argument)) {
                return;
            }
        }
    }
}

static PyObject *
generator_of(_PyInterpreterFrame *frame)
{
    if (frame->owner != FRAME_OWNED_BY_GENERATOR) {
        return NULL;
    }
#if PY_VERSION_HEX >= 0x030e0000
    return (PyObject *)_PyGen_GetGeneratorFromFrame(frame);
#else
    return (PyObject *)_PyFrame_GetGenerator(frame);
#endif
}

static int
visit_variables(_PyInterpreterFrame *frame, mg_running_frame *running,
                mg_variable_visitor visit, void *argument)
{
    running->code = running_code(frame);
    if (running->code == NULL) {
        return 1;
    }
    PyObject *function = running_function(frame);
    running->generator = generator_of(frame);
    running->frame = frame;
    int count = ((PyCodeObject *)running->code)->co_nlocalsplus;
    for (int i = 0; i < count; i++) {
        PyObject *value = mg_referred(frame->localsplus[i]);
        if (value != NULL && !mg_is_borrowed(frame->localsplus[i]) &&
            !visit(running, i, value, argument)) {
            return 0;
        }
    }
    return (function == NULL || visit(running, MG_FUNCTION, function, argument)) &&
           (frame->f_locals == NULL ||
            visit(running, MG_NAMESPACE, frame->f_locals, argument));
}

/* One for each except block that runs, those in generators among them. */
static int
visit_handled_exceptions(PyThreadState *thread, const mg_running_frame *running,
                         mg_variable_visitor visit, void *argument)
{
    for (_PyErr_StackItem *item = thread->exc_info; item != NULL; item = item->previous_item) {
        if (item->exc_value != NULL && item->exc_value != Py_None &&
            !visit(running, MG_HANDLED_EXCEPTION, item->exc_value, argument)) {
            return 0;
        }
    }
    return 1;
}

#if PY_VERSION_HEX >= 0x030e0000
static int
visit_event_loop(_PyThreadStateImpl *thread, const mg_running_frame *running,
                 mg_variable_visitor visit, void *argument)
{
    return (thread->asyncio_running_loop == NULL ||
            visit(running, MG_THREAD_DATA, thread->asyncio_running_loop, argument)) &&
           (thread->asyncio_running_task == NULL ||
            visit(running, MG_THREAD_DATA, thread->asyncio_running_task, argument));
}
#endif

void
mg_for_each_running_variable(mg_variable_visitor visit, void *argument)
{
    PyThreadState *current = PyThreadState_Get();
    PyInterpreterState *interpreter = PyInterpreterState_Get();
    for (PyThreadState *thread = PyInterpreterState_ThreadHead(interpreter);
         thread != NULL; thread = PyThreadState_Next(thread)) {
        mg_running_frame running = {.thread = thread->thread_id,
                                    .is_current = thread == current};
        _PyInterpreterFrame *frame = innermost_frame(thread);
        for (; frame != NULL; frame = frame->previous) {
            if (!visit_variables(frame, &running, visit, argument)) {
                return;
            }
        }
        running.code = running.generator = NULL;
        running.frame = NULL;
#if PY_VERSION_HEX >= 0x030e0000
        if (!visit_event_loop((_PyThreadStateImpl *)thread, &running, visit, argument)) {
            return;
        }
#endif
#if PY_VERSION_HEX >= 0x030d0000
        if (thread->threading_local_key != NULL &&
            !visit(&running, MG_THREAD_DATA, thread->threading_local_key, argument)) {
            return;
        }
#endif
        if ((thread->dict != NULL &&
             !visit(&running, MG_THREAD_DATA, thread->dict, argument)) ||
            (thread->context != NULL &&
             !visit(&running, MG_CURRENT_CONTEXT, thread->context, argument)) ||
            !visit_handled_exceptions(thread, &running, visit, argument)) {
            return;
        }
    }
}

#else

void
mg_for_each_frame_root(mg_object_visitor visit, void *argument)
{
    (void)visit;
    (void)argument;
}

void
mg_for_each_running_variable(mg_variable_visitor visit, void *argument)
{
    (void)visit;
    (void)argument;
}

#endif

int
mg_may_be_module_dict(PyObject *dict, PyObject *name_key)
{
    PyDictObject *object = (PyDictObject *)dict;
    if (object->ma_values != NULL) {
        return 0;               /* of an instance */
    }
    return object->ma_keys->dk_kind == DICT_KEYS_GENERAL ||
           PyDict_Contains(dict, name_key) != 0;
}

Py_ssize_t
mg_dict_table_bytes(PyObject *object)
{
    PyDictObject *dict = (PyDictObject *)object;
    PyDictKeysObject *keys = dict->ma_keys;
    Py_ssize_t slots = (Py_ssize_t)1 << keys->dk_log2_size;
    Py_ssize_t usable = (slots << 1) / 3;
    Py_ssize_t bytes = 0;
    if (dict->ma_values != NULL) {
#if PY_VERSION_HEX >= 0x030d0000
        bytes += dict->ma_values->capacity * (Py_ssize_t)sizeof(PyObject *);
#else
        bytes += (keys->dk_nentries + keys->dk_usable) *
                 (Py_ssize_t)sizeof(PyObject *);
#endif
    }
    /* A shared key table belongs to the class; an immortal one (the empty
       dict's) to the interpreter. */
    if (keys->dk_refcnt == 1) {
        bytes += (Py_ssize_t)sizeof(PyDictKeysObject);
        bytes += (Py_ssize_t)1 << keys->dk_log2_index_bytes;
        bytes += usable * (Py_ssize_t)(keys->dk_kind == DICT_KEYS_GENERAL
                                           ? sizeof(PyDictKeyEntry)
                                           : sizeof(PyDictUnicodeEntry));
    }
    return bytes;
}

int
mg_hides_keys(PyObject *object)
{
    PyDictObject *dict = (PyDictObject *)object;
    return dict->ma_values == NULL && dict->ma_keys->dk_kind != DICT_KEYS_GENERAL;
}

Py_ssize_t
mg_dict_entry_count(PyObject *dict)
{
    return ((PyDictObject *)dict)->ma_keys->dk_nentries;
}

Py_ssize_t
mg_frame_bytes(PyObject *object)
{
    PyCodeObject *code = PyFunction_Check(object) ? NULL : mg_code_of(object);
    return code == NULL ? 0
        : ((Py_ssize_t)code->co_nlocalsplus + code->co_stacksize) *
              (Py_ssize_t)sizeof(PyObject *);
}

/* Zero occupies one digit from 3.12 on. */
Py_ssize_t
mg_int_digit_count(PyObject *number)
{
#if PY_VERSION_HEX >= 0x030c0000
    Py_ssize_t digits = (Py_ssize_t)(((PyLongObject *)number)->long_value.lv_tag >> 3);
    return digits > 0 ? digits : 1;
#else
    return Py_ABS(Py_SIZE(number));
#endif
}

#ifdef _WIN32
#include <windows.h>
double
mg_monotonic_seconds(void)
{
    LARGE_INTEGER ticks, ticks_per_second;
    QueryPerformanceCounter(&ticks);
    QueryPerformanceFrequency(&ticks_per_second);
    return (double)ticks.QuadPart / (double)ticks_per_second.QuadPart;
}
#else
#include <time.h>
double
mg_monotonic_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}
#endif
