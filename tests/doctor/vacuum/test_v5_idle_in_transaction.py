"""V5 on a real PostgreSQL: a session that forgets its transaction, and a role that lets it."""

from __future__ import annotations

import psycopg
import pytest
from psycopg.pq import TransactionStatus

from queen.doctor.checks.vacuum.v5_idle_in_transaction import CHECK
from queen.doctor.finding import Threshold
from tests.doctor.seen import facts, seen_with, setting
from tests.doctor.support import about, apply, look, session, undo
from tests.support.fix_postgres import PostgresServer

SETTING = "idle_in_transaction_session_timeout"
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


@pytest.mark.parametrize(("timeout", "told"), [("0", "0, which is no limit"), ("1h", "3600 s")])
def test_a_role_that_may_idle_gets_a_time_out_and_can_be_given_back_its_own(
    module_dsn: str, timeout: str, told: str
) -> None:
    with session(module_dsn, autocommit=True) as one:
        one.execute(f"""do $$ begin execute format('alter role %I in database %I set
            idle_in_transaction_session_timeout = %L', current_user, current_database(), '{timeout}'); end $$""")
        (role,) = one.execute("select current_user").fetchone() or ("",)
    finding = about(look(module_dsn, "V5"), f"role {role}")
    assert finding.status == "warn"
    assert finding.evidence["idle_in_transaction_session_timeout"] == told
    apply(module_dsn, finding.fix)
    assert look(module_dsn, "V5").status == "ok"
    assert _timeout(module_dsn) == "10s"
    undo(module_dsn, finding.fix)
    assert (_objects(module_dsn), _timeout(module_dsn)) == ({f"role {role}"}, timeout)


def test_what_nobody_had_set_is_reset() -> None:
    seen = seen_with(CHECK, {"transactions": [], "roles": []}, facts=facts(setting(SETTING, "0", unit="ms")))
    [finding] = CHECK.evaluate(seen)
    assert finding.fix is not None
    assert finding.fix.undo == (f'ALTER ROLE "queen" IN DATABASE "queen" RESET {SETTING}',)


def test_a_private_postgresql_bounds_it_by_itself(postgres_server: PostgresServer, database_dsn: str) -> None:
    if postgres_server.bin_dir is None:
        pytest.skip("a server of the user's has its own settings")
    assert look(database_dsn, "V5").status == "ok"


def _objects(dsn: str, thresholds: dict[str, Threshold] | None = None) -> set[str | None]:
    return {finding.object for finding in look(dsn, "V5", thresholds=thresholds).findings}


def _timeout(dsn: str) -> str:
    with session(dsn) as one:
        row = one.execute("select current_setting('idle_in_transaction_session_timeout')").fetchone()
    return str(row[0]) if row else ""
