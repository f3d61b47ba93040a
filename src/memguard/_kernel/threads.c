#ifdef __linux__
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1     /* sched_getaffinity */
#endif
#include <sched.h>
#endif

/* Through Python's own layer: it hides what differs between systems, and asks for
   no newer C library than Python does. */
#include <Python.h>
#include <pythread.h>

#include "threads.h"

size_t mg_forced_thread_count;

#if MG_THREADS

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void
mg_lock(void)
{
    (void)pthread_mutex_lock(&lock);
}

void
mg_unlock(void)
{
    (void)pthread_mutex_unlock(&lock);
}

static size_t
processor_count(void)
{
#ifdef __linux__
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) == 0) {
        return (size_t)CPU_COUNT(&set);
    }
#endif
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count > 0 ? (size_t)count : 1;
}

size_t
mg_thread_count(void)
{
    size_t count = mg_forced_thread_count != 0 ? mg_forced_thread_count
                                               : processor_count();
    return count < MG_MOST_THREADS ? count : MG_MOST_THREADS;
}

typedef struct {
    void (*work)(void *argument, size_t thread);
    void *argument;
    size_t thread;
    PyThread_type_lock has_ended;
} task;

/* Kept from one call to the next, for a thread that has just said that it ends
   may still be about to leave its lock. */
static PyThread_type_lock ends[MG_MOST_THREADS - 1];

static void
run(void *argument)
{
    const task *t = argument;
    PyThread_type_lock has_ended = t->has_ended;
    t->work(t->argument, t->thread);
    PyThread_release_lock(has_ended);
}

static int
start(task *t)
{
    PyThread_type_lock *lock = &ends[t->thread - 1];
    if (*lock == NULL && (*lock = PyThread_allocate_lock()) == NULL) {
        return -1;
    }
    t->has_ended = *lock;
    (void)PyThread_acquire_lock(*lock, WAIT_LOCK);
    if (PyThread_start_new_thread(run, t) == PYTHREAD_INVALID_THREAD_ID) {
        PyThread_release_lock(*lock);
        return -1;
    }
    return 0;
}

static void
wait_for_end_of(const task *t)
{
    (void)PyThread_acquire_lock(t->has_ended, WAIT_LOCK);
    PyThread_release_lock(t->has_ended);
}

/* Signals are for the program's threads.  glibc gave pthread_sigmask another
   version later than wheels may ask for; its sigprocmask is of the thread, too. */
#ifdef __GLIBC__
#define SET_SIGNAL_MASK sigprocmask
#else
#define SET_SIGNAL_MASK pthread_sigmask
#endif

void
mg_run_together(void (*work)(void *argument, size_t thread), void *argument,
                size_t count)
{
    task tasks[MG_MOST_THREADS];
    size_t started = 1;
    sigset_t all, before;
    (void)sigfillset(&all);
    if (count > 1) {
        (void)SET_SIGNAL_MASK(SIG_SETMASK, &all, &before);
        for (; started < count && started < MG_MOST_THREADS; started++) {
            tasks[started] = (task){work, argument, started, NULL};
            if (start(&tasks[started]) < 0) {
                break;
            }
        }
        (void)SET_SIGNAL_MASK(SIG_SETMASK, &before, NULL);
    }
    work(argument, 0);
    while (--started != 0) {
        wait_for_end_of(&tasks[started]);
    }
}

#else

void mg_lock(void) {}
void mg_unlock(void) {}

size_t
mg_thread_count(void)
{
    return 1;
}

void
mg_run_together(void (*work)(void *argument, size_t thread), void *argument, size_t count)
{
    (void)count;
    work(argument, 0);
}

#endif
