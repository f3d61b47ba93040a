#ifdef __linux__
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#endif

#include "labels.h"
#include "snapshot.h"
#include "threads.h"

#include <errno.h>
#include <string.h>

int mg_child_behaviour;
int mg_fork_fails_with;

void
mg_seen_types_clear(mg_seen_types *seen)
{
    mg_vector_clear(&seen->types, sizeof(mg_seen_type));
    mg_vector_clear(&seen->texts, 1);
    mg_vector_clear(&seen->member_types, sizeof(uint32_t));
}

#if MG_HAS_SNAPSHOTS

/* The head of the answer, in words of 64 bits. */
enum {
    RESULT,                 /* of the scan: 0, or -1 */
    STOPPED,
    OBJECT_COUNT,
    EDGE_COUNT,
    SUSPECT_COUNT,
    UNREACHABLE_COUNT,
    SIDE_TABLE_BYTES,
    DURATION_NANOSECONDS,
    PRIVATE_BYTES,
    TYPE_COUNT,
    TEXT_BYTES,
    UNREACHABLE_TYPE_COUNT,
    MEMBER_COUNT,
    CYCLE_COUNT,
    REFERENCE_COUNT,        /* among members */
    SHAPE_COUNT,
    HEADER_WORDS
};

_Static_assert(HEADER_WORDS == sizeof(((mg_snapshot *)0)->header) / sizeof(uint64_t),
               "the header of a snapshot has another size than what is sent");

/* Where the arrays of an answer lie, in the order in which they are sent.  All but
   the first are empty until a header says how long they are. */
static void
lay_out_sections(mg_section sections[MG_SECTIONS], uint64_t *header,
                 const mg_answer *answer, const mg_seen_types *seen)
{
    uint64_t members = header[MEMBER_COUNT];
    uint64_t cycles = header[CYCLE_COUNT];
    mg_section laid_out[MG_SECTIONS] = {
        {header, HEADER_WORDS * sizeof(*header)},
        {seen->types.items, header[TYPE_COUNT] * sizeof(mg_seen_type)},
        {seen->texts.items, header[TEXT_BYTES]},
        {seen->member_types.items, members * sizeof(uint32_t)},
        {answer->type_counts.items,
         header[UNREACHABLE_TYPE_COUNT] * sizeof(mg_type_count)},
        {answer->members.items, members * sizeof(void *)},
        {answer->cycle_start.items, (cycles + 1) * sizeof(uint32_t)},
        {answer->edge_start.items, (members + 1) * sizeof(uint64_t)},
        {answer->edge_target.items, header[REFERENCE_COUNT] * sizeof(uint32_t)},
        {answer->cycles, cycles * sizeof(mg_cycle)},
        {answer->shapes, header[SHAPE_COUNT] * sizeof(mg_shape)},
    };
    memcpy(sections, laid_out, sizeof(laid_out));
}

/* ------------------------------------------------------------------------
   In the child. */

static int
add_text(mg_vector *texts, const void *text, size_t bytes)
{
    if (mg_vector_make_room(texts, bytes, 1) < 0) {
        return -1;
    }
    if (bytes != 0) {
        memcpy(MG_ITEMS(char, texts) + texts->count, text, bytes);
    }
    texts->count += bytes;
    return 0;
}

static int
add_string(mg_vector *texts, PyObject *text, uint32_t *bytes, uint8_t *kind)
{
    *bytes = 0;
    *kind = 0;
    if (text == NULL || !PyUnicode_Check(text) || !PyUnicode_IS_READY(text)) {
        return 0;
    }
    *kind = (uint8_t)PyUnicode_KIND(text);
    *bytes = (uint32_t)(PyUnicode_GET_LENGTH(text) * PyUnicode_KIND(text));
    return add_text(texts, PyUnicode_DATA(text), *bytes);
}

static int
describe_type(mg_seen_types *seen, PyTypeObject *type)
{
    mg_type_words words = mg_words_of_type(type);
    mg_seen_type entry = {.type = type, .name_bytes = (uint32_t)strlen(words.name)};
    if (add_string(&seen->texts, words.module, &entry.module_bytes,
                   &entry.module_kind) < 0 ||
        add_string(&seen->texts, words.qualname, &entry.qualname_bytes,
                   &entry.qualname_kind) < 0 ||
        add_text(&seen->texts, words.name, entry.name_bytes) < 0 ||
        (seen->types.count == seen->types.capacity &&
         mg_vector_grow(&seen->types, sizeof(entry)) < 0)) {
        return -1;
    }
    MG_ITEMS(mg_seen_type, &seen->types)[seen->types.count++] = entry;
    return 0;
}

static int
describe_types(mg_seen_types *seen, const mg_answer *answer)
{
    mg_pointer_index types = {0};
    const mg_type_count *unreachable = MG_ITEMS(mg_type_count, &answer->type_counts);
    for (size_t i = 0; i < answer->type_counts.count; i++) {
        if (mg_pointer_number(&types, unreachable[i].type) == MG_NO_NUMBER) {
            return -1;
        }
    }
    for (size_t p = 0; p < answer->members.count; p++) {
        PyObject *member = MG_ITEMS(PyObject *, &answer->members)[p];
        uint32_t number = mg_pointer_number(&types, Py_TYPE(member));
        if (number == MG_NO_NUMBER || mg_push_u32(&seen->member_types, number) < 0) {
            return -1;
        }
    }
    for (size_t i = 0; i < types.pointers.count; i++) {
        if (describe_type(seen, MG_ITEMS(void *, &types.pointers)[i]) < 0) {
            return -1;
        }
    }
    return 0;
}

/* The sum of lines such as "Private_Dirty:      12 kB". */
static size_t
private_bytes(void)
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

static void
send_sections(int pipe, const mg_section sections[MG_SECTIONS], size_t count)
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

static int
scan_here(mg_state *state, mg_seen_types *seen)
{
    mg_answer *answer = state->answer;
    mg_request request = *state->request;
    request.roots = NULL;
    request.root_count = 0;
    request.root_holders[0] = request.root_holders[1] = NULL;
    if (mg_scan_end(state, mg_scan_go_on(state)) < 0 || mg_weigh(&request, answer) < 0 ||
        (answer->edge_start.count == 0 && mg_push_u64(&answer->edge_start, 0) < 0)) {
        return -1;
    }
    return describe_types(seen, answer);
}

static void
be_the_child(mg_state *state, int pipe, int parent)
{
    mg_answer *answer = state->answer;
    mg_seen_types seen = {0};
    uint64_t header[HEADER_WORDS] = {0};
    mg_section sections[MG_SECTIONS];
    settle_down(pipe, parent);
    behave_as_tests_want();
    mg_do_without_malloc();
    state->thread_count = mg_forced_thread_count = 1;
    int result = scan_here(state, &seen);
    header[RESULT] = (uint64_t)(int64_t)result;
    if (result == 0) {
        header[STOPPED] = (uint64_t)answer->stopped;
        header[OBJECT_COUNT] = answer->object_count;
        header[EDGE_COUNT] = answer->edge_count;
        header[SUSPECT_COUNT] = answer->suspect_count;
        header[UNREACHABLE_COUNT] = answer->unreachable_count;
        header[SIDE_TABLE_BYTES] = answer->side_table_bytes;
        header[DURATION_NANOSECONDS] = (uint64_t)(answer->duration_seconds * 1e9);
        header[PRIVATE_BYTES] = private_bytes();
        header[TYPE_COUNT] = seen.types.count;
        header[TEXT_BYTES] = seen.texts.count;
        header[UNREACHABLE_TYPE_COUNT] = answer->type_counts.count;
        header[MEMBER_COUNT] = answer->members.count;
        header[CYCLE_COUNT] = answer->cycle_count;
        header[REFERENCE_COUNT] = answer->edge_target.count;
        header[SHAPE_COUNT] = answer->shape_count;
    }
    lay_out_sections(sections, header, answer, &seen);
    send_sections(pipe, sections, result == 0 ? MG_SECTIONS : 1);
    _exit(0);
}

/* ------------------------------------------------------------------------
   In the process that is scanned. */

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

/* 0, or a number of errno. */
static int
fork_child(mg_snapshot *snapshot, mg_state *state)
{
    int ends[2];
    sigset_t all, before;
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
    int child = fork_silently();
    int error = child < 0 ? errno : 0;
    mg_unlock();
    if (child == 0) {
        be_the_child(state, ends[1], parent);
    }
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    (void)close(ends[1]);
    if (error != 0) {
        (void)close(ends[0]);
        return error;
    }
    snapshot->child = child;
    snapshot->parent = parent;
    snapshot->pipe = ends[0];
    return 0;
}

int
mg_snapshot_begin(mg_snapshot *snapshot, const mg_request *request)
{
    mg_state state;
    mg_answer answer;
    memset(snapshot, 0, sizeof(*snapshot));
    snapshot->pipe = -1;
    int result = mg_scan_begin(&state, request, &answer);
    double started_seconds = state.started_seconds;
    if (result == 0) {
        result = fork_child(snapshot, &state);
    }
    (void)mg_scan_end(&state, -1);
    snapshot->pause_seconds = request->clock_seconds() - started_seconds;
    lay_out_sections(snapshot->sections, snapshot->header, &answer,
                     &(mg_seen_types){0});
    for (size_t s = 1; s < MG_SECTIONS; s++) {
        snapshot->sections[s].bytes = 0;
    }
    return result;
}

static int
reserve(mg_vector *vector, uint64_t count, size_t item_bytes)
{
    if (count > SIZE_MAX / 2 / item_bytes ||
        mg_vector_make_room(vector, (size_t)count, item_bytes) < 0) {
        return -1;
    }
    vector->count = (size_t)count;
    return 0;
}

/* Make room for all that the header announces. */
static int
reserve_sections(mg_snapshot *snapshot, mg_answer *answer, mg_seen_types *seen)
{
    uint64_t *header = snapshot->header;
    size_t cycle_bytes = header[CYCLE_COUNT] * sizeof(mg_cycle);
    size_t shape_bytes = header[SHAPE_COUNT] * sizeof(mg_shape);
    if (reserve(&seen->types, header[TYPE_COUNT], sizeof(mg_seen_type)) < 0 ||
        reserve(&seen->texts, header[TEXT_BYTES], 1) < 0 ||
        reserve(&seen->member_types, header[MEMBER_COUNT], sizeof(uint32_t)) < 0 ||
        reserve(&answer->type_counts, header[UNREACHABLE_TYPE_COUNT],
                sizeof(mg_type_count)) < 0 ||
        reserve(&answer->members, header[MEMBER_COUNT], sizeof(void *)) < 0 ||
        reserve(&answer->cycle_start, header[CYCLE_COUNT] + 1, sizeof(uint32_t)) < 0 ||
        reserve(&answer->edge_start, header[MEMBER_COUNT] + 1, sizeof(uint64_t)) < 0 ||
        reserve(&answer->edge_target, header[REFERENCE_COUNT], sizeof(uint32_t)) < 0) {
        return -1;
    }
    answer->cycles = mg_allocate(cycle_bytes);
    answer->cycle_count = answer->cycles != NULL ? header[CYCLE_COUNT] : 0;
    answer->shapes = mg_allocate(shape_bytes);
    answer->shape_count = answer->shapes != NULL ? header[SHAPE_COUNT] : 0;
    if (answer->cycles == NULL || answer->shapes == NULL) {
        return -1;
    }
    answer->stopped = (int)header[STOPPED];
    answer->object_count = header[OBJECT_COUNT];
    answer->edge_count = header[EDGE_COUNT];
    answer->suspect_count = header[SUSPECT_COUNT];
    answer->unreachable_count = header[UNREACHABLE_COUNT];
    answer->side_table_bytes = header[SIDE_TABLE_BYTES];
    answer->duration_seconds = (double)header[DURATION_NANOSECONDS] * 1e-9;
    snapshot->private_bytes = header[PRIVATE_BYTES];
    lay_out_sections(snapshot->sections, header, answer, seen);
    return 0;
}

static mg_child_state
end_section(mg_snapshot *snapshot, mg_answer *answer, mg_seen_types *seen)
{
    if (snapshot->current_section == 0) {
        if ((int64_t)snapshot->header[RESULT] < 0) {
            return MG_CHILD_HAD_NO_MEMORY;
        }
        if (reserve_sections(snapshot, answer, seen) < 0) {
            return MG_NO_MEMORY_FOR_ANSWER;
        }
    }
    snapshot->received_bytes = 0;
    do {
        snapshot->current_section++;
    } while (snapshot->current_section < MG_SECTIONS &&
             snapshot->sections[snapshot->current_section].bytes == 0);
    return snapshot->current_section == MG_SECTIONS ? MG_CHILD_ANSWERED : MG_CHILD_RUNS;
}

/* Wait for the end of the child; with WNOHANG, only ask.  Nonzero: it ended. */
static int
reap(mg_snapshot *snapshot, int options)
{
    int reaped;
    if (snapshot->child == 0) {
        return 1;
    }
    do {
        reaped = waitpid(snapshot->child, &snapshot->exit_status, __WALL | options);
    } while (reaped < 0 && errno == EINTR);
    /* ECHILD: somebody else reaped it, with __WALL, and knows how it ended. */
    int ended = reaped == snapshot->child || reaped < 0;
    if (ended) {
        snapshot->child = 0;
    }
    return ended;
}

static mg_child_state
read_section(mg_snapshot *snapshot, mg_answer *answer, mg_seen_types *seen)
{
    const mg_section *section = &snapshot->sections[snapshot->current_section];
    ssize_t length = read(snapshot->pipe,
                          (char *)section->items + snapshot->received_bytes,
                          section->bytes - snapshot->received_bytes);
    if (length < 0 && errno == EINTR) {
        return MG_CHILD_RUNS;
    }
    if (length <= 0) {
        (void)reap(snapshot, 0);
        return MG_CHILD_DIED;
    }
    snapshot->received_bytes += (size_t)length;
    return snapshot->received_bytes < section->bytes
        ? MG_CHILD_RUNS : end_section(snapshot, answer, seen);
}

/* The pipe may outlive the child: a process that the program forked meanwhile has
   it, too. */
mg_child_state
mg_snapshot_receive(mg_snapshot *snapshot, mg_answer *answer, mg_seen_types *seen,
                    int timeout_milliseconds)
{
    struct pollfd waits = {.fd = snapshot->pipe, .events = POLLIN};
    int ended = reap(snapshot, WNOHANG);
    mg_child_state result = MG_CHILD_RUNS;
    while (result == MG_CHILD_RUNS) {
        int ready = poll(&waits, 1, ended ? 0 : timeout_milliseconds);
        if (ready <= 0) {
            return ended ? MG_CHILD_DIED : MG_CHILD_RUNS;
        }
        result = read_section(snapshot, answer, seen);
    }
    return result;
}

void
mg_snapshot_end(mg_snapshot *snapshot)
{
    if (snapshot->child != 0 && snapshot->parent == getpid()) {
        (void)kill(snapshot->child, SIGKILL);
        (void)reap(snapshot, 0);
    }
    if (snapshot->pipe >= 0) {
        (void)close(snapshot->pipe);
        snapshot->pipe = -1;
    }
}

#else

int
mg_snapshot_begin(mg_snapshot *snapshot, const mg_request *request)
{
    (void)request;
    memset(snapshot, 0, sizeof(*snapshot));
    return ENOSYS;
}

mg_child_state
mg_snapshot_receive(mg_snapshot *snapshot, mg_answer *answer, mg_seen_types *seen,
                    int timeout_milliseconds)
{
    (void)snapshot, (void)answer, (void)seen, (void)timeout_milliseconds;
    return MG_CHILD_DIED;
}

void
mg_snapshot_end(mg_snapshot *snapshot)
{
    (void)snapshot;
}

#endif
