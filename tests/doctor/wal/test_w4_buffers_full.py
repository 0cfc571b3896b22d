"""W4 on a real PostgreSQL: buffers of the log that hold four pages."""

from __future__ import annotations

from tests.doctor.support import apply, look, only, undo
from tests.doctor.wal.support import LOG_8MB, look_until, meanwhile
from tests.support.own_cluster import OwnCluster


def test_small_buffers_are_found_and_gone_after_fix_and_restart(own_cluster: OwnCluster) -> None:
    with meanwhile(own_cluster.dsn, LOG_8MB):
        finding = only(look_until(own_cluster.dsn, "W4", "crit"))
    assert finding.status == "crit"
    assert finding.evidence["wal_buffers_MB"] == 0.0
    assert finding.evidence["buffers_full"] > 50
    assert finding.fix is not None
    assert finding.fix.kind == "C"
    apply(own_cluster.dsn, finding.fix)
    own_cluster.restart()
    try:
        own_cluster.execute("create table few (n int)")
        with meanwhile(own_cluster.dsn, "insert into few select generate_series(1, 100)"):
            assert look(own_cluster.dsn, "W4", window_s=0.5).status == "ok"
    finally:
        undo(own_cluster.dsn, finding.fix)
        own_cluster.restart()


def test_the_private_server_is_well(module_dsn: str) -> None:
    assert look(module_dsn, "W4").status == "ok"
