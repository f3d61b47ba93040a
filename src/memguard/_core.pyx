# cython: language_level=3, embedsignature=True, boundscheck=False, wraparound=False, auto_pickle=False
"""The native floor: one scan of the heap, and its answer.

Covers: the door from Python to the scan kernel (``_kernel/``), the answer as
numbers and, on demand, as objects, and the hooks that tests use.

Does not cover: names of references (``_names``); words. Paths and reports are
made in ``memguard.heap``.

See also: ``docs/design.md``, "The scan".
"""

cimport cython
from cpython.ref cimport PyObject, PyTypeObject, Py_INCREF
from cpython.exc cimport PyErr_Occurred, PyErr_Clear
from cpython.type cimport PyType_Check
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memset

from sys import version_info as _version_info


CUT_MODULES = MG_CUT_MODULES
CUT_MODULE_DICTS = MG_CUT_MODULE_DICTS
CUT_TYPES = MG_CUT_TYPES
CUT_INSTANCE_TYPES = MG_CUT_INSTANCE_TYPES


cdef _step_label(const mg_step *step):
    text = mg_label_text(&step.label)
    return f"[{text}]" if step.in_namespace and text is not None else text


cdef object _released_error = RuntimeError


def raise_when_released(error):
    """Let answers raise this when they are asked for what they no longer hold."""
    global _released_error
    _released_error = error


cdef double _clock_step_seconds = 0.0
cdef double _stepped_clock_seconds = 0.0


cdef double _stepped_clock() noexcept:
    global _stepped_clock_seconds
    _stepped_clock_seconds += _clock_step_seconds
    return _stepped_clock_seconds


@cython.final
cdef class HeapGraph:
    """The answer of one scan: counts, and the members of every cycle.

    Holds one reference to each member, so that what is reported can be looked
    at; `release` or the end of the answer drops them. Cycles and shapes are
    numbered from 0, shapes in order of how many objects they hold, most first.
    Sizes are worked out when they are first asked for, from the members as they
    are then; so are shapes, when the scan did not group cycles.

    Thread-safety: any thread, under the GIL.
    """

    cdef mg_answer _answer
    cdef mg_holding _holding
    cdef unsigned int _cut_flags
    cdef bint _grouped
    cdef bint _weighed
    cdef list _cycles_of_shapes
    cdef readonly str kind
    cdef list _unreachable_types

    def __cinit__(self):
        self.kind = ""
        self._unreachable_types = []

    def __init__(self):
        raise TypeError("HeapGraph is made by scan_heap(), not by calling it")

    def __dealloc__(self):
        mg_let_go(&self._holding)
        mg_answer_clear(&self._answer)

    def __repr__(self):
        return f"<HeapGraph {self.kind}: {self._answer.cycle_count} cycles>"

    cdef _take(self):
        """Own the members and remember the types, before any Python code runs."""
        self._holding.owner = <PyObject *> self
        self._holding.objects = <PyObject **> self._answer.members.items
        self._holding.count = self._answer.members.count
        mg_hold(&self._holding)
        cdef size_t i
        cdef mg_type_count *counts = <mg_type_count *> self._answer.type_counts.items
        # The types first, all of them: making a tuple may run the collector on
        # 3.11, and an unreachable class is garbage like any other.
        for i in range(self._answer.type_counts.count):
            Py_INCREF(<object> counts[i].type)
        try:
            for i in range(self._answer.type_counts.count):
                self._unreachable_types.append(
                    (<object> counts[i].type, counts[i].count)
                )
        finally:
            for i in range(self._answer.type_counts.count):
                _drop(<PyObject *> counts[i].type)

    @property
    def released(self) -> bool:
        """Whether the members are no longer held: by release() or by the collector."""
        return self._holding.next == NULL

    def take_unreachable_types(self):
        """Give (type, count) of the unreachable objects, and forget them.

        For as long as they are held here, a class that is itself garbage
        looks alive to other scans, and cannot be freed.
        """
        taken = self._unreachable_types
        self._unreachable_types = []
        return taken

    @property
    def complete(self) -> bool:
        return self._answer.stopped == 0

    @property
    def stopped_by(self) -> str:
        if self._answer.stopped == MG_STOPPED_BY_OBJECTS:
            return "max_objects"
        if self._answer.stopped == MG_STOPPED_BY_BUDGET:
            return "budget_seconds"
        return ""

    @property
    def object_count(self) -> int:
        return self._answer.object_count

    @property
    def edge_count(self) -> int:
        return self._answer.edge_count

    @property
    def suspect_count(self) -> int:
        return self._answer.suspect_count

    @property
    def unreachable_count(self) -> int:
        return self._answer.unreachable_count

    @property
    def side_table_bytes(self) -> int:
        return self._answer.side_table_bytes

    @property
    def duration_seconds(self) -> float:
        return self._answer.duration_seconds

    @property
    def cycle_count(self) -> int:
        return self._answer.cycle_count

    @property
    def shape_count(self) -> int:
        self._group()
        return self._answer.shape_count

    cdef _group(self):
        if not self._grouped:
            self._weigh()

    cdef _weigh(self):
        cdef mg_request request
        if self._weighed:
            return
        self._require_held()
        memset(&request, 0, sizeof(request))
        request.kind = MG_GARBAGE if self.kind == "garbage" else MG_LIVE
        request.cuts = self._cut_flags
        request.own_type = <PyTypeObject *> HeapGraph
        request.name_key = <PyObject *> _NAME_KEY
        request.clock_seconds = mg_monotonic_seconds
        if mg_weigh(&request, &self._answer) < 0:
            raise MemoryError("no memory to weigh what the scan found")
        self._grouped = self._weighed = True
        self._suspect_raising_types()

    cdef _suspect_raising_types(self):
        # Some type's tp_traverse raised, which it must not; its references
        # may be incomplete.
        if PyErr_Occurred() != NULL:
            PyErr_Clear()
            self._answer.suspect_count += 1

    cdef size_t _checked_cycle(self, size_t cycle) except? 0:
        if cycle >= self._answer.cycle_count:
            raise IndexError(f"cycle {cycle} of {self._answer.cycle_count}")
        return cycle

    cdef mg_shape *_checked_shape(self, size_t shape) except NULL:
        self._group()
        if shape >= self._answer.shape_count:
            raise IndexError(f"shape {shape} of {self._answer.shape_count}")
        return &self._answer.shapes[shape]

    cdef uint32_t _first(self, size_t cycle) noexcept:
        return (<uint32_t *> self._answer.cycle_start.items)[cycle]

    cdef object _member(self, size_t cycle, uint32_t position):
        return <object> (<PyObject **> self._answer.members.items)[
            self._first(cycle) + position
        ]

    cdef uint32_t _size(self, size_t cycle) noexcept:
        return self._first(cycle + 1) - self._first(cycle)

    def cycle_size(self, size_t cycle):
        return self._size(self._checked_cycle(cycle))

    def cycle_facts(self, size_t cycle):
        self._checked_cycle(cycle)
        self._weigh()
        cdef mg_cycle *facts = &self._answer.cycles[cycle]
        return (
            self._first(cycle + 1) - self._first(cycle),
            facts.shallow_bytes,
            facts.retained_count,
            facts.retained_bytes,
            facts.outside_references,
            facts.shape,
        )

    def cycle_ids(self, size_t cycle):
        self._checked_cycle(cycle)
        cdef void **members = <void **> self._answer.members.items
        cdef size_t p
        return tuple([
            <size_t> members[p]
            for p in range(self._first(cycle), self._first(cycle + 1))
        ])

    # Members may be read after this check and until a container is made: on
    # 3.11 that can run the collector, and with it a finalizer that releases
    # this answer.
    cdef _require_held(self):
        if self.released:
            raise _released_error(
                "the answer was released and no longer holds its objects;"
                " read them before release()"
            )

    def cycle_objects(self, size_t cycle):
        self._checked_cycle(cycle)
        objects = []
        self._require_held()
        cdef PyObject **members = <PyObject **> self._answer.members.items
        cdef size_t p
        for p in range(self._first(cycle), self._first(cycle + 1)):
            objects.append(<object> members[p])
        return objects

    def cycle_types(self, size_t cycle):
        # Told apart by identity: hash and equality of classes are code of the
        # program when their metaclass defines them.
        self._checked_cycle(cycle)
        types = []
        self._require_held()
        cdef mg_vector counts
        cdef mg_type_count *items
        cdef size_t i
        memset(&counts, 0, sizeof(counts))
        try:
            if mg_count_types(
                &counts,
                <PyObject **> self._answer.members.items + self._first(cycle),
                self._first(cycle + 1) - self._first(cycle),
            ) < 0:
                raise MemoryError("no memory to count the types of a cycle")
            items = <mg_type_count *> counts.items
            for i in range(counts.count):
                types.append(<object> items[i].type)
            return [(types[i], items[i].count) for i in range(counts.count)]
        finally:
            mg_vector_clear(&counts, sizeof(mg_type_count))

    def members_of_type(self, size_t cycle, wanted, size_t most):
        """List (position, member) of a cycle's first members of exactly this type."""
        self._checked_cycle(cycle)
        positions = []
        objects = []
        self._require_held()
        cdef PyObject **members = <PyObject **> self._answer.members.items
        cdef size_t first = self._first(cycle)
        cdef size_t p
        for p in range(first, self._first(cycle + 1)):
            if type(<object> members[p]) is wanted:
                positions.append(p - first)
                objects.append(<object> members[p])
                if <size_t> len(objects) == most:
                    break
        return list(zip(positions, objects))

    def member(self, size_t cycle, size_t position):
        self._checked_cycle(cycle)
        self._require_held()
        if position >= self._first(cycle + 1) - self._first(cycle):
            raise IndexError(f"member {position} of cycle {cycle}")
        return self._member(cycle, position)

    def cycle_edges(self, size_t cycle):
        self._checked_cycle(cycle)
        self._group()
        cdef uint64_t *start = <uint64_t *> self._answer.edge_start.items
        cdef uint32_t *target = <uint32_t *> self._answer.edge_target.items
        cdef uint32_t first = self._first(cycle)
        cdef uint32_t p
        cdef uint64_t e
        edges = []
        for p in range(first, self._first(cycle + 1)):
            for e in range(start[p], start[p + 1]):
                edges.append((p - first, target[e] - first))
        return edges

    def find_loop(self, size_t cycle, starts, size_t most):
        """Find the loop that stands for a cycle, the same in every process.

        Args:
            cycle: Its number.
            starts: Positions of members where it may begin; or a class, for
                all members of exactly that type.
            most: References that are wanted, those into the dict of an
                instance or class not counted.

        Returns:
            The objects in order, one for each reference and the target of the
            last; a label for each reference, None where the kernel knows no
            name; and how many references were left out. All empty when the
            members no longer refer to each other.
        """
        cdef mg_vector positions
        cdef mg_vector steps
        cdef mg_step *step
        cdef size_t i
        cdef uint32_t start
        cdef size_t hidden = 0
        cdef size_t shown = 0
        cdef int result
        self._checked_cycle(cycle)
        self._group()
        objects = []
        labels = []
        memset(&positions, 0, sizeof(positions))
        memset(&steps, 0, sizeof(steps))
        try:
            if not PyType_Check(starts):
                for start in starts:
                    if start >= self._size(cycle):
                        raise IndexError(f"member {start} of {self._size(cycle)}")
                    if mg_push_u32(&positions, start) < 0:
                        raise MemoryError("no memory for where loops may begin")
            # From here on texts that labels borrow must stay: no container is made.
            self._require_held()
            result = mg_find_loop(
                &self._answer,
                cycle,
                <PyTypeObject *> starts if PyType_Check(starts) else NULL,
                <uint32_t *> positions.items,
                positions.count,
                &steps,
            )
            if result < 0:
                raise MemoryError("no memory to find the loop of a cycle")
            for i in range(steps.count):
                step = &(<mg_step *> steps.items)[i]
                if shown == most and not step.in_namespace:
                    hidden += 1
                elif hidden == 0:
                    shown += not step.in_namespace
                    objects.append(self._member(cycle, step.position))
                    labels.append(_step_label(step))
            if steps.count > 0:
                step = <mg_step *> steps.items
                i = len(labels)
                objects.append(self._member(cycle, step[i % steps.count].position))
            return objects, labels, hidden
        finally:
            mg_vector_clear(&positions, sizeof(uint32_t))
            mg_vector_clear(&steps, sizeof(mg_step))

    def shape_outline(self, size_t shape):
        """Give cycles and objects of a shape [count], and the cycle that stands for it."""
        cdef mg_shape *facts = self._checked_shape(shape)
        return facts.cycle_count, facts.object_count, facts.exemplar

    def shape_facts(self, size_t shape):
        cdef mg_shape *facts = self._checked_shape(shape)
        self._weigh()
        return (
            facts.cycle_count,
            facts.object_count,
            facts.shallow_bytes,
            facts.retained_bytes,
            facts.exemplar,
        )

    def shape_cycles(self, size_t shape):
        self._checked_shape(shape)
        cdef size_t cycle
        if self._cycles_of_shapes is None:
            by_shape = [[] for _ in range(self._answer.shape_count)]
            for cycle in range(self._answer.cycle_count):
                (<list> by_shape[self._answer.cycles[cycle].shape]).append(cycle)
            self._cycles_of_shapes = by_shape
        return list(self._cycles_of_shapes[shape])

    def release(self):
        mg_let_go(&self._holding)


cdef extern from *:
    void _drop "Py_DECREF" (PyObject *)


class _PythonClass:
    """Like every class that is written in Python, for the kernel to know them by."""


cdef str _NAME_KEY = "__name__"

mg_make_holder(<PyTypeObject *> HeapGraph)
mg_learn_from_class(<PyTypeObject *> _PythonClass)


def scan_heap(
    str kind,
    unsigned int cut_flags,
    tuple roots,
    size_t max_objects,
    double budget_seconds,
    HeapGraph keep=None,
    object root_source=None,
    bint describe=True,
):
    """Find the cycles of this process in one indivisible call.

    Args:
        kind: "garbage" or "live".
        cut_flags: Which references a live cycle may not use, CUT_*; nothing
            is cut for "garbage".
        roots: Look at what these reach only; None for the whole heap.
        max_objects: Stop enumerating after so many [count]; 0 for no limit.
        budget_seconds: Stop when so much time has passed [s]; 0 for no limit.
        keep: An earlier answer whose references count as a real holder's.
            Those of all others count as nothing.
        root_source: What *roots* was made from, if that holds each of them
            once more. Its references and those of *roots* itself count as
            nothing, unless the search comes upon them.
        describe: Group the cycles by shape within the same call; else when
            the answer is first asked for that.

    Returns:
        The answer, holding a reference to each member of each cycle.

    Raises:
        ValueError: *kind* is neither.
        MemoryError: A native table could not be had; nothing was changed.
        RuntimeError: This build of Python cannot be scanned.
    """
    cdef mg_request request
    cdef HeapGraph graph
    if MG_FREE_THREADED:
        raise RuntimeError("a free-threaded build of Python cannot be scanned")
    if kind not in ("garbage", "live"):
        raise ValueError(f"kind is {kind!r}, not 'garbage' or 'live'")
    # Made before the scan: from the scan on, until the members are owned,
    # nothing may be allocated that could run the collector.
    graph = HeapGraph.__new__(HeapGraph)
    graph.kind = kind
    request.describes = describe
    graph._grouped = describe
    request.kind = MG_GARBAGE if kind == "garbage" else MG_LIVE
    request.cuts = 0 if kind == "garbage" and roots is None else cut_flags
    graph._cut_flags = request.cuts
    request.roots = NULL
    request.root_count = 0
    if roots is not None:
        request.roots = _tuple_items(roots)
        request.root_count = len(roots)
    request.root_holders[0] = NULL if roots is None else <PyObject *> roots
    request.root_holders[1] = NULL if root_source is None else <PyObject *> root_source
    request.max_objects = max_objects
    request.budget_seconds = budget_seconds
    request.clock_seconds = (
        _stepped_clock if _clock_step_seconds > 0 else mg_monotonic_seconds
    )
    request.own_type = <PyTypeObject *> HeapGraph
    request.name_key = <PyObject *> _NAME_KEY
    request.keep = NULL if keep is None else &keep._holding
    if mg_scan(&request, &graph._answer) < 0:
        raise MemoryError(
            "no memory for the tables of the scan; limit it with max_objects"
        )
    graph._suspect_raising_types()
    graph._take()
    return graph


cdef extern from *:
    """
    static PyObject **mg_tuple_items(PyObject *tuple)
    {
        return ((PyTupleObject *)tuple)->ob_item;
    }
    """
    PyObject **_tuple_items "mg_tuple_items" (tuple items)


cdef dict _build = {
    "optimised": bool(MG_OPTIMISED),
    "sanitized": bool(MG_SANITIZED),
    "traced": bool(MG_TRACED),
    "assertions": bool(MG_ASSERTIONS),
    "compiler": MG_COMPILER.decode("ascii", "replace"),
    "python": "%d.%d.%d" % _version_info[:3],
    "free_threaded": bool(MG_FREE_THREADED),
    "enumeration": mg_enumeration_name().decode("ascii"),
    "frame_roots": bool(MG_FRAME_ROOTS),
}


def build_info():
    """Say how this module was built and how it will look at the heap."""
    return dict(_build)


def _fail_allocation_at(long n):
    """Test hook: let the n-th native allocation from now on fail; 0 for none."""
    mg_memory.fail_at = n
    mg_memory.allocation_count = 0


def _native_bytes():
    """Test hook: bytes that the kernel has allocated now."""
    return mg_memory.current_bytes


def _force_stackref_dedupe(bint on):
    """Test hook: treat suspended frames as on 3.14 and later."""
    global mg_force_stack_dedupe
    mg_force_stack_dedupe = on


def _force_threads(size_t count):
    """Test hook: use so many threads whatever the machine has; 0 for its own choice."""
    global mg_forced_thread_count
    mg_forced_thread_count = count


def _step_clock(double step_seconds):
    """Test hook: a clock that advances by a fixed step at each reading [s]; 0 for the real one."""
    global _clock_step_seconds
    _clock_step_seconds = step_seconds
