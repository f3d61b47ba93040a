"""A service whose agents leave cycles, some of them kept; it can be asked from outside.

Usage: python leaking_service.py. Prints "ready"; runs until its input ends.
"""

import asyncio
import sys
import threading

import memguard

SESSIONS = []
KEEPS_EVERY = 10


class Session:
    def __init__(self, parent=None):
        self.parent = parent
        self.children = []
        self.transcript = bytearray(50_000)
        if parent is not None:
            parent.children.append(self)


class Turn:
    def __init__(self):
        self.retry = self.run

    def run(self):
        """Do nothing."""


async def serve(guard, until):
    number = 0
    while not until.is_set():
        async with guard.agent("planner"):
            number += 1
            session = Session()
            for _ in range(3):
                async with guard.delegate("researcher"):
                    Turn()
                    await asyncio.sleep(0.002)
            Session(session)
            if number % KEEPS_EVERY == 0:
                SESSIONS.append(session)


async def main():
    until = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), until.set()), daemon=True).start()
    with memguard.listen():
        async with memguard.Guard(max_parallel=16) as guard:
            print("ready", flush=True)
            await asyncio.gather(*(serve(guard, until) for _ in range(4)))


if __name__ == "__main__":
    asyncio.run(main())
