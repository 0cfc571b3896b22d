"""M5 on a real PostgreSQL: on a disk of its own, of which the kernel itself says what it is (slow tier, for it takes a
device and root), and on the machine's disk with a /sys of the test's own, which needs no rights."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from queen.doctor.check import NotSeen
from queen.doctor.checks.memory import m5_disk_costs as m5
from queen.doctor.probes import disk
from queen.doctor.probes.host import Host
from tests.doctor.seen import facts, seen_with, setting
from tests.doctor.support import about, apply, execute, look, undo
from tests.support.fix_disk import LoopDisk
from tests.support.own_cluster import OwnCluster


def _sys(root: Path, folder: str, turns: str) -> Path:
    number = os.stat(folder).st_dev
    device = root / "devices/vda"
    (device / "queue").mkdir(parents=True)
    (device / "queue/rotational").write_text(turns)
    (root / "dev/block").mkdir(parents=True)
    (root / f"dev/block/{os.major(number)}:{os.minor(number)}").symlink_to(device)
    return root


@pytest.fixture
def on_its_own_disk(loop_disk: LoopDisk, postgres_programs: Path, server_template: Path) -> Iterator[OwnCluster]:
    """A cluster on it, that takes it for a turning one."""
    made = OwnCluster(loop_disk.folder / "pg", postgres_programs, server_template,
                      random_page_cost="4", effective_io_concurrency="1")  # fmt: skip
    try:
        made.start()
        yield made
    finally:
        made.stop("immediate")


@pytest.mark.slow
@pytest.mark.pg
def test_the_kernel_says_that_the_disk_does_not_turn(loop_disk: LoopDisk, on_its_own_disk: OwnCluster) -> None:
    dsn = on_its_own_disk.dsn
    loop_disk.turn(True)
    assert look(dsn, "M5").status == "ok", "the costs are those of such a disk"
    loop_disk.turn(False)
    result = look(dsn, "M5")
    assert result.status == "warn"
    finding = about(result, "random_page_cost")
    assert finding.evidence["rotational"] is False
    assert str(finding.evidence["folder"]).startswith(str(loop_disk.folder))
    for one in result.findings:
        apply(dsn, one.fix)
    assert look(dsn, "M5").status == "ok"


def test_costs_of_a_turning_disk_are_found_and_gone_after_the_fix(
    database_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "SYS", _sys(tmp_path, "/tmp", "0\n"))
    name = database_dsn.split("///")[1].split("?")[0]
    assert look(database_dsn, "M5").status == "ok"
    execute(
        database_dsn,
        f"alter database {name} set random_page_cost = 4",
        f"alter database {name} set effective_io_concurrency = 1",
    )
    result = look(database_dsn, "M5")
    assert result.status == "warn"
    finding = about(result, "random_page_cost")
    assert finding.evidence["random_page_cost"] == 4
    assert finding.evidence["rotational"] is False
    assert about(result, "effective_io_concurrency").status == "info"
    for one in result.findings:
        apply(database_dsn, one.fix)
    assert look(database_dsn, "M5").status == "ok"
    for one in result.findings:
        undo(database_dsn, one.fix)
    assert look(database_dsn, "M5").status == "warn"


def test_nothing_is_said_of_a_disk_that_turns_and_no_ok_of_one_unknown(
    database_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = database_dsn.split("///")[1].split("?")[0]
    execute(database_dsn, f"alter database {name} set random_page_cost = 4")
    monkeypatch.setattr(disk, "SYS", _sys(tmp_path, "/tmp", "1\n"))
    assert look(database_dsn, "M5").status == "ok"
    monkeypatch.setattr(disk, "SYS", tmp_path / "nothing")
    assert look(database_dsn, "M5").status == "skipped"


def test_waiting_reads_are_mentioned_from_18_on() -> None:
    host = Host(0.0, 0.0, 0.0, data_disk=disk.Disk("/data", 1, 1, rotational=True))
    known = facts(setting("io_method", "sync", context="postmaster"), setting("data_directory", "/data"))
    (finding,) = m5.evaluate(seen_with(m5.CHECK, {"role": []}, facts=known, host=host))
    assert (finding.object, finding.status) == ("io_method", "info")
    assert finding.fix is not None
    assert finding.fix.kind == "C"


def test_a_role_that_may_not_know_the_folder_is_told_so() -> None:
    with pytest.raises(NotSeen, match="may not know the data directory"):
        list(m5.evaluate(seen_with(m5.CHECK, {"role": []})))
