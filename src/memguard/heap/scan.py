"""Look for cycles.

Covers: checking what was asked, the native scan, the report.
Does not cover: the scan itself (``_core``), reading a report (``report``).
"""

import gc
import platform
from collections.abc import Callable, Iterable
from types import CoroutineType
from typing import Any, Literal, get_args

from memguard import _core
from memguard.errors import UnsupportedPythonError
from memguard.heap.arguments import (
    ScanKind,
    ScanMode,
    checked_budget_seconds,
    checked_cuts,
    checked_explain,
    checked_kind,
    checked_max_objects,
    checked_mode,
    checked_roots,
    checked_types,
    wrong_type,
)
from memguard.heap.cuts import DEFAULT_CUTS, flags_of
from memguard.heap.report import ScanReport
from memguard.heap.selection import Selection, keeps_any_of
from memguard.heap.snapshot import Asked, scan_in_child


def scan(
    kind: ScanKind = "garbage",
    *,
    types: Iterable[type | str] | None = None,
    roots: Iterable[object] | None = None,
    cuts: Iterable[str] = DEFAULT_CUTS,
    max_objects: int | None = None,
    budget_seconds: float | None = None,
    explain: bool | Literal["values"] = True,
    mode: ScanMode = "inline",
) -> ScanReport:
    """Find the reference cycles of this process.

    "garbage" is exact: what the collector would free now, found without
    collecting, finalizing or breaking a weak reference. "live" is what will
    need the collector once dropped, after the cuts that the report lists.

    Args:
        kind: Which cycles to look for.
        types: Report only cycles with an instance of one of these classes,
            subclasses included; or names, "module.QualName". Counts of
            objects and of what is unreachable are not affected.
        roots: Look only at what these objects reach, bounded by the cuts, at
            a cost that depends on that alone. What they reach is alive as
            long as they are, so this goes with kind="live"; with "garbage"
            it answers what would be free if *roots* held the last reference.
        cuts: References that a live cycle may not use, members of `Cut`; ``()``
            for none. Garbage needs no cuts and ignores them, unless *roots*
            are given.
        max_objects: Stop looking for further objects after so many [count,
            >= 1]; the report is then marked ``complete=False``.
        budget_seconds: Stop when so much time has passed [s, > 0]; marked
            likewise.
        explain: Group the cycles by shape and name the references of one of
            each, within the scan. Without, a scan only finds which objects
            lie on which cycle, and shapes name no reference. Sizes are worked
            out when ``report.cycles`` or ``report.shapes`` is first read, from
            the objects as they are then.
            "values" is like True, and ``to_dict``,
            ``to_json``, ``to_html`` and ``to_dot`` also say what the drawn
            objects look like: texts of numbers and strings, shortened,
            without those whose names look like secrets. That runs
            ``__repr__`` of their classes, which is code of the program, when
            the report is written.
        mode: "inline" stops the process for as long as the scan takes.
            "snapshot" forks a child, which scans the memory as it was then, and
            stops the process for the fork only: other threads go on while this
            call waits (see `ascan` for an event loop). The report holds the
            objects of one cycle of each shape, and names the references of those
            that are then still as they were. Linux; elsewhere, and where the
            system refuses the fork, the scan is inline, and
            ``report.fallback_reason`` says why.

    Returns:
        The cycles, grouped by shape, most objects first. It holds references
        to their members until it is dropped or released.

    Raises:
        UnknownOptionError: *kind*, one of *cuts* or *explain* does not exist.
        LimitOutOfRangeError: *max_objects* or *budget_seconds* is too small.
        WrongTypeError: *types*, *roots* or *cuts* is not iterable, or *types*
            holds something else than classes and names.
        MemoryError: No memory for the side tables; nothing was changed.
        HeadroomShortError: Too little memory is free for a snapshot; a MemoryError.
        SnapshotFailedError: The child of a snapshot was killed, or hung.
        UnsupportedPythonError: A free-threaded build.

    Cost:
        O(objects + references); everything stands still meanwhile, or for a
        snapshot while the page tables are copied. Each page that the process
        writes to during a snapshot is copied, once. See ``docs/benchmarks.md``
        for ratios to ``gc.collect()``.

    Thread-safety:
        Any thread; an inline call holds the GIL from start to end.

    Source:
        CPython ``Python/gc.c``, ``deduce_unreachable``; R. Tarjan,
        "Depth-first search and linear graph algorithms", 1972.
    """
    return scan_beyond(
        None,
        kind,
        types=types,
        roots=roots,
        cuts=cuts,
        max_objects=max_objects,
        budget_seconds=budget_seconds,
        explain=explain,
        mode=mode,
    )


async def ascan(
    kind: ScanKind = "garbage",
    *,
    types: Iterable[type | str] | None = None,
    roots: Iterable[object] | None = None,
    cuts: Iterable[str] = DEFAULT_CUTS,
    max_objects: int | None = None,
    budget_seconds: float | None = None,
    explain: bool | Literal["values"] = True,
    mode: ScanMode = "snapshot",
) -> ScanReport:
    """Find the reference cycles of this process without stopping its event loop.

    `scan` in a thread of the loop's default executor, by default in a child
    process. When the task is cancelled the child is killed.

    Args:
        kind: As for `scan`, like all that follows.
        types: See `scan`.
        roots: See `scan`.
        cuts: See `scan`.
        max_objects: See `scan`.
        budget_seconds: See `scan`.
        explain: See `scan`.
        mode: See `scan`; an inline scan stops the loop like everything else.

    Returns:
        A report, as from `scan`.

    Raises:
        MemguardError: As `scan`.
    """
    import asyncio  # which programs without an event loop do not load
    import threading

    is_left = threading.Event()
    try:
        return await asyncio.to_thread(
            scan_beyond,
            None,
            kind,
            types=types,
            roots=roots,
            cuts=cuts,
            max_objects=max_objects,
            budget_seconds=budget_seconds,
            explain=explain,
            mode=mode,
            is_cancelled=is_left.is_set,
        )
    finally:
        is_left.set()


def hold_live_cycles() -> _core.HeapGraph:
    """Find the live cycles that there are, for `scan_beyond` to leave out."""
    return _native_scan("live", flags_of(DEFAULT_CUTS), None, 0, 0.0, describe=False)


def scan_beyond(
    known: _core.HeapGraph | None,
    kind: ScanKind,
    *,
    types: Iterable[type | str] | None = None,
    roots: Iterable[object] | None = None,
    cuts: Iterable[str] = DEFAULT_CUTS,
    max_objects: int | None = None,
    budget_seconds: float | None = None,
    explain: bool | Literal["values"] = True,
    mode: ScanMode = "inline",
    is_cancelled: Callable[[], bool] = bool,
) -> ScanReport:
    """Scan, and leave out cycles whose members were all known before.

    Args:
        known: An earlier answer, not released: what it holds is alive, and no
            later object can have one of its ids. None for none, and for a
            snapshot.
        kind: As for `scan`, like all that follows.
        types: See `scan`.
        roots: See `scan`.
        cuts: See `scan`.
        max_objects: See `scan`.
        budget_seconds: See `scan`.
        explain: See `scan`.
        mode: See `scan`.
        is_cancelled: Asked while a snapshot runs; true ends it.

    Returns:
        A report, as from `scan`.
    """
    kind = checked_kind(kind)
    mode = checked_mode(mode)
    parsed = checked_cuts(cuts)
    explain = checked_explain(explain)
    keeps_type = None if types is None else keeps_any_of(checked_types(types))
    source = None
    if roots is not None and not isinstance(roots, tuple):
        # The caller's list is one more holder that does not count.
        source = roots if isinstance(roots, list | set | frozenset) else None
        roots = checked_roots(roots)
    asked = Asked(
        kind,
        flags_of(parsed),
        roots,
        checked_max_objects(max_objects),
        checked_budget_seconds(budget_seconds),
        source,
    )
    _require_scannable()
    found = scan_in_child(asked, is_cancelled) if mode == "snapshot" else ""
    reason, graph = ("", found) if isinstance(found, _core.HeapGraph) else (found, None)
    if graph is None:
        graph = _core.scan_heap(*asked[:5], known, source, bool(explain))
    uses_cuts = kind == "live" or roots is not None
    return ScanReport(
        kind,
        (graph,),
        parsed if uses_cuts else frozenset(),
        explain=explain,
        selection=Selection(keeps_type, None if known is None else _not_in(_member_ids(known))),
        fallback_reason=reason,
    )


def _not_in(known_ids: frozenset[int]) -> Callable[[_core.HeapGraph, int], bool] | None:
    if not known_ids:
        return None
    return lambda graph, index: not known_ids.issuperset(graph.cycle_ids(index))


def scan_around(
    objects: list[object], kind: ScanKind = "garbage", *, cuts: Iterable[str] = DEFAULT_CUTS
) -> ScanReport:
    """Scan what some objects reach, for cycles in which one of them takes part.

    Unlike `scan` with ``roots``, it leaves out cycles that the objects only
    refer to. References from the list itself count as none.

    Args:
        objects: Where to start.
        kind: As for `scan`.
        cuts: References that are not followed; see `scan`.

    Returns:
        A report, as from `scan`.

    Cost:
        O(what the objects reach); everything stands still meanwhile.
    """
    parsed = checked_cuts(cuts)
    graph = _native_scan(kind, flags_of(parsed), tuple(objects), 0, 0.0, root_source=objects)
    ids = frozenset(map(id, objects))
    return ScanReport(
        kind,
        (graph,),
        parsed,
        explain=True,
        selection=Selection(is_new=lambda graph, index: not ids.isdisjoint(graph.cycle_ids(index))),
    )


def scan_created(function: Callable[..., object], *args: object) -> ScanReport:
    """Run a function and report the cycles that exist after and did not before.

    Automatic collection is off while it runs, so that cycles which it drops
    are still there to be seen. Its result is dropped before the second look.

    Args:
        function: What to run.
        *args: Its arguments.

    Returns:
        A report of kind "created": garbage that it left, and live cycles that
        it added to the program. ``unreachable_count`` is what became
        unreachable.

    Raises:
        WrongTypeError: *function* cannot be called, or made a coroutine and
            did not run it; give ``lambda: asyncio.run(function())``.
        Exception: Whatever *function* raises, after collection is switched
            back as it was.

    Cost:
        Four scans of the heap, and the function.
    """
    remedy = "a function that runs to its end, such as lambda: asyncio.run(function())"
    if not callable(function):
        raise wrong_type("function", function, remedy)
    flags = flags_of(DEFAULT_CUTS)
    was_enabled = gc.isenabled()
    try:
        gc.disable()
        before = _native_scan("garbage", 0, None, 0, 0.0)
        live_before = _native_scan("live", flags, None, 0, 0.0)
        is_new_live = _not_in(_member_ids(live_before)) or (lambda _graph, _index: True)
        result = function(*args)
        if type(result) is CoroutineType:
            result.close()
            raise wrong_type("what function returned", result, remedy)
        del result
        # What was garbage before is held by `before`, which counts as a real
        # holder here: so only new garbage is found.
        garbage = _native_scan("garbage", 0, None, 0, 0.0, keep=before)
        live = _native_scan("live", flags, None, 0, 0.0)
        return ScanReport(
            "created",
            (garbage, live),
            DEFAULT_CUTS,
            explain=True,
            selection=Selection(
                is_new=lambda graph, index: graph is garbage or is_new_live(graph, index)
            ),
        )
    finally:
        if was_enabled:
            gc.enable()


def detect_circular_references() -> int:
    """Count the circular references that are the program's own.

    Returns:
        Garbage cycles and live cycles [count], those of the standard library
        and of memguard alone not counted.

    Cost:
        Two scans of the heap.
    """
    return sum(
        shape.cycle_count
        for kind in get_args(ScanKind)
        for shape in scan(kind, explain=False).shapes
        if not shape.is_library_only
    )


def _native_scan(
    kind: str,
    cut_flags: int,
    roots: tuple[object, ...] | None,
    max_objects: int,
    budget_seconds: float,
    **options: Any,
) -> _core.HeapGraph:
    _require_scannable()
    return _core.scan_heap(kind, cut_flags, roots, max_objects, budget_seconds, **options)


def _require_scannable() -> None:
    if _core.build_info()["free_threaded"]:
        raise UnsupportedPythonError(
            f"Python {platform.python_version()} (free-threaded build)",
            "its reference counts are deferred and cannot be read from outside;"
            " use the default build of the same version",
        )


def _member_ids(graph: _core.HeapGraph) -> frozenset[int]:
    return frozenset(
        member for index in range(graph.cycle_count) for member in graph.cycle_ids(index)
    )
