"""Dead letters: list, remove, replay."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse

from queen import errors, model, wire
from queen.engine.sealing import Seals
from queen.server.context import SLASH, Filter, Offset, body_of, context, read_time, whole
from queen.server.describe import answers, refusals
from queen.server.patience import patiently
from queen.server.payloads import shown
from queen.server.refuse import refuse
from queen.server.replays import Outcome, Run, preview, read_many, read_one, replay, transaction_id
from queen.server.shapes.dead_letters import (
    DeadLetterList,
    DeadLettersDeleted,
    Replayed,
    ReplayGone,
    ReplayPreview,
    ReplayProgress,
)

router = APIRouter(prefix="/api/v1", tags=["dead letters"])

_PURGED_PER_STEP = 1_000

_Limit = Annotated[int, Query(description="Most entries of the page."), whole(100, 10_000)]
_From = Annotated[str | None, Query(alias="from", description="Failed at or after this time.")]
_To = Annotated[str | None, Query(description="Failed at or before this time.")]

_ONE_BODY = {
    "requestBody": {
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "queue": {"type": "string", "description": "Where to, created when missing; default its own."},
                        "partition": {"type": "string", "description": "Default: the name of its own."},
                    },
                },
                "example": {"queue": "parcels.repair", "partition": "depot-7"},
            }
        }
    }
}
_MANY_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["queue"],
                    "additionalProperties": False,
                    "properties": {
                        "queue": {"type": "string"},
                        "consumerGroup": {"type": ["string", "null"]},
                        "partition": {"type": ["string", "null"]},
                        "from": {"type": ["string", "null"], "description": "Failed at or after this time."},
                        "to": {"type": ["string", "null"], "description": "Failed at or before this time."},
                        "error": {"type": ["string", "null"], "description": "A part of the error's text, any case."},
                        "limit": {"type": ["integer", "null"], "description": "Most records, up to 1,000,000."},
                        "preview": {"type": "boolean", "description": "Move nothing, tell what would be moved."},
                        "toQueue": {"type": ["string", "null"], "description": "Another queue, created when missing."},
                        "toPartition": {"type": ["string", "null"], "description": "One partition for all."},
                        "ratePerSecond": {"type": ["number", "null"], "description": "0.01 to 100,000."},
                    },
                },
                "example": {
                    "queue": "parcels.scanned",
                    "consumerGroup": "billing",
                    "error": "tariff service",
                    "ratePerSecond": 50,
                },
            }
        },
    }
}


@router.get("/dlq", responses={**answers(DeadLetterList, "One page, newest first."), **refusals(400)})
async def list_dead_letters(
    request: Request,
    queue: Filter = None,
    consumerGroup: Filter = None,
    partition: Filter = None,
    failed_from: _From = None,
    to: _To = None,
    limit: _Limit = 100,
    offset: Offset = 0,
) -> Response:
    """Messages that were set aside, newest first."""
    rows = await context(request).admin.dead_letters.find_dead_letters(
        queue=queue,
        group=consumerGroup,
        partition=partition,
        failed_from=read_time(failed_from, "from"),
        failed_to=read_time(to, "to"),
        limit=limit,
        offset=offset,
    )
    seals = context(request).engine.seals
    total = int(rows[0].total) if rows else 0
    rows = [row for row in rows if row.dead_letter_id is not None]
    body = wire.encode(
        {
            "messages": [_dead_letter(row, seals) for row in rows],
            "pagination": {"limit": limit, "offset": offset},
            "total": total,
        }
    )
    more = {"Queen-More": "true"} if offset + len(rows) < total else None
    return Response(body, media_type="application/json", headers=more)


@router.delete("/dlq", responses=refusals(400))
async def delete_dead_letters(
    request: Request, queue: Filter = None, consumerGroup: Filter = None
) -> DeadLettersDeleted:
    """Remove the dead letters of a queue, or of one group of it, in short steps. Those that come meanwhile stay.

    A client that leaves stops it.
    """
    if queue is None:
        raise errors.InvalidRequest("queue is required", hint="name it as ?queue=")
    store = context(request).admin.dead_letters
    last, deleted = await store.newest(queue), 0
    after: int | None = 0
    while last is not None and after is not None and not await request.is_disconnected():
        step = partial(store.purge, queue, consumerGroup, after, last, _PURGED_PER_STEP)
        count, after = await patiently(step)
        deleted += count
    return DeadLettersDeleted(success=True, deleted=deleted, queue=queue, consumerGroup=consumerGroup)


@router.post(
    "/dlq/replay",
    openapi_extra=_MANY_BODY,
    responses={
        200: {
            "model": ReplayPreview,
            "description": "A preview; otherwise one line after each batch, the last one with `done`.",
            "content": {"application/x-ndjson": {"schema": ReplayProgress.model_json_schema()}},
        },
        **refusals(400, 404),
    },
)
async def replay_dead_letters(request: Request) -> Response:
    """Push the dead letters of a queue again, oldest first, and remove their records; or only tell how many match.

    Batches of up to 100, each one transaction. A client that leaves stops it, and a second call goes on where the first
    one ended. Records that come meanwhile stay.
    """
    here = context(request)
    asked = read_many(await body_of(request))
    if not await here.engine.store.find_queues(name=asked.selection.queue, limit=1):
        raise errors.NotFound("Queue not found", hint="GET /api/v1/resources/queues lists the queues")
    if asked.preview:
        found = await preview(here, asked)
        content = {
            "preview": True,
            "queue": asked.selection.queue,
            "matched": found.matched,
            "complete": found.complete,
            "first": [_dead_letter(row, here.engine.seals) for row in found.first],
        }
        return Response(wire.encode(content), media_type="application/json")
    return StreamingResponse(_progress(Run(here, asked, request.is_disconnected)), media_type="application/x-ndjson")


async def _progress(run: Run) -> AsyncIterator[bytes]:
    try:
        async for _ in run.batches():
            yield _line(run)
    except errors.QueenError as error:
        yield _line(run, error=error.message, code=error.code, hint=error.hint)
        return
    yield _line(run, done=run.complete)


def _line(run: Run, **more: object) -> bytes:
    last = model.encode_id(model.DEAD_LETTER, run.last) if run.last is not None else None
    counts = {"replayed": run.replayed, "duplicates": run.duplicates, "gone": run.gone, "last": last}
    return wire.encode({**counts, **more}) + b"\n"


@router.post(
    "/dlq/{record_id}/replay",
    openapi_extra=_ONE_BODY,
    responses={**answers(Replayed, "Moved, or stored before."), 404: {"model": ReplayGone}, **refusals(400)},
)
async def replay_dead_letter(request: Request, record_id: str) -> Response:
    """Push one dead letter again, to its partition or another, and remove the record: in one transaction."""
    asked = read_one(await body_of(request))
    place = model.decode_id(record_id, model.DEAD_LETTER)
    outcome = await replay(context(request), place[0], asked.queue, asked.partition) if place is not None else None
    return replayed(record_id.replace(SLASH, "/"), outcome)


def replayed(record_id: str | None, outcome: Outcome | None) -> Response:
    """The answer of a replay; without an outcome the record is gone."""
    if outcome is None:
        hint = "GET /api/v1/dlq lists the dead letters that are left"
        return refuse(404, "Message not found", "not_found", hint, success=False, result="gone", dlqId=record_id)
    moved = outcome.moved
    content = {
        "success": not moved.duplicate,
        "result": "duplicate" if moved.duplicate else "moved",
        "queue": outcome.queue,
        "partition": outcome.partition,
        "consumerGroup": outcome.consumer_group,
        "dlqId": model.encode_id(model.DEAD_LETTER, moved.dead_letter_id),
        "originalTransactionId": outcome.transaction_id,
        "replayedAs": {
            "index": 0,
            "message_id": model.encode_id(model.MESSAGE, moved.partition_id, moved.offset),
            "transaction_id": transaction_id(moved.dead_letter_id),
            "queueName": outcome.queue,
            "status": "duplicate" if moved.duplicate else "queued",
            "offset": moved.offset,
        },
        "dlqRowRemoved": not moved.duplicate,
    }
    return Response(wire.encode(content), media_type="application/json")


def _dead_letter(row: Any, seals: Seals) -> dict[str, Any]:
    payload, more = shown(seals, row)
    return {
        "id": model.encode_id(model.DEAD_LETTER, row.dead_letter_id),
        "messageId": str(row.first_id or model.encode_id(model.MESSAGE, row.partition_id, row.offset)),
        "transactionId": row.transaction_id,
        "partitionId": model.encode_id(model.PARTITION, row.partition_id),
        "queue": row.queue,
        "partition": row.partition,
        "consumerGroup": row.consumer_group,
        "errorMessage": row.error,
        "retryCount": row.retries,
        "data": payload,
        "producerSub": row.producer_sub,
        "createdAt": wire.datetime_text(row.created_at),
        "failedAt": wire.datetime_text(row.failed_at),
        **more,
    }
