"""No memory, no time, no room: at every point, and nothing is lost or made up."""

import gc

import pytest

import memguard
from graphs import Plain, Vertex, self_loop
from hostile import failures
from memguard import _core
from memguard.heap.cuts import flags_of

CUTS = flags_of(memguard.DEFAULT_CUTS)


def planted():
    """Make cycles of several shapes that hold things alone and together."""
    shared = [[], {}]
    box = Vertex([shared])
    for size in (1, 2, 3, 12):
        ring = [Plain() for _ in range(size)]
        for number, node in enumerate(ring):
            node.next = ring[(number + 1) % size]
            node.held = [shared, [number]]
        box.append(ring[0])
    box.append(box)
    return box


REQUESTS = {
    "garbage": lambda box: _core.scan_heap("garbage", 0, None, 0, 0.0),
    "live": lambda box: _core.scan_heap("live", CUTS, None, 0, 0.0),
    "uncut": lambda box: _core.scan_heap("live", 0, None, 0, 0.0, describe=False),
    "live_from_roots": lambda box: _core.scan_heap("live", CUTS, (box,), 0, 0.0),
    "garbage_from_roots": lambda box: _core.scan_heap("garbage", CUTS, (box,), 0, 0.0),
    "found_only": lambda box: _core.scan_heap("live", CUTS, None, 0, 0.0, describe=False),
    "partial": lambda box: _core.scan_heap("live", CUTS, None, 5_000, 0.0),
}


def planted_facts(graph):
    """Give all that an answer says of the planted cycles; others come and go."""
    found = {}
    for index in range(graph.cycle_count):
        if {Plain, Vertex}.intersection(cls for cls, _ in graph.cycle_types(index)):
            ids = graph.cycle_ids(index)
            *facts, shape = graph.cycle_facts(index)
            edges = sorted((ids[one], ids[other]) for one, other in graph.cycle_edges(index))
            found[frozenset(ids)] = (facts, edges, graph.shape_facts(shape)[:2])
    return found, graph.unreachable_count, graph.suspect_count


def tracked():
    return " ".join(map(str, map(id, gc.get_objects())))


def check_failures(request):
    """Whichever allocation fails: MemoryError, nothing kept, and the next scan is right."""
    held = planted()
    planted()
    expected = planted_facts(request(held))
    before_bytes = _core._native_bytes()
    texts = []
    texts.append(tracked())
    failure_count = 0
    for message in failures(lambda: request(held)):
        assert "max_objects" in message
        assert _core._native_bytes() == before_bytes
        failure_count += 1
    texts.append(tracked())
    assert failure_count >= 8
    assert set(texts[0].split()) ^ set(texts[1].split()) == set()
    assert planted_facts(request(held)) == expected
    assert _core._native_bytes() == before_bytes


@pytest.mark.parametrize("name", REQUESTS)
def test_a_scan_without_memory_changes_nothing(name):
    """Every native allocation of every kind of scan may fail."""
    check_failures(REQUESTS[name])


@pytest.mark.native
@pytest.mark.parametrize("name", ["live_from_roots", "garbage_from_roots"])
def test_a_scan_from_roots_without_memory_changes_nothing(name):
    """Where little is looked at, so that slow tools can watch every failure."""
    check_failures(REQUESTS[name])


@pytest.mark.native
def test_large_tables_are_given_back_when_they_cannot_grow():
    """Tables of some megabytes are had from the system in another way, and may fail as well."""
    # Followed from the last to the first: a table that is large grows once more.
    wide = [[None] * 1_100_000, [None] * 1_060_000]
    check_failures(lambda box: _core.scan_heap("live", CUTS, (box, wide), 0, 0.0))


@pytest.mark.native
def test_a_late_description_without_memory_can_be_had_later():
    """An answer that could not be described is as it was, and can be asked again."""
    held = planted()
    expected = planted_facts(_core.scan_heap("live", CUTS, (held,), 0, 0.0))
    late = _core.scan_heap("live", CUTS, (held,), 0, 0.0, describe=False)
    before_bytes = _core._native_bytes()
    failure_count = 0
    for message in failures(lambda: late.shape_count):
        assert "weigh" in message
        assert _core._native_bytes() == before_bytes
        failure_count += 1
    assert failure_count >= 8
    assert planted_facts(late) == expected


@pytest.mark.native
def test_a_loop_without_memory_can_be_found_later():
    """The answer is as it was, and can be asked again."""
    held = planted()
    graph = _core.scan_heap("live", CUTS, (held,), 0, 0.0)
    expected = graph.find_loop(0, [0], 24)
    before_bytes = _core._native_bytes()
    failure_count = 0
    for message in failures(lambda: graph.find_loop(0, [0], 24)):
        assert "loop" in message
        assert _core._native_bytes() == before_bytes
        failure_count += 1
    assert failure_count >= 4
    assert graph.find_loop(0, [0], 24) == expected


def test_scan_created_without_memory_leaves_collection_on():
    """It switches collection off for a while, and on again whatever happens."""
    memguard.scan_created(self_loop).release()
    before_bytes = _core._native_bytes()
    gc.enable()
    failure_count = 0
    for step in range(1, 10_000, 60):
        _core._fail_allocation_at(step)
        try:
            memguard.scan_created(self_loop).release()
        except MemoryError:
            failure_count += 1
        else:
            break
        finally:
            _core._fail_allocation_at(0)
        assert gc.isenabled()
        assert _core._native_bytes() == before_bytes
    assert failure_count > 3


def planted_cycles(graph):
    return set(planted_facts(graph)[0])


WHERE = pytest.mark.parametrize("from_roots", [False, pytest.param(True, marks=pytest.mark.native)])


@pytest.mark.parametrize("kind", ["garbage", "live"])
@WHERE
def test_a_scan_out_of_time_says_nothing_wrong(kind, from_roots):
    """At whichever reading of the clock it stops, what it found is part of the whole answer."""
    # So many that the clock is read several times in each pass.
    held = (planted(), *([number] for number in range(20_000)))
    planted()
    roots = held if from_roots else None
    whole = _core.scan_heap(kind, CUTS, roots, 0, 0.0)
    before_bytes = _core._native_bytes()
    assert whole.complete
    stop_count = 0
    _core._step_clock(1.0)
    try:
        for reading_count in range(1, 10_000):
            graph = _core.scan_heap(kind, CUTS, roots, 0, reading_count - 0.5)
            if graph.complete:
                break
            stop_count += 1
            assert graph.stopped_by == "budget_seconds"
            assert graph.unreachable_count in (0, whole.unreachable_count)
            assert planted_cycles(graph) <= planted_cycles(whole)
            assert graph.suspect_count == 0
    finally:
        _core._step_clock(0.0)
    assert graph.complete
    assert planted_facts(graph) == planted_facts(whole)
    assert stop_count > (0 if from_roots else 10)
    del graph
    assert _core._native_bytes() == before_bytes


@pytest.mark.parametrize("kind", ["garbage", "live"])
@WHERE
def test_a_scan_of_part_of_the_heap_says_nothing_wrong(kind, from_roots):
    """Wherever the limit falls among the youngest objects, what is claimed is so."""
    held = (planted(),)
    # Garbage that only garbage holds which is younger, and looked at later.
    owner = [planted()]
    owner.append(owner)
    del owner
    roots = held if from_roots else None
    whole = planted_cycles(_core.scan_heap(kind, CUTS, roots, 0, 0.0))
    unreachable_count = _core.scan_heap(kind, CUTS, roots, 0, 0.0).unreachable_count
    found_count = 0
    for object_count in range(1, 300):
        graph = _core.scan_heap(kind, CUTS, roots, object_count, 0.0)
        if graph.complete:
            assert from_roots
            break
        assert graph.stopped_by == "max_objects"
        assert graph.object_count == object_count
        assert graph.unreachable_count <= unreachable_count
        assert graph.suspect_count == 0
        for cycle in planted_cycles(graph):
            assert any(cycle <= complete for complete in whole)
            found_count += 1
    # Of part of a heap only what modules and frames reach is certainly live, and
    # whether roots lead back to the tuple that holds them is not known.
    is_reached = from_roots or _core.build_info()["frame_roots"]
    assert (found_count > 0) == (not from_roots if kind == "garbage" else is_reached)


@pytest.mark.native
@pytest.mark.parametrize(
    ("limit", "name"), [({"max_objects": 10}, "max_objects"), ({"budget_seconds": 1e-9}, "budget")]
)
def test_a_partial_report_says_so(limit, name):
    """In its fields, in its text and in its plain values."""
    with memguard.scan("live", **limit) as report:
        assert not report.complete
        assert report.stopped_by.startswith(name)
        assert f"Partial: stopped by {report.stopped_by}" in report.to_text()
        assert report.to_dict()["stopped_by"] == report.stopped_by
