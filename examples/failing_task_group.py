"""A TaskGroup in which one search fails: the error keeps the whole request.

The coordinator keeps what went wrong on itself, to tell it later. The error
holds its traceback, that the frames it passed, and those the coordinator.
"""

import asyncio
import gc

import memguard


class SearchFailedError(Exception):
    pass


class Coordinator:
    def __init__(self, query):
        self.query = query
        self.results = []
        self.failure = None

    async def search(self, source):
        await asyncio.sleep(0)
        if source == "offline":
            raise SearchFailedError(source)
        self.results.append(f"{self.query} in {source}")

    async def run(self):
        try:
            async with asyncio.TaskGroup() as group:
                for source in ("web", "offline", "mail"):
                    group.create_task(self.search(source))
        except* SearchFailedError as failure:
            self.failure = failure


async def main():
    for number in range(10):
        await Coordinator(f"query {number}").run()


if __name__ == "__main__":
    gc.disable()
    asyncio.run(main())
    with memguard.scan("garbage", types=[Coordinator]) as report:
        print(report)
