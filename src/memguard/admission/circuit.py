"""The circuit: closed, open or half-open, in the words of pybreaker.

Covers: the record of a circuit and what follows from a failure, a success, time
and a person, as pure functions; the actor that keeps the record.
Does not cover: what counts as a failure (``breaker``).

Other than pybreaker, a half-open circuit admits no more trials at once than it
needs successes: what was too much a minute ago must not come back as a burst.
"""

from _thread import allocate_lock
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from memguard._admission import Flag
from memguard.settings import AdmissionSettings


class CircuitState(StrEnum):
    """Whether delegations pass."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


@dataclass(frozen=True, slots=True)
class CircuitRecord:
    """What a circuit remembers.

    Attributes:
        state: Whether delegations pass.
        failure_count: Failures in a row [count].
        success_count: Successes in a row since it was half-open [count].
        trial_count: Trials of a half-open circuit that run now [count].
        opened_at_seconds: When it was opened, by the clock of the breaker [s].
        reason: Why it was opened.
    """

    state: CircuitState = CircuitState.CLOSED
    failure_count: int = 0
    success_count: int = 0
    trial_count: int = 0
    opened_at_seconds: float = 0.0
    reason: str = ""


CLOSED = CircuitRecord()
HALF_OPEN = CircuitRecord(CircuitState.HALF_OPEN)


def opened(reason: str, now_seconds: float) -> CircuitRecord:
    """Give the record of a circuit that was just opened."""
    return CircuitRecord(CircuitState.OPEN, opened_at_seconds=now_seconds, reason=reason)


def asked(
    record: CircuitRecord, settings: AdmissionSettings, now_seconds: float
) -> tuple[CircuitRecord, bool]:
    """Give what follows when somebody asks to pass, and whether they do."""
    if record.state is CircuitState.CLOSED:
        return record, True
    if record.state is CircuitState.OPEN:
        if retry_after_seconds(record, settings, now_seconds) > 0:
            return record, False
        record = HALF_OPEN
    if record.trial_count + record.success_count >= settings.success_threshold:
        return record, False
    return replace(record, trial_count=record.trial_count + 1), True


def failed(record: CircuitRecord, settings: AdmissionSettings, now_seconds: float) -> CircuitRecord:
    """Give what follows when a delegation failed."""
    failure_count = record.failure_count + 1
    if record.state is CircuitState.HALF_OPEN:
        return opened("a trial failed", now_seconds)
    if record.state is CircuitState.CLOSED and settings.fail_max is not None:
        if failure_count >= settings.fail_max:
            return opened(f"{failure_count} failures in a row", now_seconds)
        return replace(record, failure_count=failure_count)
    return record


def succeeded(record: CircuitRecord) -> CircuitRecord:
    """Give what follows when a delegation that was no trial succeeded."""
    if record.state is CircuitState.CLOSED:
        return CLOSED
    return record


def trial_ended(
    record: CircuitRecord, settings: AdmissionSettings, *, is_success: bool
) -> CircuitRecord:
    """Give what follows when a trial ended without a failure.

    One that was cancelled says nothing: another may be tried in its place.
    """
    if record.state is not CircuitState.HALF_OPEN or record.trial_count == 0:
        return record
    success_count = record.success_count + is_success
    if success_count >= settings.success_threshold:
        return CLOSED
    return replace(record, success_count=success_count, trial_count=record.trial_count - 1)


def retry_after_seconds(
    record: CircuitRecord, settings: AdmissionSettings, now_seconds: float
) -> float:
    """Give when an open circuit will try one [s]; 0 when it would now."""
    if record.state is not CircuitState.OPEN:
        return 0.0
    return max(0.0, record.opened_at_seconds + settings.reset_timeout_seconds - now_seconds)


Transition = tuple[CircuitRecord, CircuitRecord]


class Circuit:
    """Keep the record of one circuit.

    Each method gives the record before and after, so that whoever calls can tell
    of a change.

    Attributes:
        record: What it is now.
        alarm: A flag that is up unless it is closed and has nothing to forget.

    Thread-safety:
        Any thread. The next record is worked out before the lock is taken, and
        again if somebody was faster: a finalizer that the collector runs in this
        thread can never find the lock held by it.
    """

    __slots__ = ("_clock", "_lock", "_settings", "alarm", "record")

    def __init__(
        self, settings: AdmissionSettings, clock: Callable[[], float], alarm: Flag
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._lock = allocate_lock()
        self.alarm = alarm
        self.record = CLOSED

    def ask(self) -> tuple[Transition, bool]:
        """Ask to pass; whoever does in a half-open circuit is a trial."""
        now = self._clock()
        while True:
            before = self.record
            after, passes = asked(before, self._settings, now)
            if self._replaces(before, after):
                return (before, after), passes

    def fail(self) -> Transition:
        """Tell of a failure."""
        now = self._clock()
        return self._change(lambda record: failed(record, self._settings, now))

    def succeed(self) -> Transition:
        """Tell of a success that was no trial."""
        return self._change(succeeded)

    def end_trial(self, *, is_success: bool) -> Transition:
        """Tell that a trial ended, other than by a failure."""
        return self._change(
            lambda record: trial_ended(record, self._settings, is_success=is_success)
        )

    def open(self, reason: str) -> Transition:
        """Open it."""
        now = self._clock()
        return self._change(lambda _: opened(reason, now))

    def half_open(self) -> Transition:
        """Let trials pass."""
        return self._change(lambda _: HALF_OPEN)

    def close(self) -> Transition:
        """Close it, and forget what failed."""
        return self._change(lambda _: CLOSED)

    def would_pass(self) -> bool:
        """Whether `ask` would let pass now; nothing is changed."""
        return asked(self.record, self._settings, self._clock())[1]

    def retry_after_seconds(self) -> float | None:
        """Give when it will try one [s]; None when that depends on a trial."""
        record = self.record
        if record.state is not CircuitState.OPEN:
            return None
        return retry_after_seconds(record, self._settings, self._clock())

    def _change(self, change: Callable[[CircuitRecord], CircuitRecord]) -> Transition:
        while True:
            before = self.record
            after = change(before)
            if self._replaces(before, after):
                return before, after

    def _replaces(self, before: CircuitRecord, after: CircuitRecord) -> bool:
        is_alarming = after != CLOSED
        with self._lock:
            if self.record is not before:
                return False
            self.record = after
            self.alarm.is_up = is_alarming
        return True
