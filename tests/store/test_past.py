"""What calls cost, on a real server: from what PostgreSQL counts to the rows of an hour, and back as a baseline."""

from __future__ import annotations

import uuid

import psycopg
import pytest

from queen.engine.maintenance.costs import StatementCosts
from queen.settings import DatabaseSettings
from queen.store.activity import Place
from queen.store.admin.past import Past
from queen.store.base import PushBatch
from queen.store.pool import Pool
from queen.store.postgres import PostgresStore
from tests.support.fake_clock import in_real_time

CALLS = 5


def execute(dsn: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


@in_real_time
async def work(dsn: str) -> None:
    """Pushes between two ticks, and what they are two hours later."""
    pool = Pool(dsn, DatabaseSettings(pool_size=2))
    await pool.open()
    try:
        store, past = PostgresStore(pool, "queen"), Past(pool, "queen")
        (found,) = await store.resolve([b"q"], [b"p"])
        costs = StatementCosts(past, lambda: True)
        await costs.tick()
        for number in range(CALLS):
            await store.push(PushBatch([found.partition_id], [1], [1], [b"t%d" % number], [b"1"], None, None))
        await costs.tick()
        execute(dsn, "update queen.statement_hours set bucket = bucket - interval '2 hours'")
        (baseline,) = await past.baselines(CALLS)
        assert (baseline.name, baseline.hours, baseline.calls) == ("push", 1, CALLS)
        assert 0 < baseline.best_ms == baseline.mean_ms
        assert baseline.blocks > 0
        assert await past.baselines(CALLS + 1) == []
    finally:
        await pool.close()


def test_pushes_between_two_looks_become_a_baseline(database_dsn: str) -> None:
    if not execute(database_dsn, "select 1 from pg_available_extensions where name = 'pg_stat_statements'"):
        pytest.skip("needs the Debian package postgresql-contrib")
    execute(database_dsn, "create extension pg_stat_statements")
    work(database_dsn)


def test_starts_come_back_as_they_were_written(database_dsn: str) -> None:
    instance = uuid.uuid4()

    @in_real_time
    async def run() -> None:
        pool = Pool(database_dsn, DatabaseSettings(pool_size=1))
        await pool.open()
        try:
            past = Past(pool, "queen")
            await past.record_start(instance, Place("here", 6632, 2))
            (start,) = await past.starts(5_000, 10)
            assert (start.instance_id, start.hostname, start.port, start.worker) == (instance, "here", 6632, 2)
            assert (start.ended_at, start.runs) == (None, False)
            await past.record_end(instance)
            assert (await past.starts(5_000, 10))[0].ended_at is not None
        finally:
            await pool.close()

    run()
