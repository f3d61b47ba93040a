"""From an agent's beginning to its end.

Covers: the manager that users begin and end agents with.
Does not cover: how it is done (``lives``, ``_lives``), which agents are alive
(``registry``), which agent runs here (``current``).
"""

import sys
import warnings
from collections.abc import Callable, Hashable, Mapping
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from memguard._lives import Block
from memguard.agents.attempt import Failures, raise_gathered
from memguard.agents.handle import CleanupHandle
from memguard.agents.hooks import AsyncHook, Hook
from memguard.agents.lives import Lives
from memguard.agents.tally import CycleTally, LifecycleStatistics
from memguard.errors import (
    AsyncHooksPendingError,
    LimitOutOfRangeError,
    UnknownAgentError,
    UnknownOptionError,
)

if TYPE_CHECKING:
    from memguard.agents.cycles import CycleChecks
    from memguard.agents.ended import EndedAgents, EndedAlive
    from memguard.events import EventBus
    from memguard.heap.retention import Retention


_AnyHook = TypeVar("_AnyHook", bound=Hook | AsyncHook)


class AgentLifecycleManager:
    """Clean up after each agent, once, however it ends.

    An agent ends when its block is left (also by an exception, or cancelled), when
    it is finished, when the manager is closed, or when nobody refers to its context
    any more, for the manager does not. Its children end before it. Then its
    context's ``cleanup()`` is called, if it has one, and the hooks are, with its id.
    A context that simply dies is cleaned up by itself just before; of any other
    object the data dies with it, and only hooks are left to call.

    Example:
        >>> manager = AgentLifecycleManager()
        >>> with manager.agent("planner") as context:
        ...     context.data.append("plan")
        >>> manager.statistics().finished_count
        1

    What cleanups and hooks raise is counted, and goes to who ended the agent
    explicitly, by `finish`, `close` and their twins, as an ExceptionGroup; at the
    end of a block and when an agent died it goes to the log "memguard.agents".

    Keep the manager as long as its agents: when it goes, the agents that are still
    active end without their hooks, and a ResourceWarning says so.

    Args:
        debug: Warn, with ResourceWarning, of each agent that dies without being
            finished, and say where it began.
        check_cycles: Look whether contexts still lie on cycles after their cleanup;
            see `statistics`, and ``memguard.agents.cycles.AgentLeftInCycle``.
        cycle_check_ratio: Look at this share of the contexts only [0 to 1].
        events: Where to tell of contexts that do.
        remembers_ended: Remember agents that ended until they die, by weak references,
            for `ended_but_alive`; each end then takes the longer way, as with a hook.

    Raises:
        LimitOutOfRangeError: *cycle_check_ratio* is not from 0 to 1.

    Thread-safety:
        Any thread, any task; no call waits for another. An agent may be ended by
        several at once: one of them does it. Cleanup and hooks run where the agent
        is ended, and for one that died where its last reference was dropped, which
        can be anywhere.
    """

    def __init__(
        self,
        *,
        debug: bool = False,
        check_cycles: bool = False,
        cycle_check_ratio: float | None = None,
        events: "EventBus | None" = None,
        remembers_ended: bool = False,
    ) -> None:
        self._debug = debug
        self._ended = _ended_agents() if remembers_ended else None
        self._lives = Lives(_cycle_checks(check_cycles, cycle_check_ratio, events), self._ended)

    def __repr__(self) -> str:
        closed = " closed" if self._lives.is_closed else ""
        return f"<{type(self).__name__}: {len(self._lives)} active{closed}>"

    def __del__(self, _warn: Callable[..., None] = warnings.warn) -> None:
        # Half built, if its arguments were refused.
        lives = getattr(self, "_lives", None)
        if lives is not None and len(lives) and not lives.is_closed:
            _warn(f"{self!r} was dropped; close() it after its agents", ResourceWarning)

    @property
    def active_agents(self) -> Mapping[Any, Any]:
        """Contexts of active agents by id: a read-only view, which keeps none alive."""
        return self._lives.agents

    @property
    def cleanup_registry(self) -> list[CleanupHandle]:
        """One object for each active agent, to call like a ``weakref.finalize``."""
        lives = self._lives
        return [
            CleanupHandle(lives, life)
            for agent_id in lives.ids()
            if (life := lives.get_metadata(agent_id)) is not None
        ]

    def register_agent(
        self, agent_id: Hashable, agent_context: object, *, parent: Hashable | None = None
    ) -> None:
        """Begin an agent that has no block.

        Args:
            agent_id: Its id, which no other active agent has.
            agent_context: Any object that can be referred to weakly. The manager
                does not keep it alive.
            parent: Id of the agent that must not end before this one.

        Raises:
            AgentIdTakenError: An active agent has this id.
            LifecycleClosedError: The manager is closed.
            UnknownAgentError: No active agent has the id *parent*.
            WrongTypeError: The context cannot be referred to weakly.
        """
        opened_at = _place_of(sys._getframe(1)) if self._debug else None
        above = None if parent is None else self._lives.find_life(parent)
        self._lives.begin(agent_id, agent_context, above, False, opened_at)

    def agent(
        self,
        agent_id: Hashable,
        context: object = None,
        *,
        parent: Hashable | None = None,
        detached: bool = False,
    ) -> Block:
        """Make a block, for ``with`` and ``async with``, in which an agent lives.

        Within it, `memguard.current_agent` gives the context.

        Args:
            agent_id: As for `register_agent`.
            context: The context; without one, the block makes an `AgentContext` and
                closes it in the end. What is given is only cleaned up.
            parent: Id of the agent that must not end before this one; without, it is
                the current one, if that belongs to this manager.
            detached: Have no parent.

        Raises:
            UnknownOptionError: Both *parent* and *detached* are given.
            AgentIdTakenError: When the block begins, and likewise all other errors of
                `register_agent`.
        """
        if detached and parent is not None:
            raise UnknownOptionError("detached", detached, ["False together with parent"])
        opened_at = _place_of(sys._getframe(1)) if self._debug else None
        return Block(self._lives, agent_id, context, parent, detached, opened_at)

    def finish(self, agent_id: Hashable) -> bool:
        """End an agent and its children.

        Returns:
            Whether this call ended it; False if there is none, or no longer.

        Raises:
            ExceptionGroup: What its cleanup and hooks, and its children's, raised.
        """
        failures: Failures = []
        ended = self._finish(agent_id, failures)
        raise_gathered("finishing an agent", failures)
        return ended

    async def afinish(self, agent_id: Hashable) -> bool:
        """Do as `finish`, and await the async hooks that wait."""
        failures: Failures = []
        ended = self._finish(agent_id, failures)
        await self._lives.call_pending(failures)
        raise_gathered("finishing an agent", failures)
        return ended

    def close(self) -> None:
        """End all agents, the newest first, and begin no more. Again: what is left.

        Raises:
            ExceptionGroup: What cleanups and hooks raised; with an
                AsyncHooksPendingError, if async hooks wait, which `aclose` would await.
        """
        failures: Failures = []
        self._lives.end_all(failures)
        if pending_count := self._lives.hooks.pending_count:
            failures.append(AsyncHooksPendingError(pending_count))
        raise_gathered("closing the agents", failures)

    def abandon(self) -> None:
        """Begin no more agents, and end none: in a child process they are the parent's."""
        self._lives.is_closed = True

    async def aclose(self) -> None:
        """Do as `close`, and await the async hooks that wait."""
        failures: Failures = []
        self._lives.end_all(failures)
        await self._lives.call_pending(failures)
        raise_gathered("closing the agents", failures)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def on_cleanup(self, hook: _AnyHook) -> _AnyHook:
        """Call a function with the id of each agent that ends from now on.

        Can be used as a decorator. Coroutine functions are awaited by the next end in
        a coroutine: of an ``async with`` block, by `afinish` or by `aclose`.

        Raises:
            WrongTypeError: *hook* cannot be called.
        """
        self._lives.add_hook(hook)
        return hook

    def statistics(self) -> LifecycleStatistics:
        """Count what became of the agents so far."""
        lives = self._lives
        begun, active, died, unregistered, peak = lives.counts()
        return LifecycleStatistics(
            begun,
            active,
            unregistered,
            died,
            peak,
            lives.failure_count,
            lives.hooks.pending_count,
            CycleTally() if lives.cycles is None else lives.cycles.tally(),
        )

    def ended_but_alive(self, older_than_seconds: float = 60.0) -> "EndedAlive":
        """Say which agents ended and are held all the same, and by whom.

        Args:
            older_than_seconds: How long ago they ended, at least [s, >= 0].

        Raises:
            UnknownOptionError: The manager was made without ``remembers_ended=True``.
            LimitOutOfRangeError: *older_than_seconds* is below 0.
            MemoryError: A native table could not be had; nothing was changed.

        Cost:
            One search of the heap for all of them, as `memguard.who_holds`; none
            when there are none.
        """
        if self._ended is None:
            raise UnknownOptionError("remembers_ended", False, ["True, to ask for ended agents"])
        if not older_than_seconds >= 0:
            raise LimitOutOfRangeError("older_than_seconds", older_than_seconds, "0 or more")
        return self._ended.alive(older_than_seconds)

    def why_alive(self, agent_id: Hashable, *, paths: int = 1) -> "Retention":
        """Say who holds an agent's context, active or, if they are remembered, ended.

        Raises:
            UnknownAgentError: No agent of this id is alive.
            LimitOutOfRangeError: *paths* is below 1.
        """
        from memguard.heap.retention import why_alive

        context = self._lives.agents.get(agent_id)
        if context is None:
            if self._ended is None:
                raise UnknownAgentError(agent_id)
            context = self._ended.find(agent_id)
        return why_alive(context, paths=paths)

    def _finish(self, agent_id: Hashable, failures: Failures) -> bool:
        life = self._lives.get_metadata(agent_id)
        return life is not None and self._lives.end(life, failures)


def _place_of(frame: FrameType) -> tuple[str, int]:
    return frame.f_code.co_filename, frame.f_lineno


def place_of_caller() -> tuple[str, int]:
    """Give the file and line of the innermost code of Python around this call."""
    return _place_of(sys._getframe(1))


def _ended_agents() -> "EndedAgents":
    # Loads the scanner, which a manager that remembers nothing does not need.
    from memguard.agents.ended import EndedAgents

    return EndedAgents()


def _cycle_checks(
    check_cycles: bool, ratio: float | None, events: "EventBus | None"
) -> "CycleChecks | None":
    if ratio is None:
        ratio = 1.0 if check_cycles else 0.0
    if not 0.0 <= ratio <= 1.0:
        raise LimitOutOfRangeError("cycle_check_ratio", ratio, "from 0 to 1; leave it out for none")
    if ratio == 0.0:
        return None
    # Loads the bus, which a manager that looks for nothing does not need.
    from memguard.agents.cycles import CycleChecks

    return CycleChecks(ratio, events)
