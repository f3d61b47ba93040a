"""Leak, say that we are ready, and wait for the end of standard input."""

import asyncio
import os
import signal
import sys


class Node:
    """Refers to itself."""

    def __init__(self):
        self.own = self


async def wait_in_loop():
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(0, lambda: ended.set() if not os.read(0, 100) else None)
    await ended.wait()
    loop.remove_reader(0)


if "own-handler" in sys.argv:
    # Not by print, which the signal may have interrupted.
    signal.signal(signal.SIGUSR1, lambda *_: os.write(1, b"mine\n"))
Node()
print("ready", flush=True)
if "asyncio" in sys.argv:
    asyncio.run(wait_in_loop())
else:
    sys.stdin.read()
