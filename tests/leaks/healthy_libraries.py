"""Programs of real libraries that are well."""

import itertools

from leaks.libraries import _echo_agent, _graph
from leaks.program import Program

numbers = itertools.count()


def reused_client():
    """One client of httpx for all requests."""
    import httpx

    client = httpx.Client(transport=httpx.MockTransport(lambda request: httpx.Response(200)))

    def run():
        assert client.get(f"http://example.test/{next(numbers)}").status_code == 200

    return Program(run)


def rendered_templates():
    """Templates of jinja2 from one environment."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.DictLoader({f"page{n}": "{{ x }}" for n in range(8)}), autoescape=True
    )

    def run():
        number = next(numbers)
        assert environment.get_template(f"page{number % 8}").render(x=number) == str(number)

    return Program(run)


def pooled_engine():
    """Queries of SQLAlchemy through the engine's pool."""
    import sqlalchemy

    engine = sqlalchemy.create_engine("sqlite://")

    def run():
        with engine.connect() as connection:
            number = next(numbers)
            assert (
                connection.execute(sqlalchemy.select(sqlalchemy.literal(number))).scalar() == number
            )

    return Program(run)


def graph_without_saver():
    """A graph of LangGraph that keeps nothing."""
    graph = _graph(None)

    def run():
        assert graph.invoke({"found": []})["found"] == ["one"]

    return Program(run)


def results_dropped():
    """Runs of openai-agents whose results nobody keeps."""
    from agents import Runner

    async def run():
        assert (await Runner.run(_echo_agent(), "write")).final_output == "done"

    return Program(run)


def served_by_aiohttp():
    """A server of aiohttp and one client: their timers are cancelled, and stay a while."""
    from aiohttp import ClientSession, web

    clients = []

    async def answer(request):
        return web.Response(text="hello")

    async def run():
        if not clients:
            application = web.Application()
            application.router.add_get("/", answer)
            runner = web.AppRunner(application)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            host, port = runner.addresses[0]
            clients.append(ClientSession(f"http://{host}:{port}"))
        async with clients[0].get("/") as response:
            assert await response.text() == "hello"

    return Program(run)


def parsed_models():
    """Models of pydantic, and one that is made for each run and goes with it."""
    import pydantic

    class Question(pydantic.BaseModel):
        number: int

    def run():
        assert Question.model_validate({"number": next(numbers)}).model_dump()
        pydantic.create_model("Answer", text=(str, ...))(text="x")

    return Program(run)
