"""Leaks of real libraries, as they were reported.

Each imports its library when it runs, so that one of them needs no other.
"""

import itertools
import uuid
import weakref
from dataclasses import dataclass

from leaks.program import Program

numbers = itertools.count()
LAST = []
HISTORY = []
ADAPTERS = {}


def _graph(saver):
    import operator
    from typing import Annotated, TypedDict

    from langgraph.graph import END, START, StateGraph

    class State(TypedDict):
        found: Annotated[list, operator.add]

    graph = StateGraph(State)
    graph.add_node("search", lambda state: {"found": ["one"]})
    graph.add_edge(START, "search")
    graph.add_edge("search", END)
    return graph.compile(checkpointer=saver)


def threads_of_saver():
    """LangGraph's InMemorySaver keeps the checkpoints of each thread id (langgraph#8054)."""
    from langgraph.checkpoint.memory import InMemorySaver

    saver = InMemorySaver()
    graph = _graph(saver)

    def run():
        config = {"configurable": {"thread_id": f"thread-{next(numbers)}"}}
        assert graph.invoke({"found": []}, config)["found"] == ["one"]

    return Program(
        run,
        "langgraph.checkpoint.memory.InMemorySaver.storage",
        lambda: list(saver.storage.values())[-1],
    )


def ghosts_of_saver():
    """Reading a thread that is not there leaves an empty entry (langgraph#8754)."""
    from langgraph.checkpoint.memory import InMemorySaver

    saver = InMemorySaver()

    def run():
        list(saver.list({"configurable": {"thread_id": f"thread-{next(numbers)}"}}))
        saver.get_tuple({"configurable": {"thread_id": f"thread-{next(numbers)}"}})

    return Program(
        run,
        "langgraph.checkpoint.memory.InMemorySaver.storage",
        lambda: list(saver.storage.values())[-1],
    )


def agents_of_runtime():
    """autogen-core's runtime keeps the agent of each key (autogen#4893)."""
    from autogen_core import (
        AgentId,
        MessageContext,
        RoutedAgent,
        SingleThreadedAgentRuntime,
        message_handler,
    )

    @dataclass
    class Ask:
        text: str

    class Echo(RoutedAgent):
        def __init__(self) -> None:
            super().__init__("echo")

        @message_handler
        async def answer(self, message: Ask, ctx: MessageContext) -> Ask:
            return message

    runtime = SingleThreadedAgentRuntime()
    registered = []

    async def run():
        if not registered:
            registered.append(await Echo.register(runtime, "echo", lambda: Echo()))
        runtime.start()
        answer = await runtime.send_message(Ask("hi"), AgentId("echo", f"key-{next(numbers)}"))
        await runtime.stop()
        assert answer.text == "hi"

    def leaked():
        return list(runtime._instantiated_agents.values())[-1]

    return Program(run, "SingleThreadedAgentRuntime._instantiated_agents", leaked)


def _echo_agent():
    from agents import Agent

    from real_programs.openai_agents import ListedModel, _text

    return Agent("writer", model=ListedModel(_text("done")))


def results_in_history():
    """Results of openai-agents that are kept keep their agents (openai-agents#2008)."""
    from agents import Runner

    async def run():
        result = await Runner.run(_echo_agent(), "write")
        assert result.final_output == "done"
        HISTORY.append(result)

    return Program(run, "libraries.HISTORY", lambda: HISTORY[-1].last_agent)


def runs_of_tracer():
    """A tracer of langchain keeps runs whose end never comes (langchain#36660, opik#7516)."""
    from langchain_core.tracers.base import BaseTracer

    class Tracer(BaseTracer):
        def _persist_run(self, run):
            pass

    tracer = Tracer()

    def run():
        tracer.on_chain_start({"name": "chain"}, {"x": 1}, run_id=uuid.uuid4())

    return Program(run, "Tracer.run_map", lambda: list(tracer.run_map.values())[-1])


def adapters_per_call():
    """A pydantic TypeAdapter per call, for a type made per call, in a cache (inngest#347)."""
    import pydantic

    def adapter_of(cls):
        if cls not in ADAPTERS:
            ADAPTERS[cls] = pydantic.TypeAdapter(cls)
        return ADAPTERS[cls]

    def run():
        model = pydantic.create_model("Answer", text=(str, ...))
        LAST[:] = [weakref.ref(model)]
        assert adapter_of(model).validate_python({"text": "x"}).text == "x"

    return Program(run, "libraries.ADAPTERS", lambda: LAST[0]())


def signals_of_aiohttp():
    """Each request subscribes to a signal of an aiohttp application."""
    from aiohttp import web

    application = web.Application()

    class Request:
        async def prepare(self, request, response):
            return None

    def run():
        request = Request()
        LAST[:] = [weakref.ref(request)]
        application.on_response_prepare.append(request.prepare)

    return Program(run, "Application._on_response_prepare", lambda: LAST[0]())


def messages_of_context():
    """autogen-core's model context keeps each message."""
    from autogen_core.model_context import UnboundedChatCompletionContext
    from autogen_core.models import UserMessage

    context = UnboundedChatCompletionContext()

    async def run():
        await context.add_message(UserMessage(content="hello", source="user"))

    return Program(run, "UnboundedChatCompletionContext._messages", lambda: context._messages[-1])
