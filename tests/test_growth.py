"""What grows with each run is found and named, and nothing else is."""

import asyncio
import collections
import functools
import gc
import itertools
import json
import queue
import random
import struct
import subprocess
import sys
import weakref

import pytest

import memguard
from memguard.heap.growth.history import History
from memguard.heap.growth.trend import steady_rise

RECORD = struct.Struct("=6Q")
numbers = itertools.count()


class Node:
    """An object of the program."""


# The trend.

PLACES = list(range(51))


def rise(values, least=4):
    return steady_rise(PLACES[: len(values)], values, least)


def test_one_entry_a_run_has_the_slope_of_one():
    """Exactly."""
    assert rise(PLACES).per_unit == 1.0


def test_an_entry_now_and_then_has_the_mean_slope():
    """Though the median of the slopes between neighbours is zero."""
    assert rise([place // 5 for place in PLACES]).per_unit == pytest.approx(0.2, abs=0.02)


def test_noise_does_not_hide_a_leak_nor_move_its_slope():
    """Requests in flight come and go beside it."""
    noise = random.Random(1)
    values = [3 * place + noise.randrange(6) for place in PLACES]
    assert rise(values).per_unit == pytest.approx(3, abs=0.1)


@pytest.mark.parametrize(
    "values",
    [
        [min(place, 20) for place in PLACES],
        [7] * 20 + [70] * 31,
        [place % 12 for place in PLACES],
        [int(40 * (1 - 0.9**place)) for place in PLACES],
        [50 - place for place in PLACES],
        [5] * 51,
        [0, 1, 2],
    ],
    ids=["fills and stops", "one step", "saw-tooth", "saturates", "falls", "constant", "few"],
)
def test_what_does_not_rise_steadily_is_no_growth(values):
    """Caches, pools, buffers and queues."""
    assert rise(values) is None


def test_a_queue_that_comes_and_goes_is_hardly_ever_growth():
    """A random walk is in order by chance more often than independent numbers."""
    noise = random.Random(2)
    found = 0
    for _ in range(400):
        values = [0]
        for _ in range(50):
            values.append(max(0, values[-1] + noise.choice((-2, -1, 0, 1, 2))))
        found += rise(values) is not None
    assert found <= 4


def test_what_becomes_ever_slower_is_hardly_ever_growth():
    """Five requests a run by a hundred users: those who are new are ever fewer."""
    found = 0
    for seed in range(100):
        noise, seen, values = random.Random(seed), set(), []
        for _ in range(61):
            seen.update(noise.choices(range(100), k=5))
            values.append(len(seen))
        found += rise(values[-51:]) is not None
    assert found <= 3


def test_a_leak_at_random_moments_is_growth_nearly_always():
    """By chance its end is slower than its begin as often as not."""
    found = 0
    for seed in range(100):
        noise, values = random.Random(seed), [0]
        for _ in range(50):
            values.append(values[-1] + (noise.random() < 0.5) * noise.randrange(1, 20))
        found += rise(values) is not None
    assert found >= 95


# The looks that are remembered.


def pack(*records):
    return b"".join(RECORD.pack(*record) for record in records)


def test_looks_that_become_one_keep_both_ends():
    """The length before the first and after the last, and the rate stays what it was."""
    history = History(8)
    halved = 0
    for look in range(30):
        changes = pack((16, 32, 10 + look - 1, 10 + look, 100, 0)) if look else b""
        halved += history.add(look, changes, [("app.Node", 5 + look, 50)])
    assert halved > 0
    assert history.look_count <= 8
    [(place, series)] = history.containers(0)
    assert place == (16, 32)
    assert [count - at for count, at in zip(series.counts, series.places, strict=True)] == (
        [10] * len(series.places)
    )
    [(name, types)] = history.types(0)
    assert name == "app.Node"
    assert [count - at for count, at in zip(types.counts, types.places, strict=True)] == (
        [5] * len(types.places)
    )


def remembered_bytes(history):
    looks = history._looks
    return sum(map(len, (*looks.changes, *looks.types)))


def test_what_came_and_went_is_forgotten():
    """Classes made for one run, and containers that lived for one, ever others."""
    history, sizes = History(8), []
    for look in range(2000):
        there = [(64 * look + 64, 32, 0, 9, 100, 0)]
        gone = [(64 * look, 32, 9, 0, 100, 0)]
        history.add(look, pack(*there, *gone), [(f"app.Model{look}", 3, 90)])
        sizes.append(remembered_bytes(history))
    assert max(sizes[1000:]) <= 1.5 * max(sizes[:100])
    assert len([*history.types(0, least=0)]) < 10


def test_many_containers_that_grow_are_remembered_in_few_bytes():
    """All that a look adds of a container is much like what the look before added."""
    history = History(64)
    for look in range(20):
        history.add(look, pack(*((64 * n, 32, look, look + 1, 100, 0) for n in range(5000))), [])
    assert remembered_bytes(history) < 20 * 5000 * RECORD.size / 3


def test_a_look_that_is_interrupted_leaves_no_trace(monkeypatch):
    """Wherever it was: the looks before it, and those after it, keep their numbers."""
    for interrupted_at in range(1, 20):
        history = History(4)
        for look in range(4):
            history.add(look, pack((16, 32, look, look + 1, 100, 0)), [("app.Node", look, 50)])
        calls = itertools.count(1)

        def interrupted(*arguments, calls=calls, at=interrupted_at, make=json.dumps):
            if next(calls) == at:
                raise KeyboardInterrupt
            return make(*arguments)

        with monkeypatch.context() as patched:
            patched.setattr(json, "dumps", interrupted)
            try:
                history.add(4, pack((16, 32, 4, 5, 100, 0)), [("app.Node", 4, 50)])
            except KeyboardInterrupt:
                assert list(history.places) == [0, 1, 2, 3]
            else:
                break
        history.add(5, pack((16, 32, 5, 6, 100, 0)), [("app.Node", 5, 50)])
        [(_, series)] = history.containers(0)
        assert (series.places[-1], series.counts[-1]) == (5, 6)
        assert len(series.places) == history.look_count
    assert interrupted_at > 1


# The whole.

SESSIONS = {}


def test_a_registry_is_named_by_its_module():
    """With one entry per run, exactly."""
    SESSIONS.clear()

    def run():
        SESSIONS[f"user-{next(numbers)}"] = Node()

    report = memguard.growth(run, 20)
    [finding] = report.findings
    assert finding.text == f"{__name__}.SESSIONS +1.00 entry per run"
    assert finding.kind == "dict"
    assert finding.entries_per_run == 1.0
    assert finding.bytes_per_run > object.__sizeof__(Node())
    assert (f"{__name__}.Node", 1.0) in finding.types
    assert report.look_count == 21
    assert str(finding) in str(report)
    assert json.loads(report.to_json())["findings"][0]["name"] == finding.name
    SESSIONS.clear()


def test_a_list_of_nodes_without_a_container_is_told_by_its_type():
    """Each holds the one before."""
    head = [Node()]

    def run():
        node = Node()
        node.before = head[0]
        head[0] = node

    [finding] = memguard.growth(run, 20).findings
    assert (finding.kind, finding.name) == ("type", f"{__name__}.Node")
    assert finding.entries_per_run == 1.0


class Cache:
    """A cache that keeps more for each request in several tables."""

    def __init__(self):
        self.by_id = {}
        self.order = []
        self.lines = collections.defaultdict(dict)


CACHE = Cache()


def test_tables_of_one_object_are_one_finding():
    """The first of them, and the others beside it."""

    def run():
        number = next(numbers)
        CACHE.by_id[number] = Node()
        CACHE.order.append(number)
        CACHE.lines["all"][number] = None

    [finding] = memguard.growth(run, 20).findings
    assert finding.name == f"{__name__}.CACHE.by_id"
    assert f"{__name__}.CACHE.order" in finding.also
    assert len(finding.also) == 2


def test_coroutines_run_in_one_loop():
    """Which is looked at while it is there, with the timers that it holds."""
    loops = set()

    async def run():
        loop = asyncio.get_running_loop()
        loops.add(id(loop))
        loop.call_later(3600, int)

    [finding] = memguard.growth(run, 20).findings
    assert len(loops) == 1
    assert finding.name.endswith("._scheduled")


def test_coroutines_inside_a_running_loop_are_refused(recwarn):
    """With what to call, and no coroutine is left that was never awaited."""

    async def run():
        pytest.fail("it ran")

    async def main():
        with pytest.raises(memguard.WouldBlockLoopError, match="to_thread"):
            memguard.growth(run, 10)

    asyncio.run(main())
    gc.collect()
    assert not recwarn.list


class Compiled:
    """What Cython makes of a coroutine function gives objects of a class of its own."""

    def __init__(self, coroutine):
        self.send, self.throw, self.close = coroutine.send, coroutine.throw, coroutine.close
        self._coroutine = coroutine

    def __await__(self):
        return self._coroutine.__await__()

    def send(self, value): ...

    def throw(self, error): ...

    def close(self): ...


def test_coroutines_of_another_class_are_awaited():
    """They are known by what they can do."""
    kept = []

    async def run():
        await asyncio.sleep(0)
        kept.append([1])

    [finding] = memguard.growth(lambda: Compiled(run()), 10).findings
    assert finding.name.endswith(".kept")


def test_what_a_run_returns_is_not_asked_for_its_class():
    """That may be a property."""

    class Result:
        @property
        def __class__(self):
            raise AssertionError("asked")

    assert memguard.growth(Result, 10).findings == ()


def test_an_error_of_the_function_passes():
    """And no coroutine is left that was never awaited."""

    async def fails():
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        memguard.growth(fails, 10)

    def fails_at_once():
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        memguard.growth(fails_at_once, 10)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"runs": 6}, "runs"),
        ({"runs": True}, "runs"),
        ({"warmup": 0}, "warmup"),
        ({"floor": 0}, "floor"),
        ({"floor": 2**64}, "floor"),
    ],
)
def test_numbers_out_of_range_are_named(arguments, named):
    """Before anything runs."""
    with pytest.raises(memguard.LimitOutOfRangeError, match=named):
        memguard.growth(lambda: pytest.fail("it ran"), **arguments)


def test_what_cannot_be_called_is_refused():
    """With what to give."""
    with pytest.raises(memguard.WrongTypeError, match="lambda"):
        memguard.growth(3)


def test_bounded_containers_are_no_finding_before_they_are_full():
    """They say themselves how long they may become."""
    last = collections.deque(maxlen=1000)

    @functools.lru_cache(maxsize=1000)
    def cached(number):
        return [number]

    def run():
        last.append(cached(next(numbers)))

    assert memguard.growth(run, 20).findings == ()


SHARDS = [[] for _ in range(6)]


def test_lists_of_one_list_are_one_finding():
    """Shards, each of which gets its part."""

    def run():
        for shard in SHARDS:
            shard.append(Node())

    [finding] = memguard.growth(run, 20).findings
    assert (finding.name, finding.entries_per_run) == (f"{__name__}.SHARDS[int]", 6.0)
    assert finding.path == f"{__name__}.SHARDS[int] -> list"


class Service:
    """A program that has its queue, and caches of its methods."""

    def __init__(self):
        self.jobs = queue.Queue()
        self.done = queue.Queue()

    @staticmethod
    @functools.lru_cache(maxsize=None)  # noqa: UP033 - this is the leak
    def parsed(text):
        """Parse a text."""
        return [text]

    @classmethod
    @functools.lru_cache(maxsize=None)  # noqa: UP033 - as above
    def made(cls, text):
        """Make it of a text."""
        return [text]


SERVICES = {"first": Service()}


def test_what_a_class_of_python_has_is_called_by_what_of_the_program_has_that():
    """All queues are called the same, and so are all static methods."""

    def run():
        SERVICES["first"].jobs.put(Node())
        for _ in range(2):
            SERVICES["first"].done.put("done")

    found = [finding.name for finding in memguard.growth(run, 20).findings]
    assert found == [f"{__name__}.Service.done.queue", f"{__name__}.Service.jobs.queue"]


@pytest.mark.parametrize("name", ["parsed", "made"])
def test_a_cache_of_a_static_method_is_called_as_the_method_is(name):
    """And one of a class method."""
    [finding] = memguard.growth(lambda: getattr(Service, name)(str(next(numbers))), 20).findings
    assert finding.name == f"{__name__}.Service.{name}"
    assert finding.kind == "lru_cache"


def test_a_leak_is_found_behind_many_that_grow_faster():
    """And the memory of those is not its own."""
    SESSIONS.clear()
    faster = [[0] * 5 for _ in range(300)]

    def run():
        for one in faster:
            one.extend([0] * 5)
        SESSIONS[next(numbers)] = [1]

    first, second = memguard.growth(run, 20).findings
    assert (first.name.endswith("().faster[int]"), first.entries_per_run) == (True, 1500.0)
    assert second.name == f"{__name__}.SESSIONS"
    assert second.bytes_per_run < 1000
    SESSIONS.clear()


def test_what_is_left_out_is_said():
    """For it must not pass for well."""
    report = memguard.growth(lambda: None, 10, floor=128)
    assert "containers that never had 128 entries are left out" in str(report)
    assert "left out" not in str(memguard.growth(lambda: None, 10))


class Hostile(dict):
    """Whatever is asked of it fails."""

    def fail(self, *_):
        raise AssertionError("asked")

    __len__ = __iter__ = __repr__ = __eq__ = __getitem__ = __contains__ = fail
    __hash__ = __bool__ = items = keys = values = fail


class Liar(type):
    """So do its classes."""

    @property
    def __name__(cls):
        raise AssertionError("asked")


class Attributes(metaclass=Liar):
    def __getattribute__(self, name):
        raise AssertionError("asked")


def test_no_code_of_the_program_runs():
    """Nor of its classes."""
    store = Hostile()

    def run():
        dict.__setitem__(store, next(numbers), Attributes())

    [finding] = memguard.growth(run, 20).findings
    assert finding.entries_per_run == 1.0


def test_a_tracker_says_when_it_knows_too_little():
    """And takes places that rise only."""
    tracker = memguard.GrowthTracker("run")
    tracker.observe(1)
    assert not tracker.report().is_enough
    assert "too few looks" in str(tracker.report())
    with pytest.raises(memguard.LimitOutOfRangeError, match="place"):
        tracker.observe(1)


@pytest.mark.parametrize("place", [float("nan"), float("inf"), -float("inf")])
def test_a_first_look_is_somewhere(place):
    """Nothing comes after what is no number, and nothing else would ever be looked at."""
    with pytest.raises(memguard.LimitOutOfRangeError, match="place"):
        memguard.GrowthTracker("run").observe(place)


def test_a_tracker_on_a_schedule_counts_by_the_minute():
    """However long it runs, it remembers no more than 64 looks."""
    seconds = itertools.count(step=30)
    tracker = memguard.GrowthTracker(clock=lambda: next(seconds))
    store = {}
    for number in range(150):
        store[number] = Node()
        tracker.observe()
    assert tracker.look_count <= 64
    report = tracker.report()
    [finding] = report.findings
    assert finding.text.endswith("+2.00 entries per minute")
    assert report.unit == "minute"


def test_a_tracker_does_not_find_itself():
    """What it remembers is no part of what grows."""
    tracker = memguard.GrowthTracker("run")
    for number in range(60):
        tracker.observe(number)
    assert tracker.report().findings == ()


# On the command line.

LEAKING = """
import sys, time
from memguard import GrowthTracker

class Service:
    def __init__(self):
        self.sessions = {}
        self.looks = 0

def main():
    # An entry for each look, and a minute, however slow the machine is.
    service = Service()
    observe = GrowthTracker.observe

    def counted(tracker):
        service.looks += 1
        service.sessions[service.looks] = [service.looks]
        return observe(tracker, float(service.looks))

    GrowthTracker.observe = counted
    while service.looks < int(sys.argv[1]):
        time.sleep(0.001)
    GrowthTracker.observe = lambda tracker: False

main()
"""


def run_with_growth(tmp_path, *options):
    script = tmp_path / "service.py"
    script.write_text(LEAKING)
    command = [sys.executable, "-m", "memguard", "run", "--growth", *options, str(script), "30"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stderr
    return run.stderr


def test_a_program_is_looked_at_while_it_runs(tmp_path):
    """What only its main function held is named, though that has ended."""
    said = run_with_growth(tmp_path)
    assert "__main__.Service.sessions +1.00 entry per minute" in said
    assert "frame main().service" in said


def test_growth_is_also_a_document(tmp_path):
    """One object per line, as for cycles."""
    lines = run_with_growth(tmp_path, "--format", "json").splitlines()
    [document] = [one for one in map(json.loads, lines) if one["kind"] == "growth"]
    assert document["findings"][0]["name"] == "__main__.Service.sessions"


def test_what_went_after_the_last_look_keeps_the_name_that_it_had():
    """As a variable of a function that ended; what was emptied before is no finding."""
    tracker = memguard.GrowthTracker("run", collect=True, warmup_looks=0)
    holder = Node()
    holder.held = []
    for number in range(20):
        holder.held.append([number])
        tracker.observe(number)
        if number == 15:
            [finding] = tracker.report().findings
            assert finding.name.endswith("Node.held")
    del holder.held
    [finding] = tracker.report().findings
    assert finding.name.endswith("Node.held")
    for number in range(20, 25):
        tracker.observe(number)
    assert tracker.report().findings == ()


def leaking_closure():
    rows, by_id = [], {}

    def run():
        rows.append((next(numbers), Node()))
        by_id[next(numbers)] = None
        by_id[next(numbers)] = None

    return run


def test_what_only_the_function_holds_is_named_by_it():
    """A function that was made for the call is held by memguard alone, and counts all the same."""
    report = memguard.growth(leaking_closure(), 20)
    assert sorted(finding.name for finding in report.findings) == [
        "function leaking_closure.<locals>.run().<closure by_id>",
        "function leaking_closure.<locals>.run().<closure rows>",
    ]
    assert "memguard" not in str(report)


def test_keys_of_a_weak_dictionary_that_its_values_hold_are_named():
    """The well-known way to make one leak: a value that refers to its key."""
    table = weakref.WeakKeyDictionary()

    def run():
        key = Node()
        table[key] = [key]

    [finding] = memguard.growth(run, 20).findings
    assert finding.name.endswith("().table.data")


@pytest.mark.parametrize(
    "make",
    [
        lambda: collections.deque(maxlen=500),
        lambda: type("Cache", (dict,), {"max_entries": 500})(),
        lambda: type("Cache", (dict,), {"__slots__": ("_maxsize",)})(),
    ],
    ids=["deque", "class", "slot"],
)
def test_what_says_how_long_it_may_become_is_told_once_it_is_longer(make):
    """And not before; a deque never is."""
    store = make()
    if hasattr(type(store), "_maxsize"):
        store._maxsize = 500
    add = (
        store.append
        if isinstance(store, collections.deque)
        else lambda n: dict.update(store, {n: [n]})
    )

    def run():
        add(next(numbers))

    assert memguard.growth(run, 20).findings == ()
    for _ in range(600):
        run()
    found = memguard.growth(run, 20).findings
    assert [finding.kind for finding in found] == ([] if hasattr(store, "maxlen") else ["dict"])


def test_a_limit_of_something_else_is_none():
    """Of bytes, of what lies beside, or of another name."""

    class Service:
        client_max_size = 10_000
        max_size = 10**7
        max_iterations = 500

        def __init__(self):
            self.rows = []

    service = Service()
    [finding] = memguard.growth(lambda: service.rows.append([1]), 20).findings
    assert finding.name.endswith("Service.rows")
