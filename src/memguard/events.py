"""What happened, told to whoever asked.

Covers: the base of all events, and the bus that hands them over at once, on the
thread where they happened.
Does not cover: the events themselves, which stand beside what emits them.

See also: ``docs/design.md``, "Rooms".
"""

from _thread import allocate_lock
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol, TypeVar, cast


@dataclass(frozen=True, slots=True)
class Event:
    """Base of every event; who subscribes to it is told everything."""


AnyEvent = TypeVar("AnyEvent", bound=Event)
Listener = Callable[[AnyEvent], object]


class _Flag(Protocol):
    is_up: bool


AnyFlag = TypeVar("AnyFlag", bound=_Flag)


class EventBus:
    """Hand each event to those who asked for its type, or for all.

    A listener that raises is logged and counted in `failure_count`; the others
    and the program go on.

    Attributes:
        wanted: The types that anybody asked for, always as they are now; empty
            when nobody listens.

    Cost:
        To emit what nobody asked for is one look into a dict, if the caller asks
        `wants` before making the event.

    Thread-safety:
        Any thread; listeners run on the thread that emits, and hold no lock of
        the bus. One that unsubscribes meanwhile may be called once more.
    """

    def __init__(self) -> None:
        self._listeners: dict[type[Event], tuple[Listener[Any], ...]] = {}
        self.wanted: Mapping[type[Event], object] = MappingProxyType(self._listeners)
        self._flags: dict[frozenset[type[Event]], _Flag] = {}
        self._changing = allocate_lock()
        self._failure_count = 0

    @property
    def failure_count(self) -> int:
        """How many calls of listeners raised [count]."""
        return self._failure_count

    def wants(self, kind: type[Event]) -> bool:
        """Whether anybody asked for events of exactly this type, or for all."""
        return kind in self._listeners or Event in self._listeners

    def flag_for(self, kinds: frozenset[type[Event]], make: Callable[[], AnyFlag]) -> AnyFlag:
        """Give a flag that is up while anybody asked for one of these types, or for all.

        For who cannot even afford to ask `wants`. All who ask for the same types get
        the same flag.
        """
        with self._changing:
            flag = self._flags.get(kinds)
            if flag is None:
                flag = self._flags[kinds] = make()
                self._raise_flags()
        return cast("AnyFlag", flag)

    def _raise_flags(self) -> None:
        for kinds, flag in self._flags.items():
            flag.is_up = any(map(self.wants, kinds))

    def subscribe(self, kind: type[AnyEvent], listener: Listener[AnyEvent]) -> Callable[[], None]:
        """Call *listener* with each event of exactly this type; of any, for `Event`.

        Returns:
            A function that ends it; to call it again does nothing.
        """
        with self._changing:
            self._listeners[kind] = (*self._listeners.get(kind, ()), listener)
            self._raise_flags()
        ended = False

        def unsubscribe() -> None:
            nonlocal ended
            with self._changing:
                if not ended:
                    ended = True
                    self._remove(kind, listener)

        return unsubscribe

    def renew(self) -> None:
        """Be usable in a child process, where whoever was subscribing is no more."""
        self._changing = allocate_lock()

    def _remove(self, kind: type[Event], listener: Listener[Any]) -> None:
        rest = list(self._listeners[kind])
        rest.remove(listener)
        if rest:
            self._listeners[kind] = tuple(rest)
        else:
            del self._listeners[kind]
        self._raise_flags()

    def emit(self, event: Event) -> None:
        """Tell those who asked, in the order in which they did; first the exact type."""
        listeners = self._listeners
        for listener in (*listeners.get(type(event), ()), *listeners.get(Event, ())):
            try:
                listener(event)
            except Exception:  # somebody else's code: it must not break what it watches
                with self._changing:
                    self._failure_count += 1
                _log_failure(event)


def _log_failure(event: Event) -> None:
    # Not before it is needed: logging brings threading and a handler at exit, and
    # importing memguard changes nothing in the process.
    import logging

    logger = logging.getLogger("memguard.events")
    logger.exception("a listener for %s raised", type(event).__qualname__)
