"""The guard: five lines that protect an orchestrator.

Covers: building the parts, starting and ending them, forks, the one that is
installed for the process.
Does not cover: what any part decides.
"""

import logging
import math
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, fields, replace
from functools import partial
from types import TracebackType
from typing import Any, Literal, Self

from memguard._guard import GuardBase
from memguard.admission.breaker import DelegationCircuitBreaker
from memguard.admission.consent import Consent
from memguard.admission.limits import AgentLimits
from memguard.admission.statistics import AdmissionStatistics
from memguard.agents.lifecycle import AgentLifecycleManager, place_of_caller
from memguard.agents.tally import LifecycleStatistics
from memguard.endpoint.commands import Inquiries, tell_agents
from memguard.endpoint.server import Endpoint
from memguard.errors import (
    AlreadyInstalledError,
    EndpointError,
    GuardClosedError,
    UnknownOptionError,
    UnsafeFolderError,
)
from memguard.events import EventBus
from memguard.guard.ending import Ending, call_aside
from memguard.guard.harm import HarmWatch
from memguard.guard.log import EventLog
from memguard.guard.ports import ApprovalConsent, MemoryConsent, connect
from memguard.guard.sampler import Sampler
from memguard.journal import OF_PROCESS
from memguard.metrics import Metrics, Parts
from memguard.oversight.approvals import HumanOversightManager, OversightStatistics
from memguard.oversight.approvers import Approver, ConsoleApprover
from memguard.oversight.audit import AuditLog
from memguard.oversight.commands import commands_of
from memguard.pressure.alerts import AlertStatistics, MemoryPressureAlertSystem
from memguard.pressure.collector import ConfiguredCollector, configure_optimized_gc
from memguard.pressure.memory import MemoryReader
from memguard.pressure.monitor import MonitorStatistics, ResourceMonitor
from memguard.pressure.relief import ReliefLadder
from memguard.rollbacks.rollback import Rollback
from memguard.settings import AdmissionSettings, GuardSettings, load_settings

Profile = Literal["report", "default", "latency", "bytes"]

_LOG = logging.getLogger("memguard.guard")
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
        oversight: What people were asked; None where nobody is.
    """

    admission: AdmissionStatistics
    lifecycle: LifecycleStatistics
    memory: MonitorStatistics
    alerts: AlertStatistics
    oversight: OversightStatistics | None


class Guard(GuardBase):
    """Limit agents, end them cleanly, and watch memory: all parts of memguard together.

    ``with guard:`` or ``async with guard:`` starts it and ends it; so do `start` and
    `close`. Nothing of the process is changed before it is started, and nothing
    stays changed once it is closed.

    Args:
        approve: Who agrees to what is critical, before it happens: a function that is
            called with an `ApprovalRequest`, or a coroutine function, or an
            `ApprovalPolicy`; "console" for the person at the terminal, "queue" for
            people who use ``memguard approvals``, which works with all of them. None
            asks nobody.
        audit: A file in which requests and decisions are kept; see `AuditLog`.
        gc: A profile for the collector, as in `configure_optimized_gc`; "bytes" is the
            recommended one. None leaves the collector alone.
        observe_only: Refuse nothing, and count what would have been refused.
        rollback: Whether to look for harm that the guard does, as the original report
            lists it: memory that grows under normal load, a collector that frees too
            little, an unresponsive event loop, people who deny most operations. "act"
            undoes what memguard changed in this process, so that the guard only
            observes, once; "report" tells what it would undo; "off" does not look.
        rollback_command: What to run after that: a program and its arguments.
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
        oversight: Asks people; None where *approve* is.
        metrics: Everything that the parts counted, now and over the last hour.
        rollback: Undoes; None where that is "off".

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
    oversight: HumanOversightManager | None
    metrics: Metrics
    rollback: Rollback | None

    def __init__(
        self,
        *,
        approve: Approver | Literal["queue", "console"] | None = None,
        audit: str | os.PathLike[str] | None = None,
        gc: Profile | None = None,
        observe_only: bool = False,
        rollback: Literal["off", "report", "act"] = "off",
        rollback_command: Sequence[str] = (),
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
        self._approver = _approver_of(approve)
        self._asks = approve is not None
        self._audit = _audit_of(audit, self.settings, asks=self._asks)
        self._observes = observe_only
        self._asking: list[ApprovalConsent | MemoryConsent] = []
        self._rollback_mode = _checked_mode(rollback)
        self._rollback_command = rollback_command
        self._forget: Callable[[], None] | None = None
        self._agents = dict(agents or {})
        self._exclude = tuple(exclude)
        self._debug = debug
        self._changing = threading.Lock()
        self._ending = Ending()
        self._state: Literal["new", "started", "closed"] = "new"
        self._sampler: Sampler | None = None
        self._collector: ConfiguredCollector | None = None
        self._endpoint: Endpoint | None = None
        self._connections: list[Any] = []
        self._build()

    def __repr__(self) -> str:
        live_count = self.breaker.statistics().live_count
        return f"<{type(self).__name__} {self._state}, {live_count} agents>"

    # The parts.

    def _build(self) -> None:
        settings, events = self.settings, self.events
        self._reader = MemoryReader(settings.pressure)
        self.monitor = ResourceMonitor(settings.pressure, bus=events, reader=self._reader)
        self.alerts = MemoryPressureAlertSystem(settings.alerts, bus=events)
        self.relief = ReliefLadder(settings.relief, bus=events, reader=self._reader)
        self.lifecycle = AgentLifecycleManager(debug=self._debug, events=events)
        self.oversight = None
        if self._asks:
            self.oversight = HumanOversightManager(
                self._approver, settings=settings.oversight, events=events, audit=self._audit
            )
        self.breaker = DelegationCircuitBreaker.from_settings(
            settings.admission,
            agents=self._agents,
            exclude=self._exclude,
            events=events,
            consents=self._consents(),
            observe_only=self._observes,
            first_depth=0,
        )

        self.metrics = Metrics(
            self._parts(), events=events, reader=self._reader, settings=settings.metrics
        )
        self._sampled_seconds = -math.inf
        self.rollback = None
        self._harm: HarmWatch | None = None
        if self._rollback_mode != "off":
            self.rollback = Rollback(
                settings.rollback,
                events=events,
                command=self._rollback_command,
                is_dry=self._rollback_mode == "report",
            )
            self._harm = HarmWatch(self.rollback, self.metrics, settings.pressure.sample_seconds)
        self._use(
            self.breaker,
            self.lifecycle,
            place_of_caller if self._debug else None,
            None if self._harm is None else self._harm.watch_loop,
        )

    def _parts(self) -> Parts:
        return Parts(
            self.breaker.statistics,
            self.lifecycle.statistics,
            self.monitor.statistics,
            self.alerts.statistics,
            None if self.oversight is None else self.oversight.statistics,
        )

    def _consents(self) -> list[Consent]:
        memory = MemoryConsent(
            self.monitor,
            self._reader,
            self.oversight,
            patience_seconds=self.settings.pressure.ramp_wait_seconds,
            emergency_ratio=self.settings.alerts.emergency_ratio,
        )
        if self.oversight is None:
            self._asking = [memory]
        else:
            self._asking = [ApprovalConsent(self.oversight, asks=True), memory]
        if self._observes:
            self._ask_nobody()
        return list(self._asking)

    def _ask_nobody(self) -> None:
        for consent in self._asking:
            consent.asks = False
            if isinstance(consent, MemoryConsent):
                consent.patience_seconds = 0.0

    def observe(self) -> None:
        """Refuse nothing from now on, ask nobody, and count what would have been refused.

        Agents that run go on, and are ended and counted as before.
        """
        self._observes = True
        self._ask_nobody()
        self.breaker.observe_only = True

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
        try:
            self._set_up()
        except BaseException:
            self._let_go()
            self._stop_threads()
            raise
        _started.add(self)
        self._state = "started"
        self._open(True)

    def _set_up(self) -> None:
        if self._profile is not None and self._collector is None:
            self._collector = configure_optimized_gc(self._profile)
            self.metrics.pauses = self._collector.total_pauses
        self._connections += connect(self.events, self.breaker, self.alerts)
        self._connections.append(self.metrics.stop)
        self.metrics.start()
        log = EventLog(self.events)
        self._connections.append(log.stop)
        log.start()
        self._connections.append(tell_agents(self._agent_counts))
        self._endpoint = self._listen()
        self._forget = OF_PROCESS.note(
            object(), "a guard that refuses", partial(_observe, weakref.ref(self))
        )
        sampler = Sampler(self._look_in_thread, self.settings.pressure.sample_seconds)
        sampler.start()
        self._sampler = sampler

    def _listen(self) -> Endpoint | None:
        if self.oversight is None:
            return None
        try:
            inquiries = Inquiries()
            endpoint = Endpoint(commands_of(self.oversight) | inquiries.commands(), inquiries.look)
            endpoint.open()
            self._connections.append(inquiries.close)
        except (EndpointError, UnsafeFolderError) as error:
            # Approvers and the program itself can answer all the same.
            _LOG.warning("memguard approvals does not see this process: %s", error)
            return None
        return endpoint

    def close(self) -> None:
        """End all agents, newest first, and put back whatever was changed; again is free.

        Who calls it while another thread or task does waits until that is done.

        Raises:
            ExceptionGroup: What cleanups and hooks raised; all the rest was done.
        """
        if not self._begin_to_end():
            self._ending.wait()
            return
        with self._ending.within(), ExitStack() as last:
            last.callback(self._ending.done)
            last.callback(self._close_audit)
            last.callback(self.lifecycle.close)
            if self.oversight is not None:
                # Who waits for an answer gets one, and so can end.
                last.callback(self.oversight.close)
            last.callback(self._stop_threads)
            self._let_go()

    async def aclose(self) -> None:
        """Do as `close`, and await the async hooks that wait."""
        if not self._begin_to_end():
            await self._ending.await_it()
            return
        with self._ending.within():
            async with AsyncExitStack() as last:
                # All of it is done also when this task is cancelled meanwhile.
                last.callback(self._ending.done)
                last.callback(self._close_audit)
                last.push_async_callback(self.lifecycle.aclose)
                if self.oversight is not None:
                    last.push_async_callback(self.oversight.aclose)
                if self._sampler is not None:
                    # It may be running the user's command.
                    last.push_async_callback(call_aside, self._stop_threads)
                self._let_go()

    def _close_audit(self) -> None:
        if self._audit is not None:
            self._audit.close()

    def _begin_to_end(self) -> bool:
        with self._changing:
            if not self._ending.begin():
                return False
            self._state = "closed"
            self._open(False)
            _started.discard(self)
            return True

    def _let_go(self) -> None:
        """Put back what was changed, the last first, whatever of it there is."""
        connections, self._connections = self._connections, []
        collector, self._collector = self._collector, None
        forget, self._forget = self._forget, None
        with ExitStack() as last:
            last.callback(_forget, self)
            if collector is not None:
                last.callback(collector.restore)
            for disconnect in connections:
                last.callback(disconnect)
            if self._harm is not None:
                last.callback(self._harm.stop)
            if forget is not None:
                last.callback(forget)

    def _stop_threads(self) -> None:
        endpoint, self._endpoint = self._endpoint, None
        sampler, self._sampler = self._sampler, None
        with ExitStack() as last:
            if sampler is not None:
                last.callback(sampler.stop)
            if endpoint is not None:
                last.callback(endpoint.close)

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

    # Memory.

    def _look_in_thread(self) -> None:
        # The end waits for this thread, so that it must not wait for the end.
        with self._ending.within():
            self._look()

    def _look(self) -> None:
        now = time.monotonic()
        if now - self._sampled_seconds >= self.settings.metrics.sample_seconds:
            self._sampled_seconds = now
            self.metrics.sample()
        self._look_for_harm()
        bound = self._reader.read().tightest
        if bound is None:
            return
        self.alerts.check_memory_pressure(
            bound.used_bytes / _MEGABYTE, bound.limit.limit_bytes / _MEGABYTE
        )
        if not self._observes:
            self.relief.relieve()

    def _look_for_harm(self) -> None:
        if self._harm is not None:
            self._harm.look()

    def statistics(self) -> GuardStatistics:
        """Give what all parts counted, as it is now."""
        return GuardStatistics(
            self.breaker.statistics(),
            self.lifecycle.statistics(),
            self.monitor.statistics(),
            self.alerts.statistics(),
            None if self.oversight is None else self.oversight.statistics(),
        )

    def _agent_counts(self) -> dict[str, int]:
        lifecycle, admission = self.lifecycle.statistics(), self.breaker.statistics()
        return {
            "active_count": lifecycle.active_count,
            "begun_count": lifecycle.begun_count,
            "ended_count": lifecycle.finished_count + lifecycle.died_count,
            "died_count": lifecycle.died_count,
            "waiting_count": admission.waiting_count,
            "refused_count": admission.refused_count,
        }

    def _begin_in_child(self) -> None:
        """Begin anew in a child process: no thread came along, and no agent."""
        self._changing = threading.Lock()
        self._ending = Ending()
        self._sampler = None
        self.events.renew()
        for disconnect in self._connections:
            disconnect()
        self._connections = []
        if self._forget is not None:
            self._forget()
            self._forget = None
        if self._endpoint is not None:
            self._endpoint.abandon()
            self._endpoint = None
        # Its agents are the parent's, and are missed by nobody here.
        self.lifecycle.abandon()
        self._build()
        # The thread is started by the first agent: a child may be about to become
        # another program.
        self._state = "new"
        self._open(False)


def _approver_of(
    approve: Approver | Literal["queue", "console"] | None,
) -> Approver | None:
    if approve is None or approve == "queue":
        return None
    if approve == "console":
        return ConsoleApprover()
    if callable(approve):
        return approve
    raise UnknownOptionError("approve", approve, ("queue", "console", "a function"))


def _audit_of(
    path: str | os.PathLike[str] | None, settings: GuardSettings, *, asks: bool
) -> AuditLog | None:
    if path is None:
        return None
    if not asks:
        raise UnknownOptionError("approve", None, ("queue", "console", "a function"))
    return AuditLog(path, settings=settings.oversight)


def _with_limits(settings: GuardSettings, limits: dict[str, Any]) -> GuardSettings:
    known = [field.name for field in fields(AdmissionSettings)]
    given = {_SHORT_NAMES.get(name, name): value for name, value in limits.items()}
    for name in given:
        if name not in known:
            raise UnknownOptionError("the name of a limit", name, [*_SHORT_NAMES, *known])
    return replace(settings, admission=replace(settings.admission, **given))


def _checked_mode(mode: str) -> str:
    modes = ("off", "report", "act")
    if mode not in modes:
        raise UnknownOptionError("rollback", mode, modes)
    return mode


def _observe(guard: "weakref.ref[Guard]") -> None:
    relaxed = guard()
    if relaxed is not None:
        relaxed.observe()


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
