"""Programs with the standard library and memguard that are well."""

import asyncio
import collections
import functools
import itertools
import logging
import queue
import re
import sqlite3

from leaks.program import Program

numbers = itertools.count()


def bounded_cache():
    """A cache of 32 entries, asked for ever new ones."""

    @functools.lru_cache(maxsize=32)
    def square(number):
        return [number * number]

    return Program(lambda: square(next(numbers)))


class _Service:
    @functools.lru_cache(maxsize=128)  # noqa: B019 - there is one of it
    def describe(self, number):
        return [number]


def cached_method_of_one():
    """A method of one object, asked for ever new things within the limit of its cache."""
    service = _Service()
    return Program(lambda: service.describe(next(numbers)))


def filling_cache():
    """A dict that knows all there is after some runs."""
    known = {}

    def run():
        key = next(numbers) % 20
        known.setdefault(key, [key])

    return Program(run)


def compiled_patterns():
    """The cache of ``re``, with a few patterns."""

    def run():
        for number in range(30):
            assert re.match(f"a{{{number}}}$", "a" * number)

    return Program(run)


def served_requests():
    """An asyncio server that answers requests."""
    servers = []

    async def answer(reader, writer):
        writer.write(await reader.readline())
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def run():
        if not servers:
            servers.append(await asyncio.start_server(answer, "127.0.0.1"))
        port = servers[0].sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"hello\n")
        assert await reader.readline() == b"hello\n"
        writer.close()
        await writer.wait_closed()

    return Program(run)


def pooled_database():
    """Connections of sqlite3 from a queue."""
    pool = queue.SimpleQueue()
    for _ in range(4):
        pool.put(sqlite3.connect(":memory:"))

    def run():
        connection = pool.get()
        assert connection.execute("select ?", (next(numbers),)).fetchone()
        pool.put(connection)

    return Program(run)


def logged():
    """Records to a handler that keeps the last hundred."""

    class Tail(logging.Handler):
        def __init__(self):
            super().__init__()
            self.records = collections.deque(maxlen=100)

        def emit(self, record):
            self.records.append(record)

    log = logging.getLogger("healthy")
    log.propagate = False
    log.addHandler(Tail())

    def run():
        log.warning("run %s", next(numbers))
        logging.getLogger(f"healthy.{next(numbers) % 5}").warning("below")

    return Program(run)


def flushed():
    """A buffer that is written when it has sixteen items: a saw-tooth."""
    buffer = []

    def run():
        buffer.append(str(next(numbers)))
        if len(buffer) >= 16:
            buffer.clear()

    return Program(run)


def queued():
    """Work that comes in bursts and is done later."""
    import random

    noise = random.Random(7)
    waiting = []

    def run():
        waiting.extend(range(noise.randrange(20)))
        del waiting[: noise.randrange(25)]

    return Program(run)


def pooled_contexts():
    """A pool and a lifecycle of memguard itself."""
    import memguard

    pool = memguard.AgentMemoryPool()
    lives = memguard.AgentLifecycleManager()

    def run():
        context = pool.get_context(f"task-{next(numbers)}")
        pool.return_context(context)
        with lives.agent(f"agent-{next(numbers)}"):
            pass

    return Program(run)


class Limited(collections.OrderedDict):
    """A cache that says how long it may become."""

    max_entries = 200

    def put(self, key, value):
        """Remember, and forget the oldest."""
        self[key] = value
        if len(self) > self.max_entries:
            self.popitem(last=False)


def limited_cache():
    """A cache that is not full yet."""
    known = Limited()
    return Program(lambda: known.put(next(numbers), [1]))


def new_patterns():
    """Ever new patterns, of which ``re`` keeps as many as it says."""
    return Program(lambda: re.compile(f"a{next(numbers)}b"))


def cancelled_timers():
    """Time limits that were not reached: the event loop drops their timers by and by."""

    async def run():
        async with asyncio.timeout(3600):
            await asyncio.sleep(0)

    return Program(run)
