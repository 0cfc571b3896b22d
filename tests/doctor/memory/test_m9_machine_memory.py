"""M9 on this machine with limits brought to it, and on invented machines. No test may starve the machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from queen.doctor.checks.memory import m9_machine_memory as m9
from queen.doctor.finding import Threshold
from queen.doctor.probes import memory
from queen.doctor.probes.host import Host
from queen.doctor.probes.memory import MachineMemory
from tests.doctor.seen import seen_with
from tests.doctor.support import about, look

GIB = 1 << 30
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
