/* What the passes of one question for owners share.
 *
 *   stacks.c    marks, variables of running frames
 *   owners.c    other roots, which objects are alive, what is whose
 *   descent.c   the search in depth that dominators need, references turned round
 *   estates.c   sizes, added up along the tree of dominators
 */
#ifndef MG_INQUIRY_H
#define MG_INQUIRY_H

#include "dominators.h"
#include "owners.h"
#include "rows.h"

typedef struct {
    PyObject *object;
    uint32_t owner;             /* whose frame or thread it belongs to */
} mg_held_variable;

typedef struct {
    mg_state state;
    mg_rows rows;
    const mg_owners_request *request;
    mg_owners *answer;
    uint32_t asked_node;        /* the tuple of the question, which holds nothing */
    size_t owner_count;         /* with threads that the request does not name */

    mg_pointer_index marks;     /* objects */
    mg_vector owner_of_mark;    /* uint32_t, by number in there */
    mg_vector variables;        /* mg_held_variable */
    mg_pointer_index running;   /* generators and coroutines whose frames run: what they
                                   show of their variables now and then is in there */
    mg_vector unowned;          /* void *: other roots */
    mg_vector explained;        /* void *: references of the question's own frames */

    uint64_t *is_mark;          /* bits, by node */
    uint64_t *is_alive;
    uint64_t *is_unowned;       /* reached without passing any mark or running frame */
    mg_vector starts;           /* uint32_t: vertices that are roots */
    mg_vector belongings;       /* uint64_t, sorted: owner << 32 | node */
    uint32_t *first_belonging;  /* by owner, and one more */
    uint32_t *owner_place;      /* by owner: its place in the order of the search, or 0 */

    uint32_t alive_count;       /* places before those of what only the question holds */
    size_t capacity;            /* of the tables below */
    uint32_t *vertex_at;        /* by place: a node, or node count + owner */
    mg_dominators tree;         /* by place */
} mg_inquiry;

static inline uint32_t
mg_owner_vertex(const mg_inquiry *q, uint32_t owner)
{
    return (uint32_t)q->rows.count + owner;
}

static inline int
mg_is_running(const mg_inquiry *q, PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    return MG_UNLIKELY(type == &PyGen_Type || type == &PyCoro_Type ||
                       type == &PyAsyncGen_Type) &&
           mg_pointer_is_in(&q->running, object);
}

/* Threads that the request does not name come after these. */
static inline int
mg_is_of_garbage(const mg_inquiry *q, uint32_t owner)
{
    return owner >= q->request->first_of_garbage && owner < q->request->owner_count;
}

/* For marks only. */
static inline uint32_t
mg_owner_of_mark(const mg_inquiry *q, uint32_t node)
{
    const void *object = mg_object_at(&q->state, &q->rows, node);
    return MG_ITEMS(uint32_t, &q->owner_of_mark)[mg_number_in(&q->marks, object)];
}

/* All return 0, or -1: no memory. */
int mg_note_marks(mg_inquiry *q);       /* -> marks */
/* Before the tables of nodes, for threads are listed under a lock. */
int mg_note_stacks(mg_inquiry *q);      /* -> variables, running, explained */
int mg_descend(mg_inquiry *q);          /* -> vertex_at, tree */
int mg_add_up_estates(mg_inquiry *q);   /* -> answer */

#endif
