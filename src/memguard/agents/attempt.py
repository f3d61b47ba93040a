"""Calling foreign code whose failures somebody else is to be told.

Covers: one list of failures for all that one call of a user does, and how it ends:
raised as a group, or logged.
Does not cover: what is called (``cleanup``, ``hooks``, ``cycles``).

A frame that was seen in a traceback keeps its variables, and so do all frames that
called it. If one of them had a failure in a variable, that would be a cycle. So
there is one list, which is handed down, and whoever ends it empties it.
"""

import inspect
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from memguard.errors import WrongTypeError

Failures = list[Exception]

_NOT_AWAITED = "a coroutine function, or a function that makes no coroutine"


def attempt(
    failures: Failures, agent_id: Any, function: Callable[..., object], *arguments: Any
) -> None:
    """Call a function that gives nothing, and add what it raises."""
    try:
        result = function(*arguments)
        if inspect.iscoroutine(result):
            result.close()
            raise WrongTypeError("what was returned", "coroutine", _NOT_AWAITED)  # noqa: TRY301
    except Exception as failure:  # somebody else's code
        failures.append(_noted(_without_this_frame(failure), agent_id))


async def attempt_async(
    failures: Failures, agent_id: Any, function: Callable[[Any], Awaitable[object]]
) -> None:
    """Await what a function gives for an agent's id, and add what it raises."""
    try:
        await function(agent_id)
    except Exception as failure:  # somebody else's code
        failures.append(_noted(_without_this_frame(failure), agent_id))


def add_all(failures: Failures, agent_id: Any, found: Iterable[Exception]) -> None:
    """Add what was raised elsewhere."""
    failures.extend(_noted(failure, agent_id) for failure in found)


def raise_gathered(what: str, failures: Failures) -> None:
    """Raise failures as one group, if there are any.

    Raises:
        ExceptionGroup: There were some.
    """
    if failures:
        # A tuple: it keeps what it was given for repr and pickle, and the list is emptied.
        group = ExceptionGroup(f"{len(failures)} failures while {what}", tuple(failures))
        failures.clear()
        try:
            raise group
        finally:
            del group


def log_gathered(failures: Failures) -> None:
    """Write failures that nobody can be told."""
    if failures:
        # A program without failures does not load what writes them.
        from memguard.agents.failures import log_failures

        log_failures(failures)
        failures.clear()


def _without_this_frame(failure: Exception) -> Exception:
    traceback = failure.__traceback__
    return failure.with_traceback(traceback and traceback.tb_next)


def _noted(failure: Exception, agent_id: Any) -> Exception:
    """Say in a failure which agent it was."""
    # Only of ids that are known to run no code, and to be no more than an id.
    name = repr(agent_id) if type(agent_id) in (str, int) else f"a {type(agent_id).__qualname__}"
    failure.add_note(f"while cleaning up after agent {name}")
    return failure
