"""What is read of memory: rates, what follows from several numbers, allocators."""

import sys

import pytest

from machines import MIB, Machine
from memguard.pressure.allocator import estimate_small_bytes, read_malloc, trim_malloc
from memguard.pressure.costly import Costly
from memguard.pressure.limits import Limit
from memguard.pressure.memory import MemoryReader, read_memory
from memguard.pressure.reading import Bound, MemoryReading
from memguard.settings import PressureSettings

linux = pytest.mark.skipif(sys.platform != "linux", reason="files of Linux, and its malloc")


def reading(**values):
    unknown = dict.fromkeys(MemoryReading.__dataclass_fields__) | {"bounds": (), "unknown": {}}
    return MemoryReading(**unknown | {"rss_bytes": 100} | values)


def bound(limit_bytes, used_bytes, *, soft=False):
    return Bound(Limit(limit_bytes, "some", "process", soft), used_bytes)


def test_the_tightest_limit_is_the_one_of_which_most_is_in_use():
    """A soft one counts, too; what is left is left of those that kill."""
    found = reading(bounds=(bound(1000, 500), bound(100, 40), bound(400, 390, soft=True)))
    assert found.tightest.limit.limit_bytes == 400
    assert found.used_ratio == pytest.approx(0.975)
    assert found.free_bytes == 60


def test_without_a_limit_nothing_is_said_of_shares():
    """Not even zero."""
    found = reading()
    assert (found.tightest, found.used_ratio, found.free_bytes) == (None, None, None)


def test_a_limit_below_what_is_in_use_leaves_nothing():
    """As after a resize; one of no bytes, too."""
    assert (bound(100, 150).free_bytes, bound(100, 150).used_ratio) == (0, 1.5)
    assert bound(0, 150).used_ratio == 150


def test_fragmentation_is_the_share_of_pages_in_which_nothing_is_in_use():
    """Both allocators' blocks count; an estimate that is too high is no negative share."""
    values = {"malloc_in_use_bytes": 30, "small_bytes_estimate": 20}
    assert reading(private_bytes=200, **values).fragmentation_ratio == 0.75
    assert reading(private_bytes=40, **values).fragmentation_ratio == 0.0
    assert reading(private_bytes=40).fragmentation_ratio is None


@linux
def test_each_source_is_read_at_its_rate(tmp_path):
    """What is in use more often than limits."""
    machine, now = Machine(tmp_path), 0.0
    settings = PressureSettings(usage_seconds=1, limit_seconds=10)
    reader = MemoryReader(settings, root=machine.root, clock=lambda: now)
    machine.join("0::/job")
    machine.mount("cgroup2", "/sys/fs/cgroup")
    machine.group("sys/fs/cgroup/job", memory_max=1000 * MIB, current=100 * MIB)
    assert reader.read().used_ratio == pytest.approx(0.5)  # the machine's RAM
    machine.group("sys/fs/cgroup/job", memory_max=100 * MIB, current=90 * MIB)
    now = 0.9
    assert reader.read().cgroup_used_bytes == 100 * MIB
    now = 1.0
    assert reader.read().cgroup_used_bytes == 90 * MIB
    assert reader.read().used_ratio == pytest.approx(0.5)
    now = 10.0
    assert reader.read().used_ratio == pytest.approx(0.9)
    machine.group("sys/fs/cgroup/job", memory_max=100 * MIB, current=95 * MIB)
    assert reader.read(fresh=True).used_ratio == pytest.approx(0.95)


def test_a_costly_source_is_read_the_later_the_more_it_costs():
    """At most so much of the time; what is cheap after its own interval."""
    now, cost = 0.0, 0.0
    reads = []

    def read():
        end = now_of_thread() + cost
        while now_of_thread() < end:
            pass
        reads.append(now)
        return len(reads)

    from time import thread_time as now_of_thread

    source = Costly(read, 1.0, most_ratio=0.01)
    assert source.get(lambda: now) == 1
    now = 0.5
    assert source.get(lambda: now) == 1
    now, cost = 1.0, 0.02
    assert source.get(lambda: now) == 2
    now, cost = 2.9, 0.0
    assert source.get(lambda: now) == 2
    source.expire()
    assert source.get(lambda: now) == 3


@linux
def test_malloc_says_what_it_gave_out_and_keeps():
    """A large block is in use while it lives."""
    before = read_malloc()
    held = bytearray(50 * MIB)
    during = read_malloc()
    del held
    after = read_malloc()
    assert during.in_use_bytes - before.in_use_bytes == pytest.approx(50 * MIB, rel=0.05)
    assert after.in_use_bytes - before.in_use_bytes < 5 * MIB
    assert trim_malloc()


def test_small_blocks_are_estimated_from_their_number():
    """Within a third, for strings."""
    before = estimate_small_bytes()
    if before is None:
        pytest.skip("this Python does not count its blocks")
    held = [f"{number:030}" for number in range(200_000)]
    grown = estimate_small_bytes() - before
    assert grown == pytest.approx(sum(map(sys.getsizeof, held)), rel=0.33)


def test_this_process_is_read_without_a_warning():
    """On every system; what is None has a reason."""
    found = read_memory()
    assert found.rss_bytes > MIB
    nones = {"malloc": found.malloc_in_use_bytes, "stall": found.stall_ratio}
    assert all(name in found.unknown for name, value in nones.items() if value is None)
