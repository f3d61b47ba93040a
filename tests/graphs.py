"""Random object graphs with references of every kind."""

import collections
import functools
import types
from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import strategies as st


class Plain:
    """An ordinary instance."""


class Vertex(list):
    """A vertex; its items are where its edges lead."""


def self_loop() -> Vertex:
    """Make a cycle of one object, always: instances may gain a dict of their own."""
    vertex = Vertex()
    vertex.append(vertex)
    return vertex


class Slotted:
    """Attributes in slots."""

    __slots__ = ("__weakref__", "a", "b", "c", "d", "e", "f")


class ListOf(list):
    """A list with attributes."""


def _attribute(node, number, target):
    setattr(node, f"reference_{number}", target)


def _slot(node, number, target):
    setattr(node, "abcdef"[number % 6], target)


def _materialised():
    node = Plain()
    node.first = None
    _ = node.__dict__
    return node


def _function():
    captured = []

    def function():
        return captured

    return function


def _closure(node, number, target):
    node.__closure__[0].cell_contents.append(target)


def _cell(node, number, target):
    node.cell_contents = target


def _set_add(node, number, target):
    try:
        node.add(target)
    except TypeError:  # not hashable: no such reference
        node.add((id(target), number))


def _dict_key(node, number, target):
    try:
        node[target] = number
    except TypeError:
        node[number] = target


def _method(node, number, target):
    node.__self__.append(target)


def _partial(node, number, target):
    node.args[0].append(target)


def _exception(node, number, target):
    if isinstance(target, BaseException):
        node.__context__ = target
    else:
        node.args = (*node.args, target)


def _raise_and_catch():
    try:
        raise ValueError
    except ValueError as error:
        return error


KINDS: dict[str, tuple[Callable[[], object], Callable[[object, int, object], object]]] = {
    "instance": (Plain, _attribute),
    "instance_with_dict": (_materialised, _attribute),
    "slots": (Slotted, _slot),
    "list": (list, lambda node, _n, target: node.append(target)),
    "list_subclass": (ListOf, lambda node, _n, target: node.append(target)),
    "dict_value": (dict, lambda node, n, target: node.__setitem__(n, target)),
    "dict_key": (dict, _dict_key),
    "default_dict": (lambda: collections.defaultdict(int), _dict_key),
    "ordered_dict": (collections.OrderedDict, lambda node, n, target: node.__setitem__(n, target)),
    "set": (set, _set_add),
    "deque": (collections.deque, lambda node, _n, target: node.append(target)),
    "tuple": (lambda: ([],), lambda node, _n, target: node[0].append(target)),
    "function": (_function, _closure),
    "function_dict": (_function, _attribute),
    "cell": (lambda: types.CellType(None), _cell),
    "method": (lambda: ListOf().append, _method),
    "bound_method": (lambda: types.MethodType(len, []), _method),
    "partial": (lambda: functools.partial(len, []), _partial),
    "namespace": (types.SimpleNamespace, _attribute),
    "exception": (_raise_and_catch, _exception),
    "class": (lambda: type("Made", (), {}), _attribute),
    "mapping_proxy": (
        lambda: types.MappingProxyType({"list": []}),
        lambda node, _n, target: node["list"].append(target),
    ),
    "property": (
        lambda: property(_function()),
        lambda node, _n, target: node.fget.__closure__[0].cell_contents.append(target),
    ),
}


@dataclass(frozen=True)
class Plan:
    """A graph to be built: kinds of nodes, references, and which are held."""

    kinds: tuple[str, ...]
    references: tuple[tuple[int, int], ...]
    held: frozenset[int]


@st.composite
def plans(draw, kinds=tuple(KINDS)):
    """Draw a plan of up to a dozen nodes."""
    size = draw(st.integers(1, 12))
    node = st.integers(0, size - 1)
    return Plan(
        tuple(draw(st.lists(st.sampled_from(kinds), min_size=size, max_size=size))),
        tuple(draw(st.lists(st.tuples(node, node), max_size=30))),
        draw(st.frozensets(node, max_size=3)),
    )


def build(plan: Plan) -> list[object]:
    """Make the objects of a plan, and give those that stay held."""
    nodes = [KINDS[kind][0]() for kind in plan.kinds]
    for number, (source, target) in enumerate(plan.references):
        KINDS[plan.kinds[source]][1](nodes[source], number, nodes[target])
    return [nodes[number] for number in sorted(plan.held)]
