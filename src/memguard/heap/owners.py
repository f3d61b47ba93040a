"""Whose the memory is.

Covers: the question and its answer.
Does not cover: finding it (``estates``), who can own something (``owner``).

See also: ``docs/owners.md``.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from memguard._core import HeapGraph
from memguard.heap.estates import Estate, Estates, find_estates
from memguard.heap.owner import UNKNOWN, Owner
from memguard.heap.scan import scan


@dataclass(frozen=True, slots=True)
class OwnerRow:
    """What one owner holds.

    Attributes:
        owner: Who: an agent, a task, a thread, what was registered; for garbage also
            "shared" and "unknown".
        retained_bytes: What would be freed without the objects of this owner, what
            owners among it hold included, and garbage of its cycles [bytes].
        retained_count: The same [count].
        own_bytes: Of that, without what belongs to another owner in between [bytes];
            these of all rows have nothing in common.
        own_count: The same [count].
        garbage_bytes: Of that, what waits for the collector [bytes].
        garbage_count: The same [count].
        cycle_count: Cycles of this owner, live and garbage; None if they were not
            looked for.
    """

    owner: Owner
    retained_bytes: int
    retained_count: int
    own_bytes: int
    own_count: int
    garbage_bytes: int
    garbage_count: int
    cycle_count: int | None

    def __str__(self) -> str:
        from memguard.heap.render.text import count, size

        cycles = f" in {count(self.cycle_count, 'cycle')}" if self.cycle_count else ""
        parts = [f"{size(self.own_bytes)} its own"] * (self.own_bytes != self.retained_bytes)
        parts += [f"{size(self.garbage_bytes)} garbage"] * bool(self.garbage_bytes)
        details = f" ({', '.join(parts)})" if parts else ""
        return f"{self.owner} holds {size(self.retained_bytes)}{cycles}{details}"


@dataclass(frozen=True, slots=True)
class OwnersReport:
    """What each owner holds, found in one search.

    Attributes:
        rows: Owners that hold anything, those that hold most first, threads last.
        shared_bytes: What owners hold together, and none of them alone [bytes].
        shared_count: The same [count].
        unowned_bytes: What is held without any owner: by modules, by C code [bytes].
        unowned_count: The same [count].
        shared_cycle_count: Live cycles that owners hold together; None if cycles were
            not looked for.
        unowned_cycle_count: Live cycles that are held without any owner, and lead to
            none; None likewise.
        object_count: Objects that the collector tracks and that were looked at [count].
        side_table_bytes: Native memory at its largest, freed since [bytes].
        duration_seconds: Of the native search, without the scans for cycles [s].
    """

    rows: tuple[OwnerRow, ...]
    shared_bytes: int
    shared_count: int
    unowned_bytes: int
    unowned_count: int
    shared_cycle_count: int | None
    unowned_cycle_count: int | None
    object_count: int
    side_table_bytes: int
    duration_seconds: float

    def row_of(self, name: str) -> OwnerRow | None:
        """Give the first row of an owner that has this name, or None."""
        return next((row for row in self.rows if row.owner.name == name), None)

    def __str__(self) -> str:
        return self.to_text()

    def to_text(self, *, most_rows: int = 20) -> str:
        """Give it as lines for people.

        Args:
            most_rows: Rows that are shown; others are counted [count].
        """
        from memguard.heap.render.text import count, size

        lines = [str(row) for row in self.rows[:most_rows]] or ["nothing has an owner"]
        hidden = self.rows[most_rows:]
        if hidden:
            own_bytes = sum(row.own_bytes for row in hidden)
            lines.append(f"... and {count(len(hidden), 'more owner')} with {size(own_bytes)}")
        if self.shared_count:
            lines.append(f"{size(self.shared_bytes)} shared by several owners")
        lines.append(f"{size(self.unowned_bytes)} held by modules and C code, not by an owner")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Give it as plain values."""
        return {
            **asdict(self),
            "rows": [{**asdict(row), "owner": _owner_dict(row.owner)} for row in self.rows],
        }

    def to_json(self, *, indent: int | None = 2) -> str:
        """Give it as JSON."""
        return json.dumps(self.to_dict(), indent=indent)


def _owner_dict(owner: Owner) -> dict[str, str]:
    return {**asdict(owner), "text": str(owner)}


def owners(*, cycles: bool = True) -> OwnersReport:
    """Say what each agent, task, thread and registered owner holds.

    An agent owns its context, a task what it runs, a thread the variables of its frames
    and its thread-local data, and whoever is named to `own` the objects registered. With
    these they hold all to which every way from a root leads through one of them: what
    would be freed if they were gone. What two owners share belongs to neither, and is
    told apart.

    Args:
        cycles: Look for cycles, too, live and garbage, and say whose they are.

    Returns:
        One row for each owner that holds anything.

    Raises:
        MemoryError: A native table could not be had; nothing was changed.

    Cost:
        O(references * log(objects)) of the process, and two scans with *cycles*; all
        stands still meanwhile. See ``benchmarks/owners.py``.

    Source:
        See ``_kernel/dominators.c``.
    """
    if not cycles:
        return _report(find_estates(), (), looked=False)
    with scan("live", explain=False) as live, scan("garbage", explain=False) as garbage:
        graphs = (*live.graphs, *garbage.graphs)
        return _report(find_estates(graphs), graphs, looked=True)


def _report(found: Estates, graphs: Sequence[HeapGraph], *, looked: bool) -> OwnersReport:
    live, all_cycles = Counter[Owner](), Counter[Owner]()
    for graph, its_owners in zip(graphs, found.cycle_owners, strict=True):
        all_cycles.update(its_owners)
        live.update(its_owners if graph.kind == "live" else ())
    shared_live = {owner: number for owner, number in live.items() if owner.kind == "shared"}
    # Live cycles without an owner of their own have no row; garbage has.
    all_cycles.subtract({**shared_live, UNKNOWN: live[UNKNOWN]})
    rows = [
        _row(estate, all_cycles[estate.owner] if looked else None)
        for estate in found.estates
        if estate.retained.count or estate.garbage.count
    ]
    owned_bytes = sum(estate.own.size_bytes for estate in found.estates)
    owned_count = sum(estate.own.count for estate in found.estates)
    return OwnersReport(
        rows=tuple(sorted(rows, key=_order)),
        shared_bytes=found.shared.size_bytes,
        shared_count=found.shared.count,
        unowned_bytes=found.alive.size_bytes - owned_bytes - found.shared.size_bytes,
        unowned_count=found.alive.count - owned_count - found.shared.count,
        shared_cycle_count=sum(shared_live.values()) if looked else None,
        unowned_cycle_count=live[UNKNOWN] if looked else None,
        object_count=found.object_count,
        side_table_bytes=found.side_table_bytes,
        duration_seconds=found.duration_seconds,
    )


def _row(estate: Estate, cycle_count: int | None) -> OwnerRow:
    garbage = estate.garbage
    return OwnerRow(
        owner=estate.owner,
        retained_bytes=estate.retained.size_bytes + garbage.size_bytes,
        retained_count=estate.retained.count + garbage.count,
        own_bytes=estate.own.size_bytes + garbage.size_bytes,
        own_count=estate.own.count + garbage.count,
        garbage_bytes=garbage.size_bytes,
        garbage_count=garbage.count,
        cycle_count=cycle_count,
    )


def _order(row: OwnerRow) -> tuple[bool, int, str]:
    return row.owner.kind == "thread", -row.retained_bytes, str(row.owner)
