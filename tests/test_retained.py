"""What objects hold alone: against plain searches, against what cutting frees, failures."""

import gc
import random
import sys
import types
import weakref
from collections import OrderedDict, deque

import pytest

import memguard
from effort import effort
from hostile import failures, hostile_object
from memguard import _names, _owners
from memguard.errors import WrongTypeError
from memguard.heap import names
from memguard.heap.retained import retained_size, retained_sizes
from memguard.heap.retention import why_alive

pytestmark = pytest.mark.native

KINDS = [list, dict, set, deque, tuple, OrderedDict, types.SimpleNamespace]


@pytest.fixture
def app():
    """Give a module that is imported, for as long as the test lasts."""
    module = types.ModuleType("retained_app")
    sys.modules["retained_app"] = module
    yield module
    del sys.modules["retained_app"]


def reached(edges, starts, without=None):
    """Search by hand: what is reached from somewhere while one vertex is missing."""
    seen = set()
    waiting = [start for start in starts if start != without]
    while waiting:
        vertex = waiting.pop()
        if vertex not in seen:
            seen.add(vertex)
            waiting += [target for target in edges[vertex] if target != without]
    return seen


def random_edges(chance, size, most):
    return [
        [chance.randrange(size) for _ in range(chance.randrange(most + 1))] for _ in range(size)
    ]


def chain_with_shortcuts(chance, size, most):
    """A chain, which is what path compression is for, with edges that skip parts of it."""
    edges = [[place + 1] for place in range(size - 1)] + [[]]
    for _ in range(size // 4):
        source = chance.randrange(size)
        edges[source].append(min(size - 1, source + chance.randrange(1, 9)))
        edges[source].append(chance.randrange(source + 1))
    return edges


def tree(chance, size, most):
    edges = [[] for _ in range(size)]
    for place in range(1, size):
        edges[chance.randrange(place)].append(place)
    return edges


def ladder(chance, size, most):
    """Two chains with rungs both ways: whoever walks up step by step walks far."""
    half = size // 2
    edges = [[] for _ in range(size)]
    for place in range(half - 1):
        edges[place].append(place + 1)
        edges[half + place].append(half + place + 1)
        edges[place].append(half + place + 1)
        edges[half + place].append(place)
    edges[0].append(half)
    return edges


GRAPHS = [random_edges, chain_with_shortcuts, tree, ladder]


def build(edges):
    nodes = [[] for _ in edges]
    for node, targets in zip(nodes, edges, strict=True):
        node.extend(nodes[target] for target in targets)
    return nodes


def dismantle(nodes):
    for node in nodes:
        node.clear()


@pytest.mark.parametrize("make", GRAPHS)
@pytest.mark.parametrize("seed", range(6))
def test_it_is_what_a_search_without_the_object_does_not_reach(app, make, seed):
    """In graphs of many kinds the answer is that of removing each object in turn."""
    chance = random.Random(seed)
    edges = make(chance, chance.choice([7, 30, 120]), 1 + seed % 4)
    nodes = build(edges)
    starts = [0] + [chance.randrange(len(edges)) for _ in range(seed % 3)]
    app.starts = [nodes[start] for start in starts]
    everything = reached(edges, starts)
    held = retained_sizes(nodes)
    for place in everything:
        gone = everything - reached(edges, starts, without=place)
        assert held[place].retained_count == len(gone)
        assert held[place].retained_bytes == sum(sys.getsizeof(nodes[each]) for each in gone)
    app.starts.clear()
    dismantle(nodes)


@pytest.mark.parametrize("seed", range(effort(4, 1)))
def test_it_is_what_cutting_the_only_reference_frees(app, seed):
    """Of an object with one reference it is what `why_alive` says that cutting it frees."""
    chance = random.Random(seed)
    edges = tree(chance, 30, 0)
    paths = {0: []}
    for place, targets in enumerate(edges):
        for index, target in enumerate(targets):
            paths[target] = [*paths[place], index]
    for _ in range(8):
        edges[chance.randrange(30)].append(chance.randrange(30))
    app.start = build(edges)[0]
    compared = 0
    for place, path in paths.items():
        if sum(targets.count(place) for targets in edges) == 1:
            thing = app.start
            for index in path:
                thing = thing[index]
            cut, size = why_alive(thing), retained_size(thing)
            assert (cut.freed_count, cut.freed_bytes) == (size.retained_count, size.retained_bytes)
            compared += 1
    assert compared > 10


def test_what_others_hold_too_is_not_counted(app):
    """Two objects that share one hold it neither; who holds both does."""
    shared = bytearray(1_000_000)
    one, other = [shared], [shared]
    app.both = [one, other]
    del shared
    assert [each.retained_count for each in retained_sizes([one, other])] == [1, 1]
    del one, other
    size = retained_size(app.both)
    assert size.retained_count == 4
    assert size.retained_bytes > 1_000_000
    assert str(size).endswith("in 4 objects")


def test_what_the_collector_does_not_track_is_counted_where_its_holders_meet(app):
    """Texts, and dicts and tuples of texts, go with what holds them, however often."""
    text = "".join(["x"] * 5_000)
    message = {"role": "user", "content": text}
    app.history = [message, [message], (text,)]
    gc.collect()
    expected = sum(map(sys.getsizeof, [app.history, message, app.history[1], (text,), text]))
    assert not gc.is_tracked(message) or sys.version_info >= (3, 14)
    del text, message
    size = retained_size(app.history)
    assert size.retained_count == 5
    assert size.retained_bytes == pytest.approx(expected, abs=32)


def test_a_text_that_is_held_elsewhere_is_not_counted(app):
    """One reference more, from anywhere, and a text counts for nobody."""
    text = "".join(["y"] * 5_000)
    app.history = [text, [text]]
    assert retained_size(app.history).retained_bytes < 5_000
    del text
    assert retained_size(app.history).retained_bytes > 5_000


def test_what_is_not_tracked_has_a_size_itself():
    """A text or a tuple of texts can be asked about."""
    text = "".join(["z"] * 700)
    assert retained_size(text).retained_bytes == sys.getsizeof(text)
    assert retained_size(text).retained_count == 1
    kept = tuple("".join([letter] * 700) for letter in "ab")
    gc.collect()
    assert not gc.is_tracked(kept)
    assert retained_size(kept).retained_count == 3


def test_an_object_that_only_the_question_holds_has_its_size():
    """What was made for the call, and garbage cycles around it, are measured as if it were held."""
    made = retained_size([[], [[]]])
    assert made.retained_count == 4

    class Node:
        pass

    node = Node()
    node.loop = node
    node.part = [bytearray(300)]
    reference = weakref.ref(node)
    del node
    objects = [each for each in gc.get_objects() if type(each) is Node]
    assert retained_size(objects.pop()).retained_bytes > 300
    gc.collect()
    assert reference() is None


def test_a_garbage_cycle_holds_nothing(app):
    """Garbage that refers to an object does not take part in holding it."""
    part = [bytearray(10)]
    app.keeper = [part]
    waste = [part]
    waste.append(waste)
    del waste, part
    assert retained_size(app.keeper).retained_count == 3


def test_a_variable_of_a_caller_holds():
    """What a running frame has in a variable is held by it, too."""

    def ask(outer):
        return retained_size(outer)

    inner = [[]]
    outer = [inner, [[]]]
    assert ask(outer).retained_count == 3
    assert inner


def test_many_kinds_of_objects_agree_with_the_collector(app):
    """Whatever the type of a holder, what it retains goes when it goes."""

    class Kept:
        pass

    for kind in KINDS:
        parts = [Kept() for _ in range(5)]
        references = [weakref.ref(part) for part in parts]
        if kind in (dict, OrderedDict):
            app.holder = kind(enumerate(parts))
        elif kind is types.SimpleNamespace:
            app.holder = kind(parts=parts)
        else:
            app.holder = kind(parts)
        del parts
        assert retained_size(app.holder).retained_count >= 6, kind
        del app.holder
        assert not any(reference() for reference in references)


def test_a_list_nested_a_million_deep_is_measured(app):
    """Neither the search nor the dominators use the C stack."""
    count = 1_000_000
    nested = []
    for _ in range(count):
        nested = [nested]
    app.nested = nested
    del nested
    assert retained_size(app.nested).retained_count == count + 1
    while app.nested:
        app.nested = app.nested.pop()


def test_frozen_objects_are_measured(app):
    """What gc.freeze() put aside is looked at, too."""
    app.kept = [[[]]]
    gc.freeze()
    try:
        assert retained_size(app.kept).retained_count == 3
    finally:
        gc.unfreeze()


def test_many_are_asked_at_once_in_their_order(app):
    """A batch gives each object's answer at its place; one object twice is answered twice."""
    first, second = [[]], [[], []]
    app.both = [first, second]
    counts = [each.retained_count for each in memguard.retained_sizes([second, first, second])]
    assert counts == [3, 2, 3]
    assert memguard.retained_sizes([]) == ()
    with pytest.raises(WrongTypeError):
        memguard.retained_sizes(1)


def test_every_failing_allocation_is_survived(app):
    """Whichever allocation fails, the call says so, leaks nothing, and works again."""
    text = "".join(["t"] * 50)
    app.kept = [[text], (text, text), {"a": text}]
    del text
    gc.collect()
    expected = retained_size(app.kept)
    found = []
    assert len([*failures(lambda: found.append(retained_size(app.kept)))]) > 20
    assert found == [expected]
    assert retained_size(app.kept) == expected


def test_hostile_classes_are_not_run(app):
    """No method of an object that is looked at is called."""
    hostile = hostile_object(kept=[bytearray(2_000)])
    app.hostile = hostile
    assert retained_size(hostile).retained_bytes > 2_000


def test_no_trace_is_left(app):
    """Counts of references and tracked objects are as before, and no dict was made."""

    class Thing:
        pass

    thing = Thing()
    thing.part = 1
    app.kept = [thing]
    retained_size(app.kept)
    counts = sys.getrefcount(thing), sys.getrefcount(app.kept), sys.getrefcount(app)
    had_dict = _names.instance_dict(thing) is not None
    gc.collect()
    tracked = len(gc.get_objects())
    retained_size(app.kept)
    gc.collect()
    assert len(gc.get_objects()) == tracked
    assert (sys.getrefcount(thing), sys.getrefcount(app.kept), sys.getrefcount(app)) == counts
    assert (_names.instance_dict(thing) is not None) == had_dict


def test_numbers_that_do_not_go_together_are_refused():
    """An owner that is not there, or more owners than objects, is an error."""
    with pytest.raises(ValueError, match="no owner"):
        _owners.weigh_owners(([],), names.OWN_FOLDER, [1], [0])
    with pytest.raises(ValueError, match="more owners"):
        _owners.weigh_owners((), names.OWN_FOLDER, [0], [0])
