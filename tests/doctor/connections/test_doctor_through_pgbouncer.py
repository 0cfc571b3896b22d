"""The whole doctor through PgBouncer in transaction mode: it works, and says what it cannot see there."""

from __future__ import annotations

from queen.doctor.catalogue import catalogue
from queen.doctor.run import Ask, run
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
