/* One scan, from the heap of this interpreter to arrays of plain numbers.
 *
 * Covers: the request, the working state that the passes share, the answer.
 * Does not cover: Python objects for the answer (_core.pyx makes them).
 *
 * The caller holds the GIL from mg_scan() until it owns references to the
 * members in the answer; no Python code runs in between, no Python object is
 * made, and no reference count changes (but from 3.16 on for one that
 * PyUnstable_GC_VisitObjects takes and drops again for each object).
 *
 * Passes (see docs/design.md, "The scan"):
 *   enumerate.c   which objects there are                          -> node map
 *   explore.c     garbage: what modules and frames reach is closed -> node map
 *   record.c      number the open nodes, record their references   -> rows
 *   components.c  strongly connected components of rows            -> members
 *   garbage.c     trial deletion over what was not reached: exact  -> rows
 *   signatures.c  a number for cycles that are alike               -> facts
 *   shapes.c      equal components together                        -> shapes
 * and, once somebody asks (mg_weigh), from the members as they are then:
 *   expansion.c   references of members and of what they hold      -> graph
 *   owned.c       sizes, references from outside, what is held     -> facts
 */
#ifndef MG_SCAN_H
#define MG_SCAN_H

#include "compat.h"
#include "memory.h"
#include "nodemap.h"
#include "pointer_index.h"

#define MG_CUT_MODULES 1u
#define MG_CUT_MODULE_DICTS 2u
#define MG_CUT_TYPES 4u
#define MG_CUT_INSTANCE_TYPES 8u

enum { MG_GARBAGE, MG_LIVE };
enum { MG_RUNS, MG_STOPPED_BY_OBJECTS, MG_STOPPED_BY_BUDGET };

/* What an answer holds; its references count as nothing in later scans. */
typedef struct mg_holding {         /* a field of its owner */
    PyObject *owner;                /* borrowed: the HeapGraph */
    PyObject **objects;             /* owned references */
    size_t count;
    struct mg_holding *next;
    struct mg_holding *previous;
} mg_holding;

extern mg_holding mg_holdings;      /* sentinel of a ring */

typedef struct {
    int kind;
    int describes;                  /* groups cycles by shape */
    unsigned cuts;
    PyObject **roots;               /* NULL: the whole heap */
    size_t root_count;
    PyObject *root_holders[2];      /* of the roots, for the call: NULL for none */
    size_t max_objects;             /* 0: no limit */
    double budget_seconds;          /* 0: no limit */
    double (*clock_seconds)(void);
    PyObject *name_key;             /* the string "__name__" */
    PyTypeObject *own_type;         /* instances of it are not part of the heap */
    const mg_holding *keep;         /* this one counts as a real holder */
    int with_frozen;                /* what gc.freeze() put aside, too */
} mg_request;

/* Of all objects, those that gc.freeze() put aside among them. */
static inline mg_request
mg_request_of_all(double (*clock_seconds)(void), PyObject *name_key, PyTypeObject *own_type)
{
    return (mg_request){.kind = MG_LIVE,
                        .clock_seconds = clock_seconds,
                        .name_key = name_key,
                        .own_type = own_type,
                        .with_frozen = 1};
}

typedef struct {
    uint64_t shallow_bytes;
    uint64_t retained_bytes;
    uint32_t retained_count;
    int64_t outside_references;
    uint64_t signature;
    uint32_t shape;
} mg_cycle;

typedef struct {
    uint32_t cycle_count;
    uint32_t exemplar;
    uint64_t object_count;
    uint64_t shallow_bytes;
    uint64_t retained_bytes;
} mg_shape;

typedef struct {
    PyTypeObject *type;
    size_t count;
} mg_type_count;

typedef struct {
    int stopped;
    size_t object_count;
    size_t edge_count;
    size_t suspect_count;
    size_t unreachable_count;
    size_t side_table_bytes;
    double duration_seconds;

    mg_vector type_counts;          /* mg_type_count, of unreachable objects */
    mg_vector members;              /* PyObject *, cycle by cycle */
    mg_vector cycle_start;          /* uint32_t, cycle_count + 1 */
    mg_vector edge_start;           /* uint64_t, member_count + 1 */
    mg_vector edge_target;          /* uint32_t, position in members */
    mg_cycle *cycles;
    size_t cycle_count;
    mg_shape *shapes;               /* most objects first */
    size_t shape_count;
} mg_answer;

/* 0, or -1 when there was no memory; the answer is then empty. */
int mg_scan(const mg_request *request, mg_answer *answer);
/* Weigh the cycles of an answer as they are now, and group them by shape if its
   request did not ask for that.  -1: no memory; the answer is as before. */
int mg_weigh(const mg_request *request, mg_answer *answer);
void mg_answer_clear(mg_answer *answer);

/* Take one reference to every object of a holding; drop them again. */
void mg_hold(mg_holding *holding);
void mg_let_go(mg_holding *holding);

/* Any class that is written in Python, to know others by. */
void mg_learn_from_class(PyTypeObject *type);

/* Show the collector what instances of the type hold. */
void mg_make_holder(PyTypeObject *type);

/* ------------------------------------------------------------------------
   Between the passes. */

/* References wait here between tp_traverse, which hands them over one call at
   a time, and the loop that looks them up.  In a loop the look-ups overlap;
   in the visitor each would wait for the one before. */
#define MG_GATHERED 256

typedef struct mg_state {
    PyObject **gathered_end;
    int (*drain)(struct mg_state *state);   /* look up what was gathered */
    void *searcher;                         /* whose search it is: explore.c */
    mg_map map;
    size_t edge_count;
    PyObject *gathered[MG_GATHERED];
    const mg_request *request;
    mg_answer *answer;
    double deadline_seconds;
    double started_seconds;
    size_t before_bytes;
    int out_of_memory;
    size_t enumerated;
    size_t next_check;
    uintptr_t last_address;         /* of the object enumerated before */

    mg_pointer_index cut_dicts;     /* of modules */
    int knows_modules;              /* all those dicts were noted */
    mg_vector cut_objects;          /* void *: the others, of the whole heap */
    uintptr_t kinds[64];            /* of some types: see mg_kind_of */
    size_t thread_count;
    mg_vector interpreter_roots;    /* void * */
    mg_vector foreign;              /* void *: objects of MG_FOREIGN types, where
                                       there are several threads */
    mg_vector references;           /* for the pass that runs: see there */
    mg_vector children;             /* PyObject *: see expansion.c */
} mg_state;

/* A scan in its parts.  Begins with what only the thread with the GIL can do, in the
   process that is scanned; the rest can be done by a child of it (snapshot.c), and
   writes to nothing but tables of its own.  Both return 0, or -1: no memory.
   Ends in any case, with the result so far, and returns that. */
int mg_scan_begin(mg_state *state, const mg_request *request, mg_answer *answer);
/* The same for questions that are not about cycles: clocks and counts, no table. */
void mg_state_begin(mg_state *state, const mg_request *request, mg_answer *answer);
int mg_scan_go_on(mg_state *state);
int mg_scan_end(mg_state *state, int result);

/* Nonzero when the pass must end: no memory, or the budget is spent. */
int mg_must_stop(mg_state *state);

int mg_enumerate_heap(mg_state *state);
int mg_enumerate_roots(mg_state *state);
int mg_enumerate_members(mg_state *state);
void mg_open_members(mg_state *state);

int mg_is_module(PyObject *object);
int mg_find_out_kind(mg_state *state, PyTypeObject *type);
int mg_traverses_anywhere(PyTypeObject *type);
int mg_is_cut(mg_state *state, PyObject *object);
int mg_note_module_dict(mg_state *state, PyObject *module);

int mg_weigh_cycles(mg_state *state);

/* Add to counts, a vector of mg_type_count in order of first appearance; types
   goes with it.  0, or -1: no memory. */
int mg_count_type(mg_vector *counts, mg_pointer_index *types, PyTypeObject *type);
int mg_count_types(mg_vector *counts, PyObject *const *objects, size_t count);
int mg_sign_cycles(mg_answer *answer);
int mg_group_shapes(mg_answer *answer);
void mg_add_up_shapes(mg_answer *answer);

/* Whether a reference from an instance to its class takes part in no cycle,
   while classes may. */
static inline int
mg_own_types_are_cut(const mg_state *state)
{
    return state->request->kind == MG_LIVE &&
           (state->request->cuts & (MG_CUT_INSTANCE_TYPES | MG_CUT_TYPES)) ==
               MG_CUT_INSTANCE_TYPES;
}

/* Kinds of types, by what their instances are: */
enum {
    MG_PLAIN,       /* nothing special */
    MG_FOREIGN,     /* the same, to be traversed on the thread with the GIL */
    MG_SPECIAL,     /* classes or modules */
    MG_OWN,         /* memguard's, which are no part of the heap */
    MG_KIND_MASK = 3,
};

/* Neighbours on the heap have few types, and asking a heap type for its bases
   costs more than all else that is done for an object. */
static inline uintptr_t *
mg_kind_slot(mg_state *state, PyTypeObject *type)
{
    uintptr_t bits = (uintptr_t)type;
    return &state->kinds[(bits >> 4 ^ bits >> 10) & 63];
}

static inline int
mg_kind_of(mg_state *state, PyTypeObject *type)
{
    uintptr_t difference = *mg_kind_slot(state, type) ^ (uintptr_t)type;
    return MG_LIKELY(difference <= MG_KIND_MASK) ? (int)difference
                                                 : mg_find_out_kind(state, type);
}

static inline void
mg_traverse(PyObject *object, visitproc visit, void *argument)
{
    Py_TYPE(object)->tp_traverse(object, visit, argument);
}

/* The items of an object that refers to nothing else, some of them perhaps
   NULL; NULL for objects that have to be traversed. */
static inline PyObject *const *
mg_items_of(PyObject *object, size_t *count)
{
    if (PyList_CheckExact(object)) {
        static PyObject *const none[1];
        PyObject *const *items = ((PyListObject *)object)->ob_item;
        *count = items == NULL ? 0 : (size_t)Py_SIZE(object);
        return items == NULL ? none : items;
    }
    if (PyTuple_CheckExact(object)) {
        *count = (size_t)Py_SIZE(object);
        return ((PyTupleObject *)object)->ob_item;
    }
    return NULL;
}

/* A visitor; its argument is the state. */
static inline int
mg_gather(PyObject *object, void *argument)
{
    mg_state *state = argument;
    *state->gathered_end++ = object;
    return MG_UNLIKELY(state->gathered_end == state->gathered + MG_GATHERED)
        ? state->drain(state) : 0;
}

static inline size_t
mg_gathered_count(const mg_state *state)
{
    return (size_t)(state->gathered_end - state->gathered);
}

#endif
