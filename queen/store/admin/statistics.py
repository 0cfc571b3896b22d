"""Numbers of queues and groups: counted at once where there is little to count, else as they were kept lately."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from queen.store.admin.calls import Calls
from queen.store.kept import Step
from queen.store.pool import Pool

LIVE_PARTITIONS_MAX: Final = 2_000
"""An answer over at most this many partitions is counted while it is asked; above it comes from what is kept."""

PARTITIONS_PER_PAGE: Final = 2_000
"""Of the walk that keeps the numbers: a few dozen milliseconds a page."""


class QueueNumbers(NamedTuple):
    """Totals of a queue, against the slowest group of each partition; see `0005_statistics.sql`.

    `computed_at` is None when they were counted just now, and in 1970 when they never were.
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


class PartitionNumbers(NamedTuple):
    """Numbers of one partition, counted now, against its slowest group; see `partition_stats.sql`."""

    partition_id: int
    queue_id: int
    name: str
    created_at: datetime
    total: int
    pending: int
    processing: int
    dead_letters: int
    consumed: int
    oldest: datetime | None
    newest: datetime | None
    last_write_at: datetime | None


class Depth(NamedTuple):
    """What a group has before it on one partition; `whole`: all partitions of the queue are there."""

    partition_id: int
    name: str
    pending: int
    processing: int
    whole: bool


class Overview(NamedTuple):
    """The whole system. Lags are average, median, least, most; `stats_age` is 0 when counted, -1 when never."""

    queues: int
    partitions: int
    namespaces: int
    tasks: int
    total: int
    pending: int
    processing: int
    dead_letters: int
    retained_bytes: int
    time_lags: list[float]
    offset_lags: list[float]
    stats_age: float


class Named(NamedTuple):
    """Numbers of all queues of one namespace, or one task."""

    name: str
    queues: int
    partitions: int
    total: int
    pending: int


class Statistics(Calls):
    """Calls about numbers; implements `queen.store.kept.KeptNumbers`. Tests lower the two bounds."""

    def __init__(
        self, pool: Pool, schema: str, live_max: int = LIVE_PARTITIONS_MAX, page: int = PARTITIONS_PER_PAGE
    ) -> None:
        super().__init__(pool, schema)
        self._live_max = live_max
        self._page = page

    async def queue_numbers(self, queue_ids: Sequence[int], *, oldest: bool = False) -> dict[int, QueueNumbers]:
        """Totals per queue; queues without partitions are left out. A large one that no walk has come by has zeros.

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

    async def partition_numbers(self, queue_id: int | None, limit: int, offset: int) -> list[PartitionNumbers]:
        """One page of a queue's partitions by name, or of all partitions by id."""
        return [PartitionNumbers(*row) for row in await self._call("partition_stats", queue_id, limit, offset)]

    async def depth(self, queue_id: int, group: str | None, limit: int, offset: int) -> list[Depth]:
        """What a group, or the slowest one, has before it: all partitions of a small queue, a page of a large one."""
        rows = await self._call("depth", queue_id, group, limit, offset, self._live_max)
        return [Depth(*row) for row in rows]

    async def overview(self, lags: bool = True) -> Overview:
        """The numbers of the whole system; without `lags` the lags are empty."""
        return Overview(*(await self._call("overview", self._live_max, lags))[0])

    async def by_namespace(self, limit: int, offset: int) -> list[Named]:
        """Numbers of queues by namespace, in the order of names."""
        return [Named(*row) for row in await self._call("numbers_by", "namespace", limit, offset, self._live_max)]

    async def by_task(self, limit: int, offset: int) -> list[Named]:
        """The same by task."""
        return [Named(*row) for row in await self._call("numbers_by", "task", limit, offset, self._live_max)]

    async def step(self, queue_id: int, after: int, carry: str | None) -> Step:
        """One page of the walk, behind this partition of this queue."""
        return Step(*(await self._call("refresh_stats", queue_id, after, self._page, carry))[0])


def age_s(numbers: Iterable[QueueNumbers | GroupNumbers]) -> float:
    """Seconds since the oldest of these was computed: 0 when all were counted just now, -1 when one never was."""
    oldest = min((one.computed_at for one in numbers if one.computed_at is not None), default=None)
    if oldest is None:
        return 0.0
    if oldest.year == 1970:
        return -1.0
    return round(max(0.0, (datetime.now(UTC) - oldest).total_seconds()), 3)
