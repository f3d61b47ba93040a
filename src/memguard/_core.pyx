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
from cpython.exc cimport PyErr_CheckSignals, PyErr_Clear, PyErr_Occurred
from cpython.type cimport PyType_Check
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memset

import os as _os
from sys import version_info as _version_info


CUT_MODULES = MG_CUT_MODULES
CUT_MODULE_DICTS = MG_CUT_MODULE_DICTS
CUT_TYPES = MG_CUT_TYPES
CUT_INSTANCE_TYPES = MG_CUT_INSTANCE_TYPES


cdef _step_label(const mg_step *step):
    text = mg_label_text(&step.label)
    return f"[{text}]" if step.in_namespace and text is not None else text


# Of one cycle of a snapshot, and of all together [count]; real cycles have 4 in the
# middle and 433 at most, see docs/design.md.
MOST_HELD_MEMBERS = 2_048
MOST_LOOKED_AT = 8_192
cdef object _released_error = RuntimeError
cdef object _gone_error = RuntimeError


def raise_when_released(released_error, gone_error):
    """Let answers raise these when they are asked for what they do not hold.

    The first after `HeapGraph.release`; the second for what a snapshot saw and
    the program has changed since.
    """
    global _released_error, _gone_error
    _released_error = released_error
    _gone_error = gone_error


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

    That of a snapshot knows sizes and shapes as they were, and holds of the
    members only those of cycles that were asked for and are still as they were.

    Thread-safety: any thread, under the GIL.
    """

    cdef mg_answer _answer
    cdef mg_holding _holding
    cdef unsigned int _cut_flags
    cdef bint _grouped
    cdef bint _weighed
    cdef list _cycles_of_shapes
    cdef readonly str kind
    cdef readonly list unreachable_names    # (name, count) of types
    cdef bint _is_snapshot
    cdef mg_seen_types _seen
    cdef list _seen_names
    cdef mg_vector _held
    cdef mg_vector _is_held
    cdef size_t _looked_at
    cdef readonly double pause_seconds
    cdef readonly size_t private_bytes

    def __cinit__(self):
        self.kind = ""
        self.unreachable_names = []

    def __init__(self):
        raise TypeError("HeapGraph is made by scan_heap(), not by calling it")

    def __dealloc__(self):
        mg_let_go(&self._holding)
        mg_answer_clear(&self._answer)
        mg_seen_types_clear(&self._seen)
        mg_vector_clear(&self._held, sizeof(PyObject *))
        mg_vector_clear(&self._is_held, 1)

    def __repr__(self):
        return f"<HeapGraph {self.kind}: {self._answer.cycle_count} cycles>"

    cdef _take(self):
        """Own the members and name the types, before any Python code runs."""
        self._holding.owner = <PyObject *> self
        if not self._is_snapshot:
            self._holding.objects = <PyObject **> self._answer.members.items
            self._holding.count = self._answer.members.count
        mg_hold(&self._holding)
        cdef size_t i
        cdef mg_type_count *counts = <mg_type_count *> self._answer.type_counts.items
        # An unreachable class is garbage like any other, and not held here: all are
        # named before a container is made, which may run the collector on 3.11.
        names = self.unreachable_names
        if self._is_snapshot:
            self._seen_names = names_of_seen(&self._seen)
            names.extend([name for name, _ in self._seen_names[:self._answer.type_counts.count]])
        else:
            for i in range(self._answer.type_counts.count):
                names.append(mg_type_name(counts[i].type))
        for i in range(self._answer.type_counts.count):
            names[i] = (names[i], counts[i].count)

    @property
    def released(self) -> bool:
        """Whether the members are no longer held: by release() or by the collector."""
        return self._holding.next == NULL

    @property
    def is_snapshot(self) -> bool:
        """Whether it was found in a child process."""
        return self._is_snapshot

    def seen_types(self, size_t cycle):
        """List (name, module, count) of the types of a cycle as a snapshot saw them.

        Empty when this is none: `cycle_types` then gives the types themselves.
        """
        self._checked_cycle(cycle)
        if not self._is_snapshot:
            return []
        counts = {}
        cdef uint32_t p
        cdef uint32_t *types = <uint32_t *> self._seen.member_types.items
        for p in range(self._first(cycle), self._first(cycle + 1)):
            counts[types[p]] = counts.get(types[p], 0) + 1
        return [(*self._seen_names[number], count) for number, count in counts.items()]

    def hold(self, size_t cycle):
        """Tell whether the members of a cycle are held; a snapshot looks whether they can be.

        They can be as long as they are there and refer to each other as they did.
        To look takes about a microsecond for each member, in which everything
        stands still: so that is left out for large cycles, and once
        ``MOST_LOOKED_AT`` members were looked at. Who wants their objects all the
        same asks for them.
        """
        self._checked_cycle(cycle)
        if self.released:
            return False
        if not self._is_snapshot:
            return True
        cdef size_t size = self._size(cycle)
        if not (<char *> self._is_held.items)[cycle]:
            if size > MOST_HELD_MEMBERS or self._looked_at + size > MOST_LOOKED_AT:
                return False
            self._looked_at += size
        return self._hold(cycle)

    cdef bint _hold(self, size_t cycle) except -1:
        cdef char *is_held = <char *> self._is_held.items
        if not is_held[cycle]:
            is_held[cycle] = self._hold_if_alive(cycle)
        return is_held[cycle]

    cdef bint _hold_if_alive(self, size_t cycle) except -1:
        cdef double started_seconds = mg_monotonic_seconds()
        cdef size_t count = self._size(cycle)
        cdef PyObject **members = (
            <PyObject **> self._answer.members.items + self._first(cycle)
        )
        cdef size_t i
        cdef int is_alive = -1
        if mg_vector_make_room(&self._held, count, sizeof(PyObject *)) == 0:
            self._holding.objects = <PyObject **> self._held.items
            is_alive = mg_cycle_is_alive(&self._answer, &self._seen, cycle)
        if is_alive < 0:
            raise MemoryError("no memory to look whether a cycle is still there")
        if is_alive:
            for i in range(count):
                Py_INCREF(<object> members[i])
                mg_push_pointer(&self._held, members[i])
            self._holding.count = self._held.count
        self.pause_seconds += mg_monotonic_seconds() - started_seconds
        return is_alive

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
        self._require_not_released()
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
    cdef _require_held(self, size_t cycle):
        self._require_not_released()
        if self._is_snapshot and not self._hold(cycle):
            raise _gone_error(
                "the program has changed or freed this cycle since the snapshot;"
                " what was counted and named before is all that is known"
            )

    cdef _require_not_released(self):
        if self.released:
            raise _released_error(
                "the answer was released and no longer holds its objects;"
                " read them before release()"
            )

    def cycle_objects(self, size_t cycle):
        self._checked_cycle(cycle)
        objects = []
        self._require_held(cycle)
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
        self._require_held(cycle)
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
        self._require_held(cycle)
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
        self._require_held(cycle)
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
            self._require_held(cycle)
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
        if self._is_snapshot:
            self._choose_exemplar(shape, facts)
        return facts.cycle_count, facts.object_count, facts.exemplar

    cdef _choose_exemplar(self, size_t shape, mg_shape *facts):
        """Let a cycle that is still there stand for the shape, if one of the first is."""
        cdef size_t cycle
        cdef size_t tried = 0
        if self.released or self.hold(facts.exemplar):
            return
        for cycle in range(self._answer.cycle_count):
            if self._answer.cycles[cycle].shape == shape:
                if self.hold(cycle):
                    facts.exemplar = cycle
                    return
                tried += 1
                if tried == _MOST_EXEMPLARS_TRIED:
                    return

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
    object _from_kind "PyUnicode_FromKindAndData" (int kind, const void *data, Py_ssize_t length)


cdef size_t _MOST_EXEMPLARS_TRIED = 16


cdef str _string(const char *text, size_t size_bytes, int kind):
    return None if kind == 0 else _from_kind(kind, text, size_bytes // kind)


cdef list names_of_seen(const mg_seen_types *seen):
    """Spell how classes were called when the child saw them: (name, module), in its order."""
    cdef mg_seen_type *entry
    cdef const char *text = <const char *> seen.texts.items
    cdef mg_type_words words
    cdef size_t i
    names = []
    for i in range(seen.types.count):
        entry = &(<mg_seen_type *> seen.types.items)[i]
        module = _string(text, entry.module_bytes, entry.module_kind)
        text += entry.module_bytes
        qualname = _string(text, entry.qualname_bytes, entry.qualname_kind)
        text += entry.qualname_bytes
        name = <bytes> text[:entry.name_bytes]
        text += entry.name_bytes
        words.module = NULL if module is None else <PyObject *> module
        words.qualname = NULL if qualname is None else <PyObject *> qualname
        words.name = name
        names.append((mg_spell_type(words), mg_spell_module(words)))
    return names


cdef void clear_seen(mg_seen_types *seen) noexcept:
    mg_seen_types_clear(seen)


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
    # Made before the scan: from the scan on, until the members are owned,
    # nothing may be allocated that could run the collector.
    cdef HeapGraph graph = _asked(
        &request, kind, cut_flags, roots, max_objects, budget_seconds, root_source
    )
    request.describes = graph._grouped = describe
    request.keep = NULL if keep is None else &keep._holding
    if mg_scan(&request, &graph._answer) < 0:
        raise MemoryError(
            "no memory for the tables of the scan; limit it with max_objects"
        )
    graph.pause_seconds = graph._answer.duration_seconds
    graph._suspect_raising_types()
    graph._take()
    return graph


cdef HeapGraph _asked(
    mg_request *request,
    str kind,
    unsigned int cut_flags,
    tuple roots,
    size_t max_objects,
    double budget_seconds,
    object root_source,
):
    """Make an empty answer, and the request for it."""
    cdef HeapGraph graph
    if MG_FREE_THREADED:
        raise RuntimeError("a free-threaded build of Python cannot be scanned")
    if kind not in ("garbage", "live"):
        raise ValueError(f"kind is {kind!r}, not 'garbage' or 'live'")
    graph = HeapGraph.__new__(HeapGraph)
    graph.kind = kind
    memset(request, 0, sizeof(mg_request))
    request.kind = MG_GARBAGE if kind == "garbage" else MG_LIVE
    request.cuts = 0 if kind == "garbage" and roots is None else cut_flags
    graph._cut_flags = request.cuts
    if roots is not None:
        request.roots = _tuple_items(roots)
        request.root_count = len(roots)
        request.root_holders[0] = <PyObject *> roots
    if root_source is not None:
        request.root_holders[1] = <PyObject *> root_source
    request.max_objects = max_objects
    request.budget_seconds = budget_seconds
    request.clock_seconds = (
        _stepped_clock if _clock_step_seconds > 0 else mg_monotonic_seconds
    )
    request.own_type = <PyTypeObject *> HeapGraph
    request.name_key = <PyObject *> _NAME_KEY
    return graph


@cython.final
cdef class Snapshot:
    """A scan in a child of this process, which begins when this is made.

    The process goes on meanwhile, and `answer` waits for the child. When this is
    dropped before, the child is killed.

    Args:
        kind: As for `scan_heap`, like all up to *root_source*.
        cut_flags: See there.
        roots: See there.
        max_objects: See there.
        budget_seconds: See there.
        root_source: See there.

    Raises:
        OSError: No child is to be had, with the number of the system's error.
        ValueError: *kind* is neither.
        MemoryError: A native table could not be had; nothing was changed.
        RuntimeError: This build of Python cannot be scanned.
    """

    cdef mg_snapshot _snapshot
    cdef HeapGraph _graph
    cdef bint _is_begun

    def __init__(
        self,
        str kind,
        unsigned int cut_flags,
        tuple roots,
        size_t max_objects,
        double budget_seconds,
        object root_source=None,
    ):
        cdef mg_request request
        if self._is_begun:
            raise RuntimeError("a snapshot is taken once")
        self._graph = _asked(
            &request, kind, cut_flags, roots, max_objects, budget_seconds, root_source
        )
        request.describes = True
        self._graph._grouped = self._graph._weighed = self._graph._is_snapshot = True
        cdef int error = mg_snapshot_begin(&self._snapshot, &request)
        if error > 0:
            raise OSError(error, _os.strerror(error))
        if error < 0:
            raise MemoryError(
                "no memory for the tables of the scan; limit it with max_objects"
            )
        self._is_begun = True
        self._graph.pause_seconds = self._snapshot.pause_seconds

    def __dealloc__(self):
        if self._is_begun:
            mg_child_end(&self._snapshot.child)

    def answer(self, is_given_up):
        """Wait for the child, and end it.

        Args:
            is_given_up: Called without arguments every 50 ms; when it says true, or
                raises, the child is killed.

        Returns:
            The answer, which holds nothing yet; how the child ended: "answered",
            "had no memory", "died", "was given up"; and its status as from
            ``os.waitpid``.

        Raises:
            MemoryError: None for the answer.
            RuntimeError: It was given before.
        """
        cdef HeapGraph graph = self._graph
        cdef mg_child_state state = MG_CHILD_RUNS
        if graph is None:
            raise RuntimeError("a snapshot answers once")
        self._graph = None
        try:
            while state == MG_CHILD_RUNS and not is_given_up():
                with nogil:
                    state = mg_snapshot_receive(
                        &self._snapshot, &graph._answer, &graph._seen, 50
                    )
                PyErr_CheckSignals()
        finally:
            with nogil:
                mg_child_end(&self._snapshot.child)
        graph.private_bytes = self._snapshot.private_bytes
        # One more than there are cycles: then there is an array in any case.
        cdef size_t flag_count = graph._answer.cycle_count + 1
        if state == MG_NO_MEMORY_FOR_ANSWER or mg_vector_make_room(
            &graph._is_held, flag_count, 1
        ) < 0:
            raise MemoryError("no memory for the answer of a snapshot")
        if state == MG_CHILD_ANSWERED:
            memset(graph._is_held.items, 0, flag_count)
            graph._take()
        return graph, CHILD_ENDS[state], self._snapshot.child.exit_status


# By state, how a child ended.
CHILD_ENDS = ("was given up", "answered", "had no memory", "died", "")


cdef extern from *:
    """
    static PyObject **mg_tuple_items(PyObject *tuple)
    {
        return ((PyTupleObject *)tuple)->ob_item;
    }
    """
    PyObject **_tuple_items "mg_tuple_items" (tuple items)


cdef int _require_countable() except -1:
    if MG_FREE_THREADED:
        raise RuntimeError("a free-threaded build of Python cannot be scanned")
    return 0


cdef int _calmed(int result) noexcept:
    """Drop what a hostile tp_traverse raised; the result says whether all went well."""
    if PyErr_Occurred() != NULL:
        PyErr_Clear()
    return result


cdef int find_ways(mg_ways_request *request, mg_ways *ways) except -2:
    """Call the kernel; the caller owns what is in the answer before anything else runs."""
    _require_countable()
    request.own_type = <PyTypeObject *> HeapGraph
    request.name_key = <PyObject *> _NAME_KEY
    request.clock_seconds = mg_monotonic_seconds
    return _calmed(mg_find_ways(request, ways))


cdef void clear_ways(mg_ways *ways) noexcept:
    mg_ways_clear(ways)


cdef int take_census(mg_census *census, const mg_census_request *request) except -2:
    """Call the kernel; the objects that it saw may be gone once anything else runs."""
    _require_countable()
    return _calmed(mg_census_take(census, request))


cdef PyObject *find_in_census(
    const mg_census *census, uint64_t address, uint64_t type
) noexcept:
    return mg_census_find(census, address, type)


cdef void find_newest(
    PyTypeObject **types, size_t type_count, size_t most, PyObject **newest, size_t *met
) noexcept:
    mg_newest_of(types, type_count, most, newest, met)


cdef int find_tracked(const mg_place *places, size_t count, PyObject **found) except -2:
    """Call the kernel; the objects may be gone once anything else runs."""
    _require_countable()
    return mg_find_tracked(places, count, found)


cdef int list_types(mg_vector *types) except -2:
    """Call the kernel; the types may be gone once anything else runs."""
    _require_countable()
    return mg_list_types(types)


cdef void clear_census(mg_census *census) noexcept:
    mg_census_clear(census)


cdef object name_of_type(PyTypeObject *type):
    return mg_type_name(type)


cdef int begin_census(
    mg_census_snapshot *snapshot, const mg_census *census, const mg_census_request *request
) except -2:
    """Call the kernel; the child that it makes is ended by `end_child`."""
    _require_countable()
    return _calmed(mg_census_snapshot_begin(snapshot, census, request))


cdef mg_child_state receive_census(
    mg_census_snapshot *snapshot, mg_census *found, mg_seen_types *seen, int timeout_milliseconds
) noexcept nogil:
    return mg_census_snapshot_receive(snapshot, found, seen, timeout_milliseconds)


cdef void end_child(mg_child *child) noexcept nogil:
    mg_child_end(child)


cdef double now_seconds() noexcept:
    return mg_monotonic_seconds()


cdef int find_owners(mg_owners_request *request, mg_owners *owners) except -2:
    """Call the kernel; what it is asked with holds for the question only."""
    _require_countable()
    request.own_type = <PyTypeObject *> HeapGraph
    request.name_key = <PyObject *> _NAME_KEY
    request.clock_seconds = mg_monotonic_seconds
    return _calmed(mg_find_owners(request, owners))


cdef void clear_owners(mg_owners *owners) noexcept:
    mg_owners_clear(owners)


cdef int find_instances(PyObject *types, mg_vector *objects) except -2:
    """Call the kernel; the caller owns what is in the answer before anything else runs."""
    _require_countable()
    return mg_find_instances(types, <PyTypeObject *> HeapGraph, objects)


cdef int find_thread_data(mg_vector *kept, mg_vector *threads) except -2:
    """Call the kernel; the caller owns what is in the answer before anything else runs."""
    return mg_find_thread_data(kept, threads)


cdef void clear_vector(mg_vector *vector, size_t item_bytes) noexcept:
    mg_vector_clear(vector, item_bytes)


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
    "snapshots": bool(MG_HAS_SNAPSHOTS),
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


def _let_child(str behaviour):
    """Test hook: what children do first: "scan", "hang", "crash" or "end early"."""
    global mg_child_behaviour
    mg_child_behaviour = ("scan", "hang", "crash", "end early").index(behaviour)


def _fail_fork_with(int error_number):
    """Test hook: let the system refuse children with this error; 0: ask it."""
    global mg_fork_fails_with
    mg_fork_fails_with = error_number


def _copy_through_pipe(bint on):
    """Test hook: read what may be gone as where the faster way is forbidden."""
    global mg_copies_through_pipe
    mg_copies_through_pipe = on
