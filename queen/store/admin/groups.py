"""Consumer groups: their places, their numbers, their end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import NamedTuple, TypeVar

from queen import errors
from queen.store.admin.calls import Calls, Row
from queen.store.admin.statistics import LIVE_PARTITIONS_MAX
from queen.store.pool import Pool

SOUGHT_PER_CALL = 500
"""Partitions whose cursors are set in one transaction; acks of the group may wait for it."""
LOOKED_AT_MAX = 2_000
"""Partitions that a page of those that lag looks at."""
_TRIES_MAX = 3

T = TypeVar("T")


class Place(NamedTuple):
    """A partition, by its ids."""

    queue_id: int
    partition_id: int


class Lagging(NamedTuple):
    """Partitions as rows with the columns of `lagging_partitions.sql`; the offset to go on at, None at the end; and did
    kept numbers decide which groups to look at?"""

    rows: list[Row]
    next: int | None
    kept: bool


class Groups(Calls):
    """Calls about consumer groups. `live_max` is LIVE_PARTITIONS_MAX; tests lower it."""

    def __init__(self, pool: Pool, schema: str, live_max: int = LIVE_PARTITIONS_MAX) -> None:
        super().__init__(pool, schema)
        self._live_max = live_max

    async def list_groups(self, limit: int, offset: int) -> list[Row]:
        """One page of the groups with their numbers, as rows with the columns of `list_groups.sql`."""
        return await self._call("list_groups", limit, offset, self._live_max)

    async def partitions(self, group: str, limit: int, offset: int) -> list[Row]:
        """One page of the partitions of a group's queues, as rows with the columns of `group_partitions.sql`."""
        return await self._call("group_partitions", group, limit, offset, self._live_max)

    async def lagging(self, min_lag_s: int, limit: int, offset: int) -> Lagging:
        """One page of the partitions that lag that much."""
        *rows, last = await self._call("lagging_partitions", min_lag_s, limit, offset, LOOKED_AT_MAX, self._live_max)
        return Lagging(rows, last.next, last.kept)

    async def delete_group(self, group: str, delete_metadata: bool) -> int:
        """Number of cursors dropped."""
        return int((await self._call("delete_group", group, delete_metadata))[0][0])

    async def delete_group_from(self, queue: str, group: str, delete_metadata: bool) -> int:
        """The same on one queue."""
        return int((await self._call("delete_group_from", queue, group, delete_metadata))[0][0])

    async def resubscribe(self, group: str, start_at: datetime) -> int:
        """Number of registrations that start at this time now."""
        return int((await self._call("resubscribe", group, start_at))[0][0])

    async def seek_queue(self, queue_id: int, group: str, at: datetime | None) -> int:
        """Set the group's cursors on all partitions of a queue, a page at a time; their number. None: to the end."""
        count, after = 0, 0
        while True:
            row = (await _past_epochs(lambda: self._seek_page(queue_id, group, at, after)))[0]  # noqa: B023
            count += int(row.sought)
            if row.after is None:
                return count
            after = row.after

    async def _seek_page(self, queue_id: int, group: str, at: datetime | None, after: int) -> list[Row]:
        return await self._call("seek_queue", queue_id, group, at, after, SOUGHT_PER_CALL)

    async def seek_partition(self, queue: str, partition: str, group: str, at: datetime | None) -> Place | None:
        """Set the group's cursor on one partition; None when there is no such partition."""
        rows = await _past_epochs(lambda: self._call("seek_partition", queue, partition, group, at))
        return Place(rows[0].queue_id, rows[0].partition_id) if rows else None


async def _past_epochs(call: Callable[[], Awaitable[T]]) -> T:
    """Repeat a call that looked into an epoch that was dropped under it."""
    for _ in range(_TRIES_MAX - 1):
        try:
            return await call()
        except errors.EpochGone:
            continue
    return await call()
