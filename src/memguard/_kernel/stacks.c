/* Marked objects, and whose the variables of running frames are.
 *
 * Frames belong to the innermost task whose coroutine is on their thread's stack, as far
 * as that called them, the others to the thread.
 */
#include "inquiry.h"

#define NO_OWNER UINT32_MAX

typedef struct {
    mg_inquiry *q;
    uint64_t thread;            /* whose frames are being walked */
    int has_thread;
    size_t first_pending;       /* variables from there on: of frames that nobody owns yet */
    uint32_t task;              /* the innermost on this thread, or NO_OWNER */
    int past_own_frames;
    const void *asker;          /* the frame that called memguard */
} stack_walk;

int
mg_note_marks(mg_inquiry *q)
{
    const mg_owners_request *request = q->request;
    for (size_t i = 0; i < request->mark_count; i++) {
        PyObject *object = PyTuple_GET_ITEM(request->asked, (Py_ssize_t)i);
        uint32_t number = mg_pointer_number(&q->marks, object);
        if (number == MG_NO_NUMBER ||
            (number == q->owner_of_mark.count &&
             mg_push_u32(&q->owner_of_mark, request->mark_owners[i]) < 0)) {
            return -1;
        }
    }
    return 0;
}

static int
push_variable(mg_inquiry *q, PyObject *object, uint32_t owner)
{
    mg_vector *all = &q->variables;
    if (all->count == all->capacity && mg_vector_grow(all, sizeof(mg_held_variable)) < 0) {
        q->state.out_of_memory = 1;
        return 0;
    }
    MG_ITEMS(mg_held_variable, all)[all->count++] = (mg_held_variable){object, owner};
    return 1;
}

/* The number of a thread as an owner; one that the request does not name gets the next. */
static uint32_t
owner_of_thread(mg_inquiry *q, uint64_t thread)
{
    for (size_t i = 0; i < q->request->owner_count; i++) {
        if (q->request->owner_threads[i] == thread && thread != 0) {
            return (uint32_t)i;
        }
    }
    mg_vector *estates = &q->answer->estates;
    for (size_t i = q->request->owner_count; i < estates->count; i++) {
        if (MG_ITEMS(mg_estate, estates)[i].thread == thread) {
            return (uint32_t)i;
        }
    }
    if (estates->count == estates->capacity &&
        mg_vector_grow(estates, sizeof(mg_estate)) < 0) {
        q->state.out_of_memory = 1;
        return NO_OWNER;
    }
    MG_ITEMS(mg_estate, estates)[estates->count++] = (mg_estate){.thread = thread};
    return (uint32_t)estates->count - 1;
}

static void
give_pending_to(stack_walk *walk, uint32_t owner)
{
    mg_vector *all = &walk->q->variables;
    for (; walk->first_pending < all->count; walk->first_pending++) {
        MG_ITEMS(mg_held_variable, all)[walk->first_pending].owner = owner;
    }
}

static void
end_thread(stack_walk *walk)
{
    if (walk->first_pending < walk->q->variables.count) {
        give_pending_to(walk, owner_of_thread(walk->q, walk->thread));
    }
}

static int
is_own_code(const mg_inquiry *q, PyObject *code)
{
    PyObject *file = ((PyCodeObject *)code)->co_filename;
    return file != NULL && PyUnicode_CheckExact(file) &&
           PyUnicode_Tailmatch(file, q->request->own_folder, 0, PY_SSIZE_T_MAX, -1) == 1;
}

/* The innermost frames of this thread are memguard's, and so are those of others that ask
   something; of the next one here a variable, or the cell of one, may hold what it was
   asked with. */
static int
is_of_question(stack_walk *walk, const mg_running_frame *frame, PyObject *value)
{
    if (frame->code == NULL) {
        return 0;
    }
    if (!walk->past_own_frames) {
        if (is_own_code(walk->q, frame->code)) {
            return 1;
        }
        walk->past_own_frames = 1;
        walk->asker = frame->frame;
    }
    PyObject *inside = PyCell_Check(value) ? PyCell_GET(value) : value;
    return frame->is_current && frame->frame == walk->asker && inside != NULL &&
           inside == walk->q->request->question;
}

static uint32_t
task_of(const mg_inquiry *q, const mg_running_frame *frame)
{
    if (frame->generator == NULL || !mg_pointer_is_in(&q->marks, frame->generator)) {
        return NO_OWNER;
    }
    return MG_ITEMS(uint32_t, &q->owner_of_mark)[mg_number_in(&q->marks, frame->generator)];
}

static int
note_variable(const mg_running_frame *frame, int variable, PyObject *value, void *argument)
{
    stack_walk *walk = argument;
    mg_inquiry *q = walk->q;
    if (!walk->has_thread || walk->thread != frame->thread) {
        end_thread(walk);
        walk->has_thread = 1;
        walk->thread = frame->thread;
        walk->past_own_frames = 0;
        walk->task = NO_OWNER;
    }
    if (is_of_question(walk, frame, value)) {
        q->state.out_of_memory |= mg_push_pointer(&q->explained, value) < 0;
        return !q->state.out_of_memory;
    }
    if (!push_variable(q, value, NO_OWNER)) {
        return 0;
    }
    if (frame->code == NULL) {
        if (variable != MG_THREAD_DATA && walk->task != NO_OWNER) {
            end_thread(walk);       /* what else is there is the thread's */
            MG_ITEMS(mg_held_variable, &q->variables)[q->variables.count - 1].owner =
                walk->task;
        }
        return !q->state.out_of_memory;
    }
    uint32_t task = task_of(q, frame);
    /* Once a frame, with its function: what runs is held by what runs it. */
    if (variable == MG_FUNCTION && frame->generator != NULL) {
        if (mg_pointer_number(&q->running, frame->generator) == MG_NO_NUMBER) {
            q->state.out_of_memory = 1;
            return 0;
        }
        if (task == NO_OWNER && !push_variable(q, frame->generator, NO_OWNER)) {
            return 0;
        }
    }
    if (task != NO_OWNER) {
        walk->task = walk->task == NO_OWNER ? task : walk->task;
        give_pending_to(walk, task);
    }
    return 1;
}

int
mg_note_stacks(mg_inquiry *q)
{
    stack_walk walk = {.q = q, .task = NO_OWNER};
    PyObject *modules = mg_imported_modules();
    if (modules != NULL && mg_push_pointer(&q->unowned, modules) < 0) {
        return -1;
    }
    mg_for_each_running_variable(note_variable, &walk);
    end_thread(&walk);
    q->owner_count = q->answer->estates.count;
    return q->state.out_of_memory ? -1 : 0;
}
