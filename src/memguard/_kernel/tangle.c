/* One component that holds much of the heap, and whose references lead anywhere.
 *
 * A depth-first search of it waits for memory at each step: where it goes next
 * stands in what it has just asked for.  Both halves of another way can ask for
 * many nodes ahead.  The search has come to a node, its pivot, down a long path,
 * so all on the path lead to the pivot, and so does all whose component is still
 * open.  What the pivot leads to is found breadth first; which of that leads back
 * is found in sweeps over the nodes as they lie, until one finds no more.  Both
 * together are the component of the pivot.  The sets are bits, and stay in the
 * cache.
 *
 * Source: L. K. Fleischer, B. Hendrickson, A. Pinar, "On identifying strongly
 * connected components in parallel", 2000 (forward and backward sets).
 */
#include "rows.h"

#define LOOK_AHEAD 16
#define SAMPLE 1024             /* nodes at the end of the path */
#define FAR 64                  /* a reference over more than 1 in 64 of all nodes */
#define SMALL 16                /* what is not worth it: 1 in 16 of all nodes */
#define MOST_SWEEPS 32

typedef struct {
    mg_search *search;
    mg_row *rows;
    size_t word_count;
    uint64_t *reached;          /* from the pivot */
    uint64_t *leads_back;       /* to the pivot */
} mg_tangle;

static inline int
has(const uint64_t *set, uint32_t node)
{
    return (set[node >> 6] >> (node & 63)) & 1;
}

static inline void
add(uint64_t *set, uint32_t node)
{
    set[node >> 6] |= UINT64_C(1) << (node & 63);
}

/* Do most nodes at the end of the path refer to several others, far away?  In a
   list, a tree or a ring they do not, and the search goes fast. */
static int
looks_tangled(const mg_search *s)
{
    size_t far_count = 0;
    uint32_t far_away = (uint32_t)(s->rows->count / FAR);
    for (size_t place = s->depth - SAMPLE; place < s->depth; place++) {
        uint32_t node = s->path[place].node & MG_NODE_MASK;
        mg_span span = mg_references_of(s->rows, node);
        uint32_t end = span.end - span.first > 4 ? span.first + 4 : span.end;
        for (uint32_t e = span.first; e < end; e++) {
            uint32_t target = span.items[e];
            far_count += (target > node ? target - node : node - target) > far_away;
        }
    }
    return far_count > SAMPLE + SAMPLE / 2;
}

/* The search is undone; what it had open leads to the pivot. */
static void
undo_search(mg_tangle *t)
{
    mg_search *s = t->search;
    for (size_t place = 0; place < s->rows->count; place++) {
        if (place == s->depth) {
            place = s->entered_first;
            if (place == s->rows->count) {
                break;
            }
        }
        uint32_t node = s->path[place].node & MG_NODE_MASK;
        t->rows[node].link = MG_NEW;
        add(t->leads_back, node);
    }
    s->depth = 0;
    s->entered_first = s->rows->count;
}

/* All that the pivot leads to, and what else those refer to: what is cut or done,
   and leads nowhere.  The path has room for the queue. */
static int
reach_from(mg_tangle *t, uint32_t pivot)
{
    mg_search *s = t->search;
    uint32_t *queue = (uint32_t *)s->path;
    size_t end = 0;
    queue[end++] = pivot;
    add(t->reached, pivot);
    for (size_t next = 0; next < end; next++) {
        uint32_t node = queue[next];
        if (next + LOOK_AHEAD < end) {
            MG_PREFETCH(&t->rows[queue[next + LOOK_AHEAD]]);
        }
        if (t->rows[node].link != MG_NEW) {
            if (mg_search_later(s, node) < 0) {
                return -1;
            }
            continue;
        }
        mg_span span = mg_references_of(s->rows, node);
        for (uint32_t e = span.first; e < span.end; e++) {
            if (!has(t->reached, span.items[e])) {
                add(t->reached, span.items[e]);
                queue[end++] = span.items[e];
            }
        }
    }
    return 0;
}

static int
refers_to_one(const mg_rows *rows, uint32_t node, const uint64_t *set)
{
    mg_span span = mg_references_of(rows, node);
    for (uint32_t e = span.first; e < span.end; e++) {
        if (has(set, span.items[e])) {
            return 1;
        }
    }
    return 0;
}

/* Of the reached nodes of one word, those that refer to one that leads back. */
static int
sweep_word(mg_tangle *t, size_t word)
{
    int found = 0;
    uint64_t rest = t->reached[word] & ~t->leads_back[word];
    for (; rest != 0; rest &= rest - 1) {
        uint32_t node = (uint32_t)(word << 6) + MG_LOWEST_BIT(rest);
        if (t->rows[node].link == MG_NEW &&
            refers_to_one(t->search->rows, node, t->leads_back)) {
            add(t->leads_back, node);
            found = 1;
        }
    }
    return found;
}

/* There and back again, for references lead up as well as down.  0: there are
   more, a long way off. */
static int
find_what_leads_back(mg_tangle *t)
{
    for (int sweep = 0; sweep < MOST_SWEEPS; sweep++) {
        int found = 0;
        for (size_t i = 0; i < t->word_count; i++) {
            found |= sweep_word(t, sweep & 1 ? t->word_count - 1 - i : i);
        }
        if (!found) {
            return 1;
        }
    }
    return 0;
}

static size_t
count_members(const mg_tangle *t)
{
    size_t count = 0;
    for (size_t word = 0; word < t->word_count; word++) {
        count += mg_popcount(t->reached[word] & t->leads_back[word]);
    }
    return count;
}

/* The component to the answer; what else the pivot leads to is searched later. */
static int
take_members(mg_tangle *t, size_t count)
{
    for (size_t word = 0; word < t->word_count; word++) {
        uint64_t both = t->reached[word] & t->leads_back[word];
        for (; both != 0; both &= both - 1) {
            t->rows[(word << 6) + MG_LOWEST_BIT(both)].link = MG_MEMBER;
        }
    }
    if (mg_search_add_marked(t->search, count) < 0) {
        return -1;
    }
    for (size_t word = 0; word < t->word_count; word++) {
        uint64_t rest = t->reached[word] & ~t->leads_back[word];
        for (; rest != 0; rest &= rest - 1) {
            uint32_t node = (uint32_t)(word << 6) + MG_LOWEST_BIT(rest);
            if (mg_search_later(t->search, node) < 0) {
                return -1;
            }
        }
    }
    return 0;
}

static int
take_tangle(mg_tangle *t)
{
    mg_search *s = t->search;
    uint32_t pivot = s->path[s->depth - 1].node & MG_NODE_MASK;
    undo_search(t);
    if (reach_from(t, pivot) < 0) {
        return -1;
    }
    if (!find_what_leads_back(t)) {
        return 0;
    }
    size_t count = count_members(t);
    return count < s->rows->count / SMALL ? 0 : take_members(t, count);
}

int
mg_search_take_tangle(mg_search *s)
{
    if (s->depth < SAMPLE || !looks_tangled(s)) {
        return 0;
    }
    mg_tangle t = {.search = s, .rows = s->rows->rows,
                   .word_count = (s->rows->count + 63) / 64};
    size_t size_bytes = t.word_count * sizeof(uint64_t);
    t.reached = mg_allocate_zeroed(size_bytes);
    t.leads_back = mg_allocate_zeroed(size_bytes);
    int result = t.reached == NULL || t.leads_back == NULL ? -1 : take_tangle(&t);
    mg_release(t.reached, size_bytes);
    mg_release(t.leads_back, size_bytes);
    return result < 0 ? -1 : 1;
}
