"""Queues: configure, list, detail, delete."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from queen import model, wire
from queen.server import options, render
from queen.server.context import Filter, Limit, Offset, QueueName, body_of, context
from queen.server.describe import answers, refusals
from queen.server.shapes.numbers import QueueDetail, QueueList
from queen.server.shapes.queues import REQUEST_BODY, Configured, QueueDeleted
from queen.store.admin.queues import QueueEntry
from queen.store.admin.statistics import PartitionNumbers, QueueNumbers
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


@router.get(
    "/resources/queues", response_class=Response, responses={**answers(QueueList, "The queues."), **refusals(400)}
)
async def list_queues(
    request: Request,
    limit: Limit = 1000,
    offset: Offset = 0,
    search: Annotated[Filter, Query(description="Part of the name, any case.")] = None,
    namespace: Filter = None,
    task: Filter = None,
) -> Response:
    """The queues with their totals, by name."""
    here = context(request)
    rows = await here.admin.queues.list_queues(
        namespace=namespace, task=task, search=search, limit=limit + 1, offset=offset
    )
    more, rows = len(rows) > limit, rows[:limit]
    numbers = await here.admin.statistics.queue_numbers([row.queue_id for row in rows])
    queues = [_summary(row, numbers.get(row.queue_id)) for row in rows]
    return render.answer({"queues": queues, "statsAge": render.stats_age(here, numbers.values())}, more=more)


@router.get(
    "/resources/queues/{queue}",
    response_class=Response,
    responses={**answers(QueueDetail, "The queue."), **refusals(400, 404)},
)
async def show_queue(request: Request, queue: QueueName, limit: Limit = 1000, offset: Offset = 0) -> Response:
    """One queue with its options and partitions. `pending` is measured against the slowest group."""
    here = context(request)
    row = await render.find_queue(here, queue)
    numbers = await here.admin.statistics.queue_numbers([row.queue_id])
    own = numbers.get(row.queue_id)
    partitions = await here.admin.statistics.partition_numbers(row.queue_id, limit + 1, offset)
    content = {
        **render.head(row),
        "options": {**row.options, "namespace": row.namespace, "task": row.task},
        "partitions": [_partition(partition) for partition in partitions[:limit]],
        "totals": render.totals(own),
        "retainedBytes": own.retained_bytes if own else 0,
        "statsAge": render.stats_age(here, numbers.values()),
    }
    return render.answer(content, more=len(partitions) > limit)


@router.delete("/resources/queues/{queue}", response_model_exclude_none=True)
async def delete_queue(request: Request, queue: QueueName) -> QueueDeleted:
    """Delete a queue with everything in it. An unknown queue is no error."""
    here = context(request)
    existed = await here.admin.queues.delete_queue(queue)
    here.engine.queue_deleted(queue)
    if existed:
        return QueueDeleted(deleted=True, queue=queue, existed=True, message=None)
    return QueueDeleted(deleted=False, queue=queue, existed=False, message="Queue not found, nothing was deleted")


def _summary(row: QueueEntry, numbers: QueueNumbers | None) -> dict[str, Any]:
    messages = render.counts(numbers)
    return {
        **render.head(row),
        "partitions": numbers.partitions if numbers else 0,
        "retainedBytes": numbers.retained_bytes if numbers else 0,
        "segments": {"segments": 0, "messages": messages["total"]},
        "messages": messages,
    }


def _partition(partition: PartitionNumbers) -> dict[str, Any]:
    return {
        "id": model.encode_id(model.PARTITION, partition.partition_id),
        "name": partition.name,
        "createdAt": wire.datetime_text(partition.created_at),
        "stats": render.totals(partition),
        "oldestMessage": render.time_text(partition.oldest),
        "newestMessage": render.time_text(partition.newest),
    }
