"""Agents of the OpenAI Agents SDK that hand over to each other, with a fake model."""

import asyncio
import gc

from agents import Agent, Model, ModelResponse, Runner, Usage, handoff, set_tracing_disabled
from openai.types.responses import (
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputText,
)

import memguard


class FakeModel(Model):
    """Gives its answers one by one."""

    def __init__(self, *answers):
        self.answers = list(answers)

    async def get_response(self, *args, **kwargs):
        return ModelResponse([self.answers.pop(0)], Usage(), response_id=None)

    def stream_response(self, *args, **kwargs):
        raise NotImplementedError


def hand_over(name):
    return ResponseFunctionToolCall(
        arguments="{}", call_id=name, name=f"transfer_to_{name}", type="function_call"
    )


def say(text):
    part = ResponseOutputText(annotations=[], text=text, type="output_text")
    return ResponseOutputMessage(
        id="1", content=[part], role="assistant", status="completed", type="message"
    )


async def serve(question):
    model = FakeModel(hand_over("writer"), hand_over("planner"), say("done"))
    writer = Agent("writer", model=model)
    planner = Agent("planner", model=model, handoffs=[writer])
    writer.handoffs.append(handoff(planner))
    result = await Runner.run(planner, question)
    return result.final_output


async def main(count):
    return [await serve(f"question {number}") for number in range(count)]


if __name__ == "__main__":
    set_tracing_disabled(True)
    asyncio.run(main(1))  # caches and imports of the first call are no leak
    gc.collect()
    gc.disable()
    assert asyncio.run(main(10)) == ["done"] * 10
    with memguard.scan("garbage") as report:
        print(report.to_text(most_shapes=5))
