"""Looks for growth in a child process: the same numbers, and nothing left of the child."""

import errno
import gc
import os
import sys
import threading
import types
from itertools import pairwise

import hypothesis
import pytest

import memguard
from effort import effort
from graphs import build, plans
from hostile import failures
from memguard import GrowthTracker, WatchSettings, _core, _growth
from memguard.errors import HeadroomShortError, SnapshotFailedError
from memguard.heap import snapshot as snapshots
from memguard.heap.growth.folding import fold
from memguard.watching.growing import ContainerLooks, newly_counted
from test_snapshots import children, descriptors, nothing_is_left  # noqa: F401 - a fixture

PATIENTLY = bool


@pytest.fixture(autouse=True)
def collector_waits():
    """What the collector does on its own between two looks is no difference between them."""
    gc.collect()
    was_enabled = gc.isenabled()
    gc.disable()
    yield
    if was_enabled:
        gc.enable()


class Both:
    """Two censuses, of which one looks in a child and the other here, at the same moment."""

    def __init__(self, floor=4, most=1 << 16):
        self.here, self.there = (_growth.Census(floor, most) for _ in range(2))

    def look(self, meanwhile=lambda: None):
        snapshot = _growth.CensusSnapshot(self.there)
        expected = self.here.take()
        meanwhile()
        seen, end, _ = snapshot.answer(PATIENTLY)
        assert end == "answered"
        return seen, expected

    def counts(self):
        return [
            (one.floor, one.object_count, one.container_count) for one in (self.here, self.there)
        ]

    def assert_same(self, meanwhile=lambda: None):
        (changes, types), (expected_changes, expected_types) = self.look(meanwhile)
        assert types == expected_types
        assert changes == expected_changes
        there, here = self.counts()
        assert there == here


@pytest.mark.native
@hypothesis.given(plans(), plans())
@hypothesis.settings(max_examples=25)
def test_a_look_in_a_child_sees_what_one_here_sees(plan, other_plan):
    """Changes, types, floor, counts: byte for byte, over several looks."""
    both = Both(1)
    both.assert_same()
    held = [build(plan)]
    both.assert_same()
    held.append(build(other_plan))
    both.assert_same(held.clear)
    both.assert_same()


@pytest.mark.native
def test_the_floor_rises_in_a_child_as_it_does_here():
    """And the table that comes back is the one that the next look is compared with."""
    held = [list(range(size)) for size in range(100) for _ in range(3)]
    both = Both(4, 128)
    both.assert_same()
    assert both.there.floor > 4
    for each in held:
        each.append(1)
    both.assert_same()


@pytest.mark.native
def test_a_dict_that_only_a_variable_holds_is_counted():
    """The child does not list threads: what their frames hold was noted before."""
    untracked = dict.fromkeys("abcdefgh")
    both = Both()
    both.assert_same()
    untracked.update(dict.fromkeys("ijkl"))
    both.assert_same()
    assert both.there.find([(id(untracked), id(dict))]) == [untracked]


@pytest.mark.native
def test_a_census_goes_on_here_after_a_look_in_a_child():
    """Each kind of look begins where the one before ended."""
    growing = list(range(20))
    one = _growth.Census(4, 1 << 16)
    one.take()
    growing.append(1)
    snapshot = _growth.CensusSnapshot(one)
    growing.append(1)
    (changes, _), _, _ = snapshot.answer(PATIENTLY)
    assert lengths(changes)[id(growing)] == (20, 21)
    assert lengths(one.take()[0])[id(growing)] == (21, 22)


def lengths(changes):
    words = memoryview(changes).cast("Q")
    return {words[i]: (words[i + 2], words[i + 3]) for i in range(0, len(words), 6)}


@pytest.mark.native
def test_a_type_that_is_gone_meanwhile_is_counted_by_its_name():
    """Its name was read in the child; names of other than ASCII characters, too."""
    named = ["of.program.Ended", "of.program.Käfer", "of.program.昆虫"]
    held = [type(name.rpartition(".")[2], (), {"__module__": "of.program"})() for name in named]

    def forget():
        held.clear()
        gc.collect()

    (_, types), _ = Both().look(forget)
    assert [count for name, count, _ in types if name in named] == [1, 1, 1]


@pytest.mark.native
def test_what_happened_meanwhile_is_no_part_of_the_answer():
    """The memory is looked at as it was; the next look has the rest."""
    growing = list(range(20))
    both = Both()
    both.assert_same()
    (changes, _), _ = both.look(lambda: growing.extend(range(10)))
    assert id(growing) not in lengths(changes)
    (changes, _), _ = both.look()
    assert lengths(changes)[id(growing)] == (20, 30)


@pytest.mark.native
def test_no_native_memory_at_any_point_of_a_look():
    """Here or in the child: an error, nothing is left, and the census is as it was."""
    growing = list(range(20))
    one = _growth.Census(4, 1 << 16)
    one.take()
    growing.append(1)
    untracked = dict.fromkeys("abcdefgh")
    seen, ends = [], []

    def fails_anywhere():
        answer, end, _ = _growth.CensusSnapshot(one).answer(PATIENTLY)
        ends.append(end)
        if answer is None:
            raise MemoryError(end)
        seen.append(answer)

    def fails_afterwards(number):
        snapshot = _growth.CensusSnapshot(one)
        _core._fail_allocation_at(number)
        try:
            return snapshot.answer(PATIENTLY)
        finally:
            _core._fail_allocation_at(0)

    before_bytes = _core._native_bytes()
    number = 1
    messages = set()
    while not seen:
        try:
            seen.append(fails_afterwards(number)[0])
        except MemoryError as error:
            messages.add(str(error))
            assert _core._native_bytes() == before_bytes
        number += 1
    assert (messages, number) == ({"no memory for the answer of a look"}, 7)
    assert lengths(seen.pop()[0])[id(growing)] == (20, 21)
    growing.append(1)
    # The census has another table now; what each further failure leaves is compared there.
    messages = {*failures(fails_anywhere)}
    assert messages >= {"no memory for what is noted before a look", "had no memory"}
    assert ends.count("had no memory") > 10
    assert lengths(seen[0][0])[id(growing)] == (21, 22)
    assert untracked


@pytest.mark.native
def test_a_census_that_was_taken_meanwhile_is_not_set_back():
    """The answer would undo the other look."""
    one = _growth.Census(4, 1 << 16)
    snapshot = _growth.CensusSnapshot(one)
    held = [list(range(20)) for _ in range(100)]
    one.take()
    container_count, pause_seconds = one.container_count, one.pause_seconds
    (_, types), end, _ = snapshot.answer(PATIENTLY)
    assert end == "answered"
    assert types
    assert (one.container_count, one.pause_seconds) == (container_count, pause_seconds)
    with pytest.raises(RuntimeError, match="answers once"):
        snapshot.answer(PATIENTLY)
    assert held
    with pytest.raises(TypeError):
        _growth.CensusSnapshot(None)


@pytest.mark.native
def test_a_look_that_nobody_waits_for_is_ended():
    """Its child, its pipe, and the census that it would have changed stay behind alike."""
    before = children(), descriptors()
    _core._let_child("hang")
    one = _growth.Census(4, 1 << 16)
    snapshot = _growth.CensusSnapshot(one)
    assert len(children()) == len(before[0]) + 1
    del snapshot
    assert (children(), descriptors()) == before
    assert one.object_count == 0


@pytest.mark.native
def test_nothing_is_left_of_two_hundred_looks():
    """No descriptor, no child, no byte."""
    one = _growth.Census(4, 1 << 16)
    held = []
    marks = []
    for number in range(201):
        held.append([number] * 5)
        _growth.CensusSnapshot(one).answer(PATIENTLY)
        if number % 100 == 0:
            held.clear()
            marks.append((children(), descriptors()))
    assert marks[0] == marks[1] == marks[2]
    del one
    # That no byte is left is checked after every test of this file.


@pytest.fixture
def growing(monkeypatch):
    """A list in a module of its own; what was there before the tests was frozen."""
    module = types.ModuleType("looked_at")
    module.GROWING = []
    monkeypatch.setitem(sys.modules, "looked_at", module)
    return module.GROWING


def looks(mode, growing):
    """Let a list grow by one a look, and give the tracker and the report."""
    tracker = GrowthTracker("run", mode=mode, warmup_looks=0)
    for number in range(12):
        growing.append([number])
        tracker.observe(number)
    return tracker, tracker.report()


def test_a_report_of_looks_in_children_is_that_of_looks_here(growing):
    """The same finding; and it says where the last look ran, and what it held up."""
    findings = []
    for mode in ("inline", "snapshot"):
        growing.clear()
        tracker, report = looks(mode, growing)
        assert (tracker.mode, report.mode, report.fallback_reason) == (mode, mode, "")
        assert report.pause_seconds == tracker.pause_seconds > 0
        assert report.to_dict()["mode"] == mode
        [finding] = [one for one in report.findings if one.name.endswith(".GROWING")]
        findings.append((finding.text, finding.kind, finding.entry_count, finding.path))
    assert findings[0] == findings[1]
    with pytest.raises(memguard.UnknownOptionError, match="'inline', 'snapshot'"):
        GrowthTracker(mode="fork")


@pytest.mark.parametrize(
    "number", [errno.ENOMEM, errno.EAGAIN, errno.EPERM, errno.ENOSYS], ids=errno.errorcode.get
)
def test_where_no_child_is_to_be_had_a_look_is_inline_and_says_so(number, growing):
    """The reason is the system's own, and is gone with the next snapshot."""
    _core._fail_fork_with(number)
    tracker, report = looks("snapshot", growing)
    assert (report.mode, tracker.mode) == ("inline", "inline")
    assert errno.errorcode[number] in report.fallback_reason
    assert any(finding.name.endswith(".GROWING") for finding in report.findings)
    _core._fail_fork_with(0)
    tracker.observe(100)
    assert (tracker.mode, tracker.fallback_reason) == ("snapshot", "")


def test_where_the_system_has_no_snapshots_a_look_is_inline(monkeypatch, growing):
    """It says what they need."""
    monkeypatch.setattr(snapshots, "can_fork", lambda: False)
    tracker, _ = looks("snapshot", growing)
    assert (tracker.mode, tracker.fallback_reason[:22]) == ("inline", "a snapshot needs Linux")


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [("crash", "killed by SIGKILL"), ("end early", "status 3"), ("hang", r"within 0\.2 s")],
)
def test_a_look_whose_child_fails_is_left_out(monkeypatch, behaviour, reason, growing):
    """The next one has what changed since the last that succeeded."""
    tracker, _ = looks("snapshot", growing)
    _core._let_child(behaviour)
    monkeypatch.setattr(snapshots, "LONGEST_SECONDS", 0.2)
    growing.append([])
    with pytest.raises(SnapshotFailedError, match=reason):
        tracker.observe(12)
    assert tracker.look_count == 12
    _core._let_child("scan")
    monkeypatch.setattr(snapshots, "LONGEST_SECONDS", 300.0)
    tracker.observe(13)
    [finding] = [one for one in tracker.report().findings if one.name.endswith(".GROWING")]
    assert finding.entry_count == len(growing)


def test_a_look_is_not_started_when_memory_is_short(monkeypatch):
    """Nothing is held up, and nothing is remembered."""
    tracker = GrowthTracker(mode="snapshot")
    monkeypatch.setattr(snapshots, "LEAST_FREE_BYTES", 1 << 60)
    with pytest.raises(HeadroomShortError):
        tracker.observe()
    assert tracker.look_count == 0


def test_a_look_that_is_cancelled_ends():
    """At once, whatever its child does."""
    tracker = GrowthTracker(mode="snapshot")
    _core._let_child("hang")
    with pytest.raises(SnapshotFailedError, match="cancelled"):
        tracker.observe(0, is_cancelled=lambda: True)
    assert tracker.look_count == 0


def test_a_look_amid_a_look_leaves_out_the_one_that_began_before(growing):
    """A signal may come while a child is waited for; the next look begins after the inner one."""
    tracker = GrowthTracker("run", mode="snapshot", warmup_looks=0)
    tracker.observe(0)
    inner = []

    def look_once():
        if not inner:
            inner.append(1)
            growing.extend(range(10))
            tracker.observe(2)
        return False

    assert tracker.observe(1, is_cancelled=look_once) is False
    assert tracker.look_count == 2
    for number in range(3, 13):
        growing.append(number)
        tracker.observe(number)
    [finding] = [one for one in tracker.report().findings if one.name.endswith(".GROWING")]
    assert (finding.entry_count, finding.entries_per_run) == (20, 1.0)


@pytest.mark.large
def test_looks_while_threads_make_and_drop_objects_and_types():
    """Their containers change hands all the while, and so do their types."""
    ended = threading.Event()
    failed = []

    def busy(work):
        try:
            while not ended.is_set():
                work()
        except BaseException as error:
            failed.append(error)

    def make_types():
        made = [type(f"Made{number}", (list,), {}) for number in range(20)]
        kept = [each(range(10)) for each in made]
        del made, kept
        gc.collect(0)

    works = [
        lambda: [dict.fromkeys(map(str, range(20))) for _ in range(200)],
        lambda: [list(range(size)) for size in range(200)],
        make_types,
    ]
    threads = [threading.Thread(target=busy, args=(work,)) for work in works]
    tracker = GrowthTracker("run", mode="snapshot")
    modes = set()
    for thread in threads:
        thread.start()
    try:
        for number in range(effort(40, 10)):
            tracker.observe(number)
            modes.add(tracker.mode)
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert failed == []
    assert modes == {"snapshot"}


def test_a_report_of_nothing_that_rises_does_not_look_at_the_heap():
    """It would hold everything up, and takes no native memory."""
    tracker = GrowthTracker("run")
    for number in range(9):
        tracker.observe(number)
    _core._fail_allocation_at(1)
    try:
        told = fold([], [], "run", newest=lambda names: pytest.fail(str(names)))
        report = tracker.report()
    finally:
        _core._fail_allocation_at(0)
    assert told == []
    assert report.is_enough
    assert report.findings == ()


def test_a_watch_in_snapshot_mode_looks_at_containers_in_a_child(growing):
    """What grows is told all the same, and nothing stops for the look."""
    settings = WatchSettings(steady_count=12, growth_count=4, warmup_count=2)
    minutes = iter(range(1000))
    watch = memguard.Watch(settings=settings, growth=True, clock=lambda: 60.0 * next(minutes))
    told = []
    for _ in range(16):
        growing.extend([[], []])
        told += watch.look()
    assert [one.name for one in told if getattr(one, "name", "").endswith(".GROWING")]
    assert watch._containers.tracker.mode == "snapshot"
    watch.close()


def test_a_watch_searches_the_heap_only_when_there_is_news(monkeypatch, growing):
    """What rises on and on is searched for again when there is twice as much."""
    settings = WatchSettings(steady_count=8, growth_count=1, warmup_count=2)
    looks = ContainerLooks(settings)
    counts = []
    report = GrowthTracker.report

    def counted(tracker):
        counts.append(len(growing))
        return report(tracker)

    monkeypatch.setattr(GrowthTracker, "report", counted)
    told = []
    for minute in range(100):
        growing.extend([[] for _ in range(10)])
        told += looks.look(60.0 * minute)
    # The lists in it are of a type that rises, too, from more than twice as many on.
    [first, *others] = [one.count for one in told if one.name.endswith(".GROWING")]
    assert first == counts[0]
    assert others
    assert all(later >= 2 * earlier for earlier, later in pairwise([first, *others]))
    assert len(counts) < 15


@pytest.mark.parametrize(
    ("now", "before", "news"),
    [
        ({"a": 10}, {}, {"a": 10}),
        ({"a": 19}, {"a": 10}, {"a": 10}),
        ({"a": 20}, {"a": 10}, {"a": 20}),
        ({(1, 2): 7}, {"a": 10}, {(1, 2): 7}),
        ({}, {"a": 10}, {}),
    ],
)
def test_what_is_news_is_new_or_twice_as_many(now, before, news):
    """And what rises no more is forgotten."""
    assert newly_counted(now, before) == news


def test_a_watch_says_once_that_a_look_at_containers_stops_the_program(caplog, monkeypatch):
    """Also when only that look had no child."""
    watch = memguard.Watch(growth=True, clock=iter(range(0, 1000, 60)).__next__)

    class NoLook:
        def __init__(self, census):
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(_growth, "CensusSnapshot", NoLook)
    for _ in range(2):
        watch.look()
    lines = [one.message for one in caplog.records if "looks stop the program" in one.message]
    assert len(lines) == 1
    assert "EAGAIN" in lines[0]
    watch.close()
