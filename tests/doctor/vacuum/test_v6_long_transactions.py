"""V6 on a real PostgreSQL: a transaction that works for too long."""

from __future__ import annotations

import threading

import psycopg
import pytest

from queen.doctor.checks.vacuum.v6_long_transactions import CHECK
from queen.doctor.facts import Facts
from queen.doctor.finding import Finding, Threshold
from queen.store.inspect import Row
from tests.doctor.seen import FACTS, facts, seen_with, setting
from tests.doctor.support import about, apply, look, session, undo
from tests.doctor.vacuum.slow import await_that

SOON = {"limit": Threshold(0.0, 300, "s")}
WORKING = "select count(*) from pg_stat_activity where pid = %s and state = 'active' and query ~ 'pg_sleep'"


def test_a_statement_at_work_is_named_and_cancelled(module_dsn: str) -> None:
    errors: list[Exception] = []
    with session(module_dsn, application_name="report") as worker, session(module_dsn, autocommit=True) as watcher:
        who = f"session {worker.info.backend_pid}"
        thread = threading.Thread(target=_sleep, args=(worker, errors), daemon=True)
        thread.start()
        await_that(watcher, WORKING, [worker.info.backend_pid])
        result = look(module_dsn, "V6", thresholds=SOON)
        finding = about(result, who)
        assert (finding.status, finding.evidence["application_name"]) == ("warn", "report")
        assert about(result, f"role {worker.info.user}").status == "info"
        assert look(module_dsn, "V6").status == "ok", "not for long enough"
        apply(module_dsn, finding.fix)
        thread.join(20)
    assert isinstance(errors[0], psycopg.errors.QueryCanceled)
    assert look(module_dsn, "V6", thresholds=SOON).status == "ok"


def test_the_role_gets_a_time_out_that_can_be_taken_back(module_dsn: str) -> None:
    with session(module_dsn) as holder:
        holder.execute("select 1")
        fix = about(look(module_dsn, "V6", thresholds=SOON), f"role {holder.info.user}").fix
        apply(module_dsn, fix)
        objects = {finding.object for finding in look(module_dsn, "V6", thresholds=SOON).findings}
        assert objects == {f"session {holder.info.backend_pid}"}
    assert _timeouts(module_dsn) in ("30s", "1min")
    undo(module_dsn, fix)
    assert _timeouts(module_dsn) == "0"


ROW = {"pid": 7, "role": "queen", "application_name": "a", "client": None, "state": "active", "transaction_s": 400.0,
       "state_s": 400.0, "has_written": True, "query": "q"}  # fmt: skip


def _judge(row: dict[str, object], facts: Facts = FACTS, roles: list[Row] | None = None) -> list[Finding]:
    rows = {"transactions": [{**ROW, **row}], "roles": roles or []}
    return list(CHECK.evaluate(seen_with(CHECK, rows, facts=facts)))


def test_roles_of_others_and_idle_ones_are_not_judged() -> None:
    assert [finding.status for finding in _judge({})] == ["crit", "info"]
    assert _judge({"role": "somebody"}) == []
    assert _judge({"state": "idle in transaction"}) == [], "V5 has it"
    ended = _judge({"state": "idle in transaction", "state_s": 1.0})[0].fix
    assert ended is not None
    assert ended.apply == ("SELECT pg_terminate_backend(7)",), "there is no statement to cancel"


def test_the_time_out_is_that_of_the_version() -> None:
    new = facts(setting("transaction_timeout", "0", unit="ms"), version=170002)
    fix = _judge({}, new)[1].fix
    assert fix is not None
    assert "SET transaction_timeout = '60s'" in fix.apply[0]
    assert len(_judge({}, facts(setting("transaction_timeout", "60000", unit="ms"), version=170002))) == 1
    of_role = [{"setconfig": ["statement_timeout=30s"], "in_database": False, "of_role": True}]
    assert len(_judge({}, roles=of_role)) == 1
    assert len(_judge({}, new, of_role)) == 2


def _timeouts(dsn: str) -> str:
    """The time-out that counts for this version, as a new session of the role has it."""
    with psycopg.connect(dsn) as one:
        name = "transaction_timeout" if one.info.server_version >= 170000 else "statement_timeout"
        row = one.execute("select current_setting(%s)", [name]).fetchone()
    return str(row[0]) if row else ""


def _sleep(worker: psycopg.Connection[object], errors: list[Exception]) -> None:
    with pytest.raises(psycopg.Error) as caught:
        worker.execute("select pg_sleep(60)")
    errors.append(caught.value)
