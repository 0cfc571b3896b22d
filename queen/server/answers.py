"""The answers of the hot routes as ready bytes. What many messages share is formatted once."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator

from queen.engine.ack import AckResult
from queen.engine.catalog import Partition
from queen.engine.pop import PopRequest
from queen.engine.push import PushChunk, PushRequest
from queen.model import MESSAGE, NO_ID, AckItem, decode_id
from queen.store.base import Span
from queen.wire import TimeTexts, encode, json_text, json_texts

_LOW = 0xFFFFFFFFFFFF
_HIGH = 0xFFF
_NO_ID = NO_ID.encode()
_HOLE = b"\0"  # No JSON text holds it.

Parts = list[bytes] | dict[int, bytes]
"""Objects of items by position."""

Extras = dict[int, tuple[bytes, bytes, int | None]]


def pushed(request: PushRequest, count: int) -> bytes:
    """One object per item, in request order."""
    parts = [b""] * count
    for chunk in request.chunks:
        fill(chunk, parts)
    return b"[" + b",".join(parts) + b"]"


def fill(chunk: PushChunk, parts: Parts) -> None:
    """Put the object of each item of a chunk at the item's position."""
    if chunk.error is not None:
        _failed(chunk, parts)
    elif chunk.stored is None:
        _queued(chunk, parts)
    else:
        _sorted_out(chunk, parts)


def broken(position: int, message: str) -> bytes:
    """The object of a line that cannot be read."""
    return (
        b'{"index":%d,"message_id":"%b","transaction_id":null,"queueName":null,"partition_id":null,'
        b'"status":"failed","error":%b}' % (position, _NO_ID, encode(message))
    )


def _place(partition: Partition) -> bytes:
    return b',"queueName":%b,"partition_id":"%b","status":' % (partition.queue.json_name, partition.id_text.encode())


def _queued(chunk: PushChunk, parts: Parts) -> None:
    prefix = chunk.partition.id_prefix.encode()
    tail = _place(chunk.partition) + b'"queued"}'
    offsets = itertools.count(chunk.base)
    texts = json_texts([message.transaction_id for message in chunk.messages])
    for position, text, offset in zip(chunk.positions, texts, offsets, strict=False):
        parts[position] = b'{"index":%d,"message_id":"%b%03x-%012x","transaction_id":%b%b' % (
            position,
            prefix,
            offset >> 48,
            offset & _LOW,
            text,
            tail,
        )


def _sorted_out(chunk: PushChunk, parts: Parts) -> None:
    assert chunk.stored is not None
    prefix = chunk.partition.id_prefix.encode()
    tail = _place(chunk.partition)
    for position, message, stored in zip(chunk.positions, chunk.messages, chunk.stored, strict=True):
        offset = stored.offset
        message_id = b"%b%03x-%012x" % (prefix, offset >> 48 & _HIGH, offset & _LOW) if offset is not None else _NO_ID
        parts[position] = b'{"index":%d,"message_id":"%b","transaction_id":%b%b"%b"}' % (
            position,
            message_id,
            json_text(message.transaction_id),
            tail,
            b"duplicate" if stored.duplicate else b"queued",
        )


def _failed(chunk: PushChunk, parts: Parts) -> None:
    assert chunk.error is not None
    tail = _place(chunk.partition) + b'"failed","error":%b}' % encode(chunk.error.message)
    for position, message in zip(chunk.positions, chunk.messages, strict=True):
        parts[position] = b'{"index":%d,"message_id":"%b","transaction_id":%b%b' % (
            position,
            _NO_ID,
            json_text(message.transaction_id),
            tail,
        )


def popped(request: PopRequest, queue_name: bytes) -> bytes:
    """The body of a pop that got something. `queue_name` is JSON text: that of the path, "" for a discovery pop."""
    group = encode(request.group)
    times = TimeTexts()
    messages: list[bytes] = []
    for partition, span in request.spans:
        _messages(partition, span, _extras(span), request.lease_id, group, times, messages)
    return b"%b%b]}" % (_opening(request, queue_name, group), b",".join(messages))


def _opening(request: PopRequest, queue_name: bytes, group: bytes) -> bytes:
    first = request.spans[0][0]
    return (
        b'{"success":true,"queue":%b,"partition":%b,"partitionId":"%b","leaseId":"%b","consumerGroup":%b,'
        b'"partitionsClaimed":%d,"messages":['
        % (
            queue_name,
            first.json_name,
            first.id_text.encode(),
            request.lease_id.encode(),
            group,
            len(request.spans),
        )
    )


def payload_bytes(request: PopRequest) -> int:
    """How much payload a pop got."""
    return sum([sum(map(len, span.payloads)) for _, span in request.spans])


def popped_in_pieces(request: PopRequest, queue_name: bytes, size: int) -> Iterator[bytes]:
    """What `popped` makes, in pieces of at most about `size` bytes. A payload is forgotten once it is handed out."""
    group = encode(request.group)
    times = TimeTexts()
    yield _opening(request, queue_name, group)
    comma = b""
    for partition, span in request.spans:
        extras = _extras(span)
        start = 0
        while start < len(span.payloads):
            end = _end_of_piece(span.payloads, start, size)
            large = span.payloads[start] if len(span.payloads[start]) > size else None
            messages: list[bytes] = []
            part = _part(span, start, end, _HOLE if large is not None else None)
            _messages(partition, part, extras, request.lease_id, group, times, messages)
            span.payloads[start:end] = [b""] * (end - start)
            head, _, tail = messages[0].partition(_HOLE) if large is not None else (b",".join(messages), b"", b"")
            yield comma + head
            for place in range(0, len(large or b""), size):
                yield (large or b"")[place : place + size]
            yield tail
            comma, start = b",", end
    yield b"]}"


def _end_of_piece(payloads: list[bytes], start: int, size: int) -> int:
    """Where the piece that begins at `start` ends: at `size` bytes, and after one payload at least."""
    end = start + 1
    left = size - len(payloads[start])
    while end < len(payloads) and left >= len(payloads[end]):
        left -= len(payloads[end])
        end += 1
    return end


def _part(span: Span, start: int, end: int, payload: bytes | None) -> Span:
    """A few messages of a span; `payload` stands in for that of a single one."""
    return span._replace(
        first_offset=span.first_offset + start,
        offsets=span.offsets[start:end] if span.offsets is not None else None,
        transaction_ids=span.transaction_ids[start:end],
        payloads=span.payloads[start:end] if payload is None else [payload],
        created_ats=span.created_ats[start:end],
    )


def _messages(
    partition: Partition,
    span: Span,
    extras: Extras,
    lease_id: str,
    group: bytes,
    times: TimeTexts,
    out: list[bytes],
) -> None:
    prefix = partition.id_prefix.encode()
    tail = b'","queue":%b,"partition":%b,"partitionId":"%b","leaseId":"%b","consumerGroup":%b,"deliveryAttempt":%d}' % (
        partition.queue.json_name,
        partition.json_name,
        partition.id_text.encode(),
        lease_id.encode(),
        group,
        span.attempt,
    )
    offsets = span.offsets or itertools.count(span.first_offset)
    for offset, text, payload, created_at in zip(
        offsets, json_texts(span.transaction_ids), span.payloads, span.created_ats, strict=False
    ):
        place, trace_id, producer_sub = offset, _NULL, _NULL
        if extras and offset in extras:
            trace_id, producer_sub, first_place = extras[offset]
            place = first_place if first_place is not None else offset
        out.append(
            b'{"id":"%b%03x-%012x","transactionId":%b,"traceId":%b,"data":%b,"producerSub":%b,"createdAt":"%b%b'
            % (
                prefix,
                place >> 48 & _HIGH,
                place & _LOW,
                text,
                trace_id,
                payload,
                producer_sub,
                times.text(created_at),
                tail,
            )
        )


_NULL = b"null"


def _extras(span: Span) -> Extras:
    """Trace id and producer as JSON text, and the place announced first, of the messages that have one, by offset."""
    if span.extras is None:
        return {}
    return {
        offset: (encode(trace_id), encode(sub), _announced(first_id))
        for offset, trace_id, sub, first_id in json.loads(span.extras)
    }


def _announced(first_id: str | None) -> int | None:
    place = decode_id(first_id, MESSAGE) if first_id is not None else None
    return place[1] if place is not None else None


def acked(items: list[AckItem], results: list[AckResult]) -> bytes:
    """One object per item, in request order."""
    last: AckResult | None = None
    tail = b""
    parts = []
    texts = json_texts([item.transaction_id for item in items])
    for index, (text, result) in enumerate(zip(texts, results, strict=True)):
        if result is not last:
            last, tail = result, _ack_tail(result)
        parts.append(b'{"index":%d,"transactionId":%b%b' % (index, text, tail))
    return b"[" + b",".join(parts) + b"]"


def _ack_tail(result: AckResult) -> bytes:
    partition = result.partition
    return b',"success":%b,"error":%b,"leaseReleased":%b,"dlq":%b,"noop":%b,"queueName":%b,"partitionName":%b}' % (
        b"true" if result.error is None else b"false",
        encode(result.error),
        encode(result.released),
        encode(result.dead),
        encode(result.noop),
        partition.queue.json_name if partition else b"null",
        partition.json_name if partition else b"null",
    )
