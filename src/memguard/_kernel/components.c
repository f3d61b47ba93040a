/* Strongly connected components of numbered nodes.
 *
 * One depth-first search.  A node's index is 0 before it is entered, then the
 * lowest index that it is known to reach, and MG_DONE once its component is
 * known; a node that reaches nothing lower than its own ends a component.
 * Nodes on the path and nodes whose component is still open are never more
 * than there are nodes, so the two stacks share one array from both ends.
 *
 * Source: R. Tarjan, "Depth-first search and linear graph algorithms", 1972;
 * D. J. Pearce, "A space-efficient algorithm for finding strongly connected
 * components", 2016 (PEA_FIND_SCC2).
 */
#include "rows.h"

#include <string.h>

#define LOOK_AHEAD 8
#define REACHES_LOWER (UINT32_C(1) << 31)
#define SELF_LOOP (UINT32_C(1) << 30)
#define NODE_MASK (SELF_LOOP - 1)

typedef struct {
    uint32_t node;              /* with flags */
    uint32_t next_edge;
} step;

typedef struct {
    mg_state *state;
    const uint32_t *handles;
    mg_row *rows;
    const uint32_t *edges;
    size_t count;
    step *path;                 /* count of them; `entered` from the end on */
    size_t depth;
    size_t entered_first;       /* the last one that was put there */
    uint32_t next_index;
} search;

static inline uint32_t *
index_of(const search *s, uint32_t node)
{
    return &s->rows[node].link;
}

static uint32_t
entered_node(const search *s, size_t place)
{
    return s->path[place].node;
}

static int
emit(search *s, uint32_t root, size_t end)
{
    mg_answer *answer = s->state->answer;
    const mg_map *map = &s->state->map;
    size_t count = end - s->entered_first + 1;
    if (answer->members.count + count >= UINT32_MAX ||
        mg_vector_make_room(&answer->members, count, sizeof(void *)) < 0) {
        return -1;
    }
    void **members = MG_ITEMS(void *, &answer->members) + answer->members.count;
    *members++ = mg_object_of(map, s->handles[root]);
    for (size_t place = s->entered_first; place < end; place++) {
        *members++ = mg_object_of(map, s->handles[entered_node(s, place)]);
    }
    answer->members.count += count;
    return mg_push_u32(&answer->cycle_start, (uint32_t)answer->members.count);
}

static inline void
enter(search *s, uint32_t node)
{
    uint32_t first = node == 0 ? 0 : s->rows[node - 1].end;
    uint32_t end = s->rows[node].end;
    *index_of(s, node) = s->next_index++;
    s->path[s->depth++] = (step){node, first};
    for (uint32_t e = first; e < end && e < first + LOOK_AHEAD; e++) {
        MG_PREFETCH(&s->rows[s->edges[e]]);
    }
}

/* The top of the path is complete. */
static int
leave(search *s)
{
    step done = s->path[--s->depth];
    uint32_t node = done.node & NODE_MASK;
    uint32_t lowest = *index_of(s, node);
    int result = 0;
    if (done.node & REACHES_LOWER) {
        s->path[--s->entered_first] = (step){node, 0};
    }
    else {
        size_t end = s->entered_first;
        while (end < s->count && lowest <= *index_of(s, entered_node(s, end))) {
            *index_of(s, entered_node(s, end++)) = MG_DONE;
        }
        if (end != s->entered_first || done.node & SELF_LOOP) {
            result = emit(s, node, end);
        }
        s->next_index -= (uint32_t)(end - s->entered_first) + 1;
        s->entered_first = end;
        *index_of(s, node) = MG_DONE;
    }
    if (s->depth != 0) {
        step *top = &s->path[s->depth - 1];
        uint32_t parent = top->node & NODE_MASK;
        if (*index_of(s, node) < *index_of(s, parent)) {
            *index_of(s, parent) = *index_of(s, node);
            top->node |= REACHES_LOWER;
        }
    }
    return result;
}

/* Follow references of the top until one leads on.  0: none is left. */
static inline int
advance(search *s)
{
    step *top = &s->path[s->depth - 1];
    uint32_t node = top->node & NODE_MASK;
    uint32_t end = s->rows[node].end;
    uint32_t lowest = *index_of(s, node);
    for (uint32_t e = top->next_edge; e < end; e++) {
        uint32_t target = s->edges[e];
        uint32_t index = *index_of(s, target);
        if (index == 0) {
            top->next_edge = e + 1;
            *index_of(s, node) = lowest;
            enter(s, target);
            return 1;
        }
        if (index < lowest) {
            lowest = index;
            top->node |= REACHES_LOWER;
        }
        else if (target == node) {
            top->node |= SELF_LOOP;
        }
    }
    top->next_edge = end;
    *index_of(s, node) = lowest;
    return 0;
}

static int
search_all(search *s)
{
    s->next_index = 1;
    s->entered_first = s->count;
    for (uint32_t root = 0; root < s->count; root++) {
        if (*index_of(s, root) != 0) {
            continue;
        }
        enter(s, root);
        while (s->depth != 0) {
            if (!advance(s) && leave(s) < 0) {
                return -1;
            }
        }
    }
    return 0;
}

int
mg_rows_begin(mg_rows *rows, size_t capacity)
{
    memset(rows, 0, sizeof(*rows));
    rows->capacity = capacity;
    rows->handles = mg_allocate(capacity * sizeof(*rows->handles));
    rows->rows = mg_allocate(capacity * sizeof(*rows->rows));
    return rows->handles == NULL || rows->rows == NULL ||
           mg_vector_make_room(&rows->edges, capacity, sizeof(uint32_t)) < 0
        ? -1 : 0;
}

void
mg_rows_end(mg_rows *rows)
{
    mg_release(rows->handles, rows->capacity * sizeof(*rows->handles));
    mg_release(rows->rows, rows->capacity * sizeof(*rows->rows));
    mg_vector_clear(&rows->edges, sizeof(uint32_t));
    memset(rows, 0, sizeof(*rows));
}

int
mg_emit_components(mg_state *state, mg_rows *rows)
{
    search s = {
        .state = state,
        .handles = rows->handles,
        .rows = rows->rows,
        .edges = MG_ITEMS(uint32_t, &rows->edges),
        .count = rows->count,
    };
    if (s.count == 0) {
        return 0;
    }
    if (s.count > NODE_MASK) {
        return -1;
    }
    s.path = mg_allocate(s.count * sizeof(*s.path));
    if (s.path == NULL) {
        return -1;
    }
    int result = search_all(&s);
    mg_release(s.path, s.count * sizeof(*s.path));
    return result;
}
