/* What a thread without the GIL can ask and do: malloc, and its own time.
 *
 * The functions of malloc are handed over as addresses, for not every C library
 * has them, and what this is built with need not be what it runs with.
 */
#ifndef MG_BELL_H
#define MG_BELL_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* struct mallinfo2, see mallinfo(3). */
typedef struct {
    size_t arena, ordblks, smblks, hblks, hblkhd, usmblks, fsmblks, uordblks, fordblks, keepcost;
} mg_malloc_info;

static inline size_t
mg_in_use_bytes(uintptr_t mallinfo2)
{
    mg_malloc_info info = ((mg_malloc_info (*)(void))mallinfo2)();
    return info.uordblks + info.hblkhd;
}

/* Time that this thread ran [s]; 0 where that is not told. */
static inline double
mg_thread_seconds(void)
{
#ifdef CLOCK_THREAD_CPUTIME_ID
    struct timespec now;
    if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) == 0) {
        return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
    }
#endif
    return 0.0;
}

/* What giving memory back took this thread [s]. */
static inline double
mg_trim(uintptr_t malloc_trim)
{
    double begun = mg_thread_seconds();
    (void)((int (*)(size_t))malloc_trim)(0);
    return mg_thread_seconds() - begun;
}

#endif
