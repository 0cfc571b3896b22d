"""W3 on a real PostgreSQL: a checkpoint after every change of a few scattered pages."""

from __future__ import annotations

from queen.doctor.finding import Threshold
from tests.doctor.support import apply, look, only, undo
from tests.doctor.wal.support import look_until, meanwhile
from tests.support.own_cluster import OwnCluster

AT_ONCE = {"age": Threshold(0, None, "checkpoint intervals")}
SCATTERED = "update scattered set n = n + 1 where id % 20 = (random() * 19)::int"


def test_images_after_every_checkpoint_are_found_and_rare_without(own_cluster: OwnCluster) -> None:
    own_cluster.execute(
        "create table scattered (id int primary key, n int, filler text) with (fillfactor = 80)",
        "insert into scattered select n, 0, repeat('x', 300) from generate_series(1, 20000) n",
        "alter system set max_wal_size = '1GB'",  # else its small log forces checkpoints without us
        "select pg_stat_reset_shared('wal')",
    )
    own_cluster.reload("max_wal_size", "1GB")
    with meanwhile(own_cluster.dsn, SCATTERED, "checkpoint"):
        result = look_until(own_cluster.dsn, "W3", "warn", "crit", thresholds=AT_ONCE)
    finding = only(result)
    assert finding.status in ("warn", "crit")
    assert finding.evidence["images"] > 100
    assert 0.3 <= finding.evidence["image_share"] <= 1
    assert finding.evidence["wal_compression"] == "off"
    own_cluster.execute(*[SCATTERED] * 3)
    with meanwhile(own_cluster.dsn, SCATTERED):
        assert look_until(own_cluster.dsn, "W3", "ok", thresholds=AT_ONCE).status == "ok"
    apply(own_cluster.dsn, finding.fix)
    own_cluster.reload("checkpoint_timeout", "15min")
    undo(own_cluster.dsn, finding.fix)
    own_cluster.reload("checkpoint_timeout", "5min")
    own_cluster.execute("alter system reset max_wal_size", "drop table scattered")
    own_cluster.reload("max_wal_size", "32MB")


def test_young_counters_are_no_ok(own_cluster: OwnCluster) -> None:
    with meanwhile(own_cluster.dsn, "select pg_logical_emit_message(false, '', repeat('x', 4000000))"):
        result = look(own_cluster.dsn, "W3", window_s=0.5)
    assert result.status == "skipped"
    assert "younger" in str(result.reason)
