"""Scans in a child process: the same answers, and nothing left of the child."""

import asyncio
import errno
import gc
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import zlib
from pathlib import Path

import hypothesis
import pytest

import memguard
from effort import effort
from graphs import Plain, Vertex, build, plans, self_loop
from memguard import _core
from memguard.errors import CycleGoneError, HeadroomShortError, SnapshotFailedError
from memguard.heap import snapshot as snapshots
from memguard.heap.scan import scan_beyond
from process import run_fresh

VERTEX = "graphs.Vertex"


def ring(size):
    """Tie objects to a ring and let nothing else hold them; give their ids."""
    nodes = [Vertex() for _ in range(size)]
    for number, node in enumerate(nodes):
        node.append(nodes[(number + 1) % size])
    return frozenset(map(id, nodes))


def found(report):
    """Say of every cycle which objects lie on it and what is known of it."""
    return {
        frozenset(cycle.object_ids): (
            cycle.shallow_bytes,
            cycle.retained_count,
            cycle.retained_bytes,
            dict(cycle.type_names),
            cycle.shape.path,
            cycle.shape.key,
            cycle.shape.edges,
        )
        for cycle in report.cycles
    }


def children():
    """List the processes whose parent this one is, zombies included."""
    tasks = f"/proc/{os.getpid()}/task"
    lists = [f"{tasks}/{task}/children" for task in os.listdir(tasks)]
    return [pid for path in lists for pid in Path(path).read_text().split()]


def descriptors():
    return sorted(os.listdir("/proc/self/fd"))


@pytest.fixture(autouse=True)
def nothing_is_left():
    """No test leaves a child or a descriptor behind."""
    memguard.scan("garbage", explain=False, mode="snapshot")
    before = children(), descriptors(), _core._native_bytes()
    yield
    _core._let_child("scan")
    _core._fail_fork_with(0)
    _core._copy_through_pipe(False)
    gc.collect()
    assert (children(), descriptors(), _core._native_bytes()) == before


def scan_while(change, kind="garbage", **options):
    """Take a snapshot, and change the program before its answer is looked at."""
    done = []

    def change_once():
        if not done:
            done.append(change())
        return False

    return scan_beyond(None, kind, mode="snapshot", is_cancelled=change_once, **options)


@pytest.mark.parametrize("kind", ["garbage", "live"])
@hypothesis.given(plans())
@hypothesis.settings(max_examples=25)
def test_a_snapshot_finds_what_a_scan_of_the_same_moment_finds(kind, plan):
    """Cycles, sizes, types, paths: all the same."""
    gc.collect()
    # What the tests themselves are goes on between the two.
    gc.freeze()
    held = build(plan)
    with memguard.scan(kind, mode="snapshot") as there:
        answer = found(there), there.unreachable_count, there.suspect_count
        types = dict(there.unreachable_types)
        assert (there.mode, there.fallback_reason) == ("snapshot", "")
    with memguard.scan(kind) as here:
        assert here.mode == "inline"
        assert answer == (found(here), here.unreachable_count, here.suspect_count)
        assert types == dict(here.unreachable_types)
    del held


def test_documents_of_both_are_the_same():
    """Advice, pictures and held types are read from one cycle that is still there."""
    for _ in range(3):
        ring(4)

    def document(mode):
        with memguard.scan("garbage", mode=mode) as report:
            given = report.to_dict()
        for cycle in given["cycles"]:
            cycle["object_ids"].sort()
        for name in ("duration_seconds", "pause_seconds", "side_table_bytes", "mode"):
            del given[name]
        return {
            name: value
            for name, value in given.items()
            if name not in ("object_count", "edge_count", "copied_bytes")
        }

    assert document("snapshot") == document("inline")


@pytest.mark.native
def test_the_options_of_a_scan_hold_for_a_snapshot():
    """Roots, types, limits and cuts are passed on."""
    loop = self_loop()
    ring(2)
    live = memguard.scan("live", roots=[loop], mode="snapshot")
    assert [cycle.object_ids for cycle in live.cycles] == [(id(loop),)]
    assert live.objects(live.cycles[0]) == [loop]
    assert memguard.scan("garbage", types=[Plain], mode="snapshot").cycle_count == 0
    assert memguard.scan("garbage", types=[Vertex], mode="snapshot").cycle_count == 1
    few = memguard.scan("live", max_objects=100, mode="snapshot")
    assert (few.complete, few.stopped_by) == (False, "max_objects")
    with pytest.raises(memguard.UnknownOptionError, match="'inline', 'snapshot'"):
        memguard.scan(mode="fork")


def test_the_pause_of_a_scan_in_the_process_is_all_of_it():
    """Of a snapshot it is measured apart."""
    there, here = (
        memguard.scan("live", explain=False, mode=mode) for mode in ("snapshot", "inline")
    )
    assert there.pause_seconds > 0
    assert there.duration_seconds > 0
    assert here.pause_seconds == here.duration_seconds
    assert here.copied_bytes == 0


@pytest.mark.native
@pytest.mark.parametrize("through_pipe", [False, True])
def test_what_was_freed_since_is_counted_and_not_touched(through_pipe):
    """Its types are known by name, its references are not."""
    _core._copy_through_pipe(through_pipe)
    ids = ring(5)
    report = scan_while(gc.collect, types=[VERTEX])
    (cycle,) = report.cycles
    assert frozenset(cycle.object_ids) == ids
    assert dict(cycle.type_names) == {VERTEX: 5}
    assert cycle.shape.path == f"{VERTEX} (not found again after the snapshot)"
    assert cycle.shape.advice is None
    assert json.loads(report.to_json())["shapes"][0]["exemplar"]["members"] == []
    with pytest.raises(CycleGoneError, match="since the snapshot"):
        report.objects(cycle)


@pytest.mark.native
def test_a_class_that_is_gone_is_still_named():
    """Its name was read in the child."""

    def leave_class():
        cls = type("Ended", (), {"__module__": "of.program"})
        node = cls()
        node.itself = node

    leave_class()
    report = scan_while(gc.collect)
    assert report.unreachable_types["of.program.Ended"] == 1
    assert any("of.program.Ended" in shape.type_names for shape in report.shapes)


@pytest.mark.parametrize("through_pipe", [False, True])
def test_what_lies_in_unmapped_memory_is_not_read(through_pipe):
    """Arenas go back to the system when all in them is freed."""
    _core._copy_through_pipe(through_pipe)
    rings = [ring(100) for _ in range(3_000)]
    report = scan_while(gc.collect, types=[VERTEX])
    assert report.cycle_count == len(rings)
    gone = 0
    for cycle in report.cycles:
        try:
            report.objects(cycle)
        except CycleGoneError:
            gone += 1
    assert gone == len(rings)


@pytest.mark.native
def test_a_reference_that_was_cut_since_is_noticed():
    """All objects are there, and are a cycle no more."""
    one, other = Vertex(), Vertex()
    one.append(other)
    other.append(one)
    report = scan_while(other.clear, "live", types=[VERTEX])
    assert [frozenset(cycle.object_ids) for cycle in report.cycles] == [{id(one), id(other)}]
    with pytest.raises(CycleGoneError):
        report.objects(report.cycles[0])


def test_another_object_at_the_same_address_is_not_taken_for_it():
    """Freed blocks are used again, and often for the like."""
    for _ in range(2_000):
        self_loop()

    def replace():
        gc.collect()
        for _ in range(4_000):
            replaced.append(Vertex())

    replaced = []
    report = scan_while(replace, types=[VERTEX])
    at = {id(vertex) for vertex in replaced}
    reused = [cycle for cycle in report.cycles if cycle.object_ids[0] in at]
    assert len(reused) > 100
    for cycle in reused:
        with pytest.raises(CycleGoneError):
            report.objects(cycle)


@pytest.mark.native
def test_one_that_is_left_stands_for_its_shape():
    """References are named as long as one cycle of the first few is as it was."""
    boxes = [Vertex() for _ in range(10)]
    for box in boxes:
        box.append(box)

    def take_most_apart():
        for box in boxes[:6] + boxes[7:]:
            box.clear()

    report = scan_while(take_most_apart, "live", types=[VERTEX])
    (shape,) = report.shapes
    assert (shape.cycle_count, shape.path) == (10, f"{VERTEX}[0] -> {VERTEX}")
    assert shape.exemplar.object_ids == (id(boxes[6]),)
    assert shape.advice.cycle_count == 1


@pytest.mark.native
def test_only_what_stands_for_a_shape_is_held():
    """A report of a snapshot keeps next to nothing alive."""
    rings = [ring(3) for _ in range(50)]
    with memguard.scan("garbage", types=[VERTEX], mode="snapshot") as report:
        assert report.cycle_count == len(rings)
        gc.collect()
        left = [v for v in gc.get_objects() if type(v) is Vertex]
        assert len(left) == 3
        del left
    assert gc.collect() == 3


def test_what_is_too_large_to_look_for_again_is_counted_and_said_to_be():
    """Looking takes the time of all; who asks for the objects gets them."""
    ids = ring(_core.MOST_HELD_MEMBERS + 1)
    report = memguard.scan("garbage", types=[VERTEX], mode="snapshot")
    (shape,) = report.shapes
    assert "of 2,049 objects: too many to look for after the snapshot" in shape.path
    assert shape.advice is None
    assert {id(vertex) for vertex in report.objects(shape.exemplar)} == ids


def test_only_so_many_are_looked_for_in_all():
    """However many shapes there are."""
    sizes = range(1_500, 1_510)
    for size in sizes:
        ring(size)
    report = memguard.scan("garbage", types=[VERTEX], mode="snapshot")
    assert len(report.shapes) == len(sizes)
    named = [shape for shape in report.shapes if shape.edges]
    assert 0 < sum(sum(shape.type_names.values()) for shape in named) <= _core.MOST_LOOKED_AT
    assert len(named) == _core.MOST_LOOKED_AT // 1_510


def test_a_process_that_is_forked_meanwhile_does_not_end_the_child():
    """Dropping its copy of the snapshot closes a pipe, and no more."""
    _core._let_child("hang")
    snapshot = _core.Snapshot("garbage", 0, None, 0, 0.0)
    (child,) = children()
    forked = os.fork()
    if forked == 0:
        del snapshot
        os._exit(0)
    assert os.waitpid(forked, 0)[1] == 0
    assert Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0] == "S"
    _, end, _ = snapshot.answer(lambda: True)
    assert end == "was given up"


def test_the_first_snapshot_leaves_no_garbage_of_memguard():
    """What it loads is not what it finds."""
    code = """
        import gc
        gc.disable()
        import memguard
        print(memguard.scan("garbage").unreachable_count)
        print(memguard.scan("garbage", mode="snapshot").unreachable_count)
    """
    before, after = run_fresh(code).split()
    assert before == after


@pytest.mark.parametrize(
    "number", [errno.ENOMEM, errno.EAGAIN, errno.EPERM, errno.ENOSYS], ids=errno.errorcode.get
)
def test_where_no_child_is_to_be_had_the_scan_is_inline_and_says_so(number):
    """The reason is the system's own."""
    _core._fail_fork_with(number)
    ids = ring(3)
    report = memguard.scan("garbage", types=[VERTEX], mode="snapshot")
    assert report.mode == "inline"
    assert errno.errorcode[number] in report.fallback_reason
    assert [frozenset(cycle.object_ids) for cycle in report.cycles] == [ids]


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [("crash", "killed by SIGKILL"), ("end early", "ended with status 3")],
)
def test_a_child_that_dies_is_reported(behaviour, reason):
    """The error says how it ended, and the process goes on."""
    _core._let_child(behaviour)
    with pytest.raises(SnapshotFailedError, match=reason):
        memguard.scan("garbage", mode="snapshot")


def test_a_child_that_hangs_is_killed(monkeypatch):
    """After the longest time that one may take."""
    _core._let_child("hang")
    monkeypatch.setattr(snapshots, "LONGEST_SECONDS", 0.2)
    with pytest.raises(SnapshotFailedError, match=r"did not answer within 0\.2 s"):
        memguard.scan("garbage", mode="snapshot")


def test_a_scan_is_not_started_when_memory_is_short(monkeypatch):
    """The error says how much there is, and how much is wanted."""
    monkeypatch.setattr(snapshots, "LEAST_FREE_BYTES", 1 << 60)
    with pytest.raises(HeadroomShortError, match="are free before") as caught:
        memguard.scan("garbage", mode="snapshot")
    assert caught.value.needed_bytes == 1 << 60
    assert isinstance(caught.value, MemoryError)


@pytest.mark.native
def test_no_native_memory_at_any_point():
    """In the process or in the child: an error, and nothing is left."""
    ring(3)
    box = Vertex([Vertex()])
    box.append(box)
    before_bytes = _core._native_bytes()

    def messages_of(scan):
        messages = set()
        for number in range(1, 10_000):
            try:
                if scan(number) == 1:
                    return messages
            except (MemoryError, SnapshotFailedError) as error:
                messages.add(str(error).split(";")[0])
            finally:
                _core._fail_allocation_at(0)
            assert _core._native_bytes() == before_bytes
        return None

    def fails_in_child(number):
        _core._fail_allocation_at(number)
        with memguard.scan("garbage", types=[VERTEX], mode="snapshot") as report:
            return report.cycle_count

    def fails_afterwards(number):
        with scan_while(lambda: _core._fail_allocation_at(number), types=[VERTEX]) as report:
            return report.cycle_count

    # A child with less to allocate than the process lets that come to its own.
    assert messages_of(fails_in_child) >= {
        "no memory for the tables of the scan",
        "no snapshot: the child had no memory for its tables",
    }
    assert messages_of(fails_afterwards) >= {
        "no memory for the answer of a snapshot",
        "no memory to look whether a cycle is still there",
    }


def test_an_interrupt_ends_the_wait():
    """Ctrl-C in the main thread, while the child is at work."""
    _core._let_child("hang")
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        memguard.scan("garbage", mode="snapshot")
    timer.join()


def test_a_connection_that_is_closed_meanwhile_ends():
    """The child does not keep what the process had open."""
    _core._let_child("hang")
    here, there = socket.socketpair()
    seen = []

    def close():
        if not seen:
            here.close()
            there.settimeout(5)
            seen.append(there.recv(1))
        return True

    with pytest.raises(SnapshotFailedError):
        scan_beyond(None, "garbage", mode="snapshot", is_cancelled=close)
    there.close()
    assert seen == [b""]


def test_the_program_does_not_see_the_child_end():
    """No SIGCHLD, nothing for a wait for any child, handlers untouched."""
    signals = []
    before = signal.signal(signal.SIGCHLD, lambda number, frame: signals.append(number))
    try:
        assert memguard.scan("garbage", mode="snapshot").mode == "snapshot"
        with pytest.raises(ChildProcessError):
            os.waitpid(-1, os.WNOHANG)
        assert signals == []
        subprocess.run([sys.executable, "-c", ""], check=True)
        assert signals == [signal.SIGCHLD]
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_a_program_that_ignores_its_children_still_gets_the_answer():
    """With SIGCHLD ignored, the system reaps by itself."""
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        ring(2)
        assert memguard.scan("garbage", types=[VERTEX], mode="snapshot").cycle_count == 1
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_a_process_that_the_program_forks_meanwhile_does_not_hold_it_up():
    """It inherits the pipe, and lives longer than the child of the scan."""
    forked = []

    def fork():
        if not forked:
            child = os.fork()
            if child == 0:
                time.sleep(60)
                os._exit(0)
            forked.append(child)
        return False

    _core._let_child("end early")
    try:
        with pytest.raises(SnapshotFailedError, match="status 3"):
            scan_beyond(None, "garbage", mode="snapshot", is_cancelled=fork)
    finally:
        os.kill(forked[0], signal.SIGKILL)
        os.waitpid(forked[0], 0)


def test_the_child_ends_with_the_process():
    """However that ends."""
    code = """
        import os
        from pathlib import Path
        from memguard import _core
        from memguard.heap.scan import scan_beyond

        def die():
            tasks = f"/proc/{os.getpid()}/task"
            paths = [f"{tasks}/{task}/children" for task in os.listdir(tasks)]
            print(*(pid for path in paths for pid in Path(path).read_text().split()), flush=True)
            os._exit(0)

        _core._let_child("hang")
        scan_beyond(None, "garbage", mode="snapshot", is_cancelled=die)
    """
    child = int(run_fresh(code))
    deadline_seconds = time.monotonic() + 10
    while os.path.exists(f"/proc/{child}") and time.monotonic() < deadline_seconds:
        state = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0]
        if state == "Z":  # nobody here reaps what lost its parent
            break
        time.sleep(0.01)
    else:
        assert not os.path.exists(f"/proc/{child}")


def test_a_scan_of_a_task_leaves_the_loop_alone():
    """Other tasks run while the child is at work."""

    async def main():
        ring(2)
        _core._let_child("hang")
        scan = asyncio.create_task(memguard.ascan("garbage"))
        turns = 0
        while turns < 50:
            await asyncio.sleep(0.001)
            turns += 1
        assert not scan.done()
        scan.cancel()
        with pytest.raises(asyncio.CancelledError):
            await scan
        _core._let_child("scan")
        report = await memguard.ascan("garbage", types=[VERTEX])
        return report.mode, report.cycle_count

    assert asyncio.run(main()) == ("snapshot", 1)


def test_two_threads_scan_at_the_same_time():
    """Each has a child of its own."""
    ring(2)
    gc.collect()
    results = []

    def scan():
        for _ in range(20):
            with memguard.scan("live", explain=False, mode="snapshot") as report:
                results.append((report.mode, report.complete))

    threads = [threading.Thread(target=scan) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [("snapshot", True)] * 80


@pytest.mark.large
def test_five_hundred_scans_of_a_busy_process():
    """Threads in C code with its locks, and processes of asyncio, notice nothing."""
    ended = threading.Event()
    failures = []

    def busy(work):
        try:
            while not ended.is_set():
                work()
        except BaseException as error:
            failures.append(error)

    text = json.dumps({"numbers": list(range(2_000))})
    works = [
        lambda: zlib.decompress(zlib.compress(text.encode())),
        lambda: json.loads(text),
        lambda: ssl.create_default_context(),
        lambda: [bytearray(size) for size in range(1_000, 200_000, 9_973)],
        lambda: subprocess.run([sys.executable, "-S", "-c", ""], check=True),
    ]
    threads = [threading.Thread(target=busy, args=(work,)) for work in works]

    async def spawn():
        while not ended.is_set():
            process = await asyncio.create_subprocess_exec(
                "cat", stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
            out, _ = await process.communicate(b"x" * 100_000)
            assert (len(out), process.returncode) == (100_000, 0)

    threads.append(threading.Thread(target=busy, args=(lambda: asyncio.run(spawn()),)))
    for thread in threads:
        thread.start()
    modes = set()
    try:
        for number in range(effort(500, 100)):
            kind = ("garbage", "live")[number % 2]
            with memguard.scan(kind, explain=False, mode="snapshot") as report:
                modes.add((report.mode, report.complete))
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert failures == []
    assert modes == {("snapshot", True)}
