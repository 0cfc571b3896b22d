"""Stored messages: search, show, delete, and back from the dead letters."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from queen import errors, model, wire
from queen.engine.sealing import Seals, is_sealed
from queen.server.browse import Page, Search, search
from queen.server.context import SLASH, Filter, context, read_time, whole
from queen.server.describe import answers, refusals
from queen.server.patience import patiently
from queen.server.payloads import shown
from queen.server.refuse import refuse
from queen.server.replays import replay
from queen.server.routes.dead_letters import replayed
from queen.server.shapes.dead_letters import Replayed, ReplayGone
from queen.server.shapes.messages import MessageDeleted, MessageDetail, MessageList, NoSuchMessage

router = APIRouter(prefix="/api/v1/messages", tags=["messages"])

STATUSES = ("pending", "processing", "completed", "dead_letter", "scheduled")
_DEFAULT_SPAN = timedelta(hours=1)
_MINUTE = timedelta(minutes=1)
_OFFSET_MAX = 10_000
_PAGE_BYTES_MAX = 16 << 20

_Limit = Annotated[int, Query(description="Most messages of the page."), whole(200, 1_000)]
_Offset = Annotated[int, Query(description="Messages to skip, at most 10,000."), whole(0, 10**9)]
_From = Annotated[str | None, Query(alias="from", description="Stored at or after this time; default an hour ago.")]
_To = Annotated[str | None, Query(description="Stored before the end of this minute; default now.")]
_Status = Annotated[str | None, Query(description="One of " + ", ".join(STATUSES) + ".")]


@router.get("", responses={**answers(MessageList, "One page, newest first."), **refusals(400)})
async def list_messages(
    request: Request,
    queue: Filter = None,
    partition: Filter = None,
    namespace: Filter = None,
    ns: Annotated[Filter, Query(description="The same as namespace.")] = None,
    task: Filter = None,
    status: _Status = None,
    since: _From = None,
    to: _To = None,
    limit: _Limit = 200,
    offset: _Offset = 0,
) -> Response:
    """Messages of the last hour, or another time, newest first.

    A search over one partition, or a few, is exact. One over more goes by the places of the messages in the tables, and
    ends after a bounded number of looks: then the answer has the header `Queen-Search: bounded`. So has the empty page
    at an `offset` above the limit.
    """
    here = context(request)
    namespace = namespace or ns
    if status and status not in STATUSES:
        raise errors.InvalidRequest(f"bad query: status {status[:40]!r}", hint="one of " + ", ".join(STATUSES))
    if partition is not None and queue is None and namespace is None and task is None:
        raise errors.InvalidRequest("bad query: partition without queue", hint="name the queue too")
    asked = Search(
        queue,
        partition,
        namespace,
        task,
        status or None,
        read_time(since, "from") or datetime.now(UTC) - _DEFAULT_SPAN,
        _end_of_minute(read_time(to, "to")),
        limit,
        offset,
    )
    too_far = Page([], more=False, ended=True)
    page = await search(here.admin.messages, asked, _PAGE_BYTES_MAX) if offset <= _OFFSET_MAX else too_far
    headers = {"Queen-More": "true"} if page.more else {}
    if page.ended:
        headers["Queen-Search"] = "bounded"
    content = {
        "messages": [_message(row, here.engine.seals) for row in page.rows],
        "mode": _mode(page.rows),
        "total": len(page.rows),
    }
    return Response(wire.encode(content), media_type="application/json", headers=headers)


@router.get(
    "/{partition_id}/{transaction_id}",
    responses={**answers(MessageDetail, "The message."), 404: {"model": NoSuchMessage}, **refusals()},
)
async def show_message(request: Request, partition_id: str, transaction_id: str) -> Response:
    """One message by its address; of several with one transaction id the newest."""
    here = context(request)
    address = _address(partition_id, transaction_id)
    key = await here.admin.messages.find(*address) if address is not None else None
    rows = await here.admin.messages.show([key], None, 0, 1, 0) if key is not None else []
    queues = await here.engine.store.find_queues(name=rows[0].queue, limit=1) if rows else []
    if not rows or not queues or key is None:
        return _no_such_message(partition_id, transaction_id)
    row, options = rows[0], queues[0].options
    content = {
        **_message(row, here.engine.seals),
        "isEncrypted": is_sealed(row.payload.encode()),
        "errorMessage": row.error,
        "retryCount": row.retries or 0,
        "consumerGroups": [_group(one) for one in await here.admin.messages.groups(key[0], key[1])],
        "queueConfig": {name: options[name] for name in ("leaseTime", "retryLimit", "retryDelay", "ttl", "priority")},
    }
    return Response(wire.encode(content), media_type="application/json")


@router.delete(
    "/{partition_id}/{transaction_id}",
    responses={**answers(MessageDeleted, "It is gone."), 404: {"model": NoSuchMessage}, **refusals()},
)
async def delete_message(request: Request, partition_id: str, transaction_id: str) -> Response:
    """Delete the dead letters of an address; where there is none, the message itself.

    A deleted message is delivered no more, its offset stays empty, and its transaction id may be used again. Who has it
    under a lease may still acknowledge it.
    """
    address = _address(partition_id, transaction_id)
    store = context(request).admin.messages
    if address is None or await patiently(partial(store.delete, *address)) is None:
        return _no_such_message(partition_id, transaction_id)
    content = {
        "success": True,
        "partitionId": partition_id,
        "transactionId": transaction_id.replace(SLASH, "/"),
        "message": "Message deleted successfully",
    }
    return Response(wire.encode(content), media_type="application/json")


@router.post(
    "/{partition_id}/{transaction_id}/retry",
    responses={**answers(Replayed, "Moved, or stored before."), 404: {"model": ReplayGone}, **refusals()},
)
async def retry_message(request: Request, partition_id: str, transaction_id: str) -> Response:
    """Push the newest dead letter of an address again, to its partition, and remove the record: in one transaction."""
    here = context(request)
    address = _address(partition_id, transaction_id)
    number = await here.admin.dead_letters.of_address(*address) if address is not None else None
    outcome = await replay(here, number, None, None) if number is not None else None
    return replayed(model.encode_id(model.DEAD_LETTER, number) if number is not None else None, outcome)


def _address(partition_id: str, transaction_id: str) -> tuple[int, str] | None:
    """Partition and transaction id of a path, or None when no message can have them."""
    number = model.partition_number(partition_id)
    text = transaction_id.replace(SLASH, "/")
    if number is None or len(text) > model.NAME_LENGTH_MAX or "\x00" in text:
        return None
    return number, text


def _no_such_message(partition_id: str, transaction_id: str) -> Response:
    return refuse(
        404,
        "Message not found",
        "not_found",
        "GET /api/v1/messages lists messages with their ids",
        success=False,
        partitionId=partition_id.replace(SLASH, "/"),
        transactionId=transaction_id.replace(SLASH, "/"),
    )


def _end_of_minute(at: datetime | None) -> datetime | None:
    """The end of the minute that a time lies in; None for a time beyond all."""
    try:
        return at.replace(second=0, microsecond=0) + _MINUTE if at is not None else None
    except OverflowError:
        return None


def _time(at: datetime | None) -> str | None:
    return wire.datetime_text(at) if at is not None else None


def _message(row: Any, seals: Seals) -> dict[str, Any]:
    payload, more = shown(seals, row)
    return {
        "id": str(row.first_id or model.encode_id(model.MESSAGE, row.partition_id, row.offset)),
        "transactionId": row.transaction_id,
        "partitionId": model.encode_id(model.PARTITION, row.partition_id),
        "queuePath": f"{row.queue}/{row.partition}",
        "queue": row.queue,
        "partition": row.partition,
        "namespace": row.namespace,
        "task": row.task,
        "status": row.status,
        "queueStatus": row.queue_status,
        "busStatus": {"consumedBy": row.consumed_by, "totalGroups": row.groups},
        "traceId": str(row.trace_id) if row.trace_id is not None else None,
        "producerSub": row.producer_sub,
        "createdAt": wire.datetime_text(row.created_at),
        "scheduledAt": _time(row.scheduled_at),
        "leaseExpiresAt": _time(row.lease_until),
        "data": payload,
        "payload": payload,
        **more,
    }


def _mode(rows: list[Any]) -> dict[str, Any]:
    by_queue = any(row.queue_status is not None for row in rows)
    groups = max((row.groups for row in rows), default=0)
    kind = {(True, True): "hybrid", (True, False): "queue", (False, True): "bus", (False, False): "none"}
    return {"hasQueueMode": by_queue, "busGroupsCount": groups, "type": kind[by_queue, groups > 0]}


def _group(row: Any) -> dict[str, Any]:
    return {
        "name": row.consumer_group,
        "group": row.consumer_group,
        "consumed": row.consumed,
        "leaseExpiresAt": _time(row.lease_until),
    }
