/* Whether a cycle that a snapshot saw is still there, unchanged.
 *
 * The snapshot gives addresses, and what lay there may be gone, unmapped or
 * overwritten since.  An object is taken for alive when it hangs between two
 * neighbours in a list of the collector, which point back at it, and has the class
 * that was seen; then its references are compared.  All of that is read by copies
 * that the system makes, which fail where there is no memory.
 */
#ifndef MG_ALIVE_H
#define MG_ALIVE_H

#include "snapshot.h"

/* 1: it is; 0: it is not; -1: no memory to tell.  The caller holds the GIL. */
int mg_cycle_is_alive(const mg_answer *answer, const mg_seen_types *seen, size_t cycle);

/* Test hook: copy by the way that every sandbox allows. */
extern int mg_copies_through_pipe;

#endif
