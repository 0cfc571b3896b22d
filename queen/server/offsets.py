"""Reads by offset: bodies of the requests, the cursors of lists, and answers as ready bytes. Knows no database.

A cursor names the list that it goes on with; beside another one it is refused.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from datetime import MAXYEAR, MINYEAR, UTC, datetime
from typing import Annotated, Any, NamedTuple

import msgspec

from queen import errors, model, wire
from queen.store.admin.offsets import Listed, Listing, Read, Records

READS_MAX = 1024
READ_BYTES_MAX = 8 << 20
READ_BYTES_DEFAULT = 1 << 20
LISTS_MAX = 64
LIST_LIMIT_MAX = 1000
UNKNOWN = "UNKNOWN_TOPIC_OR_PARTITION"
OUT_OF_RANGE = "OFFSET_OUT_OF_RANGE"
BAD_CURSOR = "BAD_CURSOR"

_Offset = Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
_PIECE_BYTES = 64 << 10


class FetchEntry(msgspec.Struct, gc=False):
    """One read."""

    queue: str
    offset: _Offset
    partition: str | None = None
    maxBytes: _Offset | None = None


class FetchBody(msgspec.Struct, gc=False):
    """The body of POST /api/v1/fetch."""

    entries: list[FetchEntry]
    maxBytes: _Offset | None = None


class ChangedEntry(msgspec.Struct, gc=False):
    """One list."""

    queue: str
    since: str | None = None
    after: str | None = None
    limit: _Offset | None = None


class ChangedBody(msgspec.Struct, gc=False):
    """The body of POST /api/v1/partitions/changed."""

    entries: list[ChangedEntry]


class Cursor(msgspec.Struct, array_like=True, gc=False):
    """Where a list goes on: behind a partition. `queue` and `since` say which list it is."""

    queue: str
    since: str | None
    after_at: str | None
    after_name: str


class BadCursor(NamedTuple):
    """A list with a cursor that is none of its own."""

    queue: str


_fetch_decoder = msgspec.json.Decoder(FetchBody)
_changed_decoder = msgspec.json.Decoder(ChangedBody)
_cursor_decoder = msgspec.json.Decoder(Cursor)


def read_fetch(body: bytes) -> tuple[list[Read], int | None]:
    """The reads of a body, and the most bytes for all of them. Raises InvalidRequest for what is none."""
    asked = wire.decode_as(_fetch_decoder, body)
    _check_count(len(asked.entries), READS_MAX)
    reads = []
    for place, entry in enumerate(asked.entries):
        where = f"$.entries[{place}]"
        queue = wire.check_name("queue", entry.queue, f"{where}.queue")
        partition = wire.check_name("partition", entry.partition or model.DEFAULT_PARTITION, f"{where}.partition")
        most = READ_BYTES_DEFAULT if entry.maxBytes is None else entry.maxBytes
        reads.append(Read(queue, partition, entry.offset, min(max(most, 1), READ_BYTES_MAX)))
    return reads, None if asked.maxBytes is None else max(asked.maxBytes, 1)


def read_changed(body: bytes) -> list[Listing | BadCursor]:
    """The lists of a body. Raises InvalidRequest for what is none."""
    asked = wire.decode_as(_changed_decoder, body)
    _check_count(len(asked.entries), LISTS_MAX)
    return [_listing(entry, f"$.entries[{place}]") for place, entry in enumerate(asked.entries)]


def _check_count(count: int, most: int) -> None:
    if count > most:
        raise errors.InvalidRequest(f"bad body: {count} entries, {most} is the most", hint="ask in several calls")


def _listing(entry: ChangedEntry, where: str) -> Listing | BadCursor:
    queue = wire.check_name("queue", entry.queue, f"{where}.queue")
    since = _time(entry.since, f"{where}.since")
    limit = min(max(LIST_LIMIT_MAX if entry.limit is None else entry.limit, 1), LIST_LIMIT_MAX)
    if not entry.after:
        return Listing(queue, since, None, None, limit)
    cursor = _open_cursor(entry.after)
    after_at = wire.parse_time(cursor.after_at) if cursor is not None and cursor.after_at is not None else None
    if cursor is None or (cursor.queue, cursor.since) != (queue, _text(since)) or (since is None) != (after_at is None):
        return BadCursor(queue)
    return Listing(queue, since, after_at, cursor.after_name, limit)


def _time(text: str | None, where: str) -> datetime | None:
    if text is None:
        return None
    at = wire.parse_time(text)
    if at is None:
        raise errors.InvalidRequest(
            f"bad body: since must be a time - at `{where}`", hint="for example 2026-01-31T12:00:00.000000Z"
        )
    # Times without a zone, or in another one, are the same list.
    return at.astimezone(UTC) if MINYEAR < at.year < MAXYEAR else at.replace(tzinfo=UTC)


def _text(at: datetime | None) -> str | None:
    return wire.datetime_text(at) if at is not None else None


def _open_cursor(text: str) -> Cursor | None:
    try:
        found = _cursor_decoder.decode(base64.urlsafe_b64decode(text.encode("ascii")))
    except (ValueError, binascii.Error, msgspec.MsgspecError, RecursionError):
        return None
    return found if "\0" not in found.after_name else None


def next_cursor(listing: Listing, page: list[Listed]) -> str | None:
    """Where the list goes on after a page; None when it was the last one."""
    if len(page) < listing.limit:
        return None
    last = page[-1]
    after_at = _text(last.written_at) if listing.since is not None else None
    cursor = Cursor(listing.queue, _text(listing.since), after_at, last.name)
    return base64.urlsafe_b64encode(wire.encode(cursor)).decode()


def refused_list(bad: BadCursor) -> dict[str, Any]:
    """The entry of a list that cannot be gone on with."""
    return {"queue": bad.queue, "partitions": [], "next": None, "error": BAD_CURSOR}


def changed_list(listing: Listing, page: list[Listed] | None) -> dict[str, Any]:
    """One entry of the answer; `page` is None when there is no such queue."""
    if page is None:
        return {"queue": listing.queue, "partitions": [], "next": None, "error": UNKNOWN}
    partitions = [
        {
            "name": one.name,
            "id": model.encode_id(model.PARTITION, one.partition_id),
            "lastOffset": one.next_offset - 1,
            "logStart": one.first_offset,
            "lastWriteAt": _text(one.written_at),
        }
        for one in page
    ]
    return {"queue": listing.queue, "partitions": partitions, "next": next_cursor(listing, page)}


def payload_bytes(found: list[Records]) -> int:
    """How much payload was read."""
    return sum([sum([len(record.payload) for record in one.records]) for one in found])


def fetched(reads: list[Read], found: list[Records]) -> Iterator[bytes]:
    """The body of a fetch in pieces. A payload is forgotten once it is handed out."""
    parts, size = [b'{"entries":['], 0
    for place, (read, one) in enumerate(zip(reads, found, strict=True)):
        times = wire.TimeTexts()
        error = _error(read, one)
        records = [] if error else one.records
        parts.append(
            b'%b{"highWatermark":%d,"logStartOffset":%d,"records":['
            % (b"," if place else b"", one.next_offset or 0, one.first_offset or 0)
        )
        for number, record in enumerate(records):
            parts.append(
                b'%b{"offset":%d,"transactionId":%b,"payload":'
                % (b"," if number else b"", record.offset, wire.json_text(record.transaction_id))
            )
            parts.append(record.payload)
            parts.append(b',"ts":"%b"}' % times.text(record.created_at))
            records[number] = record._replace(payload=b"")
            size += len(parts[-2])
            if size > _PIECE_BYTES:
                yield b"".join(parts)
                parts, size = [], 0
        parts.append(b'],"error":"%b"}' % error.encode() if error else b"]}")
    yield b"".join([*parts, b"]}"])


def _error(read: Read, found: Records) -> str:
    if found.first_offset is None or found.next_offset is None:
        return UNKNOWN
    return "" if found.first_offset <= read.offset <= found.next_offset else OUT_OF_RANGE
