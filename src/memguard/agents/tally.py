"""What became of the agents of a manager, as plain values.

Covers: counts of lives, cleanups and cycles.
Does not cover: counting (``lifecycle``, ``cycles``).
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CycleTally:
    """How many agents left in cycles, of those that were looked at.

    Attributes:
        checked_count: Contexts that were looked at.
        agent_count: Those of them that lay on a cycle after their cleanup.
        shapes: (path, number of agents) of each kind of cycle, most agents first;
            of the first 100 kinds.
        other_count: How often a further kind was found.
    """

    checked_count: int = 0
    agent_count: int = 0
    shapes: tuple[tuple[str, int], ...] = ()
    other_count: int = 0


@dataclass(frozen=True, slots=True)
class LifecycleStatistics:
    """What became of the agents of one manager.

    Begun are those that are active, were finished, or died.

    Attributes:
        begun_count: Agents that came.
        active_count: Agents that live and were not finished.
        finished_count: Agents that left their block or were finished otherwise.
        died_count: Agents that died without being finished.
        peak_active_count: The largest number of active agents so far.
        failure_count: Cleanups and hooks that raised.
        pending_hook_count: Calls of async hooks that wait for an end in a
            coroutine.
        cycles: What looking for cycles found, if it was asked for.
    """

    begun_count: int
    active_count: int
    finished_count: int
    died_count: int
    peak_active_count: int
    failure_count: int
    pending_hook_count: int
    cycles: CycleTally = CycleTally()
