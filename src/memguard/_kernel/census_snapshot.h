/* A census in a child process, over the memory as it was when that was forked.
 *
 * Covers: what the child counts, and the answer: the census as the pass leaves it, and how
 * classes were called, which may be gone when it arrives.
 * Does not cover: the child itself (child.h), the pass (census.h).
 */
#ifndef MG_CENSUS_SNAPSHOT_H
#define MG_CENSUS_SNAPSHOT_H

#include "census.h"
#include "snapshot.h"

typedef struct {
    mg_child child;
    double pause_seconds;           /* from the call on until the child was there */
    uint64_t header[10];
} mg_census_snapshot;

/* Fork, and count there; the census stays as it is.  The caller holds the GIL.
   As mg_snapshot_begin. */
int mg_census_snapshot_begin(mg_census_snapshot *snapshot, const mg_census *census,
                             const mg_census_request *request);

/* Receive what has come, and wait for so long for more.  Needs no GIL.  At the end `found`
   is the census as it is to be, and `seen` tells of its populations, in their order; types
   are never to be followed. */
mg_child_state mg_census_snapshot_receive(mg_census_snapshot *snapshot, mg_census *found,
                                          mg_seen_types *seen, int timeout_milliseconds);

#endif
