"""Ack: bring a call's items to positions, reduce them to one row per cursor, gather, store, and answer each item.

    items → groups of one (partition, lease) (AckGroup) → positions, from the lease this server remembers or by look-up
          → `reduce`: the extremes that decide → batcher, keyed by cursor → one store call → one result per item

Groups of a remembered lease, which are nearly all, are sent in one loop and wait together in one `AckCall`. A call may
have a hundred of them, so there is no task and no future for each. What needs a look-up goes its own way (`_settle`).

The rules are those of http-api.md §4.4; SQL applies them to the cursor, `reduce` and `AckGroup.results` only translate
between items and the extremes. There is no row per message in flight.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Awaitable, Collection, Hashable
from typing import NamedTuple, cast

from queen import errors
from queen.engine.batcher import Batcher
from queen.engine.catalog import Catalog, Partition
from queen.engine.leases import Lease, Leases
from queen.engine.mode import operation_messages_max
from queen.engine.opening import Spans
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


class AckCall:
    """Waits until a number of groups is settled, or until the first of them fails."""

    __slots__ = ("done", "left")

    def __init__(self) -> None:
        self.left = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def add(self, entry: AckGroup) -> None:
        """Wait for this one too."""
        self.left += 1
        entry.call = self

    def count(self, error: errors.QueenError | None) -> None:
        """One more is settled. Whoever waited may have left meanwhile."""
        self.left -= 1
        if self.done.done():
            return
        if error is not None:
            self.done.set_exception(error)
        elif not self.left:
            self.done.set_result(None)


class AckGroup:
    """The items of one call for one partition under one lease (or none), as one entry of the batcher."""

    __slots__ = ("call", "items", "key", "lease", "lease_id", "offsets", "outcome", "partition_id", "plain",
                 "positions", "row", "size", "told", "weight")  # fmt: skip

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
        self.told: list[AckResult] | None = None
        """What to answer, where it is more than the outcome says."""
        self.plain = True
        """Do all items say completed?"""
        self.call: AckCall | None = None
        """Who waits for the flush; None as soon as it is over, since a flush that breaks off may fail it once more."""

    def add(self, position: int, item: AckItem) -> None:
        """Append an item; `position` is its place in the call."""
        self.items.append(item)
        self.positions.append(position)
        if item.kind != COMPLETED:
            self.plain = False

    def fail(self, error: errors.QueenError) -> None:
        """The flush did not happen."""
        self._count(error)

    def settle(self, outcome: Acked | None) -> None:
        """The flush happened; None: it changed nothing."""
        self.outcome = outcome
        self._count(None)

    def _count(self, error: errors.QueenError | None) -> None:
        call, self.call = self.call, None
        if call is not None:
            call.count(error)

    def place(self, lease: Lease, group: bytes, lease_id: bytes) -> bool:
        """Fill in offsets and row from a remembered lease over this partition. False: nothing to tell the database."""
        self.lease = lease
        span = lease.spans[self.partition_id]
        transaction_ids = [item.transaction_id for item in self.items]
        if transaction_ids == span.transaction_ids:
            # The whole span in order, as most acks are.
            first = span.first_offset
            self.offsets = list(span.offsets or range(first, first + len(transaction_ids)))
        else:
            self.offsets = span.offsets_of(transaction_ids)
        self.row = AckRow(self.partition_id, group, lease_id)
        return self.reduce(-1)

    def reduce(self, behind: int) -> bool:
        """`reduce` of its items into its row."""
        if self.plain and None not in self.offsets:
            self.reduced().completed = max(cast("list[int]", self.offsets))
            return True
        return reduce(self.reduced(), self.items, self.offsets, behind)

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
        if buried is None and None not in self.offsets and min(cast("list[int]", self.offsets)) > outcome.acked_was:
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
        self._tallies = stats.tallies
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
        groups = _split(group, items)
        call = AckCall()
        others = self._send_remembered(group, groups, call)
        if others:
            waits: list[Awaitable[None]] = [self._settle(group, entry) for entry in others]
            await asyncio.gather(*waits, *([call.done] if call.left else []))
        elif call.left:
            await call.done
        unchanged = [entry for entry in groups if entry.told is None and entry.outcome is None]
        if unchanged:
            await asyncio.gather(*[self._insist(group, entry, sent=True) for entry in unchanged])
        results = self._results(groups, len(items))
        self._count(results)
        return results

    async def give_back(self, request: PopRequest) -> None:
        """Return a lease that nobody will use, without a charge, so that the messages are delivered at once."""
        await self.give_back_spans(request.group, request.lease_id, request.spans)

    async def give_back_spans(self, group: str, lease_id: str, spans: Spans) -> None:
        """The same of some of its partitions."""
        call, _ = self._send_spans(group, lease_id, spans, completed=False)
        if call.left:
            # One that fails runs out by itself.
            with contextlib.suppress(errors.QueenError):
                await call.done

    async def complete(self, group: str, lease_id: str, spans: Spans) -> Spans:
        """Acknowledge all of a lease; returns the spans for which it was still alive. Raises what the store raises."""
        call, entries = self._send_spans(group, lease_id, spans, completed=True)
        if call.left:
            await call.done
        return [pair for pair, entry in zip(spans, entries, strict=True) if entry.outcome is not None]

    def _send_spans(
        self, group: str, lease_id: str, spans: Spans, *, completed: bool
    ) -> tuple[AckCall, list[AckGroup]]:
        call, entries = AckCall(), []
        lease_bytes = uuid.UUID(lease_id).bytes
        for partition, span in spans:
            entry = AckGroup(partition.id, group, lease_id)
            entry.lease = self._leases.get(lease_id)
            entry.row = AckRow(partition.id, group.encode(), lease_bytes)
            if completed:
                entry.row.completed = span.offsets[-1] if span.offsets else span.first_offset + len(span.payloads) - 1
            else:
                entry.row.retried = span.first_offset
            call.add(entry)
            entries.append(entry)
            self.batcher.submit(entry)
        return call, entries

    def _send_remembered(self, group: str, groups: list[AckGroup], call: AckCall) -> list[AckGroup]:
        """Send what a lease of this server says everything of; `call` waits for it. Returns the others."""
        others: list[AckGroup] = []
        group_bytes = group.encode()
        lease_id: str | None = None
        for entry in groups:
            lease = self._leases.get(entry.lease_id) if entry.lease_id else None
            if lease is None or lease.group != group or entry.partition_id not in lease.spans:
                others.append(entry)
                continue
            if lease.id != lease_id:
                lease_id, lease_bytes = lease.id, uuid.UUID(lease.id).bytes
            if entry.place(lease, group_bytes, lease_bytes):
                call.add(entry)
                self.batcher.submit(entry)
            else:
                others.append(entry)
        return others

    def _results(self, groups: list[AckGroup], count: int) -> list[AckResult]:
        """What was found for each group, in the order of the call's items."""
        results = [AckResult(INVALID_PARTITION)] * count
        mark, unplaced = self._tallies.next_mark(), count
        for entry in groups:
            unplaced -= len(entry.items)
            partition = self._catalog.by_id(entry.partition_id)
            told = entry.told
            if told is None:
                assert entry.outcome is not None, "a group without an outcome was asked about"
                told = entry.results(entry.outcome, partition)
            self._tallies.count_acks(partition.queue if partition is not None else None, entry, told, mark)
            positions = entry.positions
            if positions[-1] - positions[0] == len(positions) - 1:
                results[positions[0] : positions[-1] + 1] = told
                continue
            for position, result in zip(positions, told, strict=True):
                results[position] = result
        self._tallies.total.ack_rejected += unplaced
        return results

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

    async def _settle(self, group: str, entry: AckGroup) -> None:
        """All of one group, when more than a remembered lease is needed."""
        refusal = await self.prepare(group, entry)
        if refusal is None:
            await self._insist(group, entry, sent=False)
        else:
            entry.told = self._refuse(entry, refusal)

    async def _insist(self, group: str, entry: AckGroup, *, sent: bool) -> None:
        """Send a group until the database says something of it. `sent` means that it was, and nothing changed."""
        behind = -1
        for _ in range(_TRIES_MAX):
            if not sent:
                if not entry.reduce(behind):
                    outcome = Acked(0, behind, behind, False)
                    entry.told = entry.results(outcome, self._catalog.by_id(entry.partition_id))
                    return
                call = AckCall()
                call.add(entry)
                self.batcher.submit(entry)
                await call.done
                if entry.outcome is not None:
                    return
            # Nothing changed: find out why. Only a signal behind the cursor is worth another try, without it.
            standing = (await self._store.examine([entry.partition_id], [group.encode()]))[0]
            refusal = _refusal(entry, standing)
            if refusal is not None:
                entry.told = self._refuse(entry, refusal)
                return
            behind = standing.acked if standing.acked is not None else -1
            sent = False
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
            buried_in = self._catalog.by_id(entry.partition_id)
            if buried_in is not None:
                (buried_in.queue.tally or self._tallies.of(buried_in.queue)).dead_letters += 1
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
            ready.free(partition, more=outcome.acked + 1 < partition.head, acked=outcome.acked)

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


def _split(group: str, items: list[AckItem]) -> list[AckGroup]:
    groups: dict[tuple[int, str | None], AckGroup] = {}
    entry: AckGroup | None = None
    for position, item in enumerate(items):
        partition_id = item.partition_id
        if partition_id is None:
            continue
        # Neighbours mostly share a lease and a partition: look it up again only when it changes.
        if entry is None or partition_id != entry.partition_id or item.lease_id != entry.lease_id:
            key = (partition_id, item.lease_id)
            entry = groups.get(key)
            if entry is None:
                entry = groups[key] = AckGroup(partition_id, group, item.lease_id)
        entry.add(position, item)
    return list(groups.values())


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
