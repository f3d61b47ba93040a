"""Agents that ended and did not die.

Covers: remembering them weakly, and who holds them.
Does not cover: ending them (``lives``), finding the holder (``memguard.heap``).
"""

import itertools
import time
import weakref
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

from memguard._agents import belongs_to_pool
from memguard.errors import UnknownAgentError
from memguard.heap.retention import Retention, RetentionReport, who_holds


@dataclass(frozen=True, slots=True)
class EndedAlive:
    """Agents that have ended and are held all the same.

    Attributes:
        older_than_seconds: So long ago they ended, at least [s].
        agent_ids: Their ids, those that ended first before the others.
        ages_seconds: How long ago each of them ended [s].
        report: Who holds each of them, in the same order.
    """

    older_than_seconds: float
    agent_ids: tuple[Hashable, ...]
    ages_seconds: tuple[float, ...]
    report: RetentionReport

    @property
    def count(self) -> int:
        """How many they are [count]."""
        return len(self.agent_ids)

    @property
    def retentions(self) -> tuple[Retention, ...]:
        """Who holds each of them."""
        return self.report.retentions

    def __str__(self) -> str:
        """Say it in one line, such as "37 agents alive 60 s after their end, ..."."""
        held = "".join(f", {count} held by {holder}" for holder, count in self.report.holders)
        agents = "agent" if self.count == 1 else "agents"
        return f"{self.count} {agents} alive {self.older_than_seconds:g} s after their end{held}"


class EndedAgents:
    """The agents of one manager that ended; none is kept alive.

    Thread-safety: any thread, under the GIL.
    """

    def __init__(self, clock_seconds: Callable[[], float] = time.monotonic) -> None:
        self._clock_seconds = clock_seconds
        self._entries: dict[int, tuple[weakref.ref[Any], Hashable, float]] = {}
        self._numbers = itertools.count()

    def add(self, agent_id: Hashable, context: Any) -> None:
        """Remember one that ends now, until it dies; not one that goes back to a pool."""
        if belongs_to_pool(context):
            # It would never be handed out again: a pool takes nobody's object, not
            # even one that is referred to weakly.
            return
        number = next(self._numbers)
        # By a method of this it would be a cycle, through the entry.
        this = weakref.ref(self)

        def on_death(_: object) -> None:
            if (ended := this()) is not None:
                ended._entries.pop(number, None)

        self._entries[number] = (weakref.ref(context, on_death), agent_id, self._clock_seconds())

    def find(self, agent_id: Hashable) -> Any:
        """Give the context of the agent with this id that ended last.

        Raises:
            UnknownAgentError: None of this id is alive.
        """
        for reference, its_id, _ in reversed(list(self._entries.values())):
            if its_id == agent_id and (context := reference()) is not None:
                return context
        raise UnknownAgentError(agent_id)

    def alive(self, older_than_seconds: float) -> EndedAlive:
        """Say which of them are alive so long after their end, and who holds them."""
        now_seconds = self._clock_seconds()
        found = [
            (context, agent_id, now_seconds - ended_seconds)
            for reference, agent_id, ended_seconds in list(self._entries.values())
            if now_seconds - ended_seconds >= older_than_seconds
            and (context := reference()) is not None
        ]
        contexts = [context for context, _, _ in found]
        agent_ids = tuple(agent_id for _, agent_id, _ in found)
        ages_seconds = tuple(age for _, _, age in found)
        context = None
        found.clear()
        # Nothing is asked of the heap when there is nothing to ask about.
        report = who_holds(contexts) if contexts else RetentionReport((), 0, 0, 0, 0.0)
        return EndedAlive(older_than_seconds, agent_ids, ages_seconds, report)
