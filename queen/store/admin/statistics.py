"""Numbers of queues and groups: counted at once where there is little to count, else as they were kept lately."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple, cast

from queen.store.admin.calls import Calls
from queen.store.pool import Pool

LIVE_PARTITIONS_MAX: Final = 2_000
"""An answer over at most this many partitions is counted while it is asked; above it comes from what is kept."""

PARTITIONS_PER_PAGE: Final = 2_000
"""Of the walk that keeps the numbers: a few dozen milliseconds a page."""


class QueueNumbers(NamedTuple):
    """Totals of a queue, against the slowest group of each partition; see `0005_statistics.sql`.

    `computed_at` is None when they were counted just now.
    """

    queue_id: int
    computed_at: datetime | None
    partitions: int
    total: int
    pending: int
    processing: int
    partitions_pending: int
    partitions_ready: int
    dead_letters: int
    retained_bytes: int
    oldest_pending_at: datetime | None


class GroupNumbers(NamedTuple):
    """What one group has before it in one queue, on the partitions that it has touched; `computed_at` as above."""

    queue_id: int
    consumer_group: str
    computed_at: datetime | None
    members: int
    partitions_with_lag: int
    partitions_ready: int
    total_lag: int
    processing: int
    consumed: bool
    oldest_pending_at: datetime | None


class Step(NamedTuple):
    """One page of the walk that keeps the numbers; a `queue_id` of None: the walk is through. See `refresh_stats.sql`."""

    queue_id: int | None
    after: int | None
    queues: int
    partitions: int
    carry: str | None


class Statistics(Calls):
    """Calls about numbers. `live_max` is LIVE_PARTITIONS_MAX; tests lower it."""

    def __init__(self, pool: Pool, schema: str, live_max: int = LIVE_PARTITIONS_MAX) -> None:
        super().__init__(pool, schema)
        self._live_max = live_max

    async def queue_numbers(self, queue_ids: Sequence[int], *, oldest: bool = False) -> dict[int, QueueNumbers]:
        """Totals per queue. Left out: queues without partitions, and large ones that no walk has come by yet.

        `oldest`: those that are counted now have `oldest_pending_at` too; kept ones have it anyway.
        """
        rows = await self._call("queue_numbers", list(queue_ids), self._live_max, oldest)
        return {row.queue_id: QueueNumbers(*row) for row in rows}

    async def group_numbers(
        self,
        *,
        queue_ids: Sequence[int] | None = None,
        group: str | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[GroupNumbers]:
        """One page by group and queue; None matches everything. See `group_numbers.sql`."""
        ids = list(queue_ids) if queue_ids is not None else None
        return [
            GroupNumbers(*row) for row in await self._call("group_numbers", ids, group, limit, offset, self._live_max)
        ]

    async def step(self, queue_id: int, after: int, carry: str | None) -> Step:
        """One page of the walk, behind this partition of this queue."""
        return Step(*(await self._call("refresh_stats", queue_id, after, PARTITIONS_PER_PAGE, carry))[0])


def oldest_computed(numbers: Sequence[QueueNumbers]) -> datetime | None:
    """When the oldest of these was computed; None when all were counted just now."""
    return min((cast(datetime, one.computed_at) for one in numbers if one.computed_at is not None), default=None)
