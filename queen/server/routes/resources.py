"""What there is: the whole system, namespaces, tasks, partitions, and how much is before a group."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from queen import model, wire
from queen.server import render
from queen.server.activity import rates
from queen.server.context import Context, Filter, Limit, Offset, QueueName, context, whole
from queen.server.describe import answers, refusals
from queen.server.shapes import numbers as shapes
from queen.store.admin.statistics import Depth, Named

router = APIRouter(prefix="/api/v1", tags=["resources"])

_PartitionLimit = Annotated[int, Query(description="Most entries of the page."), whole(100, 10_000)]
_Group = Annotated[Filter, Query(description="The consumer group; without it, the slowest of each partition.")]


@router.get("/resources/overview", responses=refusals())
async def overview(request: Request) -> shapes.Overview:
    """The whole system in numbers."""
    here = context(request)
    found = await here.admin.statistics.overview()
    throughput = await rates(here)
    if found.stats_age:
        render.asked(here)
    return shapes.Overview(
        queues=found.queues,
        partitions=found.partitions,
        namespaces=found.namespaces,
        tasks=found.tasks,
        messages=shapes.Totals(
            total=found.total,
            pending=found.pending,
            processing=found.processing,
            completed=found.total - found.pending,
            failed=None,
            deadLetter=found.dead_letters,
        ),
        lag=shapes.Lag(time=_spread(found.time_lags), offset=_spread(found.offset_lags)),
        throughput=shapes.Throughput(ingestedPerSecond=throughput.ingested, processedPerSecond=throughput.processed),
        timestamp=wire.datetime_text(datetime.now(UTC)),
        statsAge=round(found.stats_age, 3),
    )


@router.get(
    "/resources/namespaces",
    response_class=Response,
    responses={**answers(shapes.Namespaces, "The namespaces."), **refusals()},
)
async def list_namespaces(request: Request, limit: Limit = 1000, offset: Offset = 0) -> Response:
    """Namespaces with the numbers of their queues, by name."""
    found = await context(request).admin.statistics.by_namespace(limit + 1, offset)
    return _named(context(request), "namespace", found, limit)


@router.get(
    "/resources/tasks", response_class=Response, responses={**answers(shapes.Tasks, "The tasks."), **refusals()}
)
async def list_tasks(request: Request, limit: Limit = 1000, offset: Offset = 0) -> Response:
    """Tasks with the numbers of their queues, by name."""
    found = await context(request).admin.statistics.by_task(limit + 1, offset)
    return _named(context(request), "task", found, limit)


@router.get(
    "/resources/partitions",
    response_class=Response,
    responses={**answers(shapes.Partitions, "The partitions."), **refusals(400, 404)},
)
async def list_partitions(
    request: Request, queue: Filter = None, limit: _PartitionLimit = 100, offset: Offset = 0
) -> Response:
    """Partitions of a queue by name, or of all queues by age, with their numbers of just now."""
    here = context(request)
    queue_id = (await render.find_queue(here, queue)).queue_id if queue is not None else None
    found = await here.admin.statistics.partition_numbers(queue_id, limit + 1, offset)
    page = found[:limit]
    places = await here.engine.store.partition_names([one.partition_id for one in page])
    queues = {row.partition_id: row.queue for row in places}
    content = {
        "partitions": [
            {
                "id": model.encode_id(model.PARTITION, one.partition_id),
                "name": one.name,
                "queue": queues[one.partition_id],
                "createdAt": wire.datetime_text(one.created_at),
                "messages": render.counts(one),
            }
            for one in page
            if one.partition_id in queues  # else it was deleted in between
        ],
        "pagination": {"limit": limit, "offset": offset},
    }
    return render.answer(content, more=len(found) > limit)


@router.get(
    "/resources/queues/{queue}/depth",
    response_class=Response,
    responses={**answers(shapes.QueueDepth, "The depth."), **refusals(400, 404)},
)
async def show_depth(
    request: Request, queue: QueueName, group: _Group = None, limit: Limit = 1000, offset: Offset = 0
) -> Response:
    """How much a group has before it. The sums of a queue with very many partitions are those that are kept."""
    here = context(request)
    row = await render.find_queue(here, queue)
    found = await here.admin.statistics.depth(row.queue_id, group, limit + 1, offset)
    if found[0].whole if found else not offset:
        sums, age, found = _sums(found), 0.0, found[offset : offset + limit + 1]
    else:
        sums, age = await _kept_sums(here, row.queue_id, group)
    content = {
        "queue": queue,
        "group": group,
        **sums,
        "conflation": False,
        "effectivePending": sums["pending"],
        "effectiveReady": sums["ready"],
        "partitions": [
            {
                "partition": one.name,
                "pending": one.pending,
                "processing": one.processing,
                "ready": one.pending - one.processing,
            }
            for one in found[:limit]
        ],
        "statsAge": age,
    }
    return render.answer(content, more=len(found) > limit)


def _sums(partitions: Sequence[Depth]) -> dict[str, int]:
    return {
        "pending": sum(one.pending for one in partitions),
        "processing": sum(one.processing for one in partitions),
        "ready": sum(one.pending - one.processing for one in partitions),
        "partitionsPending": sum(one.pending > 0 for one in partitions),
        "partitionsReady": sum(one.pending > one.processing for one in partitions),
    }


async def _kept_sums(here: Context, queue_id: int, group: str | None) -> tuple[dict[str, int], float]:
    if group is None:
        queues = await here.admin.statistics.queue_numbers([queue_id])
        age = render.stats_age(here, queues.values())
        numbers = (0, 0, 0, 0)
        for own in queues.values():
            numbers = (own.pending, own.processing, own.partitions_pending, own.partitions_ready)
    else:
        groups = await here.admin.statistics.group_numbers(queue_ids=[queue_id], group=group, limit=1)
        numbers, age = (0, 0, 0, 0), -1.0
        render.asked(here)
        for one in groups:
            numbers = (one.total_lag, one.processing, one.partitions_with_lag, one.partitions_ready)
            age = render.stats_age(here, groups)
    pending, processing, partitions_pending, partitions_ready = numbers
    return {
        "pending": pending,
        "processing": processing,
        "ready": pending - processing,
        "partitionsPending": partitions_pending,
        "partitionsReady": partitions_ready,
    }, age


def _named(here: Context, key: str, found: list[Named], limit: int) -> Response:
    entries: list[dict[str, Any]] = [
        {
            key: one.name,
            "queues": one.queues,
            "partitions": one.partitions,
            "messages": {"total": one.total, "pending": one.pending},
        }
        for one in found[:limit]
    ]
    render.asked(here)
    return render.answer({f"{key}s": entries}, more=len(found) > limit)


def _spread(values: list[float]) -> shapes.Spread:
    avg, median, low, high = values
    return shapes.Spread(avg=avg, median=median, min=low, max=high)
