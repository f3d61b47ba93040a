"""Live cycles, held against an independent search for components."""

import gc

import hypothesis
import pytest

import memguard
from graphs import Plain, Vertex, build, plans, self_loop
from memguard import _core
from oracles import components, reached_from
from process import run_fresh

# What is frozen is in no list of the interpreter, from which the search begins.
pytestmark = pytest.mark.whole_heap

# Thirteen small directed graphs and their components of more than one vertex;
# "1>2" is an edge. The last two are the examples in Tarjan's and in Gabow's
# papers, the others those with which refcycle tests itself, as facts.
KNOWN_GRAPHS = [
    ("", []),
    ("1>1", ["1"]),
    ("1>2", []),
    ("1>2 2>1", ["12"]),
    ("1>2 2>3", []),
    ("1>2 2>3 3>1", ["123"]),
    ("1>1 1>2 2>2", ["1", "2"]),
    ("1>2 2>1 2>3 3>4 4>3", ["12", "34"]),
    ("1>2 2>1 1>3 3>1", ["123"]),
    ("1>2 2>3 3>2 3>4 4>5 5>4", ["23", "45"]),
    ("1>2 1>3 2>4 3>4", []),
    ("1>2 2>3 2>8 3>4 3>7 4>5 5>3 5>6 7>4 7>6 8>1 8>7", ["128", "3457"]),
    ("1>2 1>3 2>3 2>4 4>3 4>5 5>2 5>6 6>3 6>4", ["2456"]),
]


@pytest.mark.native
@pytest.mark.parametrize(("edges", "expected"), KNOWN_GRAPHS)
def test_known_graphs_have_their_known_components(edges, expected):
    """Published graphs give their published components."""
    pairs = [edge.split(">") for edge in edges.split()]
    vertices = {name: Vertex() for pair in pairs for name in pair}
    for source, target in pairs:
        vertices[source].append(vertices[target])
    names = {id(vertex): name for name, vertex in vertices.items()}
    report = memguard.scan("live", types=[Vertex], explain=False)
    found = ["".join(sorted(names[key] for key in cycle.object_ids)) for cycle in report.cycles]
    assert sorted(found) == expected


@hypothesis.given(plans())
def test_live_cycles_from_roots_equal_an_independent_search(plan):
    """Components among live objects, after the cuts, are those that rustworkx finds."""
    held = build(plan)
    expected = components(reached_from(held), cut=True)
    from_roots = memguard.scan("live", roots=held, explain=False)
    assert {frozenset(cycle.object_ids) for cycle in from_roots.cycles} == expected


# Each example searches all that a test run has loaded.
@hypothesis.settings(max_examples=hypothesis.settings.default.max_examples // 5)
@hypothesis.given(plans())
def test_live_cycles_are_found_in_the_whole_process_too(plan):
    """They are among those that are reported without roots."""
    held = build(plan)
    expected = components(reached_from(held), cut=True)
    report = memguard.scan("live", explain=False)
    assert expected <= {frozenset(cycle.object_ids) for cycle in report.cycles}


def test_all_live_cycles_of_this_process_equal_an_independent_search():
    """Over the whole heap of a test run, the components are the same."""
    planted = self_loop()
    with memguard.scan("live", explain=False) as report:
        found = {frozenset(cycle.object_ids) for cycle in report.cycles}
    expected = components(gc.get_objects(), cut=True)
    # What came and went between the two looks belongs to the test itself.
    assert len(found ^ expected) <= 2
    assert frozenset([id(planted)]) in found & expected


def test_garbage_is_not_reported_as_live():
    """A cycle that nothing holds is garbage only."""
    dropped = Plain()
    dropped.me = dropped
    del dropped
    assert memguard.scan("live", types=[Plain]).cycles == ()


def test_a_cycle_held_only_by_a_local_variable_is_live():
    """Variables of running functions hold what they refer to."""
    local = self_loop()
    (cycle,) = memguard.scan("live", types=[Vertex]).cycles
    assert cycle.object_ids == (id(local),)


def test_a_cycle_held_only_by_c_code_is_live():
    """So do places that no Python code can see."""
    hidden = Plain()
    hidden.me = hidden
    iterator = map(None, [hidden])
    del hidden
    assert len(memguard.scan("live", types=[Plain]).cycles) == 1
    assert iterator is not None


def test_a_cycle_that_only_a_class_attribute_holds_is_live():
    """Cut references still keep what they refer to alive."""

    class Registry:
        held = Plain()

    Registry.held.me = Registry.held
    assert len(memguard.scan("live", types=[Plain]).cycles) == 1


def test_undoing_the_cuts_shows_the_component_of_everything():
    """Without cuts the heap is one large component; with them it is not.

    In a process of its own: the tests of one run, which pytest ties together,
    are a component that grows with every test that is written.
    """
    printed = run_fresh(
        """
        import memguard

        uncut = memguard.scan("live", cuts=(), explain=False)
        cut = memguard.scan("live", explain=False)
        print(len(uncut.cuts))
        for report in (uncut, cut):
            sizes = [cycle.size for cycle in report.cycles]
            print(max(sizes, default=0), report.object_count)
        """
    )
    cut_count, uncut_size, uncut_count, cut_size, cut_object_count = map(int, printed.split())
    assert cut_count == 0
    assert uncut_size > uncut_count // 4
    assert cut_size < cut_object_count // 20


def test_a_cycle_through_a_class_is_found_when_that_cut_is_undone():
    """An instance that its own class holds is a cycle through the class."""

    class Single:
        pass

    Single.instance = Single()
    keep = {memguard.Cut.MODULES, memguard.Cut.MODULE_DICTS}
    assert memguard.scan("live", types=[Single], explain=False).cycles == ()
    found = memguard.scan("live", types=[Single], cuts=keep, explain=False)
    assert len(found.cycles) == 1
    still_cut = {*keep, memguard.Cut.INSTANCE_TYPES}
    assert memguard.scan("live", types=[Single], cuts=still_cut, explain=False).cycles == ()


def test_roots_that_are_cut_are_followed():
    """A class or module given as a root is meant with what it holds."""

    class Registry:
        held = Plain()

    Registry.held.me = Registry.held
    assert len(memguard.scan("live", roots=[Registry]).cycles) == 1


def test_garbage_from_roots_discounts_the_argument_itself():
    """Objects that only `roots` holds would be free without it."""
    assert memguard.scan("garbage", roots=[self_loop()]).unreachable_count == 1
    assert memguard.scan("garbage", roots=(self_loop(),)).unreachable_count == 1
    held = self_loop()
    assert memguard.scan("garbage", roots=[held]).unreachable_count == 0


@pytest.mark.parametrize("give", [tuple, list])
def test_roots_that_lead_back_to_where_they_are_kept_are_counted_once(give):
    """The list of an owner's children holds each of them in the heap, not for the call."""
    child = Plain()
    child.siblings = give([child])
    report = memguard.scan("garbage", roots=child.siblings)
    assert (report.cycle_count, report.suspect_count) == (0, 0)


def test_of_roots_only_what_their_list_holds_is_discounted():
    """It may iterate over other objects than its own; those are held by others, too."""
    held = self_loop()

    class Elsewhere(list):
        def __iter__(self):
            return iter((held,))

    assert memguard.scan("garbage", roots=Elsewhere()).unreachable_count == 0


def test_roots_that_were_taken_out_of_their_list_meanwhile_are_held():
    """As another thread may do between reading the list and looking at the heap."""
    roots = [self_loop()]
    taken = []

    class Limit:
        def __index__(self):
            taken.append(roots.pop())
            return 100

    report = memguard.scan("garbage", roots=roots, max_objects=Limit())
    assert (report.unreachable_count, len(taken)) == (0, 1)


@pytest.mark.parametrize("give", [tuple, list, set, frozenset])
def test_what_holds_the_roots_counts_when_a_limit_hides_whether_they_lead_to_it(give):
    """A claim of garbage has to be certain, also of a part of the heap."""
    child = Plain()
    child.siblings = siblings = give([child])
    del child
    report = memguard.scan("garbage", roots=siblings, max_objects=1)
    assert (report.complete, report.unreachable_count) == (False, 0)


@pytest.mark.parametrize("describe", [True, False])
def test_a_reference_that_is_cut_is_none_of_the_edges_of_a_cycle(describe):
    """Whether cycles are grouped in the scan or later: from an instance to its class."""

    class Owner:
        pass

    owner = Owner()
    owner.classes = [Owner]
    Owner.owner = owner
    graph = _core.scan_heap("live", _core.CUT_INSTANCE_TYPES, (owner,), 0, 0.0, describe=describe)
    cycles = [graph.cycle_ids(index) for index in range(graph.cycle_count)]
    ((index, ids),) = [(i, ids) for i, ids in enumerate(cycles) if id(owner) in ids]
    assert id(Owner) in ids
    assert (ids.index(id(owner)), ids.index(id(Owner))) not in graph.cycle_edges(index)
