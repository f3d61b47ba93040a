#ifdef __linux__
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#endif

#include "child.h"
#include "threads.h"

#include <errno.h>
#include <string.h>

int mg_child_behaviour;
int mg_fork_fails_with;

int
mg_child_reserve(mg_vector *vector, uint64_t count, size_t item_bytes)
{
    if (count > SIZE_MAX / 2 / item_bytes ||
        mg_vector_make_room(vector, (size_t)count, item_bytes) < 0) {
        return -1;
    }
    vector->count = (size_t)count;
    return 0;
}

#if MG_HAS_SNAPSHOTS

/* ------------------------------------------------------------------------
   In the child. */

/* The sum of lines such as "Private_Dirty:      12 kB". */
size_t
mg_child_private_bytes(void)
{
    char text[4096];
    int file = open("/proc/self/smaps_rollup", O_RDONLY | O_CLOEXEC);
    ssize_t length = file < 0 ? -1 : read(file, text, sizeof(text) - 1);
    size_t bytes = 0;
    if (length > 0) {
        text[length] = 0;
        for (const char *line = text; (line = strstr(line, "Private_")) != NULL; line++) {
            size_t kibibytes = 0;
            const char *digit = line + strcspn(line, "0123456789\n");
            for (; *digit >= '0' && *digit <= '9'; digit++) {
                kibibytes = 10 * kibibytes + (size_t)(*digit - '0');
            }
            bytes += kibibytes << 10;
        }
    }
    if (file >= 0) {
        (void)close(file);
    }
    return bytes;
}

void
mg_child_send(int pipe, const mg_section *sections, size_t count)
{
    for (size_t s = 0; s < count; s++) {
        const char *next = sections[s].items;
        for (size_t left = sections[s].bytes; left > 0;) {
            ssize_t sent = write(pipe, next, left);
            if (sent < 0 && errno != EINTR) {
                _exit(2);           /* nobody reads any more */
            }
            if (sent > 0) {
                next += sent;
                left -= (size_t)sent;
            }
        }
    }
}

static void
close_all_but(int kept)
{
#ifdef SYS_close_range
    if ((kept == 0 || syscall(SYS_close_range, 0u, (unsigned)kept - 1, 0u) == 0) &&
        syscall(SYS_close_range, (unsigned)kept + 1, ~0u, 0u) == 0) {
        return;
    }
#endif
    struct rlimit most;
    int end = getrlimit(RLIMIT_NOFILE, &most) == 0 && most.rlim_cur < (1 << 20)
        ? (int)most.rlim_cur : 1 << 20;
    for (int descriptor = 0; descriptor < end; descriptor++) {
        if (descriptor != kept) {
            (void)close(descriptor);
        }
    }
}

/* A connection that the service closes must end then, and not with the child; so must
   the child with the service.  It is the first to go when memory is short, leaves no
   image of the service's memory when it crashes, and lets the service run first. */
static void
settle_down(int pipe, int parent)
{
    close_all_but(pipe);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (getppid() != parent) {
        _exit(2);
    }
    struct rlimit none = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)setpriority(PRIO_PROCESS, 0, 10);
    int file = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (file >= 0) {
        ssize_t written = write(file, "1000", 4);
        (void)written;
        (void)close(file);
    }
}

static void
behave_as_tests_want(void)
{
    switch (mg_child_behaviour) {
    case MG_CHILD_HANGS:
        for (;;) {
            (void)pause();
        }
    case MG_CHILD_CRASHES:
        (void)kill(getpid(), SIGKILL);
        break;
    case MG_CHILD_ENDS_EARLY:
        _exit(3);
    default:
        break;
    }
}

static void
be_the_child(int pipe, int parent, mg_child_work work, void *argument)
{
    settle_down(pipe, parent);
    behave_as_tests_want();
    mg_do_without_malloc();
    work(pipe, argument);
    _exit(0);
}

/* ------------------------------------------------------------------------
   In the process that is looked at. */

/* fork() without what the C library and others have it do: no handlers of other
   libraries, no signal at the end of the child.  All arguments are zero, so their
   order, which differs between machines, does not matter. */
static int
fork_silently(void)
{
    if (mg_fork_fails_with != 0) {
        errno = mg_fork_fails_with;
        return -1;
    }
    return (int)syscall(SYS_clone, 0ul, 0ul, 0ul, 0ul, 0ul);
}

int
mg_child_fork(mg_child *child, mg_child_work work, void *argument)
{
    int ends[2];
    sigset_t all, before;
    memset(child, 0, sizeof(*child));
    child->pipe = -1;
    if (pipe2(ends, O_CLOEXEC) < 0) {
        return errno;
    }
    (void)fcntl(ends[1], F_SETPIPE_SZ, 1 << 20);    /* a wish */
    int parent = getpid();
    (void)sigfillset(&all);
    /* The child keeps them blocked: a handler of the program would write where the
       program waits.  Of this thread only; see threads.c. */
    (void)sigprocmask(SIG_SETMASK, &all, &before);
    mg_lock();
    int process = fork_silently();
    int error = process < 0 ? errno : 0;
    mg_unlock();
    if (process == 0) {
        be_the_child(ends[1], parent, work, argument);
    }
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    (void)close(ends[1]);
    if (error != 0) {
        (void)close(ends[0]);
        return error;
    }
    child->process = process;
    child->parent = parent;
    child->pipe = ends[0];
    return 0;
}

/* Wait for the end of the child; with WNOHANG, only ask.  Nonzero: it ended. */
static int
reap(mg_child *child, int options)
{
    int reaped;
    if (child->process == 0) {
        return 1;
    }
    do {
        reaped = waitpid(child->process, &child->exit_status, __WALL | options);
    } while (reaped < 0 && errno == EINTR);
    /* ECHILD: somebody else reaped it, with __WALL, and knows how it ended. */
    int ended = reaped == child->process || reaped < 0;
    if (ended) {
        child->process = 0;
    }
    return ended;
}

static mg_child_state
end_section(mg_child *child, mg_head_reader read_head, void *argument)
{
    if (child->current_section == 0) {
        mg_child_state state = read_head(argument);
        if (state != MG_CHILD_RUNS) {
            return state;
        }
    }
    child->received_bytes = 0;
    do {
        child->current_section++;
    } while (child->current_section < child->section_count &&
             child->sections[child->current_section].bytes == 0);
    return child->current_section == child->section_count ? MG_CHILD_ANSWERED
                                                          : MG_CHILD_RUNS;
}

static mg_child_state
read_section(mg_child *child, mg_head_reader read_head, void *argument)
{
    const mg_section *section = &child->sections[child->current_section];
    ssize_t length = read(child->pipe,
                          (char *)section->items + child->received_bytes,
                          section->bytes - child->received_bytes);
    if (length < 0 && errno == EINTR) {
        return MG_CHILD_RUNS;
    }
    if (length <= 0) {
        (void)reap(child, 0);
        return MG_CHILD_DIED;
    }
    child->received_bytes += (size_t)length;
    return child->received_bytes < section->bytes
        ? MG_CHILD_RUNS : end_section(child, read_head, argument);
}

/* The pipe may outlive the child: a process that the program forked meanwhile has
   it, too. */
mg_child_state
mg_child_receive(mg_child *child, mg_head_reader read_head, void *argument,
                 int timeout_milliseconds)
{
    struct pollfd waits = {.fd = child->pipe, .events = POLLIN};
    int ended = reap(child, WNOHANG);
    mg_child_state result = MG_CHILD_RUNS;
    while (result == MG_CHILD_RUNS) {
        int ready = poll(&waits, 1, ended ? 0 : timeout_milliseconds);
        if (ready <= 0) {
            return ended ? MG_CHILD_DIED : MG_CHILD_RUNS;
        }
        result = read_section(child, read_head, argument);
    }
    return result;
}

void
mg_child_end(mg_child *child)
{
    if (child->process != 0 && child->parent == getpid()) {
        (void)kill(child->process, SIGKILL);
        (void)reap(child, 0);
    }
    if (child->pipe >= 0) {
        (void)close(child->pipe);
        child->pipe = -1;
    }
}

#else

int
mg_child_fork(mg_child *child, mg_child_work work, void *argument)
{
    (void)work, (void)argument;
    memset(child, 0, sizeof(*child));
    return ENOSYS;
}

mg_child_state
mg_child_receive(mg_child *child, mg_head_reader read_head, void *argument,
                 int timeout_milliseconds)
{
    (void)child, (void)read_head, (void)argument, (void)timeout_milliseconds;
    return MG_CHILD_DIED;
}

void
mg_child_end(mg_child *child)
{
    (void)child;
}

void
mg_child_send(int pipe, const mg_section *sections, size_t count)
{
    (void)pipe, (void)sections, (void)count;
}

size_t
mg_child_private_bytes(void)
{
    return 0;
}

#endif
