"""W6 on a real PostgreSQL: a slot that nobody reads."""

from __future__ import annotations

from queen.doctor.checks.wal import w6_slots as w6
from queen.doctor.finding import Threshold
from queen.doctor.probes.disk import Disk
from queen.doctor.probes.host import Host
from tests.doctor.seen import facts, seen_with, setting
from tests.doctor.support import about, apply, look
from tests.doctor.wal.support import LOG_8MB
from tests.support.own_cluster import OwnCluster

SLOT = "select pg_create_physical_replication_slot('forgotten', true)"


def test_a_slot_that_nobody_reads_is_found_and_gone_when_dropped(own_cluster: OwnCluster) -> None:
    assert look(own_cluster.dsn, "W6").status == "ok"
    own_cluster.execute(SLOT, *[LOG_8MB] * 17)
    finding = about(look(own_cluster.dsn, "W6"), "slot forgotten")
    assert finding.status == "warn"
    assert finding.evidence["active"] is False
    assert finding.evidence["wal_status"] == "extended"
    assert 4 * 32 <= finding.evidence["kept_MB"] <= 200
    assert finding.threshold == w6.CHECK.thresholds["size"], "the one that it is beyond"
    assert finding.fix is not None
    assert finding.fix.kind == "D"
    apply(own_cluster.dsn, finding.fix)
    assert look(own_cluster.dsn, "W6").status == "ok"


def test_a_share_of_the_free_disk_counts_where_it_is_known(own_cluster: OwnCluster) -> None:
    own_cluster.execute(SLOT, LOG_8MB)
    limits = {"limit": Threshold(1e-12, None, "of the free disk"), "size": Threshold(None, None)}
    finding = about(look(own_cluster.dsn, "W6", thresholds=limits), "slot forgotten")
    assert finding.evidence["free_MB"] > 0
    apply(own_cluster.dsn, finding.fix)


def test_a_slot_that_lost_what_it_needs_is_critical(own_cluster: OwnCluster) -> None:
    own_cluster.execute("alter system set max_slot_wal_keep_size = '16MB'")
    own_cluster.reload("max_slot_wal_keep_size", "16MB")
    own_cluster.execute(SLOT, *[LOG_8MB] * 9, "checkpoint")
    finding = about(look(own_cluster.dsn, "W6"), "slot forgotten")
    own_cluster.execute("alter system reset max_slot_wal_keep_size", "select pg_reload_conf()")
    assert (finding.status, finding.evidence["wal_status"], finding.threshold) == ("crit", "lost", None)
    apply(own_cluster.dsn, finding.fix)
    assert look(own_cluster.dsn, "W6").status == "ok"


def test_a_slow_consumer_gets_a_bound_and_not_a_drop() -> None:
    row = {"slot_name": "copy", "slot_type": "physical", "active": True, "wal_status": "extended",
           "safe_bytes": None, "kept_bytes": 90.0 * (1 << 30)}  # fmt: skip
    host = Host(0.0, 0.0, 0.0, wal_disk=Disk("/data/pg_wal", 100 << 30, 200 << 30))
    known = facts(setting("max_wal_size", "2048", unit="MB"), setting("max_slot_wal_keep_size", "-1", unit="MB"))
    (finding,) = w6.evaluate(seen_with(w6.CHECK, {"slots": [row]}, facts=known, host=host))
    assert finding.status == "crit"
    assert finding.fix is not None
    assert finding.fix.apply[0] == "ALTER SYSTEM SET max_slot_wal_keep_size = '4096MB'"
