/* What cycles have in common that are alike, as a number.
 *
 * The signature of a cycle is invariant under renaming its members: colour
 * refinement (Weisfeiler-Leman) over the references inside, up to ROUNDS
 * rounds, fewer once a round tells no more members apart.  Colours start from
 * the types, of classes and of what has code from their names, and of what has
 * attributes, variables or keys from the names of those that refer to members:
 * two attributes of one class are two leaks.  Cycles with the same signature have
 * the same size, the same types and, up to that refinement, the same structure.
 */
#include "labels.h"
#include "scan.h"
#include "threads.h"

#include <string.h>

#define ROUNDS 12
#define KNOWN 256               /* signatures that are kept, a power of two */
#define WAYS 4                  /* places where one may be, a power of two */
#define MOST_REMEMBERED 64      /* members of cycles whose signatures are kept */
#define SLICE 1024              /* cycles for one thread at a time */
#define FEWEST_COUNTED 4        /* members whose colours are told apart */
#define MOST_COUNTED 4096
#define MOST_ENTRIES 64         /* of a container that is looked through for names */

static uint64_t
mix(uint64_t value)
{
    value = (value ^ value >> 32) * 0xff51afd7ed558ccdu;
    return value ^ value >> 29;
}

/* The signature of cycles that are alike member by member. */
typedef struct {
    uint64_t likeness;          /* 0: none */
    uint64_t signature;
} known_signature;

typedef struct {
    PyObject *const *members;
    size_t member_count;
    const uint64_t *edge_start;
    const uint32_t *edge_target;
    uint64_t *colour;           /* by place in the cycle */
    uint64_t *next;
    uint64_t *seen;             /* a table of colours, see count_colours */
    size_t seen_capacity;
    known_signature *known;     /* KNOWN of them, by likeness */
} painter;

static void
repaint(painter *p, uint32_t first, uint32_t count)
{
    memset(p->next, 0, count * sizeof(*p->next));
    for (uint32_t i = 0; i < count; i++) {
        for (uint64_t e = p->edge_start[first + i];
             e < p->edge_start[first + i + 1]; e++) {
            uint32_t target = p->edge_target[e] - first;
            p->next[i] += mix(p->colour[target] ^ 0x5851f42d4c957f2du);
            p->next[target] += mix(p->colour[i] ^ 0x14057b7ef767814fu);
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        p->colour[i] = mix(p->colour[i] + mix(p->next[i]));
    }
}

/* Strings are equal by what they spell: code and classes that each call makes
   anew have names of their own that read the same. */
static uint64_t
mix_text(uint64_t colour, PyObject *text)
{
    if (text == NULL || !PyUnicode_Check(text) || !PyUnicode_IS_READY(text)) {
        return colour;
    }
    const unsigned char *bytes = PyUnicode_DATA(text);
    Py_ssize_t count = PyUnicode_GET_LENGTH(text) * PyUnicode_KIND(text);
    for (Py_ssize_t i = 0; i < count; i++) {
        colour = (colour ^ bytes[i]) * 0x100000001b3u;
    }
    return mix(colour);
}

/* The type, and of classes and what has code the name and the line: cycles of
   two functions that each keep their own exception are two leaks. */
static uint64_t
first_colour(PyObject *member)
{
    uint64_t colour = mix((uint64_t)(uintptr_t)Py_TYPE(member));
    const PyCodeObject *code = mg_code_of(member);
    if (code != NULL) {
        colour = mix_text(mix(colour ^ mix((uint64_t)code->co_firstlineno)),
                          code->co_qualname);
    }
    else if (PyType_Check(member) &&
             PyType_HasFeature((PyTypeObject *)member, Py_TPFLAGS_HEAPTYPE)) {
        colour = mix_text(colour, ((PyHeapTypeObject *)member)->ht_qualname);
    }
    return colour;
}

static int
is_small_dict(PyObject *object)
{
    return PyDict_CheckExact(object) &&
           mg_dict_entry_count(object) <= MOST_ENTRIES;
}

/* Each reference from there would be looked for among all items. */
static int
is_large_container(PyObject *object)
{
    return mg_is_container(object) &&
           (PyDict_Check(object) ? mg_dict_entry_count(object) > MOST_ENTRIES
            : mg_is_set(object) ? ((PySetObject *)object)->mask > 4 * MOST_ENTRIES
            : Py_SIZE(object) > MOST_ENTRIES);
}

static int
has_names(PyObject *member)
{
    PyTypeObject *type = Py_TYPE(member);
    return PyType_HasFeature(type, Py_TPFLAGS_HEAPTYPE)
        ? !PyType_Check(member)
        : is_small_dict(member) || PyFunction_Check(member) || PyFrame_Check(member) ||
              PyGen_CheckExact(member) || PyCoro_CheckExact(member) ||
              PyAsyncGen_CheckExact(member) || PyExceptionInstance_Check(member);
}

static uint64_t
mix_label(const mg_label *label)
{
    uint64_t colour = mix(label->kind);
    if (label->kind == MG_KEYED) {
        return mix(colour ^ (uintptr_t)Py_TYPE(label->text));
    }
    if (label->kind != MG_ATTRIBUTE && label->kind != MG_VARIABLE) {
        return label->kind == MG_KEY ? colour : 0;
    }
    if (label->text != NULL) {
        /* Keys of dicts and names in code have been hashed. */
        Py_hash_t hash = PyUnicode_CheckExact(label->text)
            ? ((PyASCIIObject *)label->text)->hash : -1;
        return hash != -1 ? mix(colour ^ (uint64_t)hash) : mix_text(colour, label->text);
    }
    for (const char *c = label->field; *c != 0; c++) {
        colour = (colour ^ (unsigned char)*c) * 0x100000001b3u;
    }
    return mix(colour);
}

static inline uint64_t
stir(uint64_t likeness, uintptr_t value)
{
    likeness = (likeness ^ value) * 0x9fb21c651e98df25u;
    return likeness ^ likeness >> 35;
}

/* Several values at once: one link of the chain is what takes time. */
static inline uintptr_t
pair(uintptr_t left, uintptr_t right)
{
    return left * 0x9e3779b97f4a7c15u + right * 0xd1b54a32d192ed03u;
}

/* Strings by their address: two that are spelt alike but are not the same only
   make one more signature necessary. */
static inline uint64_t
stir_label(uint64_t likeness, const mg_label *label)
{
    uintptr_t text = label->kind == MG_KEYED ? (uintptr_t)Py_TYPE(label->text)
        : label->kind != MG_ATTRIBUTE && label->kind != MG_VARIABLE ? 0
        : label->text != NULL ? (uintptr_t)label->text : (uintptr_t)label->field;
    return stir(likeness, pair((uintptr_t)label->kind, text));
}

/* The attributes and variables of a member that refer to members: in any order,
   or stirred in theirs. */
static MG_INLINE uint64_t
names_in(const painter *p, uint32_t first, uint32_t place, uint64_t value,
         const int in_order)
{
    PyObject *member = p->members[first + place];
    int is_large = is_large_container(member);
    for (uint64_t e = p->edge_start[first + place];
         e < p->edge_start[first + place + 1]; e++) {
        uint32_t target = p->edge_target[e];
        PyObject *object = p->members[target];
        if (!mg_is_namespace_of(member, object)) {
            if (is_large) {
                continue;
            }
            mg_label label = mg_label_of(member, object);
            value = in_order ? stir_label(value, &label) : value + mix_label(&label);
            continue;
        }
        for (uint64_t d = p->edge_start[target];
             d < p->edge_start[target + 1] && is_small_dict(object); d++) {
            mg_label label = mg_label_in_namespace(
                object, p->members[p->edge_target[d]]);
            value = in_order ? stir_label(value, &label) : value + mix_label(&label);
        }
    }
    return value;
}

/* How many colours there are, in a table of at least twice as many slots. */
static uint32_t
count_colours(painter *p, uint32_t count)
{
    size_t mask = p->seen_capacity - 1;
    while (mask >= 4 * (size_t)count) {
        mask >>= 1;
    }
    uint32_t colour_count = 0;
    memset(p->seen, 0, (mask + 1) * sizeof(*p->seen));
    for (uint32_t i = 0; i < count; i++) {
        size_t slot = p->colour[i] & mask;
        while (p->seen[slot] != 0 && p->seen[slot] != p->colour[i]) {
            slot = (slot + 1) & mask;
        }
        colour_count += p->seen[slot] == 0;
        p->seen[slot] = p->colour[i];
    }
    return colour_count;
}

static uint64_t
signature_of(painter *p, uint32_t first, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        p->colour[i] = first_colour(p->members[first + i]);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (has_names(p->members[first + i])) {
            p->colour[i] = mix(p->colour[i] + names_in(p, first, i, 0, 0));
        }
    }
    uint32_t rounds = count - 1 < ROUNDS ? count - 1 : ROUNDS;
    uint32_t colour_count = 0;
    while (rounds-- > 0) {
        repaint(p, first, count);
        if (count > FEWEST_COUNTED && count <= MOST_COUNTED) {
            uint32_t before = colour_count;
            colour_count = count_colours(p, count);
            if (colour_count == before) {
                break;      /* and no later round would tell more */
            }
        }
    }
    uint64_t sum = mix(count) + p->edge_start[first + count] - p->edge_start[first];
    for (uint32_t i = 0; i < count; i++) {
        sum += mix(p->colour[i]);
    }
    return mix(mix(sum));
}

/* Of a class itself and of code; instances of classes written in Python have none. */
static inline uintptr_t
identity_of(PyObject *member)
{
    if (PyType_Check(member)) {
        return (uintptr_t)member;
    }
    return PyType_HasFeature(Py_TYPE(member), Py_TPFLAGS_HEAPTYPE)
        ? 0 : (uintptr_t)mg_code_of(member);
}

/* Equal only for cycles whose signatures are equal, too, and cheaper: members
   are taken in their order, as cycles that one piece of code made have it. */
static uint64_t
likeness_of(const painter *p, uint32_t first, uint32_t count)
{
    uint64_t likeness = count;
    for (uint32_t i = 0; i < count; i++) {
        if (first + i + MG_HEADER_AHEAD < p->member_count) {
            mg_prefetch_header(p->members[first + i + MG_HEADER_AHEAD]);
            mg_prefetch_body(p->members[first + i + MG_BODY_AHEAD]);
        }
        PyObject *member = p->members[first + i];
        likeness = stir(likeness, pair((uintptr_t)Py_TYPE(member), identity_of(member)));
        if (has_names(member)) {
            likeness = names_in(p, first, i, likeness, 1);
        }
        for (uint64_t e = p->edge_start[first + i];
             e < p->edge_start[first + i + 1]; e++) {
            likeness = stir(likeness, p->edge_target[e] - first);
        }
    }
    return likeness != 0 ? likeness : 1;
}

/* Only reads structs, as long as that is so of mg_code_of. */
#define LIKENS_TOGETHER MG_FRAME_VARIABLES

typedef struct {
    mg_answer *answer;
    const painter *painter;
    size_t next_slice;
} likening;

/* The likeness of each cycle, where its signature will be; of large ones 0. */
static void
liken_slices(void *argument, size_t thread)
{
    (void)thread;
    likening *l = argument;
    const uint32_t *start = MG_ITEMS(uint32_t, &l->answer->cycle_start);
    size_t cycle;
    while ((cycle = mg_claim(&l->next_slice) * SLICE) < l->answer->cycle_count) {
        size_t left = l->answer->cycle_count - cycle;
        size_t end = cycle + (left < SLICE ? left : SLICE);
        for (; cycle < end; cycle++) {
            uint32_t size = start[cycle + 1] - start[cycle];
            l->answer->cycles[cycle].signature =
                size > MOST_REMEMBERED ? 0 : likeness_of(l->painter, start[cycle], size);
        }
    }
}

static void
liken_cycles(mg_answer *answer, const painter *p)
{
    likening l = {answer, p, 0};
    size_t slices = answer->cycle_count / SLICE;
    size_t most = LIKENS_TOGETHER && slices > 1 ? mg_thread_count() : 1;
    mg_run_together(liken_slices, &l, slices < most ? slices : most);
}

static uint64_t
remembered_signature_of(painter *p, uint64_t likeness, uint32_t first, uint32_t count)
{
    if (likeness == 0) {
        return signature_of(p, first, count);
    }
    known_signature *known = &p->known[likeness >> 20 & (KNOWN - WAYS)];
    for (int way = 0; way < WAYS; way++) {
        if (known[way].likeness == likeness) {
            return known[way].signature;
        }
    }
    known_signature *place = &known[likeness & (WAYS - 1)];
    for (int way = WAYS; way-- > 0;) {
        place = known[way].likeness == 0 ? &known[way] : place;
    }
    *place = (known_signature){likeness, signature_of(p, first, count)};
    return place->signature;
}

int
mg_sign_cycles(mg_answer *answer)
{
    const uint32_t *start = MG_ITEMS(uint32_t, &answer->cycle_start);
    uint32_t largest = 0;
    for (size_t c = 0; c < answer->cycle_count; c++) {
        uint32_t size = start[c + 1] - start[c];
        largest = size > largest ? size : largest;
    }
    size_t bytes = largest * sizeof(uint64_t);
    size_t seen_capacity = 8;
    while (seen_capacity < 2 * (size_t)(largest < MOST_COUNTED ? largest : MOST_COUNTED)) {
        seen_capacity *= 2;
    }
    painter p = {
        .members = MG_ITEMS(PyObject *const, &answer->members),
        .member_count = answer->members.count,
        .edge_start = MG_ITEMS(uint64_t, &answer->edge_start),
        .edge_target = MG_ITEMS(uint32_t, &answer->edge_target),
        .colour = mg_allocate(bytes),
        .next = mg_allocate(bytes),
        .seen = mg_allocate(seen_capacity * sizeof(uint64_t)),
        .seen_capacity = seen_capacity,
        .known = mg_allocate_zeroed(KNOWN * sizeof(*p.known)),
    };
    int has_room = p.colour != NULL && p.next != NULL && p.seen != NULL &&
                   p.known != NULL;
    if (has_room) {
        liken_cycles(answer, &p);
    }
    for (size_t c = 0; c < answer->cycle_count && has_room; c++) {
        uint64_t *signature = &answer->cycles[c].signature;
        *signature = remembered_signature_of(&p, *signature, start[c],
                                             start[c + 1] - start[c]);
    }
    mg_release(p.colour, bytes);
    mg_release(p.next, bytes);
    mg_release(p.seen, seen_capacity * sizeof(uint64_t));
    mg_release(p.known, KNOWN * sizeof(*p.known));
    return has_room ? 0 : -1;
}
