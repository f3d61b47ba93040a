"""Independent answers to the scanner's questions.

None of this shares code or method with memguard: the collector itself under
``DEBUG_SAVEALL``, a trial deletion in plain Python, and rustworkx for
components.
"""

import gc
import sys
import types
from collections import Counter
from collections.abc import Iterable, Iterator

import rustworkx


def collected_objects() -> list[object]:
    """Let the collector find the garbage and hand it over, instead of freeing it."""
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        gc.collect()
        found = list(gc.garbage)
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
    return found


def uncounted_objects() -> list[object]:
    """Find unreachable objects by trial deletion over all tracked objects, in plain Python.

    Works where finalizers would disturb the collector's own answer.
    """
    by_id: dict[int, object] = {}
    counts = {}
    # The loops hold references too; how many differs between Python versions.
    for thing in [[]]:
        held_by_loop = sys.getrefcount(thing)
    del thing
    for thing in gc.get_objects():
        counts[id(thing)] = sys.getrefcount(thing) - held_by_loop
        by_id[id(thing)] = thing
    # From 3.14 on a dict is tracked before anything is in it; these two are
    # not part of what is looked at.
    for own in (by_id, counts):
        counts.pop(id(own), None)
        by_id.pop(id(own), None)
    for thing in by_id.values():
        for child in _referents(thing):
            if id(child) in counts:
                counts[id(child)] -= 1
    reached = [key for key, left in counts.items() if left > 0]
    alive = set(reached)
    while reached:
        for child in _referents(by_id[reached.pop()]):
            if id(child) in counts and id(child) not in alive:
                alive.add(id(child))
                reached.append(id(child))
    return [thing for key, thing in by_id.items() if key not in alive]


def _referents(thing: object) -> list[object]:
    """Give what an object refers to.

    Of a module its dict only: in early 3.12 the module ``_asyncio`` also shows
    memory that it freed, and ``gc.get_referents`` then never returns
    (python/cpython gh-122695). What C code of a module holds counts as held.
    """
    if type(thing) is types.ModuleType:
        return [vars(thing)]
    return gc.get_referents(thing)


def references_among(objects: Iterable[object], *, cut: bool = False) -> Iterator[tuple[int, int]]:
    """Give each reference from one of the objects to another, as ids; the default cuts or none."""
    by_id = {id(thing): thing for thing in objects}
    if cut:
        cut_ids = module_dict_ids()
        by_id = {key: thing for key, thing in by_id.items() if not _is_cut(thing, cut_ids)}
    for key, thing in by_id.items():
        for child in _referents(thing):
            if id(child) in by_id:
                yield key, id(child)


def components(objects: Iterable[object], *, cut: bool = False) -> set[frozenset[int]]:
    """Give the ids of each cyclic component among the given objects."""
    graph = rustworkx.PyDiGraph()
    index: dict[int, int] = {}
    loops = set()
    for source, target in references_among(objects, cut=cut):
        for key in (source, target):
            if key not in index:
                index[key] = graph.add_node(key)
        graph.add_edge(index[source], index[target], None)
        if source == target:
            loops.add(source)
    return {
        frozenset(graph[node] for node in component)
        for component in rustworkx.strongly_connected_components(graph)
        if len(component) > 1 or graph[component[0]] in loops
    }


def reached_from(roots: Iterable[object]) -> list[object]:
    """Give the tracked objects that roots reach, bounded by the default cuts."""
    cut_ids = module_dict_ids()
    found: dict[int, object] = {}
    roots = list(roots)
    # A root that is cut is followed, though it is part of no cycle.
    waiting = [child for root in roots for child in (root, *gc.get_referents(root))]
    while waiting:
        thing = waiting.pop()
        if id(thing) in found or not gc.is_tracked(thing) or _is_cut(thing, cut_ids):
            continue
        found[id(thing)] = thing
        waiting.extend(gc.get_referents(thing))
    return list(found.values())


def module_dict_ids() -> frozenset[int]:
    """Give the ids of the dicts of all modules."""
    # Not isinstance(): _cffi_backend.Lib claims to be a module by __class__.
    return frozenset(
        id(vars(thing)) for thing in gc.get_objects() if issubclass(type(thing), types.ModuleType)
    )


def _is_cut(thing: object, cut_ids: frozenset[int]) -> bool:
    return issubclass(type(thing), type | types.ModuleType) or id(thing) in cut_ids


def names_of(objects: Iterable[object]) -> Counter[str]:
    """Count objects by "module.QualName"."""
    return Counter(f"{type(thing).__module__}.{type(thing).__qualname__}" for thing in objects)
