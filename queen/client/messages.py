"""What the client sends and gets: value types with their JSON spelling. Knows nothing of HTTP and retries.

A payload that is `msgspec.Raw` is sent as its own bytes, and a payload that was received stays bytes (`Message.data`):
no number is rounded and no key moves on the way. `Message.payload()` decodes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeVar

import msgspec
from msgspec import Raw, Struct, field

from queen.errors import InvalidRequest, ServerUnreachable
from queen.model import QUEUE_MODE, new_transaction_id


class NewMessage(Struct, rename="camel", omit_defaults=True):
    """A message to push. Its transaction id is minted here, before the first try, so that a repeated push is safe."""

    queue: str
    payload: Any
    partition: str | None = None
    transaction_id: str = field(default_factory=new_transaction_id)
    trace_id: str | None = None
    scheduled_at: str | None = None
    """An ISO 8601 time before which it is not delivered; UTC without a zone."""
    delay_seconds: float | None = None
    """The same as seconds from when the server stores it, at most ten years. Not both."""


class Pushed(Struct):
    """What became of one pushed message: `queued`, `duplicate`, `buffered` or `failed` (with `error`)."""

    status: str
    message_id: str = ""
    transaction_id: str = ""
    error: str | None = None


class Message(Struct, rename="camel"):
    """One delivered message. `data` is the payload as the JSON bytes that the server sent."""

    id: str
    transaction_id: str
    partition_id: str
    data: Raw
    partition: str = ""
    queue: str = ""
    lease_id: str = ""
    consumer_group: str = ""
    created_at: str = ""
    trace_id: str | None = None
    producer_sub: str | None = None
    delivery_attempt: int = 1

    def payload(self) -> Any:
        """The payload decoded. Integers beyond 64 bits and floats become Python's; `data` has the very bytes."""
        return msgspec.json.decode(self.data)


class Ack(NamedTuple):
    """What is to become of one delivered message: `completed`, `failed`, `retry` (give back) or `dlq`."""

    message: Message
    status: str = "completed"
    error: str | None = None


class Acked(Struct, rename="camel"):
    """What became of one ack; `error` says why when `success` is false."""

    success: bool
    transaction_id: str = ""
    error: str | None = None
    lease_released: bool = False
    dlq: bool = False
    noop: bool = False


@dataclass(frozen=True, slots=True)
class LeasedBatch:
    """The answer to a pop: messages under one lease, in order within each partition. Empty: nothing was there."""

    lease_id: str
    messages: list[Message]
    envelopes: list[bytes]
    """Each message as the JSON object that the server sent, aligned with `messages`."""


_Result = TypeVar("_Result", Pushed, Acked)

EMPTY: Final = LeasedBatch("", [], [])


class _PopAnswer(Struct, rename="camel"):
    messages: list[Raw]
    lease_id: str = ""


_decode_message = msgspec.json.Decoder(Message).decode
_decode_pop = msgspec.json.Decoder(_PopAnswer).decode
_decode_pushed = msgspec.json.Decoder(list[Pushed]).decode
_decode_acked = msgspec.json.Decoder(list[Acked]).decode


def encode_push(messages: Sequence[NewMessage]) -> bytes:
    """The body of a push."""
    return msgspec.json.encode({"items": messages})


def encode_message(message: NewMessage) -> bytes:
    """One message as it stands in the body of a push. Raises InvalidRequest when its payload cannot be JSON."""
    try:
        return msgspec.json.encode(message)
    except (TypeError, ValueError, RecursionError, OverflowError) as error:
        raise InvalidRequest(f"a payload cannot be written as JSON: {error}") from error


def encode_push_of(items: Sequence[bytes]) -> bytes:
    """The body of a push of messages that are encoded already."""
    return b'{"items":[' + b",".join(items) + b"]}"


def decode_pushed(body: bytes, expected: int) -> list[Pushed]:
    """One result per message in request order. An answer of another length is not Queen's."""
    return _aligned(_decode_pushed(body), expected)


def decode_pop(body: bytes) -> LeasedBatch:
    """The batch of a 200 answer to a pop."""
    answer = _decode_pop(body)
    return LeasedBatch(
        answer.lease_id,
        [_decode_message(raw) for raw in answer.messages],
        [*map(bytes, answer.messages)],
    )


def encode_ack(acks: Sequence[Ack]) -> bytes:
    """The body of an ack of many messages of one group."""
    group = acks[0].message.consumer_group
    body: dict[str, object] = {} if group in ("", QUEUE_MODE) else {"consumerGroup": group}
    body["acknowledgments"] = [ack_item(*ack) for ack in acks]
    return msgspec.json.encode(body)


def decode_acked(body: bytes, expected: int) -> list[Acked]:
    """One result per acked message in request order."""
    return _aligned(_decode_acked(body), expected)


def ack_item(message: Message, status: str, error: str | None) -> dict[str, str]:
    """One ack as the fields of the wire, without the group."""
    item = {
        "transactionId": message.transaction_id,
        "partitionId": message.partition_id,
        "status": status,
    }
    if message.lease_id:
        item["leaseId"] = message.lease_id
    if error is not None:
        item["error"] = error
    return item


def _aligned(results: list[_Result], expected: int) -> list[_Result]:
    if len(results) != expected:
        raise ServerUnreachable(f"the server answered {len(results)} results to {expected} messages")
    return results
