/* The references are recorded as for a scan, then searched in breadth: the link of
 * a node becomes the node from which it was first reached.
 *
 * Modules come first: the values of a module's variables are three references away
 * from sys.modules, and variables of running frames are put on the same level.
 * What is then not reached is alive for C code only: where its count is more than
 * the references found, the search goes on.
 *
 * Source: E. F. Moore, "The shortest path through a maze", 1959.
 */
#include "ways.h"
#include "rows.h"
#include "sizes.h"
#include "sort.h"
#include "threads.h"

#include <string.h>

#define MODULE_LEVELS 3         /* sys.modules, the module, its dict */
#define ROOT (UINT32_C(1) << 30)    /* a link: reached from root number link - ROOT */
#define BARRED (UINT32_C(1) << 31)
#define AHEAD 8

typedef struct {
    mg_state state;
    mg_rows rows;
    const mg_ways_request *request;
    mg_ways *ways;
    uint32_t *queue;            /* nodes in the order in which they were reached */
    size_t end;
    uint32_t *found;            /* references to a node that was not reached */
    uint64_t *is_target;        /* bits */
    uint64_t *was_dead;         /* bits: not alive before anything was cut */
    mg_vector asking;           /* PyObject *: references of the question */
    mg_vector cuts;             /* uint64_t, sorted: source << 32 | target */
    mg_vector used_roots;       /* uint32_t: not to be started from */
    mg_vector barred;           /* uint32_t: nodes not to be passed */
    mg_pointer_index untracked; /* targets that are no nodes */
    uint32_t fixed_root_count;
    int own_frames;             /* the walk is still in frames of the question */
    int asker_seen;
    const PyObject *asker;
    PyObject *asking_generator; /* whose frame asks; shows its variables as well */
    uint32_t asking_node;
} searcher;

MG_DEFINE_SORT(sort_cuts, uint64_t, MG_COMPARE_VALUES)

/* The question comes first, then the targets. */
#define QUESTION(s) PyTuple_GET_ITEM((s)->request->asked, 0)
#define TARGET(s, i) PyTuple_GET_ITEM((s)->request->asked, (i) + 1)
#define TARGET_COUNT(s) (PyTuple_GET_SIZE((s)->request->asked) - 1)
#define IS_SET(bits, node) (((bits)[(node) >> 6] & MG_BIT(node)) != 0)

static size_t
words_of(const searcher *s)
{
    return (s->rows.count + 63) >> 6;
}

static uint32_t
node_of(const searcher *s, const void *object)
{
    const mg_map *map = &s->state.map;
    if (object == NULL || !mg_may_be_node(object)) {
        return MG_NO_NODE;
    }
    uint32_t handle = mg_find(map, object);
    return mg_is_open(map, handle) ? mg_number_of(map, handle) : MG_NO_NODE;
}

/* ------------------------------------------------------------------------
   Roots. */

static int
add_root(searcher *s, mg_way_root root)
{
    mg_vector *roots = &s->ways->roots;
    if (roots->count == roots->capacity && mg_vector_grow(roots, sizeof(root)) < 0) {
        s->state.out_of_memory = 1;
        return 0;
    }
    MG_ITEMS(mg_way_root, roots)[roots->count++] = root;
    return 1;
}

static int
is_own_code(const searcher *s, PyObject *code)
{
    PyObject *file = ((PyCodeObject *)code)->co_filename;
    return file != NULL && PyUnicode_CheckExact(file) &&
           PyUnicode_Tailmatch(file, s->request->own_folder, 0, PY_SSIZE_T_MAX, -1) == 1;
}

static int
is_asked_about(const searcher *s, PyObject *value)
{
    if (PyCell_Check(value)) {
        value = PyCell_GET(value);
    }
    if (value == QUESTION(s)) {
        return 1;
    }
    Py_ssize_t count = TARGET_COUNT(s);
    for (Py_ssize_t i = 0; value != NULL && i < count; i++) {
        if (TARGET(s, i) == value) {
            return 1;
        }
    }
    return 0;
}

/* The innermost frames of this thread are memguard's; the next one asks. */
static int
is_of_question(searcher *s, const mg_running_frame *frame, PyObject *value)
{
    if (!frame->is_current || frame->code == NULL || s->asker_seen == 2) {
        return 0;
    }
    if (!s->asker_seen && is_own_code(s, frame->code)) {
        return 1;
    }
    if (!s->asker_seen) {
        s->asker_seen = 1;
        s->asker = frame->code;
        s->asking_generator = frame->generator;
    }
    if (frame->code != s->asker) {
        s->asker_seen = 2;
        return 0;
    }
    return is_asked_about(s, value);
}

static int
note_variable(const mg_running_frame *frame, int variable, PyObject *value, void *argument)
{
    searcher *s = argument;
    if (is_of_question(s, frame, value)) {
        s->state.out_of_memory |= mg_push_pointer(&s->asking, value) < 0;
        return !s->state.out_of_memory;
    }
    return add_root(s, (mg_way_root){.kind = MG_ROOT_RUNNING,
                                     .variable = variable,
                                     .object = value,
                                     .code = frame->code,
                                     .thread = frame->thread});
}

/* Before the tables of nodes, for threads are listed under a lock. */
static int
note_roots(searcher *s)
{
    PyObject *modules = mg_imported_modules();
    (void)add_root(s, (mg_way_root){.kind = MG_ROOT_MODULES, .object = modules});
    mg_for_each_running_variable(note_variable, s);
    s->fixed_root_count = (uint32_t)s->ways->roots.count;
    return s->state.out_of_memory ? -1 : 0;
}

/* ------------------------------------------------------------------------
   The search. */

static inline void
reach(searcher *s, uint32_t node, uint32_t link)
{
    if (s->rows.rows[node].link == MG_NEW) {
        s->rows.rows[node].link = link;
        s->queue[s->end++] = node;
    }
}

static int
is_cut(const searcher *s, uint32_t source, uint32_t target)
{
    const uint64_t *cuts = MG_ITEMS(uint64_t, &s->cuts);
    uint64_t wanted = (uint64_t)source << 32 | target;
    size_t first = 0, end = s->cuts.count;
    while (first < end) {
        size_t middle = first + (end - first) / 2;
        if (cuts[middle] < wanted) {
            first = middle + 1;
        }
        else {
            end = middle;
        }
    }
    return first < s->cuts.count && cuts[first] == wanted;
}

static int
is_asked_by(const searcher *s, uint32_t node, uint32_t target)
{
    return MG_UNLIKELY(node == s->asking_node) &&
           (IS_SET(s->is_target, target) ||
            mg_object_at(&s->state, &s->rows, target) == QUESTION(s));
}

static void
visit(searcher *s, uint32_t node)
{
    mg_span span = mg_references_of(&s->rows, node);
    int has_cuts = s->cuts.count != 0;
    for (uint32_t e = span.first; e < span.end; e++) {
        MG_PREFETCH(&s->rows.rows[span.items[e]]);
    }
    for (uint32_t e = span.first; e < span.end; e++) {
        uint32_t target = span.items[e];
        if (s->rows.rows[target].link == MG_NEW && !is_asked_by(s, node, target) &&
            !(has_cuts && IS_SET(s->is_target, target) && is_cut(s, node, target))) {
            reach(s, target, node + 1);
        }
    }
}

static void
start_from(searcher *s, uint32_t number)
{
    for (size_t i = 0; i < s->used_roots.count; i++) {
        if (MG_ITEMS(uint32_t, &s->used_roots)[i] == number) {
            return;
        }
    }
    uint32_t node = node_of(s, MG_ITEMS(mg_way_root, &s->ways->roots)[number].object);
    if (node != MG_NO_NODE) {
        reach(s, node, ROOT + number);
    }
}

static void
go_on(searcher *s, size_t next)
{
    for (; next < s->end; next++) {
        if (next + AHEAD < s->end) {
            MG_PREFETCH(&s->rows.rows[s->queue[next + AHEAD]]);
        }
        visit(s, s->queue[next]);
    }
}

static void
search_from_fixed_roots(searcher *s)
{
    for (uint32_t node = 0; node < s->rows.count; node++) {
        s->rows.rows[node].link = MG_NEW;
    }
    for (size_t i = 0; i < s->barred.count; i++) {
        s->rows.rows[MG_ITEMS(uint32_t, &s->barred)[i]].link = BARRED;
    }
    uint32_t own = node_of(s, s->request->asked);
    if (own != MG_NO_NODE) {
        s->rows.rows[own].link = BARRED;
    }
    s->end = 0;
    start_from(s, 0);
    size_t next = 0;
    for (int level = 0; level < MODULE_LEVELS; level++) {
        for (size_t end = s->end; next < end; next++) {
            visit(s, s->queue[next]);
        }
    }
    for (uint32_t root = 1; root < s->fixed_root_count; root++) {
        start_from(s, root);
    }
    go_on(s, next);
}

static int
is_unreached(const searcher *s, uint32_t node)
{
    uint32_t link = s->rows.rows[node].link;
    return link == MG_NEW || link == BARRED;
}

static void
add_found(searcher *s, const void *object)
{
    uint32_t node = node_of(s, object);
    if (node != MG_NO_NODE) {
        s->found[node]++;
    }
}

/* Nothing that is reached refers to what is not, but for what was cut. */
static void
count_found(searcher *s)
{
    memset(s->found, 0, s->rows.count * sizeof(*s->found));
    for (uint32_t node = 0; node < s->rows.count; node++) {
        if (is_unreached(s, node)) {
            mg_span span = mg_references_of(&s->rows, node);
            for (uint32_t e = span.first; e < span.end; e++) {
                s->found[span.items[e]] += !is_asked_by(s, node, span.items[e]);
            }
        }
    }
    for (size_t i = 0; i < s->cuts.count; i++) {
        s->found[(uint32_t)MG_ITEMS(uint64_t, &s->cuts)[i]]++;
    }
    for (size_t i = 0; i < s->used_roots.count; i++) {
        uint32_t root = MG_ITEMS(uint32_t, &s->used_roots)[i];
        add_found(s, MG_ITEMS(mg_way_root, &s->ways->roots)[root].object);
    }
    for (size_t i = 0; i < s->asking.count; i++) {
        add_found(s, MG_ITEMS(void *, &s->asking)[i]);
    }
    for (mg_holding *h = mg_holdings.next; h != &mg_holdings; h = h->next) {
        for (size_t i = 0; i < h->count; i++) {
            add_found(s, h->objects[i]);
        }
    }
}

static int
start_from_unexplained(searcher *s, int targets)
{
    for (uint32_t node = 0; node < s->rows.count; node++) {
        if (s->rows.rows[node].link != MG_NEW || IS_SET(s->is_target, node) != targets) {
            continue;
        }
        PyObject *object = mg_object_at(&s->state, &s->rows, node);
        int64_t excess = mg_reference_count(object) - (int64_t)s->found[node];
        int is_only_asked = !targets && object == QUESTION(s);
        if (is_only_asked || (excess <= 0 && !mg_is_immortal(object))) {
            continue;
        }
        if (!add_root(s, (mg_way_root){.kind = MG_ROOT_UNEXPLAINED,
                                       .object = object,
                                       .unexplained_count = excess})) {
            return -1;
        }
        reach(s, node, ROOT + (uint32_t)s->ways->roots.count - 1);
    }
    return 0;
}

/* The roots that are found on the way stay in the answer, for ways that begin there. */
static int
search(searcher *s)
{
    search_from_fixed_roots(s);
    if (s->end == s->rows.count) {
        return 0;
    }
    count_found(s);
    for (int targets = 0; targets < 2; targets++) {
        size_t next = s->end;
        if (start_from_unexplained(s, targets) < 0) {
            return -1;
        }
        go_on(s, next);
    }
    return 0;
}

/* ------------------------------------------------------------------------
   Ways. */

/* Of one that begins with modules all share what leads to their variables. */
static uint32_t
first_own_step(const searcher *s, uint32_t root, uint32_t count)
{
    uint32_t shared = MG_ITEMS(mg_way_root, &s->ways->roots)[root].kind == MG_ROOT_MODULES
        ? MODULE_LEVELS : 0;
    return shared < count ? shared : count;
}

static int
add_way(searcher *s, uint32_t target, uint32_t node, PyObject *last)
{
    mg_ways *ways = s->ways;
    size_t first = ways->steps.count;
    uint32_t root;
    if (last != NULL && mg_push_pointer(&ways->steps, last) < 0) {
        return -1;
    }
    for (;;) {
        if (mg_push_pointer(&ways->steps, mg_object_at(&s->state, &s->rows, node)) < 0) {
            return -1;
        }
        uint32_t link = s->rows.rows[node].link;
        if (link >= ROOT) {
            root = link - ROOT;
            break;
        }
        node = link - 1;
    }
    void **steps = MG_ITEMS(void *, &ways->steps);
    for (size_t a = first, b = ways->steps.count - 1; a < b; a++, b--) {
        void *kept = steps[a];
        steps[a] = steps[b];
        steps[b] = kept;
    }
    return mg_push_u32(&ways->way_root, root) < 0 ||
                   mg_push_u32(&ways->way_target, target) < 0 ||
                   mg_push_u32(&ways->way_end, (uint32_t)ways->steps.count) < 0
        ? -1 : 0;
}

static int
has_untracked(PyObject *object, void *argument)
{
    const mg_pointer_index *index = argument;
    return object != NULL && mg_pointer_is_in(index, object);
}

typedef struct {
    searcher *s;
    uint32_t holder;
    int result;
} untracked_visit;

static int
on_held(PyObject *object, void *argument)
{
    untracked_visit *v = argument;
    if (has_untracked(object, &v->s->untracked)) {
        uint32_t number = v->s->untracked.slots[
            mg_pointer_slot(&v->s->untracked, object)] - 1;
        uint32_t *holders = v->s->found;     /* not needed any more by then */
        if (holders[number] == MG_NO_NODE) {
            holders[number] = v->holder;
        }
    }
    return 0;
}

/* What the collector does not track is no node: its first holder is looked for in
   the order in which nodes were reached. */
static int
find_untracked(searcher *s)
{
    size_t count = s->untracked.pointers.count;
    if (count == 0) {
        return 0;
    }
    uint32_t *kept = s->found;
    s->found = mg_allocate(count * sizeof(*s->found));
    int result = s->found == NULL ? -1 : 0;
    if (result == 0) {
        memset(s->found, 0xff, count * sizeof(*s->found));
        untracked_visit v = {s, 0, 0};
        for (size_t i = 0; i < s->end; i++) {
            v.holder = s->queue[i];
            mg_traverse(mg_object_at(&s->state, &s->rows, v.holder), on_held, &v);
        }
    }
    Py_ssize_t targets = TARGET_COUNT(s);
    for (Py_ssize_t i = 0; i < targets && result == 0; i++) {
        if (mg_pointer_is_in(&s->untracked, TARGET(s, i))) {
            uint32_t number = mg_pointer_number(&s->untracked, TARGET(s, i));
            if (s->found[number] != MG_NO_NODE) {
                result = add_way(s, (uint32_t)i, s->found[number], TARGET(s, i));
            }
        }
    }
    mg_release(s->found, count * sizeof(*s->found));
    s->found = kept;
    return result;
}

/* Close what the last way went through, so that the next one shares nothing. */
static int
bar_last_way(searcher *s, size_t first_step)
{
    mg_ways *ways = s->ways;
    void **steps = MG_ITEMS(void *, &ways->steps) + first_step;
    uint32_t count = (uint32_t)(ways->steps.count - first_step);
    uint32_t root = MG_ITEMS(uint32_t, &ways->way_root)[ways->way_root.count - 1];
    if (count == 1) {
        return mg_push_u32(&s->used_roots, root);
    }
    uint32_t first = first_own_step(s, root, count - 1);
    if (first == count - 1) {
        uint64_t cut = (uint64_t)node_of(s, steps[count - 2]) << 32 |
                       node_of(s, steps[count - 1]);
        if (mg_push_u64(&s->cuts, cut) < 0) {
            return -1;
        }
        sort_cuts(MG_ITEMS(uint64_t, &s->cuts), s->cuts.count);
    }
    for (uint32_t i = first; i < count - 1; i++) {
        if (mg_push_u32(&s->barred, node_of(s, steps[i])) < 0) {
            return -1;
        }
    }
    return 0;
}

static void
forget_bars(searcher *s)
{
    s->cuts.count = 0;
    s->barred.count = 0;
    s->used_roots.count = 0;
}

/* Others for one target, one search each; what only C code holds is not asked. */
static int
find_more_ways(searcher *s, uint32_t target, uint32_t node, size_t first_step)
{
    forget_bars(s);
    for (size_t way = 1; way < s->request->most_ways; way++) {
        if (bar_last_way(s, first_step) < 0) {
            return -1;
        }
        search_from_fixed_roots(s);
        if (is_unreached(s, node)) {
            break;
        }
        first_step = s->ways->steps.count;
        if (add_way(s, target, node, NULL) < 0) {
            return -1;
        }
    }
    forget_bars(s);
    return 0;
}

static int
find_ways(searcher *s)
{
    Py_ssize_t targets = TARGET_COUNT(s);
    for (Py_ssize_t i = 0; i < targets; i++) {
        uint32_t node = node_of(s, TARGET(s, i));
        if (node != MG_NO_NODE && !is_unreached(s, node) &&
            add_way(s, (uint32_t)i, node, NULL) < 0) {
            return -1;
        }
    }
    if (find_untracked(s) < 0) {
        return -1;
    }
    size_t first_ways = s->request->most_ways > 1 ? s->ways->way_end.count : 0;
    for (size_t way = 0; way < first_ways; way++) {
        uint32_t target = MG_ITEMS(uint32_t, &s->ways->way_target)[way];
        uint32_t node = node_of(s, TARGET(s, target));
        uint32_t *ends = MG_ITEMS(uint32_t, &s->ways->way_end);
        /* The first one again, at the end, as those that follow it. */
        if (node == MG_NO_NODE) {
            continue;
        }
        size_t first = way == 0 ? 0 : ends[way - 1];
        size_t count = ends[way] - first;
        uint32_t root = MG_ITEMS(uint32_t, &s->ways->way_root)[way];
        size_t again = s->ways->steps.count;
        if (mg_vector_make_room(&s->ways->steps, count, sizeof(void *)) < 0) {
            return -1;
        }
        memcpy(MG_ITEMS(void *, &s->ways->steps) + again,
               MG_ITEMS(void *, &s->ways->steps) + first, count * sizeof(void *));
        s->ways->steps.count += count;
        if (mg_push_u32(&s->ways->way_root, root) < 0 ||
            mg_push_u32(&s->ways->way_target, target) < 0 ||
            mg_push_u32(&s->ways->way_end, (uint32_t)s->ways->steps.count) < 0 ||
            find_more_ways(s, target, node, again) < 0) {
            return -1;
        }
        MG_ITEMS(uint32_t, &s->ways->way_target)[way] = MG_NO_NODE;     /* it came again */
    }
    return 0;
}

/* ------------------------------------------------------------------------
   What would be freed. */

static int
cut_last_references(searcher *s)
{
    const mg_ways *ways = s->ways;
    void **steps = MG_ITEMS(void *, &ways->steps);
    forget_bars(s);
    for (size_t way = 0; way < ways->way_end.count; way++) {
        size_t first = way == 0 ? 0 : MG_ITEMS(uint32_t, &ways->way_end)[way - 1];
        size_t end = MG_ITEMS(uint32_t, &ways->way_end)[way];
        uint32_t root = MG_ITEMS(uint32_t, &ways->way_root)[way];
        uint32_t target = node_of(s, steps[end - 1]);
        if (target == MG_NO_NODE || MG_ITEMS(uint32_t, &ways->way_target)[way] == MG_NO_NODE) {
            continue;
        }
        if (end - first == 1) {
            if (root < s->fixed_root_count && mg_push_u32(&s->used_roots, root) < 0) {
                return -1;
            }
        }
        else if (mg_push_u64(&s->cuts, (uint64_t)node_of(s, steps[end - 2]) << 32 | target) <
                 0) {
            return -1;
        }
    }
    sort_cuts(MG_ITEMS(uint64_t, &s->cuts), s->cuts.count);
    return 0;
}

static int
weigh_untracked(PyObject *object, void *argument)
{
    searcher *s = argument;
    if (object != NULL && mg_reference_count(object) == 1 && !mg_is_immortal(object) &&
        node_of(s, object) == MG_NO_NODE) {
        s->ways->freed_count++;
        s->ways->freed_bytes += mg_shallow_bytes(object);
    }
    return 0;
}

static int
weigh(searcher *s)
{
    s->was_dead = mg_allocate_zeroed(words_of(s) * sizeof(uint64_t));
    if (s->was_dead == NULL || search(s) < 0) {
        return -1;
    }
    for (uint32_t node = 0; node < s->rows.count; node++) {
        s->was_dead[node >> 6] |= is_unreached(s, node) ? MG_BIT(node) : 0;
    }
    if (cut_last_references(s) < 0 || search(s) < 0) {
        return -1;
    }
    for (uint32_t node = 0; node < s->rows.count; node++) {
        if (is_unreached(s, node) &&
            (!IS_SET(s->was_dead, node) || IS_SET(s->is_target, node))) {
            PyObject *object = mg_object_at(&s->state, &s->rows, node);
            s->ways->freed_count++;
            s->ways->freed_bytes += mg_shallow_bytes(object);
            mg_traverse(object, weigh_untracked, s);
        }
    }
    return 0;
}

/* ------------------------------------------------------------------------ */

static int
note_targets(searcher *s)
{
    Py_ssize_t targets = TARGET_COUNT(s);
    for (Py_ssize_t i = 0; i < targets; i++) {
        uint32_t node = node_of(s, TARGET(s, i));
        if (node != MG_NO_NODE) {
            s->is_target[node >> 6] |= MG_BIT(node);
        }
        else if (mg_pointer_number(&s->untracked, TARGET(s, i)) == MG_NO_NUMBER) {
            return -1;
        }
    }
    return 0;
}

static int
make_tables(searcher *s)
{
    if (mg_map_begin(&s->state.map) < 0 || note_roots(s) < 0 ||
        mg_enumerate_heap(&s->state) < 0 || mg_rows_record(&s->rows, &s->state) < 0) {
        return -1;
    }
    s->ways->object_count = s->rows.count;
    s->asking_node = node_of(s, s->asking_generator);
    s->queue = mg_allocate(s->rows.count * sizeof(*s->queue));
    s->found = mg_allocate_zeroed(s->rows.count * sizeof(*s->found));
    s->is_target = mg_allocate_zeroed(words_of(s) * sizeof(uint64_t));
    return s->queue == NULL || s->found == NULL || s->is_target == NULL ? -1 : 0;
}

static void
release_tables(searcher *s)
{
    mg_release(s->queue, s->rows.count * sizeof(*s->queue));
    mg_release(s->found, s->rows.count * sizeof(*s->found));
    mg_release(s->is_target, words_of(s) * sizeof(uint64_t));
    mg_release(s->was_dead, words_of(s) * sizeof(uint64_t));
    mg_vector_clear(&s->asking, sizeof(void *));
    mg_vector_clear(&s->cuts, sizeof(uint64_t));
    mg_vector_clear(&s->used_roots, sizeof(uint32_t));
    mg_vector_clear(&s->barred, sizeof(uint32_t));
    mg_pointer_index_clear(&s->untracked);
    mg_rows_clear(&s->rows);
    mg_map_end(&s->state.map);
    mg_pointer_index_clear(&s->state.cut_dicts);
    mg_vector_clear(&s->state.cut_objects, sizeof(void *));
    mg_vector_clear(&s->state.foreign, sizeof(void *));
}

int
mg_find_ways(const mg_ways_request *request, mg_ways *ways)
{
    mg_request heap = {.kind = MG_LIVE,
                       .clock_seconds = request->clock_seconds,
                       .name_key = request->name_key,
                       .own_type = request->own_type,
                       .with_frozen = 1};
    mg_answer unused = {0};
    searcher s = {.request = request, .ways = ways};
    memset(ways, 0, sizeof(*ways));
    s.state.request = &heap;
    s.state.answer = &unused;
    s.state.thread_count = mg_thread_count();
    size_t before_bytes = mg_memory.current_bytes;
    mg_memory.peak_bytes = before_bytes;
    double started_seconds = request->clock_seconds();
    int result = make_tables(&s) < 0 || note_targets(&s) < 0 || search(&s) < 0 ||
                         find_ways(&s) < 0 || (request->weighs && weigh(&s) < 0)
        ? -1 : 0;
    release_tables(&s);
    ways->side_table_bytes = mg_memory.peak_bytes - before_bytes;
    ways->duration_seconds = request->clock_seconds() - started_seconds;
    if (result < 0) {
        mg_ways_clear(ways);
    }
    return result;
}

void
mg_ways_clear(mg_ways *ways)
{
    mg_vector_clear(&ways->roots, sizeof(mg_way_root));
    mg_vector_clear(&ways->steps, sizeof(void *));
    mg_vector_clear(&ways->way_root, sizeof(uint32_t));
    mg_vector_clear(&ways->way_end, sizeof(uint32_t));
    mg_vector_clear(&ways->way_target, sizeof(uint32_t));
    memset(ways, 0, sizeof(*ways));
}
