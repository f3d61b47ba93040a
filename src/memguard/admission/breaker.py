"""The breaker: whether an agent may start another one.

Covers: limits, the circuit and its trials, what is told and counted.
Does not cover: going in and out (``delegation``), deciding
(``memguard._admission``), waiting (``line``, ``waiting``).
"""

import math
import sys
import time
import weakref
from _thread import allocate_lock
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, replace
from functools import partial
from typing import Any, Literal, Self

from memguard._admission import UNSET, AgentCount, Flag, Gate, Ledger, Run
from memguard.admission.active import ActiveDelegations
from memguard.admission.circuit import Circuit, CircuitRecord, CircuitState, Transition
from memguard.admission.consent import Asked, Consent, Objection
from memguard.admission.costs import CostBook
from memguard.admission.delegation import Delegation, OnRefuse, Request
from memguard.admission.events import (
    CircuitChanged,
    DelegationAdmitted,
    DelegationEnded,
    DelegationLetPass,
    DelegationQueued,
    DelegationRepeated,
    DelegationTurnedAway,
)
from memguard.admission.limits import AgentLimits, check
from memguard.admission.line import Line, Outcome
from memguard.admission.refusals import DelegationRefused, Reason, make_refusal
from memguard.admission.statistics import AdmissionStatistics
from memguard.admission.store import LimitStore
from memguard.admission.token import DelegationToken, carry, token_of
from memguard.errors import UnknownOptionError, WrongTypeError
from memguard.events import Event, EventBus
from memguard.journal import OF_PROCESS
from memguard.settings import AdmissionSettings

_DEFAULTS = AdmissionSettings()
_TOLD_EACH_TIME = frozenset({DelegationAdmitted, DelegationRepeated, DelegationEnded})
_LEDGER_NAMES = {"max_parallel_delegations": "max_parallel"}
_LEDGER_LIMITS = (
    "max_depth",
    "max_parallel_delegations",
    "max_children",
    "max_descendants",
    "max_live",
    "max_repeats",
)


class DelegationCircuitBreaker(Gate):
    """Admit delegations within limits, and stop them while too much fails.

    ``async with breaker.delegate("researcher"):`` around each agent is all that is
    needed; the chain follows tasks by itself. A parent lends its slot to what it
    waits for, so nested delegations cannot block each other for ever.

    Args:
        max_depth: See `AdmissionSettings`, as for all limits.
        max_parallel_delegations: Slots [count].
        agents: Limits of agents by name.
        exclude: Exceptions that are no failures to the circuit. Refusals are none
            either.
        listeners: Called with each `CircuitChanged`.
        on_refuse: "raise", or "message" to keep a refusal in the delegation.
        events: Where to tell what happens; a bus of its own by default.
        clock: Gives seconds that only grow.
        store: What counts; by default this process does.
        consents: Who is asked, too, once the limits would admit, and before anything
            is taken.
        observe_only: Refuse nothing, and count what would have been refused.
        first_depth: Depth of what begins a chain [count]: 1 for a delegation, 0
            where that is an agent to whom nobody delegated.
        **limits: Other fields of `AdmissionSettings`.

    Raises:
        WrongSettingError: A limit means nothing.
        UnknownOptionError: There is no such limit.

    Attributes:
        events: The bus.

    Cost:
        In and out again where nobody waits or listens: 1.3 to 1.5 times ``async with`` of
        an asyncio.Semaphore; see ``benchmarks/admission.py``.

    Thread-safety:
        Any thread and any number of event loops; all wait in one line.
    """

    def __init__(
        self,
        max_depth: int | None = _DEFAULTS.max_depth,
        max_parallel_delegations: int | None = _DEFAULTS.max_parallel_delegations,
        *,
        agents: Mapping[str, AgentLimits] | None = None,
        exclude: Iterable[type[BaseException]] = (),
        listeners: Iterable[Callable[[CircuitChanged], object]] = (),
        on_refuse: OnRefuse = "raise",
        events: EventBus | None = None,
        clock: Callable[[], float] = time.monotonic,
        store: LimitStore | None = None,
        consents: Iterable[Consent] = (),
        observe_only: bool = False,
        first_depth: int = 1,
        **limits: Any,
    ) -> None:
        known = [field.name for field in fields(AdmissionSettings)]
        for name in limits:
            if name not in known:
                raise UnknownOptionError("the name of a limit", name, known)
        self._settings = AdmissionSettings(
            max_depth=max_depth, max_parallel_delegations=max_parallel_delegations, **limits
        )
        self._agents = dict(agents or {})
        self.excluded = (DelegationRefused, *exclude)
        self._usual_request = Request(self._settings.wait_seconds, _checked_on_refuse(on_refuse))
        self._clock = clock
        self._store: LimitStore = Ledger() if store is None else store
        self._counts = self._store.ledger
        self._line = Line(self._store)
        self._circuit = Circuit(self._settings, clock, self.alarm)
        self._costs = CostBook(self._settings.cost_smoothing_ratio)
        self._counts.first_depth = first_depth
        self._consents = tuple(consents)
        self._observes = observe_only
        self._refused: Counter[Reason] = Counter()
        self._let_pass: Counter[Reason] = Counter()
        self._counting = allocate_lock()
        self._failed_count = 0
        self._abandoned_count = 0
        self._looked_at_seconds = -math.inf
        # Runs that try a half-open circuit.
        self._trials: set[Run] = set()
        self._active = ActiveDelegations(self._counts, self._line.hand_on)
        self.events = EventBus() if events is None else events
        self._prepare(self._store, Delegation, self.events.flag_for(_TOLD_EACH_TIME, Flag))
        self._apply_limits()
        for listener in listeners:
            self.add_listener(listener)

    @classmethod
    def from_settings(cls, settings: AdmissionSettings, **options: Any) -> Self:
        """Make one with all limits of *settings*; *options* as in the constructor."""
        limits = {field.name: getattr(settings, field.name) for field in fields(settings)}
        return cls(**limits, **options)

    # What the report had.

    @property
    def max_depth(self) -> int | None:
        """Delegations in one chain [count]; may be set."""
        return self._settings.max_depth

    @max_depth.setter
    def max_depth(self, value: int | None) -> None:
        self._change_limits(max_depth=value)

    @property
    def max_parallel(self) -> int | None:
        """Agents that may run at once [count]; may be set."""
        return self._settings.max_parallel_delegations

    @max_parallel.setter
    def max_parallel(self, value: int | None) -> None:
        self._change_limits(max_parallel_delegations=value)

    @property
    def first_depth(self) -> int:
        """Depth of what begins a chain [count]."""
        return self._counts.first_depth

    @property
    def active_delegations(self) -> ActiveDelegations:
        """What runs now, by task; what is set by hand takes a slot, too."""
        return self._active

    def can_delegate(self, from_task: object, to_agent: str) -> bool:
        """Whether `delegate` would be admitted at this moment; nothing is reserved.

        Args:
            from_task: Who would delegate: a task of ``active_delegations``, or
                something with a `depth`, such as an `AgentContext`. None for the
                context that this is called in; anything else begins a chain.
            to_agent: Name of the agent.
        """
        depth = self._get_delegation_depth(from_task)
        limit = self._settings.max_depth
        if limit is not None and depth >= limit:
            return False
        if self.alarm.is_up and not self._circuit.would_pass():
            return False
        agent = self._checked_agent(to_agent)
        parent = self._run_of_task(from_task)
        return self._store.would_refuse(parent, agent, self._cost_bytes(agent, None)) is None

    def _get_delegation_depth(self, from_task: object) -> int:
        run = self._run_of_task(from_task)
        return self._counts.first_depth - 1 if run is None else run.depth

    @property
    def observe_only(self) -> bool:
        """Whether nothing is refused, and only counted; may be set."""
        return self._observes

    @observe_only.setter
    def observe_only(self, value: bool) -> None:
        self._observes = value

    # The door.

    def _ask_for(
        self,
        delegation: Delegation,
        wait_seconds: float | None,
        from_task: object,
        parent: object,
        task: object,
        cost_bytes: int | None,
        on_refuse: str | None,
    ) -> None:
        """Note what was given to `delegate`, which is native for being called so often."""
        usual = self._usual_request
        if wait_seconds is UNSET:
            wait_seconds = usual.wait_seconds
        else:
            check("wait_seconds", wait_seconds)
        check("cost_bytes", cost_bytes)
        has_parent, run = self._asked_parent(from_task, parent)
        delegation.request = Request(
            wait_seconds,
            usual.on_refuse if on_refuse is None else _checked_on_refuse(on_refuse),
            has_parent,
            run,
            task,
            cost_bytes,
        )
        delegation.is_plain = not has_parent and task is None and cost_bytes is None

    @property
    def current_token(self) -> DelegationToken | None:
        """The token of the delegation that this context is in; None outside of any."""
        run = self._current()
        return None if run is None else token_of(run)

    carry = staticmethod(carry)

    # The circuit.

    @property
    def settings(self) -> AdmissionSettings:
        """The limits as they are now."""
        return self._settings

    @property
    def current_state(self) -> CircuitState:
        """State of the circuit; an open one is half-open once somebody asks in time."""
        return self._circuit.record.state

    @property
    def fail_counter(self) -> int:
        """Failures in a row [count]."""
        return self._circuit.record.failure_count

    def open(self, reason: str = "opened by hand") -> None:
        """Refuse everything, those who wait too, until the reset timeout has passed."""
        self._tell_of(self._circuit.open(reason))

    def half_open(self) -> None:
        """Let as many pass as have to succeed for the circuit to close."""
        self._tell_of(self._circuit.half_open())

    def close(self) -> None:
        """Let all pass again, and forget what failed."""
        self._tell_of(self._circuit.close())

    def add_listener(self, listener: Callable[[CircuitChanged], object]) -> Callable[[], None]:
        """Call *listener* when the circuit changes; gives a function that ends that."""
        return self.events.subscribe(CircuitChanged, listener)

    def statistics(self) -> AdmissionStatistics:
        """Give what was counted, as it is now."""
        counts = self._counts
        return AdmissionStatistics(
            live_count=len(counts.live),
            running_count=counts.running_count,
            waiting_count=counts.waiting_count,
            peak_live_count=counts.peak_live_count,
            peak_running_count=counts.peak_running_count,
            admitted_count=counts.admitted_count,
            ended_count=counts.ended_count,
            failed_count=self._failed_count,
            abandoned_count=self._abandoned_count,
            lent_count=counts.lent_count,
            repeated_count=counts.repeated_count,
            refused_counts=dict(self._refused),
            let_pass_counts=dict(self._let_pass),
            reserved_bytes=counts.reserved_bytes,
            expected_bytes=self._costs.to_dict(),
            circuit_state=self.current_state,
        )

    # Arguments and limits.

    def _change_limits(self, **limits: int | None) -> None:
        changed = replace(self._settings, **limits)  # type: ignore[arg-type]
        self._note_change()
        self._set_limits(changed)

    def _note_change(self) -> None:
        """Let `memguard.rollback` know how limits were."""
        forgets: list[Callable[[], None]] = []
        key = weakref.ref(self, lambda _: forgets[0]())
        undo = partial(_set_back, weakref.ref(self), self._settings)
        forgets.append(OF_PROCESS.note(key, "limits of a breaker", undo))

    def _set_limits(self, settings: AdmissionSettings) -> None:
        self._settings = settings
        self._apply_limits()
        self._line.hand_on()

    def _apply_limits(self) -> None:
        settings, ledger = self._settings, self._counts
        for name in _LEDGER_LIMITS:
            value = getattr(settings, name)
            limit = sys.maxsize if value is None else value
            setattr(ledger, _LEDGER_NAMES.get(name, name), limit)
        ledger.max_bytes = -1 if settings.max_bytes is None else settings.max_bytes
        ledger.agents = {
            agent: AgentCount(limits.max_live)
            for agent, limits in self._agents.items()
            if limits.max_live is not None
        }
        self._apply_consents()

    def _apply_consents(self) -> None:
        is_limited = self._settings.max_bytes is not None
        ready = [getattr(consent, "agrees_at_once", None) for consent in self._consents]
        if not ready or (self._is_free() and None not in ready):
            # In this order: nobody may pass meanwhile whom nobody asks.
            self.agrees = _all_of(ready)
            self.is_watched = is_limited
        else:
            self.is_watched = True
            self.agrees = None

    def _is_free(self) -> bool:
        """Whether no agent reserves anything unless it is asked for."""
        return (
            self._settings.default_cost_bytes == 0
            and not self._costs
            and all(not limits.cost_bytes for limits in self._agents.values())
        )

    def _checked_agent(self, agent: object) -> str:
        if not isinstance(agent, str):
            raise WrongTypeError("agent", type(agent).__name__, "its name, a string")
        # Of a subclass only the characters: comparing must not run its code.
        return str.__str__(agent)

    def _asked_parent(self, from_task: object, parent: object) -> tuple[bool, Run | None]:
        if parent is UNSET:
            return from_task is not None, self._run_of_task(from_task)
        if from_task is not None:
            raise WrongTypeError("parent", type(parent).__name__, "either parent or from_task")
        if parent is None:
            return True, None
        if isinstance(parent, Delegation) and parent.gate is self:
            return True, parent._admitted()
        if isinstance(parent, DelegationToken):
            return True, self._run_of_token(parent)
        raise WrongTypeError(
            "parent", type(parent).__name__, "a delegation of this breaker, its token, or None"
        )

    def _run_of_token(self, token: DelegationToken) -> Run | None:
        for run in list(self._counts.live):
            if run.id == token.run_id and run.chain == token.chain:
                return run
        return self._counts.origin(token.chain, token.depth)

    def _run_of_task(self, from_task: object) -> Run | None:
        if from_task is None:
            return self._current()
        run = self._active.run_of(from_task)
        if run is not None:
            return run
        task_id = getattr(from_task, "task_id", None)
        if task_id is not None and (run := self._active.run_of(task_id)) is not None:
            return run
        depth = getattr(from_task, "depth", None)
        if isinstance(depth, int) and depth >= self._counts.first_depth:
            return self._counts.origin((str(task_id or type(from_task).__name__),), depth)
        return None

    def _cost_bytes(self, agent: str, asked_bytes: int | None) -> int:
        if asked_bytes is not None:
            return asked_bytes
        limits = self._agents.get(agent)
        if limits is not None and limits.cost_bytes is not None:
            return limits.cost_bytes
        expected = self._costs.expected_bytes(agent)
        return self._settings.default_cost_bytes if expected is None else expected

    # What a delegation asks for.

    def _try(self, delegation: Delegation, parent: Run | None, cost_bytes: int) -> Outcome:
        if self.alarm.is_up and not self._is_in_trial(parent):
            transition, passes = self._circuit.ask()
            self._tell_of(transition)
            if not passes and not self._passes_anyway(delegation, transition[1], parent):
                return transition[1]
            delegation.is_trial = passes and transition[1].state is CircuitState.HALF_OPEN
        outcome = self._store.admit(parent, delegation.agent, cost_bytes)
        if not isinstance(outcome, Run) and self._reap():
            outcome = self._store.admit(parent, delegation.agent, cost_bytes)
        if not isinstance(outcome, Run) and self._passes_anyway(delegation, outcome, parent):
            outcome = self._store.admit(parent, delegation.agent, cost_bytes, is_forced=True)
        return outcome

    def _asked(self, delegation: Delegation, parent: Run | None, cost_bytes: int) -> Asked | None:
        """Give what others are asked; None if a limit will refuse it anyway."""
        breach = self._store.would_refuse(parent, delegation.agent, cost_bytes)
        if breach is not None and breach.reason != Reason.PARALLEL and not self._observes:
            return None
        depth = self._counts.first_depth if parent is None else parent.depth + 1
        return Asked(
            _chain_of(parent, delegation.agent),
            depth,
            self._settings.max_depth,
            cost_bytes,
            len(self._counts.live),
        )

    def _ask(self, delegation: Delegation, parent: Run | None, cost_bytes: int) -> Objection | None:
        asked = self._asked(delegation, parent, cost_bytes)
        if asked is None:
            return None
        for consent in self._consents:
            objection = consent.ask(asked)
            if objection and not self._passes_anyway(delegation, objection, parent):
                return objection
        return None

    async def _aask(
        self, delegation: Delegation, parent: Run | None, cost_bytes: int
    ) -> Objection | None:
        asked = self._asked(delegation, parent, cost_bytes)
        if asked is None:
            return None
        for consent in self._consents:
            objection = await consent.aask(asked)
            if objection and not self._passes_anyway(delegation, objection, parent):
                return objection
        return None

    def _passes_anyway(self, delegation: Delegation, outcome: Outcome, parent: Run | None) -> bool:
        """Whether this breaker only observes; then what it would have done is counted."""
        if not self._observes:
            return False
        refusal = self._refusal_of(delegation, outcome, parent)
        with self._counting:
            self._let_pass[refusal.reason] += 1
        self._emit(
            DelegationLetPass,
            lambda: DelegationLetPass(
                refusal.reason, refusal.chain, refusal.limit, refusal.measured
            ),
        )
        return True

    def _is_in_trial(self, parent: Run | None) -> bool:
        # What a trial starts belongs to it, or it could not succeed.
        if self.current_state is not CircuitState.HALF_OPEN:
            return False
        while parent is not None and parent not in self._trials:
            parent = parent.parent
        return parent is not None

    def _refuse(
        self, delegation: Delegation, outcome: Outcome, parent: Run | None
    ) -> DelegationRefused:
        self._give_back_trial(delegation, is_success=False)
        refusal = self._refusal_of(delegation, outcome, parent)
        with self._counting:
            self._refused[refusal.reason] += 1
        self._emit(
            DelegationTurnedAway,
            lambda: DelegationTurnedAway(
                refusal.reason, refusal.chain, refusal.limit, refusal.measured
            ),
        )
        return refusal

    def _refusal_of(
        self, delegation: Delegation, outcome: Outcome, parent: Run | None
    ) -> DelegationRefused:
        chain = _chain_of(parent, delegation.agent)
        if isinstance(outcome, CircuitRecord):
            why = outcome.reason or "it is being tried whether all is well again"
            after_seconds = self._circuit.retry_after_seconds()
            return make_refusal(Reason.CIRCUIT, chain, why, outcome.state, after_seconds)
        assert not isinstance(outcome, Run)
        after_seconds = outcome.retry_after_seconds if isinstance(outcome, Objection) else None
        return make_refusal(
            Reason(outcome.reason), chain, outcome.limit, outcome.measured, after_seconds
        )

    def _record_bytes(self, run: Run, measured_bytes: int) -> None:
        check("measured_bytes", measured_bytes)
        self._costs.record(run.agent, measured_bytes)
        if self.agrees is not None:
            self._apply_consents()
        self._counts.reserve(run, measured_bytes)

    def _end(
        self, delegation: Delegation, run: Run, task: object, exception: BaseException | None
    ) -> None:
        was_live = self._store.leave(run)
        if task is not None:
            self._active.discard(task, run)
        self._line.hand_on()
        outcome = self._outcome_of(exception)
        if outcome == "failed":
            with self._counting:
                self._failed_count += 1
        self._trials.discard(run)
        self._tell_circuit(delegation, run, outcome)
        if was_live:
            self._emit(DelegationEnded, lambda: DelegationEnded(run.chain, run.id, outcome))

    def _outcome_of(
        self, exception: BaseException | None
    ) -> Literal["done", "failed", "cancelled"]:
        if exception is None:
            return "done"
        if isinstance(exception, BaseExceptionGroup):
            rest = exception.split(self.excluded)[1]
            if rest is None:
                return "done"
            exception = rest
        if isinstance(exception, self.excluded):
            return "done"
        return "failed" if isinstance(exception, Exception) else "cancelled"

    def _tell_circuit(
        self, delegation: Delegation, run: Run, outcome: Literal["done", "failed", "cancelled"]
    ) -> None:
        # A failure counts once, where it arose: a parent of which a child failed is
        # taken to fail of that.
        if outcome == "failed":
            lender = self._counts.lender_of(run.parent)
            if lender is not None:
                lender.has_failed_below = True
            if not run.has_failed_below:
                delegation.is_trial = False
                self._tell_of(self._circuit.fail())
        if delegation.is_trial:
            self._give_back_trial(delegation, is_success=outcome == "done")
        elif outcome == "done" and self.alarm.is_up:
            self._tell_of(self._circuit.succeed())

    def _give_back_trial(self, delegation: Delegation, *, is_success: bool) -> None:
        if delegation.is_trial:
            delegation.is_trial = False
            if delegation.run is not None:
                self._trials.discard(delegation.run)
            self._tell_of(self._circuit.end_trial(is_success=is_success))

    def _abandon(self, run: Run) -> None:
        if self._store.leave(run):
            self._abandoned_count += 1
            self._active.forget(run)
            self._line.hand_on()

    # Holders that nobody will hear of.

    def _reap(self) -> bool:
        """End delegations whose event loop was closed; says whether there were any."""
        now = self._clock()
        if now - self._looked_at_seconds < self._settings.look_again_seconds:
            return False
        self._looked_at_seconds = now
        self._line.forget_lost()
        lost = [
            run
            for run in list(self._counts.live)
            if (loop := run.loop) is not None and loop.is_closed()
        ]
        for run in lost:
            is_trial = run in self._trials
            self._trials.discard(run)
            self._abandon(run)
            if is_trial:
                self._tell_of(self._circuit.end_trial(is_success=False))
        return bool(lost)

    def _look_again(self) -> None:
        self._reap()
        self._line.hand_on()
        record = self._circuit.record
        if record.state is CircuitState.OPEN:
            self._line.turn_away(record)

    def _hand_on(self) -> None:
        self._line.hand_on()

    # Telling.

    def _emit(self, kind: type[Event], make: Callable[[], Event]) -> None:
        if self.events.wants(kind):
            self.events.emit(make())

    def _tell_queued(self, agent: str, parent: Run | None) -> None:
        above = () if parent is None else parent.chain
        self._emit(
            DelegationQueued,
            lambda: DelegationQueued((*above, agent), self._counts.waiting_count + 1),
        )

    def _tell_admitted(self, delegation: Delegation, run: Run, task: object) -> None:
        if task is not None:
            self._active.add(task, run)
        if delegation.is_trial:
            self._trials.add(run)
        self._tell_depth(run.depth)
        self._emit(DelegationAdmitted, lambda: DelegationAdmitted(run.chain, run.id))
        if self.events.wants(DelegationRepeated):
            chain = run.chain
            earlier_count = chain.count(run.agent) - 1
            if earlier_count:
                self.events.emit(DelegationRepeated(chain, earlier_count))

    def _tell_of(self, transition: Transition) -> None:
        before, after = transition
        if before.state is after.state:
            return
        if after.state is CircuitState.OPEN:
            self._line.turn_away(after)
        self._emit(CircuitChanged, lambda: CircuitChanged(before.state, after.state, after.reason))


def _set_back(
    breaker: "weakref.ref[DelegationCircuitBreaker]", settings: AdmissionSettings
) -> None:
    changed = breaker()
    if changed is not None:
        changed._set_limits(settings)


def _all_of(calls: list[Any]) -> Callable[[], object] | None:
    if len(calls) > 1:
        return lambda: all(call() for call in calls)
    return calls[0] if calls else None


def _chain_of(parent: Run | None, agent: str) -> tuple[str, ...]:
    return (agent,) if parent is None else (*parent.chain, agent)


def _checked_on_refuse(on_refuse: str) -> OnRefuse:
    if on_refuse == "raise":
        return "raise"
    if on_refuse == "message":
        return "message"
    raise UnknownOptionError("on_refuse", on_refuse, ("raise", "message"))
