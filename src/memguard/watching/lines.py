"""Events of a watch as lines of the log.

Covers: words. Does not cover: when something is told (``trend``, ``growing``).
"""

from memguard.events import Event
from memguard.watching.events import (
    CollectionExplained,
    ContainerGrows,
    ShapeGrows,
    ShapeOutgrown,
    ShapeOverBudget,
)


def describe(event: Event) -> str:
    """Say an event of a watch in one line."""
    if isinstance(event, ShapeOutgrown):
        before = f"at most {event.most_before_count:,} before" if event.most_before_count else "new"
        return f"{event.count:,} {event.quantity}, {before}: {event.path} [{event.key}]"
    if isinstance(event, ShapeGrows):
        return (
            f"{event.count:,} {event.quantity}, {event.per_minute_count:+,.1f} a minute:"
            f" {event.path} [{event.key}]"
        )
    if isinstance(event, ShapeOverBudget):
        return (
            f"{event.object_count:,} objects, {event.budget_count:,} are allowed for"
            f" {event.pattern!r}: {event.path} [{event.key}]"
        )
    if isinstance(event, ContainerGrows):
        held = f", held by {event.holder}" if event.holder else ""
        return (
            f"{event.name} grows: {event.count:,} now, {event.per_minute_count:+,.1f} a minute"
            f" ({event.per_minute_bytes / 1024:,.1f} KiB){held}"
        )
    if isinstance(event, CollectionExplained):
        most = ", ".join(f"{count:,} in {name}" for name, count in event.shapes[:3])
        return (
            f"a full collection took {event.pause_seconds * 1e3:,.1f} ms and freed"
            f" {event.collected_count:,} objects: {most or 'none on cycles'}"
        )
    return repr(event)
