/* The loop that stands for a cycle.
 *
 * Of all loops through one of the given starts the shortest, and of those the
 * one whose labels come first: the same in every process, wherever its objects
 * lie in memory, and whether attributes are kept in a dict or without one.
 */
#ifndef MG_LOOPS_H
#define MG_LOOPS_H

#include "labels.h"
#include "scan.h"

typedef struct {
    uint32_t position;      /* in the cycle, of the object that refers */
    int in_namespace;       /* the reference is an entry of the dict before */
    mg_label label;         /* borrowed texts: valid until any Python code runs */
} mg_step;

/* Fill `steps` with the references of the loop, in order.  It begins at
   one of the starts; when `type` is not NULL, at a member of exactly that type.  0, or -1: no memory.  No steps: the
   members no longer refer to each other. */
int mg_find_loop(const mg_answer *answer, size_t cycle, PyTypeObject *type,
                 const uint32_t *starts, size_t start_count, mg_vector *steps);

#endif
