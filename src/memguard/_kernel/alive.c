#ifdef __linux__
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
#endif

#include "alive.h"
#include "sort.h"

#include <string.h>

int mg_copies_through_pipe;

#if MG_HAS_SNAPSHOTS

#define PIECES 256              /* copied by one call; the system takes up to 1,024 */
#define FLAGS ((uintptr_t)3)    /* the collector's, in links between objects */

/* ------------------------------------------------------------------------
   Copies of memory that may not be there. */

/* A sandbox may forbid this to everybody.  1: all was copied; 0: not all is there;
   -1: forbidden. */
static int
copy_at_once(struct iovec *to, struct iovec *from, size_t count, size_t bytes)
{
    long copied = syscall(SYS_process_vm_readv, (long)getpid(), to, (unsigned long)count,
                          from, (unsigned long)count, 0ul);
    if (copied < 0) {
        return errno == EFAULT ? 0 : -1;
    }
    return (size_t)copied == bytes;
}

/* Writing what cannot be read fails, too.  By the system's number: a sanitizer checks
   what is given to write(), and this may be freed. */
static int
copy_one_by_one(const struct iovec *to, const struct iovec *from, size_t count)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) {
        return 0;
    }
    int result = 1;
    for (size_t i = 0; i < count && result; i++) {
        ssize_t length = (ssize_t)from[i].iov_len;
        result = syscall(SYS_write, ends[1], from[i].iov_base, from[i].iov_len) == length &&
                 read(ends[0], to[i].iov_base, to[i].iov_len) == length;
    }
    (void)close(ends[0]);
    (void)close(ends[1]);
    return result;
}

/* Copy `count` pieces of equal size; whether all of them are there. */
static int
copy_pieces(void *to, const uintptr_t *from, size_t count, size_t piece_bytes)
{
    struct iovec targets[PIECES], sources[PIECES];
    for (size_t first = 0; first < count; first += PIECES) {
        size_t some = count - first < PIECES ? count - first : PIECES;
        for (size_t i = 0; i < some; i++) {
            targets[i] = (struct iovec){(char *)to + (first + i) * piece_bytes, piece_bytes};
            sources[i] = (struct iovec){(void *)from[first + i], piece_bytes};
        }
        int result = mg_copies_through_pipe
            ? -1 : copy_at_once(targets, sources, some, some * piece_bytes);
        if (result < 0) {
            result = copy_one_by_one(targets, sources, some);
        }
        if (!result) {
            return 0;
        }
    }
    return 1;
}

/* ------------------------------------------------------------------------
   Alive. */

typedef struct {
    uintptr_t next;
    uintptr_t previous;
    Py_ssize_t reference_count;
    PyTypeObject *type;
} head;

_Static_assert(sizeof(head) == 2 * sizeof(uintptr_t) + sizeof(PyObject),
               "an object begins otherwise than with its count and its class");

typedef struct {
    size_t count;
    PyObject *const *members;
    const uint32_t *types;          /* by member */
    head *heads;
    uintptr_t *addresses;
    uintptr_t *links;
} suspects;

static int
have_their_types(const suspects *s, const mg_seen_type *types)
{
    for (size_t i = 0; i < s->count; i++) {
        if (s->heads[i].type != types[s->types[i]].type ||
            s->heads[i].reference_count <= 0 || s->heads[i].next == 0) {
            return 0;
        }
    }
    return 1;
}

/* Whether neighbours on one side point back at the objects. */
static int
are_pointed_at(const suspects *s, size_t link_in_head, size_t link_in_neighbour)
{
    for (size_t i = 0; i < s->count; i++) {
        uintptr_t link;
        memcpy(&link, (const char *)&s->heads[i] + link_in_head, sizeof(link));
        s->addresses[i] = (link & ~FLAGS) + link_in_neighbour;
    }
    if (!copy_pieces(s->links, s->addresses, s->count, sizeof(uintptr_t))) {
        return 0;
    }
    for (size_t i = 0; i < s->count; i++) {
        uintptr_t head_address = (uintptr_t)s->members[i] - offsetof(head, reference_count);
        if ((s->links[i] & ~FLAGS) != head_address) {
            return 0;
        }
    }
    return 1;
}

static int
are_alive(const suspects *s, const mg_seen_type *types)
{
    for (size_t i = 0; i < s->count; i++) {
        s->addresses[i] = (uintptr_t)s->members[i] - offsetof(head, reference_count);
    }
    return copy_pieces(s->heads, s->addresses, s->count, sizeof(head)) &&
           have_their_types(s, types) &&
           are_pointed_at(s, offsetof(head, next), offsetof(head, previous)) &&
           are_pointed_at(s, offsetof(head, previous), offsetof(head, next));
}

/* ------------------------------------------------------------------------
   Unchanged. */

typedef struct {
    PyObject *member;
    uint32_t position;
} place;

#define COMPARE_PLACES(left, right) MG_COMPARE_VALUES(&(left)->member, &(right)->member)
MG_DEFINE_SORT(sort_places, place, COMPARE_PLACES)

typedef struct {
    const place *places;
    size_t count;
    uint32_t *seen_by;              /* by position: 1 + who refers to it */
    uint32_t who;
} comparison;

static int
note_reference(PyObject *target, void *argument)
{
    comparison *c = argument;
    size_t low = 0, high = c->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (c->places[middle].member < target) {
            low = middle + 1;
        }
        else {
            high = middle;
        }
    }
    if (low < c->count && c->places[low].member == target) {
        c->seen_by[c->places[low].position] = c->who;
    }
    return 0;
}

/* Whether every reference that was seen is there. */
static int
refer_as_before(const mg_answer *answer, uint32_t first, comparison *c)
{
    const uint64_t *start = MG_ITEMS(uint64_t, &answer->edge_start);
    const uint32_t *target = MG_ITEMS(uint32_t, &answer->edge_target);
    PyObject *const *members = MG_ITEMS(PyObject *, &answer->members) + first;
    for (uint32_t i = 0; i < c->count; i++) {
        c->who = i + 1;
        mg_traverse(members[i], note_reference, c);
        for (uint64_t e = start[first + i]; e < start[first + i + 1]; e++) {
            if (c->seen_by[target[e] - first] != c->who) {
                return 0;
            }
        }
    }
    return 1;
}

static int
are_unchanged(const mg_answer *answer, uint32_t first, size_t count)
{
    place *places = mg_allocate(count * sizeof(*places));
    uint32_t *seen_by = mg_allocate_zeroed(count * sizeof(*seen_by));
    int result = -1;
    if (places != NULL && seen_by != NULL) {
        for (uint32_t i = 0; i < count; i++) {
            places[i] = (place){MG_ITEMS(PyObject *, &answer->members)[first + i], i};
        }
        sort_places(places, count);
        comparison c = {places, count, seen_by, 0};
        result = refer_as_before(answer, first, &c);
    }
    mg_release(places, count * sizeof(*places));
    mg_release(seen_by, count * sizeof(*seen_by));
    return result;
}

int
mg_cycle_is_alive(const mg_answer *answer, const mg_seen_types *seen, size_t cycle)
{
    const uint32_t *start = MG_ITEMS(uint32_t, &answer->cycle_start);
    uint32_t first = start[cycle];
    size_t count = start[cycle + 1] - first;
    suspects s = {
        .count = count,
        .members = MG_ITEMS(PyObject *, &answer->members) + first,
        .types = MG_ITEMS(uint32_t, &seen->member_types) + first,
        .heads = mg_allocate(count * sizeof(head)),
        .addresses = mg_allocate(count * sizeof(uintptr_t)),
        .links = mg_allocate(count * sizeof(uintptr_t)),
    };
    int result = -1;
    if (s.heads != NULL && s.addresses != NULL && s.links != NULL) {
        result = are_alive(&s, MG_ITEMS(mg_seen_type, &seen->types));
    }
    mg_release(s.heads, count * sizeof(head));
    mg_release(s.addresses, count * sizeof(uintptr_t));
    mg_release(s.links, count * sizeof(uintptr_t));
    return result == 1 ? are_unchanged(answer, first, count) : result;
}

#else

int
mg_cycle_is_alive(const mg_answer *answer, const mg_seen_types *seen, size_t cycle)
{
    (void)answer, (void)seen, (void)cycle;
    return 0;
}

#endif
