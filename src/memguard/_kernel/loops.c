/* Cost: a search of the references of the cycle for each start, backwards and
 * no deeper than the shortest loop by then, and the labels along the shortest
 * loops.  MOST_WORK bounds it; past that, starts that look like one that was
 * tried are not tried.
 *
 * A reference into the dict where an object keeps its attributes has no length,
 * so that a loop is as long on a Python that keeps them elsewhere.
 */
#include "loops.h"

#include <string.h>

#define NOWHERE UINT32_MAX
#define MOST_WORK 400000
#define MOST_COMPARED (4 * MOST_WORK)   /* past that, the first step that leads on is taken */
#define MOST_KINDS 64

typedef struct {
    PyObject *const *members;       /* of this cycle alone */
    const uint64_t *edge_start;
    const uint32_t *edge_target;    /* positions among all members */
    uint32_t first, size;

    uint32_t *came_start;           /* where references come from */
    uint32_t *came_from;
    uint32_t *distance;             /* to the start */
    uint32_t *queue;                /* nodes with a distance */
    uint32_t queued;
    uint32_t *previous;             /* on the way from the start */
    uint32_t *via;                  /* the dict between, NOWHERE: none */
    uint32_t *frontier, *next;      /* nodes reached by equal labels */
    uint32_t next_count;

    uint32_t start;
    uint32_t length;                /* of the loops that are tried */
    uint32_t best_start;
    uint32_t best_length;           /* NOWHERE: no loop yet */
    mg_vector best;                 /* mg_choice by step */
    mg_vector trial;
    uint64_t work;
} finder;

typedef struct {
    mg_label label;
    PyTypeObject *target_type;
} mg_choice;

static uint32_t
target_at(const finder *f, uint64_t edge)
{
    return f->edge_target[edge] - f->first;
}

/* A node is `length` away from the start.  Nonzero: it is the start itself. */
static int
arrive(finder *f, uint32_t node, uint32_t length)
{
    if (node == f->start) {
        return 1;
    }
    if (f->distance[node] != NOWHERE) {
        return 0;
    }
    f->distance[node] = length;
    f->queue[f->queued++] = node;
    if (!PyDict_CheckExact(f->members[node])) {
        return 0;
    }
    for (uint32_t i = f->came_start[node]; i < f->came_start[node + 1]; i++) {
        uint32_t owner = f->came_from[i];
        if (mg_is_namespace_of(f->members[owner], f->members[node]) &&
            arrive(f, owner, length)) {
            return 1;
        }
    }
    return 0;
}

/* The length of the shortest loop through the start, NOWHERE when it is
   longer than the best. */
static uint32_t
measure(finder *f)
{
    uint32_t node = f->start;
    uint32_t head = 0;
    uint32_t length = 1;
    f->queued = 0;
    for (;;) {
        f->work += f->came_start[node + 1] - f->came_start[node];
        for (uint32_t i = f->came_start[node]; i < f->came_start[node + 1]; i++) {
            if (arrive(f, f->came_from[i], length)) {
                return length;
            }
        }
        if (head == f->queued) {
            return NOWHERE;
        }
        node = f->queue[head++];
        length = f->distance[node] + 1;
        if (length > f->best_length) {
            return NOWHERE;
        }
    }
}

static void
forget_distances(finder *f)
{
    for (uint32_t i = 0; i < f->queued; i++) {
        f->distance[f->queue[i]] = NOWHERE;
        f->previous[f->queue[i]] = NOWHERE;
    }
    f->previous[f->start] = NOWHERE;
}

static size_t
items_in(PyObject *object)
{
    return PyDict_Check(object) ? (size_t)mg_dict_entry_count(object)
        : mg_is_set(object) ? (size_t)((PySetObject *)object)->mask + 1
        : PyList_Check(object) || PyTuple_Check(object) ? (size_t)Py_SIZE(object) : 8;
}

static int
compare_choices(const mg_choice *left, const mg_choice *right)
{
    int order = mg_compare_labels(&left->label, &right->label);
    return order != 0 ? order : mg_compare_types(left->target_type, right->target_type);
}

/* Take a step of the right length into the next frontier if none is better.  Each
   label is a look through its container: for all children of a large one that
   would be time by the square of its size. */
static void
offer(finder *f, mg_choice *chosen, uint32_t from, uint32_t via, uint32_t node)
{
    if (f->work > MOST_COMPARED && f->next_count != 0) {
        return;
    }
    PyObject *holder = f->members[via == NOWHERE ? from : via];
    PyObject *target = f->members[node];
    f->work += items_in(holder);
    mg_choice choice = {via == NOWHERE ? mg_label_of(holder, target)
                                          : mg_label_in_namespace(holder, target),
                        Py_TYPE(target)};
    int order = f->next_count == 0 ? -1 : compare_choices(&choice, chosen);
    if (order < 0) {
        while (f->next_count > 0) {
            f->previous[f->next[--f->next_count]] = NOWHERE;
        }
        *chosen = choice;
    }
    if (order <= 0 && f->previous[node] == NOWHERE) {
        f->previous[node] = from;
        f->via[node] = via;
        f->next[f->next_count++] = node;
    }
}

/* Whether a step to a node that is one away from the start was taken. */
static int
is_in_last_frontier(const finder *f, uint32_t node)
{
    return node == f->start ? f->length == 1
        : f->distance[node] == 1 && f->previous[node] != NOWHERE;
}

/* The last step, from what refers to the start: it may be one of many. */
static mg_choice
step_to_start(finder *f)
{
    mg_choice chosen = {{MG_UNKNOWN, NULL, NULL, 0}, NULL};
    f->next_count = 0;
    for (uint32_t i = f->came_start[f->start]; i < f->came_start[f->start + 1]; i++) {
        uint32_t node = f->came_from[i];
        if (is_in_last_frontier(f, node)) {
            offer(f, &chosen, node, NOWHERE, f->start);
        }
        else if (PyDict_CheckExact(f->members[node])) {
            for (uint32_t k = f->came_start[node]; k < f->came_start[node + 1]; k++) {
                uint32_t owner = f->came_from[k];
                if (is_in_last_frontier(f, owner) &&
                    mg_is_namespace_of(f->members[owner], f->members[node])) {
                    offer(f, &chosen, owner, node, f->start);
                }
            }
        }
    }
    return chosen;
}

/* All steps from the frontier to nodes that are `left` away from the start. */
static mg_choice
step_from(finder *f, const uint32_t *frontier, uint32_t count, uint32_t left)
{
    mg_choice chosen = {{MG_UNKNOWN, NULL, NULL, 0}, NULL};
    f->next_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t node = frontier[i];
        for (uint64_t e = f->edge_start[node]; e < f->edge_start[node + 1]; e++) {
            uint32_t target = target_at(f, e);
            if (f->distance[target] == left) {
                offer(f, &chosen, node, NOWHERE, target);
            }
            else if (PyDict_CheckExact(f->members[target]) && target != f->start &&
                     mg_is_namespace_of(f->members[node], f->members[target])) {
                for (uint64_t d = f->edge_start[target];
                     d < f->edge_start[target + 1]; d++) {
                    if (f->distance[target_at(f, d)] == left) {
                        offer(f, &chosen, node, target, target_at(f, d));
                    }
                }
            }
        }
    }
    return chosen;
}

/* Whether the first loop of this length, by labels, comes before the best.
   -1: no memory. */
static int
compare_with_best(finder *f, uint32_t length)
{
    int is_better = length < f->best_length;
    f->trial.count = 0;
    f->length = length;
    uint32_t count = 1;
    f->next[0] = f->start;
    for (uint32_t left = length; left-- > 0;) {
        uint32_t *frontier = f->next;
        f->next = f->frontier;
        f->frontier = frontier;
        mg_choice choice = left == 0 ? step_to_start(f)
                                     : step_from(f, frontier, count, left);
        count = f->next_count;
        if (count == 0) {
            return 0;       /* the program has changed it since */
        }
        if (!is_better) {
            int order = compare_choices(
                &choice, MG_ITEMS(mg_choice, &f->best) + f->trial.count);
            if (order > 0) {
                return 0;
            }
            is_better = order < 0;
        }
        if (f->trial.count == f->trial.capacity &&
            mg_vector_grow(&f->trial, sizeof(mg_choice)) < 0) {
            return -1;
        }
        MG_ITEMS(mg_choice, &f->trial)[f->trial.count++] = choice;
    }
    return is_better;
}

static int
add_step(mg_vector *steps, uint32_t position, int in_namespace, mg_label label)
{
    if (steps->count == steps->capacity &&
        mg_vector_grow(steps, sizeof(mg_step)) < 0) {
        return -1;
    }
    MG_ITEMS(mg_step, steps)[steps->count++] = (mg_step){position, in_namespace, label};
    return 0;
}

/* The steps of the trial, found from the last to the first. */
static int
write_steps(finder *f, mg_vector *steps)
{
    steps->count = 0;
    uint32_t node = f->start;
    for (size_t i = f->trial.count; i-- > 0;) {
        mg_label label = MG_ITEMS(mg_choice, &f->trial)[i].label;
        uint32_t via = f->via[node];
        uint32_t from = f->previous[node];
        if (via != NOWHERE) {
            mg_label into = mg_label_of(f->members[from], f->members[via]);
            if (add_step(steps, via, 1, label) < 0 ||
                add_step(steps, from, 0, into) < 0) {
                return -1;
            }
        }
        else if (add_step(steps, from, 0, label) < 0) {
            return -1;
        }
        node = from;
    }
    mg_step *items = MG_ITEMS(mg_step, steps);
    for (size_t i = 0, j = steps->count; i + 1 < j; i++) {
        mg_step kept = items[i];
        items[i] = items[--j];
        items[j] = kept;
    }
    return 0;
}

/* Whether a start refers to one node and is referred to by one, and both are
   those of the best start: children of one parent.  Its loops are then those of
   the best, but for the labels of the first and the last step. */
static int
is_twin_of_best(const finder *f, uint32_t start)
{
    uint32_t best = f->best_start;
    if (best == NOWHERE || f->best_length < 2 ||
        f->came_start[start + 1] - f->came_start[start] != 1 ||
        f->edge_start[start + 1] - f->edge_start[start] != 1 ||
        f->came_start[best + 1] - f->came_start[best] != 1 ||
        f->edge_start[best + 1] - f->edge_start[best] != 1) {
        return 0;
    }
    uint32_t before = f->came_from[f->came_start[start]];
    uint32_t after = target_at(f, f->edge_start[start]);
    return before == f->came_from[f->came_start[best]] &&
           after == target_at(f, f->edge_start[best]) &&
           Py_TYPE(f->members[start]) == Py_TYPE(f->members[best]) &&
           !PyDict_CheckExact(f->members[before]) && !PyDict_CheckExact(f->members[after]);
}

static void
try_twin(finder *f, uint32_t start, mg_vector *steps)
{
    PyObject *member = f->members[start];
    PyObject *before = f->members[f->came_from[f->came_start[start]]];
    PyObject *after = f->members[target_at(f, f->edge_start[start])];
    mg_choice *best = MG_ITEMS(mg_choice, &f->best);
    mg_choice *last = best + f->best_length - 1;
    mg_label first_label = mg_label_of(member, after);
    int order = mg_compare_labels(&first_label, &best->label);
    if (order > 0) {
        return;
    }
    f->work += items_in(before);
    mg_label last_label = mg_label_of(before, member);
    if (order == 0 && mg_compare_labels(&last_label, &last->label) >= 0) {
        return;
    }
    mg_step *items = MG_ITEMS(mg_step, steps);
    items[0].position = f->best_start = start;
    items[0].label = best->label = first_label;
    items[steps->count - 1].label = last->label = last_label;
}

static int
try_start(finder *f, uint32_t start, mg_vector *steps)
{
    if (is_twin_of_best(f, start)) {
        try_twin(f, start, steps);
        return 0;
    }
    f->start = start;
    uint32_t length = measure(f);
    int is_better = length == NOWHERE ? 0 : compare_with_best(f, length);
    int result = is_better < 0 ? -1 : 0;
    if (is_better > 0) {
        result = write_steps(f, steps);
        mg_vector kept = f->best;
        f->best = f->trial;
        f->trial = kept;
        f->best_length = length;
        f->best_start = start;
    }
    forget_distances(f);
    return result;
}

/* One start of each kind, by how many references come and go, before others. */
static int
try_kinds(finder *f, const uint32_t *starts, size_t count, mg_vector *steps)
{
    uint64_t kinds[MOST_KINDS];
    size_t kind_count = 0;
    for (size_t i = 0; i < count && kind_count < MOST_KINDS &&
                       (f->work < MOST_COMPARED || steps->count == 0); i++) {
        uint32_t s = starts[i];
        uint64_t kind = (f->edge_start[s + 1] - f->edge_start[s]) << 32 |
                        (f->came_start[s + 1] - f->came_start[s]);
        size_t k = 0;
        while (k < kind_count && kinds[k] != kind) {
            k++;
        }
        if (k == kind_count) {
            kinds[kind_count++] = kind;
            if (try_start(f, s, steps) < 0) {
                return -1;
            }
        }
    }
    return 0;
}

static int
try_starts(finder *f, const uint32_t *starts, size_t count, mg_vector *steps)
{
    uint64_t edge_count = f->edge_start[f->size] - f->edge_start[0];
    if (count * edge_count > MOST_WORK && try_kinds(f, starts, count, steps) < 0) {
        return -1;
    }
    /* From the last, which is more often a child than a parent, to the first. */
    while (count-- > 0 && (f->work < MOST_WORK || steps->count == 0)) {
        if (try_start(f, starts[count], steps) < 0) {
            return -1;
        }
    }
    return 0;
}

/* Note for each node where references to it come from. */
static void
turn_around(finder *f)
{
    uint64_t first = f->edge_start[0];
    uint64_t end = f->edge_start[f->size];
    memset(f->came_start, 0, (f->size + 1) * sizeof(uint32_t));
    for (uint64_t e = first; e < end; e++) {
        f->came_start[target_at(f, e) + 1]++;
    }
    for (uint32_t i = 0; i < f->size; i++) {
        f->came_start[i + 1] += f->came_start[i];
    }
    for (uint32_t i = f->size; i-- > 0;) {
        for (uint64_t e = f->edge_start[i]; e < f->edge_start[i + 1]; e++) {
            f->came_from[--f->came_start[target_at(f, e) + 1]] = i;
        }
    }
    /* Filled from its end, the row of a node now begins where the entry after
       its own says. */
    memmove(f->came_start, f->came_start + 1, f->size * sizeof(uint32_t));
    f->came_start[f->size] = (uint32_t)(end - first);
}

int
mg_find_loop(const mg_answer *answer, size_t cycle, PyTypeObject *type,
             const uint32_t *starts, size_t start_count, mg_vector *steps)
{
    const uint32_t *cycle_start = MG_ITEMS(uint32_t, &answer->cycle_start) + cycle;
    uint32_t size = cycle_start[1] - cycle_start[0];
    finder f = {
        .members = MG_ITEMS(PyObject *, &answer->members) + cycle_start[0],
        .edge_start = MG_ITEMS(uint64_t, &answer->edge_start) + cycle_start[0],
        .edge_target = MG_ITEMS(uint32_t, &answer->edge_target),
        .first = cycle_start[0],
        .size = size,
        .best_start = NOWHERE,
        .best_length = NOWHERE,
    };
    uint64_t edge_count = f.edge_start[size] - f.edge_start[0];
    size_t words = 8 * (size_t)size + 3 + edge_count;
    uint32_t *table = mg_allocate(words * sizeof(uint32_t));
    if (table == NULL) {
        return -1;
    }
    f.distance = table;
    f.previous = f.distance + size;
    f.via = f.previous + size;
    f.queue = f.via + size;
    f.frontier = f.queue + size;
    f.next = f.frontier + size + 1;
    uint32_t *all = f.next + size + 1;
    f.came_start = all + size;
    f.came_from = f.came_start + size + 1;
    memset(f.distance, 0xFF, 2 * (size_t)size * sizeof(uint32_t));
    turn_around(&f);
    if (type != NULL) {
        start_count = 0;
        for (uint32_t i = 0; i < size; i++) {
            if (Py_IS_TYPE(f.members[i], type)) {
                all[start_count++] = i;
            }
        }
        starts = all;
    }
    int result = try_starts(&f, starts, start_count, steps);
    mg_vector_clear(&f.best, sizeof(mg_choice));
    mg_vector_clear(&f.trial, sizeof(mg_choice));
    mg_release(table, words * sizeof(uint32_t));
    return result;
}
