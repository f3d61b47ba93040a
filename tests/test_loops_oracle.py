"""The loop of a cycle, compared with all loops that plain Python finds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphs import Vertex
from memguard import _core
from memguard.heap.loops import LONGEST_NAMED_LOOP

CUTS = 15


class Marked(Vertex):
    """Vertices of another class."""


@st.composite
def planned_graphs(draw):
    """Draw, for up to nine vertices, their class and where their edges lead."""
    size = draw(st.integers(1, 9))
    vertex = st.integers(0, size - 1)
    edges = st.lists(vertex, max_size=4, unique=True)
    return [(draw(st.booleans()), draw(edges)) for _ in range(size)]


def build(plan):
    vertices = [(Marked if is_marked else Vertex)() for is_marked, _ in plan]
    for vertex, (_, targets) in zip(vertices, plan, strict=True):
        vertex.extend(vertices[target] for target in targets)
    return vertices


def full_name(cls):
    return f"{cls.__module__}.{cls.__qualname__}"


def loops_through(start, members):
    """Give every shortest loop as the indexes of its edges and the classes they lead to."""
    found = []
    layer = [([], start)]
    seen = set()
    while layer and not found:
        further = []
        for steps, vertex in layer:
            for index, target in enumerate(vertex):
                step = (index, full_name(type(target)))
                if target is start:
                    found.append([*steps, step])
                elif id(target) in members and id(target) not in seen:
                    further.append(([*steps, step], target))
        seen |= {id(vertex) for _, vertex in further}
        layer = further
    return found


@pytest.mark.native
@given(planned_graphs())
def test_the_loop_is_the_first_of_the_shortest(plan):
    """By length, then edge by edge: its label, then the class that it leads to."""
    vertices = build(plan)
    graph = _core.scan_heap("live", CUTS, (vertices,), 0, 0.0)
    for cycle in range(graph.cycle_count):
        members = graph.cycle_objects(cycle)
        ids = {id(member) for member in members}
        for cls in {type(member) for member in members}:
            starts = [member for member in members if type(member) is cls]
            candidates = [loop for start in starts for loop in loops_through(start, ids)]
            first = min(candidates, key=lambda loop: (len(loop), loop))
            positions = [place for place, member in enumerate(members) if type(member) is cls]
            for given_starts in (cls, positions):
                objects, labels, hidden_count = graph.find_loop(
                    cycle, given_starts, LONGEST_NAMED_LOOP
                )
                assert labels == [f"[{index}]" for index, _ in first]
                assert [full_name(type(item)) for item in objects[1:]] == [
                    name for _, name in first
                ]
                assert (objects[0] is objects[-1], hidden_count) == (True, 0)
                for source, index, target in zip(
                    objects, (index for index, _ in first), objects[1:], strict=False
                ):
                    assert source[index] is target


def ring_of(size):
    vertices = [Vertex() for _ in range(size)]
    for vertex, following in zip(vertices, [*vertices[1:], vertices[0]], strict=True):
        vertex.append(following)
    return vertices


def test_what_is_not_wanted_of_a_long_loop_is_counted():
    """The first references and the target of the last of them are given."""
    vertices = ring_of(1_000)
    graph = _core.scan_heap("live", CUTS, (vertices[0],), 0, 0.0)
    objects, labels, hidden_count = graph.find_loop(0, Vertex, 24)
    assert (len(objects), labels, hidden_count) == (25, ["[0]"] * 24, 976)
    assert objects[24] is objects[23][0]


def test_the_search_in_a_large_cycle_ends():
    """A thousand vertices that all refer to each other are a million references."""
    vertices = [Vertex() for _ in range(1_000)]
    for vertex in vertices:
        vertex.extend(vertices)
    graph = _core.scan_heap("live", CUTS, (vertices[0],), 0, 0.0)
    assert graph.cycle_facts(0)[0] == 1_000
    assert len(graph.find_loop(0, Vertex, 24)[1]) == 1


class Listed(list):
    """A list with a class of its own."""


class Child:
    """Gets one attribute only: with many a class gives each instance a dict of its own."""


def numbered(children):
    return dict(enumerate(children))


@pytest.mark.parametrize("container", [list, numbered, set, Listed])
def test_a_parent_of_very_many_children_is_described(container):
    """Looking for each child among all others would take minutes here."""
    parent = Marked()
    children = [Child() for _ in range(200_000)]
    for child in children:
        child.parent = parent
    parent.append(container(children))
    graph = _core.scan_heap("live", CUTS, (parent,), 0, 0.0)
    assert graph.cycle_size(0) == 200_002
    assert graph.find_loop(0, Marked, 24)[1][0] == "[0]"


def test_a_dict_that_was_emptied_is_looked_through_no_more_often():
    """A walk over it passes what was deleted, as it would for every child."""
    parent = Marked()
    children = dict.fromkeys(range(4_000_000))
    for number in range(4_000_000):
        del children[number]
    parent.append(children)
    for number in range(60):
        children[number] = Child()
        children[number].parent = parent
    graph = _core.scan_heap("live", CUTS, (parent,), 0, 0.0)
    assert graph.find_loop(0, Marked, 24)[1] == ["[0]", "[int]", ".parent"]


def test_a_start_outside_the_cycle_is_refused():
    """Positions count from the first member of the cycle."""
    vertices = ring_of(2)
    graph = _core.scan_heap("live", CUTS, (vertices[0],), 0, 0.0)
    with pytest.raises(IndexError, match="member 2 of 2"):
        graph.find_loop(0, [2], 24)


def test_a_cycle_that_was_taken_apart_has_no_loop():
    """Described late, the answer knows the members and what they refer to then."""
    vertices = ring_of(2)
    graph = _core.scan_heap("live", CUTS, (vertices[0],), 0, 0.0, describe=False)
    vertices[0].clear()
    assert graph.find_loop(0, Vertex, 24) == ([], [], 0)
