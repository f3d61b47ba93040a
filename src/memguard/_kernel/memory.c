#ifdef __linux__
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1     /* mremap */
#endif
#include <sys/mman.h>
#endif

#include "memory.h"
#include "threads.h"

#include <stdlib.h>
#include <string.h>

mg_memory_account mg_memory;

static int
refuses(void)
{
    mg_lock();
    int result = ++mg_memory.allocation_count == mg_memory.fail_at;
    mg_unlock();
    return result;
}

static void
account(size_t added_bytes, size_t removed_bytes)
{
    mg_lock();
    mg_memory.current_bytes += added_bytes;
    mg_memory.current_bytes -= removed_bytes;
    if (mg_memory.current_bytes > mg_memory.peak_bytes) {
        mg_memory.peak_bytes = mg_memory.current_bytes;
    }
    mg_unlock();
}

/* Large tables come straight from the kernel and go straight back: malloc
   would keep them, also for each thread apart, and copy them when they grow.  Huge pages, where the system
   allows them on request, spare a fault for every 4 KiB. */
#ifdef __linux__

#define PAGES_FROM_BYTES ((size_t)1 << 17)
#define HUGE_FROM_BYTES ((size_t)2 << 20)

static int
is_mapped(size_t size_bytes)
{
    return size_bytes >= PAGES_FROM_BYTES;
}

/* Whole huge pages, or the kernel would begin anywhere, and fill up to the
   first boundary with small ones. */
static size_t
mapped_bytes(size_t size_bytes)
{
    return size_bytes < HUGE_FROM_BYTES ? size_bytes
        : (size_bytes + HUGE_FROM_BYTES - 1) & ~(HUGE_FROM_BYTES - 1);
}

static void *
map_pages(size_t size_bytes)
{
    void *block = mmap(NULL, mapped_bytes(size_bytes), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (block == MAP_FAILED) {
        return NULL;
    }
    if (size_bytes >= HUGE_FROM_BYTES) {
        (void)madvise(block, mapped_bytes(size_bytes), MADV_HUGEPAGE);  /* a wish */
    }
    return block;
}

static void *
remap_pages(void *block, size_t old_bytes, size_t new_bytes)
{
    void *moved = mremap(block, mapped_bytes(old_bytes), mapped_bytes(new_bytes),
                         MREMAP_MAYMOVE);
    if (moved == MAP_FAILED) {
        return NULL;
    }
    if (new_bytes >= HUGE_FROM_BYTES) {
        (void)madvise(moved, mapped_bytes(new_bytes), MADV_HUGEPAGE);
    }
    return moved;
}

static void
unmap_pages(void *block, size_t size_bytes)
{
    (void)munmap(block, mapped_bytes(size_bytes));
}

#else

static int is_mapped(size_t size_bytes) { (void)size_bytes; return 0; }
static void *map_pages(size_t size_bytes) { (void)size_bytes; return NULL; }
static void unmap_pages(void *block, size_t size_bytes) { (void)block; (void)size_bytes; }

static void *
remap_pages(void *block, size_t old_bytes, size_t new_bytes)
{
    (void)block; (void)old_bytes; (void)new_bytes;
    return NULL;
}

#endif

/* Small blocks of a child process: cut from mapped pages, zero, never given back. */
#define ARENA_BYTES ((size_t)1 << 20)

static int without_malloc;
static char *arena;
static size_t arena_left_bytes;

void
mg_do_without_malloc(void)
{
    without_malloc = 1;
}

static void *
cut_from_arena(size_t size_bytes)
{
    size_bytes = (size_bytes + 15) & ~(size_t)15;
    if (size_bytes > arena_left_bytes) {
        char *pages = map_pages(ARENA_BYTES);
        if (pages == NULL) {
            return NULL;
        }
        arena = pages;
        arena_left_bytes = ARENA_BYTES;
    }
    arena_left_bytes -= size_bytes;
    return arena + arena_left_bytes;
}

static void
give_back(void *block, size_t size_bytes)
{
    if (is_mapped(size_bytes)) {
        unmap_pages(block, size_bytes);
    }
    else if (!without_malloc) {
        free(block);
    }
}

static void *
obtain(size_t size_bytes, int zeroed)
{
    if (is_mapped(size_bytes)) {
        return map_pages(size_bytes);
    }
    size_t least_bytes = size_bytes ? size_bytes : 1;
    if (without_malloc) {
        return cut_from_arena(least_bytes);
    }
    return zeroed ? calloc(1, least_bytes) : malloc(least_bytes);
}

void *
mg_allocate(size_t size_bytes)
{
    void *block = refuses() ? NULL : obtain(size_bytes, 0);
    if (block != NULL) {
        account(size_bytes, 0);
    }
    return block;
}

void *
mg_allocate_zeroed(size_t size_bytes)
{
    void *block = refuses() ? NULL : obtain(size_bytes, 1);
    if (block != NULL) {
        account(size_bytes, 0);
    }
    return block;
}

static void *
resize(void *block, size_t old_bytes, size_t new_bytes)
{
    if (is_mapped(old_bytes) && is_mapped(new_bytes)) {
        return remap_pages(block, old_bytes, new_bytes);
    }
    if (!is_mapped(old_bytes) && !is_mapped(new_bytes) && !without_malloc) {
        return realloc(block, new_bytes ? new_bytes : 1);
    }
    void *moved = obtain(new_bytes, 0);
    if (moved != NULL && block != NULL) {
        memcpy(moved, block, old_bytes < new_bytes ? old_bytes : new_bytes);
        give_back(block, old_bytes);
    }
    return moved;
}

void *
mg_reallocate(void *block, size_t old_bytes, size_t new_bytes)
{
    void *moved = refuses() ? NULL : resize(block, old_bytes, new_bytes);
    if (moved != NULL) {
        account(new_bytes, old_bytes);
    }
    return moved;
}

void
mg_release(void *block, size_t size_bytes)
{
    if (block != NULL) {
        account(0, size_bytes);
        give_back(block, size_bytes);
    }
}

int
mg_vector_grow(mg_vector *vector, size_t item_bytes)
{
    return mg_vector_enlarge(vector, 64, item_bytes);
}

int
mg_vector_enlarge(mg_vector *vector, size_t more, size_t item_bytes)
{
    /* What is spare counts in side_table_bytes; large arrays grow without
       being copied, so theirs can be small. */
    size_t spare = is_mapped(vector->capacity * item_bytes) ? 8 : 2;
    size_t capacity = vector->capacity + vector->capacity / spare + more;
    if (capacity > SIZE_MAX / item_bytes) {
        return -1;
    }
    void *items = mg_reallocate(vector->items, vector->capacity * item_bytes,
                                capacity * item_bytes);
    if (items == NULL) {
        return -1;
    }
    vector->items = items;
    vector->capacity = capacity;
    return 0;
}

void
mg_vector_fit(mg_vector *vector, size_t item_bytes)
{
    size_t old_bytes = vector->capacity * item_bytes;
    size_t new_bytes = vector->count * item_bytes;
    /* Not an allocation that the tests let fail: all goes on as if it had not. */
    void *items = resize(vector->items, old_bytes, new_bytes);
    if (items != NULL) {
        account(new_bytes, old_bytes);
        vector->items = items;
        vector->capacity = vector->count;
    }
}

void
mg_vector_clear(mg_vector *vector, size_t item_bytes)
{
    mg_release(vector->items, vector->capacity * item_bytes);
    memset(vector, 0, sizeof(*vector));
}
