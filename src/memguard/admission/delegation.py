"""One delegation: in by `with` or `async with`, as a decorator, and out again.

Covers: what the native passage leaves over: waiting, refusing, telling, failing.
Does not cover: deciding (``store``, ``circuit``), the line (``line``).
"""

import inspect
import warnings
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self

from memguard._admission import Breach, Passage, Run, running_loop
from memguard.admission.line import Outcome
from memguard.admission.refusals import Reason
from memguard.admission.token import DelegationToken, token_of
from memguard.admission.waiting import Sleep
from memguard.errors import MemguardError, WrongTypeError

if TYPE_CHECKING:
    from memguard.admission.breaker import DelegationCircuitBreaker

OnRefuse = Literal["raise", "message"]


class DelegationUsedError(MemguardError, RuntimeError):
    """A delegation was entered for a second time, or is not entered now.

    Attributes:
        agent: Its agent.
        remedy: What to do instead.
    """

    def __init__(self, agent: str, remedy: str) -> None:
        self.agent = agent
        self.remedy = remedy
        super().__init__(agent, remedy)

    def __str__(self) -> str:
        return f"this delegation to {self.agent} cannot be used like that; {self.remedy}"


class CannotWaitError(MemguardError, RuntimeError):
    """There is nothing here to wait with.

    Attributes:
        agent: Who was to wait.
        remedy: What to do instead.
    """

    def __init__(self, agent: str, remedy: str) -> None:
        self.agent = agent
        self.remedy = remedy
        super().__init__(agent, remedy)

    def __str__(self) -> str:
        return f"the delegation to {self.agent} cannot wait here: {self.remedy}"


class Request(NamedTuple):
    """What was asked for beyond the name of an agent.

    Attributes:
        wait_seconds: How long to wait for a slot [s]; None without end.
        on_refuse: Whether a refusal is raised or kept.
        has_parent: Whether *parent* was given; else the context tells.
        parent: Who delegates.
        task: By what it is known in ``active_delegations``; None for its number.
        cost_bytes: What to reserve [bytes]; None for what is expected.
    """

    wait_seconds: float | None
    on_refuse: OnRefuse
    has_parent: bool = False
    parent: Run | None = None
    task: object = None
    cost_bytes: int | None = None


class Delegation(Passage):
    """The right of one agent to run, from entering to leaving the block.

    Made by `DelegationCircuitBreaker.delegate`, for one use, except as a
    decorator, which asks anew at each call. False if it was refused and
    ``on_refuse="message"`` was asked for: the block runs then, too, and has to
    look.

    Attributes:
        agent: Name of the agent.
        refusal: Why it was refused; None if it was not.

    Thread-safety:
        It may be left by another task or thread than it was entered by. One that
        is dropped without being left gives its slot back, with a ResourceWarning.
    """

    __slots__ = ()

    def __bool__(self) -> bool:
        return self.refusal is None

    def __repr__(self) -> str:
        state = "open" if self.run is None else repr(self.run)
        return f"<Delegation to {self.agent!r}, {state}>"

    @property
    def chain(self) -> tuple[str, ...]:
        """Names of the agents, from the first to this one.

        Raises:
            DelegationUsedError: It was not admitted.
        """
        return self._admitted().chain

    @property
    def depth(self) -> int:
        """Its place in the chain, from 1 on [count]; raises like `chain`."""
        return self._admitted().depth

    @property
    def token(self) -> DelegationToken:
        """What to give as ``parent=`` where the context does not lead; raises like `chain`."""
        return token_of(self._admitted())

    def record_bytes(self, measured_bytes: int) -> None:
        """Say what this agent takes, once it is known [bytes].

        It then holds that much of ``max_bytes`` instead of what was expected, and
        the next one of its name is expected to take about as much.
        """
        self._breaker._record_bytes(self._admitted(), measured_bytes)

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Ask before each call of *function*; a refused call gives the message, if asked to.

        Raises:
            WrongTypeError: It is a generator, which stands still among the code of
                others: use the block in it.
        """
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise WrongTypeError(
                "function", "generator function", "a function, and use the block in a generator"
            )
        if inspect.iscoroutinefunction(function):

            @wraps(function)
            async def delegated_async(*args: Any, **kwargs: Any) -> Any:
                async with self._again() as delegation:
                    if delegation.refusal is not None:
                        return delegation.refusal.to_tool_message()
                    return await function(*args, **kwargs)

            return delegated_async

        @wraps(function)
        def delegated(*args: Any, **kwargs: Any) -> Any:
            with self._again() as delegation:
                if delegation.refusal is not None:
                    return delegation.refusal.to_tool_message()
                return function(*args, **kwargs)

        return delegated

    def _again(self) -> "Delegation":
        other: Delegation = self._breaker._open(self.agent)
        other.request = self.request
        other.is_plain = self.is_plain
        return other

    @property
    def _breaker(self) -> "DelegationCircuitBreaker":
        breaker: DelegationCircuitBreaker = self.gate
        return breaker

    def _admitted(self) -> Run:
        if self.run is None:
            raise DelegationUsedError(self.agent, "read this after it was admitted")
        return self.run

    def _start(self) -> tuple[Request, Run | None, int]:
        if self._mark_entered():
            raise DelegationUsedError(self.agent, "ask for another one with breaker.delegate()")
        request: Request = self.request or self._breaker._usual_request
        parent = request.parent if request.has_parent else self._breaker._current()
        return request, parent, self._breaker._cost_bytes(self.agent, request.cost_bytes)

    def _enter(self) -> None:
        request, parent, cost_bytes = self._start()
        breaker = self._breaker
        outcome: Outcome | None = None
        try:
            if breaker._consents:
                outcome = breaker._ask(self, parent, cost_bytes)
            outcome = outcome or breaker._try(self, parent, cost_bytes)
            if _waits(outcome, request):
                outcome = self._wait(request, parent, cost_bytes) or outcome
        except BaseException:
            self._breaker._give_back_trial(self, is_success=False)
            raise
        self._settle(outcome, request, parent)

    def _wait(self, request: Request, parent: Run | None, cost_bytes: int) -> Outcome | None:
        if running_loop() is not None:
            raise CannotWaitError(self.agent, "it would stop the event loop; use async with")
        return self._sleep(request, parent).in_thread(parent, self.agent, cost_bytes)

    async def __aenter__(self) -> Self:
        if not self._passes_at_once():
            await self._enter_in_task()
        return self

    async def _enter_in_task(self) -> None:
        request, parent, cost_bytes = self._start()
        breaker = self._breaker
        outcome: Outcome | None = None
        try:
            if breaker._consents:
                outcome = await breaker._aask(self, parent, cost_bytes)
            outcome = outcome or breaker._try(self, parent, cost_bytes)
            if _waits(outcome, request):
                outcome = await self._wait_async(request, parent, cost_bytes) or outcome
        except BaseException:
            self._breaker._give_back_trial(self, is_success=False)
            raise
        self._settle(outcome, request, parent)
        if self.run is not None:
            self.run.loop = running_loop()

    async def _wait_async(
        self, request: Request, parent: Run | None, cost_bytes: int
    ) -> Outcome | None:
        loop = running_loop()
        if loop is None:
            raise CannotWaitError(
                self.agent, "no event loop of asyncio runs here; use wait_seconds=0"
            )
        return await self._sleep(request, parent).in_task(loop, parent, self.agent, cost_bytes)

    def _sleep(self, request: Request, parent: Run | None) -> Sleep:
        breaker = self._breaker
        breaker._tell_queued(self.agent, parent)
        return Sleep(
            breaker._line,
            request.wait_seconds,
            breaker._look_again,
            breaker.settings.look_again_seconds,
        )

    def _settle(self, outcome: Outcome, request: Request, parent: Run | None) -> None:
        if isinstance(outcome, Run):
            self._begin(outcome)
            self._breaker._tell_admitted(self, outcome, request.task)
            return
        refusal = self._breaker._refuse(self, outcome, parent)
        if request.on_refuse == "raise":
            raise refusal
        self.refusal = refusal

    def _leave(self, exception: BaseException | None) -> None:
        task = None if self.request is None else self.request.task
        self._breaker._end(self, self._admitted(), task, exception)

    def _drop(self) -> None:
        self._breaker._abandon(self._admitted())
        self._breaker._give_back_trial(self, is_success=False)
        warnings.warn(
            f"{self!r} was dropped without being left", ResourceWarning, stacklevel=2, source=self
        )


def _waits(outcome: Outcome, request: Request) -> bool:
    return (
        isinstance(outcome, Breach)
        and outcome.reason == Reason.PARALLEL
        and request.wait_seconds != 0
    )
