#include "census_snapshot.h"

#include <string.h>

/* The head of the answer, in words of 64 bits. */
enum {
    RESULT,                 /* of the pass: 0, or -1 */
    FLOOR,
    PASS_COUNT,
    OBJECT_COUNT,
    DURATION_NANOSECONDS,
    SLOT_COUNT,
    CONTAINER_COUNT,
    CHANGE_COUNT,
    POPULATION_COUNT,       /* and of seen types */
    TEXT_BYTES,
    HEADER_WORDS
};

_Static_assert(HEADER_WORDS ==
                   sizeof(((mg_census_snapshot *)0)->header) / sizeof(uint64_t),
               "the header of a census has another size than what is sent");

#define SECTIONS 6

/* The table is sent as it is, empty slots included: to fill one anew takes longer. */
static void
lay_out_sections(mg_section sections[SECTIONS], uint64_t *header, const mg_census *census,
                 const mg_seen_types *seen)
{
    mg_section laid_out[SECTIONS] = {
        {header, HEADER_WORDS * sizeof(*header)},
        {census->table.slots, header[SLOT_COUNT] * sizeof(mg_counted)},
        {census->changes.items, header[CHANGE_COUNT] * sizeof(mg_change)},
        {census->populations.items, header[POPULATION_COUNT] * sizeof(mg_population)},
        {seen->types.items, header[POPULATION_COUNT] * sizeof(mg_seen_type)},
        {seen->texts.items, header[TEXT_BYTES]},
    };
    memcpy(sections, laid_out, sizeof(laid_out));
}

/* ------------------------------------------------------------------------
   In the child. */

typedef struct {
    mg_census census;           /* of the pass before */
    mg_census_request request;
} counting;

static int
count_here(counting *c, mg_seen_types *seen)
{
    if (mg_census_take(&c->census, &c->request) < 0) {
        return -1;
    }
    const mg_population *populations = MG_ITEMS(mg_population, &c->census.populations);
    for (size_t i = 0; i < c->census.populations.count; i++) {
        if (mg_describe_type(seen, populations[i].type) < 0) {
            return -1;
        }
    }
    return 0;
}

static void
answer_from_here(int pipe, void *argument)
{
    counting *c = argument;
    const mg_census *census = &c->census;
    mg_seen_types seen = {0};
    uint64_t header[HEADER_WORDS] = {0};
    mg_section sections[SECTIONS];
    int result = count_here(c, &seen);
    header[RESULT] = (uint64_t)(int64_t)result;
    if (result == 0) {
        header[FLOOR] = census->floor;
        header[PASS_COUNT] = census->pass_count;
        header[OBJECT_COUNT] = census->object_count;
        header[DURATION_NANOSECONDS] = (uint64_t)(census->duration_seconds * 1e9);
        header[SLOT_COUNT] = census->table.slot_count;
        header[CONTAINER_COUNT] = census->table.count;
        header[CHANGE_COUNT] = census->changes.count;
        header[POPULATION_COUNT] = census->populations.count;
        header[TEXT_BYTES] = seen.texts.count;
    }
    lay_out_sections(sections, header, census, &seen);
    mg_child_send(pipe, sections, result == 0 ? SECTIONS : 1);
}

/* ------------------------------------------------------------------------
   In the process that is looked at. */

int
mg_census_snapshot_begin(mg_census_snapshot *snapshot, const mg_census *census,
                         const mg_census_request *request)
{
    double started_seconds = mg_monotonic_seconds();
    mg_census_noted noted = {0};
    counting c = {*census, *request};
    c.request.noted = &noted;
    memset(snapshot, 0, sizeof(*snapshot));
    snapshot->child.pipe = -1;
    int result = mg_census_note(&noted);
    if (result == 0) {
        result = mg_child_fork(&snapshot->child, answer_from_here, &c);
    }
    mg_census_noted_clear(&noted);
    snapshot->child.sections[0] = (mg_section){snapshot->header, sizeof(snapshot->header)};
    snapshot->child.section_count = SECTIONS;
    snapshot->pause_seconds = mg_monotonic_seconds() - started_seconds;
    return result;
}

/* Make room for all that the header announces. */
static int
reserve_sections(mg_census_snapshot *snapshot, mg_census *found, mg_seen_types *seen)
{
    uint64_t *header = snapshot->header;
    uint64_t type_count = header[POPULATION_COUNT];
    found->table.slots = mg_allocate(header[SLOT_COUNT] * sizeof(mg_counted));
    if (found->table.slots == NULL) {
        return -1;
    }
    found->table.slot_count = header[SLOT_COUNT];
    found->table.count = header[CONTAINER_COUNT];
    if (mg_child_reserve(&found->changes, header[CHANGE_COUNT], sizeof(mg_change)) < 0 ||
        mg_child_reserve(&found->populations, type_count, sizeof(mg_population)) < 0 ||
        mg_child_reserve(&seen->types, type_count, sizeof(mg_seen_type)) < 0 ||
        mg_child_reserve(&seen->texts, header[TEXT_BYTES], 1) < 0) {
        return -1;
    }
    found->floor = header[FLOOR];
    found->pass_count = header[PASS_COUNT];
    found->object_count = header[OBJECT_COUNT];
    found->duration_seconds = (double)header[DURATION_NANOSECONDS] * 1e-9;
    lay_out_sections(snapshot->child.sections, header, found, seen);
    return 0;
}

typedef struct {
    mg_census_snapshot *snapshot;
    mg_census *found;
    mg_seen_types *seen;
} reception;

static mg_child_state
read_head(void *argument)
{
    const reception *r = argument;
    if ((int64_t)r->snapshot->header[RESULT] < 0) {
        return MG_CHILD_HAD_NO_MEMORY;
    }
    return reserve_sections(r->snapshot, r->found, r->seen) < 0 ? MG_NO_MEMORY_FOR_ANSWER
                                                                : MG_CHILD_RUNS;
}

mg_child_state
mg_census_snapshot_receive(mg_census_snapshot *snapshot, mg_census *found,
                           mg_seen_types *seen, int timeout_milliseconds)
{
    reception r = {snapshot, found, seen};
    return mg_child_receive(&snapshot->child, read_head, &r, timeout_milliseconds);
}
