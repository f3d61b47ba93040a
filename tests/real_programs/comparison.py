"""One program, looked at by memguard and by counts that share nothing with it.

Covers: running the program, the counts of its garbage and of its live cycles
in the same process, over the very same objects.
Does not cover: which programs there are (``catalogue``), the table (``page``).

The counts, in this order, since the last one destroys what it counts:

1. memguard, whose report is then released;
2. a trial deletion in plain Python (``oracles.uncounted_objects``), and the
   components that networkx finds among its objects;
3. the collector itself: ``DEBUG_COLLECTABLE`` makes it name what it found
   before any finalizer runs, ``DEBUG_SAVEALL`` makes it keep what is left after.
"""

import dataclasses
import gc
import importlib.metadata
import inspect
import io
import json
import platform
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import networkx

import memguard
from oracles import names_of, references_among, uncounted_objects
from process import measured_apart, run_to_end
from real_programs.catalogue import Program

Types = dict[str, int]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was found in one program, and by whom.

    Attributes:
        title: What the program does.
        python: The version that ran it.
        versions: Versions by library; empty for those of the standard library.
        types: Unreachable objects by type, as memguard counts them.
        types_of_trial_deletion: As a trial deletion in plain Python does.
        types_of_collector: As the collector names them, before finalizers run.
        types_saved: What ``DEBUG_SAVEALL`` puts into ``gc.garbage`` after that.
        types_with_finalizer: Those of them with a finalizer.
        cycles: Size and types of each garbage cycle, as memguard finds it.
        cycles_of_networkx: As networkx does.
        cycles_have_same_members: Whether these are the same objects, one by one.
        shape_count: Shapes into which memguard groups them.
        largest_shape: The one with most objects: its cycles, its path.
        suspect_count: Objects whose counts contradict their types.
        live_cycle_count: Live cycles with the default cuts, by memguard.
        live_cycle_count_of_networkx: The same by networkx.
        live_cycles_have_same_members: Whether they are the same objects.
    """

    title: str
    python: str
    versions: dict[str, str]
    types: Types
    types_of_trial_deletion: Types
    types_of_collector: Types
    types_saved: Types
    types_with_finalizer: Types
    cycles: list[tuple[int, Types]]
    cycles_of_networkx: list[tuple[int, Types]]
    cycles_have_same_members: bool
    shape_count: int
    largest_shape: tuple[int, str]
    suspect_count: int
    live_cycle_count: int
    live_cycle_count_of_networkx: int
    live_cycles_have_same_members: bool

    @property
    def is_equal(self) -> bool:
        """Whether all counts agree, but for what finalizers took apart."""
        return (
            self.types == self.types_of_trial_deletion == self.types_of_collector
            and Counter(self.types_saved) <= Counter(self.types)
            and self.cycles == self.cycles_of_networkx
            and self.cycles_have_same_members
            and self.live_cycles_have_same_members
            and self.suspect_count == 0
        )

    @property
    def types_not_saved(self) -> Types:
        """What finalizers took apart before ``DEBUG_SAVEALL`` could keep it."""
        return dict(Counter(self.types) - Counter(self.types_saved))


def compare_apart(program: Program, python: str = sys.executable) -> Comparison:
    """Compare in a fresh process, in which nothing else has run."""
    command = [python, str(Path(__file__).parent), "--in-this-process", program.name]
    values = measured_apart(command, program.name)
    for name in ("cycles", "cycles_of_networkx"):
        values[name] = [(size, types) for size, types in values[name]]
    return Comparison(**values)


def compare(program: Program) -> Comparison:
    """Compare in this process, which should be fresh and end after it."""
    gc.disable()
    run = program.load()
    # Not only the program warms up: the first components that networkx looks
    # for leave garbage of their own.
    _networkx_cycles([], cut=True)
    for _ in range(2):
        run_to_end(run)
    while gc.collect():
        pass
    run_to_end(run)

    report = memguard.scan("garbage")
    cycles = {frozenset(cycle.object_ids): cycle.type_names for cycle in report.cycles}
    largest = max(report.shapes, key=lambda shape: shape.object_count, default=None)
    report.release()

    unreachable = uncounted_objects()
    trial_deletion = names_of(unreachable)
    with_finalizer = names_of(thing for thing in unreachable if _has_finalizer(type(thing)))
    names = {id(thing): name for thing in unreachable for name in names_of([thing])}
    found_by_networkx = _networkx_cycles(unreachable)
    del unreachable

    collected_ids, saved = _collect()

    live_report = memguard.scan("live", explain=False)
    live = {frozenset(cycle.object_ids) for cycle in live_report.cycles}
    live_report.release()
    live_by_networkx = _networkx_cycles(gc.get_objects(), cut=True)

    return Comparison(
        title=inspect.cleandoc(run.__doc__ or program.name).removesuffix("."),
        python=platform.python_version(),
        versions={name: _version(name) for name in program.libraries},
        types=dict(report.unreachable_types),
        types_of_trial_deletion=dict(trial_deletion),
        types_of_collector=dict(Counter(names.get(key, "unknown") for key in collected_ids)),
        types_saved=dict(saved),
        types_with_finalizer=dict(with_finalizer),
        cycles=_sorted((len(ids), dict(types)) for ids, types in cycles.items()),
        cycles_of_networkx=_sorted(
            (len(ids), dict(Counter(names[key] for key in ids))) for ids in found_by_networkx
        ),
        cycles_have_same_members=cycles.keys() == found_by_networkx,
        shape_count=len(report.shapes),
        largest_shape=(largest.cycle_count, largest.path) if largest else (0, ""),
        suspect_count=report.suspect_count,
        live_cycle_count=len(live),
        live_cycle_count_of_networkx=len(live_by_networkx),
        live_cycles_have_same_members=live == live_by_networkx,
    )


def to_json(comparison: Comparison) -> str:
    """Write a comparison as one line."""
    return json.dumps(dataclasses.asdict(comparison))


def _networkx_cycles(objects, *, cut: bool = False) -> set[frozenset[int]]:
    graph = networkx.DiGraph(references_among(objects, cut=cut))
    return {
        frozenset(component)
        for component in networkx.strongly_connected_components(graph)
        if len(component) > 1 or graph.has_edge(*component, *component)
    }


def _collect() -> tuple[set[int], Types]:
    """Collect, and give what the collector names and what it then keeps."""
    text, stderr = io.StringIO(), sys.stderr
    gc.set_debug(gc.DEBUG_COLLECTABLE | gc.DEBUG_SAVEALL)
    sys.stderr = text
    try:
        gc.collect()
    finally:
        sys.stderr = stderr
        gc.set_debug(0)
    saved = names_of(gc.garbage)
    gc.garbage.clear()
    while gc.collect():
        pass
    # "gc: collectable <dict 0x7f34a4b3a2c0>"
    lines = [line for line in text.getvalue().splitlines() if line.startswith("gc: collectable")]
    ids = {int(line.rsplit(" ", 1)[1].removesuffix(">"), 16) for line in lines}
    return ids, saved


def _version(library: str) -> str:
    if library.partition(".")[0] in sys.stdlib_module_names:
        return ""
    return importlib.metadata.version(library)


def _has_finalizer(cls: type) -> bool:
    """Tell whether a class has ``__del__``, as all with a C finalizer do."""
    return any("__del__" in vars(base) for base in cls.__mro__)


def _sorted(cycles) -> list[tuple[int, Types]]:
    return sorted(cycles, key=lambda cycle: (cycle[0], sorted(cycle[1].items())))
