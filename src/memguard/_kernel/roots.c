/* Where a search begins, and what of that is only the question. */
#include "walk.h"

static int
add_root(mg_walk *w, mg_way_root root)
{
    mg_vector *roots = &w->ways->roots;
    if (roots->count == roots->capacity && mg_vector_grow(roots, sizeof(root)) < 0) {
        w->state.out_of_memory = 1;
        return 0;
    }
    MG_ITEMS(mg_way_root, roots)[roots->count++] = root;
    return 1;
}

static int
is_own_code(const mg_walk *w, PyObject *code)
{
    PyObject *file = ((PyCodeObject *)code)->co_filename;
    return file != NULL && PyUnicode_CheckExact(file) &&
           PyUnicode_Tailmatch(file, w->request->own_folder, 0, PY_SSIZE_T_MAX, -1) == 1;
}

static int
is_asked_about(const mg_walk *w, PyObject *value)
{
    if (PyCell_Check(value)) {
        value = PyCell_GET(value);
    }
    if (value == MG_QUESTION(w)) {
        return 1;
    }
    Py_ssize_t count = MG_TARGET_COUNT(w);
    for (Py_ssize_t i = 0; value != NULL && i < count; i++) {
        if (MG_TARGET(w, i) == value) {
            return 1;
        }
    }
    return 0;
}

/* Another thread that asks something has memguard's frames as its innermost, too. */
static int
is_of_another_question(mg_walk *w, const mg_running_frame *frame)
{
    if (frame->thread != w->other_thread) {
        w->other_thread = frame->thread;
        w->past_frames_of_other = 0;
    }
    w->past_frames_of_other |= frame->code == NULL || !is_own_code(w, frame->code);
    return !w->past_frames_of_other;
}

/* The innermost frames of this thread are memguard's; the next one asks. */
static int
is_of_question(mg_walk *w, const mg_running_frame *frame, PyObject *value)
{
    if (!frame->is_current) {
        return is_of_another_question(w, frame);
    }
    if (frame->code == NULL || w->asker_seen == 2) {
        return 0;
    }
    if (!w->asker_seen && is_own_code(w, frame->code)) {
        return value != w->request->root;
    }
    if (w->request->asker_holds) {
        w->asker_seen = 2;
        return 0;
    }
    if (!w->asker_seen) {
        w->asker_seen = 1;
        w->asker = frame->frame;
        w->asking_generator = frame->generator;
    }
    if (frame->frame != w->asker) {
        w->asker_seen = 2;
        return 0;
    }
    return is_asked_about(w, value);
}

static int
note_variable(const mg_running_frame *frame, int variable, PyObject *value, void *argument)
{
    mg_walk *w = argument;
    if (is_of_question(w, frame, value)) {
        w->state.out_of_memory |= mg_push_pointer(&w->asking, value) < 0;
        return !w->state.out_of_memory;
    }
    return add_root(w, (mg_way_root){.kind = MG_ROOT_RUNNING,
                                     .variable = variable,
                                     .object = value,
                                     .code = frame->code,
                                     .thread = frame->thread});
}

int
mg_note_roots(mg_walk *w)
{
    PyObject *modules = mg_imported_modules();
    (void)add_root(w, (mg_way_root){.kind = MG_ROOT_MODULES, .object = modules});
    mg_for_each_running_variable(note_variable, w);
    w->fixed_root_count = (uint32_t)w->ways->roots.count;
    return w->state.out_of_memory ? -1 : 0;
}

int
mg_add_unexplained_root(mg_walk *w, uint32_t node, Py_ssize_t place)
{
    PyObject *object = mg_object_at(&w->state, &w->rows, node);
    int64_t excess = mg_is_immortal(object)
        ? 0 : mg_reference_count(object) - (int64_t)w->found[node];
    return add_root(w, (mg_way_root){.kind = MG_ROOT_UNEXPLAINED,
                                     .object = object,
                                     .unexplained_count = excess,
                                     .place = place}) ? 0 : -1;
}

/* Many ways may lead through one tuple. */
static int
note_places(mg_walk *w, PyObject *tuple)
{
    mg_pointer_index_clear(&w->in_tuple);
    w->places.count = 0;
    w->tuple = NULL;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(tuple); i++) {
        PyObject *item = PyTuple_GET_ITEM(tuple, i);
        uint32_t number = item == NULL ? 0 : mg_pointer_number(&w->in_tuple, item);
        if (item != NULL && number == w->places.count) {
            if (mg_vector_make_room(&w->places, 1, sizeof(Py_ssize_t)) < 0) {
                return -1;
            }
            MG_ITEMS(Py_ssize_t, &w->places)[w->places.count++] = i;
        }
        else if (number == MG_NO_NUMBER) {
            return -1;
        }
    }
    w->tuple = tuple;
    return 0;
}

Py_ssize_t
mg_place_in_tuple(mg_walk *w, PyObject *tuple, void *item)
{
    if (w->tuple != tuple && note_places(w, tuple) < 0) {
        w->state.out_of_memory = 1;
        return -1;
    }
    return mg_pointer_is_in(&w->in_tuple, item)
        ? MG_ITEMS(Py_ssize_t, &w->places)[mg_number_in(&w->in_tuple, item)] : -1;
}
