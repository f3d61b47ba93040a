"""Call every method of the native lives, and let agents end in every way."""

import asyncio
import contextlib
import contextvars
import logging

from growth import print_growth

from memguard import AgentContext, AgentLifecycleManager, _lives
from memguard.agents.lives import Lives


class Agent:
    pass


class Failing:
    def cleanup(self):
        raise ValueError


CLASSES = {
    _lives.Life: {"context", "part", "take_child_id"},
    _lives.LifeTable: {"begin", "claim", "current", "end", "find_life"},
    _lives.Mourner: set(),
    _lives.Block: set(),
}
FUNCTIONS = {"clean_up_plain", "current_agent", "current_life", "enter", "leave", "life_in"}


def check_that_all_are_called():
    found = {
        name
        for name, value in vars(_lives).items()
        if callable(value) and not isinstance(value, type) and not name.startswith("_")
    }
    assert found == FUNCTIONS, found ^ FUNCTIONS
    for cls, methods in CLASSES.items():
        names = {name for name, value in vars(cls).items() if callable(value) and name[0] != "_"}
        assert names == methods, (cls, names)


def use_table():
    lives, agent, child = Lives(None), Agent(), Agent()
    life = lives.begin("a", agent, None, False, ("file", 1))
    below = lives.begin("b", child, life, True, None)
    with contextlib.suppress(TypeError):
        lives.begin("c", 7, life, False, None)
    with contextlib.suppress(LookupError):
        lives.find_life("c")
    with contextlib.suppress(TypeError):
        _lives.Life()
    token = _lives.enter(lives.find_life("a"))
    assert (lives.current(), _lives.current_life(), _lives.current_agent()) == (life, life, agent)
    assert _lives.life_in(contextvars.copy_context()) is life
    _lives.leave(token)
    assert _lives.life_in(contextvars.copy_context()) is not life
    assert life.take_child_id() == ("b",)
    assert (life.agent_id, below.parent, life.closes, life.has_ended) == ("a", life, False, False)
    assert lives.claim(below) is child
    below.part()
    assert lives.end(life, []) is True
    assert life.context() is None
    lives.on_death("a", life)


async def use_blocks(manager):
    async with manager.agent("a") as context, manager.agent("b"):
        context.callbacks.append(context.cleanup)
    with contextlib.suppress(ValueError), manager.agent("a", AgentContext("a")) as context:
        context.callbacks.append(Failing().cleanup)
        raise ValueError
    agent = Agent()
    manager.register_agent("dies", agent)
    del agent
    failing = Failing()
    manager.register_agent("fails", failing)
    with contextlib.suppress(ExceptionGroup):
        manager.finish("fails")
    with manager.agent("twice") as agent, contextlib.suppress(ValueError):
        with manager.agent("twice", agent):
            pass


loop = asyncio.new_event_loop()


def call():
    use_table()
    manager = AgentLifecycleManager()
    loop.run_until_complete(use_blocks(manager))
    manager.close()


check_that_all_are_called()
# Failures of blocks would be written to standard error.
logging.disable()
print_growth(call, call_count=1_500)
