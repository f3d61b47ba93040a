"""Programs of the standard library that do several things at once.

Covers: asyncio, threads and generators that fail or are dropped half-way: their
exceptions hold frames, and what they suspended is still there.
"""

import asyncio
import contextlib
from concurrent import futures


class TerminateTaskGroup(Exception):  # noqa: N818 - the name in the documentation
    """Raised to end a task group."""


async def _job(number):
    if number == 2:
        raise TerminateTaskGroup(number)
    await asyncio.sleep(60)


def failing_task_group():
    """A TaskGroup, one of four tasks fails."""

    async def main():
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(4):
                    group.create_task(_job(number), name=f"job {number}")
        except* TerminateTaskGroup:
            pass

    asyncio.run(main())


def pending_task():
    """An event loop closed while a task and a generator wait."""

    class Ticker:
        def __init__(self, loop):
            self.changed = loop.create_future()
            self.ticks = self.produce()
            self.task = loop.create_task(self.consume())

        async def produce(self):
            try:
                for number in range(10):
                    yield number
                    await self.changed
            finally:
                self.ticks = None

        async def consume(self):
            async for number in self.ticks:
                self.last = number

    async def main():
        ticker = Ticker(asyncio.get_running_loop())
        while not hasattr(ticker, "last"):
            await asyncio.sleep(0)

    loop = asyncio.new_event_loop()
    loop.run_until_complete(main())
    loop.close()


def queue_workers():
    """A queue and three workers, cancelled when it is empty."""

    async def worker(queue):
        while True:
            item = await queue.get()
            try:
                item["result"] = 10 / item["divisor"]
            except ZeroDivisionError as error:
                item["error"] = error
            finally:
                queue.task_done()

    async def main():
        queue = asyncio.Queue()
        for divisor in range(4):
            queue.put_nowait({"divisor": divisor})
        workers = [asyncio.create_task(worker(queue)) for _ in range(3)]
        await queue.join()
        for task in workers:
            task.cancel()
        await asyncio.gather(*workers, return_exceptions=True)

    asyncio.run(main())


def thread_pool():
    """A pool of threads, one of two calls fails."""

    def load(url):
        if url.endswith("bad"):
            raise ValueError(url)
        return url.encode()

    with futures.ThreadPoolExecutor(max_workers=2) as executor:
        future_to_url = {executor.submit(load, url): url for url in ("http://ok", "http://bad")}
        for future in futures.as_completed(future_to_url):
            with contextlib.suppress(ValueError):
                assert future.result() == b"http://ok"


def suspended_generators():
    """A walk through a tree of context managers, left half-way."""

    class Tree:
        def __init__(self, depth):
            self.visits = 0
            self.children = [Tree(depth - 1) for _ in range(2)] if depth else []
            self.position = self.walk()

        @contextlib.contextmanager
        def visit(self):
            self.visits += 1
            try:
                yield self
            finally:
                self.visits -= 1

        def walk(self):
            with self.visit() as visited:
                yield visited
                for child in self.children:
                    yield from child.position

    tree = Tree(2)
    for _ in range(3):
        next(tree.position)
