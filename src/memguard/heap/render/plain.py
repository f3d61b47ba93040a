"""A report as plain values, ready for JSON.

Only counts and the names of types and attributes leave the process this way:
no representation, key or value of an object, unless the scan was asked for
``explain="values"``.
"""

from collections.abc import Callable, Iterable
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from memguard.heap.exemplar import Exemplar, Member, Reference, exemplar_of
from memguard.heap.render.remedy import advice_dict, advised
from memguard.heap.render.text import alike
from memguard.heap.saved import SCHEMA
from memguard.heap.shapes import Cycle, Shape
from memguard.heap.values import Values

if TYPE_CHECKING:
    from memguard.heap.report import ScanReport

SHAPES_ADVISED = 64
"""Shapes whose advice is found for the document; others have it if it was read [count]."""

MOST_CYCLES = 1000
"""Cycles listed one by one; the counts always cover all [count]."""

MOST_DRAWN = 200
"""Shapes of which a cycle is given with its references, those that read alike once [count]."""


def render_dict(report: "ScanReport") -> dict[str, Any]:
    """Give a report as plain values."""
    cycles = report.first_cycles(MOST_CYCLES)
    numbers = {shape: number for number, shape in enumerate(report.shapes)}
    drawn = set() if report.is_released else _drawn(report.shapes)
    value_of = Values().of if report.shows_values else None
    return {
        "schema": SCHEMA,
        "kind": report.kind,
        "complete": report.complete,
        "stopped_by": report.stopped_by,
        "object_count": report.object_count,
        "edge_count": report.edge_count,
        "mode": report.mode,
        "fallback_reason": report.fallback_reason,
        "duration_seconds": report.duration_seconds,
        "pause_seconds": report.pause_seconds,
        "copied_bytes": report.copied_bytes,
        "side_table_bytes": report.side_table_bytes,
        "cuts": sorted(str(cut) for cut in report.cuts),
        "suspect_count": report.suspect_count,
        "unreachable_count": report.unreachable_count,
        "unreachable_types": dict(report.unreachable_types),
        "cycle_count": report.cycle_count,
        "shapes": [
            {
                **_shape(shape),
                "advice": None if advice is None else advice_dict(advice),
                "exemplar": _exemplar(shape, value_of) if shape in drawn else None,
            }
            for shape, advice in zip(
                report.shapes, advised(report.shapes, SHAPES_ADVISED), strict=True
            )
        ],
        "cycles": [_cycle(cycle, numbers[cycle.shape]) for cycle in cycles],
        "cycles_not_listed_count": report.cycle_count - len(cycles),
    }


def _shape(shape: Shape) -> dict[str, Any]:
    return {
        "key": shape.key,
        "path": shape.path,
        "verbose_path": shape.verbose_path,
        "edges": [
            {"source": edge.source, "label": edge.label, "target": edge.target}
            for edge in shape.edges
        ],
        "type_names": dict(shape.type_names),
        "cycle_count": shape.cycle_count,
        "object_count": shape.object_count,
        "shallow_bytes": shape.shallow_bytes,
        "retained_bytes": shape.retained_bytes,
        "is_library_only": shape.is_library_only,
        "owners": dict(shape.told_owners),
        "allocated_at": dict(shape.allocated_at),
    }


def _drawn(shapes: Iterable[Shape]) -> set[Shape]:
    first: dict[str, Shape] = {}
    for shape in shapes:
        if len(first) == MOST_DRAWN:
            break
        first.setdefault(alike(shape.path), shape)
    return set(first.values())


def _exemplar(shape: Shape, value_of: Callable[[object], str] | None) -> dict[str, Any]:
    exemplar = exemplar_of(shape, value_of)
    return {
        **_fields_of(exemplar),
        "members": [_fields_of(member) for member in exemplar.members],
        "references": [_fields_of(reference) for reference in exemplar.references],
        "held_types": dict(exemplar.held_types),
    }


def _fields_of(value: Exemplar | Member | Reference) -> dict[str, Any]:
    # Not asdict(), which copies all that it finds.
    return {field.name: getattr(value, field.name) for field in fields(value)}


def _cycle(cycle: Cycle, shape_number: int) -> dict[str, Any]:
    return {
        "shape": shape_number,
        "size": cycle.size,
        "type_names": dict(cycle.type_names),
        "shallow_bytes": cycle.shallow_bytes,
        "retained_count": cycle.retained_count,
        "retained_bytes": cycle.retained_bytes,
        "outside_reference_count": cycle.outside_reference_count,
        "object_ids": list(cycle.object_ids),
    }
