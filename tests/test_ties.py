"""What the references of a cycle are to a programmer: cut for real, they are gone."""

import collections
import gc

import hypothesis
import networkx
from hypothesis import strategies as st

import memguard
from graphs import ListOf, Plain, Slotted, build, plans
from memguard.heap.component import Component
from memguard.heap.feedback import FIXED, is_acyclic
from memguard.heap.ties import TieKind

KINDS = (
    *("instance", "instance_with_dict", "slots", "list", "list_subclass", "dict_value", "dict_key"),
    *("default_dict", "ordered_dict", "set", "deque", "function", "function_dict", "cell"),
    *("namespace", "exception"),
)


class Bag(dict):
    """A dict with attributes."""


def component_of(report, cycle):
    graph = cycle.shape.graph
    return Component(graph.cycle_objects(cycle.index), graph.cycle_edges(cycle.index))


def holder_of(component, source, kind):
    """Give the object that has the attribute, where *source* may be its dict."""
    if kind is TieKind.ATTRIBUTE and type(source) is dict:
        return next(m for m in component.members if getattr(m, "__dict__", None) is source)
    return source


def remove(component, source, target, ties):
    """Do what a programmer would: delete the attribute, take the item out."""
    for tie in ties:
        holder = holder_of(component, source, tie.kind)
        if tie.kind is TieKind.ATTRIBUTE:
            delattr(holder, tie.name)
        elif tie.kind is TieKind.TRACEBACK:
            holder.__traceback__ = None
        elif tie.kind is TieKind.CHAINED:
            setattr(holder, tie.name, None)
        elif tie.kind is TieKind.CLOSURE:
            holder.cell_contents = None
        elif tie.kind is TieKind.ITEM and isinstance(holder, dict):
            for key, value in list(holder.items()):
                if key is target or value is target:
                    del holder[key]
        elif tie.kind is TieKind.ITEM and isinstance(holder, set):
            holder.discard(target)
        elif tie.kind is TieKind.ITEM:
            kept = [item for item in holder if item is not target]
            holder.clear()
            holder.extend(kept)


def referents(thing):
    return {id(child) for child in gc.get_referents(thing)}


@hypothesis.given(plans(kinds=KINDS), st.data())
def test_a_reference_is_gone_once_all_its_ties_are_cut(plan, data):
    """No other reference between the two is left, whatever names it had."""
    gc.collect()
    build(plan)
    report = memguard.scan("garbage")
    for cycle in report.cycles:
        component = component_of(report, cycle)
        edges = sorted(component.multiplicity)
        cuttable = [edge for edge in edges if component.ties(*edge)]
        if not cuttable:
            continue
        edge = data.draw(st.sampled_from(cuttable))
        source, target = (component.members[position] for position in edge)
        ties = component.ties(*edge)
        if any(tie.kind in (TieKind.FIELD, TieKind.VARIABLE) for tie in ties):
            continue
        assert id(target) in referents(source)
        remove(component, source, target, ties)
        assert id(target) not in referents(source)
    report.release()


@hypothesis.given(plans(kinds=KINDS))
def test_a_cycle_is_gone_once_the_advised_ties_are_cut(plan):
    """Cut for real, networkx finds no cycle among what were its members."""
    gc.collect()
    build(plan)
    report = memguard.scan("garbage")
    for cycle in report.cycles:
        graph = cycle.shape.graph
        chosen = advised_ties(graph, cycle.index)
        component = component_of(report, cycle)
        cut = [
            (edge, component.ties(*edge))
            for edge in component.multiplicity
            if component.ties(*edge) and chosen.issuperset(component.ties(*edge))
        ]
        if not cut or any(
            tie.kind in (TieKind.FIELD, TieKind.VARIABLE) for _, ties in cut for tie in ties
        ):
            continue
        members = component.members
        for (source, target), ties in cut:
            if id(members[target]) in referents(members[source]):
                remove(component, members[source], members[target], ties)
        known = {id(member) for member in members}
        left = networkx.DiGraph(
            (id(member), child) for member in members for child in referents(member) & known
        )
        assert networkx.is_directed_acyclic_graph(left)
    report.release()


def advised_ties(graph, index):
    from memguard.heap import advice

    chosen = []
    original = advice.words_for
    advice.words_for = lambda ties, members: chosen.extend(ties) or original(ties, members)
    try:
        advice.advise(graph, index, [index])
    finally:
        advice.words_for = original
    return set(chosen)


def only_component(function):
    with memguard.scan_created(function) as report:
        (cycle,) = report.cycles
        component = component_of(report, cycle)
        return [
            sorted((tie.kind.value, tie.name) for tie in component.ties(*edge))
            for edge in component.multiplicity
        ]


def all_ties(function):
    return sorted({tie for ties in only_component(function) for tie in ties})


def test_an_item_and_an_attribute_of_one_object_are_two_ties():
    """A subclass of a container has both."""

    def leak():
        node = ListOf()
        node.append(node)
        node.append(node)
        node.me = node

    assert all_ties(leak) == [("attribute", "me"), ("item", "[]")]


def test_a_value_and_an_attribute_of_a_dict_are_two_ties():
    """Likewise."""

    def leak():
        bag = Bag()
        bag["me"] = bag
        bag.me = bag

    assert all_ties(leak) == [("attribute", "me"), ("item", "[str]")]


def test_the_factory_of_a_dict_is_no_item():
    """It is a field of the type, which a program does not clear by emptying the dict."""

    def leak():
        made = collections.defaultdict(lambda: made)

    assert [("field", "default_factory")] in only_component(leak)


def test_a_slot_is_an_attribute():
    """Also where the class has no dict."""

    def leak():
        node = Slotted()
        node.a = node

    assert only_component(leak) == [[("attribute", "a")]]


def test_a_dict_that_belongs_to_an_instance_is_no_tie():
    """Nobody can take it away."""

    def leak():
        # A dict of its own on every version: since 3.13 one that `__dict__` gives
        # may only show the values that stay in the object.
        node = Plain()
        node.__dict__ = {"me": node}

    assert sorted(only_component(leak)) == [[], [("attribute", "me")]]


def test_a_large_cycle_is_acyclic_without_its_ties():
    """And not without less."""

    def leak():
        nodes = [Plain() for _ in range(50)]
        for one, other in zip(nodes, nodes[1:] + nodes[:1], strict=True):
            one.next = other

    with memguard.scan_created(leak) as report:
        (cycle,) = report.cycles
        component = component_of(report, cycle)
        edges = [(source, target, FIXED) for source, target in component.multiplicity]
        assert not is_acyclic(len(component.members), edges)
        assert len({tie for edge in component.multiplicity for tie in component.ties(*edge)}) == 1
