"""W8 on a real PostgreSQL: durability that was switched off, in three places."""

from __future__ import annotations

from psycopg.conninfo import conninfo_to_dict

from tests.doctor.support import about, apply, execute, look, only, undo
from tests.support.own_cluster import OwnCluster


def test_each_switch_is_found_and_gone_after_the_fix(own_cluster: OwnCluster) -> None:
    assert look(own_cluster.dsn, "W8").status == "ok"
    for name in ("fsync", "full_page_writes"):
        own_cluster.execute(f"alter system set {name} = off")
        own_cluster.reload(name, "off")
    result = look(own_cluster.dsn, "W8")
    assert result.status == "crit"
    for name in ("fsync", "full_page_writes"):
        finding = about(result, name)
        assert finding.evidence["source"] == "configuration file"
        apply(own_cluster.dsn, finding.fix)
        own_cluster.reload(name, "on")
    assert look(own_cluster.dsn, "W8").status == "ok"
    for finding in result.findings:
        assert finding.object is not None
        undo(own_cluster.dsn, finding.fix)
        own_cluster.reload(finding.object, "off")
        own_cluster.execute(f"alter system reset {finding.object}")
        own_cluster.reload(finding.object, "on")


def test_commits_that_do_not_wait_are_found_where_they_are_set(own_cluster: OwnCluster) -> None:
    dsn = own_cluster.dsn
    name = conninfo_to_dict(dsn)["dbname"]
    execute(dsn, f"alter database {name} set synchronous_commit = off")
    finding = only(look(dsn, "W8"))
    assert finding.status == "warn"
    assert finding.evidence["source"] == "database"
    assert finding.evidence["loss_window_ms"] == 600
    apply(dsn, finding.fix)
    assert look(dsn, "W8").status == "ok"
    undo(dsn, finding.fix)
    assert look(dsn, "W8").status == "warn"
    execute(dsn, f"alter database {name} reset synchronous_commit")


def test_commits_that_do_not_wait_by_the_server_s_file(own_cluster: OwnCluster) -> None:
    own_cluster.execute("alter system set synchronous_commit = off")
    own_cluster.reload("synchronous_commit", "off")
    finding = only(look(own_cluster.dsn, "W8"))
    assert finding.evidence["source"] == "configuration file"
    apply(own_cluster.dsn, finding.fix)
    assert look(own_cluster.dsn, "W8").status == "ok"
    undo(own_cluster.dsn, finding.fix)
    assert look(own_cluster.dsn, "W8").status == "warn"
    own_cluster.execute("alter system reset synchronous_commit")
    own_cluster.reload("synchronous_commit", "on")
