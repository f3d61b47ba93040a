/* References among numbered nodes: compressed sparse rows.
 *
 * Nodes are numbered by address.  They are divided into blocks of equal size,
 * so that several threads can record them at a time; the references of the
 * nodes of a block lie in one array, node by node.  But most nodes have few,
 * which then stand beside the link: a search waits for memory once for such a
 * node, not twice.
 */
#ifndef MG_ROWS_H
#define MG_ROWS_H

#include "scan.h"
#include "threads.h"

#define MG_BLOCK_SHIFT 15
#define MG_BLOCK_NODES (UINT32_C(1) << MG_BLOCK_SHIFT)
#define MG_MOST_NODES ((UINT32_C(1) << 29) - 2)

#define MG_MOST_NEAR 3

typedef struct {
    uint32_t link;              /* see below */
    uint32_t near[MG_MOST_NEAR];    /* references, and MG_NO_NODE for the rest; or
                                       MG_FAR, and of those in the array of the
                                       block the first and the end */
} mg_row;

#define MG_NO_NODE UINT32_MAX
#define MG_FAR (UINT32_MAX - 1)

/* The link of a node.  While components are searched: MG_NEW, or MG_CUT for a
   node that is cut, until it is reached; then an index; at last MG_DONE, or for a
   member of a cycle its place in the answer from MG_PLACED on. */
#define MG_NEW UINT32_C(0)
#define MG_CUT (UINT32_C(1) << 31)
#define MG_PLACED (UINT32_C(7) << 29)
#define MG_DONE UINT32_MAX

static inline int
mg_is_done(uint32_t link)
{
    return link >= MG_PLACED;
}

typedef struct {
    const uint32_t *edges;
    size_t first;               /* of its edges among those of the thread */
    size_t thread;              /* that recorded it */
} mg_block;

typedef struct {
    size_t count;
    uint32_t *handles;
    mg_row *rows;
    mg_block *blocks;
    mg_vector edges[MG_MOST_THREADS];   /* uint32_t, by who recorded them:
                                           numbers of the targets */
    mg_vector own_type_edges;   /* uint32_t, source and target: those that are
                                   cut, and stand in no block */
} mg_rows;

/* The references of a node: items[first] to items[end - 1]. */
typedef struct {
    const uint32_t *items;
    uint32_t first;
    uint32_t end;
} mg_span;

static inline mg_span
mg_references_of(const mg_rows *rows, uint32_t node)
{
    const uint32_t *near = rows->rows[node].near;
    if (near[0] == MG_FAR) {
        return (mg_span){rows->blocks[node >> MG_BLOCK_SHIFT].edges, near[1], near[2]};
    }
    return (mg_span){near, 0, (uint32_t)(near[0] != MG_NO_NODE) +
                                  (near[1] != MG_NO_NODE) + (near[2] != MG_NO_NODE)};
}

static inline PyObject *
mg_object_at(const mg_state *state, const mg_rows *rows, uint32_t node)
{
    return mg_object_of(&state->map, rows->handles[node]);
}

/* Of what is no node: MG_NO_NODE. */
static inline uint32_t
mg_node_of(const mg_state *state, const void *object)
{
    const mg_map *map = &state->map;
    if (object == NULL || !mg_may_be_node(object)) {
        return MG_NO_NODE;
    }
    uint32_t handle = mg_find(map, object);
    return mg_is_open(map, handle) ? mg_number_of(map, handle) : MG_NO_NODE;
}

/* Sets of nodes, a bit for each. */
static inline size_t
mg_bit_bytes(const mg_rows *rows)
{
    return ((rows->count + 63) >> 6) * sizeof(uint64_t);
}

#define MG_IS_SET(bits, node) (((bits)[(node) >> 6] & MG_BIT(node)) != 0)
#define MG_SET(bits, node) ((bits)[(node) >> 6] |= MG_BIT(node))

/* Number the open nodes and record the references among them.  0, or -1: no
   memory; to be cleared in both cases. */
int mg_rows_record(mg_rows *rows, mg_state *state);
void mg_rows_clear(mg_rows *rows);

/* ------------------------------------------------------------------------
   Strongly connected components of rows: components.c. */

typedef struct {
    uint32_t node;              /* with flags */
    uint32_t next_edge;
} mg_visit;

typedef struct {
    mg_state *state;
    mg_rows *rows;
    mg_visit *path;              /* one for each node; what is entered stands at
                                   the end of the same array */
    size_t depth;
    size_t entered_first;       /* the last one that was put there */
    size_t deep;                /* for a path: to be looked at once it is so long */
    uint32_t next_index;
    mg_vector starts;           /* uint32_t: still to be searched from */
    mg_vector members;          /* uint32_t: nodes of the component that ended last,
                                   if the answer is to be described */
} mg_search;

#define MG_NODE_MASK ((UINT32_C(1) << 30) - 1)
#define MG_MEMBER (MG_DONE - 1) /* a link for the moment: of the component that ends */

/* All return 0, or -1: no memory.  Cycles go to the answer, and so do the
   references inside if it is to be described. */
int mg_search_begin(mg_search *search, mg_state *state, mg_rows *rows);
/* What a node reaches, also through nodes that are cut. */
int mg_search_from(mg_search *search, uint32_t node);
/* What has not been reached yet. */
int mg_search_rest(mg_search *search);
void mg_search_end(mg_search *search);
/* A node to be searched from in the end; a cut one only once. */
int mg_search_later(mg_search *search, uint32_t node);
/* All that is marked as a member, as one component. */
int mg_search_add_marked(mg_search *search, size_t count);

/* The component of the end of the path, if that is long and looks as if a search
   in depth were slow: then 1, and the search is where it began.  0: nothing was
   done; -1: no memory.  tangle.c. */
int mg_search_take_tangle(mg_search *search);

/* Trial deletion over the nodes that the search has not reached: garbage.c. */
int mg_judge_rest(mg_search *search);

#endif
