"""Reads by offset: no group, no lease, nothing written (http-api.md §10)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.types import Receive, Scope, Send

from queen import wire
from queen.engine.memory import Memory
from queen.server import offsets
from queen.server.context import body_of, context
from queen.server.describe import answers, refusals
from queen.server.payloads import open_records
from queen.server.shapes.offsets import Fetched, PartitionsChanged
from queen.server.write import LARGE_BYTES, write_in_pieces
from queen.store.admin.offsets import Listing

router = APIRouter(prefix="/api/v1", tags=["reads by offset"])


def _body(most: int, entry: dict[str, Any], example: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The `openapi_extra` of a body with entries of this shape."""
    entries = {"type": "array", "maxItems": most, "items": {"type": "object", **entry}}
    schema = {"type": "object", "required": ["entries"], "properties": {"entries": entries, **more}}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema, "example": example}}}}


_TEXT = {"type": "string"}
_TEXT_OR_NULL, _WHOLE_OR_NULL = {"type": ["string", "null"]}, {"type": ["integer", "null"]}

_FETCH = _body(
    offsets.READS_MAX,
    {
        "required": ["queue", "offset"],
        "properties": {
            "queue": _TEXT,
            "partition": {**_TEXT_OR_NULL, "description": "Default when absent."},
            "offset": {"type": "integer", "description": "The first offset wanted."},
            "maxBytes": {**_WHOLE_OR_NULL, "description": "1 MiB when absent, 8 MiB at most."},
        },
    },
    {"entries": [{"queue": "orders", "partition": "berlin", "offset": 0, "maxBytes": 65536}], "maxBytes": 1048576},
    maxBytes={**_WHOLE_OR_NULL, "description": "Of the whole answer."},
)
_CHANGED = _body(
    offsets.LISTS_MAX,
    {
        "required": ["queue"],
        "properties": {
            "queue": _TEXT,
            "since": {**_TEXT_OR_NULL, "description": "Only those written at or after this time."},
            "after": {**_TEXT_OR_NULL, "description": "`next` of the page before."},
            "limit": {**_WHOLE_OR_NULL, "description": "Partitions of the page, 1 to 1000 (the default)."},
        },
    },
    {"entries": [{"queue": "orders", "since": "2026-01-31T12:00:00.000000Z", "limit": 100}]},
)


@router.post(
    "/fetch", responses={**answers(Fetched, "Per entry, in order."), **refusals(400, 413)}, openapi_extra=_FETCH
)
async def fetch(request: Request) -> Response:
    """Read messages from an offset on, of up to 1024 partitions, without a group: `{"entries": […], "maxBytes"?}`.

    What is stored is what is read, whatever the options of the queue say of delivery: delays, windows and leases do not
    matter, and scheduled messages appear when they are due. Repeat from the last offset + 1 until `highWatermark`.
    """
    here = context(request)
    reads, wanted = offsets.read_fetch(await body_of(request))
    most = here.engine.settings.pop_bytes_max
    with here.engine.memory.reserved_answer(min(wanted or most, most)) as room:
        found = await here.admin.offsets.read_records(reads, room) if reads else []
    open_records(here.engine.seals, reads, found)
    size = offsets.payload_bytes(found)
    pieces = offsets.fetched(reads, found)
    if size > LARGE_BYTES:
        return _InPieces(here.engine.memory, pieces, size)
    return Response(b"".join(pieces), media_type="application/json")


@router.post(
    "/partitions/changed", openapi_extra=_CHANGED, responses=refusals(400, 413), response_model_exclude_unset=True
)
async def changed(request: Request) -> PartitionsChanged:
    """List the partitions of up to 64 queues, by name, or those written at or after a time: `{"entries": […]}`.

    With `since` they come by time and name. Take `safeTime` as the next `since`: nothing is missed.
    """
    asked = offsets.read_changed(await body_of(request))
    listings = [one for one in asked if isinstance(one, Listing)]
    found = await context(request).admin.offsets.changed_partitions(listings)
    pages = iter(found.lists)
    entries = [
        offsets.changed_list(one, next(pages)) if isinstance(one, Listing) else offsets.refused_list(one)
        for one in asked
    ]
    return PartitionsChanged.model_validate(
        {"safeTime": wire.datetime_text(found.safe_time), "safeTimeDegraded": found.degraded, "entries": entries}
    )


class _InPieces(Response):
    """A large answer, counted against the memory budget until it is written."""

    def __init__(self, memory: Memory, pieces: Iterator[bytes], size: int) -> None:
        super().__init__()
        self._memory, self._pieces, self._size = memory, pieces, size

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await write_in_pieces(self._memory, scope, send, self._pieces, self._size)
