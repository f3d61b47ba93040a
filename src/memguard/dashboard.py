"""The original report's dashboard: six numbers by name."""

from memguard.agents.registry import get_active_agent_count
from memguard.metrics import Metrics, MetricsSnapshot


class MemoryMonitoringDashboard:
    """Keep the original report's six numbers.

    They change with `update_metrics` only:

    * ``memory_usage_mb``: resident size [MiB], as the report divides it.
    * ``active_agents``: agents of the guard; without one, of all registries.
    * ``circular_refs_detected``: circular references of the program's own.
    * ``gc_effectiveness``: share of the garbage that a full collection freed.
    * ``cleanup_operations_completed``: agents that were ended.
    * ``human_oversight_triggered``: requests that were put to people.

    The third and the fourth cost scans and a collection, and so are measured at most
    every ``metrics.scan_seconds``.

    Args:
        metrics: Where numbers come from, such as ``guard.metrics``; without a guard the
            last two stay 0.

    Attributes:
        metrics: The numbers, a dict that is updated in place.

    Thread-safety:
        Any thread.
    """

    def __init__(self, metrics: Metrics | None = None) -> None:
        self._source = Metrics() if metrics is None else metrics
        self.metrics: dict[str, float] = {
            "memory_usage_mb": 0,
            "active_agents": 0,
            "circular_refs_detected": 0,
            "gc_effectiveness": 0,
            "cleanup_operations_completed": 0,
            "human_oversight_triggered": 0,
        }

    def update_metrics(self) -> None:
        """Measure all of them.

        Raises:
            UnsupportedPythonError: This build of Python cannot be scanned.
        """
        cycles = self._source.count_cycles()
        seen = self._source.snapshot()
        self.metrics.update(
            memory_usage_mb=seen.memory.rss_bytes / (1024 * 1024),
            active_agents=_active_count(seen),
            circular_refs_detected=cycles.circular_reference_count,
            gc_effectiveness=cycles.gc_effectiveness_ratio,
            cleanup_operations_completed=_ended_count(seen),
            human_oversight_triggered=seen.oversight.request_count if seen.oversight else 0,
        )


def _active_count(seen: MetricsSnapshot) -> int:
    if seen.lifecycle is None:
        return get_active_agent_count()
    return seen.lifecycle.active_count


def _ended_count(seen: MetricsSnapshot) -> int:
    if seen.lifecycle is None:
        return 0
    return seen.lifecycle.finished_count + seen.lifecycle.died_count
