/* The shortest way from a root of this interpreter to given objects.
 *
 * Covers: roots, a search in breadth over all references, ways that share nothing,
 * what would be freed if their last references were cut.
 * Does not cover: words for any of it (heap/retention.py).
 *
 * The caller holds the GIL from mg_find_ways() until it owns references to what is
 * in the answer.  Like a scan it runs no Python code and changes no count.
 */
#ifndef MG_WAYS_H
#define MG_WAYS_H

#include "scan.h"

enum {
    MG_ROOT_MODULES,        /* sys.modules */
    MG_ROOT_RUNNING,        /* of a thread: see compat.h, `variable` */
    MG_ROOT_UNEXPLAINED,    /* more references than objects and frames have */
};

typedef struct {
    int kind;
    int variable;
    PyObject *object;
    PyObject *code;
    unsigned long thread;
    int64_t unexplained_count;
    Py_ssize_t place;           /* in a tuple that C code may still be building, which
                                   is no step, for nobody else may refer to it; or -1 */
} mg_way_root;

typedef struct {
    PyObject *asked;            /* a tuple, which holds for the question only: first
                                   what the caller gave, then the targets.  What is
                                   handed over by itself has references of calls. */
    PyObject *own_folder;       /* code from files in it belongs to the question */
    int asker_holds;            /* variables of the frame that asks count as others do */
    PyObject *root;             /* NULL, or what a variable of an own frame holds that
                                   counts all the same */
    size_t most_ways;           /* for each target */
    int weighs;
    double (*clock_seconds)(void);
    PyObject *name_key;
    PyTypeObject *own_type;
} mg_ways_request;

/* A way with more steps is given by its ends, unless several are asked for. */
#define MG_MOST_STEPS 64

typedef struct {
    mg_vector roots;            /* mg_way_root */
    mg_vector steps;            /* PyObject *, way by way, root first, target last */
    mg_vector way_root;         /* uint32_t: number of a root */
    mg_vector way_end;          /* uint32_t: in steps */
    mg_vector way_target;       /* uint32_t: place in targets */
    mg_vector way_hidden;       /* uint32_t: steps left out in the middle */
    size_t freed_count;
    size_t freed_bytes;
    size_t object_count;
    size_t side_table_bytes;
    double duration_seconds;
} mg_ways;

/* 0, or -1: no memory; the answer is then empty. */
int mg_find_ways(const mg_ways_request *request, mg_ways *ways);
void mg_ways_clear(mg_ways *ways);

#endif
