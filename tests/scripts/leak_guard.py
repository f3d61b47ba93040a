"""Call every method of the native guard, and let guarded agents come and go in every way."""

import asyncio
import contextlib
import gc
import logging

from growth import print_growth

from memguard import AgentContext, DelegationRefused, Guard, _guard
from memguard.settings import GuardSettings, PressureSettings

CLASSES = {
    _guard.GuardBase: {"agent", "delegate", "start"},
    _guard.GuardedAgent: set(),
}


def check_that_all_are_called():
    natives = {
        value
        for name, value in vars(_guard).items()
        if callable(value)
        and getattr(value, "__module__", "") == "memguard._guard"
        and name[0] != "_"
    }
    assert natives == set(CLASSES), natives ^ set(CLASSES)
    for cls, methods in CLASSES.items():
        names = {name for name, value in vars(cls).items() if callable(value) and name[0] != "_"}
        assert names == methods, (cls, names)


def fail():
    raise ValueError


def use_base():
    base = _guard.GuardBase()
    block = base.agent("a")
    with contextlib.suppress(NotImplementedError):
        block.__enter__()
    base._open(True)
    with contextlib.suppress(RuntimeError):
        block.__enter__()
    with contextlib.suppress(RuntimeError):
        block.__exit__(None, None, None)
    with contextlib.suppress(TypeError):
        base._use(None, None, None, None)
    with contextlib.suppress(TypeError):
        _guard.GuardedAgent()
    assert repr(block) == "<GuardedAgent 'a'>"


def use_blocks(guard):
    with guard.agent("a"), guard.delegate("b") as below:
        below.callbacks.append(below.cleanup)
    with contextlib.suppress(ValueError), guard.agent("a", wait_seconds=0):
        raise ValueError
    with guard.agent("a") as context, guard.delegate("b"):
        context.callbacks.append(fail)
    with contextlib.suppress(DelegationRefused), guard.agent("a"), guard.delegate("b"):
        with guard.delegate("c"), guard.delegate("d"):
            pass
    with contextlib.suppress(TypeError):
        guard.agent(7).__enter__()
    with contextlib.suppress(TypeError):
        guard.agent("a", unknown=1).__enter__()
    block = guard.agent("a")
    block.__enter__()
    del block
    gc.collect()


async def wait(guard):
    async with guard.agent("a"):
        task = asyncio.create_task(one(guard))
        await asyncio.sleep(0)
    await task
    task = asyncio.create_task(one(guard))
    async with guard.agent("a"):
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def one(guard):
    async with guard.agent("one", wait_seconds=None) as context:
        assert isinstance(context, AgentContext)


async def use_hooks(guard):
    @guard.lifecycle.on_cleanup
    async def hook(agent_id):
        await asyncio.sleep(0)

    async with guard.agent("a"):
        pass
    with contextlib.suppress(ValueError):
        async with guard.agent("a"):
            raise ValueError


loop = asyncio.new_event_loop()
# A look at memory meanwhile would add to what is measured.
QUIET = GuardSettings(pressure=PressureSettings(sample_seconds=3600))
GUARD = Guard(settings=QUIET, max_depth=1, max_parallel=1, debug=True)
GUARD.start()
HOOKED = Guard(settings=QUIET)
HOOKED.start()


def call():
    use_base()
    use_blocks(GUARD)
    loop.run_until_complete(wait(GUARD))


check_that_all_are_called()
# Failures of blocks would be written to standard error.
logging.disable()
loop.run_until_complete(use_hooks(HOOKED))
print_growth(call, call_count=1_000)
GUARD.close()
HOOKED.close()
