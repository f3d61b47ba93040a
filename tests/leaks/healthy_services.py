"""Services with the standard library that are well, though much of them comes and goes."""

import asyncio
import collections
import itertools
import logging
import logging.handlers
import queue
import random
import threading
import weakref

from leaks.everyday import Session
from leaks.program import Program

numbers = itertools.count()


def expiring_sessions():
    """Sessions that end at random."""
    noise, sessions = random.Random(3), {}

    def run():
        sessions[next(numbers)] = Session()
        for key in [*sessions]:
            if noise.random() < 0.2:
                del sessions[key]

    return Program(run)


def two_levels():
    """What leaves the first level of a cache goes to the second, and from there."""
    hot, cold = collections.OrderedDict(), collections.OrderedDict()

    def run():
        hot[next(numbers)] = Session()
        if len(hot) > 4:
            key, session = hot.popitem(last=False)
            cold[key] = session
        if len(cold) > 12:
            cold.popitem(last=False)

    return Program(run)


def new_users():
    """A hundred users come again and again: those who are new are ever fewer."""
    noise, known = random.Random(1), {}

    def run():
        for user in noise.choices(range(100), k=5):
            known.setdefault(user, Session())

    return Program(run)


def filling_queue():
    """A queue that says how much it takes."""
    waiting = queue.Queue(maxsize=500)
    return Program(lambda: waiting.put_nowait(Session()))


def discarded_tasks():
    """Tasks are kept until they are done."""
    tasks = set()

    async def run():
        task = asyncio.create_task(asyncio.sleep(0))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        await asyncio.gather(*[asyncio.sleep(0) for _ in range(3)])

    return Program(run)


def recent_requests():
    """A window of the last twenty requests, and buckets of the last ten pairs."""
    window, buckets = collections.deque(), collections.OrderedDict()

    def run():
        number = next(numbers)
        window.append([number])
        while window[0][0] <= number - 20:
            window.popleft()
        buckets[number // 2] = [number]
        while len(buckets) > 10:
            buckets.popitem(last=False)

    return Program(run)


def buffered_log():
    """Records are written ten at a time."""
    log = logging.getLogger("healthy.buffered")
    log.propagate = False
    log.addHandler(logging.handlers.MemoryHandler(10, target=logging.NullHandler()))
    return Program(lambda: log.warning("run %s", Session()))


def threads_with_locals():
    """A thread for each request, with a list of its own, and a weak table of sessions."""
    local, known = threading.local(), weakref.WeakValueDictionary()

    def answer():
        local.sessions = [Session()]
        known[next(numbers)] = local.sessions[0]

    def run():
        thread = threading.Thread(target=answer)
        thread.start()
        thread.join()

    return Program(run)


def classes_for_requests():
    """Classes made for a request, and gone after it."""

    class Base:
        pass

    return Program(lambda: type("Answer", (Base,), {"method": lambda self: self})().method())
