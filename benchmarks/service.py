"""A real HTTP service under load, while its heap is looked at.

Usage: python -m benchmarks.service [--seconds S] [--objects N] [--rate R] [--every S] [WAY ...]

Starts one service after another, in a process of its own: asyncio's streams, answering
with JSON built anew for each request, beside a heap of N objects. A load generator in
another process sends requests at a fixed rate, whatever the answers do, over
connections that are kept, and measures from the moment a request was due. Every so
many seconds, ten by default, the service looks at its heap, in the way that is measured:

    none        not at all
    snapshot    memguard.scan(mode="snapshot"), in a thread
    inline      memguard.scan()
    collect     gc.collect()
    refcycle    refcycle.snapshot().strongly_connected_components()
    objgraph    objgraph.most_common_types() and by_type()

Prints one JSON object for each way: requests sent, failed and answered in a second,
the median, the 99th percentile and the longest time of an answer, looks, and descriptors,
children and resident memory before and after.
"""

import argparse
import asyncio
import gc
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import memguard
from benchmarks.measure import require_release_build

CONNECTION_COUNT = 20
_BODY = b"x" * 200


def _refcycle() -> object:
    import refcycle

    return refcycle.snapshot().strongly_connected_components()


def _objgraph() -> object:
    import objgraph

    return objgraph.most_common_types(), objgraph.by_type("dict")


WAYS: dict[str, Callable[[], object] | None] = {
    "none": None,
    "snapshot": lambda: memguard.scan("live", mode="snapshot").release(),
    "inline": lambda: memguard.scan("live").release(),
    "collect": gc.collect,
    "refcycle": _refcycle,
    "objgraph": _objgraph,
}


# ------------------------------------------------------------------------
# The service.


def _heap(object_count: int) -> list[object]:
    """Sessions that hold dicts and lists, as services have them."""
    return [
        {"id": number, "items": [number], "state": {"next": [number]}}
        for number in range(object_count // 4)
    ]


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            body = json.dumps({"numbers": [{"n": n, "text": str(n)} for n in range(40)]}).encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _left() -> dict[str, int]:
    return {
        "descriptor_count": len(list(Path("/proc/self/fd").iterdir())),
        "child_count": len(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()),
        "resident_bytes": _resident_bytes(),
    }


async def _serve(way: str, object_count: int, every_seconds: float) -> None:
    held = _heap(object_count)
    gc.collect()
    gc.freeze()
    gc.unfreeze()
    # Requests make no garbage that needs the collector; its pauses are not in question.
    gc.disable()
    server = await asyncio.start_server(_answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    loop = asyncio.get_running_loop()
    thread = ThreadPoolExecutor(1)
    look = WAYS[way]
    commands = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    await commands.readline()
    await asyncio.sleep(0.5)  # connections of before are gone by then
    before, seconds = _left(), []
    stop = asyncio.ensure_future(commands.readline())
    while True:
        done, _ = await asyncio.wait({stop}, timeout=every_seconds)
        if done:
            break
        if look is not None:
            began = time.perf_counter()
            await loop.run_in_executor(thread, look)
            seconds.append(time.perf_counter() - began)
    print(json.dumps({"before": before, "after": _left(), "look_seconds": seconds}), flush=True)
    server.close()
    thread.shutdown()
    del held


# ------------------------------------------------------------------------
# The load.


async def _connection(port: int, due: "asyncio.Queue[float | None]", taken: list[float]) -> int:
    """Send what is due, and note how long each answer took from then on."""
    failed = 0
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    request = b"GET / HTTP/1.1\r\nHost: x\r\nX: %b\r\n\r\n" % _BODY
    while (at_seconds := await due.get()) is not None:
        try:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.partition(b"Content-Length: ")[2].partition(b"\r")[0])
            await reader.readexactly(length)
            failed += not head.startswith(b"HTTP/1.1 200")
        except (OSError, asyncio.IncompleteReadError, ValueError):
            failed += 1
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        taken.append(time.perf_counter() - at_seconds)
    writer.close()
    return failed


async def _load(port: int, seconds: float, rate: float) -> dict[str, float]:
    due: asyncio.Queue[float | None] = asyncio.Queue()
    taken: list[float] = []
    connections = [
        asyncio.ensure_future(_connection(port, due, taken)) for _ in range(CONNECTION_COUNT)
    ]
    began = time.perf_counter()
    count = int(seconds * rate)
    for number in range(count):
        at_seconds = began + number / rate
        wait_seconds = at_seconds - time.perf_counter()
        if wait_seconds > 0:
            await asyncio.sleep(wait_seconds)
        due.put_nowait(at_seconds)
    for _ in connections:
        due.put_nowait(None)
    failed = sum(await asyncio.gather(*connections))
    lasted_seconds = time.perf_counter() - began
    cuts = statistics.quantiles(taken, n=1000)
    return {
        "request_count": len(taken),
        "failed_count": failed,
        "requests_per_second": len(taken) / lasted_seconds,
        "median_seconds": cuts[499],
        "p99_seconds": cuts[989],
        "p999_seconds": cuts[998],
        "longest_seconds": max(taken),
    }


def measure_way(
    way: str, seconds: float, object_count: int, rate: float, every_seconds: float
) -> dict[str, object]:
    """Run one service and the load on it."""
    arguments = ["--serve", way, str(object_count), str(every_seconds)]
    command = [sys.executable, "-m", "benchmarks.service", *arguments]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as service:
        assert service.stdin is not None
        assert service.stdout is not None
        port = int(service.stdout.readline())
        asyncio.run(_load(port, 3.0, rate))  # until caches and connections are warm
        service.stdin.write("begin\n")
        service.stdin.flush()
        load = asyncio.run(_load(port, seconds, rate))
        service.stdin.write("end\n")
        service.stdin.flush()
        return {"way": way, **load, **json.loads(service.stdout.readline())}


def main() -> None:
    """Measure the ways in turn."""
    if sys.argv[1:2] == ["--serve"]:
        asyncio.run(_serve(sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))
        return
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="of load on each service")
    parser.add_argument("--objects", type=float, default=5e6, help="of the heap")
    parser.add_argument("--rate", type=float, default=300.0, help="requests in a second")
    parser.add_argument("--every", type=float, default=10.0, help="seconds between two looks")
    parser.add_argument("ways", nargs="*", default=["none", "snapshot", "inline", "none"])
    options = parser.parse_args()
    require_release_build()
    for way in options.ways:
        result = measure_way(
            way, options.seconds, int(options.objects), options.rate, options.every
        )
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
