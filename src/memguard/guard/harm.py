"""What a guard measures to see whether it does harm.

Covers: readings for ``memguard.rollbacks``, each part at its own rate.
Does not cover: what a reading means (``rollbacks.triggers``), undoing.
"""

import time

from memguard._admission import running_loop
from memguard.errors import UnsupportedPythonError
from memguard.metrics import Metrics
from memguard.oversight.requests import How
from memguard.pressure.collector import calculate_gc_effectiveness
from memguard.rollbacks.heartbeat import Heartbeats
from memguard.rollbacks.rollback import Rollback
from memguard.rollbacks.triggers import RollbackReading


class HarmWatch:
    """Give readings to a rollback.

    Args:
        rollback: Judges, and undoes.
        metrics: Where memory is read, and agents and decisions are counted.
        every_seconds: How often `look` is called [s].

    Thread-safety:
        Any thread; `look` is called by one.
    """

    def __init__(self, rollback: Rollback, metrics: Metrics, every_seconds: float) -> None:
        self._rollback = rollback
        self._metrics = metrics
        self._heartbeats = Heartbeats(every_seconds)
        # The first measurement comes when the program has warmed up.
        self._measured_seconds = time.monotonic()

    def watch_loop(self) -> None:
        """Watch the event loop that runs on this thread."""
        loop = running_loop()
        if loop is not None:
            self._heartbeats.watch(loop)

    def look(self) -> None:
        """Take a reading, and hand it on."""
        now = time.monotonic()
        seen = self._metrics.snapshot()
        oversight = seen.oversight
        # What nobody answered, or could not be asked, is no person's no.
        denied_count = 0 if oversight is None else oversight.people_denied_count
        decided_count = 0 if oversight is None else oversight.how_counts.get(How.ANSWERED, 0)
        self._rollback.take(
            RollbackReading(
                now,
                seen.memory.in_use_bytes,
                0 if seen.admission is None else seen.admission.live_count,
                self._effectiveness(now),
                self._heartbeats.read_lag(),
                decided_count,
                denied_count,
            )
        )

    def _effectiveness(self, now: float) -> float | None:
        if now - self._measured_seconds < self._rollback.settings.effectiveness_every_seconds:
            return None
        self._measured_seconds = now
        try:
            return calculate_gc_effectiveness()
        except UnsupportedPythonError:
            return None

    def stop(self) -> None:
        """Watch no loop any more."""
        self._heartbeats.stop()
