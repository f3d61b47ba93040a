#ifdef __linux__
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1     /* sched_getaffinity */
#endif
#include <sched.h>
#endif

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
} task;

static void *
run(void *argument)
{
    const task *t = argument;
    t->work(t->argument, t->thread);
    return NULL;
}

/* Signals are for the program's threads. */
void
mg_run_together(void (*work)(void *argument, size_t thread), void *argument, size_t count)
{
    pthread_t threads[MG_MOST_THREADS];
    task tasks[MG_MOST_THREADS];
    size_t started = 0;
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    while (started + 1 < count && started < MG_MOST_THREADS - 1) {
        tasks[started] = (task){work, argument, started + 1};
        if (pthread_create(&threads[started], NULL, run, &tasks[started]) != 0) {
            break;
        }
        started++;
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    work(argument, 0);
    while (started-- != 0) {
        (void)pthread_join(threads[started], NULL);
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
