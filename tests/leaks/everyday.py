"""Leaks with the standard library alone.

Each function makes the program anew. What it fills is a global, as in a service.
"""

import asyncio
import contextvars
import functools
import itertools
import logging
import weakref

from leaks.program import Program

numbers = itertools.count()


class Session:
    """What a request works with."""

    def __init__(self):
        self.messages = ["hello"]


class Signals:
    """An event source to which everybody subscribes and from which nobody leaves."""

    def __init__(self):
        self.callbacks = []


SIGNALS = Signals()


def callback_list():
    """Each request subscribes a bound method, and never takes it back."""

    class Request(Session):
        def on_done(self):
            return self.messages

    def run():
        SIGNALS.callbacks.append(Request().on_done)

    return Program(run, "SIGNALS.callbacks", lambda: SIGNALS.callbacks[-1].__self__)


class Crew(Session):
    """What a request builds anew, with a method that is cached for ever."""

    @functools.lru_cache(maxsize=None)  # noqa: B019, UP033 - this is the leak
    def tools(self):
        """List the tools of the crew."""
        return ["search"]


LAST = []


def cached_method():
    """An unbounded lru_cache on a method keeps every instance (crewAI#7338)."""

    def run():
        crew = Crew()
        crew.tools()
        LAST[:] = [weakref.ref(crew)]

    return Program(run, "Crew.tools", lambda: LAST[0]())


class Tool(Session):
    """What a request builds anew, with a method that is cached as it is by default."""

    @functools.lru_cache  # noqa: B019 - this is the leak
    def schema(self, name):
        """Describe a parameter of the tool."""
        return [name]


def cached_method_of_many():
    """An lru_cache of 128 calls on a method keeps as many instances."""

    def run():
        tool = Tool()
        tool.schema("query")
        LAST[:] = [weakref.ref(tool)]

    return Program(run, "Tool.schema", lambda: LAST[0]())


MEMOIZED = {}


def memoized():
    """A global table of results by arguments, with the object among them (crewAI#3450)."""

    def memoize(method):
        @functools.wraps(method)
        def wrapper(*args):
            key = (method.__name__, args)
            if key not in MEMOIZED:
                MEMOIZED[key] = method(*args)
            return MEMOIZED[key]

        return wrapper

    class Agent(Session):
        @memoize
        def role(self):
            return "writer"

    def run():
        Agent().role()

    return Program(run, "MEMOIZED", lambda: list(MEMOIZED)[-1][1][0])


STATE = contextvars.ContextVar("state")


def context_of_timers():
    """Each request leaves a timer, which keeps its context (llama-agents#485)."""

    async def request():
        session = Session()
        STATE.set(session)
        LAST[:] = [weakref.ref(session)]
        asyncio.get_running_loop().call_later(3600, int)

    async def run():
        await asyncio.create_task(request())

    return Program(run, "._scheduled", lambda: LAST[0](), "TimerHandle of ")


LOG = logging.getLogger("leaks")
LOG.propagate = False


def handler_list():
    """Each request adds a handler to the same logger."""

    class RequestHandler(logging.Handler):
        def emit(self, record):
            self.last = record

    def run():
        LOG.addHandler(RequestHandler())
        LOG.error("done")

    return Program(run, ".handlers", lambda: LOG.handlers[-1])


class Bus:
    """A bus that records every event (crewAI#6056)."""

    def __init__(self):
        self.history = []
        self.listeners = {}

    def emit(self, event):
        """Tell those who listen."""
        self.history.append(event)
        for listener in self.listeners.get(type(event), ()):
            listener(event)


BUS = Bus()


def recording_bus():
    """A process-wide event bus keeps every event."""

    class RunEnded:
        def __init__(self, source):
            self.source = source

    def run():
        BUS.emit(RunEnded(Session()))

    return Program(run, "BUS.history", lambda: BUS.history[-1].source)


class Registry:
    """Agents by id: weak, as it should be, but for the parents' lists of children."""

    def __init__(self):
        self.agents = weakref.WeakValueDictionary()


REGISTRY = Registry()
SUPERVISOR = Session()
SUPERVISOR.children = []


def pinned_registry():
    """A weak registry does not shrink, for a supervisor keeps the agents."""

    def run():
        agent = Session()
        REGISTRY.agents[next(numbers)] = agent
        SUPERVISOR.children.append(agent)

    return Program(run, "SUPERVISOR.children", lambda: SUPERVISOR.children[-1])
