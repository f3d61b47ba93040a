"""What is told of all that grows: each thing once, by the name of what holds it.

Covers: what is one thing seen twice, and the findings.
Does not cover: what grows (``trend``), names of containers (``places``).
"""

from collections.abc import Callable, Mapping, Sequence
from math import log
from types import ModuleType
from typing import NamedTuple

from memguard.heap.growth.entries import leads_to
from memguard.heap.growth.history import Series
from memguard.heap.growth.holders import Held, find_holders
from memguard.heap.growth.places import Growing, Place, places_of
from memguard.heap.growth.report import GrowthFinding
from memguard.heap.growth.trend import Rise
from memguard.heap.names import is_library_module, short_name, type_name

_SAME_RATE_RATIO = 0.03
_MOST_HELD = 16


_Type = tuple[str, Rise, Series]


class Told(NamedTuple):
    """A finding, and the containers that it is about by their keys."""

    finding: GrowthFinding
    keys: frozenset[tuple[int, int]]


def fold(
    containers: Sequence[Growing],
    types: Sequence[_Type],
    unit: str,
    newest: Callable[[list[str]], list[list[object]]],
    root: object = None,
) -> list[Told]:
    """Say what grows: of the program first, then of libraries, then of Python itself.

    Args:
        containers: Those that grow.
        types: Types whose objects become more.
        unit: "run" or "minute".
        newest: Gives the newest objects of types, by their names.
        root: What counts as a root of ways, too.
    """
    groups = _grouped(places_of(containers, root))
    explained: list[list[_Type]] = [[] for _ in groups]
    rest = []
    for one in sorted(types, key=lambda item: -item[1].per_unit):
        position = _explaining(groups, one[0], one[1].per_unit)
        if position is None:
            rest.append(one)
        else:
            explained[position].append(one)
    holders = find_holders([name for name, _, _ in rest[:_MOST_HELD]], newest, root)
    unexplained = []
    for one in rest:
        held = holders.get(one[0])
        if held and (held.is_own or (_is_builtin(one[0]) and not held.is_most)):
            continue  # by chance one of the many that hold lists, say, for a moment
        position = _on_the_way(groups, held)
        if position is None:
            unexplained.append(one)
        else:
            explained[position].append(one)
    found = [
        (group[0].rank, _finding(group, of_it, unit), frozenset(one.growing.key for one in group))
        for group, of_it in zip(groups, explained, strict=True)
        if not group[0].is_bounded
    ]
    found.sort(key=lambda item: (item[0], -item[1].entries_per_run, item[1].name))
    of_types = _type_findings(unexplained, holders, unit)
    return [
        *(Told(finding, keys) for _, finding, keys in found),
        *(Told(finding, frozenset()) for finding in of_types),
    ]


def _grouped(named: list[Place]) -> list[list[Place]]:
    """Put together what lies below a growing container, or beside it in one object."""
    groups: list[list[Place]] = []
    closed = [one.growing.container for one in named]
    # Weak ones last: they follow what others hold.
    for one in sorted(named, key=lambda item: (item.is_weak, item.rank, len(item.steps))):
        for group in groups:
            # What is bounded must not hide what is not.
            if one.is_bounded == group[0].is_bounded and (
                _is_below(one, group)
                or _is_beside(one, group)
                or (one.is_weak and _is_multiple(one.rate, group[0].rate))
                or _has_the_same(one, group[0], closed)
            ):
                group.append(one)
                break
        else:
            groups.append([one])
    for group in groups:
        leader = group[0]
        top = min(len(one.steps) for one in group if one.is_weak == leader.is_weak)
        # A rate of one a run says most; else the order of the attributes decides.
        group.sort(
            key=lambda one: (
                one.is_weak,
                one.rank > leader.rank,
                len(one.steps) > top,
                round(abs(log(one.rate)), 2),
                one.position,
            )
        )
    return groups


def _is_below(one: Place, group: list[Place]) -> bool:
    return any(thing is other.growing.container for other in group for thing in one.steps[:-1])


def _is_beside(one: Place, group: list[Place]) -> bool:
    owner = one.owner
    # Lists of one dict, say: a person could not tell them apart.
    if (one.name, one.path) == (group[0].name, group[0].path):
        return True
    if issubclass(type(owner), ModuleType) or len(one.steps) < 2:
        return False
    return any(other.owner is owner for other in group)


def _has_the_same(one: Place, first: Place, closed: list[object]) -> bool:
    """Whether what it holds is held by the first, too: one thing noted in two places."""
    if not (_is_multiple(one.rate, first.rate) or _is_multiple(first.rate, one.rate)):
        return False
    return leads_to(first.growing.container, one.growing.container, closed)


def _on_the_way(groups: list[list[Place]], held: Held | None) -> int | None:
    """Choose the container that leads to the newest objects of a type."""
    passed = {id(thing) for thing in held.steps} if held else ()
    for position, group in enumerate(groups):
        if any(id(one.growing.container) in passed for one in group):
            return position
    return None


def _explaining(groups: list[list[Place]], name: str, rate: float) -> int | None:
    """Choose the container whose entries a type seems to belong to."""
    # What is bounded explains only what nothing else does.
    order = sorted(range(len(groups)), key=lambda position: groups[position][0].is_bounded)
    for position in order:
        if any(_is_multiple(rate, one.rate) for one in groups[position]):
            return position
    return order[0] if groups and _is_builtin(name) else None


def _is_builtin(name: str) -> bool:
    return name.startswith("builtins.")


def _is_multiple(rate: float, of: float) -> bool:
    times = max(1, round(rate / of))
    return abs(rate - times * of) <= _SAME_RATE_RATIO * rate


def _finding(group: list[Place], types: list[_Type], unit: str) -> GrowthFinding:
    first, *others = group
    folded = {name for name, _, _ in types}
    alike = [one for one in group if (one.name, one.path) == (first.name, first.path)]
    size_bytes = sum(_per_unit(series, series.shallow_bytes) for _, _, series in types)
    for one in group:
        series = one.growing.series
        size_bytes += _per_unit(series, series.leaf_bytes)
        # Else the bytes of its type have it.
        if type_name(type(one.growing.container)) not in folded:
            size_bytes += _per_unit(series, series.shallow_bytes)
    return GrowthFinding(
        name=first.name,
        kind=first.kind,
        entries_per_run=sum(one.rate for one in alike),
        bytes_per_run=size_bytes,
        entry_count=sum(one.growing.series.counts[-1] for one in alike),
        path=first.path,
        also=tuple(dict.fromkeys(one.name for one in others if one.name != first.name)),
        types=_rates(types),
        unit=unit,
        owner=first.owner_type,
    )


def _per_unit(series: Series, numbers: Sequence[int]) -> float:
    return (numbers[-1] - numbers[0]) / (series.places[-1] - series.places[0])


def _rates(types: Sequence[_Type]) -> tuple[tuple[str, float], ...]:
    ordered = sorted(types, key=lambda one: (_rank(one[0]), -one[1].per_unit, one[0]))
    return tuple((short_name(name), rise.per_unit) for name, rise, _ in ordered)


def _rank(name: str) -> int:
    """Classes of the program first, then those of libraries, then what is built in."""
    module = name.rpartition(".")[0]
    return 2 if module == "builtins" else 1 if is_library_module(module) else 0


def _type_findings(
    rest: list[_Type], holders: Mapping[str, Held], unit: str
) -> list[GrowthFinding]:
    """Make one finding of types that become more at one rate, or a multiple of it."""
    groups: list[list[_Type]] = []
    for one in sorted(rest, key=lambda item: (_rank(item[0]), item[1].per_unit, item[0])):
        for group in groups:
            if _is_with(one, group[0], holders):
                group.append(one)
                break
        else:
            groups.append([one])
    found = []
    for group in groups:
        name, rise, series = group[0]
        held = holders.get(name)
        found.append(
            GrowthFinding(
                name=short_name(name),
                kind="type",
                entries_per_run=rise.per_unit,
                bytes_per_run=sum(_per_unit(one, one.shallow_bytes) for _, _, one in group),
                entry_count=series.counts[-1],
                path=held.path if held else "",
                types=_rates(group[1:]),
                unit=unit,
                holder=held.holder if held else "",
            )
        )
    return sorted(found, key=lambda item: (-item.entries_per_run, item.name))


def _is_with(one: _Type, first: _Type, holders: Mapping[str, Held]) -> bool:
    if _is_builtin(one[0]) or _is_multiple(one[1].per_unit, first[1].per_unit):
        return True
    held, by_first = holders.get(one[0]), holders.get(first[0])
    return held is not None and by_first is not None and held.holder == by_first.holder
