"""Plain value types and ids that every layer shares. Standard library only.

Ids on the wire look like UUIDs (version 8, the free form) and encode a place, so they need no column and no index:

    pppppppp-pppp-8kkk-8ooo-oooooooooooo
    p = number, 48 bits: the partition of a message, or the number of the thing itself
    k = kind, 12 bits:   what the id names (MESSAGE, PARTITION, QUEUE, DEAD_LETTER)
    o = offset, 60 bits: the position of a message, 0 for the other kinds

A message that had no place in the order when it was announced (it was scheduled) has a negative offset, in two's
complement. It keeps that id when it gets its place. The SQL functions message_id() and announced_place() do the same.

Lease ids are UUID version 7 whose last 48 bits hold the partition number (0: several partitions), so any
instance can find the cursor that a lease belongs to without a search.
"""

from __future__ import annotations

import os
import time
from typing import Final, NamedTuple

QUEUE_MODE: Final = "__QUEUE_MODE__"
"""The reserved consumer group of pops that name none."""

DEFAULT_PARTITION: Final = "Default"
NAME_LENGTH_MAX: Final = 255
"""Longest queue, partition, group and transaction id, in characters."""

EPOCH_2000_US: Final = 946_684_800_000_000
"""Where PostgreSQL's times begin, in microseconds since 1970."""

NO_ID: Final = "00000000-0000-0000-0000-000000000000"
"""Stands for a message that is gone, or not stored yet."""

MESSAGE, PARTITION, QUEUE, DEAD_LETTER = 0, 1, 2, 3

_NUMBER_MAX = (1 << 48) - 1
_OFFSET_MAX = (1 << 60) - 1
_OFFSET_SIGN = 1 << 59


def encode_id(kind: int, number: int, offset: int = 0) -> str:
    """The UUID text of a place."""
    high, low = offset >> 48 & 0xFFF, offset & 0xFFFFFFFFFFFF
    return f"{number >> 16:08x}-{number & 0xFFFF:04x}-8{kind:03x}-8{high:03x}-{low:012x}"


def message_id_prefix(partition_id: int) -> str:
    """The part of `encode_id(MESSAGE, partition_id, …)` that all messages of a partition share, up to the variant."""
    return f"{partition_id >> 16:08x}-{partition_id & 0xFFFF:04x}-8000-8"


def decode_id(text: str, kind: int) -> tuple[int, int] | None:
    """(number, offset) of an id of this kind, or None when the text is not one."""
    digits = text.replace("-", "")
    if len(digits) != 32 or len(text) != 36:
        return None
    try:
        value = int(digits, 16)
    except ValueError:
        return None
    if (value >> 76) & 0xF != 8 or (value >> 64) & 0xFFF != kind or (value >> 60) & 0xF != 8:
        return None
    number, offset = (value >> 80) & _NUMBER_MAX, value & _OFFSET_MAX
    if offset & _OFFSET_SIGN:
        offset -= _OFFSET_MAX + 1
    return (number, offset) if number else None


def partition_number(text: str) -> int | None:
    """The partition's number from its wire id, or None when the text is not a partition id of ours."""
    place = decode_id(text, PARTITION)
    return place[0] if place else None


def new_transaction_id() -> str:
    """A UUIDv7 for a message whose producer named none."""
    return _uuid7(int.from_bytes(os.urandom(10), "big"))


def new_lease_id(partition_id: int) -> str:
    """A fresh fencing id for a lease on one partition, or on several when `partition_id` is 0."""
    return _uuid7(int.from_bytes(os.urandom(4), "big") << 48 | partition_id)


def lease_partition(lease_id: str) -> int | None:
    """The partition a lease id encodes; 0 for a lease over several; None when it is no lease id."""
    digits = lease_id.replace("-", "")
    if len(digits) != 32 or len(lease_id) != 36 or digits[12] != "7":
        return None
    try:
        return int(digits[20:], 16)
    except ValueError:
        return None


def _uuid7(random_bits: int) -> str:
    """UUID version 7 from the clock (48 bits of ms) and 74 of the given bits."""
    ms = time.time_ns() // 1_000_000
    high = (random_bits >> 62) & 0xFFF
    low = random_bits & 0x3FFFFFFFFFFFFFFF
    value = ms << 80 | 7 << 76 | high << 64 | 2 << 62 | low
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


class Due(NamedTuple):
    """When a message takes its place in the order: at a time (µs since 2000-01-01 UTC), or after a delay."""

    at_us: int | None
    delay_ms: int | None


class NewMessage:
    """One message on its way in. Texts are UTF-8 bytes, checked at the border. `due` is None for at once."""

    __slots__ = ("due", "partition", "payload", "producer_sub", "queue", "trace_id", "transaction_id")

    def __init__(
        self,
        queue: str,
        partition: str,
        transaction_id: bytes,
        payload: bytes,
        trace_id: bytes | None = None,
        producer_sub: bytes | None = None,
        due: Due | None = None,
    ) -> None:
        self.queue = queue
        self.partition = partition
        self.transaction_id = transaction_id
        self.payload = payload
        self.trace_id = trace_id
        self.producer_sub = producer_sub
        self.due = due


COMPLETED, RETRY, FAILED, DEAD = "completed", "retry", "failed", "dlq"
"""What an ack can say of a message."""


class AckItem:
    """One acknowledgement on its way in. `partition_id` is None when the text was no id of ours."""

    __slots__ = ("error", "kind", "lease_id", "partition_id", "transaction_id")

    def __init__(
        self, transaction_id: bytes, partition_id: int | None, kind: str, lease_id: str | None, error: str | None
    ) -> None:
        self.transaction_id = transaction_id
        self.partition_id = partition_id
        self.kind = kind
        self.lease_id = lease_id
        self.error = error
