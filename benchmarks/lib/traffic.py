"""The bytes of push, pop and ack requests, and the reading of their answers.

Requests are cut from templates made once, so that the generator spends its time on the server and not on JSON.
All fields that vary have a fixed width; a push of one size therefore always has the same `Content-Length`.
This module knows the wire, not the connections and not the clock.
"""

from __future__ import annotations

import random
import string
from collections.abc import Sequence
from urllib.parse import quote, urlencode

import msgspec

from benchmarks.lib.ledger import DIGITS
from benchmarks.lib.plan import Plan
from queen.bench.connection import BadAnswer

POP_WAIT_MS = 1000
PAYLOADS = 16
PARTITIONS_MAX = 100_000  # five digits, so that all names have one length


class PoppedMessage(msgspec.Struct, gc=False):
    transactionId: str
    partitionId: str
    leaseId: str


class PopAnswer(msgspec.Struct, gc=False):
    messages: list[PoppedMessage]


class FullMessage(msgspec.Struct, gc=False):
    transactionId: str
    data: msgspec.Raw


class FullAnswer(msgspec.Struct, gc=False):
    messages: list[FullMessage]


class ItemResult(msgspec.Struct):
    """One object of a push or ack answer, as far as it is judged."""

    status: str = ""
    success: bool = False
    error: str | None = None


_POP = msgspec.json.Decoder(PopAnswer)
_FULL = msgspec.json.Decoder(FullAnswer)
_ITEMS = msgspec.json.Decoder(list[ItemResult])


def make_payloads(seed: int, payload_bytes: int) -> list[bytes]:
    """JSON objects of exactly `payload_bytes` with random text, so that compression finds little to save."""
    source = random.Random(seed)
    return [_payload(source, payload_bytes) for _ in range(PAYLOADS)]


def _payload(source: random.Random, payload_bytes: int) -> bytes:
    fields = f'{{"order":{source.randrange(10**8, 10**9)},"state":"created","note":"'
    filler = payload_bytes - len(fields) - 2
    if filler < 0:
        raise ValueError(f"payload must be at least {len(fields) + 2} bytes")
    return (fields + "".join(source.choices(string.ascii_letters + string.digits, k=filler)) + '"}').encode()


def partition_name(index: int) -> bytes:
    return b"p%05d" % index


class PushRequests:
    """Push requests of one size to one queue. The message with number n carries payload n mod `PAYLOADS`."""

    def __init__(self, plan: Plan, prefix: str, payloads: Sequence[bytes], size: int) -> None:
        self._size = size
        self._names = [partition_name(index) for index in range(plan.partitions)]
        self._templates = [self._template(plan, prefix, payloads, start) for start in range(PAYLOADS)]

    def _template(self, plan: Plan, prefix: str, payloads: Sequence[bytes], start: int) -> bytes:
        """A whole request with two slots a message: partition name and number."""
        item = f'{{"queue":"{plan.queue}","partition":"%b","transactionId":"{prefix}%0{DIGITS}d","payload":'.encode()
        parts = [item + payloads[(start + place) % PAYLOADS] + b"}" for place in range(self._size)]
        body = b'{"items":[' + b",".join(parts) + b"]}"
        length = len(body % ((self._names[0], 0) * self._size))
        return _head("POST", "/api/v1/push", plan, length) + body

    def make(self, first: int, partitions: Sequence[int]) -> bytes:
        """The request for numbers `first…`; its messages go to the given partitions in turn."""
        size, count = self._size, len(partitions)
        slots: list[bytes | int] = [b""] * (2 * size)
        for place, index in enumerate(partitions):
            slots[2 * place :: 2 * count] = [self._names[index]] * len(range(place, size, count))
        slots[1::2] = range(first, first + size)
        return self._templates[first % PAYLOADS] % tuple(slots)


def _head(method: str, target: str, plan: Plan, length: int | None) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", f"Host: {plan.host}:{plan.port}"]
    if length is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {length}"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def pop_request(plan: Plan) -> bytes:
    """A waiting pop from any partition of the queue."""
    batch, spread = plan.pop_batch or plan.size, plan.pop_spread or plan.spread
    query: dict[str, str | int] = {"batch": batch, "partitions": spread, "wait": "true", "timeout": POP_WAIT_MS}
    if plan.group:
        query["consumerGroup"] = plan.group
    return _head("GET", f"/api/v1/pop/queue/{quote(plan.queue, safe='')}?{urlencode(query)}", plan, None)


def ack_request(plan: Plan, messages: Sequence[PoppedMessage]) -> bytes:
    """Acks all messages as completed, each under its own partition and lease."""
    parts = []
    partition, tail = "", ""
    for message in messages:
        if message.partitionId != partition:
            partition = message.partitionId
            tail = f'","partitionId":"{partition}","leaseId":"{message.leaseId}","status":"completed"}}'
        parts.append('{"transactionId":"' + message.transactionId + tail)
    group = f'"consumerGroup":"{plan.group}",' if plan.group else ""
    body = ("{" + group + '"acknowledgments":[' + ",".join(parts) + "]}").encode()
    lines = f"POST /api/v1/ack/batch HTTP/1.1\r\nHost: {plan.host}:{plan.port}\r\n"
    return f"{lines}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def check_push(status: int, body: bytes, count: int) -> None:
    """Returns when all `count` messages are `queued`; raises BadAnswer with the first reason otherwise."""
    if status != 201:
        raise BadAnswer(f"push answered {status}: {_short(body)}")
    if body.count(b'"queued"') == count:
        return
    items = _decode_items(body)
    bad = [item for item in items if item.status != "queued"]
    if bad or len(items) != count:
        raise BadAnswer(f"push of {count}: {len(items)} results, {len(bad)} not queued, first {bad[:1]}")


def check_ack(status: int, body: bytes, count: int) -> list[str]:
    """Reasons of the messages that the server refused to ack; empty when all went well."""
    if status != 200:
        raise BadAnswer(f"ack answered {status}: {_short(body)}")
    if body.count(b'"success":true') == count:
        return []
    items = _decode_items(body)
    if len(items) != count:
        raise BadAnswer(f"ack of {count} messages got {len(items)} results")
    return [item.error or "no reason given" for item in items if not item.success]


def read_pop(status: int, body: bytes) -> list[PoppedMessage]:
    """The messages of a pop answer; empty for 204."""
    if status == 204:
        return []
    if status != 200:
        raise BadAnswer(f"pop answered {status}: {_short(body)}")
    try:
        messages = _POP.decode(body).messages
    except msgspec.DecodeError as error:
        raise BadAnswer(f"pop answer cannot be read: {error}: {_short(body)}") from error
    if not messages:
        raise BadAnswer("pop answered 200 without messages; an empty pop is 204")
    return messages


def read_payloads(body: bytes) -> list[tuple[str, bytes]]:
    """Transaction id and payload bytes of each message of a pop answer."""
    return [(message.transactionId, bytes(message.data)) for message in _FULL.decode(body).messages]


def _decode_items(body: bytes) -> list[ItemResult]:
    try:
        return _ITEMS.decode(body)
    except msgspec.DecodeError as error:
        raise BadAnswer(f"answer cannot be read: {error}: {_short(body)}") from error


def _short(body: bytes) -> str:
    return body[:300].decode("utf-8", "replace")
