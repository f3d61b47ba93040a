"""The guard: five lines that protect an orchestrator.

Covers: building the parts, starting and ending them, forks, the one that is
installed for the process.
Does not cover: what any part decides.
"""

import os
import threading
import weakref
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from itertools import count
from types import TracebackType
from typing import Any, Literal, Self

from memguard.admission.breaker import DelegationCircuitBreaker
from memguard.admission.delegation import Delegation
from memguard.admission.limits import AgentLimits
from memguard.admission.statistics import AdmissionStatistics
from memguard.agents.lifecycle import AgentLifecycleManager
from memguard.agents.tally import LifecycleStatistics
from memguard.errors import AlreadyInstalledError, GuardClosedError, UnknownOptionError
from memguard.events import EventBus
from memguard.guard.block import GuardedAgent
from memguard.guard.ports import MemoryConsent, connect
from memguard.guard.sampler import Sampler
from memguard.pressure.alerts import AlertStatistics, MemoryPressureAlertSystem
from memguard.pressure.collector import ConfiguredCollector, configure_optimized_gc
from memguard.pressure.memory import MemoryReader
from memguard.pressure.monitor import MonitorStatistics, ResourceMonitor
from memguard.pressure.relief import ReliefLadder
from memguard.settings import AdmissionSettings, GuardSettings, load_settings

Profile = Literal["report", "default", "latency", "bytes"]

_MEGABYTE = 1_000_000
_SHORT_NAMES = {"max_parallel": "max_parallel_delegations"}


@dataclass(frozen=True, slots=True)
class GuardStatistics:
    """What all parts of a guard counted.

    Attributes:
        admission: Delegations, and what was refused.
        lifecycle: Agents, and how they ended.
        memory: What the resource monitor granted and refused.
        alerts: What people were told.
    """

    admission: AdmissionStatistics
    lifecycle: LifecycleStatistics
    memory: MonitorStatistics
    alerts: AlertStatistics


class Guard:
    """Limit agents, end them cleanly, and watch memory: all parts of memguard together.

    ``with guard:`` or ``async with guard:`` starts it and ends it; so do `start` and
    `close`. Nothing of the process is changed before it is started, and nothing
    stays changed once it is closed.

    Args:
        gc: A profile for the collector, as in `configure_optimized_gc`; "bytes" is the
            recommended one. None leaves the collector alone.
        observe_only: Refuse nothing, and count what would have been refused.
        agents: Limits of agents by name.
        exclude: Exceptions that are no failures to the circuit.
        settings: All thresholds; by default `load_settings`.
        events: Where all parts tell what happens; a bus of its own by default.
        debug: Warn of agents that die without being finished, with the place where
            they began.
        **limits: Any of `AdmissionSettings`, instead of what the settings say:
            ``max_depth``, delegations below the first agent of a chain;
            ``max_parallel``, agents that may run at once; ``wait_seconds``; ...

    Raises:
        WrongSettingError: A limit means nothing.
        UnknownOptionError: There is no such limit.

    Attributes:
        events: The bus of all parts.
        settings: All thresholds.
        breaker: Decides about delegations.
        lifecycle: Knows the agents, and ends them.
        monitor: Says whether there is memory for one more.
        alerts: Tells people.
        relief: Frees memory, step by step, from its start level on.

    Cost:
        See ``benchmarks/guard.py``. One thread while it is started.

    Thread-safety:
        Any thread, any number of event loops. In a child of `os.fork` it starts anew,
        with no agents: those of the parent are the parent's.
    """

    breaker: DelegationCircuitBreaker
    lifecycle: AgentLifecycleManager
    monitor: ResourceMonitor
    alerts: MemoryPressureAlertSystem
    relief: ReliefLadder

    def __init__(
        self,
        *,
        gc: Profile | None = None,
        observe_only: bool = False,
        agents: Mapping[str, AgentLimits] | None = None,
        exclude: Iterable[type[BaseException]] = (),
        settings: GuardSettings | None = None,
        events: EventBus | None = None,
        debug: bool = False,
        **limits: Any,
    ) -> None:
        self.settings = _with_limits(load_settings() if settings is None else settings, limits)
        self.events = EventBus() if events is None else events
        self._profile = gc
        self._observes = observe_only
        self._agents = dict(agents or {})
        self._exclude = tuple(exclude)
        self._debug = debug
        self._changing = threading.Lock()
        self._state: Literal["new", "started", "closed"] = "new"
        self._sampler: Sampler | None = None
        self._collector: ConfiguredCollector | None = None
        self._connections: list[Any] = []
        self._build()

    def __repr__(self) -> str:
        live_count = self.breaker.statistics().live_count
        return f"<{type(self).__name__} {self._state}, {live_count} agents>"

    # The parts.

    def _build(self) -> None:
        settings, events = self.settings, self.events
        self._numbers = count(1)
        self._reader = MemoryReader(settings.pressure)
        self.monitor = ResourceMonitor(settings.pressure, bus=events, reader=self._reader)
        self.alerts = MemoryPressureAlertSystem(settings.alerts, bus=events)
        self.relief = ReliefLadder(settings.relief, bus=events, reader=self._reader)
        self.lifecycle = AgentLifecycleManager(debug=self._debug, events=events)
        self.breaker = DelegationCircuitBreaker.from_settings(
            settings.admission,
            agents=self._agents,
            exclude=self._exclude,
            events=events,
            consents=[MemoryConsent(self.monitor)],
            observe_only=self._observes,
            first_depth=0,
        )

    # Start and end.

    def start(self) -> None:
        """Begin to watch memory, and set the collector up; again does nothing.

        Raises:
            GuardClosedError: It was closed.
        """
        with self._changing:
            if self._state == "closed":
                raise GuardClosedError
            if self._state == "new":
                self._start()

    def _start(self) -> None:
        if self._profile is not None and self._collector is None:
            self._collector = configure_optimized_gc(self._profile)
        self._connections = connect(self.events, self.breaker, self.alerts)
        self._sampler = Sampler(self._look, self.settings.pressure.sample_seconds)
        self._sampler.start()
        _started.add(self)
        self._state = "started"

    def close(self) -> None:
        """End all agents, newest first, and put back whatever was changed; again is free.

        Raises:
            ExceptionGroup: What cleanups and hooks raised; all the rest was done.
        """
        if self._stop():
            self.lifecycle.close()

    async def aclose(self) -> None:
        """Do as `close`, and await the async hooks that wait."""
        if self._stop():
            await self.lifecycle.aclose()

    def _stop(self) -> bool:
        with self._changing:
            if self._state == "closed":
                return False
            self._state = "closed"
            _started.discard(self)
            sampler, self._sampler = self._sampler, None
            collector, self._collector = self._collector, None
            connections, self._connections = self._connections, []
        if sampler is not None:
            sampler.stop()
        for disconnect in connections:
            disconnect()
        if collector is not None:
            collector.restore()
        _forget(self)
        return True

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    # Agents.

    def agent(self, agent: str, **options: Any) -> GuardedAgent:
        """Make a block in which an agent runs to whom nobody delegated: depth 0.

        It begins a chain of its own, also within another agent's block, and takes a
        slot of its own: for what the other one waits for, use `delegate`.

        Args:
            agent: Its name; contexts get a number, too, such as "planner-1".
            **options: ``wait_seconds``, ``cost_bytes`` and ``task``, as for
                `DelegationCircuitBreaker.delegate`.

        Raises:
            GuardClosedError: When it is entered, and the guard is closed.
            DelegationRefused: When it is entered, and there is no room.
        """
        return GuardedAgent(self, agent, options, begins=True)

    def delegate(self, agent: str, **options: Any) -> GuardedAgent:
        """Make a block in which an agent runs for the one whose block this is in.

        Its context knows the other one as its parent. Outside of any agent's block it
        begins a chain.

        Args:
            agent: Its name.
            **options: As for `agent`; and ``parent``, a token, where the context
                variables do not lead to the other agent.

        Raises:
            GuardClosedError: When it is entered, and the guard is closed.
            DelegationRefused: When it is entered, and there is no room.
        """
        return GuardedAgent(self, agent, options, begins=False)

    def _open(self, agent: str, options: dict[str, Any], begins: bool) -> tuple[Delegation, Any]:
        if self._state != "started":
            self.start()
        breaker = self.breaker
        if begins and breaker._current() is not None:
            options = {**options, "parent": None}
        delegation: Delegation = breaker.delegate(agent, **options)
        block = self.lifecycle.agent(f"{agent}-{next(self._numbers)}", detached=begins)
        return delegation, block

    # Memory.

    def _look(self) -> None:
        bound = self._reader.read().tightest
        if bound is None:
            return
        self.alerts.check_memory_pressure(
            bound.used_bytes / _MEGABYTE, bound.limit.limit_bytes / _MEGABYTE
        )
        if not self._observes:
            self.relief.relieve()

    def statistics(self) -> GuardStatistics:
        """Give what all parts counted, as it is now."""
        return GuardStatistics(
            self.breaker.statistics(),
            self.lifecycle.statistics(),
            self.monitor.statistics(),
            self.alerts.statistics(),
        )

    def _begin_in_child(self) -> None:
        """Begin anew in a child process: no thread came along, and no agent."""
        self._changing = threading.Lock()
        self._sampler = None
        self.events.renew()
        for disconnect in self._connections:
            disconnect()
        self._connections = []
        # Its agents are the parent's, and are missed by nobody here.
        self.lifecycle.abandon()
        self._build()
        # The thread is started by the first agent: a child may be about to become
        # another program.
        self._state = "new"


def _with_limits(settings: GuardSettings, limits: dict[str, Any]) -> GuardSettings:
    known = [field.name for field in fields(AdmissionSettings)]
    given = {_SHORT_NAMES.get(name, name): value for name, value in limits.items()}
    for name in given:
        if name not in known:
            raise UnknownOptionError("the name of a limit", name, [*_SHORT_NAMES, *known])
    return replace(settings, admission=replace(settings.admission, **given))


_started: "weakref.WeakSet[Guard]" = weakref.WeakSet()
_installed: Guard | None = None


def install(guard: Guard | None = None) -> Guard:
    """Make a guard the one of this process, and start it.

    Args:
        guard: The guard; a new one from the settings by default.

    Returns:
        The guard. To close it takes it away again.

    Raises:
        GuardClosedError: It was closed.
        AlreadyInstalledError: Another one is installed.
    """
    global _installed
    if _installed is not None and _installed is not guard:
        raise AlreadyInstalledError
    guard = Guard() if guard is None else guard
    guard.start()
    _installed = guard
    return guard


def installed() -> Guard | None:
    """Give the guard that `install` made the one of this process; None without."""
    return _installed


def _forget(guard: Guard) -> None:
    global _installed
    if _installed is guard:
        _installed = None


def _begin_in_child() -> None:
    for guard in list(_started):
        guard._begin_in_child()
    _started.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_in_child)
