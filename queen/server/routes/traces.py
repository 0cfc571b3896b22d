"""Traces: what handlers note about messages, listed by message and by name."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import msgspec
from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import AfterValidator

from queen import errors, model, wire
from queen.server.context import SLASH, Offset, body_of, context, whole
from queen.server.describe import answers, refusals
from queen.server.refuse import refuse
from queen.server.shapes.traces import NamedTraceList, TraceList, TraceName, TraceNameList, TraceRecorded, TraceRefused

router = APIRouter(prefix="/api/v1/traces", tags=["traces"])

DATA_BYTES_MAX = 64 << 10
NAMES_MAX = 20
_NULL = b"null"
_EMPTY = msgspec.Raw()


class TraceBody(msgspec.Struct):
    """The body of POST /api/v1/traces."""

    transactionId: str | None = None
    partitionId: str | None = None
    data: msgspec.Raw = _EMPTY
    consumerGroup: str | None = None
    eventType: str | None = None
    traceNames: list[str] | str | None = None


class _Trace(NamedTuple):
    partition_id: int | None
    transaction_id: str
    group: str
    event_type: str
    data: str
    names: list[str]


_decoder = msgspec.json.Decoder(TraceBody)
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["transactionId", "partitionId", "data"],
                    "properties": {
                        "transactionId": {"type": "string"},
                        "partitionId": {"type": "string"},
                        "data": {"description": "Any JSON but null, at most 64 KiB."},
                        "consumerGroup": {"type": ["string", "null"]},
                        "eventType": {"type": ["string", "null"], "default": "info"},
                        "traceNames": {
                            "description": "Names to find it by, at most 20.",
                            "oneOf": [{"type": "array", "items": {"type": "string"}}, {"type": ["string", "null"]}],
                        },
                    },
                },
                "example": {
                    "transactionId": "scan-90112",
                    "partitionId": "00000000-0007-8001-8000-000000000000",
                    "consumerGroup": "billing",
                    "traceNames": ["invoice-31"],
                    "eventType": "info",
                    "data": {"step": "tariff looked up"},
                },
            }
        },
    }
}

_TraceNamePath = Annotated[
    str,
    Path(description="Name of the traces, percent-encoded."),
    AfterValidator(lambda text: wire.check_name("name", text.replace(SLASH, "/"), "path")),
]
_Limit = Annotated[int, Query(description="Most entries of the page."), whole(1_000, 1_000)]
_NamedLimit = Annotated[int, Query(description="Most entries of the page."), whole(100, 1_000)]
_NamesLimit = Annotated[int, Query(description="Most entries of the page."), whole(50, 10_000)]


@router.post(
    "",
    status_code=201,
    openapi_extra=_BODY,
    responses={**answers(TraceRecorded, "It is stored.", 201), 404: {"model": TraceRefused}, **refusals(400, 413)},
)
async def record_trace(request: Request) -> Response:
    """Note something about a message, under names to find it by. The message need not exist (any more).

    One statement, and its commit is not waited for: a crash of the database may lose the last moments of traces.
    """
    trace = _read(await body_of(request))
    if trace.partition_id is None:
        hint = "take partitionId from the message"
        return refuse(404, "Message not found", "not_found", hint, success=False)
    store = context(request).admin.traces
    trace_id = await store.record(
        trace.partition_id, trace.transaction_id, trace.group, trace.event_type, trace.data, trace.names
    )
    content = {"success": True, "traceId": trace_id}
    return Response(wire.encode(content), 201, media_type="application/json")


def _read(body: bytes) -> _Trace:
    asked: TraceBody = wire.decode_as(_decoder, body)
    data = bytes(asked.data)
    for field, given in (("transactionId", asked.transactionId), ("partitionId", asked.partitionId)):
        if not given:
            raise errors.InvalidRequest(f"{field} is required", hint="take it from the message")
    if data in (b"", _NULL):
        raise errors.InvalidRequest("data is required", hint="any JSON but null")
    if len(data) > DATA_BYTES_MAX:
        raise errors.PayloadTooLarge(
            f"data of {len(data)} bytes is above the limit of {DATA_BYTES_MAX}", hint="note a reference instead"
        )
    given_names = [asked.traceNames] if isinstance(asked.traceNames, str) else asked.traceNames or []
    names = list(dict.fromkeys(name for name in given_names if name))
    if len(names) > NAMES_MAX:
        raise errors.InvalidRequest(f"{len(names)} trace names, {NAMES_MAX} is the most", hint="use fewer names")
    return _Trace(
        model.partition_number(asked.partitionId or ""),
        wire.check_name("transactionId", asked.transactionId or "", "$.transactionId"),
        wire.group_name(asked.consumerGroup),
        wire.check_name("eventType", asked.eventType or "info", "$.eventType"),
        data.decode(),
        [wire.check_name("traceNames", name, "$.traceNames") for name in names],
    )


@router.get("/names", responses=refusals())
async def list_trace_names(
    request: Request, response: Response, limit: _NamesLimit = 50, offset: Offset = 0
) -> TraceNameList:
    """The names of traces with their counts, in the order of names."""
    rows, total = await context(request).admin.traces.names(limit + 1, offset)
    if len(rows) > limit:
        response.headers["Queen-More"] = "true"
    names = [
        TraceName(
            trace_name=row.name,
            trace_count=row.traces,
            message_count=row.messages,
            last_seen=wire.datetime_text(row.last_seen),
        )
        for row in rows[:limit]
    ]
    return TraceNameList.model_validate(
        {"trace_names": names, "total": total, "pagination": {"limit": limit, "offset": offset}}
    )


@router.get("/by-name/{name}", responses={**answers(NamedTraceList, "One page, oldest first."), **refusals(400)})
async def list_named_traces(
    request: Request, name: _TraceNamePath, limit: _NamedLimit = 100, offset: Offset = 0
) -> Response:
    """Traces under a name, of whatever messages, oldest first."""
    store = context(request).admin.traces
    rows = await store.of_name(name, limit + 1, offset)
    content = {
        "traces": [_named(row) for row in rows[:limit]],
        "total": await store.count(name),
        "pagination": {"limit": limit, "offset": offset},
    }
    return _page(content, len(rows) > limit)


@router.get(
    "/{partition_id}/{transaction_id}",
    responses={**answers(TraceList, "One page, oldest first."), **refusals(400)},
)
async def list_traces(
    request: Request, partition_id: str, transaction_id: str, limit: _Limit = 1000, offset: Offset = 0
) -> Response:
    """Traces of one message, oldest first; an empty list for an unknown one."""
    number, text = model.partition_number(partition_id), transaction_id.replace(SLASH, "/")
    rows = []
    if number is not None and len(text) <= model.NAME_LENGTH_MAX and "\x00" not in text:
        rows = await context(request).admin.traces.of_message(number, text, limit + 1, offset)
    return _page({"traces": [_trace(row) for row in rows[:limit]]}, len(rows) > limit)


def _page(content: dict[str, Any], more: bool) -> Response:
    headers = {"Queen-More": "true"} if more else None
    return Response(wire.encode(content), media_type="application/json", headers=headers)


def _trace(row: Any) -> dict[str, Any]:
    return {
        "id": str(row.trace_id),
        "event_type": row.event_type,
        # The bytes that came, not a second rendering of them.
        "data": wire.raw(row.data),
        "consumer_group": row.consumer_group,
        "worker_id": None,
        "created_at": wire.datetime_text(row.created_at),
        "trace_names": row.names,
    }


def _named(row: Any) -> dict[str, Any]:
    return {
        **_trace(row),
        "transaction_id": row.transaction_id,
        "partition_id": model.encode_id(model.PARTITION, row.partition_id),
        "queue_name": row.queue,
        "partition_name": row.partition,
        "message_payload": None,
    }
