"""A report as plain values, ready for JSON.

Only counts and the names of types and attributes leave the process this way:
no representation, key or value of an object.
"""

from typing import TYPE_CHECKING, Any

from memguard.heap.shapes import Cycle, Shape

if TYPE_CHECKING:
    from memguard.heap.report import ScanReport

SCHEMA = 1
MOST_CYCLES = 1000
"""Cycles listed one by one; the counts always cover all [count]."""


def render_dict(report: "ScanReport") -> dict[str, Any]:
    """Give a report as plain values."""
    cycles = report.first_cycles(MOST_CYCLES)
    numbers = {shape: number for number, shape in enumerate(report.shapes)}
    return {
        "schema": SCHEMA,
        "kind": report.kind,
        "complete": report.complete,
        "stopped_by": report.stopped_by,
        "object_count": report.object_count,
        "edge_count": report.edge_count,
        "duration_seconds": report.duration_seconds,
        "side_table_bytes": report.side_table_bytes,
        "cuts": sorted(report.cuts),
        "suspect_count": report.suspect_count,
        "unreachable_count": report.unreachable_count,
        "unreachable_types": dict(report.unreachable_types),
        "cycle_count": report.cycle_count,
        "shapes": [_shape(shape) for shape in report.shapes],
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
    }


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
