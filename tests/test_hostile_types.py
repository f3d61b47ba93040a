"""Types that break the rules, by accident or on purpose."""

import functools
import gc
import sys

import pytest

import memguard
from graphs import Vertex, self_loop
from memguard import _core, _names
from process import run_fresh

PATCH_TRAVERSE = """
import ctypes
import gc
import memguard
from memguard import _core

def traverse_slot(cls):
    # Word 23 of a type object, checked against what the interpreter says.
    slot = ctypes.c_void_p.from_address(id(cls) + 23 * ctypes.sizeof(ctypes.c_void_p))
    get_slot = ctypes.pythonapi.PyType_GetSlot
    get_slot.restype, get_slot.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_int]
    assert get_slot(cls, 71) == slot.value
    return slot

class Vertex(list):
    pass

gc.disable()
gc.collect()
vertex = Vertex()
vertex.append(vertex)
slot = traverse_slot(Vertex)
"""


def test_a_type_whose_traverse_raises_is_a_suspect():
    """Its error is swallowed and told as a suspect, at once or when described late."""
    printed = run_fresh(
        PATCH_TRAVERSE
        + """
late = _core.scan_heap("live", 15, (vertex,), 0, 0.0, describe=False)
kept, slot.value = slot.value, ctypes.cast(
    ctypes.pythonapi.PyErr_BadArgument, ctypes.c_void_p).value
for explain in (True, False):
    with memguard.scan("garbage", explain=explain) as report:
        print(report.suspect_count, report.unreachable_count)
print(late.suspect_count, late.shape_count, late.suspect_count)
slot.value = kept
print(memguard.scan("live", roots=[vertex]).cycle_count)
"""
    )
    assert printed.split() == ["1", "0", "1", "0", "0", "1", "1", "1"]


@pytest.mark.skipif(
    sys.version_info >= (3, 12), reason="the interpreter's own enumeration takes a reference"
)
def test_an_object_without_references_is_a_suspect_not_garbage():
    """Somebody is about to free it; nobody may be told that it is garbage."""
    printed = run_fresh(
        """
        import ctypes, gc
        from memguard import _core
        gc.disable()
        gc.collect()
        dying = [[]]
        count = ctypes.c_ssize_t.from_address(id(dying))
        count.value += 1
        del dying
        count.value = 0
        found = _core.scan_heap("garbage", 0, None, 0, 0.0, describe=False)
        count.value = 1
        print(found.suspect_count, found.unreachable_count)
        """
    )
    assert printed.split() == ["1", "0"]


def test_a_reference_that_is_shown_but_not_owned_makes_a_suspect_not_garbage():
    """An object with more references shown than counted is alive."""
    printed = run_fresh(
        PATCH_TRAVERSE
        + """
VISIT = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
shown = [[]]
address = id(shown)

@ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, VISIT, ctypes.c_void_p)
def show_thrice(self, visit, argument):
    return visit(address, argument) or visit(address, argument) or visit(address, argument)

vertex.clear()
holder = [vertex, shown]
holder.append(holder)
del vertex, shown, holder
kept, slot.value = slot.value, ctypes.cast(show_thrice, ctypes.c_void_p).value
with memguard.scan("garbage") as report:
    print(report.suspect_count, report.unreachable_types)
slot.value = kept
print(gc.collect())
"""
    )
    assert printed.splitlines() == ["1 {'__main__.Vertex': 1, 'builtins.list': 1}", "4"]


def test_an_object_that_shows_itself_is_described_once():
    """A reference that is shown but not owned is no endless way round."""
    printed = run_fresh(
        PATCH_TRAVERSE
        + """
VISIT = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)

@ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, VISIT, ctypes.c_void_p)
def show_itself(self, visit, argument):
    return visit(self, argument)

vertex.clear()
holder = [vertex]
holder.append(holder)
del vertex, holder
kept, slot.value = slot.value, ctypes.cast(show_itself, ctypes.c_void_p).value
with memguard.scan("garbage") as report:
    print(report.suspect_count, [dict(cycle.type_names) for cycle in report.cycles])
    print(report.cycles[0].retained_count)
slot.value = kept
"""
    )
    assert printed.splitlines() == ["1 [{'builtins.list': 1}]", "2"]


@pytest.mark.native
def test_objects_at_odd_addresses_are_no_nodes_but_hold():
    """Where a program's own allocator aligns objects to 8 bytes only, they count as outside."""
    printed = run_fresh(
        """
import ctypes
import gc
import memguard

class Odd:
    __slots__ = ("me", "other")

class Vertex(list):
    pass

def self_loop():
    vertex = Vertex()
    vertex.append(vertex)
    return vertex

blocks = []
track = ctypes.pythonapi.PyObject_GC_Track
track.restype, track.argtypes = None, [ctypes.c_void_p]

@ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_ssize_t)
def allocate(cls, item_count):
    blocks.append((ctypes.c_size_t * 16)())
    # 16 bytes of the collector's head, then the object: count, type, fields.
    address = (ctypes.addressof(blocks[-1]) + 15 & ~15) + 24
    ctypes.c_ssize_t.from_address(address).value = 1
    ctypes.c_void_p.from_address(address + 8).value = cls
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(Odd))
    track(address)
    return address

@ctypes.CFUNCTYPE(None, ctypes.c_void_p)
def free(address):
    pass

# Words 38 and 40 of a type object.
for word, function in ((38, allocate), (40, free)):
    slot = ctypes.c_void_p.from_address(id(Odd) + word * ctypes.sizeof(ctypes.c_void_p))
    slot.value = ctypes.cast(function, ctypes.c_void_p).value

gc.collect()
odd = Odd()
assert id(odd) % 16 == 8
odd.me = odd
odd.other = self_loop()
for roots in (None, [odd]):
    with memguard.scan("live", types=[Odd, Vertex], roots=roots) as report:
        print([dict(cycle.type_names) for cycle in report.cycles])
odd.me = kept = [odd]
odd = roots = None
with memguard.scan("garbage") as report:
    print(report.unreachable_count, report.suspect_count)
kept[0].me = None
kept.clear()
with memguard.scan("garbage") as report:
    print(report.unreachable_count, report.suspect_count)
"""
    )
    assert printed.splitlines() == ["[{'__main__.Vertex': 1}]", "[]", "0 0", "1 0"]


class OwnDict:
    __slots__ = ("__dict__",)


class OwnDictAndWeak(list):
    __slots__ = ("__dict__", "__weakref__", "field")


class Sized(tuple):
    """Of variable size, with its dict behind the items."""


class Number(int):
    pass


@pytest.mark.native
@pytest.mark.parametrize(
    "make", [OwnDict, OwnDictAndWeak, Sized, Number, lambda: Number(-(10**40))]
)
def test_an_attribute_is_found_wherever_a_type_keeps_its_dict(make):
    """Slots of the name __dict__, variable sizes and negative ones are no obstacle."""
    owner = make()
    assert _names.instance_dict(owner) in (None, {})
    owner.me = owner
    with memguard.scan("live", roots=[owner]) as report:
        (cycle,) = report.cycles
        assert id(owner) in cycle.object_ids
        assert cycle.shape.path.endswith(".me -> test_hostile_types." + type(owner).__name__)
    _ = owner.__dict__
    with memguard.scan("live", roots=[owner]) as report:
        assert (report.cycle_count, _names.instance_dict(owner)) == (1, {"me": owner})


class Slotted:
    __slots__ = ("field",)


class Borrowing(functools.partial):
    alias = Slotted.field


@pytest.mark.native
def test_the_slot_of_another_class_is_no_attribute():
    """A descriptor that does not apply to the object is passed over."""
    loop = Borrowing(len)
    loop.__setstate__((len, ([loop],), {}, None))
    with memguard.scan("live", roots=[loop]) as report:
        (shape,) = report.shapes
    assert [edge.label for edge in shape.edges] == [".args", "[0]", "[0]"]


class UnhashableMeta(type):
    """Equality without hash: classes that cannot be keys of a dict."""

    def __eq__(cls, other):
        return cls is other


def test_classes_that_cannot_be_hashed_are_counted():
    """Types are told apart by identity."""

    class Odd(list, metaclass=UnhashableMeta):
        pass

    for _ in range(3):
        loop = Odd()
        loop.append(loop)
    del loop
    with memguard.scan("garbage", types=[Odd]) as report:
        (shape,) = report.shapes
        assert shape.cycle_count == 3
        assert sum(report.unreachable_types.values()) == 3
        assert list(shape.type_names.values()) == [1]


def test_equal_names_are_added_up():
    """Two classes of one name are one line, and two shapes."""
    for _ in range(2):
        cls = type("Same", (list,), {"__module__": "somewhere"})
        kept = cls()
        kept.append(kept)
    del cls, kept
    with memguard.scan("garbage", types=["somewhere.Same"]) as report:
        assert report.unreachable_types["somewhere.Same"] == 2
        assert len(report.shapes) == 2


def test_garbage_classes_are_garbage_to_the_next_scan_and_freed_by_release():
    """A report holds on to classes no more than to other objects."""
    cls = type("Leaked", (list,), {})
    cls().append(cls)
    instance = cls()
    instance.append(instance)
    del cls, instance
    first = memguard.scan("garbage")
    second = memguard.scan("garbage")
    assert first.unreachable_types == second.unreachable_types
    assert first.unreachable_types["test_hostile_types.Leaked"] == 1
    first.release()
    second.release()
    assert gc.collect() == first.unreachable_count


def test_a_class_that_pretends_to_be_another_is_itself():
    """__class__ says what it likes; the type of an object is what it is."""

    class Pretender:
        @property
        def __class__(self):
            return dict

    loop = Pretender()
    loop.me = loop
    with memguard.scan("live", roots=[loop], types=[dict]) as report:
        assert report.cycles == ()
    with memguard.scan("live", roots=[loop], types=[Pretender]) as report:
        assert [edge.label for edge in report.shapes[0].edges] == [".me"]


@pytest.mark.filterwarnings("ignore:non-string key")
def test_names_that_are_not_names_are_told_as_such():
    """A module that is no string, attributes that are no strings: no error."""
    cls = type("Nameless", (list,), {1: 2, "__module__": 3})
    cls.__qualname__ = "Någon\ud800"
    loop = cls()
    loop.append(loop)
    with memguard.scan("live", roots=[loop]) as report:
        assert [edge.source for edge in report.shapes[0].edges] == ["?.Någon\ud800"]


def pair(first, second):
    yield first, second


@pytest.mark.native
@pytest.mark.parametrize("twice", [False, True])
def test_the_rule_for_borrowed_stacks_errs_towards_alive(twice):
    """As on 3.14: of two references that a suspended frame shows, one may be uncounted."""
    one, other = self_loop(), self_loop()
    generator = pair(one, one if twice else other)
    next(generator)
    one.append(generator)
    del one, other, generator
    _core._force_stackref_dedupe(True)
    try:
        with memguard.scan("garbage", types=[Vertex]) as report:
            found_count = report.unreachable_count
            assert report.suspect_count == 0
    finally:
        _core._force_stackref_dedupe(False)
    # The vertex that is not among the variables is garbage by itself.
    assert found_count == (1 if twice else 3)
    unforced_count = found_count if sys.version_info >= (3, 14) else 3
    assert memguard.scan("garbage").unreachable_count == unforced_count
