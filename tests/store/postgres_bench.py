"""The bench on which the contract is tested with PostgreSQL: the real store on a real database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import psycopg
from psycopg import sql

from queen.settings import DatabaseSettings
from queen.store.admin.admin import Admin
from queen.store.base import Store
from queen.store.pool import Pool
from queen.store.postgres import PostgresStore
from tests.store.bench import Bench

TABLES = (
    "queues", "partitions", "cursors", "subscriptions", "leases", "dead_letters", "messages", "scheduled_places",
    "instances", "changes_0", "changes_1",
)  # fmt: skip


class PostgresBench(Bench):
    """The real store, with a session of its own beside the pool."""

    def __init__(self, pool: Pool, session: psycopg.AsyncConnection, schema: str) -> None:
        self.store: Store = PostgresStore(pool, schema)
        self._admin = Admin(pool, schema)
        self._session = session

    async def expire(self) -> None:
        await self._session.execute(
            "update cursors set lease_until = now() - interval '1 second' where lease_until is not null"
        )

    async def grow_old(self, milliseconds: int) -> None:
        by = timedelta(milliseconds=milliseconds)
        await self._session.execute("update instances set seen_at = seen_at - %s", (by,))
        await self._session.execute("update leader set lease_until = lease_until - %s", (by,))

    async def configure(self, queue: str, **options: object) -> None:
        await self._admin.queues.configure(queue, None, None, False, options)

    async def delete_queue(self, queue: str) -> None:
        assert await self._admin.queues.delete_queue(queue)

    async def remove(self, partition_id: int, offset: int) -> None:
        await self._session.execute(
            'delete from messages where partition_id = %s and "offset" = %s', (partition_id, offset)
        )

    async def pass_time(self, seconds: float) -> None:
        await self._session.execute(
            "update messages set created_at = created_at - %(s)s * interval '1 second',"
            " scheduled_at = scheduled_at - %(s)s * interval '1 second'",
            {"s": seconds},
        )
        await self._session.execute(
            "update partitions set last_write_at = last_write_at - %s * interval '1 second'", (seconds,)
        )

    async def dead_letters(self) -> list[tuple[int, bytes, bytes, int]]:
        cursor = await self._session.execute(
            'select "offset", transaction_id, error, retries from dead_letters order by dead_letter_id'
        )
        return [(row[0], row[1].encode(), row[2].encode(), row[3]) for row in await cursor.fetchall()]


@asynccontextmanager
async def open_bench(dsn: str, schema: str) -> AsyncIterator[Bench]:
    """A bench on a database of this file, emptied first: cheaper than a database for each test."""
    pool = Pool(dsn, DatabaseSettings(pool_size=4))
    await pool.open()
    try:
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as session:
            await session.execute(sql.SQL("set search_path to {}").format(sql.Identifier(schema)))
            await session.execute(sql.SQL("truncate {}").format(sql.SQL(", ").join(map(sql.Identifier, TABLES))))
            await session.execute("update leader set instance_id = null, lease_until = '-infinity'")
            yield PostgresBench(pool, session, schema)
    finally:
        await pool.close()
