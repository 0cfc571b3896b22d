"""The doctor on a standby: what looks at a primary is skipped and says so; the rest is looked at."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from queen.doctor.catalogue import catalogue
from queen.doctor.run import Ask, run
from tests.doctor.support import about, apply, look
from tests.doctor.wal.support import LOG_8MB
from tests.support.fix_server import open_folder
from tests.support.own_cluster import OwnCluster

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def standby(own_cluster: OwnCluster) -> Iterator[OwnCluster]:
    """A standby that follows the own cluster."""
    folder = open_folder()
    copy = own_cluster.standby(folder, "follows")
    try:
        copy.start()
        yield copy
    finally:
        copy.stop("immediate")
        own_cluster.execute("select pg_drop_replication_slot('follows')")
        shutil.rmtree(folder, ignore_errors=True)


def test_every_check_is_made_or_says_why_not(standby: OwnCluster) -> None:
    report = run(Ask(standby.dsn, catalogue(), window_s=0.3))
    results = {result.id: result for result in report.results}
    assert report.about["standby"] is True
    assert [result for result in results.values() if result.status == "error"] == []
    for name in ("W1", "W2", "W3", "W4", "W5", "W7", "W9"):
        assert results[name].status == "skipped"
    assert "standby" in str(results["W1"].reason)
    assert results["W6"].status == results["W8"].status == results["M6"].status == "ok"


def test_a_slot_on_a_standby_is_measured_from_what_it_replayed(own_cluster: OwnCluster, standby: OwnCluster) -> None:
    standby.execute("select pg_create_physical_replication_slot('cascaded', true)")
    own_cluster.execute(*[LOG_8MB] * 18)
    position = own_cluster.value("select pg_current_wal_lsn()")
    standby.wait_for("select pg_last_wal_replay_lsn() >= %s", position)
    finding = about(look(standby.dsn, "W6"), "slot cascaded")
    assert finding.evidence["kept_MB"] >= 4 * 32
    apply(standby.dsn, finding.fix)
    assert look(standby.dsn, "W6").status == "ok"
