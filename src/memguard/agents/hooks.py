"""What is called when an agent ends.

Covers: hooks of a manager, plain and async, each called once for each agent.
Does not cover: when an agent ends (``lifecycle``), what becomes of failures (``attempt``).
"""

import inspect
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, cast

from memguard.agents.attempt import Failures, attempt, attempt_async
from memguard.errors import WrongTypeError

Hook = Callable[[Any], object]
AsyncHook = Callable[[Any], Awaitable[object]]


class Hooks:
    """Whom to tell, and which async hooks wait for somebody who can await them.

    Thread-safety: any thread; hooks run on the thread, and in the task, that ends
    the agent, async ones in the next that can await.
    """

    __slots__ = ("_async", "_pending", "_plain")

    def __init__(self) -> None:
        self._plain: tuple[Hook, ...] = ()
        self._async: tuple[AsyncHook, ...] = ()
        self._pending: deque[tuple[AsyncHook, Any]] = deque()

    def __bool__(self) -> bool:
        return bool(self._plain or self._async)

    @property
    def pending_count(self) -> int:
        """How many calls of async hooks are still to be made [count]."""
        return len(self._pending)

    def add(self, hook: Hook | AsyncHook) -> None:
        """Call a hook for each agent that ends from now on."""
        if not callable(hook):
            raise WrongTypeError("hook", type(hook).__qualname__, "a function of an agent's id")
        if is_async(hook):
            self._async = (*self._async, cast(AsyncHook, hook))
        else:
            self._plain = (*self._plain, hook)

    def call(self, agent_id: Any, failures: Failures) -> None:
        """Call the plain hooks and let the async ones wait; adds what is raised."""
        for waiting in self._async:
            self._pending.append((waiting, agent_id))
        for hook in self._plain:
            attempt(failures, agent_id, hook, agent_id)

    async def call_pending(self, failures: Failures) -> None:
        """Await what waits; adds what is raised.

        One that is cancelled was called; the others go on waiting.
        """
        while self._pending:
            try:
                hook, agent_id = self._pending.popleft()
            except IndexError:  # another thread was faster
                return
            await attempt_async(failures, agent_id, hook)


def is_async(hook: object) -> bool:
    """Whether what it gives when called is to be awaited."""
    return inspect.iscoroutinefunction(hook) or inspect.iscoroutinefunction(
        getattr(hook, "__call__", None)  # noqa: B004 (not whether, but what)
    )
