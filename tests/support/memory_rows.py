"""The rows of the in-memory store: what the tables of Queen hold, as plain objects. Times are µs since 2000 UTC."""

from __future__ import annotations

import bisect
from dataclasses import dataclass, field
from datetime import UTC, datetime

EPOCH_2000 = datetime(2000, 1, 1, tzinfo=UTC)
START_US = 800_000_000_000_000

# The same values as default_options() of the schema; the contract suite compares the two.
DEFAULTS: dict[str, object] = {
    "leaseTime": 300,
    "retryLimit": 3,
    "retryDelay": 1000,
    "priority": 0,
    "maxSize": 0,
    "ttl": 3600,
    "deadLetterQueue": True,
    "dlqAfterMaxRetries": True,
    "delayedProcessing": 0,
    "windowBuffer": 0,
    "minPopWaitTime": 0,
    "retentionEnabled": False,
    "retentionSeconds": 0,
    "completedRetentionSeconds": 0,
    "maxWaitTimeSeconds": 0,
    "encryptionEnabled": False,
    "dedupWindowSeconds": 3600,
    "retentionSinkHold": "",
    "retentionSinkHoldMaxSeconds": 604800,
}


@dataclass(slots=True)
class QueueState:
    """A queue; `options` holds what was set."""

    id: int
    name: str
    namespace: str
    task: str
    options: dict[str, object] = field(default_factory=dict)

    def __deepcopy__(self, memo: dict[int, object]) -> QueueState:
        """A copy of partitions, kept for a roll-back, belongs to the same queue."""
        return self

    @property
    def effective(self) -> dict[str, object]:
        """All options."""
        return {**DEFAULTS, **self.options}

    @property
    def guarding(self) -> dict[str, object] | None:
        """All options if a push needs to know one of them."""
        found = self.effective
        return found if found["encryptionEnabled"] or found["maxSize"] else None

    @property
    def deduplicates(self) -> bool:
        """Is a repeated transaction id a duplicate?"""
        return int(str(self.effective["dedupWindowSeconds"])) > 0


@dataclass(slots=True)
class MessageState:
    """A stored message."""

    offset: int
    transaction_id: bytes
    payload: bytes
    created_us: int
    once: bool
    trace_id: bytes | None = None
    producer_sub: bytes | None = None
    due_us: int | None = None
    announced: int | None = None


@dataclass(slots=True)
class PartitionState:
    """A partition with its messages in order; offsets may have gaps. `scheduled` ones stand outside the order."""

    id: int
    queue: QueueState
    name: str
    next_offset: int = 0
    first_offset: int = 0
    last_us: int = 0
    epoch: int = 1
    next_place: int = -1
    messages: list[MessageState] = field(default_factory=list)
    scheduled: list[MessageState] = field(default_factory=list)
    by_transaction: dict[bytes, list[MessageState]] = field(default_factory=dict)

    def append(self, message: MessageState) -> None:
        """Store a message at the next offset."""
        self.messages.append(message)
        self.by_transaction.setdefault(message.transaction_id, []).append(message)
        self.next_offset = message.offset + 1
        self.last_us = message.created_us

    def schedule(self, message: MessageState) -> None:
        """Store a message outside the order."""
        message.offset = self.next_place
        self.next_place -= 1
        self.scheduled.append(message)
        self.by_transaction.setdefault(message.transaction_id, []).append(message)

    def place(self, message: MessageState, now: int) -> None:
        """Give a scheduled message its place at the end of the order."""
        self.scheduled.remove(message)
        self.by_transaction[message.transaction_id].remove(message)
        message.announced, message.offset, message.due_us = message.offset, self.next_offset, None
        message.created_us = max(now, self.last_us)
        self.append(message)

    def once(self, transaction_id: bytes) -> int | None:
        """The offset of the first message that claims this transaction id, the one it was announced at."""
        found = self.by_transaction.get(transaction_id, ())
        places = (m.announced if m.announced is not None else m.offset for m in found if m.once)
        return min(places, default=None)

    def after(self, offset: int, limit: int) -> list[MessageState]:
        """Up to `limit` messages behind an offset."""
        start = bisect.bisect_right(self.messages, offset, key=lambda message: message.offset)
        return self.messages[start : start + limit]

    def at(self, offset: int) -> MessageState | None:
        """The message at an offset, if it is kept."""
        return next((message for message in self.after(offset - 1, 1) if message.offset == offset), None)

    def offset_at(self, at_us: int) -> int:
        """The first offset stored at or after a time."""
        kept = [message for message in self.messages if message.offset >= self.first_offset]
        return next((message.offset for message in kept if message.created_us >= at_us), self.next_offset)


@dataclass(slots=True)
class CursorState:
    """Progress and lease of one group in one partition."""

    acked: int
    lease_end: int
    lease_until: int | None = None
    lease_id: bytes | None = None
    deliveries: int = 0
    retries: int = 0
    epoch: int = 1

    def held(self, now: int) -> bool:
        """Is there a live lease, or a retry delay?"""
        return self.lease_until is not None and self.lease_until > now

    def fenced(self, lease_id: bytes | None, now: int) -> bool:
        """May an ack under this lease id (None: no check) change the cursor?"""
        return lease_id is None or (self.lease_id == lease_id and self.held(now))


@dataclass(slots=True)
class DeadLetter:
    """A message set aside."""

    id: int
    partition_id: int
    offset: int
    group: bytes
    transaction_id: bytes
    payload: bytes
    error: bytes
    retries: int


def start_us(mode: str, start_at: str | None, now: int) -> int | None:
    """Where a subscription starts; None: at the oldest message."""
    if mode == "all":
        return None
    if mode == "new":
        return now
    assert start_at is not None, "a subscription by time has a time"
    return int((datetime.fromisoformat(start_at) - EPOCH_2000).total_seconds() * 1_000_000)
