"""What happens under a guard, as log records that machines can read.

Covers: one record an event, its fields as an attribute; silence where nobody set up logging.
Does not cover: which events there are, and what else rooms log of their own failures.
"""

import logging
from collections.abc import Callable

from memguard.admission.events import CircuitChanged, DelegationTurnedAway
from memguard.events import Event, EventBus
from memguard.metrics import WATCHED, plain
from memguard.oversight.events import ApprovalDecided, ApprovalRequested
from memguard.pressure.events import AlertRaised

_LOG = logging.getLogger("memguard.guard")
_ROOT = logging.getLogger("memguard")

_QUIET: tuple[type[Event], ...] = (ApprovalRequested, DelegationTurnedAway)
_ALERT_LEVELS = {"critical": logging.ERROR, "emergency": logging.CRITICAL}


class EventLog:
    """Write events to the logger "memguard.guard", from `start` to `stop`.

    The message is the event's name and its fields, as ``name=value``. A record has them
    also as ``memguard_event`` and ``memguard_fields``, a dict, for formatters.

    Args:
        events: The bus.
    """

    def __init__(self, events: EventBus) -> None:
        self._events = events
        self._ends: list[Callable[[], None]] = []
        # Without a handler of the program's own, Python prints warnings of libraries.
        self._silence = logging.NullHandler()

    def start(self) -> None:
        """Begin."""
        _ROOT.addHandler(self._silence)
        self._ends = [self._events.subscribe(kind, _write) for kind in WATCHED]

    def stop(self) -> None:
        """End."""
        ends, self._ends = self._ends, []
        for end in ends:
            end()
        _ROOT.removeHandler(self._silence)


def _write(event: Event) -> None:
    level = _level_of(event)
    if not _LOG.isEnabledFor(level):
        return
    name = type(event).__name__
    fields = plain(event)
    text = " ".join(f"{key}={value!r}" for key, value in fields.items())
    _LOG.log(level, "%s %s", name, text, extra={"memguard_event": name, "memguard_fields": fields})


def _level_of(event: Event) -> int:
    if isinstance(event, AlertRaised):
        return _ALERT_LEVELS.get(event.level, logging.WARNING)
    if isinstance(event, ApprovalDecided) and event.decision.is_approved:
        return logging.INFO
    if isinstance(event, CircuitChanged) and event.after == "closed":
        return logging.INFO
    return logging.INFO if isinstance(event, _QUIET) else logging.WARNING
