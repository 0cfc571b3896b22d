"""Queues: configure, list, detail, delete."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from queen import errors, model, wire
from queen.server import options
from queen.server.context import Filter, Limit, Offset, QueueName, body_of, context
from queen.server.describe import refusals
from queen.server.shapes.configure import REQUEST_BODY, Configured
from queen.store.admin.queues import PartitionStats, QueueStats
from queen.store.base import QueueRow

router = APIRouter(prefix="/api/v1", tags=["queues"])


@router.post("/configure", responses=refusals(400, 413), openapi_extra={"requestBody": REQUEST_BODY})
async def configure(request: Request) -> Configured:
    """Create a queue or change its options: `{"queue", "namespace"?, "task"?, "mode"?, "options"?}`.

    An absent option keeps its value, null restores the default; `"mode": "replace"` resets all that is not named.
    """
    asked = options.read(wire.decode_object(await body_of(request)))
    here = context(request)
    done = await here.admin.queues.configure(asked.queue, asked.namespace, asked.task, asked.replace, asked.options)
    row = QueueRow(done.queue_id, asked.queue, done.namespace, done.task, done.options, None)
    here.engine.queue_changed(row)
    return Configured(
        configured=True,
        queueId=model.encode_id(model.QUEUE, done.queue_id),
        partitionId=None,
        queue=asked.queue,
        namespace=done.namespace,
        task=done.task,
        options=done.options,
    )


@router.get("/resources/queues")
async def list_queues(
    request: Request,
    response: Response,
    limit: Limit = 1000,
    offset: Offset = 0,
    search: Annotated[Filter, Query(description="Part of the name, any case.")] = None,
    namespace: Filter = None,
    task: Filter = None,
) -> dict[str, Any]:
    """The queues with their totals, by name."""
    here = context(request)
    rows = await here.engine.store.find_queues(
        namespace=namespace, task=task, search=search, limit=limit + 1, offset=offset
    )
    if len(rows) > limit:
        response.headers["Queen-More"] = "true"
        rows = rows[:limit]
    stats = await here.admin.queues.queue_stats([row.queue_id for row in rows])
    return {"queues": [_summary(row, stats.get(row.queue_id)) for row in rows]}


@router.get("/resources/queues/{queue}", responses=refusals(404))
async def show_queue(
    request: Request, response: Response, queue: QueueName, limit: Limit = 1000, offset: Offset = 0
) -> dict[str, Any]:
    """One queue with its options and partitions. `pending` is measured against the slowest group."""
    here = context(request)
    rows = await here.engine.store.find_queues(name=queue, limit=1)
    if not rows:
        raise errors.NotFound("Queue not found", hint="GET /api/v1/resources/queues lists the queues")
    row = rows[0]
    totals = (await here.admin.queues.queue_stats([row.queue_id])).get(row.queue_id)
    partitions = await here.admin.queues.partition_stats(row.queue_id, limit + 1, offset)
    if len(partitions) > limit:
        response.headers["Queen-More"] = "true"
        partitions = partitions[:limit]
    times = await here.admin.queues.oldest_newest([partition.partition_id for partition in partitions])
    return {
        **_head(row),
        "options": {**row.options, "namespace": row.namespace, "task": row.task},
        "partitions": [_partition(partition, times.get(partition.partition_id)) for partition in partitions],
        "totals": _totals(totals),
        "retainedBytes": totals.retained_bytes if totals else 0,
    }


@router.delete("/resources/queues/{queue}")
async def delete_queue(request: Request, queue: QueueName) -> dict[str, Any]:
    """Delete a queue with everything in it. An unknown queue is no error."""
    here = context(request)
    existed = await here.admin.queues.delete_queue(queue)
    here.engine.queue_deleted(queue)
    if existed:
        return {"deleted": True, "queue": queue, "existed": True}
    return {
        "deleted": False,
        "queue": queue,
        "existed": False,
        "message": "Queue not found, nothing was deleted",
    }


def _head(row: QueueRow) -> dict[str, Any]:
    return {
        "id": model.encode_id(model.QUEUE, row.queue_id),
        "name": row.name,
        "namespace": row.namespace,
        "task": row.task,
        "createdAt": wire.datetime_text(row.created_at) if row.created_at is not None else None,
    }


def _summary(row: QueueRow, stats: QueueStats | None) -> dict[str, Any]:
    total, pending, processing = (stats.total, stats.pending, stats.processing) if stats else (0, 0, 0)
    return {
        **_head(row),
        "partitions": stats.partitions if stats else 0,
        "retainedBytes": stats.retained_bytes if stats else 0,
        "segments": {"segments": 0, "messages": total},
        "messages": {"total": total, "pending": pending, "processing": processing},
    }


def _totals(stats: QueueStats | PartitionStats | None) -> dict[str, Any]:
    if stats is None:
        return {"total": 0, "pending": 0, "processing": 0, "completed": 0, "failed": None, "deadLetter": 0}
    return {
        "total": stats.total,
        "pending": stats.pending,
        "processing": stats.processing,
        "completed": stats.total - stats.pending,
        "failed": None,
        "deadLetter": stats.dead_letters,
    }


def _partition(partition: PartitionStats, times: tuple[Any, Any] | None) -> dict[str, Any]:
    oldest, newest = times or (None, None)
    return {
        "id": model.encode_id(model.PARTITION, partition.partition_id),
        "name": partition.name,
        "createdAt": wire.datetime_text(partition.created_at),
        "stats": _totals(partition),
        "oldestMessage": wire.datetime_text(oldest) if oldest else None,
        "newestMessage": wire.datetime_text(newest) if newest else None,
    }
