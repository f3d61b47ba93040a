"""What is told of all that grows: each thing once, by the name of what holds it.

Covers: what is one thing seen twice, and the findings.
Does not cover: what grows (``trend``), names of containers (``places``).
"""

import gc
from collections.abc import Callable, Mapping, Sequence
from math import log
from types import ModuleType
from typing import NamedTuple

from memguard.heap.growth.entries import Leads
from memguard.heap.growth.history import Series
from memguard.heap.growth.holders import Held, find_holders
from memguard.heap.growth.places import Growing, Place, places_of, without_numbers
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
    *,
    hides_short: bool = False,
) -> list[Told]:
    """Say what grows: of the program first, then of libraries, then of Python itself.

    Args:
        containers: Those that grow.
        types: Types whose objects become more.
        unit: "run" or "minute".
        newest: Gives the newest objects of types, by their names.
        root: What counts as a root of ways, too.
        hides_short: Whether containers were left out that may hold what is built in.
    """
    groups = _grouped(places_of(containers, root))
    of_containers = _bytes_of_containers(containers)
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
        if held and held.is_own:
            continue
        position = _on_the_way(groups, held)
        if position is not None:
            explained[position].append(one)
        elif not (_is_builtin(one[0]) and (hides_short or (held and not held.is_most))):
            # Else it is by chance one of the many that hold lists, say, for a moment.
            unexplained.append(one)
    found = [
        (
            group[0].rank,
            _finding(group, of_it, unit, of_containers),
            frozenset(one.growing.key for one in group),
        )
        for group, of_it in zip(groups, explained, strict=True)
        if not group[0].is_bounded
    ]
    found.sort(key=lambda item: (item[0], -item[1].entries_per_run, item[1].name))
    of_types = _type_findings(unexplained, holders, unit)
    return [
        *(Told(finding, keys) for _, finding, keys in found),
        *(Told(finding, frozenset()) for finding in of_types),
    ]


class _Group:
    """Containers that are one thing; the first of them was met first."""

    def __init__(self, first: Place) -> None:
        self.places = [first]
        self._containers = {id(first.growing.container)}
        self._owners = {id(first.owner)}

    def add(self, one: Place) -> None:
        """Put another to it."""
        self.places.append(one)
        self._containers.add(id(one.growing.container))
        self._owners.add(id(one.owner))

    def has_above(self, one: Place) -> bool:
        """Whether one lies below a container of it."""
        return any(id(thing) in self._containers for thing in one.steps[:-1])

    def has_beside(self, one: Place) -> bool:
        """Whether one lies beside a container of it in one object, or is called the same."""
        # Lists of one dict, say: a person could not tell them apart.
        if one.likeness == self.places[0].likeness:
            return True
        if issubclass(type(one.owner), ModuleType) or len(one.steps) < 2:
            return False
        return id(one.owner) in self._owners


def _grouped(named: list[Place]) -> list[list[Place]]:
    """Put together what lies below a growing container, or beside it in one object."""
    groups: list[_Group] = []
    leads = Leads(one.growing.container for one in named)
    # Weak ones last: they follow what others hold.
    for one in sorted(named, key=lambda item: (item.is_weak, item.rank, len(item.steps))):
        for group in groups:
            first = group.places[0]
            # What is bounded must not hide what is not.
            if one.is_bounded == first.is_bounded and (
                group.has_above(one)
                or group.has_beside(one)
                or (one.is_weak and _is_multiple(one.rate, first.rate))
                or _has_the_same(one, first, leads)
            ):
                group.add(one)
                break
        else:
            groups.append(_Group(one))
    return [_ordered(group.places) for group in groups]


def _ordered(group: list[Place]) -> list[Place]:
    """Put first what a person would mend."""
    leader = group[0]
    top = min(len(one.steps) for one in group if one.is_weak == leader.is_weak)
    # A rate of one a run says most; else the order of the attributes decides.
    return sorted(
        group,
        key=lambda one: (
            one.is_weak,
            one.rank > leader.rank,
            len(one.steps) > top,
            round(abs(log(one.rate)), 2),
            one.position,
        ),
    )


def _has_the_same(one: Place, first: Place, leads: Leads) -> bool:
    """Whether what it holds is held by the first, too: one thing noted in two places."""
    if not (_is_multiple(one.rate, first.rate) or _is_multiple(first.rate, one.rate)):
        return False
    return leads.to(first.growing.container, one.growing.container)


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


def _bytes_of_containers(containers: Sequence[Growing]) -> dict[str, float]:
    """Give what those add to the bytes of their types, by type."""
    found: dict[str, float] = {}
    for one in containers:
        # What the collector does not track is in the numbers of no type.
        if gc.is_tracked(one.container):
            name = type_name(type(one.container))
            series = one.series
            found[name] = found.get(name, 0) + _per_unit(series, series.shallow_bytes)
    return found


def _finding(
    group: list[Place], types: list[_Type], unit: str, of_containers: Mapping[str, float]
) -> GrowthFinding:
    first, *others = group
    alike = [one for one in group if one.likeness == first.likeness]
    name = _common([one.name for one in alike])
    also = [one.name for one in others if one.name != first.name and one.likeness != first.likeness]
    size_bytes = 0.0
    for kind, _, series in types:
        # That of containers belongs to what holds them.
        of_type = _per_unit(series, series.shallow_bytes) - of_containers.get(kind, 0)
        size_bytes += max(of_type, 0)
    for one in group:
        series = one.growing.series
        size_bytes += _per_unit(series, series.leaf_bytes)
        size_bytes += _per_unit(series, series.shallow_bytes)
    return GrowthFinding(
        name=name,
        kind=first.kind,
        entries_per_run=sum(one.rate for one in alike),
        bytes_per_run=size_bytes,
        entry_count=sum(one.growing.series.counts[-1] for one in alike),
        path=_common([one.path for one in alike]),
        also=tuple(dict.fromkeys(also)),
        types=_rates(types),
        unit=unit,
        owner=first.owner_type,
    )


def _common(texts: Sequence[str]) -> str:
    """Give what they have in common, without the numbers in which they differ."""
    return texts[0] if len({*texts}) == 1 else without_numbers(texts[0])


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
