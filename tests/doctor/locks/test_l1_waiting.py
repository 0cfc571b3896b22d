"""L1 on a real PostgreSQL: sessions in line for a lock."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg

from queen.doctor.finding import Threshold
from tests.doctor.support import apply, execute, look, only, session, wait_for

AT_ONCE = {"limit": Threshold(0.0, 600, "s")}
IN_A_MINUTE = {"limit": Threshold(60.0, 600, "s")}
WAITING = "select count(*) = {} from pg_locks l join pg_stat_activity a using (pid)" + (
    " where not l.granted and a.datname = current_database()"
)


def attempt(connection: psycopg.Connection[Any], statement: str) -> str | None:
    """The error of a statement that may be ended from outside."""
    try:
        connection.execute(statement)
    except psycopg.Error as error:
        return type(error).__name__
    return None


def test_the_one_at_the_head_is_named_with_all_who_stand_behind(database_dsn: str) -> None:
    execute(database_dsn, "insert into queen.queues (queue_id, name, dedup_window_s) values (7, 'a', 0)")
    touch = "update queen.queues set task = 'x' where queue_id = 7"
    store = "insert into queen.leases values (gen_random_uuid(), '{}', now())"
    with (
        session(database_dsn, application_name="forgetful") as head,
        session(database_dsn) as second,
        session(database_dsn) as third,
        ThreadPoolExecutor(2) as threads,
    ):
        head.execute("lock table queen.leases in share mode")
        second.execute(touch)
        jobs = [threads.submit(attempt, second, store)]
        wait_for(database_dsn, WAITING.format(1))
        jobs.append(threads.submit(attempt, third, touch))
        wait_for(database_dsn, WAITING.format(2))
        finding = only(look(database_dsn, "L1", thresholds=AT_ONCE))
        assert finding.object == f"session {head.info.backend_pid}"
        assert finding.evidence["waiting"] == 2
        blocker = finding.evidence["blocker"]
        assert (blocker["application"], blocker["state"]) == ("forgetful", "idle in transaction")
        assert blocker["statement"] == "lock table queen.leases in share mode"
        assert finding.evidence["longest"]["relation"] == "queen.leases"
        assert finding.evidence["longest"]["statement"] == store
        assert look(database_dsn, "L1", thresholds=IN_A_MINUTE).status == "ok", "not for long enough to warn"

        apply(database_dsn, finding.fix)
        wait_for(database_dsn, WAITING.format(1))
        second.rollback()
        assert [job.result(timeout=60) for job in jobs] == [None, None]
        assert look(database_dsn, "L1", thresholds=AT_ONCE).status == "ok"


def test_of_a_session_at_work_only_the_statement_is_cancelled(database_dsn: str) -> None:
    with session(database_dsn) as busy, session(database_dsn) as other, ThreadPoolExecutor(2) as threads:
        busy.execute("lock table queen.leases in access exclusive mode")
        sleeping = threads.submit(attempt, busy, "select pg_sleep(30)")
        reading = threads.submit(attempt, other, "select count(*) from queen.leases")
        wait_for(database_dsn, WAITING.format(1))
        finding = only(look(database_dsn, "L1", thresholds=AT_ONCE))
        assert finding.evidence["blocker"]["state"] == "active"
        apply(database_dsn, finding.fix)
        assert sleeping.result(timeout=60) == "QueryCanceled"
        busy.rollback()
        assert reading.result(timeout=60) is None
        assert look(database_dsn, "L1", thresholds=AT_ONCE).status == "ok"
