"""Ack: bring a call's items to positions, reduce them to one row per cursor, gather, store, and answer each item.

    items → groups of one (partition, lease) (AckGroup) → positions, from the lease this server remembers or by look-up
          → `reduce`: the extremes that decide → batcher, keyed by cursor → one store call → one result per item

The rules are those of http-api.md §4.4; SQL applies them to the cursor, `reduce` and `AckGroup.results` only translate
between items and the extremes. There is no row per message in flight.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Collection, Hashable
from typing import NamedTuple

from queen import errors
from queen.engine.batcher import Batcher
from queen.engine.catalog import Catalog, Partition
from queen.engine.leases import Lease, Leases
from queen.engine.mode import operation_messages_max
from queen.engine.outbox import Outbox
from queen.engine.pop import PopRequest
from queen.engine.ready import ReadySet
from queen.engine.stats import Stats
from queen.model import COMPLETED, DEAD, FAILED, RETRY, AckItem
from queen.settings import EngineSettings
from queen.store.base import Acked, AckRow, Standing, Store

STALE_LEASE = "invalid or expired lease"
NO_CONSUMER = "consumer not found: this group never popped that partition"
UNRESOLVABLE = "unresolvable: transaction not found in the ack window"
ALREADY = "already committed: the cursor passed this message"
INVALID_PARTITION = "invalid partitionId"
_TRIES_MAX = 4


class AckResult(NamedTuple):
    """What became of one item. `error` is None on success."""

    error: str | None
    released: bool = False
    dead: bool = False
    noop: bool = False
    partition: Partition | None = None


class AckGroup:
    """The items of one call for one partition under one lease (or none), as one entry of the batcher."""

    __slots__ = ("done", "items", "key", "lease", "lease_id", "offsets", "outcome", "partition_id", "positions", "row",
                 "size", "weight")  # fmt: skip

    def __init__(self, partition_id: int, group: str, lease_id: str | None) -> None:
        self.partition_id = partition_id
        self.lease_id = lease_id
        self.key: Hashable = (partition_id, group)
        self.weight = 1
        self.size = 0
        self.items: list[AckItem] = []
        self.positions: list[int] = []
        self.offsets: list[int | None] = []
        self.lease: Lease | None = None
        self.row: AckRow | None = None
        self.outcome: Acked | None = None
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def fail(self, error: errors.QueenError) -> None:
        """The flush did not happen."""
        if not self.done.done():
            self.done.set_exception(error)

    def settle(self, outcome: Acked | None) -> None:
        """The flush happened; None: it changed nothing."""
        self.outcome = outcome
        if not self.done.done():
            self.done.set_result(None)

    def reduced(self) -> AckRow:
        """The row that the database gets."""
        assert self.row is not None, "a group is reduced before it is sent"
        return self.row

    def has_failures(self) -> bool:
        """Does it go to `ack_failed`?"""
        row = self.reduced()
        return row.failed is not None or row.dead is not None

    def results(self, outcome: Acked, partition: Partition | None) -> list[AckResult]:
        """One result per item, in the order of `items`."""
        buried = outcome.dead_offset if outcome.dead_letter_id is not None else None
        plain = AckResult(None, outcome.released, partition=partition)
        if buried is None and all(offset is not None and offset > outcome.acked_was for offset in self.offsets):
            return [plain] * len(self.items)
        return [
            _result(item, offset, outcome, buried, plain) for item, offset in zip(self.items, self.offsets, strict=True)
        ]


def _result(item: AckItem, offset: int | None, outcome: Acked, buried: int | None, plain: AckResult) -> AckResult:
    if offset is None:
        return AckResult(UNRESOLVABLE, partition=plain.partition)
    if offset > outcome.acked_was:
        return plain._replace(dead=True) if offset == buried and item.kind in (FAILED, DEAD) else plain
    if item.kind == COMPLETED:
        return plain._replace(noop=True)
    return AckResult(ALREADY, partition=plain.partition)


def reduce(row: AckRow, items: list[AckItem], offsets: list[int | None], behind: int) -> bool:
    """Fill a row with the extremes of its items; what lies at or below `behind` is over and only completed counts.

    False when nothing is left to tell the database.
    """
    row.completed = row.retried = row.failed = row.dead = None
    own_error = other_error = None
    for item, offset in zip(items, offsets, strict=True):
        if offset is None:
            continue
        kind = item.kind
        if kind == COMPLETED:
            if row.completed is None or offset > row.completed:
                row.completed = offset
            continue
        if offset <= behind:
            continue
        signal = row.lowest_signal()
        if signal is None or offset <= signal:
            own_error = item.error or (own_error if offset == signal else None)
        other_error = other_error or item.error
        if kind == RETRY:
            row.retried = offset if row.retried is None else min(row.retried, offset)
        elif kind == DEAD:
            row.dead = offset if row.dead is None else min(row.dead, offset)
        else:
            row.failed = offset if row.failed is None else min(row.failed, offset)
    error = own_error or other_error
    row.error = error.encode() if error else None
    return not (row.completed is None and row.retried is None and row.failed is None and row.dead is None)


class Ack:
    """The ack verb of the engine."""

    def __init__(
        self,
        store: Store,
        catalog: Catalog,
        leases: Leases,
        stats: Stats,
        settings: EngineSettings,
        outbox: Outbox | None = None,
    ) -> None:
        self._store = store
        self._outbox = outbox
        self._catalog = catalog
        self._leases = leases
        self._counters = stats.counters
        self.batcher: Batcher[AckGroup] = Batcher(
            "ack",
            self._flush,
            flushes_max=settings.ack_flushes_max,
            weight_max=operation_messages_max(settings),
            bytes_max=1 << 30,
            merge=False,
        )

    async def ack(self, group: str, items: list[AckItem]) -> list[AckResult]:
        """Settle items; one result each, in order. Raises what the store raises; then nothing is known of them."""
        self._counters.ack_requests += 1
        results: list[AckResult] = [AckResult(INVALID_PARTITION)] * len(items)
        groups = self._split(group, items)
        if len(groups) == 1 and len(groups[0].items) == len(items):
            results = await self._settle(group, groups[0])  # The common call: one lease on one partition.
        else:
            settled = await asyncio.gather(*[self._settle(group, one) for one in groups])
            for acked, found in zip(groups, settled, strict=True):
                for position, result in zip(acked.positions, found, strict=True):
                    results[position] = result
        self._count(results)
        return results

    async def give_back(self, request: PopRequest) -> None:
        """Return a lease that nobody will use, without a charge, so that the messages are delivered at once."""
        for partition, span in request.spans:
            entry = AckGroup(partition.id, request.group, request.lease_id)
            entry.lease = self._leases.get(request.lease_id)
            entry.row = AckRow(
                partition.id, request.group.encode(), uuid.UUID(request.lease_id).bytes, retried=span.first_offset
            )
            self.batcher.submit(entry)
            try:
                await entry.done
            except errors.QueenError:
                return  # The lease runs out by itself.

    def _split(self, group: str, items: list[AckItem]) -> list[AckGroup]:
        groups: dict[tuple[int, str | None], AckGroup] = {}
        for position, item in enumerate(items):
            if item.partition_id is None:
                continue
            key = (item.partition_id, item.lease_id)
            entry = groups.get(key)
            if entry is None:
                entry = groups[key] = AckGroup(item.partition_id, group, item.lease_id)
            entry.items.append(item)
            entry.positions.append(position)
        return list(groups.values())

    async def prepare(self, group: str, entry: AckGroup) -> str | None:
        """Fill in the offsets of a group and begin its row; the text of a refusal when it fails as a whole."""
        lease_bytes = _lease_bytes(entry.lease_id)
        if entry.lease_id and lease_bytes is None:
            return STALE_LEASE
        entry.offsets = []
        refusal = await self._position(group, entry)
        entry.row = AckRow(entry.partition_id, group.encode(), lease_bytes)
        return refusal

    async def live_lease(self, group: str, partition_id: int, allowed: list[str]) -> str:
        """The live lease of a cursor if it is one of these, else a text that is no lease and will be refused."""
        standing = (await self._store.examine([partition_id], [group.encode()]))[0]
        own = str(standing.lease_id).lower()
        return own if own in {lease_id.lower() for lease_id in allowed} else "none of the required leases"

    async def _settle(self, group: str, entry: AckGroup) -> list[AckResult]:
        refusal = await self.prepare(group, entry)
        if refusal is not None:
            return self._refuse(entry, refusal)
        behind = -1
        for _ in range(_TRIES_MAX):
            if not reduce(entry.reduced(), entry.items, entry.offsets, behind):
                outcome = Acked(0, behind, behind, False)
                return entry.results(outcome, self._catalog.by_id(entry.partition_id))
            self.batcher.submit(entry)
            await entry.done
            if entry.outcome is not None:
                return entry.results(entry.outcome, self._catalog.by_id(entry.partition_id))
            # Nothing changed: find out why. Only a signal behind the cursor is worth another try, without it.
            standing = (await self._store.examine([entry.partition_id], [group.encode()]))[0]
            refusal = _refusal(entry, standing)
            if refusal is not None:
                return self._refuse(entry, refusal)
            behind = standing.acked if standing.acked is not None else -1
            entry.done = asyncio.get_running_loop().create_future()
        raise errors.Contention("the cursor moves faster than this ack can follow")

    async def _position(self, group: str, entry: AckGroup) -> str | None:
        """Fill in the offset of each item; the text of a refusal when the whole group fails."""
        lease = self._leases.get(entry.lease_id) if entry.lease_id else None
        if lease is not None and lease.group == group and entry.partition_id in lease.spans:
            entry.lease = lease
            span = lease.spans[entry.partition_id]
            entry.offsets = span.offsets_of([item.transaction_id for item in entry.items])
            return None
        return await self._look_up(group, entry)

    async def _look_up(self, group: str, entry: AckGroup) -> str | None:
        await self._catalog.find_partitions([entry.partition_id])
        standing = (await self._store.examine([entry.partition_id], [group.encode()]))[0]
        refusal = _refusal(entry, standing)
        if refusal is not None:
            return refusal
        assert standing.acked is not None, "a cursor was found"
        end = standing.lease_end if entry.lease_id and standing.lease_end is not None else standing.head - 1
        count = len(entry.items)
        entry.offsets = await self._store.locate(
            [entry.partition_id] * count,
            [item.transaction_id for item in entry.items],
            [standing.acked] * count,
            [end] * count,
        )
        return None

    def _refuse(self, entry: AckGroup, reason: str) -> list[AckResult]:
        return [AckResult(reason, partition=self._catalog.by_id(entry.partition_id))] * len(entry.items)

    def _count(self, results: list[AckResult]) -> None:
        rejected = sum(result.error is not None for result in results)
        self._counters.ack_rejected += rejected
        self._counters.ack_messages += len(results) - rejected

    async def _flush(self, entries: list[AckGroup]) -> Collection[Hashable]:
        entries.sort(key=_by_cursor)
        plain = [entry for entry in entries if not entry.has_failures()]
        failures = [entry for entry in entries if entry.has_failures()]
        if plain:
            self._take(plain, await self._store.ack([entry.reduced() for entry in plain]))
        if failures:
            self._take(failures, await self._store.ack_failed([entry.reduced() for entry in failures]))
        return ()

    def _take(self, entries: list[AckGroup], outcomes: list[Acked]) -> None:
        by_place = {outcome.place: outcome for outcome in outcomes}
        for place, entry in enumerate(entries, 1):
            outcome = by_place.get(place)
            if outcome is not None:
                self.learn(entry, outcome)
            entry.settle(outcome)

    def learn(self, entry: AckGroup, outcome: Acked) -> None:
        """Move the hints along with the cursor."""
        if outcome.dead_letter_id is not None:
            self._counters.dead_letters += 1
        if not outcome.released:
            return
        partition, ready = self._place(entry)
        if self._outbox is not None and self._outbox.open:
            self._announce(self._outbox, entry, outcome, partition, ready)
        if entry.lease is not None:
            self._leases.settle(entry.lease, entry.partition_id)
        if partition is None or ready is None:
            return
        if outcome.held_ms:
            self._leases.hold(ready, partition, outcome.held_ms / 1000)
        else:
            ready.free(partition, more=outcome.acked + 1 < partition.head)

    def _announce(
        self, outbox: Outbox, entry: AckGroup, outcome: Acked, partition: Partition | None, ready: ReadySet | None
    ) -> None:
        """Tell other servers that a lease is over: one of them may remember it, or hold the partition back for it.

        Unless a poll that waits here takes the next one at once; then they hear of that one's end.
        """
        foreign = entry.lease_id if entry.lease is None else None
        if foreign is None and partition is not None and ready is not None and not outcome.held_ms:
            more = outcome.acked + 1 < partition.head
            if more and ready.wants(partition.id):
                return
        group = entry.reduced().group.decode()
        outbox.freed(group, entry.partition_id, outcome.acked, foreign.lower() if foreign else "")

    def _place(self, entry: AckGroup) -> tuple[Partition | None, ReadySet | None]:
        if entry.lease is not None:
            span = entry.lease.spans.get(entry.partition_id)
            if span is not None:
                return span.partition, span.ready
        partition = self._catalog.by_id(entry.partition_id)
        group = entry.reduced().group.decode()
        return partition, partition.queue.groups.get(group) if partition is not None else None


def _refusal(entry: AckGroup, standing: Standing) -> str | None:
    """Why the database left a group of acks alone; None when its lease, if any, is live."""
    if not standing.found:
        return UNRESOLVABLE
    if standing.acked is None:
        return STALE_LEASE if entry.lease_id else NO_CONSUMER
    if entry.lease_id and str(standing.lease_id) != entry.lease_id.lower():
        return STALE_LEASE
    return None


def _by_cursor(entry: AckGroup) -> tuple[int, bytes]:
    return entry.partition_id, entry.reduced().group


def _lease_bytes(lease_id: str | None) -> bytes | None:
    if not lease_id:
        return None
    try:
        return uuid.UUID(lease_id).bytes
    except ValueError:
        return None
