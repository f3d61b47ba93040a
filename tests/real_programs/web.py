"""Web servers and their clients, with requests that fail."""

import asyncio
import logging
from typing import Annotated

import anyio
import fastapi
import fastapi.testclient
import httpx
from aiohttp import ClientSession, web

logging.getLogger("aiohttp.server").addHandler(logging.NullHandler())
logging.getLogger("aiohttp.server").propagate = False


def aiohttp_loopback():
    """A server and a client on the loopback, one of two requests fails."""

    async def greet(request):
        return web.json_response({"path": request.path})

    async def fail(request):
        request["self"] = request
        raise RuntimeError("broken handler")

    async def main():
        application = web.Application()
        application.add_routes([web.get("/", greet), web.get("/fail", fail)])
        runner = web.AppRunner(application)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0]
        async with ClientSession() as session:
            async with session.get(f"http://{host}:{port}/") as response:
                assert await response.json() == {"path": "/"}
            async with session.get(f"http://{host}:{port}/fail") as response:
                assert response.status == 500
        await runner.cleanup()

    asyncio.run(main())


def fastapi_client():
    """An application built per test, an endpoint that fails and one that refuses."""
    application = fastapi.FastAPI()

    async def session():
        yield {"application": application}

    @application.get("/items/{number}")
    async def item(number: int, opened: Annotated[dict, fastapi.Depends(session)]):
        return {"number": 10 // number}

    with fastapi.testclient.TestClient(application, raise_server_exceptions=False) as client:
        assert client.get("/items/5").json() == {"number": 2}
        assert client.get("/items/0").status_code == 500
        assert client.get("/items/none").status_code == 422


def task_group_of_requests():
    """An anyio task group of httpx requests, the slowest is cancelled by a failure."""

    async def answer(request):
        if request.url.path == "/slow":
            await anyio.sleep(60)
        if request.url.path == "/refused":
            raise httpx.ConnectError("refused", request=request)
        return httpx.Response(200, json={})

    async def main():
        transport = httpx.MockTransport(answer)
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
            async with anyio.create_task_group() as group:
                for path in ("/ok", "/slow", "/refused"):
                    group.start_soon(client.get, path)

    try:
        anyio.run(main)
    except* httpx.ConnectError:
        pass
