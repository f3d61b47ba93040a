/* A child process that looks at the memory of this one as it was when it was forked.
 *
 * Covers: the fork, what the child does without, the way of an answer back.
 * Does not cover: what is looked for (snapshot.h, census_snapshot.h).
 *
 * The child runs with the locks of all other threads as they happened to be.  It
 * calls nothing but tp_traverse and the kernel, which then does without malloc,
 * threads and the interpreter's lists of threads; it ends by _exit.
 *
 * It is no child as subprocess and asyncio know them: its end sends no signal, and
 * no waitpid() sees it but one with __WALL.
 */
#ifndef MG_CHILD_H
#define MG_CHILD_H

#include "compat.h"
#include "memory.h"

#ifdef __linux__
#define MG_HAS_SNAPSHOTS (!MG_FREE_THREADED)
#else
#define MG_HAS_SNAPSHOTS 0
#endif

typedef enum {
    MG_CHILD_RUNS,
    MG_CHILD_ANSWERED,
    MG_CHILD_HAD_NO_MEMORY,
    MG_CHILD_DIED,                  /* see exit_status */
    MG_NO_MEMORY_FOR_ANSWER,
} mg_child_state;

/* An answer is arrays that follow each other; the first, the head, says how long the
   others are. */
typedef struct {
    void *items;
    size_t bytes;
} mg_section;

#define MG_MOST_SECTIONS 11

typedef struct {
    int process;                    /* its number */
    int parent;                     /* whose child it is: nobody else ends it */
    int pipe;
    int exit_status;                /* as from waitpid(), once it ended */
    size_t section_count;
    size_t current_section;
    size_t received_bytes;          /* of the section */
    mg_section sections[MG_MOST_SECTIONS];
} mg_child;

/* What the child does; it writes its answer to the pipe. */
typedef void (*mg_child_work)(int pipe, void *argument);

/* Fork, and work there.  The caller holds the GIL.  0; or a number of errno: no child is
   to be had, and nothing is left of the attempt. */
int mg_child_fork(mg_child *child, mg_child_work work, void *argument);

/* In the child: all that it has to say. */
void mg_child_send(int pipe, const mg_section *sections, size_t count);

/* In the child: pages that only it has. */
size_t mg_child_private_bytes(void);

/* The head is there: make room for the other sections.  MG_CHILD_RUNS: it is made. */
typedef mg_child_state (*mg_head_reader)(void *argument);

/* Receive what has come, and wait for so long for more.  Needs no GIL. */
mg_child_state mg_child_receive(mg_child *child, mg_head_reader read_head, void *argument,
                                int timeout_milliseconds);

/* Room for an array of so many, of which all are to be received.  -1: no memory. */
int mg_child_reserve(mg_vector *vector, uint64_t count, size_t item_bytes);

/* End the child, whatever it does, and leave nothing of it; a process that the program
   forked meanwhile only closes its copy of the pipe.  Needs no GIL. */
void mg_child_end(mg_child *child);

/* Test hooks: what the child does before it works, and whether it may be forked. */
enum { MG_CHILD_SCANS, MG_CHILD_HANGS, MG_CHILD_CRASHES, MG_CHILD_ENDS_EARLY };
extern int mg_child_behaviour;
extern int mg_fork_fails_with;      /* a number of errno; 0: it does not */

#endif
