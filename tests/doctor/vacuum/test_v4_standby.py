"""V4: a standby that tells its primary what its queries still need."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from queen.doctor.finding import Threshold
from tests.doctor.support import execute, look, only, wait_for
from tests.support.own_cluster import OwnCluster

SOON = {"xids": Threshold(5, None, "transactions")}

pytestmark = pytest.mark.slow


@pytest.fixture
def standby(own_cluster: OwnCluster) -> Iterator[OwnCluster]:
    folder = Path(tempfile.mkdtemp(prefix="queen-test-"))
    copy = own_cluster.standby(folder, "for_the_copy")
    settings = ["hot_standby_feedback = on", "wal_receiver_status_interval = 1", "primary_slot_name = ''"]
    with (copy.data / "postgresql.auto.conf").open("a", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in settings)
    try:
        copy.start()
        yield copy
    finally:
        copy.stop("immediate")
        shutil.rmtree(folder, ignore_errors=True)
        own_cluster.execute("select pg_drop_replication_slot('for_the_copy')")


def test_a_query_on_a_standby_holds_the_primary_until_it_ends(own_cluster: OwnCluster, standby: OwnCluster) -> None:
    with psycopg.connect(standby.dsn) as reader:
        reader.execute("set transaction isolation level repeatable read")
        reader.execute("select count(*) from pg_class")
        wait_for(own_cluster.dsn, "select count(*) > 0 from pg_stat_replication where backend_xmin is not null")
        execute(own_cluster.dsn, *["select pg_current_xact_id()"] * 10)
        finding = only(look(own_cluster.dsn, "V4", thresholds=SOON))
        assert (finding.evidence["kind"], finding.evidence["state"]) == ("standby", "streaming")
        assert finding.evidence["xids"] >= 10
        assert finding.fix is None
        there = only(look(standby.dsn, "V4", thresholds={"limit": Threshold(0, None, "s")}))
        assert there.evidence["who"] == str(reader.info.backend_pid), "on the standby its session is named"
    moved = "select age(backend_xmin) < 5 from pg_stat_replication"
    wait_for(own_cluster.dsn, moved)
    assert look(own_cluster.dsn, "V4", thresholds=SOON).status == "ok"
