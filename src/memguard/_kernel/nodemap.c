#include "nodemap.h"
#include "sort.h"

#include <string.h>

/* A hole of this size starts a new region: a directory over it would cost
   more than one more comparison in mg_find_far. */
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

static void
release_leaves(mg_map *map)
{
    size_t words = map->leaf_capacity * MG_LEAF_WORDS;
    mg_release(map->words, words * sizeof(*map->words));
    mg_release(map->leaf_base, map->leaf_capacity * sizeof(*map->leaf_base));
}

/* Room for `count` leaves, the present ones kept.  All arrays or none: what is
   released later must have the size that it was given. */
static int
reserve_leaves(mg_map *map, size_t count)
{
    mg_map larger = *map;
    size_t words = count * MG_LEAF_WORDS;
    larger.leaf_capacity = count;
    larger.words = mg_allocate_zeroed(words * sizeof(*larger.words));
    larger.leaf_base = mg_allocate_zeroed(count * sizeof(*larger.leaf_base));
    if (larger.words == NULL || larger.leaf_base == NULL) {
        release_leaves(&larger);
        return -1;
    }
    if (map->leaf_capacity != 0) {
        size_t old_words = map->leaf_capacity * MG_LEAF_WORDS;
        memcpy(larger.words, map->words, old_words * sizeof(*map->words));
        memcpy(larger.leaf_base, map->leaf_base,
               map->leaf_capacity * sizeof(*map->leaf_base));
    }
    release_leaves(map);
    *map = larger;
    return 0;
}

static int
grow_leaves(mg_map *map)
{
    return reserve_leaves(map, map->leaf_capacity + map->leaf_capacity / 2 + 8);
}

int
mg_map_begin(mg_map *map)
{
    memset(map, 0, sizeof(*map));
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

MG_DEFINE_SORT(sort_addresses, uintptr_t, MG_COMPARE_VALUES)

static size_t
chunks_in(const mg_region *region)
{
    return region->span >> MG_LEAF_SHIFT;
}

static size_t
leaves_from(const uintptr_t *bases, size_t first, size_t count)
{
    size_t end = first + 1;
    while (end < count && bases[end] - bases[end - 1] <= REGION_GAP_BYTES) {
        end++;
    }
    return end - first;
}

static mg_region
region_of(const uintptr_t *bases, size_t first, size_t leaves)
{
    mg_region region = {
        .base = bases[first],
        .span = bases[first + leaves - 1] - bases[first] +
                ((size_t)1 << MG_LEAF_SHIFT),
    };
    return region;
}

/* Divide sorted leaf addresses into regions; the one with most leaves is put
   first.  -1: no memory. */
static int
divide(mg_map *map, const uintptr_t *bases, size_t count)
{
    size_t regions = 0;
    for (size_t i = 0; i < count; i += leaves_from(bases, i, count)) {
        regions++;
    }
    map->others = mg_allocate_zeroed(regions * sizeof(*map->others));
    if (map->others == NULL) {
        return -1;
    }
    map->other_count = map->region_capacity = regions;
    size_t most = 0;
    size_t r = 0;
    for (size_t i = 0; i < count; r++) {
        size_t leaves = leaves_from(bases, i, count);
        map->others[r] = region_of(bases, i, leaves);
        if (leaves > most) {
            most = leaves;
            mg_region swap = map->others[0];
            map->others[0] = map->others[r];
            map->others[r] = swap;
        }
        i += leaves;
    }
    return 0;
}

/* A hole costs a leaf of zeros; a region with more holes than this keeps its
   directory, and so does a small map, for which holes would be most of the work. */
#define FEWEST_LAID_OUT 64

static int
may_be_laid_out(const mg_map *map, const mg_region *region)
{
    size_t chunks = chunks_in(region);
    return map->leaf_count >= FEWEST_LAID_OUT && chunks <= 4 * map->leaf_count + 16 &&
           chunks + map->leaf_count < MG_MAX_LEAVES;
}

/* The leaves of the first region again, in the order of addresses, holes
   included, from leaf 1 on; those of other regions behind them. */
static int
lay_out(mg_map *map)
{
    mg_region main = map->others[0];
    size_t chunks = chunks_in(&main);
    mg_map laid = *map;
    laid.words = NULL;
    laid.leaf_base = NULL;
    laid.leaf_capacity = 0;
    if (reserve_leaves(&laid, 1 + chunks + map->leaf_count) < 0) {
        return -1;
    }
    laid.leaf_count = 1 + chunks;
    for (size_t c = 0; c < chunks; c++) {
        laid.leaf_base[1 + c] = main.base + (c << MG_LEAF_SHIFT);
    }
    for (size_t leaf = 1; leaf < map->leaf_count; leaf++) {
        size_t offset = map->leaf_base[leaf] - main.base;
        size_t to = offset < main.span ? 1 + (offset >> MG_LEAF_SHIFT)
                                       : laid.leaf_count++;
        laid.leaf_base[to] = map->leaf_base[leaf];
        memcpy(laid.words + to * MG_LEAF_WORDS,
               map->words + leaf * MG_LEAF_WORDS,
               MG_LEAF_WORDS * sizeof(*map->words));
    }
    release_leaves(map);
    *map = laid;
    map->main_base = main.base;
    map->main_bytes = main.span;
    map->others[0] = map->others[--map->other_count];
    return 0;
}

static int
make_directories(mg_map *map)
{
    for (size_t r = 0; r < map->other_count; r++) {
        mg_region *region = &map->others[r];
        region->leaf_of_chunk = mg_allocate_zeroed(
            chunks_in(region) * sizeof(*region->leaf_of_chunk));
        if (region->leaf_of_chunk == NULL) {
            return -1;
        }
    }
    for (uint32_t leaf = 1; leaf < map->leaf_count; leaf++) {
        for (size_t r = 0; r < map->other_count; r++) {
            mg_region *region = &map->others[r];
            size_t offset = map->leaf_base[leaf] - region->base;
            if (offset < region->span) {
                region->leaf_of_chunk[offset >> MG_LEAF_SHIFT] = leaf;
                break;
            }
        }
    }
    return 0;
}

/* Let mg_find itself know one more region, without a call. */
static void
promote_second(mg_map *map)
{
    if (map->other_count != 0) {
        map->second = map->others[--map->other_count];
    }
}

/* From adding to looking up: the hash is no longer needed. */
int
mg_map_seal(mg_map *map)
{
    release_hash(map->hash_keys, map->hash_leaves, map->hash_capacity);
    map->hash_keys = NULL;
    map->hash_leaves = NULL;
    map->hash_capacity = 0;

    size_t count = map->leaf_count - 1;
    if (count == 0) {
        return 0;
    }
    uintptr_t *bases = mg_allocate(count * sizeof(*bases));
    if (bases == NULL) {
        return -1;
    }
    memcpy(bases, map->leaf_base + 1, count * sizeof(*bases));
    sort_addresses(bases, count);
    int result = divide(map, bases, count);
    mg_release(bases, count * sizeof(*bases));
    if (result == 0 && may_be_laid_out(map, &map->others[0])) {
        result = lay_out(map);
    }
    if (result < 0 || make_directories(map) < 0) {
        return -1;
    }
    promote_second(map);
    return 0;
}

uint32_t
mg_find_far(const mg_map *map, uintptr_t address)
{
    for (size_t r = 0; r < map->other_count; r++) {
        size_t offset = address - map->others[r].base;
        if (offset < map->others[r].span) {
            return mg_handle_of(
                map->others[r].leaf_of_chunk[offset >> MG_LEAF_SHIFT], address);
        }
    }
    return 0;
}

/* Number the open nodes 0, 1, ... by address.  Numbers hold until a bit is
   set or cleared. */
size_t
mg_map_number(mg_map *map)
{
    size_t words = mg_word_count(map);
    uint32_t before = 0;
    for (size_t w = 0; w < words; w++) {
        map->words[w].before = before;
        before += mg_popcount(map->words[w].open);
    }
    return before;
}

void
mg_map_end(mg_map *map)
{
    release_leaves(map);
    release_hash(map->hash_keys, map->hash_leaves, map->hash_capacity);
    mg_release(map->second.leaf_of_chunk,
               chunks_in(&map->second) * sizeof(*map->second.leaf_of_chunk));
    for (size_t r = 0; r < map->other_count; r++) {
        mg_release(map->others[r].leaf_of_chunk,
                   chunks_in(&map->others[r]) *
                       sizeof(*map->others[r].leaf_of_chunk));
    }
    mg_release(map->others, map->region_capacity * sizeof(*map->others));
    memset(map, 0, sizeof(*map));
}
