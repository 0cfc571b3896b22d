"""W9 on a real PostgreSQL: commits that wait for somebody who is not there, and then for somebody who is."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import psycopg
import pytest

from queen.doctor.checks.wal.w9_synchronous_standby import required
from tests.doctor.support import apply, look, only
from tests.support.fix_server import open_folder
from tests.support.own_cluster import OwnCluster
from tests.support.server import wait_until


@pytest.mark.parametrize(
    ("names", "count"),
    [("a", 1), ("a, b", 1), ("*", 1), ("FIRST 2 (a, b, c)", 2), ("ANY 3 (*)", 3), ("2 (a, b)", 2), ('"2 (x"', 1)],
)
def test_how_many_a_commit_waits_for(names: str, count: int) -> None:
    assert required(names) == count


@pytest.fixture
def standby(own_cluster: OwnCluster) -> Iterator[OwnCluster]:
    """A standby by the name of `copy`, not started."""
    folder = open_folder()
    made = own_cluster.standby(folder, "copy")
    try:
        yield made
    finally:
        made.stop("immediate")
        own_cluster.execute("select pg_drop_replication_slot('copy')")
        shutil.rmtree(folder, ignore_errors=True)


def test_a_missing_standby_is_found_and_gone_when_it_comes_or_is_not_wanted(
    own_cluster: OwnCluster, standby: OwnCluster
) -> None:
    assert look(own_cluster.dsn, "W9").status == "ok"
    own_cluster.execute("create table waits (n int)", "alter system set synchronous_standby_names = 'copy'")
    own_cluster.reload("synchronous_standby_names", "copy")
    with psycopg.connect(own_cluster.dsn) as hanging:
        pid = hanging.info.backend_pid
        hanging.execute("insert into waits values (1)")
        with psycopg.connect(own_cluster.dsn, autocommit=True) as watching:
            hanging.pgconn.send_query(b"commit")
            wait_until(lambda: _waits(watching, pid), "the commit to hang")
            finding = only(look(own_cluster.dsn, "W9"))
            standby.start()
            wait_until(lambda: look(own_cluster.dsn, "W9").status == "ok", "the standby to be seen")
            wait_until(lambda: not _waits(watching, pid), "the commit to go on")
            standby.stop("immediate")
        while hanging.pgconn.get_result() is not None:
            pass
    assert finding.status == "crit"
    assert finding.evidence["hanging"] == 1
    assert finding.evidence["needed"] == 1
    assert finding.evidence["connected"] == []
    wait_until(lambda: look(own_cluster.dsn, "W9").status == "crit", "the standby to be gone")
    apply(own_cluster.dsn, finding.fix)
    own_cluster.reload("synchronous_standby_names", "")
    assert look(own_cluster.dsn, "W9").status == "ok"
    own_cluster.execute("alter system reset synchronous_standby_names", "drop table waits")


def _waits(watching: psycopg.Connection, pid: int) -> bool:
    row = watching.execute("select wait_event = 'SyncRep' from pg_stat_activity where pid = %s", [pid]).fetchone()
    return bool(row and row[0])
