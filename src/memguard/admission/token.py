"""Carry the chain to where context variables do not.

Covers: tokens for queues and other processes; executors, which start threads
with an empty context.
Does not cover: ``await``, tasks, task groups and ``asyncio.to_thread``, which
carry it by themselves.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import ParamSpec, TypeVar

from memguard._admission import CURRENT, Run

_Parameters = ParamSpec("_Parameters")
_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class DelegationToken:
    """A place in a chain, to give as ``parent=`` elsewhere; it can be pickled.

    As long as the delegation is live in this process, who gives its token is
    counted as its child. Afterwards, and in other processes, the chain and its
    depth still count, while children and descendants are counted from 0.

    Attributes:
        run_id: Which admission of its breaker it was.
        depth: Its place in the chain, from 1 on [count].
        chain: Names of the agents, from the first to this one.
    """

    run_id: int
    depth: int
    chain: tuple[str, ...]


def token_of(run: Run) -> DelegationToken:
    """Make the token of a run."""
    return DelegationToken(run.id, run.depth, run.chain)


def carry(function: Callable[_Parameters, _Answer]) -> Callable[_Parameters, _Answer]:
    """Give *function* the chain that the caller is in, wherever it will run.

    For ``executor.submit(carry(work), ...)`` and ``threading.Thread``: those begin
    with an empty context. It takes along some hundred bytes for each delegation of the
    chain, and not all context variables, as ``copy_context().run`` does.
    """
    run = CURRENT.get(None)

    @wraps(function)
    def carried(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Answer:
        token = CURRENT.set(run)
        try:
            return function(*args, **kwargs)
        finally:
            CURRENT.reset(token)

    return carried
