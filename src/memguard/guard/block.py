"""One guarded agent: admitted, alive, closed and counted out, in one block."""

from types import TracebackType
from typing import TYPE_CHECKING

from memguard._lives import AdmittedBlock
from memguard.agents.context import AgentContext

if TYPE_CHECKING:
    from collections.abc import Awaitable


class GuardedAgent(AdmittedBlock):
    """An agent that runs under a guard: for one ``with`` or ``async with``.

    Made by `Guard.agent` and `Guard.delegate`; nothing happens before it is entered.
    The block gets an `AgentContext`, which is closed at its end.

    Raises:
        DelegationRefused: When it is entered: see its children.

    Thread-safety:
        Enter and leave it in one task or thread.
    """

    __slots__ = ()

    if TYPE_CHECKING:

        def __enter__(self) -> AgentContext: ...
        def __aenter__(self) -> Awaitable[AgentContext]: ...

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._agent!r}>"

    async def _enter_in_task(self) -> AgentContext:
        await self._delegation._enter_in_task()
        context: AgentContext = self._begin()
        return context

    async def _leave_in_task(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            await self._block.__aexit__(kind, error, traceback)
        finally:
            self._delegation.__exit__(kind, error, traceback)
