/* A few threads of our own, for work that needs nothing of the interpreter.
 *
 * The caller holds the GIL all the while, so nothing that they read changes;
 * they have no thread state and must not call what could ask for one.
 */
#ifndef MG_THREADS_H
#define MG_THREADS_H

#include <stddef.h>

#if !defined(_WIN32) && defined(__GNUC__)
#define MG_THREADS 1
#else
#define MG_THREADS 0
#endif

#define MG_MOST_THREADS 4

extern size_t mg_forced_thread_count;   /* test hook; 0: not forced */

/* How many may run at a time: processors that this process may use. */
size_t mg_thread_count(void);

/* Call work(argument, thread) for thread 0 here and for others, `count` in all,
   at the same time; fewer where no thread is to be had.  Returns when all have
   returned. */
void mg_run_together(void (*work)(void *argument, size_t thread), void *argument, size_t count);

/* The next of 0, 1, 2, ... for whoever asks. */
static inline size_t
mg_claim(size_t *next)
{
#if MG_THREADS
    return __atomic_fetch_add(next, 1, __ATOMIC_RELAXED);
#else
    return (*next)++;
#endif
}

static inline void
mg_raise_flag(int *flag)
{
#if MG_THREADS
    __atomic_store_n(flag, 1, __ATOMIC_RELAXED);
#else
    *flag = 1;
#endif
}

static inline int
mg_is_raised(const int *flag)
{
#if MG_THREADS
    return __atomic_load_n(flag, __ATOMIC_RELAXED);
#else
    return *flag;
#endif
}

/* One lock for all. */
void mg_lock(void);
void mg_unlock(void);

#endif
