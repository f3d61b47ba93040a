"""One guarded agent: admitted, alive, closed and counted out, in one block."""

from types import TracebackType
from typing import TYPE_CHECKING, Any

from memguard.admission.delegation import Delegation
from memguard.agents.context import AgentContext

if TYPE_CHECKING:
    from memguard.guard.guard import Guard


class GuardedAgent:
    """An agent that runs under a guard: for one ``with`` or ``async with``.

    Made by `Guard.agent` and `Guard.delegate`; nothing happens before it is entered.
    The block gets an `AgentContext`, which is closed at its end.

    Raises:
        DelegationRefused: When it is entered: see its children.

    Thread-safety:
        Enter and leave it in one task or thread.
    """

    __slots__ = ("_agent", "_begins", "_block", "_delegation", "_guard", "_options")

    def __init__(
        self, guard: "Guard", agent: str, options: dict[str, Any], *, begins: bool
    ) -> None:
        self._guard = guard
        self._agent = agent
        self._options = options
        self._begins = begins
        self._delegation: Delegation | None = None
        self._block: Any = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._agent!r}>"

    def _open(self) -> Delegation:
        delegation, self._block = self._guard._open(self._agent, self._options, self._begins)
        self._delegation = delegation
        return delegation

    def __enter__(self) -> AgentContext:
        delegation = self._open()
        delegation.__enter__()
        try:
            context: AgentContext = self._block.__enter__()
        except BaseException as error:
            delegation.__exit__(type(error), error, error.__traceback__)
            raise
        return context

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._delegation is not None
        try:
            self._block.__exit__(kind, error, traceback)
        finally:
            self._delegation.__exit__(kind, error, traceback)

    async def __aenter__(self) -> AgentContext:
        if self._guard._harm is not None:
            self._guard._harm.watch_loop()
        delegation = self._open()
        await delegation.__aenter__()
        try:
            context: AgentContext = await self._block.__aenter__()
        except BaseException as error:
            await delegation.__aexit__(type(error), error, error.__traceback__)
            raise
        return context

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._delegation is not None
        try:
            await self._block.__aexit__(kind, error, traceback)
        finally:
            await self._delegation.__aexit__(kind, error, traceback)
