"""Make each kind of reference, scan, and give the name that the report has for it."""

import gc

import memguard
from edge_names.kinds import Kind
from memguard.heap.names import type_name

_OWN_MODULES = ("edge_names.kinds.", "edge_names.look.", "test_edge_names.")


class Owner:
    """What a person would call the owner: an instance of a class of the program."""


def look(kind: Kind, cls: type = Owner) -> str:
    """Give the step that names a reference of this kind; the whole path if none does."""
    if kind.dropped:
        gc.collect()
    owner = object.__new__(cls)
    object.__setattr__(owner, "held", kind.make(owner))
    roots = [owner]
    del owner
    if kind.dropped:
        roots.clear()
    return step_of(kind, cls, roots)


def step_of(kind: Kind, cls: type, roots: list[object]) -> str:
    """Scan from the roots, or for garbage without any, and give the step."""
    with memguard.scan("live", roots=roots) if roots else memguard.scan() as report:
        lines = [
            shape.verbose_path if kind.verbose else shape.path
            for shape in report.shapes
            if type_name(cls) in shape.type_names
        ]
    for name in _OWN_MODULES:
        lines = [line.replace(name, "") for line in lines]
    steps = [step for line in lines for step in line.split(" -> ")]
    return kind.step if kind.step in steps else " -> ".join(steps)
