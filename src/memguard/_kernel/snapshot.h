/* A scan in a child process, over the memory as it was when that was forked.
 *
 * Covers: the fork, the child, the way of the answer back.
 * Does not cover: whether what was found is still there (alive.h).
 *
 * The child runs with the locks of all other threads as they happened to be.  It
 * calls nothing but tp_traverse and the kernel, which then does without malloc,
 * threads and the interpreter's lists of threads; it ends by _exit.
 *
 * It is no child as subprocess and asyncio know them: its end sends no signal, and
 * no waitpid() sees it but one with __WALL.
 */
#ifndef MG_SNAPSHOT_H
#define MG_SNAPSHOT_H

#include "scan.h"

#ifdef __linux__
#define MG_HAS_SNAPSHOTS (!MG_FREE_THREADED)
#else
#define MG_HAS_SNAPSHOTS 0
#endif

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

void mg_seen_types_clear(mg_seen_types *seen);

typedef enum {
    MG_CHILD_RUNS,
    MG_CHILD_ANSWERED,
    MG_CHILD_HAD_NO_MEMORY,
    MG_CHILD_DIED,                  /* see exit_status */
    MG_NO_MEMORY_FOR_ANSWER,
} mg_child_state;

typedef struct {
    void *items;
    size_t bytes;
} mg_section;

#define MG_SECTIONS 11

typedef struct {
    int child;                      /* its process number */
    int parent;                     /* whose child it is: nobody else ends it */
    int pipe;
    int exit_status;                /* as from waitpid(), once it ended */
    double pause_seconds;           /* from the call on until the child was there */
    size_t private_bytes;           /* pages that only the child has, at its end */
    size_t current_section;
    size_t received_bytes;          /* of the section */
    mg_section sections[MG_SECTIONS];
    uint64_t header[16];
} mg_snapshot;

/* Fork, and scan and weigh there, the cycles described.  The caller holds the GIL.
   0; a number of errno: no child is to be had, and nothing is left of the attempt;
   -1: no memory for the tables. */
int mg_snapshot_begin(mg_snapshot *snapshot, const mg_request *request);

/* Receive what has come, and wait for so long for more.  Needs no GIL. */
mg_child_state mg_snapshot_receive(mg_snapshot *snapshot, mg_answer *answer,
                                   mg_seen_types *seen, int timeout_milliseconds);

/* End the child, whatever it does, and leave nothing of it; a process that the program
   forked meanwhile only closes its copy of the pipe.  Needs no GIL. */
void mg_snapshot_end(mg_snapshot *snapshot);

/* Test hooks: what the child does before it scans, and whether it may be forked. */
enum { MG_CHILD_SCANS, MG_CHILD_HANGS, MG_CHILD_CRASHES, MG_CHILD_ENDS_EARLY };
extern int mg_child_behaviour;
extern int mg_fork_fails_with;      /* a number of errno; 0: it does not */

#endif
