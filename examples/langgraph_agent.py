"""A LangGraph agent with a fake model, and a node that fails.

Each request compiles its graph anew, as many programs do to pass on what
belongs to a request. What is left of each is the subject of the report.
"""

import gc
from typing import Annotated, TypedDict

from langchain_core.language_models.fake_chat_models import FakeMessagesListChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages

import memguard


class Conversation(TypedDict):
    messages: Annotated[list, add_messages]


class PolicyViolationError(Exception):
    pass


def build_agent():
    model = FakeMessagesListChatModel(responses=[AIMessage("secret")])

    def call_model(state):
        return {"messages": [model.invoke(state["messages"])]}

    def check_policy(state):
        raise PolicyViolationError(state["messages"][-1].content)

    graph = StateGraph(Conversation)
    graph.add_node("model", call_model)
    graph.add_node("policy", check_policy)
    graph.add_edge(START, "model")
    graph.add_edge("model", "policy")
    graph.add_edge("policy", END)
    return graph.compile()


def serve(question):
    try:
        build_agent().invoke({"messages": [HumanMessage(question)]})
    except PolicyViolationError:
        return "refused"
    return "answered"


if __name__ == "__main__":
    serve("warm up")  # caches and imports of the first call are no leak
    gc.collect()
    gc.disable()
    assert {serve(f"question {number}") for number in range(10)} == {"refused"}
    with memguard.scan("garbage") as report:
        print(report.to_text(most_shapes=5))
