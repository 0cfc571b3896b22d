"""The whole doctor through PgBouncer in transaction mode: it works, and says what it cannot see there."""

from __future__ import annotations

import pytest

from queen.doctor.catalogue import catalogue
from queen.doctor.run import Ask, run
from tests.doctor.support import execute, look, only
from tests.support.fix_pgbouncer import MakePgBouncer


def test_it_works_and_no_check_fails(dsn: str, make_pgbouncer: MakePgBouncer) -> None:
    bouncer = make_pgbouncer(dsn)
    report = run(Ask(bouncer.url(), catalogue(), window_s=0.3, pooler_admin=bouncer.url("pgbouncer")))
    assert report.about["pooled"] is True
    assert [(one.id, one.reason) for one in report.results if one.status == "error"] == []
    by_id = {one.id: one for one in report.results}
    assert {name: by_id[name].status for name in ("C1", "C2", "C5", "C6", "C8")} == dict.fromkeys(
        ("C1", "C2", "C5", "C6", "C8"), "ok"
    )
    # What needs a server or a session of its own is skipped, each with its reason.
    skipped = {one.id: one.reason for one in report.results if one.status == "skipped"}
    assert all(skipped.values())
    assert "no Queen server answered" in (skipped["C3"], skipped["C4"], skipped["C7"], skipped["C10"])


@pytest.mark.parametrize(("pool_size", "status"), [(5, "ok"), (60, "crit")])
def test_behind_it_the_pooler_counts_and_not_the_pools_of_queen(
    dsn: str, make_pgbouncer: MakePgBouncer, pool_size: int, status: str
) -> None:
    bouncer = make_pgbouncer(dsn, default_pool_size=pool_size)
    execute(
        dsn,
        "delete from queen.instances",
        "insert into queen.instances (instance_id, seen_at, pool_size, version)"
        " select gen_random_uuid(), clock_timestamp(), 50, '0.1' from generate_series(1, 3)",
    )
    assert look(dsn, "C2").status == "crit", "straight to PostgreSQL 156 connections"
    result = look(bouncer.url(), "C2", pooler_admin=bouncer.url("pgbouncer"))
    assert result.status == status
    if result.findings:
        evidence = only(result).evidence
        assert evidence["through_pooler"] == pool_size
        assert evidence["needed"] == 3 * 2 + pool_size + 3 + evidence["others_now"]
        assert "default_pool_size" in only(result).remedy
