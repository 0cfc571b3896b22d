"""Activity over time: queues, retention, processes, PostgreSQL. From rows kept by the minute."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BeforeValidator

from queen import wire
from queen.server.activity import From, Range, To, bucket_of, by_bucket, match, read_range, series
from queen.server.context import Context, Filter, context
from queen.server.describe import refusals
from queen.server.routes.status import time_range
from queen.server.shapes import analytics as shapes
from queen.store.activity import ALL_QUEUES, Counts, Place

router = APIRouter(prefix="/api/v1/analytics", tags=["operations"])

_BUSY_MINUTES = 5
_BUSY_MAX = 100
_ROWS_MAX = 10_000
_INT_MAX = 2**31 - 1


def _number(value: object) -> int | None:
    """A whole number; an unreadable one counts as absent."""
    text = str(value)
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 10 and int(text) <= _INT_MAX else None


_WorkerId = Annotated[int | None, Query(description="Number of a worker, 0 without workers."), BeforeValidator(_number)]
_Hostname = Annotated[Filter, Query(description="Name of the machine.")]


@router.get("/queue-lag", responses=refusals(400))
async def queue_lag(request: Request, since: From = None, to: To = None, queue: Filter = None) -> list[shapes.LagPoint]:
    """How long messages waited for their delivery, in the buckets with deliveries. Without `queue`, of all together."""
    here = context(request)
    asked = read_range(here, since, to)
    matched = await match(here, asked, queue)
    return [
        shapes.LagPoint(
            queueName=matched.names[row.queue_id],
            popCount=row.counts.lag_count,
            avgLagMs=round(row.counts.lag_ms_sum / row.counts.lag_count, 3),
            maxLagMs=row.counts.lag_ms_max,
            bucketMinutes=asked.minutes,
            bucketTime=wire.datetime_text(row.bucket),
        )
        for row in await series(here, matched.names, asked)
        if row.counts.lag_count
    ]


@router.get("/queue-ops", responses=refusals(400))
async def queue_ops(request: Request, since: From = None, to: To = None, queue: Filter = None) -> shapes.QueueOps:
    """What was done with a queue; without `queue`, with all together."""
    here = context(request)
    asked = read_range(here, since, to)
    matched = await match(here, asked, queue)
    rows = await series(here, matched.names, asked)
    if matched.everything:
        names = [row.name for row in await _busiest(here, asked)]
    else:
        names = [name for name in matched.names.values() if name is not None]
    return shapes.QueueOps(
        timeRange=time_range(asked),
        bucketMinutes=asked.minutes,
        series=[
            shapes.OpsPoint(
                bucket=wire.datetime_text(row.bucket),
                queueName=matched.names[row.queue_id],
                **_numbers(asked, row.bucket, row.counts),
            )
            for row in rows
        ],
        queues=names,
    )


@router.get("/queue-parked-replicas", responses=refusals(400))
async def parked(request: Request, since: From = None, to: To = None, queue: Filter = None) -> shapes.ParkedReplicas:
    """Polls that waited at each process, by whole minutes; without `queue`, for any queue."""
    here = context(request)
    asked = read_range(here, since, to)
    matched = await match(here, asked, queue)
    rows = []
    if matched.names:
        rows = await here.admin.activity.parked(list(matched.names), asked.since, asked.until, asked.minutes, _ROWS_MAX)
    return shapes.ParkedReplicas(
        timeRange=time_range(asked),
        bucketMinutes=asked.minutes,
        series=[
            shapes.ParkedPoint(
                bucket=wire.datetime_text(row.bucket),
                queueName=matched.names[row.queue_id],
                hostname=row.hostname,
                workerId=row.worker,
                parkedCount=round(row.parked, 3),
            )
            for row in rows
        ],
        replicas=[
            shapes.Replica(hostname=hostname, workerId=worker)
            for hostname, worker in sorted({(row.hostname or "", row.worker or 0) for row in rows})
        ],
    )


@router.get("/retention", responses=refusals(400))
async def retention(request: Request, since: From = None, to: To = None, queue: Filter = None) -> shapes.Retention:
    """What retention took away, in the buckets in which it did. It is not counted by queue: with `queue`, nothing."""
    here = context(request)
    asked = read_range(here, since, to)
    rows = [] if queue else by_bucket(await series(here, [ALL_QUEUES], asked))
    rows = [(bucket, counts) for bucket, counts in rows if counts.messages_hidden or counts.epochs_dropped]
    return shapes.Retention(
        timeRange=time_range(asked),
        bucketMinutes=asked.minutes,
        series=[
            shapes.RetentionPoint(
                bucket=wire.datetime_text(bucket), totalMsgs=counts.messages_hidden, eventCount=counts.epochs_dropped
            )
            for bucket, counts in rows
        ],
        totals=shapes.RetentionNumbers(
            totalMsgs=sum(counts.messages_hidden for _, counts in rows),
            eventCount=sum(counts.epochs_dropped for _, counts in rows),
        ),
    )


@router.get("/system-metrics", responses=refusals(400))
async def system_metrics(
    request: Request,
    since: From = None,
    to: To = None,
    hostname: _Hostname = None,
    workerId: _WorkerId = None,
) -> shapes.SystemMetrics:
    """Processor, memory, connections and requests of each process, by whole minutes; of this one also the running one.

    Kept by the minute only, for `engine.activity_minutes_kept_ms`.
    """
    here = context(request)
    asked = read_range(here, since, to)
    rows = await here.admin.activity.instances(asked.since, asked.until, asked.minutes, hostname, workerId, _ROWS_MAX)
    found: dict[Place, dict[datetime, Any]] = {}
    for row in reversed(rows):
        found.setdefault(Place(row.hostname, row.port, row.worker), {})[row.bucket] = row.metrics
    own, now = here.engine.activity.place, bucket_of(asked.now, asked.minutes)
    wanted = hostname in (None, own.hostname) and workerId in (None, own.worker)
    running = here.engine.activity.gauges.summary()
    if wanted and running and asked.since <= now < asked.until:
        found.setdefault(own, {}).setdefault(now, running)
    return shapes.SystemMetrics(
        timeRange=time_range(asked),
        bucketMinutes=asked.minutes,
        replicas=[
            shapes.SystemReplica(
                hostname=place.hostname,
                port=place.port,
                workerId=place.worker,
                timeSeries=[
                    shapes.SystemPoint(timestamp=wire.datetime_text(bucket), metrics=metrics)
                    for bucket, metrics in sorted(points.items())
                ],
            )
            for place, points in sorted(found.items())
        ],
    )


@router.get("/worker-metrics", responses=refusals(400))
async def worker_metrics(request: Request, since: From = None, to: To = None) -> shapes.WorkerMetrics:
    """What all processes did together, and the busiest queues of the last minutes."""
    here = context(request)
    asked = read_range(here, since, to)
    points = by_bucket(await series(here, [ALL_QUEUES], asked))
    return shapes.WorkerMetrics(
        timeRange=time_range(asked),
        bucketMinutes=asked.minutes,
        timeSeries=[
            shapes.WorkerPoint(timestamp=wire.datetime_text(bucket), **_numbers(asked, bucket, counts))
            for bucket, counts in points
        ],
        queues=[
            shapes.BusyQueue(
                queueName=row.name,
                pushMessages=row.push_messages,
                popMessages=row.pop_messages,
                ackSuccess=row.ack_success,
            )
            for row in await _busiest(here, asked)
        ],
    )


@router.get("/postgres-stats", responses=refusals())
async def postgres_stats(request: Request) -> shapes.PostgresStats:
    """What PostgreSQL counts of itself: the database, its connections, Queen's tables, log and checkpoints."""
    return shapes.PostgresStats(**await context(request).admin.activity.postgres())


async def _busiest(here: Context, asked: Range) -> Iterable[Any]:
    since = bucket_of(asked.now, 1) - timedelta(minutes=_BUSY_MINUTES)
    return await here.admin.activity.busiest(since.astimezone(UTC), _BUSY_MAX)


def _numbers(asked: Range, bucket: datetime, counts: Counts) -> dict[str, Any]:
    """The fields that a point has of its counts."""
    seconds, lags = asked.seconds(bucket), counts.lag_count
    minutes = max(1.0, seconds / 60)
    return {
        "pushRequests": counts.push_requests,
        "pushMessages": counts.push_messages,
        "popRequests": counts.pop_requests,
        "popMessages": counts.pop_messages,
        "popEmpty": counts.pop_empty,
        "ackRequests": counts.ack_requests,
        "ackSuccess": counts.ack_success,
        "ackFailed": counts.ack_failed,
        "ackRejected": counts.ack_rejected,
        "transactions": counts.transactions,
        "deadLetters": counts.dead_letters,
        "avgLagMs": round(counts.lag_ms_sum / lags, 3) if lags else None,
        "maxLagMs": counts.lag_ms_max if lags else None,
        "pushPerSecond": round(counts.push_messages / seconds, 3),
        "popPerSecond": round(counts.pop_messages / seconds, 3),
        "ackPerSecond": round(counts.ack_success / seconds, 3),
        "emptyPerSecond": round(counts.pop_empty / seconds, 3),
        "parkedCount": round(counts.parked / minutes, 3),
    }
