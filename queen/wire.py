"""The JSON dialect of the message plane as pure functions, bytes ⇄ plain values. Server and client share it.

It knows the words of http-api.md §4 and neither sockets nor the engine. Payloads and transaction ids stay the bytes
that came: they are checked, never decoded and encoded again. What cannot be kept byte for byte is refused.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, TypeVar

import msgspec

from queen import errors, model
from queen.model import COMPLETED, DEAD, FAILED, RETRY, AckItem, NewMessage

T = TypeVar("T")

_EMPTY = msgspec.Raw()
_NULL = b"null"
_NO_RIDER = (b"", b"null", b"[]", b"{}")
_NEEDS_ESCAPE = re.compile(rb'[\x00-\x1f"\\]')
_EPOCH_2000 = datetime(2000, 1, 1, tzinfo=UTC)
_SHOWN_NAME_LENGTH = 60
DELAY_S_MAX = 315_360_000
"""Longest `delaySeconds`, in seconds: ten years."""
_PLAIN_MAX = model.NAME_LENGTH_MAX + 2
_QUOTE = ord('"')

_STATUSES = {None: COMPLETED, "completed": COMPLETED, "success": COMPLETED, "acked": COMPLETED, "ok": COMPLETED,
             "retry": RETRY, "dlq": DEAD}  # fmt: skip


class PushItem(msgspec.Struct, gc=False):
    """One item of a push body."""

    queue: str
    payload: msgspec.Raw
    partition: str | None = None
    transactionId: msgspec.Raw = _EMPTY
    traceId: str | None = None
    scheduledAt: str | None = None
    delaySeconds: float | None = None


class PushBody(msgspec.Struct, gc=False):
    """The body of POST /api/v1/push."""

    items: list[PushItem]


class PushLine(PushItem, gc=False, kw_only=True):
    """One line of a streamed push; the request may name the queue once for all."""

    queue: str | None = None  # type: ignore[assignment]


class Ack(msgspec.Struct, gc=False):
    """One acknowledgement; `consumerGroup` counts in the single form only."""

    transactionId: msgspec.Raw = _EMPTY
    partitionId: str | None = None
    status: str | None = None
    leaseId: str | None = None
    error: str | None = None
    consumerGroup: str | None = None


class AckBatch(msgspec.Struct, gc=False):
    """The body of POST /api/v1/ack/batch."""

    acknowledgments: list[Ack]
    consumerGroup: str | None = None


class Operation(msgspec.Struct, gc=False):
    """One operation of a transaction: a push of several items or of one, or an ack."""

    type: str
    items: list[TransactionItem] | None = None
    queue: str | None = None
    partition: str | None = None
    payload: msgspec.Raw = _EMPTY
    data: msgspec.Raw = _EMPTY
    transactionId: msgspec.Raw = _EMPTY
    traceId: str | None = None
    scheduledAt: str | None = None
    delaySeconds: float | None = None
    partitionId: str | None = None
    status: str | None = None
    leaseId: str | None = None
    error: str | None = None
    consumerGroup: str | None = None


class TransactionItem(msgspec.Struct, gc=False):
    """One item of a push in a transaction; `data` is an alias of `payload`, and a missing payload is {}."""

    queue: str
    payload: msgspec.Raw = _EMPTY
    data: msgspec.Raw = _EMPTY
    partition: str | None = None
    transactionId: msgspec.Raw = _EMPTY
    traceId: str | None = None
    scheduledAt: str | None = None
    delaySeconds: float | None = None


class TransactionBody(msgspec.Struct, gc=False):
    """The body of POST /api/v1/transaction."""

    operations: list[Operation]
    requiredLeases: list[str] | None = None
    kv: msgspec.Raw = _EMPTY
    timers: msgspec.Raw = _EMPTY


class TransactionRequest(NamedTuple):
    """A transaction as the engine takes it: messages, and (group, ack) pairs, flat and in order."""

    operations: list[NewMessage | tuple[str, AckItem]]
    required_leases: list[str]
    riders: str
    """Which family of riders stands in the body, "" for none."""


class ExtendBody(msgspec.Struct, gc=False):
    """The body of POST /api/v1/lease/{leaseId}/extend."""

    seconds: int = 60


_push_decoder = msgspec.json.Decoder(PushBody)
_line_decoder = msgspec.json.Decoder(PushLine)
_ack_decoder = msgspec.json.Decoder(Ack)
_ack_batch_decoder = msgspec.json.Decoder(AckBatch)
_extend_decoder = msgspec.json.Decoder(ExtendBody)
_any_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder()
_transaction_decoder = msgspec.json.Decoder(TransactionBody)
_text_decoder = msgspec.json.Decoder(str)
encode = msgspec.json.encode


def _decode(decoder: msgspec.json.Decoder[Any], body: bytes) -> Any:
    """A typed body. Raises InvalidRequest for whatever is not such a body."""
    try:
        # msgspec leaves the text inside raw values unchecked; PostgreSQL would refuse it together with its neighbours.
        if not body.isascii():
            body.decode()
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise errors.InvalidRequest(f"bad body: {error}", hint="see /docs for the fields and their types") from error
    except RecursionError as error:
        raise errors.InvalidRequest("bad body: nested too deeply", hint="flatten the payload") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise errors.InvalidRequest(f"bad body: {error}", hint="the body must be valid JSON in UTF-8") from error


def decode_as(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """A body of a type that is declared elsewhere. Raises InvalidRequest for whatever is not such a body."""
    found: T = _decode(decoder, body)
    return found


def decode_push(body: bytes) -> list[NewMessage]:
    """The messages of a push body, with transaction ids minted where none was given."""
    return _push_messages(_decode(_push_decoder, body).items)


def decode_push_lines(
    block: bytes, queue: str | None = None, partition: str | None = None
) -> list[NewMessage | errors.InvalidRequest]:
    """One entry for each line of a streamed push that is not blank, in order.

    `queue` and `partition` are for lines that name none.
    """
    lines = [line for line in block.split(b"\n") if line and not line.isspace()]
    try:
        if not block.isascii():
            block.decode()
        items = _line_decoder.decode_lines(block)
        # An object over two lines would be taken for one line.
        if len(items) == len(lines):
            return [*_push_messages(_named(items, queue, partition))]
    except (errors.InvalidRequest, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        pass  # The one at fault fails alone; the way below finds it.
    return [_push_line(line, queue, partition) for line in lines]


def _push_line(line: bytes, queue: str | None, partition: str | None) -> NewMessage | errors.InvalidRequest:
    try:
        return _push_messages(_named([_decode(_line_decoder, line)], queue, partition))[0]
    except errors.InvalidRequest as error:
        return errors.InvalidRequest(error.message.replace("$.items[0]", "$"), hint=error.hint)


def _named(items: list[PushLine], queue: str | None, partition: str | None) -> list[PushLine]:
    for item in items:
        if item.queue is None:
            if queue is None:
                raise errors.InvalidRequest(
                    "bad body: Object missing required field `queue`", hint="name it in the line or as ?queue="
                )
            item.queue = queue
        if item.partition is None:
            item.partition = partition
    return items


def _push_messages(items: Sequence[PushItem]) -> list[NewMessage]:
    messages = []
    queue = partition = ""
    given: str | None = None
    for place, item in enumerate(items):
        # Neighbours mostly name the same place: check it once.
        if item.queue != queue or item.partition != given or not partition:
            given = item.partition
            queue = check_name("queue", item.queue, f"$.items[{place}].queue")
            partition = check_name("partition", given or model.DEFAULT_PARTITION, f"$.items[{place}].partition")
        due = None
        if item.scheduledAt is not None or item.delaySeconds is not None:
            due = _due(item, f"$.items[{place}]")
        transaction_id = bytes(item.transactionId)
        if _is_plain(transaction_id):
            transaction_id = transaction_id[1:-1]
        else:
            transaction_id = _transaction_id(transaction_id, f"$.items[{place}].transactionId")
        messages.append(
            NewMessage(
                queue,
                partition,
                transaction_id or model.new_transaction_id().encode(),
                bytes(item.payload),
                _trace_id(item.traceId) if item.traceId is not None else None,
                None,
                due,
            )
        )
    return messages


def _due(item: PushItem | TransactionItem, where: str) -> model.Due:
    """When an item that names a time takes its place in the order. Raises InvalidRequest for what is no such time."""
    delay_s, scheduled_at = item.delaySeconds, item.scheduledAt
    if scheduled_at is None:
        assert delay_s is not None, "one of the two is given"
        if not 0 <= delay_s <= DELAY_S_MAX:
            raise errors.InvalidRequest(
                f"bad body: delaySeconds must be from 0 to {DELAY_S_MAX} - at `{where}`", hint="for example 60 or 0.5"
            )
        return model.Due(None, round(delay_s * 1000))
    if delay_s is not None:
        raise errors.InvalidRequest(
            f"bad body: scheduledAt and delaySeconds exclude each other - at `{where}`", hint="leave one of them out"
        )
    at = parse_time(scheduled_at)
    if at is None:
        raise errors.InvalidRequest(
            f"bad body: scheduledAt must be an ISO 8601 time - at `{where}`", hint="for example 2030-01-31T12:00:00Z"
        )
    return model.Due(max(0, (at - _EPOCH_2000) // timedelta(microseconds=1)), None)


def check_name(what: str, name: str, where: str) -> str:
    """The name itself. Raises InvalidRequest for one that is too long or that PostgreSQL cannot hold."""
    if len(name) > model.NAME_LENGTH_MAX:
        shown = name[:_SHOWN_NAME_LENGTH]
        raise errors.InvalidRequest(
            f"bad {what}: {shown!r}… has {len(name)} characters, {model.NAME_LENGTH_MAX} is the most - at `{where}`",
            hint=f"use a shorter {what} name",
        )
    if "\x00" in name:
        raise errors.InvalidRequest(f"bad {what}: a NUL character cannot be stored - at `{where}`", hint="remove it")
    return name


def _is_plain(text: bytes) -> bool:
    """Is this raw JSON a short string without escapes, so that its bytes are the text itself?"""
    return len(text) <= _PLAIN_MAX and text[:1] == b'"' and b"\\" not in text


def _transaction_id(text: bytes, where: str) -> bytes:
    """The UTF-8 bytes of a raw JSON string, b"" for null or nothing. Raises InvalidRequest for anything else."""
    if not text or text == _NULL:
        return b""
    if text[0] != _QUOTE:
        raise errors.InvalidRequest(
            f"bad body: Expected `str | null` - at `{where}`", hint="transaction ids are strings"
        )
    return check_name("transactionId", _text_decoder.decode(text), where).encode()


def _trace_id(text: str) -> bytes | None:
    """16 bytes of a UUID; None for any other text, which is ignored as http-api.md §4.2 says."""
    try:
        return uuid.UUID(text).bytes
    except ValueError:
        return None


def json_texts(values: list[bytes]) -> list[bytes]:
    """JSON string literals of UTF-8 bytes; one search covers them all."""
    if _NEEDS_ESCAPE.search(b"".join(values)) is None:
        return [b'"' + value + b'"' for value in values]
    return [json_text(value) for value in values]


def json_text(utf8: bytes) -> bytes:
    """A JSON string literal of UTF-8 bytes."""
    if _NEEDS_ESCAPE.search(utf8) is None:
        return b'"%b"' % utf8
    return encode(utf8.decode())


def decode_ack(body: bytes) -> tuple[str, list[AckItem]]:
    """(group, items) of a single acknowledgement."""
    one: Ack = _decode(_ack_decoder, body)
    return group_name(one.consumerGroup), _ack_items([one], "$")


def decode_ack_batch(body: bytes) -> tuple[str, list[AckItem]]:
    """(group, items) of a batch of acknowledgements."""
    batch: AckBatch = _decode(_ack_batch_decoder, body)
    return group_name(batch.consumerGroup), _ack_items(batch.acknowledgments, "$.acknowledgments[{}]")


def _ack_items(acks: list[Ack], where: str) -> list[AckItem]:
    items = []
    partition_text = partition_id = None
    for place, one in enumerate(acks):
        # Neighbours mostly lie in the same partition: read its id once.
        if one.partitionId != partition_text:
            partition_text = one.partitionId
            partition_id = model.partition_number(partition_text) if partition_text else None
        transaction_id = bytes(one.transactionId)
        if _is_plain(transaction_id):
            transaction_id = transaction_id[1:-1]
        else:
            transaction_id = _transaction_id(transaction_id, where.format(place) + ".transactionId")
        error = one.error.replace("\x00", "\ufffd") if one.error else None
        kind = _STATUSES.get(one.status, FAILED)
        items.append(AckItem(transaction_id, partition_id, kind, one.leaseId or None, error))
    return items


def decode_transaction(body: bytes) -> TransactionRequest:
    """The operations of a transaction. Raises InvalidRequest for what is none."""
    found: TransactionBody = _decode(_transaction_decoder, body)
    riders = next((name for name in ("kv", "timers") if bytes(getattr(found, name)) not in _NO_RIDER), "")
    if not found.operations and not riders:
        raise errors.InvalidRequest("operations array cannot be empty", hint="send at least one push or ack")
    operations: list[NewMessage | tuple[str, AckItem]] = []
    for place, one in enumerate(found.operations):
        where = f"$.operations[{place}]"
        if one.type == "push":
            operations += _transaction_messages(one, where)
        elif one.type == "ack":
            single = Ack(one.transactionId, one.partitionId, one.status, one.leaseId, one.error)
            operations.append((group_name(one.consumerGroup), _ack_items([single], where)[0]))
        else:
            raise errors.InvalidRequest(f"bad body: unknown type {one.type!r} - at `{where}`", hint="push or ack")
    return TransactionRequest(operations, [lease for lease in found.requiredLeases or [] if lease], riders)


def _transaction_messages(one: Operation, where: str) -> list[NewMessage]:
    items = one.items
    if items is None:
        if one.queue is None:
            raise errors.InvalidRequest(f"bad body: a push needs items or queue - at `{where}`", hint="see /docs")
        items = [
            TransactionItem(
                one.queue,
                one.payload,
                one.data,
                one.partition,
                one.transactionId,
                one.traceId,
                one.scheduledAt,
                one.delaySeconds,
            )
        ]
    return [_transaction_message(item, f"{where}.items[{place}]") for place, item in enumerate(items)]


def _transaction_message(item: TransactionItem, where: str) -> NewMessage:
    transaction_id = bytes(item.transactionId)
    if _is_plain(transaction_id):
        transaction_id = transaction_id[1:-1]
    else:
        transaction_id = _transaction_id(transaction_id, f"{where}.transactionId")
    return NewMessage(
        check_name("queue", item.queue, f"{where}.queue"),
        check_name("partition", item.partition or model.DEFAULT_PARTITION, f"{where}.partition"),
        transaction_id or model.new_transaction_id().encode(),
        bytes(item.payload) or bytes(item.data) or b"{}",
        _trace_id(item.traceId) if item.traceId is not None else None,
        None,
        _due(item, where) if item.scheduledAt is not None or item.delaySeconds is not None else None,
    )


def group_name(group: str | None) -> str:
    """The consumer group that a request means."""
    return check_name("consumerGroup", group, "consumerGroup") if group else model.QUEUE_MODE


def decode_extend(body: bytes) -> int:
    """Seconds to extend by; a broken or empty body means the default."""
    try:
        return max(1, _extend_decoder.decode(body).seconds) if body else ExtendBody().seconds
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ExtendBody().seconds


def time_text(us_since_2000: int) -> str:
    """A time of the wire: UTC with microseconds."""
    return (_EPOCH_2000 + timedelta(microseconds=us_since_2000)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def datetime_text(at: datetime) -> str:
    """The same of a datetime with a zone."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class TimeTexts:
    """`time_text` with a memory of the last value: neighbours mostly share theirs."""

    __slots__ = ("_last", "_text")

    def __init__(self) -> None:
        self._last = 0
        self._text = b""

    def text(self, us_since_2000: int) -> bytes:
        """The time as JSON text, without quotes."""
        if us_since_2000 != self._last or not self._text:
            self._last, self._text = us_since_2000, time_text(us_since_2000).encode()
        return self._text


def parse_time(text: str) -> datetime | None:
    """A time of a request: ISO 8601, UTC when it names no zone. None when it is not one."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def raw(payload: str) -> msgspec.Raw:
    """Stored JSON text as a value that `encode` writes out as it is."""
    return msgspec.Raw(payload.encode())


def raw_bytes(payload: bytes) -> msgspec.Raw:
    """The same of its bytes."""
    return msgspec.Raw(payload)


def decode_object(body: bytes) -> dict[str, Any]:
    """A JSON object of a management call. Raises InvalidRequest for anything else."""
    found = _decode(_any_decoder, body)
    if not isinstance(found, dict):
        raise errors.InvalidRequest("bad body: expected an object", hint="send a JSON object")
    return found
