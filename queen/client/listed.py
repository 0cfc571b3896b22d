"""What the lists of the administration hold, as value types with their JSON spelling. Fields that a newer server adds
are passed over; what a server leaves out has its default."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Raw, Struct, field

_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class Page(Generic[_Item]):
    """One page of a list. `more`: the list goes on; ask again with `offset` moved by the length of `items`."""

    items: list[_Item]
    more: bool
    total: int | None = None
    """Entries of the whole list, where the server counts them."""


class Counts(Struct, rename="camel"):
    """How many messages: kept, not yet settled by the slowest group, leased, settled by all, dead letters."""

    total: int = 0
    pending: int = 0
    processing: int = 0
    completed: int | None = None
    dead_letter: int | None = None


class QueueSummary(Struct, rename="camel"):
    """One queue of the list."""

    name: str
    namespace: str = ""
    task: str = ""
    partitions: int = 0
    messages: Counts = field(default_factory=Counts)
    retained_bytes: int = 0
    created_at: str = ""


class PartitionDetail(Struct, rename="camel"):
    """One partition of a queue; times are those of its oldest and newest message, None without any."""

    id: str
    name: str
    stats: Counts = field(default_factory=Counts)
    created_at: str = ""
    oldest_message: str | None = None
    newest_message: str | None = None


class QueueDetail(Struct, rename="camel"):
    """One queue with its options (names and units as in docs/http.md), partitions and counts."""

    name: str
    options: dict[str, Any] = {}
    partitions: list[PartitionDetail] = []
    totals: Counts = field(default_factory=Counts)
    namespace: str = ""
    task: str = ""
    retained_bytes: int = 0
    created_at: str = ""


class GroupSummary(Struct, rename="camel"):
    """One consumer group on one queue. `members` counts partitions that it has touched, `total_lag` the messages that
    it has not settled, `max_time_lag` the age of the oldest of them in seconds."""

    name: str
    queue_name: str = ""
    members: int = 0
    partitions_with_lag: int = 0
    total_lag: int | None = None
    max_time_lag: float | None = None
    state: str = ""
    subscription_mode: str | None = None
    subscription_timestamp: str | None = None


class DeadLetter(Struct, rename="camel"):
    """A message that was set aside. `id` is that of the record, which `replay` takes; `data` the payload's bytes."""

    id: str
    data: Raw
    message_id: str = ""
    transaction_id: str = ""
    partition_id: str = ""
    queue: str = ""
    partition: str = ""
    consumer_group: str = ""
    error_message: str | None = None
    retry_count: int = 0
    created_at: str = ""
    failed_at: str = ""

    def payload(self) -> Any:
        """The payload decoded."""
        return msgspec.json.decode(self.data)


class Replayed(Struct, rename="camel"):
    """What became of a dead letter. `moved`: it is the newest message of its partition again, and no dead letter any
    more. `duplicate`: it was replayed before; nothing was done."""

    result: str
    queue: str = ""
    partition: str = ""
    dlq_id: str = ""
    original_transaction_id: str = ""


class QueueList(Struct):
    """The answer that lists queues."""

    queues: list[QueueSummary]


class DeadLetterList(Struct):
    """The answer that lists dead letters."""

    messages: list[DeadLetter]
    total: int | None = None
