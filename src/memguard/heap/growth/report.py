"""What grows, for people and programs.

Covers: findings and the report, as text and as plain values.
Does not cover: finding it (``tracker``).
"""

import json
from dataclasses import asdict, dataclass
from typing import Any, Literal

from memguard.heap.arguments import ScanMode
from memguard.heap.names import short_name
from memguard.heap.render.text import count, size

GrowthKind = Literal["dict", "list", "set", "deque", "lru_cache", "type"]


@dataclass(frozen=True, slots=True)
class GrowthFinding:
    """One thing that grows steadily.

    Attributes:
        name: What holds it, such as ``app.cache.SESSIONS``, or the name of a type.
        kind: "dict", "list", "set", "deque", "lru_cache", or "type" when no container
            that grows explains it.
        entries_per_run: Entries, or objects of the type, that each run adds, by
            the median slope; in a report by the minute, that each minute adds [count].
        bytes_per_run: Memory that is known to come with them: of the container, of
            what only it holds, and of objects of the types in *types* [bytes].
        entry_count: How many there are now [count].
        path: The references from a root to the container; "" where none is known.
        also: Other containers that grow with it: beside it in the same object, or below.
        types: Types whose objects become more at the same rate, and how many
            each run adds.
        unit: "run" or "minute".
        holder: Of a type: what holds its newest objects; "" where nobody is known.
        owner: Of a container: the class of the object that has it; "" where that is
            a module, class or function.
    """

    name: str
    kind: GrowthKind
    entries_per_run: float
    bytes_per_run: float
    entry_count: int
    path: str
    also: tuple[str, ...] = ()
    types: tuple[tuple[str, float], ...] = ()
    unit: str = "run"
    holder: str = ""
    owner: str = ""

    @property
    def text(self) -> str:
        """It in one line."""
        what = "object" if self.kind == "type" else "entry"
        plural = {"object": "objects", "entry": "entries"}[what]
        rate = f"{self.entries_per_run:+,.2f}"
        words = what if rate == "+1.00" else plural
        held = f", held by {self.holder}" if self.holder else ""
        return f"{self.name} {rate} {words} per {self.unit}{held}"

    def __str__(self) -> str:
        return self.text


_MOST_TYPES = 4
_USUAL_FLOOR = 4
"""A higher one is said: what is left out must not pass for well [count]."""


@dataclass(frozen=True, slots=True)
class GrowthReport:
    """What grew steadily.

    Attributes:
        findings: Containers first, then types that none of them explains; each most
            entries a run first.
        look_count: Looks that it is based on [count].
        extent: What they lie apart, in runs or minutes.
        unit: "run" or "minute".
        floor: Containers that were never longer than this were not looked at [count].
        object_count: Objects in the last look [count].
        duration_seconds: That look [s].
        is_enough: False when there were too few looks to say anything.
        pause_seconds: How long everything stood still for that look [s].
        mode: Where it ran: "inline", in this process, or in a "snapshot" of it.
        fallback_reason: Why it ran in this process though a snapshot was asked for; else "".
    """

    findings: tuple[GrowthFinding, ...]
    look_count: int
    extent: float
    unit: str
    floor: int
    object_count: int
    duration_seconds: float
    is_enough: bool
    pause_seconds: float = 0.0
    mode: ScanMode = "inline"
    fallback_reason: str = ""

    def to_text(self) -> str:
        """Write it for people."""
        plural = f"{self.unit}s" if self.extent != 1 else self.unit
        over = f"{self.extent:,.4g} {plural}, {count(self.look_count, 'look')}"
        if self.floor > _USUAL_FLOOR:
            over += f"; containers that never had {self.floor:,} entries are left out"
        if not self.is_enough:
            return f"Growth: too few looks to say anything ({over}); let it run for longer."
        if not self.findings:
            return f"Growth: nothing grows steadily ({over})."
        lines = [f"Growth: {count(len(self.findings), 'finding')} ({over})."]
        for number, finding in enumerate(self.findings, 1):
            lines += ["", *_described(number, finding)]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Give it as plain values."""
        return asdict(self)

    def to_json(self, *, indent: int | None = 2) -> str:
        """Write `to_dict` as JSON."""
        return json.dumps(self.to_dict(), indent=indent)

    def __str__(self) -> str:
        return self.to_text()


def _described(number: int, finding: GrowthFinding) -> list[str]:
    what: str = "objects of a type" if finding.kind == "type" else finding.kind
    if finding.owner and f"{finding.owner}." not in finding.name:
        what += f" of {short_name(finding.owner)}"
    rate = f"{size(round(finding.bytes_per_run))} per {finding.unit}"
    lines = [f"  {number}. {finding.text}", f"     {what}, {finding.entry_count:,} now; {rate}"]
    if finding.path:
        lines.append(f"     {finding.path}")
    if finding.also:
        lines.append(f"     also {', '.join(finding.also)}")
    if finding.types:
        shown = ", ".join(f"{rate:,.2f} {name}" for name, rate in finding.types[:_MOST_TYPES])
        more = len(finding.types) - _MOST_TYPES
        lines.append(f"     with {shown}" + (f" and {more} more types" if more > 0 else ""))
    return lines
