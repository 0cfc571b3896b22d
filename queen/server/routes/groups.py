"""Consumer groups: list, lag, detail, subscription, seek, delete."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from queen import model, wire
from queen.server import render, seeks
from queen.server.context import GroupName, Limit, Offset, PartitionName, QueueName, body_of, context, whole
from queen.server.describe import answers, refusals
from queen.server.shapes.groups import (
    Group,
    GroupDeleted,
    GroupLeft,
    GroupQueue,
    LaggingPartition,
    NoSuchPartition,
    NothingSought,
    PartitionSought,
    Resubscribed,
    Sought,
)

router = APIRouter(prefix="/api/v1", tags=["consumer groups"])

LAGGING_S = 300

_MinLag = Annotated[int, Query(description="Least age of the oldest unconsumed message, in seconds."),
                    whole(3600, 10**9)]  # fmt: skip
_NO_QUEUE = "Queue not found or has no partitions"
_NO_PARTITION = "Partition not found"


@router.get(
    "/consumer-groups", response_class=Response, responses={**answers(list[Group], "The groups."), **refusals()}
)
async def list_groups(request: Request, limit: Limit = 1000, offset: Offset = 0) -> Response:
    """Every group on every queue on which it has a cursor or a registration, by group."""
    here = context(request)
    rows = await here.admin.groups.list_groups(limit + 1, offset)
    if any(row.kept for row in rows):
        render.asked(here)
    return render.answer([_group(row) for row in rows[:limit]], more=len(rows) > limit)


@router.get(
    "/consumer-groups/lagging",
    response_class=Response,
    responses={**answers(list[LaggingPartition], "The partitions."), **refusals()},
)
async def list_lagging(
    request: Request, minLagSeconds: _MinLag = 3600, limit: Limit = 1000, offset: Offset = 0
) -> Response:
    """Partitions whose oldest unconsumed message is at least this old, by queue.

    A page looks at 2,000 partitions at most. `Queen-More: true` says that there are more, and `Queen-Next-Offset` at
    which `offset` to go on: partitions that were looked at count, not only those that lag.
    """
    here = context(request)
    found = await here.admin.groups.lagging(minLagSeconds, limit, offset)
    if found.kept:
        render.asked(here)
    answer = render.answer([_lagging(row) for row in found.rows], more=found.next is not None)
    if found.next is not None:
        answer.headers["Queen-Next-Offset"] = str(found.next)
    return answer


@router.get(
    "/consumer-groups/{group}",
    response_class=Response,
    responses={**answers(dict[str, GroupQueue], "Where it stands, by queue."), **refusals(400)},
)
async def show_group(request: Request, group: GroupName, limit: Limit = 1000, offset: Offset = 0) -> Response:
    """Where a group stands, by queue. An unknown group stands nowhere.

    `limit` and `offset` count the partitions of its queues; those without a cursor of the group are left out.
    """
    rows = await context(request).admin.groups.partitions(group, limit + 1, offset)
    found: dict[str, dict[str, Any]] = {}
    for row in rows[:limit]:
        if row.acked is not None:
            queue = found.setdefault(row.queue, {"conflation": False, "partitions": []})
            queue["partitions"].append(_partition(row))
    return render.answer(found, more=len(rows) > limit)


@router.post("/consumer-groups/{group}/subscription", responses=refusals(400), openapi_extra=seeks.SUBSCRIPTION_BODY)
async def resubscribe(request: Request, group: GroupName) -> Resubscribed:
    """From which time on the group reads partitions that it has not touched, on all queues where it is registered.

    No cursor moves.
    """
    start_at = seeks.read_subscription(await body_of(request))
    count = await context(request).admin.groups.resubscribe(group, start_at)
    return Resubscribed(success=True, consumerGroup=group, newTimestamp=wire.datetime_text(start_at), rowsUpdated=count)


@router.post(
    "/consumer-groups/{group}/queues/{queue}/seek",
    response_model=Sought,
    responses={**refusals(400), 404: {"model": NothingSought, "description": _NO_QUEUE}},
    openapi_extra=seeks.SEEK_BODY,
)
async def seek_queue(request: Request, group: GroupName, queue: QueueName) -> Sought | Response:
    """Set the group's cursors on all partitions of a queue: behind the last message, or to the first one stored at or
    after a time. Live leases end, and missing cursors are made."""
    here = context(request)
    at = seeks.read_seek(await body_of(request), empty_is_end=False)
    rows = await here.engine.store.find_queues(name=queue, limit=1)
    count = 0
    if rows:
        try:
            count = await here.admin.groups.seek_queue(rows[0].queue_id, group, at)
        finally:
            # Also after a failure: some of them may be set.
            here.engine.group_sought(rows[0].queue_id, group)
    if not count:
        hint = "GET /api/v1/resources/queues lists the queues"
        return _refuse(_NO_QUEUE, hint, success=False, consumerGroup=group, queueName=queue, partitionsUpdated=0)
    return Sought(
        success=True,
        consumerGroup=group,
        queueName=queue,
        seekToEnd=at is None,
        targetTimestamp=render.time_text(at),
        partitionsUpdated=count,
    )


@router.post(
    "/consumer-groups/{group}/queues/{queue}/partitions/{partition}/seek",
    response_model=PartitionSought,
    responses={**refusals(400), 404: {"model": NoSuchPartition, "description": _NO_PARTITION}},
    openapi_extra=seeks.SEEK_BODY,
)
async def seek_partition(
    request: Request, group: GroupName, queue: QueueName, partition: PartitionName
) -> PartitionSought | Response:
    """The same in one partition. An empty body means: behind the last message."""
    here = context(request)
    at = seeks.read_seek(await body_of(request), empty_is_end=True)
    place = await here.admin.groups.seek_partition(queue, partition, group, at)
    if place is None:
        return _refuse(_NO_PARTITION, "GET /api/v1/resources/queues/{queue} lists the partitions", success=False)
    here.engine.group_sought(place.queue_id, group, place.partition_id)
    return PartitionSought(
        success=True,
        consumerGroup=group,
        queueName=queue,
        partitionName=partition,
        seekToEnd=at is None,
        targetTimestamp=render.time_text(at),
        updated=True,
    )


@router.delete("/consumer-groups/{group}", responses=refusals(400))
async def delete_group(request: Request, group: GroupName, deleteMetadata: str = "true") -> GroupDeleted:
    """Drop all cursors and leases of a group on every queue, and with `deleteMetadata` its registrations.

    The group's next pop is a first contact again. An unknown group is no error.
    """
    here = context(request)
    metadata = _is_true(deleteMetadata)
    count = await here.admin.groups.delete_group(group, metadata)
    here.engine.forget_group(group)
    return GroupDeleted(success=True, consumerGroup=group, deletedPartitions=count, metadataDeleted=metadata)


@router.delete("/consumer-groups/{group}/queues/{queue}", responses=refusals(400))
async def delete_group_from(
    request: Request, group: GroupName, queue: QueueName, deleteMetadata: str = "true"
) -> GroupLeft:
    """The same on one queue. An unknown queue is no error either."""
    here = context(request)
    metadata = _is_true(deleteMetadata)
    count = await here.admin.groups.delete_group_from(queue, group, metadata)
    for row in await here.engine.store.find_queues(name=queue, limit=1):
        here.engine.group_left(row.queue_id, group)
    return GroupLeft(
        success=True, consumerGroup=group, queueName=queue, deletedPartitions=count, metadataDeleted=metadata
    )


def _is_true(text: str) -> bool:
    return text.lower() not in ("false", "0", "no")


def _refuse(message: str, hint: str, **more: Any) -> Response:
    """A 404 with more keys than others: clients of these routes read them."""
    body = wire.encode({**more, "error": message, "code": "not_found", "hint": hint})
    return Response(body, 404, media_type="application/json")


def _group(row: Any) -> dict[str, Any]:
    living = "Stable" if row.consumed else "Dead"
    return {
        "name": row.consumer_group,
        "topics": [row.queue],
        "queueName": row.queue,
        "members": row.members,
        "partitionCursors": row.members,
        "partitionsWithLag": row.partitions_with_lag,
        "totalLag": row.total_lag,
        "maxTimeLag": row.max_lag_s,
        "state": "Lagging" if row.max_lag_s > LAGGING_S else living,
        "subscriptionMode": row.mode,
        "subscriptionTimestamp": render.time_text(row.start_at),
        "subscriptionCreatedAt": render.time_text(row.registered_at),
        "conflation": False,
    }


def _lagging(row: Any) -> dict[str, Any]:
    return {
        "consumer_group": row.consumer_group,
        "queue_name": row.queue,
        "partition_name": row.partition,
        "partition_id": model.encode_id(model.PARTITION, row.partition_id),
        "worker_id": _lease(row),
        "offset_lag": row.lag,
        "time_lag_seconds": row.lag_s,
        "lag_hours": round(row.lag_s / 3600, 2),
        "oldest_unconsumed_at": wire.datetime_text(row.oldest_at),
        "last_consumed_at": None,
    }


def _partition(row: Any) -> dict[str, Any]:
    return {
        "partition": row.partition,
        "workerId": _lease(row),
        "lastConsumedAt": None,
        "totalConsumed": row.acked + 1,
        "offsetLag": row.lag,
        "timeLagSeconds": row.lag_s,
        "leaseActive": row.lease_id is not None,
    }


def _lease(row: Any) -> str | None:
    return str(row.lease_id) if row.lease_id is not None else None
