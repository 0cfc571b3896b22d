"""Dead letters: list."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from queen import model, wire
from queen.engine.sealing import Seals
from queen.server.context import Filter, Offset, context, read_time, whole
from queen.server.errors import content as describe_error

router = APIRouter(prefix="/api/v1", tags=["dead letters"])

_Limit = Annotated[int, Query(description="Most entries of the page."), whole(100, 10_000)]
_From = Annotated[str | None, Query(alias="from", description="Failed at or after this time.")]
_To = Annotated[str | None, Query(description="Failed at or before this time.")]


@router.get("/dlq")
async def list_dead_letters(
    request: Request,
    response: Response,
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
    body = wire.encode(
        {
            "messages": [_dead_letter(row, seals) for row in rows],
            "pagination": {"limit": limit, "offset": offset},
            "total": total,
        }
    )
    more = {"Queen-More": "true"} if offset + len(rows) < total else None
    return Response(body, media_type="application/json", headers=more)


def _dead_letter(row: Any, seals: Seals) -> dict[str, Any]:
    payload, error = seals.show(row.payload, row.queue, row.partition, row.transaction_id)
    found = {
        "id": model.encode_id(model.DEAD_LETTER, row.dead_letter_id),
        "messageId": str(row.first_id or model.encode_id(model.MESSAGE, row.partition_id, row.offset)),
        "transactionId": row.transaction_id,
        "partitionId": model.encode_id(model.PARTITION, row.partition_id),
        "queue": row.queue,
        "partition": row.partition,
        "consumerGroup": row.consumer_group,
        "errorMessage": row.error,
        "retryCount": row.retries,
        # The producer's own bytes, not a second rendering of them.
        "data": wire.raw_bytes(payload) if payload is not None else None,
        "producerSub": row.producer_sub,
        "createdAt": wire.datetime_text(row.created_at),
        "failedAt": wire.datetime_text(row.failed_at),
    }
    if error is not None:
        found["dataError"] = describe_error(error)
    return found
