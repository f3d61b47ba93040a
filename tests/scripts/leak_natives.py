"""Call every function and method of the native modules."""

import types

from growth import print_growth

import memguard
from memguard import _core, _names


class Slotted:
    __slots__ = ("field",)


class Plain:
    pass


def generate(variable):
    yield variable


loop = [[], {}]
loop += [loop, (loop,)]
plain = Plain()
plain.loop = loop
slotted = Slotted()
slotted.field = loop
generator = generate(loop)
next(generator)

FUNCTIONS = {
    "scan_heap": lambda: _core.scan_heap("live", 0, (loop,), 0, 0.0, root_source=[loop]),
    "instance_dict": lambda: _names.instance_dict(plain),
    "inline_attributes": lambda: _names.inline_attributes(plain),
    "frame_variables": lambda: _names.frame_variables(generator),
    "code_of": lambda: _names.code_of(generate) is _names.code_of(generator),
    "index_of": lambda: _names.index_of(loop, loop),
    "key_of": lambda: _names.key_of({"key": loop}, loop),
    "label_of": lambda: [
        _names.label_of(source, target) for source, target in ((slotted, loop), (1, loop))
    ],
    "referents_of": lambda: _names.referents_of(loop),
    "type_name": lambda: [_names.type_name(cls) for cls in (Plain, list)],
    "type_module": lambda: [_names.type_module(cls) for cls in (Plain, list)],
    "build_info": _core.build_info,
    "_fail_allocation_at": lambda: _core._fail_allocation_at(0),
    "_native_bytes": _core._native_bytes,
    "_force_stackref_dedupe": lambda: _core._force_stackref_dedupe(False),
    "raise_when_released": lambda: _core.raise_when_released(
        memguard.ReportReleasedError, memguard.CycleGoneError
    ),
    "_force_threads": lambda: _core._force_threads(0),
    "_step_clock": lambda: _core._step_clock(0.0),
    "_let_child": lambda: _core._let_child("scan"),
    "_fail_fork_with": lambda: _core._fail_fork_with(0),
    "_copy_through_pipe": lambda: _core._copy_through_pipe(False),
}
METHODS = {
    "cycle_facts": (0,),
    "cycle_ids": (0,),
    "cycle_objects": (0,),
    "cycle_types": (0,),
    "members_of_type": (0, list, 1),
    "member": (0, 0),
    "cycle_edges": (0,),
    "find_loop": (0, [0], 24),
    "shape_facts": (0,),
    "shape_outline": (0,),
    "cycle_size": (0,),
    "hold": (0,),
    "seen_types": (0,),
    "shape_cycles": (0,),
    "release": (),
}


def names_of(namespace):
    return {name for name in namespace if not name.startswith("__")}


def check_that_all_are_called():
    found = {
        name
        for module in (_core, _names)
        for name, value in vars(module).items()
        if callable(value) and not isinstance(value, type) and not name.startswith("__")
    }
    assert found == FUNCTIONS.keys(), found ^ FUNCTIONS.keys()
    attributes = names_of(vars(_core.HeapGraph))
    fields = {
        name
        for name in attributes
        if type(vars(_core.HeapGraph)[name]) is types.GetSetDescriptorType
    }
    assert attributes - fields == METHODS.keys(), attributes
    return fields


FIELDS = check_that_all_are_called()


def call():
    for function in FUNCTIONS.values():
        function()
    snapshot, end, _ = _core.Snapshot("live", 0, (loop,), 0, 0.0, [loop]).answer(bool)
    assert end == "answered"
    for graph in (FUNCTIONS["scan_heap"](), snapshot):
        call_methods(graph)


def call_methods(graph):
    for name in FIELDS:
        getattr(graph, name)
    for name, arguments in METHODS.items():
        getattr(graph, name)(*arguments)
        if arguments:
            try:
                getattr(graph, name)(1_000, *arguments[1:])
            except IndexError:
                continue
            raise AssertionError(name)


print_growth(call, call_count=3_000)
