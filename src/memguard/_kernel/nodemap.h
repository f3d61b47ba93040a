/* From the address of an object to its number.
 *
 * Objects are 16-byte aligned, so one bit per 16 bytes of heap is enough to
 * say "this is a node", and 16 bytes of table describe 1 KiB of heap: the bits,
 * and how many were set before them, which makes a number of a bit.
 * The bits of 64 KiB form a leaf; leaves exist only where nodes are.  While
 * nodes are being added a small hash finds the leaf of an address.
 *
 * mg_map_seal() then divides the address space into regions (the brk heap,
 * the mmap area, ...).  The leaves of the largest are laid out in the order
 * of addresses without a hole, so that a look-up there is a subtraction, a
 * comparison and one load, nearly always from cache: the table of a 150 MB
 * heap takes 2.5 MB.  Other regions have a directory, one load more.
 *
 * A node has a 32-bit handle: (word << 6 | bit).  2^32 handles cover 64 GiB
 * of leaves.
 */
#ifndef MG_NODEMAP_H
#define MG_NODEMAP_H

#include <stddef.h>
#include <stdint.h>

#include "memory.h"

/* Without a compiler flag for it, __builtin_popcountll is a library call. */
static inline uint32_t
mg_popcount(uint64_t x)
{
#if defined(__POPCNT__) || defined(__aarch64__)
    return (uint32_t)__builtin_popcountll(x);
#endif
    x -= x >> 1 & 0x5555555555555555u;
    x = (x & 0x3333333333333333u) + (x >> 2 & 0x3333333333333333u);
    x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0fu;
    return (uint32_t)(x * 0x0101010101010101u >> 56);
}

#if defined(__GNUC__)
#define MG_LOWEST_BIT(x) ((uint32_t)__builtin_ctzll(x))
#define MG_PREFETCH(p) __builtin_prefetch(p)
#define MG_INLINE inline __attribute__((always_inline))
#define MG_LIKELY(x) __builtin_expect(!!(x), 1)
#define MG_UNLIKELY(x) __builtin_expect(!!(x), 0)
#else
#define MG_LOWEST_BIT(x) mg_popcount(((x) & (0 - (x))) - 1)
#define MG_PREFETCH(p) ((void)(p))
#define MG_INLINE inline
#define MG_LIKELY(x) (x)
#define MG_UNLIKELY(x) (x)
#endif

#define MG_GRANULE_SHIFT 4
#define MG_WORD_SHIFT (MG_GRANULE_SHIFT + 6)
#define MG_LEAF_SHIFT 16
#define MG_LEAF_WORDS (1u << (MG_LEAF_SHIFT - MG_WORD_SHIFT))
#define MG_MAX_LEAVES (1u << (32 - MG_LEAF_SHIFT + MG_GRANULE_SHIFT))

typedef struct {
    uint64_t open;      /* a node that is still to be looked at */
    uint32_t before;    /* once numbered: open nodes in all words before */
} mg_word;

typedef struct {
    uintptr_t base;
    size_t span;
    uint32_t *leaf_of_chunk;    /* 0: no node there */
} mg_region;

typedef struct {
    /* What a look-up needs, in one cache line.  main_base and main_bytes are
       the largest region; its first leaf is leaf 1. */
    uintptr_t main_base;
    size_t main_bytes;
    mg_word *words;             /* leaf 0 is empty, for addresses without one */
    mg_region second;           /* span 0: there is none */

    mg_region *others;
    size_t other_count;
    size_t region_capacity;
    uintptr_t *leaf_base;
    size_t leaf_count;
    size_t leaf_capacity;

    /* chunk number -> leaf, while adding */
    uintptr_t *hash_keys;
    uint32_t *hash_leaves;
    size_t hash_capacity;
    uintptr_t last_chunk;
    uint32_t last_leaf;
} mg_map;

int mg_map_begin(mg_map *map);
uint32_t mg_map_new_leaf(mg_map *map, uintptr_t chunk);    /* 0: no memory */
int mg_map_seal(mg_map *map);
size_t mg_map_number(mg_map *map);
void mg_map_end(mg_map *map);

static inline size_t
mg_word_count(const mg_map *map)
{
    return map->leaf_count * MG_LEAF_WORDS;
}

static inline uint32_t
mg_handle_of(uint32_t leaf, uintptr_t address)
{
    return leaf << (MG_LEAF_SHIFT - MG_GRANULE_SHIFT) |
           (uint32_t)(address >> MG_GRANULE_SHIFT &
                      ((1u << (MG_LEAF_SHIFT - MG_GRANULE_SHIFT)) - 1));
}

/* An allocator of the program may give out other addresses; what lies there
   cannot be a node. */
static inline int
mg_may_be_node(const void *object)
{
    return ((uintptr_t)object & (((uintptr_t)1 << MG_GRANULE_SHIFT) - 1)) == 0;
}

static inline void *
mg_object_of(const mg_map *map, uint32_t handle)
{
    return (void *)(
        map->leaf_base[handle >> (MG_LEAF_SHIFT - MG_GRANULE_SHIFT)] +
        ((uintptr_t)(handle & ((1u << (MG_LEAF_SHIFT - MG_GRANULE_SHIFT)) - 1))
         << MG_GRANULE_SHIFT));
}

#define MG_BIT(handle) ((uint64_t)1 << ((handle) & 63))

static inline int
mg_is_open(const mg_map *map, uint32_t handle)
{
    return (map->words[handle >> 6].open & MG_BIT(handle)) != 0;
}

static inline uint32_t
mg_number_of(const mg_map *map, uint32_t handle)
{
    const mg_word *word = &map->words[handle >> 6];
    return word->before + mg_popcount(word->open & (MG_BIT(handle) - 1));
}

/* The leaf of an address that is about to become a node; 0: no memory. */
static inline uint32_t
mg_map_leaf(mg_map *map, uintptr_t address)
{
    uintptr_t chunk = address >> MG_LEAF_SHIFT;
    if (chunk == map->last_chunk) {
        return map->last_leaf;
    }
    return mg_map_new_leaf(map, chunk);
}

uint32_t mg_find_far(const mg_map *map, uintptr_t address);

#define MG_MAIN_HANDLE (1u << (MG_LEAF_SHIFT - MG_GRANULE_SHIFT))

/* The handle of an address in a sealed map.  An address that never became a
   node gets a handle whose bits are all clear. */
static inline uint32_t
mg_find(const mg_map *map, const void *object)
{
    uintptr_t address = (uintptr_t)object;
    size_t offset = address - map->main_base;
    if (MG_LIKELY(offset < map->main_bytes)) {
        return (uint32_t)(offset >> MG_GRANULE_SHIFT) + MG_MAIN_HANDLE;
    }
    offset = address - map->second.base;
    if (offset < map->second.span) {
        return mg_handle_of(map->second.leaf_of_chunk[offset >> MG_LEAF_SHIFT],
                            address);
    }
    return MG_LIKELY(map->other_count == 0) ? 0 : mg_find_far(map, address);
}

#endif
