# cython: language_level=3
"""What the kernel declares, for ``_core.pyx``.

Not the C of the kernel: only what is called from Cython, which finds this file
by its name.
"""

from cpython.ref cimport PyObject, PyTypeObject
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t


cdef extern from "_kernel/memory.h":
    struct mg_memory_account:
        size_t current_bytes
        long fail_at
        long allocation_count
    mg_memory_account mg_memory
    ctypedef struct mg_vector:
        void *items
        size_t count
    int mg_push_u32(mg_vector *vector, uint32_t item)
    int mg_push_pointer(mg_vector *vector, void *item)
    int mg_vector_make_room(mg_vector *vector, size_t more, size_t item_bytes)
    void mg_vector_clear(mg_vector *vector, size_t item_bytes)


cdef extern from "_kernel/compat.h":
    const bint MG_FREE_THREADED
    const bint MG_FRAME_ROOTS
    int mg_force_stack_dedupe
    const char *mg_enumeration_name()
    double mg_monotonic_seconds()


cdef extern from "_kernel/threads.h":
    size_t mg_forced_thread_count


cdef extern from "_kernel/build.h":
    const bint MG_OPTIMISED
    const bint MG_SANITIZED
    const bint MG_TRACED
    const bint MG_ASSERTIONS
    const char *MG_COMPILER


cdef extern from "_kernel/scan.h":
    const unsigned MG_CUT_MODULES
    const unsigned MG_CUT_MODULE_DICTS
    const unsigned MG_CUT_TYPES
    const unsigned MG_CUT_INSTANCE_TYPES
    const int MG_GARBAGE
    const int MG_LIVE
    const int MG_STOPPED_BY_OBJECTS
    const int MG_STOPPED_BY_BUDGET

    ctypedef struct mg_holding:
        PyObject *owner
        PyObject **objects
        size_t count
        mg_holding *next

    ctypedef struct mg_request:
        int kind
        int describes
        unsigned cuts
        PyObject **roots
        size_t root_count
        PyObject *root_holders[2]
        size_t max_objects
        double budget_seconds
        double (*clock_seconds)()
        PyObject *name_key
        PyTypeObject *own_type
        const mg_holding *keep

    ctypedef struct mg_cycle:
        uint64_t shallow_bytes
        uint64_t retained_bytes
        uint32_t retained_count
        int64_t outside_references
        uint32_t shape

    ctypedef struct mg_shape:
        uint32_t cycle_count
        uint32_t exemplar
        uint64_t object_count
        uint64_t shallow_bytes
        uint64_t retained_bytes

    ctypedef struct mg_type_count:
        PyTypeObject *type
        size_t count

    int mg_count_types(mg_vector *counts, PyObject **objects, size_t count)

    ctypedef struct mg_answer:
        int stopped
        size_t object_count
        size_t edge_count
        size_t suspect_count
        size_t unreachable_count
        size_t side_table_bytes
        double duration_seconds
        mg_vector type_counts
        mg_vector members
        mg_vector cycle_start
        mg_vector edge_start
        mg_vector edge_target
        mg_cycle *cycles
        size_t cycle_count
        mg_shape *shapes
        size_t shape_count

    int mg_scan(const mg_request *request, mg_answer *answer)
    int mg_weigh(const mg_request *request, mg_answer *answer)
    void mg_answer_clear(mg_answer *answer)
    void mg_hold(mg_holding *holding)
    void mg_let_go(mg_holding *holding)
    void mg_make_holder(PyTypeObject *type)
    void mg_learn_from_class(PyTypeObject *type)


cdef extern from "_kernel/loops.h":
    ctypedef struct mg_label:
        pass

    ctypedef struct mg_step:
        uint32_t position
        bint in_namespace
        mg_label label

    int mg_find_loop(
        const mg_answer *answer,
        size_t cycle,
        PyTypeObject *type,
        const uint32_t *starts,
        size_t start_count,
        mg_vector *steps,
    )
    object mg_label_text(const mg_label *label)


cdef extern from "_kernel/labels.h":
    ctypedef struct mg_type_words:
        PyObject *module
        PyObject *qualname
        const char *name

    object mg_spell_type(mg_type_words words)
    object mg_spell_module(mg_type_words words)
    object mg_type_name(PyTypeObject *type)


cdef extern from "_kernel/child.h":
    const bint MG_HAS_SNAPSHOTS
    int mg_child_behaviour
    int mg_fork_fails_with

    ctypedef enum mg_child_state:
        MG_CHILD_RUNS
        MG_CHILD_ANSWERED
        MG_CHILD_HAD_NO_MEMORY
        MG_CHILD_DIED
        MG_NO_MEMORY_FOR_ANSWER

    ctypedef struct mg_child:
        int exit_status

    void mg_child_end(mg_child *child) nogil


cdef extern from "_kernel/snapshot.h":
    ctypedef struct mg_seen_type:
        PyTypeObject *type
        uint32_t module_bytes
        uint32_t qualname_bytes
        uint32_t name_bytes
        uint8_t module_kind
        uint8_t qualname_kind

    ctypedef struct mg_seen_types:
        mg_vector types
        mg_vector texts
        mg_vector member_types

    ctypedef struct mg_snapshot:
        mg_child child
        double pause_seconds
        size_t private_bytes

    int mg_snapshot_begin(mg_snapshot *snapshot, const mg_request *request)
    mg_child_state mg_snapshot_receive(
        mg_snapshot *snapshot,
        mg_answer *answer,
        mg_seen_types *seen,
        int timeout_milliseconds,
    ) nogil
    void mg_seen_types_clear(mg_seen_types *seen)


cdef extern from "_kernel/alive.h":
    int mg_copies_through_pipe
    int mg_cycle_is_alive(const mg_answer *answer, const mg_seen_types *seen, size_t cycle)


cdef extern from "_kernel/ways.h":
    const int MG_ROOT_MODULES
    const int MG_ROOT_RUNNING
    const int MG_ROOT_UNEXPLAINED

    ctypedef struct mg_way_root:
        int kind
        int variable
        PyObject *object
        PyObject *code
        unsigned long thread
        int64_t unexplained_count
        Py_ssize_t place

    ctypedef struct mg_ways_request:
        PyObject *asked
        PyObject *own_folder
        int asker_holds
        PyObject *root
        size_t most_ways
        int weighs
        double (*clock_seconds)()
        PyObject *name_key
        PyTypeObject *own_type

    ctypedef struct mg_ways:
        mg_vector roots
        mg_vector steps
        mg_vector way_root
        mg_vector way_end
        mg_vector way_target
        mg_vector way_hidden
        size_t freed_count
        size_t freed_bytes
        size_t object_count
        size_t side_table_bytes
        double duration_seconds

    int mg_find_ways(const mg_ways_request *request, mg_ways *ways)
    void mg_ways_clear(mg_ways *ways)


cdef extern from "_kernel/owners.h":
    const uint32_t MG_SHARED
    const uint32_t MG_NOBODY
    const uint32_t MG_UNHELD
    const uint32_t MG_UNKNOWN_OWNER

    ctypedef struct mg_amount:
        uint64_t size_bytes
        uint64_t count

    ctypedef struct mg_estate:
        mg_amount retained
        mg_amount own
        uint64_t thread

    ctypedef struct mg_belonging:
        mg_amount retained
        uint32_t owner

    ctypedef struct mg_owners_request:
        PyObject *asked
        PyObject *question
        PyObject *own_folder
        size_t mark_count
        const uint32_t *mark_owners
        size_t owner_count
        size_t first_of_garbage
        const uint64_t *owner_threads
        double (*clock_seconds)()
        PyObject *name_key
        PyTypeObject *own_type

    ctypedef struct mg_owners:
        mg_vector estates
        mg_vector belongings
        mg_amount shared
        mg_amount all
        size_t object_count
        size_t side_table_bytes
        double duration_seconds

    int mg_find_owners(const mg_owners_request *request, mg_owners *owners)
    void mg_owners_clear(mg_owners *owners)
    int mg_find_instances(PyObject *types, PyTypeObject *own_type, mg_vector *objects)
    int mg_find_thread_data(mg_vector *kept, mg_vector *threads)


# For _retention.pyx and _owners.pyx, which so share the one kernel and its state.
cdef int find_ways(mg_ways_request *request, mg_ways *ways) except -2
cdef void clear_ways(mg_ways *ways) noexcept
cdef int find_owners(mg_owners_request *request, mg_owners *owners) except -2
cdef void clear_owners(mg_owners *owners) noexcept
cdef int find_instances(PyObject *types, mg_vector *objects) except -2
cdef int find_thread_data(mg_vector *kept, mg_vector *threads) except -2
cdef void clear_vector(mg_vector *vector, size_t item_bytes) noexcept


cdef extern from "_kernel/census.h":
    ctypedef struct mg_census_request:
        size_t floor
        size_t most_containers
        PyTypeObject *deque_type

    ctypedef struct mg_population:
        PyTypeObject *type
        uint64_t count
        uint64_t bytes

    ctypedef struct mg_counted_table:
        size_t count

    ctypedef struct mg_census:
        mg_counted_table table
        size_t floor
        size_t pass_count
        mg_vector changes
        mg_vector populations
        size_t object_count
        double duration_seconds

    int mg_census_take(mg_census *census, const mg_census_request *request)
    PyObject *mg_census_find(const mg_census *census, uint64_t address, uint64_t type)
    ctypedef struct mg_place:
        uint64_t address
        uint64_t type

    int mg_find_tracked(const mg_place *places, size_t count, PyObject **found)
    int mg_list_types(mg_vector *types)
    void mg_census_clear(mg_census *census)
    void mg_newest_of(
        PyTypeObject **types, size_t type_count, size_t most, PyObject **newest, size_t *met
    )


cdef extern from "_kernel/census_snapshot.h":
    ctypedef struct mg_census_snapshot:
        mg_child child
        double pause_seconds

    int mg_census_snapshot_begin(
        mg_census_snapshot *snapshot,
        const mg_census *census,
        const mg_census_request *request,
    )
    mg_child_state mg_census_snapshot_receive(
        mg_census_snapshot *snapshot,
        mg_census *found,
        mg_seen_types *seen,
        int timeout_milliseconds,
    ) nogil


# For _growth.pyx.
cdef int take_census(mg_census *census, const mg_census_request *request) except -2
cdef PyObject *find_in_census(const mg_census *census, uint64_t address, uint64_t type) noexcept
cdef int find_tracked(const mg_place *places, size_t count, PyObject **found) except -2
cdef int list_types(mg_vector *types) except -2
cdef void clear_census(mg_census *census) noexcept
cdef void find_newest(
    PyTypeObject **types, size_t type_count, size_t most, PyObject **newest, size_t *met
) noexcept
cdef object name_of_type(PyTypeObject *type)
cdef int begin_census(
    mg_census_snapshot *snapshot, const mg_census *census, const mg_census_request *request
) except -2
cdef mg_child_state receive_census(
    mg_census_snapshot *snapshot, mg_census *found, mg_seen_types *seen, int timeout_milliseconds
) noexcept nogil
cdef void end_child(mg_child *child) noexcept nogil
cdef list names_of_seen(const mg_seen_types *seen)
cdef void clear_seen(mg_seen_types *seen) noexcept
cdef double now_seconds() noexcept
