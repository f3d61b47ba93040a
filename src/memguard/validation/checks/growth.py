"""By how much memory grows while an orchestrator serves requests, its collector as it is.

Bytes that the allocators gave out, looked at after each request; the most that was seen
beyond what was there before counts.
"""

import asyncio
import gc
from collections.abc import Awaitable, Callable

from memguard.guard.guard import Guard
from memguard.pressure.cleanup import read_allocated_bytes
from memguard.settings import GuardSettings
from memguard.validation.orchestrator import (
    CONTEXTS_PER_REQUEST,
    AgentContext,
    run_agent,
    run_guarded,
    serve_side_by_side,
)

REQUEST_COUNT = 2_000
WIDTH = 10
PAYLOAD_BYTES = 16 * 1024
"""What each agent has in its hands: 229 MB go through in all."""


def before() -> dict[str, float]:
    """Serve with contexts that refer to each other."""

    async def serve(number: int) -> None:
        await run_agent(AgentContext(f"request-{number}"), 2, PAYLOAD_BYTES)

    return _growth(serve)


def after() -> dict[str, float]:
    """Serve the same under a guard."""
    guard = Guard(settings=GuardSettings(), max_parallel=WIDTH)

    async def serve(_number: int) -> None:
        async with guard.agent("request") as context:
            await run_guarded(guard, context, 2, PAYLOAD_BYTES)

    with guard:
        return _growth(serve)


def _growth(serve: Callable[[int], Awaitable[None]]) -> dict[str, float]:
    highest = 0

    async def serve_and_look(number: int) -> None:
        nonlocal highest
        await serve(number)
        highest = max(highest, read_allocated_bytes())

    # Caches of a first time are no growth.
    asyncio.run(serve_side_by_side(2 * WIDTH, WIDTH, serve))
    gc.collect()
    start = read_allocated_bytes()
    asyncio.run(serve_side_by_side(REQUEST_COUNT, WIDTH, serve_and_look))
    return {
        "growth_bytes": highest - start,
        "agent_count": REQUEST_COUNT * CONTEXTS_PER_REQUEST,
    }
