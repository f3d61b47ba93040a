"""One place that counts: snapshots of all parts, over time, and the report's six numbers."""

import gc
import json
import threading
import weakref

import pytest

import memguard
from memguard import (
    Guard,
    GuardSettings,
    MemoryMonitoringDashboard,
    Metrics,
    MetricsSettings,
    PressureSettings,
)
from memguard.events import EventBus
from memguard.metrics import WATCHED
from memguard.pressure.events import AlertRaised, SpawnsAllowed


class Clock:
    def __init__(self):
        self.now = 5000.0

    def __call__(self):
        return self.now


class Node:
    """Refers to itself."""

    def __init__(self):
        self.me = self


@pytest.fixture
def guard():
    with Guard(settings=GuardSettings(), approve=lambda request: True, max_depth=9) as made:
        yield made


def test_a_snapshot_has_all_parts(guard):
    """Typed, as each part counts it."""
    with guard.agent("planner"), guard.delegate("researcher"):
        seen = guard.metrics.snapshot()
    assert seen.memory.rss_bytes > 10**6
    assert (seen.admission.live_count, seen.lifecycle.active_count) == (2, 2)
    assert seen.spawning.granted_count == 2
    assert seen.oversight.critical_count == 0
    assert seen.alerts.raised_count == 0
    assert len(seen.collector.collection_counts) == len(gc.get_stats())
    assert seen.cycles is None
    assert seen.collector.pauses is None


def test_what_is_not_there_is_none():
    """Without a guard it is the process alone."""
    seen = Metrics().snapshot()
    assert seen.memory.rss_bytes > 0
    assert seen.admission is None
    assert seen.oversight is None


def test_it_can_be_said_in_json_and_as_numbers_by_name(guard):
    """Everything that is a number, with what follows from several of them."""
    with guard.agent("planner"):
        pass
    seen = guard.metrics.snapshot()
    said = json.loads(json.dumps(seen.to_dict()))
    assert said["admission"]["circuit_state"] == "closed"
    assert said["memory"]["rss_bytes"] == seen.memory.rss_bytes
    numbers = seen.numbers()
    assert numbers["admission.admitted_count"] == 1
    assert numbers["oversight.coverage_ratio"] == 1.0
    assert 0 < numbers["memory.used_ratio"] < 1
    assert all(isinstance(value, int | float) for value in numbers.values())
    assert "admission.circuit_state" not in numbers


def test_events_are_counted_and_the_last_ones_kept():
    """As many as the settings say; after the end no more."""
    clock = Clock()
    bus = EventBus()
    metrics = Metrics(events=bus, settings=MetricsSettings(event_count=2), wall_clock=clock)
    bus.emit(SpawnsAllowed(0.5, 1))
    metrics.start()
    metrics.start()
    for level in ("warning", "critical", "emergency"):
        clock.now += 1
        bus.emit(AlertRaised("memory", level, "normal", 99.0, 60.0))
    assert [(at, event.level) for at, event in metrics.recent_events()] == [
        (5002.0, "critical"),
        (5003.0, "emergency"),
    ]
    assert metrics.snapshot().event_counts == {"AlertRaised": 3}
    metrics.stop()
    bus.emit(SpawnsAllowed(0.5, 1))
    assert metrics.snapshot().event_counts == {"AlertRaised": 3}
    assert not bus.wanted


def test_events_of_each_agent_are_not_asked_for(guard):
    """They would have to be made for this alone, in the hot path."""
    from memguard.admission.events import DelegationEnded, DelegationQueued

    assert not {DelegationEnded, DelegationQueued} & set(WATCHED)
    assert not guard.events.wants(DelegationEnded)


def test_history_is_bounded():
    """The oldest goes."""
    clock = Clock()
    metrics = Metrics(settings=MetricsSettings(history_count=3), wall_clock=clock)
    for _ in range(5):
        clock.now += 1
        metrics.sample()
    assert [seen.at for seen in metrics.history()] == [5003.0, 5004.0, 5005.0]


def test_a_guard_keeps_snapshots_by_itself():
    """Every so often, on its thread."""
    settings = GuardSettings(
        pressure=PressureSettings(sample_seconds=0.01), metrics=MetricsSettings(sample_seconds=0.01)
    )
    sampled = threading.Event()
    guard = Guard(settings=settings)
    sample = guard.metrics.sample

    def note():
        sample()
        if len(guard.metrics.history()) >= 3:
            sampled.set()

    guard.metrics.sample = note
    with guard:
        assert sampled.wait(10)
    first, second, *_ = guard.metrics.history()
    assert second.at > first.at


def test_cycles_are_counted_at_most_every_so_often():
    """For it costs scans and a collection."""
    clock = Clock()
    metrics = Metrics(wall_clock=clock)
    gc.collect()
    gc.disable()
    try:
        before = metrics.count_cycles().circular_reference_count
        nodes = [Node() for _ in range(5)]
        clock.now += 59
        assert metrics.count_cycles().circular_reference_count == before
        clock.now += 1
        assert metrics.count_cycles().circular_reference_count == before + 5
        del nodes
        assert metrics.count_cycles(fresh=True).circular_reference_count == before + 5
        assert metrics.count_cycles(fresh=True).circular_reference_count == before
    finally:
        gc.enable()
    assert metrics.snapshot().cycles.gc_effectiveness_ratio == 1.0


def test_pauses_are_there_once_the_collector_is_set_up():
    """By the guard's profile."""
    with Guard(settings=GuardSettings(), gc="default") as guard:
        gc.collect()
        assert guard.metrics.snapshot().collector.pauses.collection_count >= 1


# The report's dashboard.


def test_the_reports_six_numbers():
    """By its names; what they say is measured."""
    with Guard(settings=GuardSettings(), approve=lambda request: True, max_depth=9) as guard:
        dashboard = MemoryMonitoringDashboard(guard.metrics)
        assert set(dashboard.metrics.values()) == {0}
        names = list(dashboard.metrics)
        same = dashboard.metrics
        with guard.agent("a"):
            with guard.delegate("b"), guard.delegate("c"), guard.delegate("d"), guard.delegate("e"):
                pass
            dashboard.update_metrics()
    assert dashboard.metrics is same
    assert list(same) == names
    assert names == [
        "memory_usage_mb",
        "active_agents",
        "circular_refs_detected",
        "gc_effectiveness",
        "cleanup_operations_completed",
        "human_oversight_triggered",
    ]
    assert same["memory_usage_mb"] > 5
    assert same["active_agents"] == 1
    assert same["circular_refs_detected"] >= 0
    assert same["gc_effectiveness"] > 0.5
    assert same["cleanup_operations_completed"] == 4
    assert same["human_oversight_triggered"] == 1


def test_the_reports_dashboard_works_without_a_guard():
    """As it does in the report: agents of all registries, and nobody is asked."""
    registry = memguard.WeakAgentRegistry()
    agent = memguard.AgentContext("a")
    before = memguard.get_active_agent_count()
    registry.register("a", agent, {})
    dashboard = MemoryMonitoringDashboard()
    dashboard.update_metrics()
    assert dashboard.metrics["active_agents"] == before + 1
    assert dashboard.metrics["human_oversight_triggered"] == 0


def test_a_guard_is_gone_as_soon_as_it_is_dropped():
    """With all its parts: it leaves no cycle of its own."""
    gc.collect()
    gc.disable()
    try:
        guard = Guard(settings=GuardSettings(), approve=lambda request: True, gc="default")
        with guard, guard.agent("a"):
            guard.metrics.sample()
        gone = weakref.ref(guard)
        del guard
        assert gone() is None
    finally:
        gc.enable()
