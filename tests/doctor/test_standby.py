"""The whole doctor on a standby: it looks at what can be seen there, says what cannot, and changes nothing."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from queen.doctor import needs
from queen.doctor.catalogue import catalogue
from queen.doctor.repair.act import carry_out
from queen.doctor.repair.plan import Plan, Step
from queen.doctor.run import Ask, run
from queen.errors import RepairRefused
from queen.store.migrate import migrate
from tests.support.fix_postgres import SCHEMA
from tests.support.fix_server import open_folder
from tests.support.own_cluster import OwnCluster

pytestmark = pytest.mark.slow


@pytest.fixture
def standby_dsn(own_cluster: OwnCluster) -> Iterator[str]:
    """A database with Queen's schema on a standby that follows the cluster."""
    own_cluster.execute("create database followed")
    asyncio.run(migrate(own_cluster.dsn.replace("/queen?", "/followed?"), SCHEMA))
    folder = open_folder()
    copy = own_cluster.standby(folder, "followed")
    try:
        copy.start()
        yield copy.dsn.replace("/queen?", "/followed?")
    finally:
        copy.stop()
        shutil.rmtree(folder, ignore_errors=True)
        own_cluster.execute("drop database followed with (force)", "select pg_drop_replication_slot('followed')")


def test_it_looks_skips_and_changes_nothing(standby_dsn: str, tmp_path: Path) -> None:
    report = run(Ask(standby_dsn, catalogue(), window_s=0.2))
    assert [(one.id, one.reason) for one in report.results if one.status == "error"] == []
    assert report.about["standby"] is True
    assert report.facts is not None
    by_id = {one.id: one for one in report.results}
    assert by_id["S8"].status == "crit", "a standby takes no messages"
    primary = [check.id for check in catalogue() if needs.primary in check.needs]
    assert {by_id[name].status for name in primary} == {"skipped"}
    assert by_id["V12"].reason == "this is a standby; the check looks at a primary"
    assert by_id["C1"].status != "skipped"
    refused = [one.reason for one in report.results if "recovery" in (one.reason or "")]
    assert refused == [], "no check asks what a standby does not answer"
    step = Step("V12", None, "something", "A", ("ALTER TABLE queen.leases SET (vacuum_truncate = off)",))
    with pytest.raises(RepairRefused, match="standby"):
        carry_out(standby_dsn, Plan((step,), ()), report.facts, tmp_path / "undo")
    assert not (tmp_path / "undo").exists()
