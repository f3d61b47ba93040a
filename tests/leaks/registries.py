"""Leaks with the standard library alone, of kinds that are hard to name.

Each function makes the program anew. What it fills is a global, as in a service.
"""

import asyncio
import collections
import contextvars
import functools
import itertools
import logging
import weakref

from leaks.everyday import Session
from leaks.program import Program

numbers = itertools.count()
TASKS = set()


def kept_tasks():
    """Tasks that wait for ever are kept, and with each a timer of the event loop."""

    async def wait():
        session = Session()
        await asyncio.sleep(3600)
        return session

    async def run():
        TASKS.add(asyncio.create_task(wait()))

    return Program(run, "registries.TASKS", lambda: list(TASKS)[-1])


CHATS = collections.defaultdict(list)


def chats_of_few():
    """Five users write in turn: five lists, of one name."""

    def run():
        CHATS[f"user-{next(numbers) % 5}"].append(Session())

    return Program(run, "registries.CHATS[str]", lambda: CHATS["user-0"][-1])


class Orders:
    """Lines by customer."""

    by_customer = collections.defaultdict(list)


class Line(Session):
    """What is ordered."""


def lines_of_many():
    """A hundred customers order in turn: no list grows in fifty runs, but the lines do."""
    for customer in range(100):
        Orders.by_customer[customer].append(Line())

    def run():
        Orders.by_customer[next(numbers) * 7 % 100].append(Line())

    return Program(run, "Orders.by_customer[int]", lambda: Orders.by_customer[0][-1])


class Plugin:
    """A class with a table of its instances."""

    instances = {}

    def __init__(self):
        self.instances[next(numbers)] = self


def class_attribute():
    """Instances note themselves in a dict of their class."""
    return Program(Plugin, "Plugin.instances", lambda: list(Plugin.instances.values())[-1])


def _keeper():
    kept = []

    def keep(thing):
        kept.append(thing)
        return kept

    return keep


keep = _keeper()
BY_ID = weakref.WeakValueDictionary()


def closure_cell():
    """A weak table is right, and the list in a cell of a function is not."""

    def run():
        session = Session()
        BY_ID[next(numbers)] = session
        keep(session)

    return Program(run, "keep.<closure kept>", lambda: list(BY_ID.values())[-1])


CONTEXTS = []
CURRENT = contextvars.ContextVar("current")


def kept_contexts():
    """Contexts are kept, and what was set in them."""

    def run():
        context = contextvars.copy_context()
        context.run(CURRENT.set, Session())
        CONTEXTS.append(context)

    return Program(run, "registries.CONTEXTS", lambda: CONTEXTS[-1][CURRENT])


def logger_per_request():
    """The logging module keeps each logger by its name."""

    def run():
        logging.getLogger(f"leaks.request-{next(numbers)}").debug("done")

    return Program(
        run, "Manager.loggerDict", lambda: list(logging.root.manager.loggerDict.values())[-1]
    )


@functools.singledispatch
def describe(thing):
    """Say what it is."""
    return repr(thing)


def class_per_request():
    """A class made for each request is registered for ever."""

    def run():
        describe.register(type("Answer", (), {}), str)

    return Program(run, "describe.registry", lambda: list(describe.registry)[-1])


ERRORS = collections.deque()


def kept_errors():
    """Exceptions are kept, with their tracebacks, frames and what these hold."""

    def fail(session):
        raise ValueError(len(session.messages))

    def run():
        try:
            fail(Session())
        except ValueError as error:
            ERRORS.append(error)

    return Program(run, "registries.ERRORS", lambda: ERRORS[-1])


@functools.lru_cache(maxsize=None)  # noqa: UP033 - this is the leak
def parsed(text):
    """Parse a text once."""
    return [text]


def cached_texts():
    """A cache without a bound, asked for ever new texts."""

    def run():
        parsed(str(next(numbers)))

    return Program(run, "registries.parsed", lambda: parsed(str(next(numbers) - 1)))
