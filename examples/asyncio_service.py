"""An asyncio service that tells its own reference cycles at GET /cycles.

Run by itself it serves ten requests, asks for the report and ends. A scan
stops the event loop for as long as the report says.
"""

import asyncio
import gc

import memguard


class Request:
    """Leaks: it keeps its own method, which refers back to it."""

    def __init__(self, path):
        self.path = path
        self.on_done = self.finish

    def finish(self):
        return f"served {self.path}\n"


def tell_cycles():
    with memguard.scan("garbage", types=[Request]) as report:
        return report.to_text() + "\n"


async def serve(reader, writer):
    _method, path, _version = (await reader.readline()).decode().split()
    body = tell_cycles() if path == "/cycles" else Request(path).on_done()
    writer.write(f"HTTP/1.0 200 OK\r\n\r\n{body}".encode())
    await writer.drain()
    writer.close()
    await writer.wait_closed()


async def get(port, path):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.0\r\n\r\n".encode())
    answer = (await reader.read()).decode()
    writer.close()
    await writer.wait_closed()
    return answer.partition("\r\n\r\n")[2]


async def main():
    gc.disable()  # so that ten requests are enough to see something
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        for number in range(10):
            print(await get(port, f"/page/{number}"), end="")
        print(await get(port, "/cycles"), end="")


if __name__ == "__main__":
    asyncio.run(main())
