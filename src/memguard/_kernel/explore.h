/* Close every node that given nodes reach: it is alive. */
#ifndef MG_EXPLORE_H
#define MG_EXPLORE_H

#include "order.h"
#include "scan.h"

#define MG_AHEAD 16             /* a power of two */

typedef struct {
    mg_state *state;
    uint32_t *waiting;          /* a stack: reached, not yet visited */
    size_t waiting_count;
    size_t capacity;
    PyObject *soon[MG_AHEAD];   /* a queue: on their way into the cache */
    uint32_t soon_first;
    uint32_t soon_end;
} mg_exploration;

/* All return 0, or -1: no memory. */
int mg_exploration_begin(mg_exploration *x, mg_state *state);
void mg_exploration_reach(mg_exploration *x, uint32_t handle);
int mg_explore(mg_exploration *x);
void mg_exploration_end(mg_exploration *x);

#endif
