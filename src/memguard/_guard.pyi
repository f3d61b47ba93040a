from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, NoReturn, final

from typing_extensions import disjoint_base

from memguard._admission import Gate
from memguard._lives import Block
from memguard.agents.context import AgentContext
from memguard.agents.lifecycle import AgentLifecycleManager

@disjoint_base
class GuardBase:
    def agent(self, agent: str, **options: Any) -> GuardedAgent: ...
    def delegate(self, agent: str, **options: Any) -> GuardedAgent: ...
    def start(self) -> None: ...
    def _use(
        self,
        gate: Gate,
        lifecycle: AgentLifecycleManager,
        locate: Callable[[], tuple[str, int]] | None,
        watch_loop: Callable[[], object] | None,
    ) -> None: ...
    def _open(self, is_open: bool) -> None: ...

@final
class GuardedAgent(Block):
    def __init__(self, *args: object, **kwargs: object) -> NoReturn: ...
    def __enter__(self) -> AgentContext: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None: ...
    def __aenter__(self) -> Awaitable[AgentContext]: ...  # type: ignore[override]
    def __aexit__(  # type: ignore[override]
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> Awaitable[None]: ...
    async def _enter_in_task(self) -> AgentContext: ...
    async def _leave_in_task(self, error: BaseException | None) -> None: ...
