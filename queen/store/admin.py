"""The control plane on PostgreSQL: queues, groups, dead letters, statistics. Ordinary rows, no hurry."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from psycopg import sql
from psycopg.rows import namedtuple_row
from psycopg.types.json import Jsonb

from queen.store.pool import Pool

Row = Any


class PartitionStats(NamedTuple):
    """Numbers of one partition, against its slowest group."""

    partition_id: int
    name: str
    created_at: datetime
    total: int
    pending: int
    processing: int
    dead_letters: int
    newest: datetime | None


class QueueStats(NamedTuple):
    """Totals of one queue, against the slowest group of each partition; `retained_bytes` is an estimate."""

    queue_id: int
    partitions: int
    total: int
    pending: int
    processing: int
    dead_letters: int
    retained_bytes: int


class Configured(NamedTuple):
    """A queue after `configure`."""

    queue_id: int
    namespace: str
    task: str
    options: dict[str, Any]


class AdminStore:
    """Control-plane calls, bound to (pool, schema). Raises what `Pool.connection` raises."""

    def __init__(self, pool: Pool, schema: str) -> None:
        self._pool = pool
        self._schema = schema

    async def _call(self, function: str, *arguments: object) -> list[Row]:
        statement = sql.SQL("select * from {}({})").format(
            sql.Identifier(self._schema, function), sql.SQL(", ").join([sql.Placeholder()] * len(arguments))
        )
        async with self._pool.connection() as connection:
            cursor = connection.cursor(row_factory=namedtuple_row)
            await cursor.execute(statement, arguments)
            return await cursor.fetchall()

    async def configure(
        self, queue: str, namespace: str | None, task: str | None, replace: bool, options: dict[str, Any]
    ) -> Configured:
        """Create or change a queue; see `configure.sql`."""
        return Configured(*(await self._call("configure", queue, namespace, task, replace, Jsonb(options)))[0])

    async def delete_queue(self, queue: str) -> bool:
        """True when the queue existed."""
        return bool((await self._call("delete_queue", queue))[0][0])

    async def delete_group(self, group: str, delete_metadata: bool) -> int:
        """Number of cursors dropped."""
        return int((await self._call("delete_group", group, delete_metadata))[0][0])

    async def queue_stats(self, queue_ids: Sequence[int]) -> dict[int, QueueStats]:
        """Totals per queue; queues without partitions are left out."""
        return {row[0]: QueueStats(*row) for row in await self._call("queue_stats", list(queue_ids))}

    async def partition_stats(self, queue_id: int, limit: int, offset: int) -> list[PartitionStats]:
        """One page of a queue's partitions, by name."""
        return [PartitionStats(*row) for row in await self._call("partition_stats", queue_id, limit, offset)]

    async def oldest_newest(self, partition_ids: Sequence[int]) -> dict[int, tuple[datetime | None, datetime]]:
        """When the oldest and newest kept message were stored; empty partitions are left out."""
        return {row[0]: (row[1], row[2]) for row in await self._call("oldest_newest", list(partition_ids))}

    async def find_dead_letters(
        self,
        *,
        queue: str | None,
        group: str | None,
        partition: str | None,
        failed_from: datetime | None,
        failed_to: datetime | None,
        limit: int,
        offset: int,
    ) -> list[Row]:
        """Dead letters, newest first, as rows with the columns of `find_dead_letters.sql`."""
        return await self._call("find_dead_letters", queue, group, partition, failed_from, failed_to, limit, offset)

    async def ping(self) -> None:
        """One round trip."""
        async with self._pool.connection() as connection:
            await connection.execute("select 1")

    async def server_version(self) -> str:
        """The version of PostgreSQL, as it says itself."""
        async with self._pool.connection() as connection:
            row = await (await connection.execute("select current_setting('server_version')")).fetchone()
        return str(row[0]) if row else ""
