"""Which agent runs here.

Covers: the current agent, taking it along to another thread.
Does not cover: beginning and ending a life (``lifecycle``), the context variable
itself (``_lives``).
"""

import functools
import inspect
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from memguard._lives import current_agent, current_life, enter, leave
from memguard.errors import WrongTypeError

__all__ = ["carry_agent", "current_agent"]

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


def carry_agent(function: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """Take the current agent along to where a function will be called.

    For threads and executors, which start without a current agent::

        executor.submit(carry_agent(work), item)

    What it gives does not keep the agent alive.

    Args:
        function: What to call there; no coroutine function, since tasks and
            ``asyncio.to_thread`` carry the agent by themselves.

    Raises:
        WrongTypeError: *function* cannot be called, or is a coroutine function.
    """
    if not callable(function) or inspect.iscoroutinefunction(function):
        raise WrongTypeError(
            "function", type(function).__qualname__, "a plain function; tasks carry the agent"
        )
    life = current_life()

    @functools.wraps(function)
    def carried(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        token = enter(life)
        try:
            return function(*args, **kwargs)
        finally:
            leave(token)

    return carried
