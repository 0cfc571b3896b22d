"""M1 on a real PostgreSQL: buffers that are small, large, and promises that do not fit."""

from __future__ import annotations

import pytest

from queen.doctor.checks.memory import m1_shared_buffers as m1
from queen.doctor.finding import Threshold
from queen.doctor.probes.host import Host
from queen.doctor.probes.memory import MachineMemory
from tests.doctor.seen import facts, seen_with, setting
from tests.doctor.support import about, apply, look, undo
from tests.support.own_cluster import OwnCluster

GIB = 1 << 30


def test_small_buffers_are_found_and_gone_after_fix_and_restart(own_cluster: OwnCluster) -> None:
    result = look(own_cluster.dsn, "M1")
    finding = about(result, "shared_buffers")
    memory = finding.evidence["memory_MB"]
    assert finding.status == "warn"
    assert finding.evidence["shared_buffers_MB"] == 16
    assert finding.threshold == m1.CHECK.thresholds["small"]
    assert finding.fix is not None
    assert finding.fix.kind == "C"
    assert finding.fix.apply[0] == f"ALTER SYSTEM SET shared_buffers = '{min(16 * 1024, int(memory / 4))}MB'"
    apply(own_cluster.dsn, finding.fix)
    # As much as a test may take: what counts is that it is not PostgreSQL's default any more.
    own_cluster.execute("alter system set shared_buffers = '144MB'")
    own_cluster.restart()
    try:
        assert look(own_cluster.dsn, "M1").status == "ok"
        limit = {"limit": Threshold(1e-6, None, "of the memory")}
        assert "takes much of" in about(look(own_cluster.dsn, "M1", thresholds=limit), "shared_buffers").summary
    finally:
        undo(own_cluster.dsn, finding.fix)
        own_cluster.restart()


def test_more_promised_than_there_is_is_found_and_gone_when_taken_back(own_cluster: OwnCluster) -> None:
    own_cluster.execute("alter system set work_mem = '1TB'")
    own_cluster.reload("work_mem", "1TB")
    finding = about(look(own_cluster.dsn, "M1"), "work_mem")
    assert finding.evidence["session_MB"] > 4 * (1 << 20)
    assert finding.evidence["sessions"] >= 1
    own_cluster.execute("alter system reset work_mem", "select pg_reload_conf()")
    own_cluster.reload("work_mem", "8MB")
    assert [finding.object for finding in look(own_cluster.dsn, "M1").findings] == ["shared_buffers"]


@pytest.mark.parametrize(
    ("buffers_mb", "memory_gib", "status"),
    [(128, 0.5, None), (128, 0.9, None), (128, 2, "warn"), (512, 24, None), (1024, 2, "warn"), (819, 2, None)],
)
def test_buffers_against_memory(buffers_mb: int, memory_gib: float, status: str | None) -> None:
    size = int(memory_gib * GIB)
    memory = MachineMemory(size, size, size, "the machine", 0, 0, 0, 0, 0, 2 << 20)
    known = facts(setting("shared_buffers", str(buffers_mb * 128), unit="8kB"), setting("work_mem", "4096", unit="kB"))
    host = Host(0.0, 0.0, 0.0, memory=memory)
    seen = seen_with(m1.CHECK, {"sessions": [{"sessions": 10}]}, facts=known, host=host)
    found = [finding.status for finding in m1.evaluate(seen) if finding.object == "shared_buffers"]
    assert found == ([status] if status else [])


def test_the_private_server_is_well(module_dsn: str) -> None:
    assert look(module_dsn, "M1").status == "ok"
