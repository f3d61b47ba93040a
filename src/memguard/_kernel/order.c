/* Visit near nodes one after another.
 *
 * A long list of nodes that lie all over the heap costs a page table walk and
 * several cache misses for each, and again for what hangs on it, which mostly
 * lies next to it.  One pass of an in-place radix sort brings together those
 * that share a two-thousandth of the heap; they need not be sorted further.
 *
 * Source: P. M. McIlroy, K. Bostic, M. D. McIlroy, "Engineering Radix Sort",
 * 1993 (American flag sort).
 */
#include "order.h"

#include <string.h>

#define BUCKETS 2048

typedef struct {
    uint32_t lowest;
    int shift;
} scale;

static scale
scale_of(const uint32_t *run, size_t count)
{
    uint32_t lowest = run[0];
    uint32_t highest = run[0];
    for (size_t i = 1; i < count; i++) {
        lowest = run[i] < lowest ? run[i] : lowest;
        highest = run[i] > highest ? run[i] : highest;
    }
    int shift = 0;
    while ((highest - lowest) >> shift >= BUCKETS) {
        shift++;
    }
    return (scale){lowest, shift};
}

/* In falling order: of a stack, what comes last is visited first. */
static inline uint32_t
bucket_of(scale s, uint32_t node)
{
    return BUCKETS - 1 - ((node - s.lowest) >> s.shift);
}

/* Objects made one after another are in order already, up or down. */
static int
is_ordered(const uint32_t *run, size_t count)
{
    size_t rises = 0;
    for (size_t i = 1; i < count; i++) {
        rises += run[i] > run[i - 1];
    }
    return rises < count / 8 || rises > count - count / 8;
}

void
mg_bring_near_together(uint32_t *run, size_t count)
{
    uint32_t next[BUCKETS];
    uint32_t end[BUCKETS];
    if (count > UINT32_MAX || is_ordered(run, count)) {
        return;
    }
    scale s = scale_of(run, count);
    memset(end, 0, sizeof(end));
    for (size_t i = 0; i < count; i++) {
        end[bucket_of(s, run[i])]++;
    }
    uint32_t total = 0;
    for (size_t b = 0; b < BUCKETS; b++) {
        next[b] = total;
        total += end[b];
        end[b] = total;
    }
    for (uint32_t b = 0; b < BUCKETS; b++) {
        while (next[b] < end[b]) {
            uint32_t node = run[next[b]];
            uint32_t home;
            while ((home = bucket_of(s, node)) != b) {
                uint32_t displaced = run[next[home]];
                run[next[home]++] = node;
                node = displaced;
            }
            run[next[b]++] = node;
        }
    }
}
