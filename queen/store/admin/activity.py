"""What servers did by the minute: written by the engine, read by the routes of status and analytics."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from psycopg.types.json import Jsonb

from queen.store.activity import Counts, Minute, Place, SeriesRow, row_of
from queen.store.admin.calls import Calls, Row


class Activity(Calls):
    """Implements `queen.store.activity.ActivityStore`, and the reads."""

    async def record(self, instance_id: uuid.UUID, place: Place, minute: Minute) -> float:
        rows = Jsonb([row_of(queue_id, counts) for queue_id, counts in minute.rows.items()])
        metrics = Jsonb(minute.metrics) if minute.metrics else None
        bucket = datetime.fromtimestamp(minute.bucket, UTC)
        at = (await self._call("record_activity", instance_id, bucket, rows, *place, metrics))[0][0]
        return float(at.timestamp())

    async def roll_up(self, minutes_kept_ms: int, hours_kept_ms: int, limit: int) -> int:
        return int((await self._call("roll_up_activity", minutes_kept_ms, hours_kept_ms, limit))[0][0])

    async def series(
        self,
        queue_ids: Sequence[int],
        since: datetime,
        until: datetime,
        minutes: int,
        instance_id: uuid.UUID,
        own_since: datetime,
    ) -> list[SeriesRow]:
        """Buckets of so many minutes; what `instance_id` wrote from `own_since` on is left out."""
        rows = await self._call("activity_series", list(queue_ids), since, until, minutes, instance_id, own_since)
        return [SeriesRow(row[0], row[1], Counts(*row[2:])) for row in rows]

    async def parked(
        self, queue_ids: Sequence[int], since: datetime, until: datetime, minutes: int, limit: int
    ) -> list[Row]:
        """Polls that waited, by server; rows of `parked_series.sql`."""
        return await self._call("parked_series", list(queue_ids), since, until, minutes, limit)

    async def busiest(self, since: datetime, limit: int) -> list[Row]:
        """Rows of `busiest_queues.sql`."""
        return await self._call("busiest_queues", since, limit)

    async def instances(
        self, since: datetime, until: datetime, minutes: int, hostname: str | None, worker: int | None, limit: int
    ) -> list[Row]:
        """Rows of `instance_series.sql`."""
        return await self._call("instance_series", since, until, minutes, hostname, worker, limit)

    async def running(self, within_ms: int, limit: int) -> list[Row]:
        """Rows of `running_instances.sql`."""
        return await self._call("running_instances", within_ms, limit)

    async def postgres(self) -> dict[str, Any]:
        """What `postgres_stats.sql` says."""
        return dict((await self._call("postgres_stats"))[0][0])
