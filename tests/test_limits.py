"""The true memory limit, on machines made of files and on this one."""

from pathlib import Path

import pytest

from machines import GIB, MIB, V1_NONE, Machine, make_group
from memguard.pressure.limits import read_limits
from memguard.pressure.memory import MemoryReader, read_memory
from memguard.settings import PressureSettings
from process import run_fresh

resource = pytest.importorskip("resource", reason="control groups and rlimits are not Windows'")


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def limits(machine, **options):
    return read_limits(machine.root, **options)


def sources(machine, found):
    return [
        limit.source.removeprefix(str(machine.root))
        for limit in found.each
        if not limit.source.startswith("RLIMIT")
    ]


def test_without_groups_the_limit_is_ram(machine):
    """And it is said that there is no group."""
    found = limits(machine)
    assert found.hard_bytes == machine.ram_bytes
    assert found.soft_bytes is None
    assert "cgroup" in found.unknown


def v2(machine, path="/system.slice/agents.service"):
    machine.join(f"0::{path}")
    machine.mount("cgroup2", "/sys/fs/cgroup")


def test_the_smallest_limit_on_the_way_up_counts_in_version_2(machine):
    """Here it is the slice's, which tools that look at the own group or the root miss."""
    v2(machine)
    machine.group("sys/fs/cgroup/system.slice", memory_max=2 * GIB)
    machine.group("sys/fs/cgroup/system.slice/agents.service", memory_max=4 * GIB)
    assert limits(machine).hard_bytes == 2 * GIB


def test_max_is_no_limit(machine):
    """Nor is a file that is not there, as at the root."""
    v2(machine)
    machine.group("sys/fs/cgroup/system.slice", memory_max="max", memory_high="max")
    machine.group("sys/fs/cgroup/system.slice/agents.service", memory_max="max")
    found = limits(machine)
    assert (found.hard_bytes, found.soft_bytes) == (machine.ram_bytes, None)
    assert sources(machine, found) == ["RAM"]


def test_memory_high_is_a_soft_limit_and_memory_low_is_none(machine):
    """The kernel slows down at the one, and protects with the other."""
    v2(machine)
    machine.group("sys/fs/cgroup/system.slice", memory_high=GIB, memory_max=8 * GIB)
    machine.group(
        "sys/fs/cgroup/system.slice/agents.service",
        memory_low=MIB,
        memory_min=MIB,
        memory_high=3 * GIB,
    )
    found = limits(machine)
    assert (found.hard_bytes, found.soft_bytes) == (8 * GIB, GIB)


def test_a_resized_limit_is_seen(machine):
    """After the interval at which limits are read."""
    v2(machine)
    group = "sys/fs/cgroup/system.slice/agents.service"
    machine.group(group, memory_max=GIB)
    now = 100.0
    reader = MemoryReader(PressureSettings(limit_seconds=5), root=machine.root, clock=lambda: now)
    assert reader.limits().hard_bytes == GIB
    machine.group(group, memory_max=2 * GIB)
    now = 104.0
    assert reader.limits().hard_bytes == GIB
    now = 105.0
    assert reader.limits().hard_bytes == 2 * GIB


def v1(machine, path, top="/", point="/sys/fs/cgroup/memory"):
    machine.join(f"5:memory:{path}", f"3:cpu,cpuacct:{path}", "1:name=systemd:/init.scope")
    machine.mount("cgroup", "/sys/fs/cgroup/cpu,cpuacct", top, "rw,cpu,cpuacct")
    machine.mount("cgroup", point, top, "rw,memory")


def test_version_1_walks_up_too(machine):
    """Each group that counts those below it."""
    v1(machine, "/batch/worker")
    base = "sys/fs/cgroup/memory"
    machine.group(base, 1, memory_limit_in_bytes=V1_NONE, memory_use_hierarchy=1)
    machine.group(f"{base}/batch", 1, memory_limit_in_bytes=GIB, memory_use_hierarchy=1)
    machine.group(f"{base}/batch/worker", 1, memory_limit_in_bytes=V1_NONE)
    assert limits(machine).hard_bytes == GIB


def test_a_group_of_version_1_that_does_not_count_those_below_it_bounds_nobody(machine):
    """Without ``use_hierarchy`` its limit is for its own processes."""
    v1(machine, "/batch/worker")
    base = "sys/fs/cgroup/memory"
    machine.group(f"{base}/batch", 1, memory_limit_in_bytes=GIB, memory_use_hierarchy=0)
    machine.group(f"{base}/batch/worker", 1, memory_limit_in_bytes=3 * GIB)
    assert limits(machine).hard_bytes == 3 * GIB


def test_the_hierarchical_limit_of_version_1_knows_hidden_groups(machine):
    """A container sees only itself, and yet what its parents allow."""
    v1(machine, "/docker/abc", top="/docker/abc")
    machine.group(
        "sys/fs/cgroup/memory",
        1,
        memory_limit_in_bytes=V1_NONE,
        hierarchical_memory_limit=512 * MIB,
    )
    found = limits(machine)
    assert found.hard_bytes == 512 * MIB
    assert found.cgroup.contained


def test_the_root_of_a_mount_is_taken_off_the_path(machine):
    """A container of version 1 without a namespace has its own group at the mount."""
    v1(machine, "/docker/abc/inner", top="/docker/abc")
    machine.group("sys/fs/cgroup/memory", 1, memory_limit_in_bytes=2 * GIB)
    machine.group("sys/fs/cgroup/memory/inner", 1, memory_limit_in_bytes=V1_NONE)
    assert limits(machine).hard_bytes == 2 * GIB


def test_a_namespace_shows_the_own_group_as_the_root(machine):
    """What is above is hidden, and that is said."""
    machine.join("0::/")
    machine.mount("cgroup2", "/sys/fs/cgroup")
    machine.group("sys/fs/cgroup", memory_max=GIB)
    found = limits(machine)
    assert found.hard_bytes == GIB
    assert "pressure.limit_bytes" in found.unknown["cgroup ancestors"]


@pytest.mark.parametrize(
    ("path", "top"), [("/../sibling", "/"), ("/", "/.."), ("/..", "/../.."), ("/a", "/b")]
)
def test_a_process_outside_of_what_is_mounted_takes_what_it_can_see(machine, path, top):
    """Its own group has no name there; the mount may bound it, and is said to be doubtful."""
    machine.join(f"0::{path}")
    machine.mount("cgroup2", "/sys/fs/cgroup", top=top)
    machine.group("sys/fs/cgroup", memory_max=GIB)
    found = limits(machine)
    assert found.hard_bytes == GIB
    assert not found.cgroup.whole
    assert "cgroup ancestors" in found.unknown


def test_with_both_versions_the_one_that_controls_memory_counts(machine):
    """The other one's files say nothing of memory, or of all the machine."""
    machine.join("4:memory:/job", "0::/user.slice")
    machine.mount("cgroup", "/sys/fs/cgroup/memory", options="rw,memory")
    machine.mount("cgroup2", "/sys/fs/cgroup/unified")
    machine.group("sys/fs/cgroup/memory/job", 1, memory_limit_in_bytes=GIB)
    machine.write("sys/fs/cgroup/unified/memory.pressure", "some avg10=50.00 avg60=0 total=1")
    machine.group("sys/fs/cgroup/unified/user.slice", memory_max=MIB)
    found = limits(machine)
    assert found.hard_bytes == GIB
    assert found.cgroup.version == 1
    assert read_memory(root=machine.root).stall_ratio is None


def test_with_both_versions_memory_may_be_controlled_by_the_second(machine):
    """Where version 1 has only what systemd names."""
    machine.join("1:name=systemd:/job", "0::/job")
    machine.mount("cgroup", "/sys/fs/cgroup/systemd", options="rw,name=systemd")
    machine.mount("cgroup2", "/sys/fs/cgroup/unified")
    machine.group("sys/fs/cgroup/unified/job", memory_max=GIB)
    assert limits(machine).hard_bytes == GIB


def test_of_two_mounts_the_one_that_shows_more_counts(machine):
    """A part may be mounted again elsewhere."""
    machine.join("0::/pod/container")
    machine.mount("cgroup2", "/sys/fs/cgroup")
    machine.mount("cgroup2", "/mnt/own", top="/pod/container")
    machine.group("sys/fs/cgroup/pod", memory_max=GIB)
    machine.group("sys/fs/cgroup/pod/container", memory_max=2 * GIB)
    machine.group("mnt/own", memory_max=2 * GIB)
    assert limits(machine).hard_bytes == GIB


def test_a_mount_may_have_a_blank_in_its_name(machine):
    """The kernel writes it as a number."""
    machine.join("0::/job")
    machine.mount("cgroup2", "/mnt/control groups")
    machine.group("mnt/control groups/job", memory_max=GIB)
    assert limits(machine).hard_bytes == GIB


def test_a_group_that_is_gone_leaves_those_above_it(machine):
    """As for a path that the mount does not show."""
    v2(machine, "/slice/gone/deep")
    machine.group("sys/fs/cgroup/slice", memory_max=GIB)
    found = limits(machine)
    assert found.hard_bytes == GIB
    assert not found.cgroup.whole


def test_the_users_limit_counts_where_it_is_the_smallest(machine):
    """Beyond one that can be seen the kernel would kill anyway."""
    v2(machine)
    machine.group("sys/fs/cgroup/system.slice/agents.service", memory_max=GIB)
    assert limits(machine, override_bytes=512 * MIB).hard_bytes == 512 * MIB
    assert limits(machine, override_bytes=2 * GIB).hard_bytes == GIB


def test_what_is_used_of_a_limit_is_what_its_own_group_uses(machine):
    """Files that can be dropped do not count; siblings share what their parent allows."""
    v2(machine)
    machine.group("sys/fs/cgroup/system.slice", memory_max=GIB, current=900 * MIB)
    machine.group(
        "sys/fs/cgroup/system.slice/agents.service",
        memory_max=GIB,
        current=300 * MIB,
        inactive_file=50 * MIB,
    )
    reading = read_memory(root=machine.root)
    assert reading.cgroup_used_bytes == 250 * MIB
    assert reading.tightest.used_bytes == 900 * MIB
    assert reading.free_bytes == 124 * MIB
    assert reading.used_ratio == pytest.approx(900 / 1024)


def test_the_machine_uses_what_is_not_available(machine):
    """Caches that can be dropped are available."""
    machine.set_ram(available_bytes=16 * GIB)
    assert read_memory(root=machine.root).used_ratio == pytest.approx(0.75)


def test_the_users_limit_bounds_the_container_or_else_the_process(machine):
    """On a desktop the group of the session holds other programs, too."""
    machine.join("0::/")
    machine.mount("cgroup2", "/sys/fs/cgroup")
    machine.group("sys/fs/cgroup", current=700 * MIB)
    settings = PressureSettings(limit_bytes=1000 * MIB)
    assert read_memory(settings, root=machine.root).used_ratio == pytest.approx(0.7)
    machine.join("0::/session")
    machine.group("sys/fs/cgroup/session", current=900 * MIB)
    (machine.root / "sys/fs/cgroup/memory.current").unlink()
    assert read_memory(settings, root=machine.root).cgroup_used_bytes == 900 * MIB
    bounds = {
        bound.limit.source: bound.used_bytes
        for bound in read_memory(settings, root=machine.root).bounds
    }
    assert bounds["pressure.limit_bytes"] == 100 * MIB


def test_stalls_are_read_from_the_own_group(machine):
    """Version 2 tells them of each group."""
    v2(machine)
    group = "sys/fs/cgroup/system.slice/agents.service"
    machine.group(group)
    machine.write(
        f"{group}/memory.pressure",
        "some avg10=12.50 avg60=1.00 avg300=0.00 total=5\nfull avg10=3.00 avg60=0 total=1",
    )
    assert read_memory(root=machine.root).stall_ratio == 0.125


def test_what_is_not_known_is_none_and_said(machine):
    """Each None has a reason."""
    machine.write("proc/self/status", "Name:\tpython")
    reading = read_memory(root=machine.root)
    assert reading.swap_bytes is None
    assert reading.stall_ratio is None
    assert reading.cgroup_used_bytes is None
    assert {"swap", "stall", "cgroup"} <= set(reading.unknown)


@pytest.mark.parametrize(
    "text", ["", "nonsense", "0::", "x:y", "5:memory", "::::", "0::/a\n0::/b\n", "5:memory:\n"]
)
def test_files_of_a_strange_kernel_do_no_harm(machine, text):
    """What cannot be read is no limit."""
    machine.join(text)
    machine.mount("cgroup2", "/sys/fs/cgroup")
    machine.write("sys/fs/cgroup/memory.max", "many")
    assert limits(machine).hard_bytes == machine.ram_bytes


# On this machine.


def test_this_process_is_where_the_kernel_says():
    """What is read of it agrees with the system's own counters."""
    import psutil

    reading = read_memory()
    memory = psutil.Process().memory_info()
    assert reading.rss_bytes == pytest.approx(memory.rss, rel=0.1)
    assert reading.virtual_bytes is None or reading.virtual_bytes == pytest.approx(
        memory.vms, rel=0.1
    )
    total = psutil.virtual_memory().total
    assert read_limits().hard_bytes <= total


def test_the_limits_of_address_space_are_held_against_the_address_space():
    """Not against resident memory, of which they say nothing."""
    printed = run_fresh(
        """
        import resource
        from memguard.pressure.memory import read_memory
        limit = read_memory().virtual_bytes * 2
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
        reading = read_memory()
        for bound in reading.bounds:
            if bound.limit.source == "RLIMIT_AS":
                print(bound.limit.limit_bytes == limit, bound.used_bytes == reading.virtual_bytes)
            if bound.limit.source == "RLIMIT_DATA":
                print(bound.limit.limit_bytes == limit, bound.used_bytes == reading.data_bytes)
        """
    )
    assert printed.split() == ["True"] * 4


def test_a_real_group_is_found_with_its_limit_and_its_use():
    """A process that is moved into it sees both, and a resize."""
    folder = make_group(256 * MIB)
    if folder is None:
        pytest.skip("no control group can be made here")
    name = "memory.max" if (folder / "memory.max").exists() else "memory.limit_in_bytes"
    try:
        printed = run_fresh(
            f"""
            import os
            from pathlib import Path
            from memguard.pressure.memory import read_memory
            from memguard.pressure.limits import read_limits
            folder = Path({str(folder)!r})
            (folder / "cgroup.procs").write_text(str(os.getpid()))
            print(read_limits().hard_bytes)
            before = read_memory().cgroup_used_bytes
            held = bytearray(64 * 2**20)
            after = read_memory()
            print(56 * 2**20 < after.cgroup_used_bytes - before < 72 * 2**20)
            print(after.tightest.limit.limit_bytes, str(folder) in after.tightest.limit.source)
            (folder / {name!r}).write_text(str(512 * 2**20))
            print(read_limits().hard_bytes)
            """
        )
    finally:
        folder.rmdir()
    assert printed.split() == [
        *(str(256 * MIB), "True", str(256 * MIB), "True"),
        str(512 * MIB),
    ]


def test_every_file_that_is_opened_is_closed():
    """A service reads them for months."""
    folder = Path("/proc/self/fd")
    if not folder.exists():
        pytest.skip("only Linux shows what is open")
    read_memory()
    before = len(list(folder.iterdir()))
    for _ in range(20):
        read_memory()
    assert len(list(folder.iterdir())) == before


def test_a_limit_that_is_none_is_not_listed():
    """RLIM_INFINITY is no number of bytes."""
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    listed = any(limit.source == "RLIMIT_AS" for limit in read_limits().each)
    assert listed == (soft != resource.RLIM_INFINITY)
