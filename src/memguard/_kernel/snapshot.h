/* A scan in a child process, over the memory as it was when that was forked.
 *
 * Covers: what is scanned there, and the answer.
 * Does not cover: the child itself (child.h); whether what was found is still there
 * (alive.h).
 */
#ifndef MG_SNAPSHOT_H
#define MG_SNAPSHOT_H

#include "child.h"
#include "scan.h"

/* How a class was called when it was seen; texts follow each other in one array. */
typedef struct {
    PyTypeObject *type;             /* never to be followed: it may be gone */
    uint32_t module_bytes;
    uint32_t qualname_bytes;
    uint32_t name_bytes;
    uint8_t module_kind;            /* of its characters; 0: there is none */
    uint8_t qualname_kind;
} mg_seen_type;

/* What is known of objects that the answer does not hold. */
typedef struct {
    mg_vector types;                /* mg_seen_type */
    mg_vector texts;                /* char */
    mg_vector member_types;         /* uint32_t, by member: position in types */
} mg_seen_types;

/* In the child.  -1: no memory. */
int mg_describe_type(mg_seen_types *seen, PyTypeObject *type);
void mg_seen_types_clear(mg_seen_types *seen);

#define MG_SECTIONS MG_MOST_SECTIONS

typedef struct {
    mg_child child;
    double pause_seconds;           /* from the call on until the child was there */
    size_t private_bytes;           /* pages that only the child has, at its end */
    uint64_t header[16];
} mg_snapshot;

/* Fork, and scan and weigh there, the cycles described.  The caller holds the GIL.
   0; a number of errno: no child is to be had, and nothing is left of the attempt;
   -1: no memory for the tables. */
int mg_snapshot_begin(mg_snapshot *snapshot, const mg_request *request);

/* Receive what has come, and wait for so long for more.  Needs no GIL. */
mg_child_state mg_snapshot_receive(mg_snapshot *snapshot, mg_answer *answer,
                                   mg_seen_types *seen, int timeout_milliseconds);

#endif
