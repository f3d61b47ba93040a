/* Strongly connected components of numbered nodes.
 *
 * One depth-first search.  A node's link is MG_NEW before it is entered, then
 * the lowest index that it is known to reach, and MG_DONE once its component
 * is known; a node that reaches nothing lower than its own ends a component.
 * Nodes on the path and nodes whose component is still open are never more
 * than there are nodes, so the two stacks share one array from both ends.
 *
 * A node that is cut is part of no cycle: what it leads to is searched from
 * anew, once the search has come to an end.
 *
 * Source: R. Tarjan, "Depth-first search and linear graph algorithms", 1972;
 * D. J. Pearce, "A space-efficient algorithm for finding strongly connected
 * components", 2016 (PEA_FIND_SCC2).
 */
#include "rows.h"

#include <string.h>

#define LOOK_AHEAD 8
#define LARGE 8                 /* a component of more than 1 in 8 of all nodes */
#define REACHES_LOWER (UINT32_C(1) << 31)
#define SELF_LOOP (UINT32_C(1) << 30)
#define DEEP 16                 /* a path of more than 1 in 16 of all nodes */
#define DEEP_LEAST 32768        /* what a shorter one passes stays in the cache */

static inline uint32_t *
link_of(const mg_search *s, uint32_t node)
{
    return &s->rows->rows[node].link;
}

static uint32_t
entered_node(const mg_search *s, size_t place)
{
    return s->path[place].node;
}

static inline void
enter(mg_search *s, uint32_t node)
{
    mg_span span = mg_references_of(s->rows, node);
    *link_of(s, node) = s->next_index++;
    s->path[s->depth++] = (mg_visit){node, span.first};
    uint32_t end = span.end < span.first + LOOK_AHEAD ? span.end
                                                      : span.first + LOOK_AHEAD;
    for (uint32_t e = span.first; e < end; e++) {
        MG_PREFETCH(link_of(s, span.items[e]));
    }
}

static int
has_room_for_members(mg_search *s, size_t count)
{
    s->members.count = 0;
    return mg_vector_make_room(&s->state->answer->members, count, sizeof(void *)) == 0 &&
           (!s->state->request->describes ||
            (mg_vector_make_room(&s->members, count, sizeof(uint32_t)) == 0 &&
             mg_vector_make_room(&s->state->answer->edge_start, count + 1,
                                 sizeof(uint64_t)) == 0));
}

static inline void
add_member(mg_search *s, uint32_t node)
{
    mg_vector *members = &s->state->answer->members;
    *link_of(s, node) = MG_PLACED + (uint32_t)members->count;
    if (s->state->request->describes) {
        MG_ITEMS(uint32_t, &s->members)[s->members.count++] = node;
    }
    MG_ITEMS(void *, members)[members->count++] = mg_object_at(s->state, s->rows, node);
}

/* Members of a component in the order in which they were entered. */
static void
add_entered(mg_search *s, size_t end)
{
    for (size_t place = s->entered_first; place < end; place++) {
        add_member(s, entered_node(s, place));
    }
}

/* The same by address: the objects are then taken hold of as they lie. */
static void
add_by_address(mg_search *s)
{
    for (uint32_t node = 0; node < s->rows->count; node++) {
        if (*link_of(s, node) == MG_MEMBER) {
            add_member(s, node);
        }
    }
}

/* The references among the members of the component that ends, to the answer. */
static int
note_edges(mg_search *s, uint32_t first)
{
    mg_vector *starts = &s->state->answer->edge_start;
    mg_vector *targets = &s->state->answer->edge_target;
    uint32_t count = (uint32_t)s->members.count;
    for (uint32_t i = 0; i < count; i++) {
        mg_span span = mg_references_of(s->rows, MG_ITEMS(uint32_t, &s->members)[i]);
        if (mg_vector_make_room(targets, span.end - span.first, sizeof(uint32_t)) < 0) {
            return -1;
        }
        MG_ITEMS(uint64_t, starts)[starts->count++] = targets->count;
        for (uint32_t e = span.first; e < span.end; e++) {
            uint32_t place = *link_of(s, span.items[e]) - MG_PLACED;
            if (place - first < count) {
                MG_ITEMS(uint32_t, targets)[targets->count++] = place;
            }
        }
    }
    return 0;
}

static int
end_members(mg_search *s, size_t first)
{
    mg_answer *answer = s->state->answer;
    return s->state->request->describes && note_edges(s, (uint32_t)first) < 0
        ? -1 : mg_push_u32(&answer->cycle_start, (uint32_t)answer->members.count);
}

int
mg_search_add_marked(mg_search *s, size_t count)
{
    size_t first = s->state->answer->members.count;
    if (first + count >= UINT32_MAX || !has_room_for_members(s, count)) {
        return -1;
    }
    add_by_address(s);
    return end_members(s, first);
}

static int
add_component(mg_search *s, uint32_t root, size_t end)
{
    size_t first = s->state->answer->members.count;
    size_t count = end - s->entered_first + 1;
    if (first + count >= UINT32_MAX || !has_room_for_members(s, count)) {
        return -1;
    }
    add_member(s, root);
    if (count > s->rows->count / LARGE) {
        add_by_address(s);
    }
    else {
        add_entered(s, end);
    }
    return end_members(s, first);
}

/* A node that reaches nothing lower, and what was entered after it and reaches
   it: one component. */
static int
end_component(mg_search *s, uint32_t root, int is_cycle)
{
    uint32_t lowest = *link_of(s, root);
    size_t end = s->entered_first;
    int result = 0;
    while (end < s->rows->count && lowest <= *link_of(s, entered_node(s, end))) {
        *link_of(s, entered_node(s, end++)) = MG_MEMBER;
    }
    if (end != s->entered_first || is_cycle) {
        result = add_component(s, root, end);
    }
    s->next_index -= (uint32_t)(end - s->entered_first) + 1;
    s->entered_first = end;
    *link_of(s, root) = MG_DONE;
    return result;
}

/* The top of the path is complete. */
static inline int
leave(mg_search *s)
{
    mg_visit done = s->path[--s->depth];
    uint32_t node = done.node & MG_NODE_MASK;
    int result = 0;
    if (done.node & REACHES_LOWER) {
        s->path[--s->entered_first] = (mg_visit){node, 0};
    }
    else {
        result = end_component(s, node, (done.node & SELF_LOOP) != 0);
    }
    if (s->depth != 0) {
        mg_visit *top = &s->path[s->depth - 1];
        uint32_t parent = top->node & MG_NODE_MASK;
        if (*link_of(s, node) < *link_of(s, parent)) {
            *link_of(s, parent) = *link_of(s, node);
            top->node |= REACHES_LOWER;
        }
    }
    return result;
}

int
mg_search_later(mg_search *s, uint32_t node)
{
    uint32_t *link = link_of(s, node);
    if (*link == MG_CUT) {
        *link = MG_DONE;
        node |= MG_CUT;
    }
    else if (*link != MG_NEW) {
        return 0;
    }
    return mg_push_u32(&s->starts, node);
}

/* Follow references of the top until one leads on.  0: none is left. */
static inline int
advance(mg_search *s)
{
    mg_visit *top = &s->path[s->depth - 1];
    uint32_t node = top->node & MG_NODE_MASK;
    mg_span span = mg_references_of(s->rows, node);
    uint32_t lowest = *link_of(s, node);
    for (uint32_t e = top->next_edge; e < span.end; e++) {
        uint32_t target = span.items[e];
        uint32_t link = *link_of(s, target);
        if (e + LOOK_AHEAD < span.end) {
            MG_PREFETCH(link_of(s, span.items[e + LOOK_AHEAD]));
        }
        if (link == MG_NEW) {
            top->next_edge = e + 1;
            *link_of(s, node) = lowest;
            enter(s, target);
            return 1;
        }
        if (link < lowest) {
            lowest = link;
            top->node |= REACHES_LOWER;
        }
        else if (target == node) {
            top->node |= SELF_LOOP;
        }
        else if (link == MG_CUT && mg_search_later(s, target) < 0) {
            return -1;
        }
    }
    top->next_edge = span.end;
    *link_of(s, node) = lowest;
    return 0;
}

static void
begin_tree(mg_search *s, uint32_t root)
{
    s->next_index = 1;
    enter(s, root);
}

/* Far down the path another way may be faster; then, what is left of the tree. */
static int
leave_deep_path(mg_search *s, uint32_t root)
{
    int taken = mg_search_take_tangle(s);
    s->deep = taken == 0 ? s->deep * 2 : SIZE_MAX;
    if (taken > 0 && *link_of(s, root) == MG_NEW) {
        begin_tree(s, root);
    }
    return taken < 0 ? -1 : 0;
}

static int
search_tree(mg_search *s, uint32_t root)
{
    begin_tree(s, root);
    while (s->depth != 0) {
        if (s->depth == s->deep) {
            if (leave_deep_path(s, root) < 0) {
                return -1;
            }
            continue;
        }
        int found = advance(s);
        if (found < 0 || (found == 0 && leave(s) < 0)) {
            return -1;
        }
    }
    return 0;
}

static int
follow_cut(mg_search *s, uint32_t node)
{
    mg_span span = mg_references_of(s->rows, node);
    for (uint32_t e = span.first; e < span.end; e++) {
        if (mg_search_later(s, span.items[e]) < 0) {
            return -1;
        }
    }
    return 0;
}

int
mg_search_from(mg_search *s, uint32_t node)
{
    int result = mg_search_later(s, node);
    while (result == 0 && s->starts.count != 0) {
        uint32_t start = MG_ITEMS(uint32_t, &s->starts)[--s->starts.count];
        if (start & MG_CUT) {
            result = follow_cut(s, start & ~MG_CUT);
        }
        else if (*link_of(s, start) == MG_NEW) {
            result = search_tree(s, start);
        }
    }
    return result;
}

int
mg_search_rest(mg_search *s)
{
    for (uint32_t node = 0; node < s->rows->count; node++) {
        if (*link_of(s, node) == MG_NEW && search_tree(s, node) < 0) {
            return -1;
        }
    }
    return 0;
}

int
mg_search_begin(mg_search *s, mg_state *state, mg_rows *rows)
{
    memset(s, 0, sizeof(*s));
    s->state = state;
    s->rows = rows;
    s->entered_first = rows->count;
    s->deep = rows->count / DEEP < DEEP_LEAST ? DEEP_LEAST : rows->count / DEEP;
    s->path = mg_allocate(rows->count * sizeof(*s->path));
    return s->path == NULL ? -1 : 0;
}

void
mg_search_end(mg_search *s)
{
    if (s->rows != NULL) {
        mg_release(s->path, s->rows->count * sizeof(*s->path));
    }
    mg_vector_clear(&s->starts, sizeof(uint32_t));
    mg_vector_clear(&s->members, sizeof(uint32_t));
    memset(s, 0, sizeof(*s));
}
