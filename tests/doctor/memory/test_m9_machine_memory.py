"""M9 with memory really taken, within a control group: no test may starve the machine. Control groups of version 2 are
invented, for the processes of these tests lie in those of version 1."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from queen.doctor.checks.memory import m9_machine_memory as m9
from queen.doctor.finding import Threshold
from queen.doctor.probes import memory
from queen.doctor.probes.host import Host
from queen.doctor.probes.memory import MachineMemory
from tests.doctor.seen import seen_with
from tests.doctor.support import about, look, only
from tests.support.fix_control_group import MakeGroup
from tests.support.own_cluster import OwnCluster

GIB = 1 << 30
LIMIT = 256 << 20
_TAKER = """
import sys
open("/proc/self/oom_score_adj", "w").write("1000")
sys.stdin.readline()
taken = []
while True:
    for _ in range(int(sys.stdin.readline())):
        taken.append(bytearray(b"x") * (1 << 20))
    print("taken", flush=True)
"""
MEMINFO = (
    "MemTotal: 8388608 kB\nMemAvailable: 4194304 kB\nSwapTotal: 1024 kB\nSwapFree: 512 kB\nHugepagesize: 2048 kB\n"
)


def _machine(root: Path, group: str, **files: str) -> MachineMemory:
    texts = {"proc/meminfo": MEMINFO, "proc/vmstat": "pswpin 3\npswpout 4\noom_kill 2\n", "proc/7/cgroup": group}
    for name, text in {
        **texts,
        **{name.replace("__", "/").replace("_DOT_", "."): text for name, text in files.items()},
    }.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    found = memory.look(7, root)
    assert found is not None
    return found


def test_little_left_is_found_with_the_numbers_of_this_machine(module_dsn: str) -> None:
    finding = about(look(module_dsn, "M9", thresholds={"limit": Threshold(1.01, None, "of the memory")}), "memory")
    assert 0 < finding.evidence["available_MB"] <= finding.evidence["memory_MB"]
    assert 0 < finding.evidence["left_share"] <= 1


@pytest.fixture
def taker() -> Iterator[subprocess.Popen[str]]:
    """A process that takes as many MiB as a line of its input says; the first line lets it begin."""
    command = [sys.executable, "-S", "-c", _TAKER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


@pytest.mark.slow
@pytest.mark.spec("R23")
def test_memory_that_is_taken_is_found_and_gone_when_it_is_given_back(
    own_cluster: OwnCluster, control_group: MakeGroup, taker: subprocess.Popen[str]
) -> None:
    group = control_group("memory", LIMIT)
    group.add(own_cluster.pid)
    group.add(taker.pid)
    tell(taker, "")
    assert look(own_cluster.dsn, "M9").status == "ok"
    left = LIMIT - group.read("memory.usage_in_bytes")
    tell(taker, (left >> 20) - (LIMIT >> 20) * 8 // 100)
    assert answer(taker) == "taken"
    finding = about(look(own_cluster.dsn, "M9"), "memory")
    assert finding.status in ("warn", "crit"), "8 % are left, less what the doctor's session takes"
    assert 0 < finding.evidence["left_share"] < 0.1
    assert finding.evidence["memory_MB"] == LIMIT >> 20
    assert finding.evidence["limited_by"] == "control group, memory.limit_in_bytes"
    taker.kill()
    taker.wait()
    assert look(own_cluster.dsn, "M9").status == "ok"


@pytest.mark.slow
@pytest.mark.spec("R23")
def test_a_process_that_the_kernel_ends_is_found_and_is_a_note_later(
    own_cluster: OwnCluster, control_group: MakeGroup, taker: subprocess.Popen[str]
) -> None:
    group = control_group("memory", LIMIT)
    group.add(own_cluster.pid)
    group.add(taker.pid)
    tell(taker, "")

    def too_much() -> None:
        tell(taker, 2 * LIMIT >> 20)
        taker.wait(30)

    finding = about(look(own_cluster.dsn, "M9", during=too_much), "oom")
    assert taker.returncode == -signal.SIGKILL
    assert finding.status == "crit"
    assert (finding.evidence["oom_kills"], finding.evidence["oom_kills_in_window"]) == (1, 1)
    later = only(look(own_cluster.dsn, "M9"))
    assert (later.object, later.status, later.evidence["oom_kills_in_window"]) == ("oom", "info", 0)


@pytest.mark.slow
@pytest.mark.spec("R23")
@pytest.mark.usefixtures("swap")
def test_swapping_is_found_and_gone_when_its_cause_is(
    own_cluster: OwnCluster, control_group: MakeGroup, taker: subprocess.Popen[str]
) -> None:
    group = control_group("memory", LIMIT // 2)
    group.add(taker.pid)
    tell(taker, "")

    def more_than_there_is() -> None:
        tell(taker, LIMIT * 3 // 4 >> 20)
        assert answer(taker) == "taken"

    finding = about(look(own_cluster.dsn, "M9", during=more_than_there_is), "swap")
    assert finding.status in ("warn", "crit")
    assert finding.evidence["swapped_pages_per_s"] > 100
    assert finding.evidence["swap_used_MB"] > 16
    taker.kill()
    taker.wait()
    # What the kernel ended before, in other groups, may be mentioned.
    assert {one.object for one in look(own_cluster.dsn, "M9").findings} <= {"oom"}


def tell(process: subprocess.Popen[str], line: object) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{line}\n")
    process.stdin.flush()


def answer(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_a_machine_without_groups(tmp_path: Path) -> None:
    found = _machine(tmp_path, "0::/\n")
    assert (found.limit, found.available, found.limited_by) == (8 * GIB, 4 * GIB, "the machine")
    assert (found.swap_total - found.swap_free, found.swapped_pages, found.oom_kills) == (512 * 1024, 7, 2)


def test_the_tightest_group_above_counts_and_its_idle_files_are_left(tmp_path: Path) -> None:
    top = "sys__fs__cgroup__system__pg__"
    found = _machine(
        tmp_path,
        "0::/system/pg\n",
        **{
            f"{top}memory_DOT_max": str(2 * GIB),
            f"{top}memory_DOT_current": str(2 * GIB),
            f"{top}memory_DOT_stat": f"anon 5\ninactive_file {GIB // 2}\n",
            f"{top}memory_DOT_events": "low 0\noom 1\noom_kill 5\n",
            "sys__fs__cgroup__system__memory_DOT_max": "max\n",
        },
    )
    assert (found.limit, found.available) == (2 * GIB, GIB // 2)
    assert found.limited_by == "control group, memory.max"
    assert found.oom_kills == 5, "the group's own, not the machine's"


def test_groups_of_the_first_version(tmp_path: Path) -> None:
    top = "sys__fs__cgroup__memory__pg__"
    found = _machine(
        tmp_path,
        "4:memory:/pg\n0::/\n",
        **{
            f"{top}memory_DOT_limit_in_bytes": str(GIB),
            f"{top}memory_DOT_usage_in_bytes": str(GIB // 4),
            f"{top}memory_DOT_oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n",
            "sys__fs__cgroup__memory__memory_DOT_limit_in_bytes": "9223372036854771712\n",
        },
    )
    assert (found.limit, found.available, found.oom_kills) == (GIB, 3 * GIB // 4, 1)


def test_no_proc_no_memory(tmp_path: Path) -> None:
    assert memory.look(7, tmp_path) is None


def _host(available: float, swapped: int = 0, kills: int = 0) -> Host:
    found = MachineMemory(GIB, GIB, int(available * GIB), "the machine", GIB, GIB, swapped, kills, 0, 2 << 20)
    return Host(0.0, 0.0, 0.0, memory=found)


@pytest.mark.spec("R23")
@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        (_host(0.5), _host(0.5), []),
        (_host(0.5), _host(0.08), [("memory", "warn")]),
        (_host(0.5), _host(0.01), [("memory", "crit")]),
        (_host(0.5), _host(0.5, swapped=5000), [("swap", "warn")]),
        (_host(0.5, kills=2), _host(0.5, kills=2), [("oom", "info")]),
        (_host(0.5, kills=2), _host(0.5, kills=3), [("oom", "crit")]),
    ],
)
def test_what_is_an_illness(before: Host, now: Host, expected: list[tuple[str, str]]) -> None:
    found = list(m9.evaluate(seen_with(m9.CHECK, {}, host=now, host_before=before)))
    assert [(finding.object, finding.status) for finding in found] == expected
    assert all(finding.remedy for finding in found)
