"""The state of queues, in the words of the status family, and refreshing the numbers that are kept."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from queen import errors, model
from queen.server import render
from queen.server.context import Filter, Limit, Offset, QueueName, context, whole
from queen.server.describe import answers, refusals
from queen.server.shapes import numbers as shapes
from queen.store.admin.statistics import PartitionNumbers
from queen.store.base import QueueRow

router = APIRouter(prefix="/api/v1", tags=["operations"])

_Limit = Annotated[int, Query(description="Most entries of the page."), whole(100, 10_000)]
_CONFIG = ("leaseTime", "retryLimit", "retryDelay", "ttl", "maxSize", "priority")


@router.get(
    "/status/queues",
    response_class=Response,
    responses={**answers(shapes.StatusQueues, "The queues."), **refusals(400)},
)
async def list_states(
    request: Request,
    queue: Filter = None,
    namespace: Filter = None,
    task: Filter = None,
    limit: _Limit = 100,
    offset: Offset = 0,
) -> Response:
    """The queues with the numbers of their messages, by name. Numbers are of now: `from` and `to` are ignored."""
    here = context(request)
    rows = await here.admin.queues.list_queues(
        name=queue, namespace=namespace, task=task, limit=limit + 1, offset=offset
    )
    more, rows = len(rows) > limit, rows[:limit]
    numbers = await here.admin.statistics.queue_numbers([row.queue_id for row in rows])
    content = {
        "queues": [
            {
                **render.head(row),
                "partitions": own.partitions if (own := numbers.get(row.queue_id)) else 0,
                "messages": render.status_counts(own),
            }
            for row in rows
        ],
        "pagination": {"limit": limit, "offset": offset},
        "statsAge": render.stats_age(here, numbers.values()),
    }
    return render.answer(content, more=more)


@router.get(
    "/status/queues/{queue}",
    response_class=Response,
    responses={**answers(shapes.QueueStatus, "The queue."), **refusals(400, 404)},
)
async def show_state(request: Request, queue: QueueName, limit: Limit = 1000, offset: Offset = 0) -> Response:
    """One queue with the state of its partitions."""
    here = context(request)
    row = await render.find_queue(here, queue)
    numbers = await here.admin.statistics.queue_numbers([row.queue_id])
    found = await here.admin.statistics.partition_numbers(row.queue_id, limit + 1, offset)
    content = {
        "queue": {**render.head(row), "config": _config(row)},
        "partitions": [_partition(one) for one in found[:limit]],
        "totals": render.status_counts(numbers.get(row.queue_id)),
        "statsAge": render.stats_age(here, numbers.values()),
    }
    return render.answer(content, more=len(found) > limit)


@router.get("/status/buffers")
async def show_buffers(request: Request) -> shapes.Buffers:
    """What waits outside the database: nothing, messages are stored before they are answered."""
    return shapes.Buffers(pending=0, failed=0, dbHealthy=not context(request).pool.stats()["away"], worker=0)


@router.post("/stats/refresh", responses=refusals())
async def refresh_stats(request: Request) -> shapes.StatsRefreshed:
    """Compute the numbers that are kept anew, all of them; the answer comes when that is done. A body is ignored."""
    statistics = context(request).engine.statistics
    if statistics is None:
        raise errors.NotFound("no numbers are kept here", hint="start the server with a database")
    done = await statistics.refresh()
    return shapes.StatsRefreshed(
        success=True, queues=done.queues, partitions=done.partitions, durationMs=round(done.seconds * 1000)
    )


def _config(row: QueueRow) -> dict[str, Any]:
    return {name: row.options[name] for name in _CONFIG}


def _partition(one: PartitionNumbers) -> dict[str, Any]:
    return {
        "id": model.encode_id(model.PARTITION, one.partition_id),
        "name": one.name,
        "messages": render.status_counts(one),
        "cursor": {"totalConsumed": one.consumed, "batchesConsumed": None},
        "lastActivity": render.time_text(one.last_write_at),
        "oldestMessage": render.time_text(one.oldest),
        "newestMessage": render.time_text(one.newest),
    }
