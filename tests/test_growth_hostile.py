"""Heaps that lie, change and run out of memory do not disturb a look for growth."""

import collections
import functools
import gc
import itertools
import struct
import sys
import threading
import types
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st

import memguard
from hostile import failures
from memguard import _core, _growth
from memguard.heap.growth import entries

RECORD = struct.Struct("=6Q")
numbers = itertools.count()


def fail(*_):
    raise AssertionError("code of the program ran")


class LyingMeta(type):
    """Its classes fail when they are compared, hashed, named or asked for subclasses."""

    __eq__ = __hash__ = __repr__ = __instancecheck__ = __subclasscheck__ = fail
    __name__ = property(fail)


LIES = dict.fromkeys(
    [
        *("__len__", "__iter__", "__reversed__", "__getitem__", "__contains__", "__eq__"),
        *("__repr__", "__bool__", "__getattribute__", "__sizeof__"),
        *("keys", "values", "items", "copy", "index", "count"),
    ],
    fail,
)


def lying(base):
    """Make a class of it that fails whatever it is asked."""
    return LyingMeta("Lying", (base,), {**LIES, "__hash__": fail, "__class__": property(fail)})


ADD = {
    dict: lambda it, number: dict.__setitem__(it, number, [number]),
    collections.OrderedDict: lambda it, number: dict.__setitem__(it, number, [number]),
    collections.defaultdict: lambda it, number: dict.__setitem__(it, number, [number]),
    list: lambda it, number: list.append(it, [number]),
    collections.deque: lambda it, number: collections.deque.append(it, [number]),
    set: lambda it, number: set.add(it, number),
}


@pytest.mark.native
@pytest.mark.parametrize("base", ADD, ids=lambda base: base.__name__)
def test_a_container_that_fails_whatever_it_is_asked_is_named_all_the_same(base):
    """It is read by the struct of its built-in base, and its class by its own."""
    store = lying(base)()

    def run():
        ADD[base](store, next(numbers))

    [finding] = memguard.growth(run, 12).findings
    assert (finding.entries_per_run, finding.entry_count) == (1.0, 22)


class LyingReference(weakref.ref):
    """A weak reference that fails when it is called or compared."""

    __call__ = __eq__ = __repr__ = fail
    __hash__ = None


@pytest.mark.native
def test_weak_references_are_not_asked():
    """They are known by their type."""
    kept, noted = [], []

    class Thing(metaclass=LyingMeta):
        pass

    def run():
        kept.append(Thing())
        noted.append(LyingReference(kept[-1]))

    [finding] = memguard.growth(run, 12).findings
    assert finding.name.endswith(".kept")
    assert [name.rpartition(".")[2] for name in finding.also] == ["noted"]


@pytest.mark.native
def test_looks_while_others_change_what_is_looked_at():
    """Threads fill, empty and replace containers of all kinds, and drop them."""
    ended = threading.Event()
    shared = {"weak": weakref.WeakValueDictionary(), "keys": weakref.WeakKeyDictionary()}

    @functools.lru_cache(maxsize=50)
    def cached(number):
        return [number]

    class Thing:
        pass

    def change():
        while not ended.is_set():
            number = next(numbers)
            thing = shared[number % 97] = Thing()
            shared["weak"][number % 89] = shared["keys"][thing] = thing
            shared["keys"].pop(thing, None)
            for make in (dict, list, collections.deque, collections.OrderedDict):
                shared[make] = make()
            shared[dict].update(dict.fromkeys(range(number % 50)))
            shared[list].extend([number] * (number % 50))
            cached(number)
            shared.pop(number % 83, None)

    threads = [threading.Thread(target=change) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        tracker = memguard.GrowthTracker("run")
        leak = []
        for number in range(30):
            leak += [[number]] * 5
            tracker.observe(number)
            report = tracker.report()
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert any(finding.name.endswith(".leak") for finding in report.findings)


@pytest.mark.native
def test_a_look_from_a_finalizer_and_from_a_weak_callback():
    """While an object dies, and while the collector takes a cycle apart."""
    looks = []

    class Looking:
        def __del__(self):
            looks.append(_growth.Census(1, 100).take())

    def call_back(reference):
        looks.append(_growth.Census(1, 100).newest(["builtins.dict"]))

    class Thing:
        pass

    thing = Thing()
    reference = weakref.ref(thing, call_back)
    del thing
    Looking()
    cycle = [Looking()]
    cycle.append(cycle)
    del cycle
    gc.collect()
    assert reference() is None
    assert len(looks) == 3


@pytest.mark.native
def test_a_census_that_is_taken_while_it_is_taken():
    """What is made of the answer may let the collector run code that takes it again."""
    census = _growth.Census(1, 1 << 16)
    kept = [list(range(10)) for _ in range(20)]

    class Again:
        def __del__(self):
            kept[0].append(1)
            census.take()

    def drop():
        cycle = [Again()]
        cycle.append(cycle)

    was = gc.get_threshold()
    gc.enable()
    gc.set_threshold(1)
    try:
        for _ in range(50):
            drop()
            _, types = census.take()
            assert types
            census.newest(["builtins.list", "builtins.type"])
            assert census.find([(id(kept), id(list))]) == [kept]
    finally:
        gc.disable()
        gc.set_threshold(*was)


@pytest.mark.native
def test_half_built_objects_are_counted():
    """Made by ``__new__`` alone, or with nothing in their slots; a tuple in the making."""

    class Slotted:
        __slots__ = ("__weakref__", "first", "second")

    made = [
        *(cls.__new__(cls) for cls in (*ADD, Slotted, lying(dict), lying(collections.deque))),
        functools.partial.__new__(functools.partial, int),
        weakref.WeakValueDictionary.__new__(weakref.WeakValueDictionary),
    ]
    census = _growth.Census(1, 1 << 16)

    def items():
        for thing in made:
            yield thing
            census.take()

    assert len(tuple(items())) == len(made)
    assert census.object_count > len(made)


@pytest.mark.native
def test_reports_without_memory_leave_all_as_it_was():
    """Every native allocation of a report may fail; the next report is whole."""
    tracker = memguard.GrowthTracker("run", collect=True)
    store, head = {}, []
    for number in range(20):
        store[number] = object()
        head = [head]
        tracker.observe(number)
    tracker.report()
    before_bytes = _core._native_bytes()
    found = []
    assert len([*failures(lambda: found.append(tracker.report()))]) > 10
    [report] = found
    assert any(finding.name.endswith(".store") for finding in report.findings)
    assert _core._native_bytes() == before_bytes


@pytest.mark.native
def test_looks_without_memory_are_left_out():
    """And the looks before and after them are as good as ever."""
    tracker = memguard.GrowthTracker("run", collect=True)
    places, store = itertools.count(), {}

    def look():
        store[len(store)] = [1]
        tracker.observe(next(places))

    look()
    failed = 0
    for _ in range(10):
        before = tracker.look_count
        failed += len([*failures_of_look(look)])
        assert tracker.look_count == before + 1
    assert failed > 10
    assert any(finding.name.endswith(".store") for finding in tracker.report().findings)


def failures_of_look(look):
    """As `failures`, though what is remembered natively may become less meanwhile."""
    for number in range(1, 1000):
        _core._fail_allocation_at(number)
        try:
            look()
        except MemoryError as error:
            yield str(error)
        else:
            return
        finally:
            _core._fail_allocation_at(0)


def test_a_look_amid_a_look_of_the_same_tracker():
    """A signal, or a finalizer that the collector calls, may come at any moment."""
    tracker = memguard.GrowthTracker()
    looked = []

    class Looking:
        def __del__(self):
            tracker.observe()
            looked.append(tracker.report().look_count)

    def run():
        was = gc.get_threshold()
        gc.set_threshold(1)
        gc.enable()
        try:
            for _ in range(40):
                cycle = [Looking()]
                cycle.append(cycle)
                del cycle
                tracker.observe()
        finally:
            gc.disable()
            gc.set_threshold(*was)

    # Where it waits for itself it must not keep the tests.
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(60)
    assert not thread.is_alive()
    assert looked


def test_a_report_asks_once_of_each_container_where_it_leads(monkeypatch):
    """And not of each for each other: a hundred registries are no reason to wait."""
    shared = [[] for _ in range(50)]
    registries = {f"registry{number}": {} for number in range(30)}
    asked = collections.Counter()
    native = entries._names.referents_of

    def referents_of(thing):
        asked[id(thing)] += 1
        return native(thing)

    def run():
        for registry in registries.values():
            registry[next(numbers)] = [shared]

    # Each by a name of its own, or they were one finding.
    module = types.ModuleType("shop")
    vars(module).update(registries)
    monkeypatch.setitem(sys.modules, "shop", module)
    known = {**vars(entries._names), "referents_of": referents_of}
    monkeypatch.setattr(entries, "_names", types.SimpleNamespace(**known))
    assert len(memguard.growth(run, 12).findings) == len(registries)
    assert 0 < asked[id(shared)] <= len(registries)


@pytest.mark.native
def test_the_newest_objects_of_many_types():
    """No more than sixteen types are looked for, and eight objects of each."""
    classes = [type(f"Class{number}", (), {}) for number in range(20)]
    held = [cls() for _ in range(9) for cls in classes]
    names = [f"{__name__}.{cls.__name__}" for cls in classes]
    found = _growth.Census(4, 100).newest([*names, "no.Such"])
    assert len(found) == 21
    assert sorted(map(len, found)) == [0] * 5 + [8] * 16
    for cls, objects in zip(classes, found, strict=False):
        assert all(type(one) is cls for one in objects)
        assert all(any(one is other for other in held) for one in objects)


KINDS = (dict, list, set, collections.deque, collections.OrderedDict)
STEPS = st.lists(
    st.tuples(st.integers(0, 7), st.sampled_from(KINDS), st.integers(0, 40)),
    min_size=1,
    max_size=20,
)


def filled(kind, size):
    return kind(dict.fromkeys(range(size))) if issubclass(kind, dict) else kind(range(size))


@pytest.mark.native
@given(st.lists(STEPS, min_size=1, max_size=5), st.integers(1, 12))
def test_what_changed_is_what_a_model_says(rounds, floor):
    """Places are filled anew, in place or by another object, between two looks."""
    holder = [None] * 8
    census = _growth.Census(floor, 1 << 20)
    census.take()
    before = {}
    for steps in rounds:
        for place, kind, size in steps:
            if type(holder[place]) is kind and size % 2:
                holder[place].clear()
                (
                    holder[place].update
                    if kind not in (list, collections.deque)
                    else holder[place].extend
                )(filled(kind, size))
            else:
                holder[place] = filled(kind, size)
        changes, _ = census.take()
        found = {(address, cls): sizes for address, cls, *sizes in RECORD.iter_unpack(changes)}
        now = {
            (id(one), id(type(one))): len(one)
            for one in holder
            if one is not None and len(one) >= floor
        }
        for key, length in now.items():
            if before.get(key) == length:
                assert key not in found
            else:
                assert found[key][:2] == [before.get(key, 0), length]
        for key in before.keys() - now.keys():
            # Its address may be that of something else by now.
            assert key in found
            assert found[key][0] == before[key]
        before = now
