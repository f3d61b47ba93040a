"""Who holds it, where there is very much of something, or where it is still being made."""

import functools
import gc
import itertools
import sys
import threading
import types
from collections import Counter, OrderedDict, defaultdict, deque

import pytest

from effort import part
from memguard import _retention
from memguard.heap import ways
from memguard.heap.retention import who_holds, why_alive

pytestmark = pytest.mark.native


class Thing:
    """What is asked about."""

    next = None


@pytest.fixture
def app():
    """Give a module that is imported, for as long as the test lasts."""
    module = types.ModuleType("scaled_app")
    sys.modules["scaled_app"] = module
    yield module
    del sys.modules["scaled_app"]


def _chain(length):
    first = last = Thing()
    for _ in range(length):
        last.next = Thing()
        last = last.next
    return first, last


def _take_apart(thing):
    # One that dies by itself from its first end would go deep into the stack.
    while thing is not None:
        following, thing.next = thing.next, None
        thing = following


@pytest.mark.parametrize("paths", [1, 2])
def test_a_way_of_very_many_steps_is_told_by_its_ends(app, paths):
    """The text says how many are left out, and is as short for a long chain as for another."""
    app.FIRST, last = _chain(200_000)
    app.LAST_KEPT = _chain(3)
    app.LAST_KEPT[1].next = last
    app.LAST_KEPT = None
    try:
        (text,) = why_alive(last, paths=paths).paths
        assert text.startswith("scaled_app.FIRST.next -> ")
        assert "(199940 more)" in text
        assert text.endswith(f" -> {__name__}.Thing")
        assert len(text) < 1000
    finally:
        _take_apart(app.FIRST)


def test_how_far_along_a_chain_it_is_does_not_make_another_holder(app):
    """Things of one chain are counted together."""
    app.FIRST, last = _chain(9)
    things = [app.FIRST.next.next.next.next.next, last]
    del last
    assert who_holds(things).holders == ((f"{__name__}.Thing.next", 2),)


def test_ways_to_each_of_a_long_chain_share_its_middle(app):
    """What the answer takes grows with the ways, not with the steps of all of them."""
    app.FIRST, _ = _chain(5000)
    things = []
    thing = app.FIRST
    while thing is not None:
        things.append(thing)
        thing = thing.next
    del thing
    asked = (things, *things)
    found, *_ = _retention.find_ways(asked, ways._OWN_FOLDER, 1, True)
    assert len(found) == 5001
    for place, _, objects, hidden_count in found:
        # sys.modules, the module and its dict come before the first one.
        assert len(objects) + hidden_count == place + 4
        assert len(objects) <= 64
        halves = (objects[:32], objects[32:]) if hidden_count else (objects,)
        for source, target in itertools.chain.from_iterable(map(itertools.pairwise, halves)):
            assert any(each is target for each in gc.get_referents(source))
        assert objects[-1] is things[place]
    objects = halves = source = target = found = None
    _take_apart(app.FIRST)


def _cached(things):
    @functools.lru_cache(maxsize=1000)
    def find(number):
        return things[number]

    for number in range(len(things)):
        find(number)
    return find


@pytest.mark.parametrize(
    "keep",
    [
        list,
        tuple,
        set,
        frozenset,
        deque,
        lambda things: dict(enumerate(things)),
        lambda things: dict.fromkeys(things, 1),
        lambda things: {**dict(enumerate(things[:3])), **dict(zip("abc", things, strict=False))},
        lambda things: OrderedDict(enumerate(things)),
        lambda things: defaultdict(list, enumerate(things)),
        Counter,
        lambda things: type("Own", (dict,), {})(enumerate(things)),
        lambda things: type("Own", (list,), {})(things),
        lambda things: {"several": [things, tuple(things[:2])]},
        lambda things: types.SimpleNamespace(**{f"n{i}": each for i, each in enumerate(things)}),
        lambda things: functools.partial(print, *things, last=things[0]),
        lambda things: lambda a=things[0], b=things[1]: (a, b),
        lambda things: [[[[each]]] for each in things],
        lambda things: [{"a": each} for each in things],
        lambda things: [type("Each", (), {"kept": each}) for each in things],
        _cached,
    ],
)
def test_many_are_called_as_each_by_itself(app, keep):
    """Words that ways have in common are found once, and are those of each."""
    things = [*(Thing() for _ in range(5)), deque(), len, Thing, 12345678, gc, "a text", []]
    if keep not in (list, tuple, deque):
        things = [each for each in things if type(each).__hash__]
    app.KEPT = [[keep(things)]]
    # What is asked with is no holder, but what the test has in other variables is.
    of_each = {}
    for place in part(range(len(things)), 4):
        of_each[place] = ways.find_ways([things[place]], things).ways[0]
    of_many = ways.find_ways(things, things).ways
    assert of_each == {place: of_many[place] for place in of_each}
    assert of_each[0]


def _make_tuple(length, ask):
    """Have a tuple made, which asks at its last item but one, after it has one to ask about."""
    answers = []
    kept = [Thing()]

    def items():
        yield kept[0]
        kept[0] = [kept[0]]
        for number in range(length - 2):
            yield [number]
        answers.append(ask(kept.pop().pop()))
        yield []

    return tuple(items()), answers[0]


COLLECTS_FIRST = pytest.mark.skipif(
    sys.version_info >= (3, 14), reason="tuple() makes a tuple of all items at once"
)


@COLLECTS_FIRST
@pytest.mark.parametrize("length", [5, 70, 500])
def test_a_tuple_that_is_being_made_is_looked_into(length):
    """Places without an item are passed over, and it can be finished."""
    made, answer = _make_tuple(length, why_alive)
    assert len(made) == length
    assert answer.paths == (f"1 reference that no object explains -> tuple[0] -> {__name__}.Thing",)
    assert answer.holder == "C code, by tuple"
    assert answer.freed_count == 1
    _, answer = _make_tuple(length, lambda thing: who_holds([thing, thing]))
    assert answer.holders == (("C code, by tuple", 2),)


@COLLECTS_FIRST
@pytest.mark.parametrize("ask", [why_alive, lambda thing: who_holds([thing]).retentions[0]])
def test_a_long_way_from_a_tuple_that_is_being_made_is_told_by_its_ends(ask):
    """What stands for the tuple is one of the first end."""
    answers = []
    chain = [*_chain(200)]

    def items():
        yield chain.pop(0)
        answers.append(ask(chain.pop()))

    (first,) = items_made = tuple(items())
    assert len(items_made) == 1
    (text,) = answers[0].paths
    assert text.startswith("1 reference that no object explains -> tuple[0] -> ")
    # The tuple and 201 things, of which 32 at each end are told.
    assert " (138 more) -> " in text
    assert f"{__name__}.Thing.next (30 times) -> {__name__}.Thing -> (138" in text
    assert text.endswith(f"{__name__}.Thing.next (31 times) -> {__name__}.Thing")
    _take_apart(first)


def test_a_tuple_that_is_being_made_can_be_finished_meanwhile(monkeypatch):
    """Another thread enlarges it while its ways are put into words: nobody else may hold it."""
    made, has_one, may_go_on = [], threading.Event(), threading.Event()
    thing = Thing()

    def items():
        yield thing
        has_one.set()
        may_go_on.wait()
        yield from range(100)

    thread = threading.Thread(target=lambda: made.append(tuple(items())))
    thread.start()
    has_one.wait()
    words = ways.Wording

    def wait_and_word(found):
        may_go_on.set()
        thread.join()
        return words(found)

    monkeypatch.setattr(ways, "Wording", wait_and_word)
    answer = why_alive(thing)
    thread.join()
    assert [len(each) for each in made] == [101]
    assert answer.paths
