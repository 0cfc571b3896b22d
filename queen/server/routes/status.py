"""The state of the system in more detail than `/health`: throughput, totals, who serves, and what went wrong lately."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime
from typing import NamedTuple

from fastapi import APIRouter, Request, Response

from queen import errors, wire
from queen.engine.board import Restart
from queen.engine.events import Event
from queen.server import past
from queen.server.activity import From, Matched, Range, To, by_bucket, match, read_range, remembered, series
from queen.server.context import Context, Filter, context
from queen.server.describe import refusals
from queen.server.shapes import status as shapes
from queen.server.shapes.series import TimeRange
from queen.server.totals import Totals, totals
from queen.store.activity import ALL_QUEUES, Counts, SeriesRow

router = APIRouter(prefix="/api/v1", tags=["operations"])

_INTERVALS = {"minute": 1, "hour": 60, "day": 1440}
_WORKERS_MAX = 1_000
_PATIENCE_S = 1.0


@router.get("/status", responses=refusals(400))
async def status(
    request: Request,
    response: Response,
    since: From = None,
    to: To = None,
    queue: Filter = None,
    namespace: Filter = None,
    task: Filter = None,
) -> shapes.Status:
    """Throughput of the latest hour (or `from` to `to`), totals, and the latest troubles with times.

    Without filters it also answers while the database is away or has no connection free, from what this process has in
    memory. With more queues than can be added up in time `Queen-More` is set, and the first ones by name count.
    """
    here = context(request)
    asked = read_range(here, since, to)
    if queue or namespace or task:
        matched = await match(here, asked, queue, namespace, task)
        known = await _ask(here, matched, asked)
    else:
        matched = Matched({ALL_QUEUES: None}, more=False)
        known = await _ask_if_possible(here, matched, asked)
    if matched.more:
        response.headers["Queen-More"] = "true"
    counted, points, counts = known.totals, by_bucket(known.rows), here.numbers()
    return shapes.Status(
        timeRange=time_range(asked),
        bucketMinutes=asked.minutes,
        pointCount=len(points),
        throughput=[_point(asked, bucket, done) for bucket, done in points],
        queues=counted.queues,
        messages=_messages(counted),
        leases=shapes.Leases(active=int(counts.gauges["leases"]) if matched.everything else None),
        deadLetterQueue=shapes.DeadLetterTotals(totalMessages=counted.dead_letters),
        workers=known.workers,
        errors=shapes.Troubles(
            acksFailed=sum(done.ack_failed for _, done in points),
            acksRejected=sum(done.ack_rejected for _, done in points),
            deadLetters=sum(done.dead_letters for _, done in points),
        ),
        statsAge=counted.age_s,
        pool=_pool(here),
        slowFlushes=_slow_flushes(here),
        workerRestarts=_restarts(here),
        refusedRequests=_refusals(here),
        rotation=_rotation(here),
        memory=past.memory(here, counts),
        history=past.history(here, counts, known.written),
    )


@router.get("/status/analytics", responses=refusals(400))
async def analytics(
    request: Request,
    response: Response,
    interval: str = "hour",
    since: From = None,
    to: To = None,
    queue: Filter = None,
    namespace: Filter = None,
    task: Filter = None,
) -> shapes.MessagesOverTime:
    """Messages that came in, by `minute`, `hour` or `day`, of the latest 24 hours unless `from` and `to` say else.

    Of the time before `engine.activity_minutes_kept_ms` only hours are known.
    """
    here = context(request)
    if interval not in _INTERVALS:
        raise errors.InvalidRequest("bad query: interval must be minute, hour or day", hint="leave it out for hours")
    asked = read_range(here, since, to, hours=24, minutes=_INTERVALS[interval])
    matched = await match(here, asked, queue, namespace, task)
    if matched.more:
        response.headers["Queen-More"] = "true"
    points = by_bucket(await series(here, matched.names, asked))
    return shapes.MessagesOverTime(
        dataPoints=[
            shapes.DataPoint(timestamp=wire.datetime_text(bucket), messages=counts.push_messages)
            for bucket, counts in points
        ],
        interval=interval,
        **{"from": wire.datetime_text(asked.since)},
        to=wire.datetime_text(asked.until),
    )


def time_range(asked: Range) -> TimeRange:
    """The range of an answer."""
    return TimeRange(**{"from": wire.datetime_text(asked.since)}, to=wire.datetime_text(asked.until))


class _Known(NamedTuple):
    """What the database says."""

    rows: list[SeriesRow]
    totals: Totals
    workers: list[shapes.Worker]
    written: past.Written | None


async def _ask(here: Context, matched: Matched, asked: Range) -> _Known:
    return _Known(
        await series(here, matched.names, asked),
        await totals(here, matched.names),
        await _workers(here),
        await past.read(here),
    )


async def _ask_if_possible(here: Context, matched: Matched, asked: Range) -> _Known:
    """The same, or what is in memory: whoever looks because all connections are taken must not wait for one."""
    pool = here.pool.stats()
    if not pool["away"] and not pool["waiting"] and (pool["idle"] or pool["size"] < here.pool.size_max):
        with contextlib.suppress(errors.QueenError, TimeoutError):
            async with asyncio.timeout(_PATIENCE_S):
                return await _ask(here, matched, asked)
    return _Known(remembered(here, matched.names, asked), Totals(), [], None)


def _point(asked: Range, bucket: datetime, counts: Counts) -> shapes.ThroughputPoint:
    seconds = asked.seconds(bucket)
    return shapes.ThroughputPoint(
        timestamp=wire.datetime_text(bucket),
        ingested=counts.push_messages,
        delivered=counts.pop_messages,
        processed=counts.ack_success,
        failed=counts.ack_failed,
        ingestedPerSecond=round(counts.push_messages / seconds, 3),
        deliveredPerSecond=round(counts.pop_messages / seconds, 3),
        processedPerSecond=round(counts.ack_success / seconds, 3),
    )


def _messages(counted: Totals) -> shapes.MessageTotals | None:
    if counted.total is None or counted.pending is None or counted.processing is None or counted.dead_letters is None:
        return None
    return shapes.MessageTotals(
        total=counted.total,
        pending=counted.pending,
        processing=counted.processing,
        completed=counted.total - counted.pending,
        deadLetter=counted.dead_letters,
    )


async def _workers(here: Context) -> list[shapes.Worker]:
    own = here.engine.instance_id
    return [
        shapes.Worker(
            instanceId=str(row.instance_id),
            startedAt=wire.datetime_text(row.started_at),
            seenAt=wire.datetime_text(row.seen_at),
            poolSize=row.pool_size,
            version=row.version,
            leading=row.leads,
            answering=row.instance_id == own,
        )
        for row in await here.admin.activity.running(here.settings.engine.leader_lease_ms, _WORKERS_MAX)
    ]


def _pool(here: Context) -> shapes.Pool:
    pool = here.pool
    now = pool.stats()
    return shapes.Pool(
        size=now["size"],
        idle=now["idle"],
        waiting=now["waiting"],
        away=now["away"],
        sizeMax=here.settings.database.pool_size,
        pooler=pool.pooled,
        prepares=pool.prepares,
        budget=pool.budget.describe() if pool.budget is not None else None,
        waitUs=shapes.PoolWaits(
            p50=pool.waits.percentile(50), p95=pool.waits.percentile(95), p99=pool.waits.percentile(99)
        ),
        totals=pool.totals(),
        events=[shapes.PoolEvent(**event) for event in pool.history()],
    )


def _slow_flushes(here: Context) -> shapes.SlowFlushes:
    ring = here.engine.slow_flushes
    return shapes.SlowFlushes(
        thresholdMs=here.settings.engine.slow_flush_ms,
        total=ring.totals.total(),
        events=[
            shapes.SlowFlush(
                at=_text(one.at), verb=one.verb, ms=one.ms, entries=one.entries, outcome=one.kind, count=one.count
            )
            for one in ring.events()
        ],
    )


def _restarts(here: Context) -> shapes.WorkerRestarts:
    found: list[Restart] = here.seat.board.restarts() if here.seat is not None else []
    return shapes.WorkerRestarts(
        total=here.numbers().totals["worker_restarts"],
        events=[shapes.WorkerRestart(at=_text(one.at), worker=one.worker, how=one.how) for one in found],
    )


def _refusals(here: Context) -> shapes.Refusals:
    ring = here.engine.stats.refusals
    return shapes.Refusals(byCode=dict(ring.totals), events=[_refusal(one) for one in ring.events()])


def _refusal(one: Event) -> shapes.Refusal:
    return shapes.Refusal(at=_text(one.at), verb=one.verb, code=one.kind, error=one.text, count=one.count)


def _rotation(here: Context) -> shapes.Rotation:
    engine = here.settings.engine
    return shapes.Rotation(
        ageMsMin=engine.epoch_age_ms_min,
        ageMsMax=engine.epoch_age_ms_max,
        bytesMax=engine.epoch_bytes_max,
        epochsMax=engine.epochs_max,
    )


def _text(at: float) -> str:
    return wire.datetime_text(datetime.fromtimestamp(at, UTC))
