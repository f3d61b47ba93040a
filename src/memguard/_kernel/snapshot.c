#include "labels.h"
#include "snapshot.h"
#include "threads.h"

#include <string.h>

void
mg_seen_types_clear(mg_seen_types *seen)
{
    mg_vector_clear(&seen->types, sizeof(mg_seen_type));
    mg_vector_clear(&seen->texts, 1);
    mg_vector_clear(&seen->member_types, sizeof(uint32_t));
}

/* The head of the answer, in words of 64 bits. */
enum {
    RESULT,                 /* of the scan: 0, or -1 */
    STOPPED,
    OBJECT_COUNT,
    EDGE_COUNT,
    SUSPECT_COUNT,
    UNREACHABLE_COUNT,
    SIDE_TABLE_BYTES,
    DURATION_NANOSECONDS,
    PRIVATE_BYTES,
    TYPE_COUNT,
    TEXT_BYTES,
    UNREACHABLE_TYPE_COUNT,
    MEMBER_COUNT,
    CYCLE_COUNT,
    REFERENCE_COUNT,        /* among members */
    SHAPE_COUNT,
    HEADER_WORDS
};

_Static_assert(HEADER_WORDS == sizeof(((mg_snapshot *)0)->header) / sizeof(uint64_t),
               "the header of a snapshot has another size than what is sent");

/* Where the arrays of an answer lie, in the order in which they are sent.  All but
   the first are empty until a header says how long they are. */
static void
lay_out_sections(mg_section sections[MG_SECTIONS], uint64_t *header,
                 const mg_answer *answer, const mg_seen_types *seen)
{
    uint64_t members = header[MEMBER_COUNT];
    uint64_t cycles = header[CYCLE_COUNT];
    mg_section laid_out[MG_SECTIONS] = {
        {header, HEADER_WORDS * sizeof(*header)},
        {seen->types.items, header[TYPE_COUNT] * sizeof(mg_seen_type)},
        {seen->texts.items, header[TEXT_BYTES]},
        {seen->member_types.items, members * sizeof(uint32_t)},
        {answer->type_counts.items,
         header[UNREACHABLE_TYPE_COUNT] * sizeof(mg_type_count)},
        {answer->members.items, members * sizeof(void *)},
        {answer->cycle_start.items, (cycles + 1) * sizeof(uint32_t)},
        {answer->edge_start.items, (members + 1) * sizeof(uint64_t)},
        {answer->edge_target.items, header[REFERENCE_COUNT] * sizeof(uint32_t)},
        {answer->cycles, cycles * sizeof(mg_cycle)},
        {answer->shapes, header[SHAPE_COUNT] * sizeof(mg_shape)},
    };
    memcpy(sections, laid_out, sizeof(laid_out));
}

/* ------------------------------------------------------------------------
   In the child. */

static int
add_text(mg_vector *texts, const void *text, size_t bytes)
{
    if (mg_vector_make_room(texts, bytes, 1) < 0) {
        return -1;
    }
    if (bytes != 0) {
        memcpy(MG_ITEMS(char, texts) + texts->count, text, bytes);
    }
    texts->count += bytes;
    return 0;
}

static int
add_string(mg_vector *texts, PyObject *text, uint32_t *bytes, uint8_t *kind)
{
    *bytes = 0;
    *kind = 0;
    if (text == NULL || !PyUnicode_Check(text) || !PyUnicode_IS_READY(text)) {
        return 0;
    }
    *kind = (uint8_t)PyUnicode_KIND(text);
    *bytes = (uint32_t)(PyUnicode_GET_LENGTH(text) * PyUnicode_KIND(text));
    return add_text(texts, PyUnicode_DATA(text), *bytes);
}

int
mg_describe_type(mg_seen_types *seen, PyTypeObject *type)
{
    mg_type_words words = mg_words_of_type(type);
    mg_seen_type entry = {.type = type, .name_bytes = (uint32_t)strlen(words.name)};
    if (add_string(&seen->texts, words.module, &entry.module_bytes,
                   &entry.module_kind) < 0 ||
        add_string(&seen->texts, words.qualname, &entry.qualname_bytes,
                   &entry.qualname_kind) < 0 ||
        add_text(&seen->texts, words.name, entry.name_bytes) < 0 ||
        (seen->types.count == seen->types.capacity &&
         mg_vector_grow(&seen->types, sizeof(entry)) < 0)) {
        return -1;
    }
    MG_ITEMS(mg_seen_type, &seen->types)[seen->types.count++] = entry;
    return 0;
}

static int
describe_types(mg_seen_types *seen, const mg_answer *answer)
{
    mg_pointer_index types = {0};
    const mg_type_count *unreachable = MG_ITEMS(mg_type_count, &answer->type_counts);
    for (size_t i = 0; i < answer->type_counts.count; i++) {
        if (mg_pointer_number(&types, unreachable[i].type) == MG_NO_NUMBER) {
            return -1;
        }
    }
    for (size_t p = 0; p < answer->members.count; p++) {
        PyObject *member = MG_ITEMS(PyObject *, &answer->members)[p];
        uint32_t number = mg_pointer_number(&types, Py_TYPE(member));
        if (number == MG_NO_NUMBER || mg_push_u32(&seen->member_types, number) < 0) {
            return -1;
        }
    }
    for (size_t i = 0; i < types.pointers.count; i++) {
        if (mg_describe_type(seen, MG_ITEMS(void *, &types.pointers)[i]) < 0) {
            return -1;
        }
    }
    return 0;
}

static int
scan_here(mg_state *state, mg_seen_types *seen)
{
    mg_answer *answer = state->answer;
    mg_request request = *state->request;
    request.roots = NULL;
    request.root_count = 0;
    request.root_holders[0] = request.root_holders[1] = NULL;
    if (mg_scan_end(state, mg_scan_go_on(state)) < 0 || mg_weigh(&request, answer) < 0 ||
        (answer->edge_start.count == 0 && mg_push_u64(&answer->edge_start, 0) < 0)) {
        return -1;
    }
    return describe_types(seen, answer);
}

static void
answer_from_here(int pipe, void *argument)
{
    mg_state *state = argument;
    mg_answer *answer = state->answer;
    mg_seen_types seen = {0};
    uint64_t header[HEADER_WORDS] = {0};
    mg_section sections[MG_SECTIONS];
    state->thread_count = mg_forced_thread_count = 1;
    int result = scan_here(state, &seen);
    header[RESULT] = (uint64_t)(int64_t)result;
    if (result == 0) {
        header[STOPPED] = (uint64_t)answer->stopped;
        header[OBJECT_COUNT] = answer->object_count;
        header[EDGE_COUNT] = answer->edge_count;
        header[SUSPECT_COUNT] = answer->suspect_count;
        header[UNREACHABLE_COUNT] = answer->unreachable_count;
        header[SIDE_TABLE_BYTES] = answer->side_table_bytes;
        header[DURATION_NANOSECONDS] = (uint64_t)(answer->duration_seconds * 1e9);
        header[PRIVATE_BYTES] = mg_child_private_bytes();
        header[TYPE_COUNT] = seen.types.count;
        header[TEXT_BYTES] = seen.texts.count;
        header[UNREACHABLE_TYPE_COUNT] = answer->type_counts.count;
        header[MEMBER_COUNT] = answer->members.count;
        header[CYCLE_COUNT] = answer->cycle_count;
        header[REFERENCE_COUNT] = answer->edge_target.count;
        header[SHAPE_COUNT] = answer->shape_count;
    }
    lay_out_sections(sections, header, answer, &seen);
    mg_child_send(pipe, sections, result == 0 ? MG_SECTIONS : 1);
}

/* ------------------------------------------------------------------------
   In the process that is scanned. */

int
mg_snapshot_begin(mg_snapshot *snapshot, const mg_request *request)
{
    mg_state state;
    mg_answer answer;
    memset(snapshot, 0, sizeof(*snapshot));
    snapshot->child.pipe = -1;
    int result = mg_scan_begin(&state, request, &answer);
    double started_seconds = state.started_seconds;
    if (result == 0) {
        result = mg_child_fork(&snapshot->child, answer_from_here, &state);
    }
    (void)mg_scan_end(&state, -1);
    snapshot->pause_seconds = request->clock_seconds() - started_seconds;
    snapshot->child.sections[0] = (mg_section){snapshot->header, sizeof(snapshot->header)};
    snapshot->child.section_count = MG_SECTIONS;
    return result;
}

/* Make room for all that the header announces. */
static int
reserve_sections(mg_snapshot *snapshot, mg_answer *answer, mg_seen_types *seen)
{
    uint64_t *header = snapshot->header;
    size_t cycle_bytes = header[CYCLE_COUNT] * sizeof(mg_cycle);
    size_t shape_bytes = header[SHAPE_COUNT] * sizeof(mg_shape);
    if (mg_child_reserve(&seen->types, header[TYPE_COUNT], sizeof(mg_seen_type)) < 0 ||
        mg_child_reserve(&seen->texts, header[TEXT_BYTES], 1) < 0 ||
        mg_child_reserve(&seen->member_types, header[MEMBER_COUNT], sizeof(uint32_t)) < 0 ||
        mg_child_reserve(&answer->type_counts, header[UNREACHABLE_TYPE_COUNT],
                sizeof(mg_type_count)) < 0 ||
        mg_child_reserve(&answer->members, header[MEMBER_COUNT], sizeof(void *)) < 0 ||
        mg_child_reserve(&answer->cycle_start, header[CYCLE_COUNT] + 1, sizeof(uint32_t)) < 0 ||
        mg_child_reserve(&answer->edge_start, header[MEMBER_COUNT] + 1, sizeof(uint64_t)) < 0 ||
        mg_child_reserve(&answer->edge_target, header[REFERENCE_COUNT], sizeof(uint32_t)) < 0) {
        return -1;
    }
    answer->cycles = mg_allocate(cycle_bytes);
    answer->cycle_count = answer->cycles != NULL ? header[CYCLE_COUNT] : 0;
    answer->shapes = mg_allocate(shape_bytes);
    answer->shape_count = answer->shapes != NULL ? header[SHAPE_COUNT] : 0;
    if (answer->cycles == NULL || answer->shapes == NULL) {
        return -1;
    }
    answer->stopped = (int)header[STOPPED];
    answer->object_count = header[OBJECT_COUNT];
    answer->edge_count = header[EDGE_COUNT];
    answer->suspect_count = header[SUSPECT_COUNT];
    answer->unreachable_count = header[UNREACHABLE_COUNT];
    answer->side_table_bytes = header[SIDE_TABLE_BYTES];
    answer->duration_seconds = (double)header[DURATION_NANOSECONDS] * 1e-9;
    snapshot->private_bytes = header[PRIVATE_BYTES];
    lay_out_sections(snapshot->child.sections, header, answer, seen);
    return 0;
}

typedef struct {
    mg_snapshot *snapshot;
    mg_answer *answer;
    mg_seen_types *seen;
} reception;

static mg_child_state
read_head(void *argument)
{
    const reception *r = argument;
    if ((int64_t)r->snapshot->header[RESULT] < 0) {
        return MG_CHILD_HAD_NO_MEMORY;
    }
    return reserve_sections(r->snapshot, r->answer, r->seen) < 0 ? MG_NO_MEMORY_FOR_ANSWER
                                                                 : MG_CHILD_RUNS;
}

mg_child_state
mg_snapshot_receive(mg_snapshot *snapshot, mg_answer *answer, mg_seen_types *seen,
                    int timeout_milliseconds)
{
    reception r = {snapshot, answer, seen};
    return mg_child_receive(&snapshot->child, read_head, &r, timeout_milliseconds);
}
