"""A report that was written as JSON, read again.

Covers: the same attributes as a live report and its shapes, for rendering and
comparing; checking that a document is one.
Does not cover: the objects, which are gone; single cycles.
See also: ``render.plain``, which writes such documents.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, cast, get_args

from memguard.errors import UnreadableReportError
from memguard.heap.exemplar import Exemplar, Member, Reference
from memguard.heap.loops import Edge

SCHEMA = 1
"""Version of the documents that this version writes and reads."""

Kind = Literal["garbage", "live", "created"]

_Type = TypeVar("_Type")


@dataclass(frozen=True, slots=True)
class SavedAdvice:
    """What to do about a shape, as it was saved."""

    sentence: str
    code: str
    cuts: tuple[Edge, ...]
    action: str
    dissolved_cycle_count: int
    cycle_count: int
    remedy: str


@dataclass(frozen=True, slots=True, eq=False)
class SavedShape:
    """A shape of cycles, as it was saved; see `Shape`.

    Attributes:
        key: Short text by which it is known again; "" in older documents.
        path: See `Shape`, like all that follows.
        verbose_path: See `Shape`; the path in older documents.
        edges: See `Shape`.
        type_names: See `Shape`.
        cycle_count: See `Shape`.
        object_count: See `Shape`.
        shallow_bytes: See `Shape`.
        retained_bytes: See `Shape`.
        is_library_only: See `Shape`.
        advice: What to do about it, if anything is known.
        drawn: The cycle that stands for it; None when it was not saved.
        told_owners: Whose its cycles are, and how many each has, as far as it was told.
        allocated_at: See `Shape`.
    """

    key: str
    path: str
    verbose_path: str
    edges: tuple[Edge, ...]
    type_names: Mapping[str, int]
    cycle_count: int
    object_count: int
    shallow_bytes: int
    retained_bytes: int
    is_library_only: bool
    advice: SavedAdvice | None
    drawn: Exemplar | None
    told_owners: Mapping[str, int] = field(default_factory=dict)
    allocated_at: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_advised(self) -> bool:
        """Whether reading `advice` costs nothing; as for a `Shape` that was asked."""
        return True


@dataclass(frozen=True, slots=True)
class SavedReport:
    """What one scan found, as it was saved; see `ScanReport`.

    Attributes:
        kind: See `ScanReport`, like what is not explained here.
        origin: When and where ``memguard run`` made it, as far as it did:
            "trigger", "pid", "elapsed_seconds", "shapes_left_out_count".
    """

    kind: Kind
    complete: bool
    stopped_by: str
    object_count: int
    edge_count: int
    mode: str
    fallback_reason: str
    duration_seconds: float
    pause_seconds: float
    copied_bytes: int
    side_table_bytes: int
    cuts: frozenset[str]
    suspect_count: int
    unreachable_count: int
    unreachable_types: Mapping[str, int]
    cycle_count: int
    shapes: tuple[SavedShape, ...]
    origin: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, document: object) -> "SavedReport":
        """Read what `ScanReport.to_dict` gave.

        Raises:
            UnreadableReportError: It is not that, or of another version.
        """
        values = _Values(document, "the document")
        schema = values.get("schema", int)
        if schema != SCHEMA:
            raise UnreadableReportError(
                f"it is of version {schema}, and this memguard reads version {SCHEMA}"
            )
        kind = values.get("kind", str)
        if kind not in get_args(Kind):
            raise UnreadableReportError(f"its kind is {kind!r}")
        return cls(
            kind=cast("Kind", kind),
            complete=values.get("complete", bool),
            stopped_by=values.get("stopped_by", str),
            object_count=values.get("object_count", int),
            edge_count=values.get("edge_count", int),
            duration_seconds=values.number("duration_seconds"),
            **_how(values),
            side_table_bytes=values.get("side_table_bytes", int),
            cuts=frozenset(values.texts("cuts")),
            suspect_count=values.get("suspect_count", int),
            unreachable_count=values.get("unreachable_count", int),
            unreachable_types=values.counts("unreachable_types"),
            cycle_count=values.get("cycle_count", int),
            shapes=tuple(_shape(_Values(item, "a shape")) for item in values.items("shapes")),
            origin=_origin(values),
        )


def read_documents(text: str) -> list[SavedReport]:
    """Read a report, or several with one on each line, as ``memguard run`` writes them.

    Raises:
        UnreadableReportError: Something is neither.
    """
    try:
        documents = [json.loads(text)]
    except ValueError as error:
        lines = [line for line in text.splitlines() if line.strip()]
        if len(lines) < 2:
            raise UnreadableReportError(f"it is not JSON ({error})") from None
        try:
            documents = [json.loads(line) for line in lines]
        except ValueError as line_error:
            raise UnreadableReportError(
                f"it is neither one JSON object nor one on each line ({line_error})"
            ) from None
    except RecursionError:
        raise UnreadableReportError("it is nested too deeply") from None
    return [SavedReport.from_dict(document) for document in documents]


def newest_of_each_kind(reports: list[SavedReport]) -> list[SavedReport]:
    """Give the last report of each kind, in the order in which kinds first came."""
    newest = {report.kind: report for report in reports}
    return list(newest.values())


def _how(values: "_Values") -> dict[str, Any]:
    """Read how the scan was made; documents of before there were snapshots do not tell."""
    if not values.has("mode"):
        return {
            "mode": "inline",
            "fallback_reason": "",
            "pause_seconds": values.number("duration_seconds"),
            "copied_bytes": 0,
        }
    return {
        "mode": values.get("mode", str),
        "fallback_reason": values.get("fallback_reason", str),
        "pause_seconds": values.number("pause_seconds"),
        "copied_bytes": values.get("copied_bytes", int),
    }


def _origin(values: "_Values") -> dict[str, Any]:
    origin: dict[str, Any] = {}
    if values.has("trigger"):
        origin["trigger"] = values.get("trigger", str)
        origin["pid"] = values.get("pid", int)
        origin["elapsed_seconds"] = values.number("elapsed_seconds")
        origin["shapes_left_out_count"] = values.get("shapes_left_out_count", int)
    return origin


def _shape(values: "_Values") -> SavedShape:
    advice = values.child("advice")
    drawn = values.child("exemplar")
    return SavedShape(
        key=values.get("key", str) if values.has("key") else "",
        path=values.get("path", str),
        verbose_path=values.get("verbose_path" if values.has("verbose_path") else "path", str),
        edges=_edges(values, "edges"),
        type_names=values.counts("type_names"),
        cycle_count=values.get("cycle_count", int),
        object_count=values.get("object_count", int),
        shallow_bytes=values.get("shallow_bytes", int),
        retained_bytes=values.get("retained_bytes", int),
        is_library_only=values.get("is_library_only", bool),
        advice=_advice(advice) if advice else None,
        drawn=_exemplar(drawn) if drawn else None,
        told_owners=values.counts("owners") if values.has("owners") else {},
        allocated_at=values.counts("allocated_at") if values.has("allocated_at") else {},
    )


def _edges(values: "_Values", name: str) -> tuple[Edge, ...]:
    edges = (_Values(item, f"an item of {name}") for item in values.items(name))
    return tuple(
        Edge(edge.get("source", str), edge.get("label", str), edge.get("target", str))
        for edge in edges
    )


def _advice(values: "_Values") -> SavedAdvice:
    return SavedAdvice(
        sentence=values.get("sentence", str),
        code=values.get("code", str),
        cuts=_edges(values, "cuts"),
        action=values.get("action", str),
        dissolved_cycle_count=values.get("dissolved_cycle_count", int),
        cycle_count=values.get("cycle_count", int),
        remedy=values.get("remedy", str),
    )


def _exemplar(values: "_Values") -> Exemplar:
    members = [_Values(item, "a member") for item in values.items("members")]
    references = [_Values(item, "a reference") for item in values.items("references")]
    drawn = Exemplar(
        members=tuple(
            Member(
                member.get("name", str),
                member.get("module", str),
                member.get("type_name", str),
                member.get("value", str),
            )
            for member in members
        ),
        references=tuple(
            Reference(
                item.get("source", int),
                item.get("label", str),
                item.get("target", int),
                item.get("is_cut", bool) if item.has("is_cut") else False,
            )
            for item in references
        ),
        loop_count=values.get("loop_count", int),
        size=values.get("size", int),
        shallow_bytes=values.get("shallow_bytes", int),
        retained_count=values.get("retained_count", int),
        retained_bytes=values.get("retained_bytes", int),
        outside_reference_count=values.get("outside_reference_count", int),
        held_types=values.counts("held_types") if values.has("held_types") else {},
    )
    known = range(len(members))
    if drawn.loop_count not in range(len(members) + 1) or not all(
        item.source in known and item.target in known for item in drawn.references
    ):
        raise UnreadableReportError("an exemplar refers to a member that it does not have")
    return drawn


class _Values:
    """The values of a JSON object, each checked when it is read."""

    def __init__(self, document: object, where: str) -> None:
        if not isinstance(document, dict):
            raise UnreadableReportError(f"{where} is not an object")
        self._values = document
        self._where = where

    def has(self, name: str) -> bool:
        return name in self._values

    def get(self, name: str, wanted: type[_Type]) -> _Type:
        value = self._values.get(name)
        if type(value) is not wanted:
            raise UnreadableReportError(f"{self._where} has no {name} of type {wanted.__name__}")
        return value

    def number(self, name: str) -> float:
        value = self._values.get(name)
        return float(value) if type(value) is int else self.get(name, float)

    def items(self, name: str) -> list[Any]:
        return self.get(name, list)

    def child(self, name: str) -> "_Values | None":
        value = self._values.get(name)
        return None if value is None else _Values(value, f"{name} of {self._where}")

    def texts(self, name: str) -> list[str]:
        texts = self.items(name)
        if not all(type(text) is str for text in texts):
            raise UnreadableReportError(f"{name} of {self._where} has something else than texts")
        return texts

    def counts(self, name: str) -> dict[str, int]:
        counts = self.get(name, dict)
        if not all(type(number) is int for number in counts.values()):
            raise UnreadableReportError(f"{name} of {self._where} has something else than counts")
        return counts
