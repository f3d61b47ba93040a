"""Whether agents leave in cycles.

Covers: looking at some contexts at the end of their agents' lives, how often
which shape was found, telling it as an event.
Does not cover: the scan (``heap.scan``), the end itself (``lifecycle``).

Only a manager that was asked to check loads this, and with it the bus.
"""

import threading
from dataclasses import dataclass
from typing import Any

from memguard.agents.tally import CycleTally
from memguard.events import Event, EventBus
from memguard.heap.scan import scan_around

MOST_SHAPES = 100


@dataclass(frozen=True, slots=True)
class AgentLeftInCycle(Event):
    """An agent ended, was cleaned up, and its context still lies on a cycle.

    Only the collector can free it.

    Attributes:
        agent_id: The agent's id.
        shape_key: Tells kinds of cycles apart, the same in every process.
        path: The cycle's references, by name.
        cycle_count: How many cycles of this kind there are around the context.
    """

    agent_id: Any
    shape_key: str
    path: str
    cycle_count: int


class CycleChecks:
    """Look at a share of the contexts that end.

    Which ones is a matter of counting, not of chance: with 0.25 each fourth.

    Thread-safety: any thread.
    """

    def __init__(self, ratio: float, events: EventBus | None) -> None:
        self._ratio = ratio
        self._events = events
        # Reentrant: counting makes objects, so the collector may run, and let an
        # agent end within.
        self._counting = threading.RLock()
        self._due = 0.0
        self._checked_count = 0
        self._agent_count = 0
        self._other_count = 0
        self._shapes: dict[str, tuple[str, int]] = {}

    def is_due(self) -> bool:
        """Count one agent; whether it is to be looked at."""
        with self._counting:
            self._due += self._ratio
            if self._due < 1.0:
                return False
            self._due -= 1.0
            return True

    def check(self, agent_id: Any, context: object) -> None:
        """Look at what a context that was cleaned up reaches, for cycles through it.

        Cost: what it reaches, not the heap.
        """
        with scan_around([context], "live") as report:
            found = [
                AgentLeftInCycle(agent_id, shape.key, shape.path, shape.cycle_count)
                for shape in report.shapes
            ]
        self._count(found)
        if self._events is not None and self._events.wants(AgentLeftInCycle):
            for event in found:
                self._events.emit(event)

    def _count(self, found: list[AgentLeftInCycle]) -> None:
        with self._counting:
            self._checked_count += 1
            self._agent_count += bool(found)
            for event in found:
                path, count = self._shapes.get(event.shape_key, (event.path, 0))
                if count or len(self._shapes) < MOST_SHAPES:
                    self._shapes[event.shape_key] = path, count + 1
                else:
                    self._other_count += 1

    def tally(self) -> CycleTally:
        """Give what was found so far."""
        with self._counting:
            paths = sorted(self._shapes.values(), key=lambda found: -found[1])
            return CycleTally(
                self._checked_count, self._agent_count, tuple(paths), self._other_count
            )
