"""Whether one more agent may be started."""

import math
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machines import MIB, make_group
from memguard._admission import Spare
from memguard.errors import LimitOutOfRangeError
from memguard.events import Event, EventBus
from memguard.pressure.events import SpawnsAllowed, SpawnsRefused
from memguard.pressure.limits import Limit
from memguard.pressure.monitor import ResourceMonitor
from memguard.pressure.reading import Bound, MemoryUse
from memguard.pressure.spawning import Mark, MonitorState
from memguard.settings import REPORT_REFUSE_BYTES, PressureSettings

LIMIT_BYTES = 1000 * MIB


def use(used_bytes, limit_bytes=LIMIT_BYTES):
    return MemoryUse(used_bytes, (Bound(Limit(limit_bytes, "the group", "process"), used_bytes),))


class Memory:
    """Stands for the reader, and says what a test says."""

    def __init__(self, used_bytes=0):
        self.used_bytes = used_bytes

    def read_use(self):
        return use(self.used_bytes)


class Machine:
    """A monitor, its memory, its clock, and what it told."""

    def __init__(self, **settings):
        self.memory = Memory()
        self.now = 1000.0
        self.told = []
        bus = EventBus()
        bus.subscribe(Event, self.told.append)
        self.monitor = ResourceMonitor(
            PressureSettings(**settings), bus=bus, reader=self.memory, clock=lambda: self.now
        )

    def use(self, share, wait_seconds=1.0):
        self.memory.used_bytes = round(share * LIMIT_BYTES)
        self.now += wait_seconds
        return self

    def __getattr__(self, name):
        return getattr(self.monitor, name)


def test_spawns_are_refused_at_the_upper_share_and_allowed_below_the_lower():
    """In between holds what held before."""
    machine = Machine()
    answers = [machine.use(share).can_spawn() for share in (0.79, 0.80, 0.78, 0.751, 0.749, 0.78)]
    assert answers == [True, False, False, False, True, True]


def test_both_turns_are_told_once():
    """With what was measured, and how many were refused."""
    machine = Machine()
    for share in (0.5, 0.9, 0.9, 0.9, 0.5, 0.5):
        machine.use(share).can_spawn()
    refused, allowed = machine.told
    assert isinstance(refused, SpawnsRefused)
    assert "90.0% of the group" in refused.reason
    assert allowed == SpawnsAllowed(used_ratio=0.5, refused_count=3)


def test_the_reports_500_megabytes_refuse_whatever_the_limit_is():
    """And are left a little below."""
    machine = Machine(refuse_used_bytes=REPORT_REFUSE_BYTES)
    shares = [size * 1e6 / LIMIT_BYTES for size in (499, 500, 480, 468)]
    assert [machine.use(share).can_spawn() for share in shares] == [True, False, False, True]


def test_one_that_needs_too_much_is_refused_and_a_smaller_one_is_not():
    """It says how much would be in use, and of what."""
    machine = Machine().use(0.7)
    refusal = machine.ask(needed_bytes=200 * MIB)
    assert not refusal.granted
    assert "the group" in refusal.reason
    assert machine.can_spawn(needed_bytes=50 * MIB)
    assert machine.told == []


def test_what_is_promised_counts_until_it_is_used():
    """Then it counts once, as memory in use."""
    machine = Machine().use(0.3)
    promise = machine.reserve(200 * MIB)
    assert machine.statistics().promised_bytes == 200 * MIB
    assert machine.reserve(400 * MIB) is None
    machine.use(0.45)
    assert machine.reserve(400 * MIB) is None
    assert machine.statistics().promised_bytes == 50 * MIB
    promise.release()
    promise.release()
    assert machine.statistics().promised_bytes == 0
    assert machine.statistics().reservation_count == 0


def test_a_promise_ends_with_its_block():
    """Also when the agent fails."""
    machine = Machine()
    with pytest.raises(ZeroDivisionError), machine.reserve(MIB):
        raise ZeroDivisionError
    assert machine.statistics().reservation_count == 0


def test_a_burst_cannot_pass_on_one_reading():
    """What was just granted counts although nothing shows it yet; later the reading does."""
    machine = Machine(assumed_bytes=10 * MIB).use(0.5)
    assert sum(machine.can_spawn() for _ in range(1000)) == 10
    refusal = machine.ask()
    assert "cannot be seen yet" in refusal.reason
    machine.now += refusal.retry_after_seconds
    assert machine.can_spawn()


@pytest.mark.parametrize(
    ("share", "assumed_bytes", "granted_count"),
    [(0.7, 8 * MIB, 60), (0.7, 30 * MIB, 20), (0.79, 8 * MIB, 20), (0.62, 1 * MIB, 900)],
)
def test_above_the_ramp_starts_take_a_quarter_of_what_is_left(share, assumed_bytes, granted_count):
    """In the time until a reading shows them: one of 50 ms at least."""
    machine = Machine(ramp_seconds=0.05, assumed_bytes=assumed_bytes).use(share)
    granted = 0
    for _ in range(20 * 50):
        machine.now += 0.001
        granted += machine.can_spawn()
    assert granted_count * 0.95 <= granted <= granted_count


def test_above_the_ramp_what_is_said_counts():
    """Of 25 MiB that are for unseen starts, with 8 MiB each for those that say less."""
    machine = Machine(ramp_seconds=0.05).use(0.7)
    assert [machine.can_spawn(needed_bytes=each * MIB) for each in (20, 20, 1)] == [
        True,
        False,
        True,
    ]


@given(
    st.integers(0, 1000),
    st.lists(st.tuples(st.integers(0, 40), st.sampled_from([0, 0, 0, 50])), max_size=60),
)
def test_what_is_granted_at_once_would_be_granted_after_a_look(share, questions):
    """By the answers of a monitor that decides anew each time."""
    machine, careful = Machine().use(share / 1000), Machine().use(share / 1000)
    careful.monitor._open_spare = lambda use, now_seconds: None
    for each in machine, careful:
        # What starts take is learned whenever it is looked, and so at other times.
        each.monitor._state = MonitorState(mark=Mark(math.inf, 0, 0))
    for milliseconds, needed in questions:
        for each in machine, careful:
            each.now += milliseconds / 1000
        assert machine.ask(needed_bytes=needed * MIB) == careful.ask(needed_bytes=needed * MIB)
    assert machine.statistics() == careful.statistics()


@pytest.mark.parametrize(("share", "most_seconds"), [(0.0, 0.032), (0.5, 0.006), (0.59, 0.001)])
def test_the_nearer_a_limit_the_newer_a_reading_has_to_be(share, most_seconds):
    """Half of what is left cannot be filled before: at 10 GB/s."""
    machine = Machine(assumed_bytes=0).use(share)
    assert machine.can_spawn()
    machine.memory.used_bytes = LIMIT_BYTES
    begun = machine.now
    while machine.can_spawn():
        machine.now += 0.0005
    assert machine.now - begun < most_seconds


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("note"), st.integers(1, 9)),
            st.tuples(st.just("call"), st.just(0)),
            st.tuples(st.just("wait"), st.integers(1, 40)),
            st.tuples(st.just("burst"), st.integers(60, 200)),
        ),
        max_size=30,
    )
)
def test_starts_count_for_as_long_as_a_reading_may_not_show_them(steps):
    """In whatever order they come and go: by a list of all of them."""
    now = 0.0
    spare = Spare(lambda: now)
    spare.open(1000, math.inf, 7, 50)
    starts = []
    for step, number in steps:
        if step == "wait":
            now += number
        elif step == "call":
            starts = [start for start in starts if start[0] > now - 50]
            assert spare() is (sum(size for _, size in starts) < 1000)
            if sum(size for _, size in starts) < 1000:
                starts.append((now, 7))
        else:
            for size in [number] if step == "note" else [1] * number:
                spare.note(now, size)
                starts.append((now, size))
        spare.forget(now - 50)
        starts = [start for start in starts if start[0] > now - 50]
        assert spare.unseen_bytes == sum(size for _, size in starts)
        assert spare.last_seconds() == (starts[-1][0] if starts else None)
    spare.close()
    assert not spare()


def test_threads_cannot_pass_the_limit_together():
    """A question and its promise are one step."""
    machine = Machine().use(0.3)
    gate = threading.Barrier(16)

    def ask():
        gate.wait()
        for _ in range(50):
            machine.reserve(10 * MIB)

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert machine.statistics().promised_bytes == 500 * MIB


def test_a_listener_may_ask_the_monitor():
    """It is told outside of the lock."""
    machine = Machine()
    answers = []
    machine.monitor._bus.subscribe(SpawnsRefused, lambda event: answers.append(machine.can_spawn()))
    machine.use(0.9).can_spawn()
    assert answers == [False]


@pytest.mark.parametrize("needed_bytes", [-1, 1.5, "1", None, True])
def test_what_is_no_number_of_bytes_is_refused(needed_bytes):
    """And nothing is promised or counted."""
    machine = Machine()
    for ask in machine.reserve, lambda needed: machine.can_spawn(needed_bytes=needed):
        with pytest.raises(LimitOutOfRangeError, match="needed_bytes"):
            ask(needed_bytes)
    assert machine.statistics().granted_count == 0


@given(
    st.lists(
        st.tuples(st.sampled_from("rfgu"), st.integers(0, 300), st.integers(0, 1000)), max_size=60
    )
)
def test_promises_are_never_negative_and_end_at_nothing(steps):
    """Whatever is reserved, used, grown and released, in whatever order."""
    machine = Machine()
    promises = []
    for step, size, share in steps:
        if step == "r":
            promises.append(machine.reserve(size * MIB))
        elif step == "f" and promises:
            promise = promises.pop(size % len(promises))
            if promise is not None:
                promise.release()
        else:
            machine.use(share / 1000).can_spawn()
        open_bytes = machine.statistics().promised_bytes
        assert 0 <= open_bytes <= sum(promise.needed_bytes for promise in promises if promise)
    for promise in filter(None, promises):
        promise.release()
    assert machine.statistics().promised_bytes == 0


PROGRAM = Path(__file__).parent / "scripts" / "run_in_little_memory.py"


def run_program(mode, where):
    return subprocess.run(
        [sys.executable, PROGRAM, mode, where],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere this limit is not held")
def test_a_program_that_runs_out_of_address_space_does_not_when_it_asks():
    """The same work, in waves that fit."""
    assert "MemoryError" in run_program("plain", "address_space").stderr
    done = run_program("guarded", "address_space")
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "True\n")


def test_a_program_that_the_kernel_kills_lives_when_it_asks():
    """In a real control group, where one can be made."""
    folder = make_group(200 * MIB)
    if folder is None:
        pytest.skip("no control group can be made here")
    try:
        assert run_program("plain", str(folder)).returncode == -signal.SIGKILL
        done = run_program("guarded", str(folder))
        assert (done.returncode, done.stderr, done.stdout) == (0, "", "True\n")
    finally:
        folder.rmdir()


def test_starts_count_for_what_they_were_seen_to_take():
    """At once where that is more; little by little where it is less, and never for nothing."""
    machine = Machine(assumed_bytes=100 * MIB, ramp_seconds=0.05)

    def burst():
        count = 0
        while count < 5000 and machine.can_spawn():
            count += 1
        return count

    assert burst() == 6  # 600 MiB of 1,000 may be in use from then on
    machine.use(0.001, wait_seconds=0.2)
    assert machine.can_spawn()  # six took 1 MiB: believed little by little
    assert burst() == 63
    for _ in range(30):
        machine.use(0.001, wait_seconds=0.2)
        assert machine.can_spawn()
    machine.use(0.001, wait_seconds=0.2)
    assert burst() == 767  # a 128th of 100 MiB each is the least
    machine.use(0.001, wait_seconds=0.2)
    assert machine.can_spawn()
    machine.use(0.101, wait_seconds=0.2)
    assert burst() == 5  # one took 100 MiB, and so may the next ones
    for _ in range(30):
        machine.use(0.101, wait_seconds=0.2)
        assert machine.can_spawn()
    machine.use(0.101, wait_seconds=0.2)
    assert burst() == 20  # for as many end as start: each counts for a quarter of that
