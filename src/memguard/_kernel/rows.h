/* References among numbered nodes: compressed sparse rows.
 *
 * The references of all nodes lie in one array, node by node.
 */
#ifndef MG_ROWS_H
#define MG_ROWS_H

#include "scan.h"

typedef struct {
    uint32_t link;      /* explore.c: parent and flags; components.c: index */
    uint32_t end;       /* of its references, which begin where those of the
                           node before end */
} mg_row;

typedef struct {
    size_t count;
    size_t capacity;    /* of both arrays */
    uint32_t *handles;
    mg_row *rows;
    mg_vector edges;    /* uint32_t */
} mg_rows;

/* What `link` is once the component of a node is known, or does not matter. */
#define MG_DONE UINT32_MAX

/* 0, or -1: no memory. */
int mg_rows_begin(mg_rows *rows, size_t capacity);
void mg_rows_end(mg_rows *rows);

/* Write the cycles among nodes whose link is 0 to the answer; edges hold
   numbers.  0, or -1: no memory. */
int mg_emit_components(mg_state *state, mg_rows *rows);

#endif
