"""What the engine asks of a store: the data plane as a protocol, and the plain shapes that go through it.

A store carries one batch to the database in one round trip and brings the rows back. It decides nothing. Everything
here is bytes, integers and lists, so that nothing is converted twice between the wire and PostgreSQL.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from queen.measure.buckets import Buckets
from queen.model import Due
from queen.store.cluster import ClusterStore


@dataclass(slots=True)
class PushBatch:
    """Messages of several partitions; `queen/sql/functions/push.sql` states the order they stand in."""

    partition_ids: list[int]
    counts: list[int]
    places: list[int]
    transaction_ids: list[bytes]
    payloads: list[bytes]
    trace_ids: list[bytes | None] | None
    producer_subs: list[bytes | None] | None
    dues: list[Due | None] | None = None
    """When each message takes its place in the order; `push` takes none of these."""


class Stored(NamedTuple):
    """One message of a thorough push: where it stands (None: its partition is gone), whether it was there before.

    A negative offset is a place outside the order; `due_ms` is then how long the message just stored stays there.
    """

    offset: int | None
    duplicate: bool
    due_ms: int | None = None


class Placed(NamedTuple):
    """What `place_due` did; see `place_due.sql`. `heads` has the offset after the newest message of each partition."""

    partition_ids: tuple[int, ...]
    heads: tuple[int, ...]
    moved: int
    blocked: tuple[int, ...]
    due_ms: int | None


@dataclass(slots=True)
class PopBatch:
    """Candidates to lease, those of one request side by side; `create_pop.sql` says what each column means."""

    partition_ids: list[int]
    groups: list[bytes]
    requests: list[int]
    batches: list[int]
    lease_ids: list[bytes | None]
    lease_ms: list[int]
    several: bool
    bytes_max: int = 32 << 20
    delays_ms: list[int | None] | None = None
    windows_ms: list[int | None] | None = None


class Span(NamedTuple):
    """The messages one candidate got. Texts are UTF-8; created_ats are µs since 2000-01-01 UTC.

    With `held_ms` it got nothing yet: only `place` and `head` say something then.
    """

    place: int
    first_offset: int
    offsets: tuple[int, ...] | None
    attempt: int
    head: int
    transaction_ids: list[bytes]
    payloads: list[bytes]
    created_ats: tuple[int, ...]
    extras: str | None
    held_ms: int | None = None


@dataclass(slots=True)
class AckRow:
    """What one call says about one cursor, reduced to its extremes; see `ack.sql` and `ack_failed.sql`."""

    partition_id: int
    group: bytes
    lease_id: bytes | None
    completed: int | None = None
    retried: int | None = None
    failed: int | None = None
    dead: int | None = None
    error: bytes | None = None

    def lowest_signal(self) -> int | None:
        """The lowest offset that is not completed, if any."""
        return min((offset for offset in (self.retried, self.failed, self.dead) if offset is not None), default=None)


class Acked(NamedTuple):
    """What an ack did to its cursor. The last three are set by failures only."""

    place: int
    acked_was: int
    acked: int
    released: bool
    dead_letter_id: int | None = None
    dead_offset: int | None = None
    held_ms: int | None = None


class Transacted(NamedTuple):
    """What one transaction did: one entry per message, per ack without failure, per ack with one."""

    pushed: list[Stored]
    acked: list[Acked]
    failed: list[Acked]


class Standing(NamedTuple):
    """What stands at a cursor; see `examine.sql`."""

    found: bool
    acked: int | None
    head: int
    epoch: int | None
    lease_id: object
    lease_end: int | None
    held_ms: int | None
    newest: int | None = None


class ReadyRow(NamedTuple):
    """One partition of a sweep; see `ready_partitions.sql`. acked is None when the group has no cursor there."""

    partition_id: int
    name: str
    epoch: int
    head: int
    acked: int | None
    held_ms: int | None


class Resolved(NamedTuple):
    """Ids of a queue and a partition; the options of the queue only if a push needs to know one of them."""

    queue_id: int
    partition_id: int
    epoch: int
    options: dict[str, object] | None = None


class Fill(NamedTuple):
    """What a page of a queue holds (`group` None), or what of it a group does not wait for; see `undelivered.sql`."""

    queue_id: int
    group: str | None
    messages: int
    last: int | None


class QueueRow(NamedTuple):
    """A queue with its effective options."""

    queue_id: int
    name: str
    namespace: str
    task: str
    options: dict[str, object]
    created_at: datetime | None


class PartitionRow(NamedTuple):
    """A partition's place by its id; the options of the queue only if a push needs to know one of them."""

    partition_id: int
    queue_id: int
    queue: str
    partition: str
    epoch: int
    options: dict[str, object] | None = None


class EpochRow(NamedTuple):
    """One epoch, and what is known of all of them; see `look_at_epochs.sql`."""

    epoch: int
    age_ms: int
    closed_ms: int | None
    recorded: bool
    emptied: bool
    newest_bytes: int
    window_s: int
    expiring: bool


class Life(NamedTuple):
    """How many messages of an epoch there are, have to stay, have no place in the order; see `epoch_life.sql`."""

    stored: int
    needed: int
    scheduled: int


class Page(NamedTuple):
    """One page of the walk of `expire.sql`; a `queue_id` of None: the walk is through."""

    queue_id: int | None
    after: int | None
    looked: int
    hidden: int


class EpochUpkeep(Protocol):
    """What rotation and retention ask of the store. Each call is a short transaction of its own that may be cut off.

    Several instances may call at once: one does the work, the others are told that nothing was done. Raises Contention
    when a lock was not to be had at once or within the bound, and what `Store` raises.
    """

    async def look(self) -> list[EpochRow]:
        """All epochs, oldest first."""

    async def rotate(self, newest: int) -> int | None:
        """Open the next epoch; its number, or None when somebody else did."""

    async def record(self, epoch: int, after: int) -> int | None:
        """Write down what a closed epoch holds, a page at a time; the partition to go on after, or None."""

    async def expire(self, queue_id: int, after: int) -> Page:
        """Hide what retention options let go, a page at a time."""

    async def life(self, epoch: int) -> Life:
        """How much of a recorded epoch has to stay."""

    async def empty(self, epoch: int) -> bool:
        """Truncate an epoch in which nothing has to stay."""

    async def drop(self, epoch: int) -> bool:
        """Drop an emptied epoch."""

    async def copy(self, epoch: int) -> int | None:
        """Copy the next messages that have to stay; 0: all are, None: somebody else is at it."""

    async def swap(self, epoch: int) -> bool:
        """Put the copy in the place of the child."""

    async def drop_leftovers(self) -> int | None:
        """Drop the tables that were put aside; their number, or None when some are left."""


class Store(ClusterStore, Protocol):
    """The data plane. Every method is one round trip and, if it writes, one commit.

    Raises StoreUnavailable, PoolTimeout, Overloaded, Contention, InvalidRequest (`queen.errors`).
    """

    async def push(self, batch: PushBatch) -> tuple[int, ...]:
        """First offset per partition, or -1: locked elsewhere, or gone. Raises DuplicateTransaction: nothing kept."""

    async def push_deduplicating(self, batch: PushBatch, wait: bool = True) -> list[Stored]:
        """One result per message; waits for locks, or leaves locked partitions out as if they were gone."""

    async def push_together(self, batches: list[PushBatch]) -> list[list[Stored]]:
        """Several batches in one transaction, stored together or not at all."""

    async def pop(self, epoch: int, batch: PopBatch) -> list[Span]:
        """Lease what can be leased of the candidates whose next message lies in this epoch; it may be gone."""

    async def ack(self, rows: list[AckRow]) -> list[Acked]:
        """Acks without failures; rows ascend by (partition, group)."""

    async def ack_failed(self, rows: list[AckRow]) -> list[Acked]:
        """Acks with failures; rows ascend by (partition, group)."""

    async def transact(self, batch: PushBatch | None, plain: list[AckRow], failures: list[AckRow]) -> Transacted:
        """Messages and acks together or not at all; rows as for `ack` and `ack_failed`. Raises TransactionRefused."""

    async def extend(
        self, lease_ids: list[bytes], partition_ids: list[int], lease_ms: list[int]
    ) -> list[tuple[int, int]]:
        """(entry, new end in µs since 2000) of each live lease."""

    async def examine(self, partition_ids: list[int], groups: list[bytes]) -> list[Standing]:
        """What stands at these cursors, in input order."""

    async def open_cursors(self, partition_ids: list[int], groups: list[bytes]) -> None:
        """Create missing cursors."""

    async def next_epoch(self, partition_ids: list[int], groups: list[bytes]) -> None:
        """Move cursors on that found nothing where they looked."""

    async def locate(
        self, partition_ids: list[int], transaction_ids: list[bytes], low: list[int], high: list[int]
    ) -> list[int | None]:
        """Offsets of transaction ids, in input order."""

    async def resolve(self, queues: list[bytes], partitions: list[bytes]) -> list[Resolved]:
        """Ids of (queue, partition) pairs, created where missing, in input order."""

    async def ready_partitions(self, queue_id: int, group: str, after: int, limit: int) -> list[ReadyRow]:
        """One page of a sweep."""

    async def partition_names(self, partition_ids: list[int]) -> list[PartitionRow]:
        """Places of partitions by id; unknown ones are left out."""

    async def subscribe(self, queue_id: int, group: str, mode: str, start_at: str | None) -> None:
        """Register a group on a queue, unless it is registered."""

    async def ensure_queue(self, name: str) -> QueueRow:
        """The queue, created with defaults when missing."""

    async def find_queues(
        self,
        *,
        name: str | None = None,
        namespace: str | None = None,
        task: str | None = None,
        search: str | None = None,
        limit: int = 1000,
        offset: int = 0,
    ) -> list[QueueRow]:
        """Queues by name, or namespace and task."""

    async def queues_by_id(self, queue_ids: list[int]) -> list[QueueRow]:
        """Those of these queues that exist, in no order."""

    async def undelivered(self, queue_ids: list[int], afters: list[int], limit: int) -> list[Fill]:
        """How full these queues are, a page of partitions each."""

    async def place_due(self, limit: int, bytes_max: int, skip: list[int]) -> Placed:
        """Move messages that are due to the end of the order; at most `limit`, none of the partitions in `skip`."""

    async def skip_gaps(self, partition_ids: list[int], groups: list[bytes]) -> int:
        """Move cursors past places where no message is stored any more; how many moved."""

    async def forget_leases(self, older_than_s: int) -> int:
        """Remove what is left of dead leases over several partitions."""

    async def forget_traces(self, older_than_ms: int, limit: int) -> int:
        """Remove the oldest traces, those that are older than this; how many went."""

    @property
    def durability(self) -> str:
        """What a commit means just now: committed (on disk), replicated (on a standby too), async (on disk later)."""

    async def renew(self) -> None:
        """Replace idle connections by fresh ones: the buffers of a connection grow with what it carries, for good."""

    @property
    def waits(self) -> Buckets:
        """Times that calls waited for a connection, in µs."""

    @property
    def holds(self) -> Buckets:
        """Times that calls held a connection, in µs."""

    def stats(self) -> dict[str, int]:
        """Numbers of the pool: size, idle, waiting, …"""
