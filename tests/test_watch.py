"""A watch: what it tells, when it looks, and that nothing of it is left."""

import asyncio
import dataclasses
import errno
import gc
import logging
import os
import random
import sys
import threading
import time

import pytest

import memguard
from examples.orchestrator import AgentContext, run_agent
from memguard import _core
from memguard.errors import HeadroomShortError, UnknownOptionError
from memguard.events import Event
from memguard.heap import snapshot as snapshots
from memguard.heap.growth.report import GrowthFinding, GrowthReport
from memguard.settings import WatchSettings
from memguard.watching import growing
from memguard.watching.events import (
    CollectionExplained,
    ContainerGrows,
    ShapeGrows,
    ShapeOutgrown,
    ShapeOverBudget,
)
from memguard.watching.trend import Look, SeenShape, Trend, decide
from memguard.watching.watch import describe

SNAPSHOTS = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has snapshots")
CONTEXT = "examples.orchestrator.AgentContext"


def look(minute, **counts):
    shapes = {key: SeenShape(f"path of {key}", n, 4 * n, 400 * n) for key, n in counts.items() if n}
    return Look(60.0 * minute, "snapshot", "", 0.001, 0.1, 1000, 0, shapes, 0)


def told(counts, *, budgets=(), settings=None):
    """Give (number of the look, event) for looks at one shape with these counts."""
    trend, events = Trend(), []
    for number, count in enumerate(counts):
        trend, new = decide(
            look(number, a=count), dict(budgets), settings or WatchSettings(), trend
        )
        events += [(number, event) for event in new]
    return events


def test_a_shape_that_was_never_there_is_told_of_at_the_second_look():
    """Once, and again when there is twice as much."""
    ((number, event),) = told([0] * 10 + [20, 40, 60, 70, 70, 70])
    assert (number, event) == (11, ShapeOutgrown("a", "path of a", "cycles", 40, 0, 16_000))
    events = told([0] * 10 + [20, 40, 60, 80, 160])
    assert [(number, event.count) for number, event in events] == [
        (11, 40),
        (13, 80),
    ]


def test_a_shape_that_was_always_there_is_told_of_when_it_outgrows_what_it_was():
    """It has to be more than half as many again, in two looks on end."""
    assert [number for number, _ in told([20, 22, 25, 19, 24, 21, 50, 80])] == [7]
    assert told([20, 22, 25, 19, 24, 21, 50, 25, 21, 20]) == []
    assert told([20, 22, 25, 19, 24, 21, 28, 30, 27, 29]) == []


@pytest.mark.parametrize("mean", [0.5, 2, 20, 300])
def test_a_load_that_comes_and_goes_by_chance_is_not_told_of(mean):
    """A thousand looks at a service with so many requests at a time, ten times."""
    for seed in range(10):
        chance = random.Random(seed)
        counts = [sum(chance.random() < mean / 1000 for _ in range(1000)) for _ in range(1000)]
        assert told(counts) == []


def test_a_slow_leak_below_a_load_is_told_of():
    """What it has at least rises from one third of the looks to the next."""
    chance = random.Random(0)
    counts = [chance.randrange(40) + 2 * max(0, minute - 30) for minute in range(120)]
    events = told(counts)
    number, event = events[0]
    assert type(event) is ShapeGrows
    assert 30 < number < 75
    assert event.per_minute_count > 0


def told_of_one_cycle(sizes):
    trend, events = Trend(), []
    for number, size in enumerate(sizes):
        shapes = {"a": SeenShape("p", 1, size, 10 * size)}
        seen = Look(60.0 * number, "snapshot", "", 0, 0, 0, 0, shapes, 0)
        trend, new = decide(seen, {}, WatchSettings(), trend)
        events += [(number, event) for event in new]
    return events


def test_one_cycle_that_takes_in_more_and_more_is_told_of():
    """A registry and what it registers, tied to each other, stay one cycle."""
    events = told_of_one_cycle([500] * 10 + [2_000, 3_500, 3_500, 3_500])
    assert events == [(11, ShapeOutgrown("a", "p", "objects of a cycle", 3_500, 500, 35_000))]


def test_one_cycle_that_takes_in_more_by_and_by_is_told_of():
    """A hundred objects a minute."""
    number, event = told_of_one_cycle([500 + 100 * minute for minute in range(40)])[0]
    assert number == 29
    assert (type(event), event.quantity) == (ShapeGrows, "objects of a cycle")
    assert event.per_minute_count == pytest.approx(100)
    assert told_of_one_cycle([500 + 100 * (minute % 7) for minute in range(200)]) == []


@SNAPSHOTS
def test_a_cycle_too_large_to_be_named_is_known_by_its_types():
    """It is one shape in every look, however large it is."""
    boxes = []
    watch = memguard.Watch(explain_collections=False)
    for size in (3_000, 4_000):
        nodes = [AgentContext(number) for number in range(size)]
        for number, node in enumerate(nodes):
            node.parent_context = nodes[number - 1]
        boxes[:] = nodes
        watch.look()
    names = [{key for key in look.shapes if key.startswith("a large")} for look in watch.history]
    assert names[0] == names[1] == {f"a large cycle of {CONTEXT}"}


def test_one_step_is_no_growth():
    """Of a pool that doubled."""
    assert told([20] * 20 + [28] * 20) == []


def test_start_up_is_not_told_of():
    """Looks of the first minutes only serve to compare with."""
    assert told([10, 100, 1000, 1000, 1000, 1000]) == []


def test_a_budget_is_told_of_at_once():
    """By its pattern, and once until there is twice as much."""
    events = told([5, 30, 40, 61, 5], budgets={"path of *": 100})
    assert events == [
        (1, ShapeOverBudget("a", "path of a", 120, 100, "path of *")),
        (3, ShapeOverBudget("a", "path of a", 244, 100, "path of *")),
    ]
    assert told([30], budgets={"a": 100})[0][1].pattern == "a"


def minutes(leaks_from):
    """Let the example orchestrator run for twenty minutes of simulated time."""
    chance = random.Random(1)
    kept = []
    events = []
    watch = memguard.Watch(explain_collections=False, clock=lambda: 60.0 * minute)
    for minute in range(20):
        contexts = [AgentContext(f"request-{number}") for number in range(20)]

        async def serve(contexts=contexts):
            for context in contexts:
                await run_agent(context, depth=2)

        asyncio.run(serve())
        if minute >= leaks_from:
            kept += contexts[:15]
        # What is at work while the scan is made.
        at_work = contexts[: chance.randrange(6)]
        del contexts, serve
        events += [(minute, event) for event in watch.look()]
        del at_work
    watch.close()
    return events


def test_the_shape_that_begins_to_leak_is_found_within_two_looks():
    """And the same program without the leak is not told of."""
    events = minutes(leaks_from=10)
    assert {minute for minute, _ in events} <= set(range(11, 20))
    minute, event = events[0]
    assert minute == 11
    assert CONTEXT in event.path
    assert type(event) is ShapeOutgrown
    assert minutes(leaks_from=99) == []


def wait_for(condition, seconds=30):
    deadline_seconds = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline_seconds
        time.sleep(0.01)


@SNAPSHOTS
def test_it_looks_on_its_own_and_leaves_nothing(caplog):
    """Threads and callbacks are as before once it is closed, twice if one likes."""
    before = threading.active_count(), list(gc.callbacks)
    with memguard.watch(0.02, settings=WatchSettings(most_time_ratio=1)) as watch:
        wait_for(lambda: len(watch.history) >= 3)
        assert watch.start() is watch
    watch.close()
    assert (threading.active_count(), list(gc.callbacks)) == before
    assert {one.mode for one in watch.history} == {"snapshot"}
    assert watch.failure_count == 0


def test_its_looks_take_no_more_than_their_share_of_the_time():
    """After a look that took long, the next one is put off."""
    watch = memguard.Watch(settings=WatchSettings(every_seconds=1, most_time_ratio=0.02))
    assert 0.9 <= watch._wait_seconds(0.001) <= 1.1
    assert watch._wait_seconds(1.0) == pytest.approx(49)


@SNAPSHOTS
def test_a_look_that_fails_is_counted_and_told_once(caplog, monkeypatch):
    """Memory is short: the watch goes on, and looks again when it is not."""
    monkeypatch.setattr(snapshots, "LEAST_FREE_BYTES", 1 << 60)
    settings = WatchSettings(most_time_ratio=1)
    with memguard.watch(0.01, settings=settings, explain_collections=False) as watch:
        wait_for(lambda: watch.failure_count >= 3)
        monkeypatch.undo()
        wait_for(lambda: watch.history)
    (record,) = [one for one in caplog.records if one.name == "memguard.watch"]
    assert "a snapshot was not started" in record.getMessage()
    monkeypatch.setattr(snapshots, "LEAST_FREE_BYTES", 1 << 60)
    with pytest.raises(HeadroomShortError):
        memguard.Watch().look()


@SNAPSHOTS
def test_where_no_child_is_to_be_had_it_says_once_that_looks_stop_the_program(caplog):
    """A watch that was to be unnoticed is not."""
    _core._fail_fork_with(errno.EAGAIN)
    try:
        watch = memguard.Watch(explain_collections=False)
        for _ in range(3):
            watch.look()
    finally:
        _core._fail_fork_with(0)
    assert [look.mode for look in watch.history] == ["inline"] * 3
    (line,) = caplog.messages
    assert "looks stop the program" in line
    assert "EAGAIN" in line


def test_events_go_to_the_log_and_to_the_bus(caplog):
    """One line each, which names the shape."""
    boxes = [[] for _ in range(30)]
    for box in boxes:
        context = AgentContext("kept")
        context.parent_context = context
        box.append(context)
    watch = memguard.Watch(budgets={f"{CONTEXT}*": 10}, explain_collections=False)
    seen = []
    watch.events.subscribe(Event, seen.append)
    with caplog.at_level(logging.INFO, "memguard.watch"):
        events = watch.look()
    assert seen == list(events)
    (event,) = events
    assert event.object_count >= 30
    (line,) = caplog.messages
    assert line == describe(event)
    assert "10 are allowed for" in line
    assert f"{CONTEXT}.parent_context -> {CONTEXT}" in line


@SNAPSHOTS
def test_long_full_collections_are_explained(caplog):
    """By shapes that an earlier look knew, else by types."""
    kept = AgentContext("kept")
    kept.parent_context = kept
    settings = WatchSettings(explain_every_seconds=0, explain_pause_seconds=0)
    seen = []
    with memguard.watch(3600, settings=settings) as watch:
        watch.events.subscribe(CollectionExplained, seen.append)
        watch.look()
        gc.collect()
        wait_for(lambda: seen)
        seen.clear()
        for number in range(50):
            context = AgentContext(number)
            context.parent_context = context
        del context
        gc.collect()
        wait_for(lambda: seen)
    (event,) = seen
    assert event.collected_count >= 50
    assert 0 < event.pause_seconds < 60
    name, count = event.shapes[0]
    assert name == f"{CONTEXT}.parent_context -> {CONTEXT}"
    assert count >= 50
    assert "a full collection took" in describe(event)


@SNAPSHOTS
def test_a_collection_of_which_no_snapshot_is_to_be_had_is_counted(caplog):
    """And told of once; the collection goes on."""
    settings = WatchSettings(explain_every_seconds=0, explain_pause_seconds=0)
    with memguard.watch(3600, settings=settings) as watch:
        _core._fail_fork_with(errno.EAGAIN)
        try:
            gc.collect()
            gc.collect()
        finally:
            _core._fail_fork_with(0)
        assert watch.failure_count == 2
    (line,) = caplog.messages
    assert "not explained" in line


@SNAPSHOTS
def test_a_short_collection_is_not_explained():
    """The child is given up, and the next collection may have one."""
    settings = WatchSettings(explain_pause_seconds=3600)
    with memguard.watch(3600, settings=settings) as watch:
        for _ in range(3):
            gc.collect()
        time.sleep(0.1)
        assert watch.failure_count == 0
        assert watch._explainer.failure_count == 0
        assert watch._explainer._waiting == []


@SNAPSHOTS
def test_in_a_forked_child_there_is_no_watch():
    """Collections are not looked at there, and closing it ends at once."""
    settings = WatchSettings(explain_every_seconds=0, explain_pause_seconds=0)
    with memguard.watch(3600, settings=settings) as watch:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                gc.collect()
                watch.close()
                status = 0 if not watch._explainer._waiting else 2
            finally:
                os._exit(status)
        assert os.waitpid(child, 0)[1] == 0


def test_elsewhere_than_on_linux_a_scan_is_inline_and_says_so(monkeypatch):
    """A snapshot that cannot be is no error."""
    monkeypatch.setattr(snapshots, "can_fork", lambda: False)
    report = memguard.scan("garbage", mode="snapshot")
    assert report.mode == "inline"
    assert "a snapshot needs Linux" in report.fallback_reason
    assert memguard.Watch().look() == ()


def test_what_it_is_asked_for_is_checked():
    """Before anything is started."""
    with pytest.raises(UnknownOptionError, match="'garbage', 'live'"):
        memguard.watch(kind="dead")
    with pytest.raises(memguard.WrongSettingError, match="every_seconds"):
        memguard.watch(0)


# What grows.


def grown(count):
    """A report in which one container has so many entries."""
    finding = GrowthFinding(
        "app.SESSIONS", "dict", 2.0, 512.0, count, "app.SESSIONS -> dict", unit="minute"
    )
    return GrowthReport((finding,), 30, 29.0, "minute", 4, 1000, 0.1, is_enough=True)


def test_a_container_is_told_of_once_until_there_is_twice_as_much():
    """By name, with its rate, in one line."""
    already, counts = {}, []
    for count in (50, 60, 99, 100, 150, 200):
        already, events = growing.decide(grown(count), already)
        counts += [event.count for event in events]
    assert counts == [50, 100, 200]
    assert events == (
        ContainerGrows("app.SESSIONS", "dict", "app.SESSIONS -> dict", "", 200, 2.0, 512.0),
    )
    assert describe(events[0]) == "app.SESSIONS grows: 200 now, +2.0 a minute (0.5 KiB)"


def test_containers_of_one_name_are_told_of_apart():
    """The small one neither hides the large one nor has it told of again and again."""
    one, other = grown(1000).findings[0], grown(10).findings[0]
    other = dataclasses.replace(other, path="app.OTHER[3] -> app.SESSIONS -> dict")
    already, counts = {}, []
    for _ in range(3):
        report = dataclasses.replace(grown(1), findings=(one, other))
        already, events = growing.decide(report, already)
        counts += [event.count for event in events]
        other = dataclasses.replace(other, path="app.OTHER[4] -> app.SESSIONS -> dict")
    assert counts == [1000, 10]


def test_the_holder_of_objects_of_a_type_is_part_of_the_line():
    """For its name alone says less."""
    event = ContainerGrows("app.Line", "type", "", "app.ORDERS[int]", 1200, 20.0, 2048.0)
    assert describe(event) == (
        "app.Line grows: 1,200 now, +20.0 a minute (2.0 KiB), held by app.ORDERS[int]"
    )


KEPT = []


@pytest.mark.parametrize("leaks", [True, False], ids=["leaks", "is well"])
def test_a_watch_tells_of_containers_that_grow(leaks, caplog):
    """Once, by name and rate; and nothing of the same program without the leak, nor of itself."""
    _tell_of_kept(leaks, caplog)


def test_a_watch_of_a_large_heap_does_not_blame_who_holds_lists_for_a_moment(caplog):
    """There containers are seen later than the types of what they hold."""
    large = [[number] * 4 for number in range(70_000)]
    _tell_of_kept(True, caplog)
    assert len(large) == 70_000


def _tell_of_kept(leaks, caplog):
    KEPT.clear()
    minutes = iter(range(10_000))
    settings = WatchSettings(steady_count=12, growth_count=4, warmup_count=2)
    watch = memguard.Watch(
        mode="inline", settings=settings, growth=True, clock=lambda: 60.0 * next(minutes)
    )
    told = []
    with caplog.at_level(logging.WARNING, "memguard.watch"):
        for _ in range(40):
            KEPT.append([1])
            if not leaks:
                del KEPT[:-5]
            told += watch.look()
    watch.close()
    found = [event for event in told if isinstance(event, ContainerGrows)]
    assert [record.getMessage() for record in caplog.records] == [describe(one) for one in told]
    if leaks:
        assert [(event.name, event.kind) for event in found] == [(f"{__name__}.KEPT", "list")] * 2
        # The clock is asked twice for each look.
        assert found[0].per_minute_count == pytest.approx(0.5)
    else:
        assert found == []
    KEPT.clear()


class Knot:
    """Refers to itself."""

    def __init__(self):
        self.itself = self


def test_what_a_watch_notes_of_shapes_is_no_growth():
    """With cycles in the heap each look keeps something of each shape; that is the watch's."""
    knots = [Knot() for _ in range(5)]
    minutes = iter(range(10_000))
    settings = WatchSettings(steady_count=12, growth_count=4, warmup_count=2)
    watch = memguard.Watch(
        mode="inline", settings=settings, growth=True, clock=lambda: 60.0 * next(minutes)
    )
    told = [event for _ in range(40) for event in watch.look()]
    watch.close()
    assert told == []
    assert any("Knot.itself" in shape.path for shape in watch.history[-1].shapes.values())
    knots.clear()
