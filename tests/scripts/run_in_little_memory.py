"""A program of agents that together need more memory than there is.

Usage: python run_in_little_memory.py plain|guarded address_space|GROUP_FOLDER
"""

import asyncio
import os
import sys
from pathlib import Path

AGENT_COUNT = 40
AGENT_BYTES = 20 * 2**20
ROOM_BYTES = 200 * 2**20


def confine(where):
    from memguard.pressure.memory import read_memory

    if where == "address_space":
        import resource

        limit = read_memory().virtual_bytes + ROOM_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    else:
        Path(where, "cgroup.procs").write_text(str(os.getpid()))


async def work():
    held = bytearray(AGENT_BYTES)
    await asyncio.sleep(0.05)
    return len(held)


async def guarded(monitor):
    while (promise := monitor.reserve(AGENT_BYTES)) is None:
        await asyncio.sleep(0.005)
    with promise:
        return await work()


async def main(mode):
    from memguard.pressure.monitor import ResourceMonitor

    monitor = ResourceMonitor()
    agents = [guarded(monitor) if mode == "guarded" else work() for _ in range(AGENT_COUNT)]
    print(sum(await asyncio.gather(*agents)) == AGENT_COUNT * AGENT_BYTES)


if __name__ == "__main__":
    _, mode, where = sys.argv
    confine(where)
    asyncio.run(main(mode))
