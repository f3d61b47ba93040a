"""Agents of the OpenAI Agents SDK, with a model that answers from a list."""

import asyncio

from agents import (
    Agent,
    Model,
    ModelResponse,
    Runner,
    Usage,
    UserError,
    function_tool,
    handoff,
    set_tracing_disabled,
)
from openai.types.responses import (
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputText,
)

set_tracing_disabled(True)


class ListedModel(Model):
    """A model that gives its answers one by one, and then fails."""

    def __init__(self, *answers):
        self.answers = list(answers)

    async def get_response(self, *args, **kwargs):
        if not self.answers:
            raise ConnectionError("the model is gone")
        return ModelResponse([self.answers.pop(0)], Usage(), response_id=None)

    def stream_response(self, *args, **kwargs):
        raise NotImplementedError


def _text(text):
    part = ResponseOutputText(annotations=[], text=text, type="output_text")
    return ResponseOutputMessage(
        id="1", content=[part], role="assistant", status="completed", type="message"
    )


def _call(name, arguments):
    return ResponseFunctionToolCall(
        arguments=arguments, call_id=name, name=name, type="function_call"
    )


@function_tool
def weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"{city}: sun"


def tool_and_handoff():
    """Agents made per request that hand over to each other."""

    async def main():
        model = ListedModel(
            _call("weather", '{"city": "Oslo"}'), _call("transfer_to_writer", "{}"), _text("sun")
        )
        writer = Agent("writer", model=model)
        planner = Agent("planner", model=model, tools=[weather], handoffs=[writer])
        writer.handoffs.append(handoff(planner))
        result = await Runner.run(planner, "How is the weather in Oslo?")
        assert result.final_output == "sun"

    asyncio.run(main())


def failing_model():
    """An agent used as a tool by another, whose model fails."""

    async def main():
        helper = Agent("helper", model=ListedModel(_call("weather", '{"city": "Oslo"}')))
        helper.tools.append(weather)
        asked = helper.as_tool("ask_helper", "Ask the helper.", failure_error_function=None)
        boss = Agent(
            "boss", model=ListedModel(_call("ask_helper", '{"input": "Oslo?"}')), tools=[asked]
        )
        try:
            await Runner.run(boss, "How is the weather in Oslo?")
        except UserError as error:
            failure = error
        assert "gone" in str(failure)

    asyncio.run(main())
