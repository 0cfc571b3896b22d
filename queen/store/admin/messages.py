"""Stored messages, as people look at them: found, listed, deleted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from queen.store.admin.calls import Calls, Row

_LOCK_MS = 2_000


class Key(NamedTuple):
    """Where a message stands; the epoch is None when only a dead letter may have it."""

    partition_id: int
    offset: int
    epoch: int | None
    created_at: datetime


class Keys(NamedTuple):
    """What a search found, and whether it ended at its bound before it was through."""

    found: list[Key]
    ended: bool


class Scope(NamedTuple):
    """What a search may look through; see `browse_scope.sql`."""

    queue_ids: list[int] | None
    partition_ids: list[int] | None


class Messages(Calls):
    """Calls about messages. Each is bounded by what it is asked for, whatever is stored."""

    async def scope(
        self,
        queue: str | None,
        partition: str | None,
        namespace: str | None,
        task: str | None,
        partitions_max: int,
        queues_max: int,
    ) -> Scope:
        """What there is of queues and partitions with these names; see `browse_scope.sql`."""
        asked = (queue, partition, namespace, task, partitions_max, queues_max)
        return Scope(*(await self._call("browse_scope", *asked))[0])

    async def of_partitions(
        self, partition_ids: Sequence[int], status: str | None, since: datetime, until: datetime | None, limit: int
    ) -> Keys:
        """The newest messages of these partitions, exactly."""
        return _keys(await self._call("browse_partitions", list(partition_ids), status, since, until, limit))

    async def of_queues(
        self,
        queue_ids: Sequence[int],
        status: str | None,
        since: datetime,
        until: datetime | None,
        limit: int,
        looks: int,
    ) -> Keys:
        """The newest messages of these queues, by their places in the tables."""
        return _keys(await self._call("browse_queues", list(queue_ids), status, since, until, limit, looks))

    async def of_all(
        self,
        namespace: str | None,
        task: str | None,
        status: str | None,
        since: datetime,
        until: datetime | None,
        limit: int,
        looks: int,
        pages: int,
    ) -> Keys:
        """The newest messages of all queues, by their places in the tables."""
        asked = (namespace, task, status, since, until, limit, looks, pages)
        return _keys(await self._call("browse_tail", *asked))

    async def dead(
        self,
        queue_ids: Sequence[int] | None,
        partition_id: int | None,
        namespace: str | None,
        task: str | None,
        since: datetime,
        until: datetime | None,
        limit: int,
        looks: int,
    ) -> Keys:
        """Messages with a dead letter, the newest record first."""
        queues = list(queue_ids) if queue_ids is not None else None
        asked = (queues, partition_id, namespace, task, since, until, limit, looks)
        return _keys(await self._call("browse_dead_letters", *asked))

    async def show(
        self, keys: Sequence[tuple[int, int, int | None]], status: str | None, skip: int, limit: int, bytes_max: int
    ) -> list[Row]:
        """Messages by (partition, offset, epoch), with what became of them; see `show_messages.sql`."""
        columns = [[key[n] for key in keys] for n in range(3)]
        return await self._call("show_messages", *columns, status, skip, limit, bytes_max)

    async def find(self, partition_id: int, transaction_id: str) -> tuple[int, int, int | None] | None:
        """Where the newest message of an address stands, or None."""
        rows = await self._call("find_message", partition_id, transaction_id)
        return (rows[0].partition_id, rows[0].offset, rows[0].epoch) if rows else None

    async def groups(self, partition_id: int, offset: int) -> list[Row]:
        """The groups of the partition, and what each has to do with the message."""
        return await self._call("message_groups", partition_id, offset)

    async def delete(self, partition_id: int, transaction_id: str) -> str | None:
        """Delete the dead letters of an address, else its message. What went, or None."""
        rows = await self._call("delete_message", partition_id, transaction_id, _LOCK_MS)
        return rows[0][0] if rows[0][0] is not None else None


def _keys(rows: list[Row]) -> Keys:
    """A row of nulls at the end says that the search ended at its bound."""
    found = [Key(*row) for row in rows if row.partition_id is not None]
    return Keys(found, len(found) < len(rows))
