"""What is read of a machine: trees of /proc and /sys that the tests write themselves."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from queen.tune import machine

GIB = 1 << 30


def write(root: Path, **files: str) -> None:
    """Files of a tree, `__` in a name for `/` and the rest as it is."""
    for name, text in files.items():
        put(root, name.replace("__", "/"), text)


def put(root: Path, place: str, text: str) -> None:
    path = root / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A machine of 16 GiB and 8 processors without limits."""
    write(tmp_path, proc__meminfo="MemTotal:       16777216 kB\nMemFree:        100 kB\n")
    write(tmp_path, proc__7__status="Name:\tpostgres\nCpus_allowed_list:\t0-3,8,10-12\n", proc__7__cgroup="0::/\n")
    return tmp_path


def test_memory_that_is_not_in_use(root: Path) -> None:
    assert machine.available(root) is None
    put(root, "proc/meminfo", "MemTotal: 4096 kB\nMemAvailable:    1024 kB\n")
    assert machine.available(root) == 1 << 20


def test_without_limits_it_is_the_whole_machine(root: Path) -> None:
    put(root, "sys/fs/cgroup/memory.max", "max\n")
    assert machine.memory(7, root) == machine.Seen(16 * GIB, "MemTotal")
    cpus = machine.processors(7, root)
    assert cpus is not None
    assert cpus.value == 8


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("a/memory.max", str(4 * GIB)),
        ("a/b/memory.max", str(4 * GIB)),
        ("a/b/memory.high", str(4 * GIB)),
        ("memory.max", str(4 * GIB)),
    ],
)
def test_a_limit_of_any_group_above_counts(root: Path, place: str, text: str) -> None:
    put(root, "proc/7/cgroup", "0::/a/b\n")
    put(root, "sys/fs/cgroup/a/b/memory.max", "max\n")
    put(root, f"sys/fs/cgroup/{place}", text)
    found = machine.memory(7, root)
    assert found is not None
    assert found.value == 4 * GIB
    assert "control group" in found.where


def test_a_limit_beside_the_way_up_does_not_count(root: Path) -> None:
    put(root, "proc/7/cgroup", "0::/a/b\n")
    put(root, "sys/fs/cgroup/a/c/memory.max", str(GIB))
    put(root, "sys/fs/cgroup/a/b/c/memory.max", str(GIB))
    found = machine.memory(7, root)
    assert found is not None
    assert found.value == 16 * GIB


def test_the_first_version_of_control_groups(root: Path) -> None:
    put(root, "proc/7/cgroup", "9:memory:/docker/x\n4:cpu,cpuacct:/docker/x\n3:cpuset:/\n")
    put(root, "sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes", str(2 * GIB))
    put(root, "sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712")
    put(root, "sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_quota_us", "250000")
    put(root, "sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_period_us", "100000")
    found, cpus = machine.memory(7, root), machine.processors(7, root)
    assert found is not None
    assert found.value == 2 * GIB
    assert cpus is not None
    assert cpus.value == 3


def test_a_path_that_leads_out_of_what_is_mounted_leaves_the_top(root: Path) -> None:
    put(root, "proc/7/cgroup", "0::/../other\n")
    put(root, "sys/other/memory.max", str(GIB))
    put(root, "sys/fs/cgroup/memory.max", str(8 * GIB))
    found = machine.memory(7, root)
    assert found is not None
    assert found.value == 8 * GIB


@pytest.mark.parametrize(
    ("text", "cpus"), [("max 100000", 8), ("150000 100000", 2), ("50000 100000", 1), ("", 8), ("-1 100000", 8)]
)
def test_a_share_of_the_processors_is_rounded_up(root: Path, text: str, cpus: int) -> None:
    put(root, "sys/fs/cgroup/cpu.max", text)
    found = machine.processors(7, root)
    assert found is not None
    assert found.value == cpus


def test_a_system_that_tells_nothing(tmp_path: Path) -> None:
    assert machine.memory(7, tmp_path) is None
    assert machine.processors(7, tmp_path) is None
    assert machine.clock(tmp_path) is None
    assert machine.disk(tmp_path, tmp_path / "empty", (8, 1)) is None


def device(root: Path, place: str, turns: str) -> None:
    put(root, f"{place}/queue/rotational", turns + "\n")


def numbered(root: Path, number: str, place: str) -> None:
    link = root / "sys/dev/block" / number
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(root / place)


@pytest.mark.parametrize(
    ("name", "turns", "storage", "doubtful"),
    [
        ("sda", "1", "hdd", False),
        ("sda", "0", "ssd", False),
        ("nvme0n1", "0", "nvme", False),
        ("vda", "1", "ssd", True),
    ],
)
def test_the_disk_of_a_partition(root: Path, name: str, turns: str, storage: str, doubtful: bool) -> None:
    device(root, f"sys/block/{name}", turns)
    (root / f"sys/block/{name}/{name}1").mkdir()
    numbered(root, "8:1", f"sys/block/{name}/{name}1")
    found = machine.disk(root, root, (8, 1))
    assert found is not None
    assert found.storage == storage
    assert name in found.where
    assert bool(found.doubt) is doubtful


def test_a_mapped_disk_is_what_lies_below(root: Path) -> None:
    device(root, "sys/block/dm-0", "0")
    device(root, "sys/block/sdb", "1")
    (root / "sys/block/dm-0/slaves").mkdir()
    (root / "sys/block/dm-0/slaves/sdb").symlink_to(root / "sys/block/sdb")
    numbered(root, "253:0", "sys/block/dm-0")
    found = machine.disk(root, root, (253, 0))
    assert found is not None
    assert found.storage == "hdd"


def test_a_network_file_system(root: Path) -> None:
    put(root, "proc/self/mountinfo", f"1 0 8:1 / / rw - ext4 /dev/a rw\n2 1 0:5 / {root} rw - nfs4 server:/x rw\n")
    found = machine.disk(root, root, (0, 5))
    assert found is not None
    assert found.storage == "network"


def test_the_room_of_the_log_counts_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "pg_wal").mkdir()
    before = machine.wal_space(tmp_path)
    assert before is not None
    (tmp_path / "pg_wal" / "000000010000000000000001").write_bytes(b"\0")
    os.truncate(tmp_path / "pg_wal" / "000000010000000000000001", GIB)  # with holes: no space is taken
    after = machine.wal_space(tmp_path)
    assert after is not None
    assert after - before > GIB // 2
    assert machine.wal_space(tmp_path / "nothing") is None


def test_the_clock(root: Path) -> None:
    put(root, "sys/devices/system/clocksource/clocksource0/current_clocksource", "hpet\n")
    assert machine.clock(root) == "hpet"
