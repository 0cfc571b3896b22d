"""V5 on a real PostgreSQL: a session that forgets its transaction, and a role that lets it."""

from __future__ import annotations

import psycopg
import pytest
from psycopg.pq import TransactionStatus

from queen.doctor.finding import Threshold
from tests.doctor.support import about, apply, look, session, undo

SOON = {"limit": Threshold(0.0, 60, "s")}


def test_the_idle_session_is_named_and_ended(module_dsn: str) -> None:
    with session(module_dsn, application_name="forgetful") as holder:
        holder.execute("insert into queen.counters values ('x', 1)")
        who = f"session {holder.info.backend_pid}"
        finding = about(look(module_dsn, "V5", thresholds=SOON), who)
        assert finding.status == "warn"
        assert (finding.evidence["application_name"], finding.evidence["has_written"]) == ("forgetful", True)
        assert who not in _objects(module_dsn), "not for long enough"
        apply(module_dsn, finding.fix)
        assert who not in _objects(module_dsn, SOON)


def test_sessions_that_hold_nothing_are_no_finding(module_dsn: str) -> None:
    with session(module_dsn) as failed, session(module_dsn, autocommit=True) as idle:
        idle.execute("select 1")
        with pytest.raises(psycopg.errors.DivisionByZero):
            failed.execute("select 1/0")
        assert failed.info.transaction_status == TransactionStatus.INERROR
        held = "select backend_xmin, backend_xid from pg_stat_activity where pid = %s"
        assert idle.execute(held, [failed.info.backend_pid]).fetchone() == (None, None)
        sessions = {f"session {one.info.backend_pid}" for one in (failed, idle)}
        assert not sessions & _objects(module_dsn, SOON)


def test_the_role_gets_a_time_out_that_ends_sessions_and_can_be_taken_back(module_dsn: str) -> None:
    finding = about(look(module_dsn, "V5"), "role queen")
    assert finding.status == "warn"
    apply(module_dsn, finding.fix)
    assert look(module_dsn, "V5").status == "ok", "a healthy role and no idle session"
    with session(module_dsn) as one:
        assert one.execute("show idle_in_transaction_session_timeout").fetchone() == ("10s",)
    undo(module_dsn, finding.fix)
    assert _objects(module_dsn) == {"role queen"}


def test_a_time_out_that_is_too_long_is_no_guard(module_dsn: str) -> None:
    with session(module_dsn, autocommit=True) as one:
        one.execute(
            "do $$ begin execute format('alter role %I in database %I set"
            " idle_in_transaction_session_timeout = %L', current_user, current_database(), '1h'); end $$"
        )
    finding = about(look(module_dsn, "V5"), "role queen")
    assert finding.evidence["idle_in_transaction_session_timeout"] == "3600 s"
    apply(module_dsn, finding.fix)
    assert look(module_dsn, "V5").status == "ok"
    undo(module_dsn, finding.fix)
    assert _objects(module_dsn) == {"role queen"}
    with session(module_dsn) as one:
        assert one.execute("show idle_in_transaction_session_timeout").fetchone() == ("1h",)


def _objects(dsn: str, thresholds: dict[str, Threshold] | None = None) -> set[str | None]:
    return {finding.object for finding in look(dsn, "V5", thresholds=thresholds).findings}
