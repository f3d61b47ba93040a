/* Modules come first: the values of a module's variables are three references away
 * from sys.modules, and variables of running frames are put on the same level.
 * What is then not reached is alive for C code only: where its count is more than
 * the references found, the search goes on.
 *
 * Source: E. F. Moore, "The shortest path through a maze", 1959.
 */
#include "walk.h"
#include "sort.h"

#include <string.h>

#define AHEAD 8

MG_DEFINE_SORT(sort_cuts, uint64_t, MG_COMPARE_VALUES)
MG_DEFINE_SORT(sort_roots, uint32_t, MG_COMPARE_VALUES)

static inline void
reach(mg_walk *w, uint32_t node, uint32_t link)
{
    if (w->rows.rows[node].link == MG_NEW) {
        w->rows.rows[node].link = link;
        w->queue[w->end++] = node;
    }
}

static int
is_cut(const mg_walk *w, uint32_t source, uint32_t target)
{
    const uint64_t *cuts = MG_ITEMS(uint64_t, &w->cuts);
    uint64_t wanted = (uint64_t)source << 32 | target;
    size_t first = 0, end = w->cuts.count;
    while (first < end) {
        size_t middle = first + (end - first) / 2;
        if (cuts[middle] < wanted) {
            first = middle + 1;
        }
        else {
            end = middle;
        }
    }
    return first < w->cuts.count && cuts[first] == wanted;
}

static int
is_asked_by(const mg_walk *w, uint32_t node, uint32_t target)
{
    return MG_UNLIKELY(node == w->asking_node) &&
           (MG_IS_SET(w->is_target, target) ||
            mg_object_at(&w->state, &w->rows, target) == MG_QUESTION(w));
}

static void
visit(mg_walk *w, uint32_t node)
{
    mg_span span = mg_references_of(&w->rows, node);
    int has_cuts = w->cuts.count != 0;
    for (uint32_t e = span.first; e < span.end; e++) {
        MG_PREFETCH(&w->rows.rows[span.items[e]]);
    }
    for (uint32_t e = span.first; e < span.end; e++) {
        uint32_t target = span.items[e];
        if (w->rows.rows[target].link == MG_NEW && !is_asked_by(w, node, target) &&
            !(has_cuts && MG_IS_SET(w->is_target, target) && is_cut(w, node, target))) {
            reach(w, target, node + 1);
        }
    }
}

static void
start_from(mg_walk *w, uint32_t number)
{
    const uint32_t *used = MG_ITEMS(uint32_t, &w->used_roots);
    size_t first = 0, end = w->used_roots.count;
    while (first < end) {
        size_t middle = first + (end - first) / 2;
        if (used[middle] == number) {
            return;
        }
        first = used[middle] < number ? middle + 1 : first;
        end = used[middle] < number ? end : middle;
    }
    uint32_t node = mg_node_of(&w->state, MG_ITEMS(mg_way_root, &w->ways->roots)[number].object);
    if (node != MG_NO_NODE) {
        reach(w, node, MG_ROOT + number);
    }
}

static void
go_on(mg_walk *w, size_t next)
{
    for (; next < w->end; next++) {
        if (next + AHEAD < w->end) {
            MG_PREFETCH(&w->rows.rows[w->queue[next + AHEAD]]);
        }
        visit(w, w->queue[next]);
    }
}

/* What a module keeps in C is not looked at before all variables are: a name is
   better than none. */
static void
visit_variables_of_module(mg_walk *w, uint32_t node)
{
    PyObject *object = mg_object_at(&w->state, &w->rows, node);
    uint32_t dict = mg_is_module(object) ? mg_node_of(&w->state, PyModule_GetDict(object)) : MG_NO_NODE;
    if (dict == MG_NO_NODE) {
        visit(w, node);
    }
    else {
        reach(w, dict, node + 1);
    }
}

void
mg_walk_from_fixed_roots(mg_walk *w)
{
    for (uint32_t node = 0; node < w->rows.count; node++) {
        w->rows.rows[node].link = MG_NEW;
    }
    for (size_t i = 0; i < w->barred.count; i++) {
        w->rows.rows[MG_ITEMS(uint32_t, &w->barred)[i]].link = MG_BARRED;
    }
    uint32_t own = mg_node_of(&w->state, w->request->asked);
    if (own != MG_NO_NODE) {
        w->rows.rows[own].link = MG_BARRED;
    }
    w->end = 0;
    start_from(w, 0);
    size_t modules = w->end;
    for (size_t i = 0; i < modules; i++) {
        visit(w, w->queue[i]);
    }
    size_t dicts = w->end;
    for (size_t i = modules; i < dicts; i++) {
        visit_variables_of_module(w, w->queue[i]);
    }
    size_t variables = w->end;
    for (size_t i = dicts; i < variables; i++) {
        visit(w, w->queue[i]);
    }
    for (uint32_t root = 1; root < w->fixed_root_count; root++) {
        start_from(w, root);
    }
    for (size_t i = modules; i < dicts; i++) {
        visit(w, w->queue[i]);
    }
    w->variables_end = variables;
    go_on(w, variables);
}

static void
add_found(mg_walk *w, const void *object)
{
    uint32_t node = mg_node_of(&w->state, object);
    if (node != MG_NO_NODE) {
        w->found[node]++;
    }
}

/* Nothing that is reached refers to what is not, but for what was cut. */
static void
count_found(mg_walk *w)
{
    memset(w->found, 0, w->rows.count * sizeof(*w->found));
    for (uint32_t node = 0; node < w->rows.count; node++) {
        if (mg_is_unreached(w, node)) {
            mg_span span = mg_references_of(&w->rows, node);
            for (uint32_t e = span.first; e < span.end; e++) {
                w->found[span.items[e]] += !is_asked_by(w, node, span.items[e]);
            }
        }
    }
    for (size_t i = 0; i < w->cuts.count; i++) {
        w->found[(uint32_t)MG_ITEMS(uint64_t, &w->cuts)[i]]++;
    }
    for (size_t i = 0; i < w->used_roots.count; i++) {
        uint32_t root = MG_ITEMS(uint32_t, &w->used_roots)[i];
        add_found(w, MG_ITEMS(mg_way_root, &w->ways->roots)[root].object);
    }
    for (size_t i = 0; i < w->asking.count; i++) {
        add_found(w, MG_ITEMS(void *, &w->asking)[i]);
    }
    for (mg_holding *h = mg_holdings.next; h != &mg_holdings; h = h->next) {
        for (size_t i = 0; i < h->count; i++) {
            add_found(w, h->objects[i]);
        }
    }
}

static void
start_from_unexplained(mg_walk *w, int targets)
{
    for (uint32_t node = 0; node < w->rows.count; node++) {
        if (w->rows.rows[node].link != MG_NEW || MG_IS_SET(w->is_target, node) != targets) {
            continue;
        }
        PyObject *object = mg_object_at(&w->state, &w->rows, node);
        int is_only_asked = !targets && object == MG_QUESTION(w);
        int is_held = mg_is_immortal(object) ||
                      mg_reference_count(object) > (int64_t)w->found[node];
        if (is_held && !is_only_asked) {
            reach(w, node, MG_EXCESS);
        }
    }
}

void
mg_walk_heap(mg_walk *w)
{
    mg_walk_from_fixed_roots(w);
    if (w->end == w->rows.count) {
        return;
    }
    count_found(w);
    for (int targets = 0; targets < 2; targets++) {
        size_t next = w->end;
        start_from_unexplained(w, targets);
        go_on(w, next);
    }
}

void
mg_forget_bars(mg_walk *w)
{
    w->cuts.count = 0;
    w->barred.count = 0;
    w->used_roots.count = 0;
}

int
mg_leave_out_reference(mg_walk *w, const void *source, const void *target)
{
    return mg_push_u64(&w->cuts, (uint64_t)mg_node_of(&w->state, source) << 32 | mg_node_of(&w->state, target));
}

void
mg_sort_cuts(mg_walk *w)
{
    uint64_t *cuts = MG_ITEMS(uint64_t, &w->cuts);
    uint32_t *roots = MG_ITEMS(uint32_t, &w->used_roots);
    size_t kept = 0;
    sort_cuts(cuts, w->cuts.count);
    for (size_t i = 0; i < w->cuts.count; i++) {
        if (i == 0 || cuts[i] != cuts[i - 1]) {
            cuts[kept++] = cuts[i];
        }
    }
    w->cuts.count = kept;
    kept = 0;
    sort_roots(roots, w->used_roots.count);
    for (size_t i = 0; i < w->used_roots.count; i++) {
        if (i == 0 || roots[i] != roots[i - 1]) {
            roots[kept++] = roots[i];
        }
    }
    w->used_roots.count = kept;
}
