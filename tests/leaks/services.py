"""Leaks of services, in objects of Python itself that belong to the program.

Each function makes the program anew. What it fills is a global, as in a service.
"""

import collections
import contextlib
import functools
import itertools
import queue
import threading
import weakref

from leaks.everyday import Session
from leaks.program import Program

numbers = itertools.count()
LAST = []


def _new_session():
    session = Session()
    LAST[:] = [weakref.ref(session)]
    return session


def _last():
    return LAST[0]()


class Service:
    """What a service has."""

    def __init__(self):
        self.jobs = queue.Queue()
        self.settings = collections.UserDict()
        self.on_close = contextlib.ExitStack()

    @staticmethod
    @functools.lru_cache(maxsize=None)  # noqa: UP033 - this is the leak
    def profile(session):
        """Describe who it is."""
        return [len(session.messages)]


SERVICES = {"main": Service()}


def unread_queue():
    """A queue of a service that nobody reads."""

    def run():
        SERVICES["main"].jobs.put(_new_session())

    return Program(run, "services.Service.jobs.queue", _last, "Service.jobs")


def settings_by_session():
    """A mapping made in Python keeps its entries in a dict of its own."""

    def run():
        SERVICES["main"].settings[next(numbers)] = _new_session()

    return Program(run, "services.Service.settings.data", _last, "Service.settings")


def never_closed():
    """Each request leaves something to be done at the end, which is far."""

    def run():
        SERVICES["main"].on_close.callback(_new_session().messages.clear)

    return Program(
        run,
        "services.Service.on_close._exit_callbacks",
        lambda: list(SERVICES["main"].on_close._exit_callbacks)[-1][1],
        "Service.on_close",
    )


def cached_static_method():
    """An unbounded cache of a static method, asked for ever new sessions."""

    def run():
        Service.profile(_new_session())

    return Program(run, "services.Service.profile", _last)


SHARDS = [{} for _ in range(4)]


def shards():
    """A table in four parts: each gets one entry in four."""

    def run():
        number = next(numbers)
        SHARDS[number % 4][number] = _new_session()

    return Program(run, "services.SHARDS[int]", _last, "services.SHARDS")


class Cache:
    """Two levels, of which the second has no bound."""

    def __init__(self):
        self.maxsize = 8
        self.hot = collections.OrderedDict()
        self.cold = collections.OrderedDict()

    def put(self, key, value):
        """Remember; what was not used for long goes to the second level."""
        self.hot[key] = value
        if len(self.hot) > self.maxsize:
            key, value = self.hot.popitem(last=False)
            LAST[:] = [weakref.ref(value)]
            self.cold[key] = value


CACHE = Cache()


def second_level():
    """The first level is bounded and must not hide the second."""
    return Program(lambda: CACHE.put(next(numbers), Session()), "CACHE.cold", _last)


LOCAL = threading.local()


def thread_locals():
    """A list of one thread, which lives as long as the process."""

    def run():
        LOCAL.__dict__.setdefault("seen", []).append(_new_session())

    return Program(run, "services.LOCAL", _last)


def _collect():
    seen = []
    while True:
        seen.append((yield))


COLLECTOR = _collect()
next(COLLECTOR)


def collecting_generator():
    """A generator that waits for the next item, and has all before it in a variable."""
    return Program(lambda: COLLECTOR.send(_new_session()), "services.COLLECTOR.<local seen>", _last)


class Registered(type):
    """A metaclass that knows all objects of its classes."""

    known = {}

    def __call__(cls):
        """Make one and note it."""
        made = super().__call__()
        cls.known[next(numbers)] = made
        return made


class Entity(Session, metaclass=Registered):
    """What is noted."""


def known_to_metaclass():
    """Objects are noted in a dict of the class of their class."""
    return Program(Entity, "services.Registered.known", lambda: [*Registered.known.values()][-1])


class State:
    """What is replaced by a longer one each time."""

    sessions = ()


def replaced_tuple():
    """No container becomes longer, for each is a new one; the objects become more."""

    def run():
        State.sessions = (*State.sessions, _new_session())

    return Program(run, "services.State.sessions", _last)
