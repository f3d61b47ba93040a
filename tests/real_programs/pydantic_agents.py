"""Agents of pydantic-ai, with its own test and function models."""

from pydantic import BaseModel
from pydantic_ai import Agent, ModelRetry, RunContext, UnexpectedModelBehavior
from pydantic_ai.messages import ModelResponse, TextPart
from pydantic_ai.models.function import FunctionModel
from pydantic_ai.models.test import TestModel


def typed_answer():
    """An agent with a tool and a typed answer, made per request."""

    class Answer(BaseModel):
        city: str
        degrees: int

    agent = Agent(TestModel(), deps_type=dict, output_type=Answer)

    @agent.tool
    def weather(context: RunContext[dict], city: str) -> str:
        context.deps[city] = context
        return "sun"

    result = agent.run_sync("How is the weather?", deps={})
    assert isinstance(result.output, Answer)


def failing_tool():
    """Agents that delegate to each other until a tool gives up."""
    inner = Agent(TestModel(), retries=1)

    @inner.tool_plain
    def search(query: str) -> str:
        raise ModelRetry("try again")

    outer = Agent(FunctionModel(lambda _messages, _info: ModelResponse([TextPart("done")])))

    @outer.output_validator
    async def ask_inner(text: str) -> str:
        return (await inner.run(text)).output

    try:
        outer.run_sync("Search")
    except UnexpectedModelBehavior as error:
        failure = error
    assert "retries" in str(failure)
