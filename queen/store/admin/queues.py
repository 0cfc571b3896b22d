"""Queues: configuration, deletion, their numbers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from psycopg.types.json import Jsonb

from queen.store.admin.calls import Calls


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


class Queues(Calls):
    """Calls about queues."""

    async def configure(
        self, queue: str, namespace: str | None, task: str | None, replace: bool, options: dict[str, Any]
    ) -> Configured:
        """Create or change a queue; see `configure.sql`."""
        return Configured(*(await self._call("configure", queue, namespace, task, replace, Jsonb(options)))[0])

    async def delete_queue(self, queue: str) -> bool:
        """True when the queue existed."""
        return bool((await self._call("delete_queue", queue))[0][0])

    async def queue_stats(self, queue_ids: Sequence[int]) -> dict[int, QueueStats]:
        """Totals per queue; queues without partitions are left out."""
        return {row[0]: QueueStats(*row) for row in await self._call("queue_stats", list(queue_ids))}

    async def partition_stats(self, queue_id: int, limit: int, offset: int) -> list[PartitionStats]:
        """One page of a queue's partitions, by name."""
        return [PartitionStats(*row) for row in await self._call("partition_stats", queue_id, limit, offset)]

    async def oldest_newest(self, partition_ids: Sequence[int]) -> dict[int, tuple[datetime | None, datetime]]:
        """When the oldest and newest kept message were stored; empty partitions are left out."""
        return {row[0]: (row[1], row[2]) for row in await self._call("oldest_newest", list(partition_ids))}
