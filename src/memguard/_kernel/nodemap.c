#include "nodemap.h"

#include <stdlib.h>
#include <string.h>

/* A hole of this size starts a new region: a directory over it would cost
   more than one more comparison in mg_leaf_far. */
#define REGION_GAP_BYTES ((uintptr_t)1 << 30)

static size_t
hash_slot(const mg_map *map, uintptr_t chunk)
{
    size_t mask = map->hash_capacity - 1;
    size_t slot = (size_t)((uint64_t)chunk * 0x9e3779b97f4a7c15u >> 20) & mask;
    while (map->hash_leaves[slot] != 0 && map->hash_keys[slot] != chunk) {
        slot = (slot + 1) & mask;
    }
    return slot;
}

static int
allocate_hash(mg_map *map, size_t capacity)
{
    uintptr_t *keys = mg_allocate(capacity * sizeof(*keys));
    uint32_t *leaves = mg_allocate_zeroed(capacity * sizeof(*leaves));
    if (keys == NULL || leaves == NULL) {
        mg_release(keys, capacity * sizeof(*keys));
        mg_release(leaves, capacity * sizeof(*leaves));
        return -1;
    }
    map->hash_keys = keys;
    map->hash_leaves = leaves;
    map->hash_capacity = capacity;
    return 0;
}

static void
release_hash(uintptr_t *keys, uint32_t *leaves, size_t capacity)
{
    mg_release(keys, capacity * sizeof(*keys));
    mg_release(leaves, capacity * sizeof(*leaves));
}

static int
grow_hash(mg_map *map)
{
    uintptr_t *old_keys = map->hash_keys;
    uint32_t *old_leaves = map->hash_leaves;
    size_t old_capacity = map->hash_capacity;
    if (allocate_hash(map, old_capacity * 2) < 0) {
        return -1;
    }
    for (size_t i = 0; i < old_capacity; i++) {
        if (old_leaves[i] != 0) {
            size_t slot = hash_slot(map, old_keys[i]);
            map->hash_keys[slot] = old_keys[i];
            map->hash_leaves[slot] = old_leaves[i];
        }
    }
    release_hash(old_keys, old_leaves, old_capacity);
    return 0;
}

static int
grow_leaves(mg_map *map)
{
    size_t old_count = map->leaf_capacity;
    size_t count = old_count + old_count / 2 + 8;
    /* Each array keeps its own size: when the second one cannot grow, the
       first must still be released with the size that it has. */
    size_t old_words = old_count * MG_LEAF_WORDS;
    size_t words = count * MG_LEAF_WORDS;
    mg_word *grown = mg_allocate_zeroed(words * sizeof(*grown));
    uint64_t *grown_cut = NULL;
    uintptr_t *grown_base = mg_allocate_zeroed(count * sizeof(*grown_base));
    if (map->with_cuts) {
        grown_cut = mg_allocate_zeroed(words * sizeof(*grown_cut));
    }
    if (grown == NULL || grown_base == NULL ||
        (map->with_cuts && grown_cut == NULL)) {
        mg_release(grown, words * sizeof(*grown));
        mg_release(grown_base, count * sizeof(*grown_base));
        mg_release(grown_cut, words * sizeof(*grown_cut));
        return -1;
    }
    if (old_count != 0) {
        memcpy(grown, map->words, old_words * sizeof(*grown));
        memcpy(grown_base, map->leaf_base, old_count * sizeof(*grown_base));
        if (map->with_cuts) {
            memcpy(grown_cut, map->cut, old_words * sizeof(*grown_cut));
        }
    }
    mg_release(map->words, old_words * sizeof(*grown));
    mg_release(map->leaf_base, old_count * sizeof(*grown_base));
    mg_release(map->cut, old_words * sizeof(*grown_cut));
    map->words = grown;
    map->cut = grown_cut;
    map->leaf_base = grown_base;
    map->leaf_capacity = count;
    return 0;
}

int
mg_map_begin(mg_map *map, int with_cuts)
{
    memset(map, 0, sizeof(*map));
    map->with_cuts = with_cuts;
    map->last_chunk = UINTPTR_MAX;
    if (allocate_hash(map, 64) < 0 || grow_leaves(map) < 0) {
        mg_map_end(map);
        return -1;
    }
    map->leaf_count = 1;
    return 0;
}

uint32_t
mg_map_new_leaf(mg_map *map, uintptr_t chunk)
{
    size_t slot = hash_slot(map, chunk);
    uint32_t leaf = map->hash_leaves[slot];
    if (leaf == 0) {
        if (map->leaf_count == MG_MAX_LEAVES) {
            return 0;
        }
        if (map->leaf_count == map->leaf_capacity && grow_leaves(map) < 0) {
            return 0;
        }
        if (map->leaf_count * 2 >= map->hash_capacity) {
            if (grow_hash(map) < 0) {
                return 0;
            }
            slot = hash_slot(map, chunk);
        }
        leaf = (uint32_t)map->leaf_count++;
        map->leaf_base[leaf] = chunk << MG_LEAF_SHIFT;
        map->hash_keys[slot] = chunk;
        map->hash_leaves[slot] = leaf;
    }
    map->last_chunk = chunk;
    map->last_leaf = leaf;
    return leaf;
}

static int
compare_addresses(const void *left, const void *right)
{
    uintptr_t a = *(const uintptr_t *)left;
    uintptr_t b = *(const uintptr_t *)right;
    return (a > b) - (a < b);
}

static size_t
chunks_in(const mg_region *region)
{
    return region->span >> MG_LEAF_SHIFT;
}

/* Lay directories over the leaves.  The hash is no longer needed then. */
int
mg_map_seal(mg_map *map)
{
    size_t count = map->leaf_count - 1;
    uintptr_t *bases = mg_allocate((count + 1) * sizeof(*bases));
    if (bases == NULL) {
        return -1;
    }
    memcpy(bases, map->leaf_base + 1, count * sizeof(*bases));
    qsort(bases, count, sizeof(*bases), compare_addresses);

    size_t region_count = 1;
    for (size_t i = 1; i < count; i++) {
        region_count += bases[i] - bases[i - 1] > REGION_GAP_BYTES;
    }
    map->regions = mg_allocate_zeroed(region_count * sizeof(*map->regions));
    if (map->regions == NULL) {
        mg_release(bases, (count + 1) * sizeof(*bases));
        return -1;
    }
    map->region_count = region_count;

    size_t largest = 0;
    size_t largest_leaves = 0;
    size_t first = 0;
    for (size_t r = 0; r < region_count && count != 0; r++) {
        size_t end = first + 1;
        while (end < count && bases[end] - bases[end - 1] <= REGION_GAP_BYTES) {
            end++;
        }
        map->regions[r].base = bases[first];
        map->regions[r].span = bases[end - 1] - bases[first] +
                               ((size_t)1 << MG_LEAF_SHIFT);
        if (end - first > largest_leaves) {
            largest_leaves = end - first;
            largest = r;
        }
        first = end;
    }
    mg_release(bases, (count + 1) * sizeof(*bases));
    mg_region swap = map->regions[0];
    map->regions[0] = map->regions[largest];
    map->regions[largest] = swap;

    for (size_t r = 0; r < region_count; r++) {
        mg_region *region = &map->regions[r];
        region->leaf_of_chunk = mg_allocate_zeroed(
            chunks_in(region) * sizeof(*region->leaf_of_chunk));
        if (region->leaf_of_chunk == NULL) {
            return -1;
        }
    }
    for (uint32_t leaf = 1; leaf < map->leaf_count; leaf++) {
        for (size_t r = 0; r < region_count; r++) {
            mg_region *region = &map->regions[r];
            size_t offset = map->leaf_base[leaf] - region->base;
            if (offset < region->span) {
                region->leaf_of_chunk[offset >> MG_LEAF_SHIFT] = leaf;
                break;
            }
        }
    }
    release_hash(map->hash_keys, map->hash_leaves, map->hash_capacity);
    map->hash_keys = NULL;
    map->hash_leaves = NULL;
    map->hash_capacity = 0;
    return 0;
}

uint32_t
mg_leaf_far(const mg_map *map, uintptr_t address)
{
    for (size_t r = 1; r < map->region_count; r++) {
        size_t offset = address - map->regions[r].base;
        if (offset < map->regions[r].span) {
            return map->regions[r].leaf_of_chunk[offset >> MG_LEAF_SHIFT];
        }
    }
    return 0;
}

/* Number the open nodes 0, 1, ... by address.  -1: no memory. */
int
mg_map_rank(mg_map *map, size_t *node_count)
{
    size_t words = mg_word_count(map);
    if (map->ranks == NULL) {
        map->ranks = mg_allocate(words * sizeof(*map->ranks));
        if (map->ranks == NULL) {
            return -1;
        }
    }
    uint32_t before = 0;
    for (size_t w = 0; w < words; w++) {
        map->ranks[w].nodes = map->words[w].open;
        map->ranks[w].before = before;
        before += MG_POPCOUNT(map->words[w].open);
    }
    *node_count = before;
    return 0;
}

void
mg_map_end(mg_map *map)
{
    size_t words = map->leaf_capacity * MG_LEAF_WORDS;
    mg_release(map->words, words * sizeof(*map->words));
    mg_release(map->cut, words * sizeof(*map->cut));
    mg_release(map->leaf_base, map->leaf_capacity * sizeof(*map->leaf_base));
    mg_release(map->ranks, mg_word_count(map) * sizeof(*map->ranks));
    release_hash(map->hash_keys, map->hash_leaves, map->hash_capacity);
    for (size_t r = 0; r < map->region_count; r++) {
        mg_release(map->regions[r].leaf_of_chunk,
                   chunks_in(&map->regions[r]) *
                       sizeof(*map->regions[r].leaf_of_chunk));
    }
    mg_release(map->regions, map->region_count * sizeof(*map->regions));
    memset(map, 0, sizeof(*map));
}
