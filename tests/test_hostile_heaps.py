"""Objects in states in which only the interpreter should see them."""

import ctypes
import gc
import sys
import threading
import types
import weakref

import pytest

import memguard
from graphs import Plain, Vertex, self_loop
from process import run_fresh


def vertex_cycles(kind, *, explain):
    with memguard.scan(kind, types=[Vertex], explain=explain) as report:
        return report.shapes and [cycle.type_names for cycle in report.cycles]


@pytest.mark.native
@pytest.mark.parametrize("explain", [False, True])
def test_what_a_half_built_tuple_holds_is_alive(explain):
    """A tuple that a generator is filling holds what it was given so far."""
    seen = []

    def items():
        yield self_loop()
        seen.append(vertex_cycles("live", explain=explain))
        seen.append(vertex_cycles("garbage", explain=explain))
        yield None

    filled = tuple(items())
    assert len(filled) == 2
    assert seen == [[{"graphs.Vertex": 1}], ()]


@pytest.mark.native
@pytest.mark.parametrize("kind", ["Tuple", "List"])
def test_a_half_built_sequence_on_a_cycle_is_named_by_its_index(kind):
    """Empty slots are neither followed nor read."""
    make = getattr(ctypes.pythonapi, f"Py{kind}_New")
    make.restype, make.argtypes = ctypes.c_void_p, [ctypes.c_ssize_t]
    set_item = getattr(ctypes.pythonapi, f"Py{kind}_SetItem")
    set_item.argtypes = [ctypes.c_void_p, ctypes.c_ssize_t, ctypes.py_object]
    address = make(3)
    vertex = Vertex()
    set_item(address, 2, own_reference(vertex))
    vertex.append(ctypes.cast(address, ctypes.py_object).value)
    with memguard.scan("live", types=[Vertex]) as report:
        assert [shape.path for shape in report.shapes] == [
            f"graphs.Vertex[0] -> {kind.lower()}[2] -> graphs.Vertex"
        ]
    vertex.clear()
    ctypes.pythonapi.Py_DecRef(ctypes.c_void_p(address))


def own_reference(target):
    """Give a reference that C code may steal."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(target))
    return ctypes.py_object(target)


def test_a_list_that_is_being_sorted_is_empty_and_its_items_alive():
    """The items are in no list while the key function runs, but they are held."""
    loop = self_loop()
    seen = []

    def key(item):
        if not seen:
            for explain in (False, True):
                seen.append(vertex_cycles("live", explain=explain))
                seen.append(vertex_cycles("garbage", explain=explain))
        return id(item)

    loop.append(self_loop())
    loop.sort(key=key)
    assert seen == [[{"graphs.Vertex": 1}], (), [{"graphs.Vertex": 1}], ()]
    assert len(vertex_cycles("live", explain=True)) == 2


@types.coroutine
def suspension():
    yield


def run_generator(box, look):
    look(box)
    yield


async def run_coroutine(box, look):
    look(box)
    await suspension()


async def run_async_generator(box, look):
    look(box)
    yield


def step_async_generator(generator):
    with pytest.raises(StopIteration):
        generator.asend(None).send(None)


FRAMES = {
    "generator": (run_generator, next),
    "coroutine": (run_coroutine, lambda coroutine: coroutine.send(None)),
    "async_generator": (run_async_generator, step_async_generator),
}


@pytest.mark.native
@pytest.mark.parametrize("name", FRAMES)
def test_a_running_frame_holds_its_variables_and_a_suspended_one_is_a_link(name):
    """From inside it is alive whatever it is part of; dropped after, it is a cycle."""
    make, step = FRAMES[name]
    seen = []

    def look(box):
        assert len(box) == 2
        seen.append(memguard.scan("garbage").unreachable_count)

    box = Vertex()
    box.append(make(box, look))
    box.append(self_loop())
    step(box[0])
    assert seen == [0]
    del box
    with memguard.scan("garbage") as report:
        (loop,) = (shape for shape in report.shapes if f"builtins.{name}" in shape.type_names)
        assert loop.type_names == {"graphs.Vertex": 1, f"builtins.{name}": 1}
        assert "<local box>" in loop.path
        assert report.cycle_count == 2


def test_a_task_is_on_a_cycle_with_what_its_coroutine_waits_for():
    """A task, its coroutine and the future in its variables refer to each other."""
    # In a process of its own: gc.get_referents(), which the oracles use, makes
    # the list of freed iterators of _asyncio endless on 3.12.
    printed = run_fresh(
        """
        import asyncio
        import memguard

        async def wait(box):
            await box[0]

        async def main():
            box = [asyncio.get_running_loop().create_future()]
            box.append(asyncio.get_running_loop().create_task(wait(box)))
            await asyncio.sleep(0)
            with memguard.scan("live", roots=[box]) as report:
                (cycle,) = (cycle for cycle in report.cycles if id(box) in cycle.object_ids)
                for name in ("_asyncio.Task", "_asyncio.Future", "builtins.coroutine"):
                    print(cycle.type_names[name])
            box[1].cancel()
            await asyncio.gather(box[1], return_exceptions=True)

        asyncio.run(main())
        """
    )
    assert printed.split() == ["1", "1", "1"]


def test_what_is_never_collected_is_no_garbage():
    """Frozen objects are out of the collector's reach until they are not."""
    frozen_are_enumerated = sys.version_info >= (3, 13, 3) or (
        (3, 12, 10) <= sys.version_info < (3, 13)
    )
    printed = run_fresh(
        """
        import gc
        import memguard

        gc.disable()
        gc.collect()
        loop = []
        loop.append(loop)
        del loop
        gc.freeze()
        print(memguard.scan("garbage").unreachable_count, gc.collect())
        gc.unfreeze()
        print(memguard.scan("garbage").unreachable_count, gc.collect())
        """
    )
    before, after = (tuple(map(int, line.split())) for line in printed.splitlines())
    assert before == (int(frozen_are_enumerated), 0)
    assert after == (1, 1)


def test_an_immortal_object_is_alive_and_so_is_what_it_holds():
    """A reference count out of all proportion is never counted down to nothing."""
    printed = run_fresh(
        """
        import ctypes
        import gc
        import memguard

        gc.disable()
        gc.collect()
        loop = [[]]
        loop.append(loop)
        # On 3.12 and later the mark of an immortal object; before, just many.
        ctypes.c_uint32.from_address(id(loop)).value = 0xFFFFFFFF
        address = id(loop)
        del loop
        print(memguard.scan("garbage").unreachable_count)
        with memguard.scan("live") as report:
            (cycle,) = (cycle for cycle in report.cycles if address in cycle.object_ids)
            print(cycle.size, cycle.retained_count, cycle.outside_reference_count > 0)
            print(report.suspect_count)
        """
    )
    assert printed.split() == ["0", "1", "2", "True", "0"]


def test_a_reference_that_no_type_shows_holds():
    """What C code owns is alive, though nothing leads there."""
    loop = self_loop()
    address = id(loop)
    own_reference(loop)
    del loop
    assert memguard.scan("garbage").unreachable_count == 0
    with memguard.scan("live", types=[Vertex]) as report:
        (cycle,) = report.cycles
        assert (cycle.object_ids, cycle.outside_reference_count) == ((address,), 1)
    ctypes.pythonapi.Py_DecRef(ctypes.c_void_p(address))
    assert memguard.scan("garbage").unreachable_count == 1


class Empty:
    """Neither a dict nor slots, so its objects are not tracked."""

    __slots__ = ()


def new_capsule():
    make = ctypes.pythonapi.PyCapsule_New
    make.restype = ctypes.py_object
    make.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    return make(1, None, None)


@pytest.mark.parametrize("make", [new_capsule, Empty, object, threading.Lock, bytearray])
def test_what_has_no_references_to_show_is_a_leaf(make):
    """It is weighed, and never traversed."""
    loop = self_loop()
    loop.append(make())
    (cycle,) = memguard.scan("live", roots=[loop]).cycles
    assert (cycle.size, cycle.retained_count) == (1, 2)


def test_an_object_that_was_untracked_is_no_link():
    """What the collector does not look at is no part of a cycle it could find."""
    printed = run_fresh(
        """
        import ctypes
        import gc
        import memguard

        gc.disable()
        gc.collect()
        loop = []
        loop.append(loop)
        ctypes.pythonapi.PyObject_GC_UnTrack(ctypes.py_object(loop))
        print(gc.is_tracked(loop), memguard.scan("live", roots=[loop]).cycle_count)
        del loop
        print(memguard.scan("garbage").unreachable_count, gc.collect())
        """
    )
    assert printed.split() == ["False", "0", "0", "0"]


@pytest.mark.native
def test_an_exception_with_its_traceback_is_one_cycle():
    """A frame that outlived its call and the exception in its variables are found."""

    def fail():
        kept = None
        try:
            raise ValueError
        except ValueError as error:
            kept = error
        return kept is not None

    assert fail()
    with memguard.scan("garbage") as report:
        (cycle,) = report.cycles
        assert cycle.type_names == {
            "builtins.ValueError": 1,
            "builtins.frame": 1,
            "builtins.traceback": 1,
        }
    assert gc.collect() == report.unreachable_count


@pytest.mark.native
def test_a_weak_reference_is_no_link_but_its_callback_is():
    """What a weak reference points at is not held; what it would call is."""
    target = Plain()
    loop = self_loop()
    loop.append(weakref.ref(target, lambda _, kept=loop: kept))
    target.back = loop
    with memguard.scan("live", roots=[loop]) as report:
        (cycle,) = report.cycles
        assert "graphs.Plain" not in cycle.type_names
        assert cycle.type_names["builtins.function"] == 1
        assert cycle.type_names["weakref.ReferenceType"] == 1
