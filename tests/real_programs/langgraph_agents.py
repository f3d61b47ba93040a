"""Agents of LangGraph and LangChain, with a fake model and failing nodes."""

import asyncio
import operator
from typing import Annotated, TypedDict

import langchain.agents
from langchain_core.language_models.fake_chat_models import FakeMessagesListChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages


class Conversation(TypedDict):
    """Messages so far."""

    messages: Annotated[list, add_messages]


class Findings(TypedDict):
    """What the branches found."""

    found: Annotated[list, operator.add]


class ToolCallingModel(FakeMessagesListChatModel):
    """A fake model that knows its answers and takes any tools."""

    def bind_tools(self, tools, **kwargs):
        return self


@tool
def multiply(a: int, b: int) -> int:
    """Multiply two numbers."""
    return a * b


def _answers():
    call = {"name": "multiply", "args": {"a": 6, "b": 7}, "id": "call-1"}
    return [AIMessage("", tool_calls=[call]), AIMessage("42")]


def _chat(model):
    def call_model(state):
        return {"messages": [model.invoke(state["messages"])]}

    graph = StateGraph(Conversation)
    graph.add_node("model", call_model)
    graph.add_edge(START, "model")
    graph.add_edge("model", END)
    return graph.compile()


_shared_chat = _chat(FakeMessagesListChatModel(responses=[AIMessage("hello")]))


def chat_shared():
    """A graph with a fake model, compiled once."""
    answer = _shared_chat.invoke({"messages": [HumanMessage("hi")]})
    assert answer["messages"][-1].content == "hello"


def chat_per_request():
    """A graph with a fake model, compiled per request and streamed."""
    chat = _chat(FakeMessagesListChatModel(responses=[AIMessage("hello")]))
    for chunk in chat.stream({"messages": [HumanMessage("hi")]}, stream_mode="messages"):
        assert chunk


def failing_node():
    """A graph with a fake model, the node after it raises."""
    model = FakeMessagesListChatModel(responses=[AIMessage("hello")])

    def call_model(state):
        return {"messages": [model.invoke(state["messages"])]}

    def check(state):
        raise ValueError(state["messages"][-1].content)

    graph = StateGraph(Conversation)
    graph.add_node("model", call_model)
    graph.add_node("check", check)
    graph.add_edge(START, "model")
    graph.add_edge("model", "check")
    graph.add_edge("check", END)
    try:
        graph.compile().invoke({"messages": [HumanMessage("hi")]})
    except ValueError as error:
        failure = error
    assert str(failure) == "hello"


def failing_branch():
    """Async branches with a checkpointer, one of three raises."""

    async def search(state):
        return {"found": ["page"]}

    async def wait(state):
        await asyncio.sleep(60)

    async def fail(state):
        raise ConnectionError("no route")

    async def main():
        graph = StateGraph(Findings)
        for node in (search, wait, fail):
            graph.add_node(node.__name__, node)
            graph.add_edge(START, node.__name__)
        compiled = graph.compile(checkpointer=InMemorySaver())
        config = {"configurable": {"thread_id": "1"}}
        try:
            await compiled.ainvoke({"found": []}, config)
        except ConnectionError:
            state = await compiled.aget_state(config)
            assert state.next

    asyncio.run(main())


def tool_agent():
    """An agent of create_agent with a tool, built per request and streamed."""

    async def main():
        agent = langchain.agents.create_agent(ToolCallingModel(responses=_answers()), [multiply])
        question = {"messages": [HumanMessage("6 * 7?")]}
        parts = [part async for part in agent.astream(question, stream_mode="messages")]
        assert parts[-1][0].content == "42"

    asyncio.run(main())
