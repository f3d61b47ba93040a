"""What to cut, held against all subsets and against rustworkx."""

import itertools

import hypothesis
import rustworkx
from hypothesis import strategies as st

from memguard.heap.feedback import FIXED, cheapest_cut, is_acyclic


@st.composite
def graphs(draw):
    """Draw a graph of up to eight nodes, whose references are of six groups or fixed."""
    size = draw(st.integers(1, 8))
    node = st.integers(0, size - 1)
    group = st.sampled_from([FIXED, 0, 1, 2, 3, 4, 5])
    edges = draw(st.lists(st.tuples(node, node, group), max_size=20))
    costs = draw(st.lists(st.integers(1, 9), min_size=6, max_size=6))
    return size, edges, costs


def has_cycle(size, edges, cut):
    graph = rustworkx.PyDiGraph()
    graph.add_nodes_from(range(size))
    graph.add_edges_from([edge for edge in edges if edge[2] not in cut])
    return not rustworkx.is_directed_acyclic_graph(graph)


def cheapest_of_all(size, edges, costs):
    subsets = itertools.chain.from_iterable(
        itertools.combinations(range(len(costs)), count) for count in range(len(costs) + 1)
    )
    enough = [subset for subset in subsets if not has_cycle(size, edges, subset)]
    return min((sum(costs[group] for group in subset) for subset in enough), default=None)


@hypothesis.given(graphs(), st.sets(st.integers(0, 5)))
def test_a_graph_is_acyclic_when_another_library_says_so(graph, cut):
    """Taking away what nothing refers to leaves exactly the graphs with a cycle."""
    size, edges, _ = graph
    assert is_acyclic(size, edges, cut) is not has_cycle(size, edges, cut)


@hypothesis.given(graphs())
def test_the_cut_is_the_cheapest_of_all_subsets(graph):
    """Of all sets of groups without which no cycle is left, none costs less."""
    size, edges, costs = graph
    cut = cheapest_cut(size, edges, costs)
    best = cheapest_of_all(size, edges, costs)
    assert (cut is None) == (best is None)
    if cut is not None:
        assert not has_cycle(size, edges, cut)
        assert sum(costs[group] for group in cut) == best


@hypothesis.given(graphs())
def test_without_search_the_cut_still_leaves_no_cycle(graph):
    """Beyond the bounds it may cost more, but is enough, and none of it is in vain."""
    from memguard.heap import feedback

    size, edges, costs = graph
    cut = feedback._any_cut(size, edges, costs)
    assert (cut is None) == (cheapest_of_all(size, edges, costs) is None)
    if cut is not None:
        assert not has_cycle(size, edges, cut)
        assert all(has_cycle(size, edges, cut - {group}) for group in cut)


def test_a_wide_graph_is_cut_within_the_bounds():
    """Forty loops through one node share one group, which is cheaper than forty."""
    loops = range(40)
    edges = [(0, 1, 40)]
    for loop in loops:
        edges += [(1, loop + 2, loop), (loop + 2, 0, FIXED)]
    assert cheapest_cut(42, edges, [5] * 41) == {40}
