"""A worker of autovacuum that sleeps at one table for minutes."""

from __future__ import annotations

from tests.doctor.support import execute, session
from tests.doctor.vacuum.slow import await_that

_AT_WORK = "select count(*) from pg_stat_progress_vacuum where relid = 'queen.big'::regclass"


def keep_a_worker_busy(dsn: str, options: str) -> None:
    """A table full of dead rows with these storage options; returns when a worker is at it."""
    execute(
        dsn,
        f"create table queen.big with (autovacuum_enabled = off, autovacuum_vacuum_scale_factor = 0, {options}) as"
        " select n from generate_series(1, 50000) n",
        "delete from queen.big",
        "alter table queen.big reset (autovacuum_enabled)",
    )
    with session(dsn, autocommit=True) as watcher:
        await_that(watcher, _AT_WORK, [])


def end_workers(dsn: str) -> None:
    """They begin anew by themselves, with the settings of then."""
    with session(dsn, autocommit=True) as watcher:
        watcher.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where backend_type = 'autovacuum worker'"
        )
