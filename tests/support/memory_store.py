"""The store in memory, faithful to the functions in queen/sql, for tests of the engine.

The contract suite (tests/store/contract.py) runs against it and against PostgreSQL, so that a test of the engine may
trust it. It also checks its callers: batches must stand in the order that the SQL functions ask for. `trouble` makes
calls wait, fail or take time; `locked` holds partitions that another session has locked.

The database clock is the event loop's, shifted by `advance`, and moves by 1 µs with every look at it.
"""

from __future__ import annotations

import asyncio
import copy
import functools
import itertools
from collections import Counter
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, Concatenate, ParamSpec, TypeVar

from queen import errors
from queen.store.base import (
    Acked,
    AckRow,
    Fill,
    PartitionRow,
    Placed,
    PopBatch,
    PushBatch,
    QueueRow,
    ReadyRow,
    Resolved,
    Span,
    Standing,
    Stored,
    Transacted,
)
from tests.support.memory_cluster import MemoryCluster
from tests.support.memory_pool import NoPool
from tests.support.memory_rows import (
    EPOCH_2000,
    START_US,
    CursorState,
    DeadLetter,
    MessageState,
    PartitionState,
    QueueState,
    start_us,
)
from tests.support.memory_rules import (
    aged,
    base,
    check_order,
    due_us,
    extras,
    fills,
    foreign_duplicate,
    forget_leases,
    held_span,
    move,
    ms_left,
    parts,
    place_due,
    queues_like,
    skip_gap,
    standing,
    within,
    write_leases,
)

P = ParamSpec("P")
R = TypeVar("R")
Place = tuple[int, bytes]


def _call(
    method: Callable[Concatenate[MemoryStore, P], Coroutine[Any, Any, R]],
) -> Callable[Concatenate[MemoryStore, P], Coroutine[Any, Any, R]]:
    """A store method: trouble first, then its work in one step, as a transaction would do it."""
    name = method.__name__

    @functools.wraps(method)
    async def call(self: MemoryStore, /, *args: P.args, **kwargs: P.kwargs) -> R:
        await self.trouble.before(name)
        answer = await method(self, *args, **kwargs)
        await self.trouble.after(name)
        return answer

    return call


class MemoryStore(NoPool, MemoryCluster):
    """Implements `queen.store.base.Store`."""

    def __init__(self) -> None:
        super().__init__()
        self.locked: set[int] = set()
        self.locked_cursors: set[Place] = set()
        self.queues: dict[str, QueueState] = {}
        self.partitions: dict[int, PartitionState] = {}
        self.cursors: dict[Place, CursorState] = {}
        self.subscriptions: dict[tuple[int, str], int | None] = {}
        self.leases: dict[bytes, tuple[list[int], int]] = {}
        self.dead_letters: list[DeadLetter] = []
        self._ids: dict[str, itertools.count[int]] = {}
        self._unlocked = asyncio.Condition()

    # What only tests and administrators do.

    async def unlock(self, partition_id: int) -> None:
        """The other session gives a partition's row back."""
        async with self._unlocked:
            self.locked.discard(partition_id)
            self._unlocked.notify_all()

    def configure(self, queue: str, **options: object) -> None:
        """Set options of a queue that exists or not."""
        self._ensure(queue).options.update(options)

    def delete_queue(self, queue: str) -> bool:
        """Remove a queue with all that belongs to it."""
        state = self.queues.pop(queue, None)
        if state is None:
            return False
        gone = {number for number, partition in self.partitions.items() if partition.queue is state}
        self.partitions = {number: one for number, one in self.partitions.items() if number not in gone}
        self.cursors = {place: one for place, one in self.cursors.items() if place[0] not in gone}
        self.subscriptions = {key: one for key, one in self.subscriptions.items() if key[0] != state.id}
        self.dead_letters = [one for one in self.dead_letters if one.partition_id not in gone]
        return True

    def delete_group(self, group: str) -> None:
        """Remove a group's cursors and registrations."""
        self.cursors = {place: one for place, one in self.cursors.items() if place[1] != group.encode()}
        self.subscriptions = {key: one for key, one in self.subscriptions.items() if key[1] != group}

    def messages(self, queue: str, partition: str) -> list[MessageState]:
        """What is stored in a partition, in order."""
        found = [p for p in self.partitions.values() if p.queue.name == queue and p.name == partition]
        return found[0].messages if found else []

    # Push.

    @_call
    async def push(self, batch: PushBatch) -> tuple[int, ...]:
        assert batch.dues is None, "scheduled messages go to push_deduplicating"
        by_partition = parts(batch)
        live = [n for n in batch.partition_ids if n in self.partitions and n not in self.locked]
        for number in live:
            claimed: set[bytes] = set()
            for place in by_partition[number]:
                transaction_id = batch.transaction_ids[place]
                if self.partitions[number].queue.deduplicates and (
                    transaction_id in claimed or self.partitions[number].once(transaction_id) is not None
                ):
                    raise errors.DuplicateTransaction("a transaction id is stored already")
                claimed.add(transaction_id)
        now = self.now()
        return tuple(
            self._append(number, places, batch, now) if number in live else -1
            for number, places in by_partition.items()
        )

    def _append(self, number: int, places: list[int], batch: PushBatch, now: int) -> int:
        partition = self.partitions[number]
        base = partition.next_offset
        for place in places:
            partition.append(self._message(partition, place, batch, now))
        return base

    def _message(self, partition: PartitionState, place: int, batch: PushBatch, now: int) -> MessageState:
        return MessageState(
            partition.next_offset,
            batch.transaction_ids[place],
            batch.payloads[place],
            max(now, partition.last_us),
            partition.queue.deduplicates,
            batch.trace_ids[place] if batch.trace_ids else None,
            batch.producer_subs[place] if batch.producer_subs else None,
        )

    @_call
    async def push_deduplicating(self, batch: PushBatch, wait: bool = True) -> list[Stored]:
        return await self._push_thoroughly(batch, wait)

    @_call
    async def push_together(self, batches: list[PushBatch]) -> list[list[Stored]]:
        return [await self._push_thoroughly(batch) for batch in batches]

    async def _push_thoroughly(self, batch: PushBatch, wait: bool = True) -> list[Stored]:
        if wait:
            await self._wait_for_locks(batch)
        return self._store_thoroughly(batch)

    async def _wait_for_locks(self, batch: PushBatch) -> None:
        async with self._unlocked:
            await self._unlocked.wait_for(lambda: not self.locked.intersection(batch.partition_ids))

    def _store_thoroughly(self, batch: PushBatch) -> list[Stored]:
        now = self.now()
        stored: list[Stored] = []
        for number, places in parts(batch).items():
            partition = self.partitions.get(number) if number not in self.locked else None
            for place in places:
                stored.append(self._store_one(partition, place, batch, now) if partition else Stored(None, False))
        return stored

    def _store_one(self, partition: PartitionState, place: int, batch: PushBatch, now: int) -> Stored:
        if partition.queue.deduplicates:
            known = partition.once(batch.transaction_ids[place])
            if known is not None:
                return Stored(known, True)
        message = self._message(partition, place, batch, now)
        message.due_us = due_us(batch.dues[place] if batch.dues else None, now)
        if message.due_us is None:
            partition.append(message)
            return Stored(message.offset, False)
        partition.schedule(message)
        return Stored(message.offset, False, -(-(message.due_us - now) // 1000))

    @_call
    async def place_due(self, limit: int, bytes_max: int, skip: list[int]) -> Placed:
        free = {number: one for number, one in self.partitions.items() if number not in skip}
        return place_due(free, self.locked, self.now(), limit, bytes_max)

    # Pop.

    @_call
    async def pop(self, epoch: int, batch: PopBatch) -> list[Span]:
        now = self.now()
        pairs = list(zip(batch.partition_ids, batch.groups, strict=True))
        assert len(set(pairs)) == len(pairs), "at most one candidate per partition and group"
        assert batch.requests == sorted(batch.requests), "candidates of one request stand side by side"
        if batch.several:
            write_leases(self.leases, batch, now)
        used: Counter[int] = Counter()
        spans = []
        for place, pair in enumerate(pairs):
            cursor, partition = self.cursors.get(pair), self.partitions.get(pair[0])
            if cursor is None or partition is None or pair in self.locked_cursors or cursor.held(now):
                continue
            if cursor.acked + 1 >= partition.next_offset or partition.epoch != epoch:
                continue
            limit = batch.batches[place]
            allowed = limit - used[batch.requests[place]]
            used[batch.requests[place]] += min(partition.next_offset - 1 - cursor.acked, limit)
            found = within(partition.after(cursor.acked, max(allowed, 0)), batch.bytes_max)
            delay_ms = batch.delays_ms[place] if batch.delays_ms else None
            held = held_span(place, partition, found, batch, now)
            if held is not None:
                spans.append(held)
            elif found:
                spans.append(self._lease(place, partition, cursor, aged(found, delay_ms, now), batch, now))
        return spans

    def _lease(
        self,
        place: int,
        partition: PartitionState,
        cursor: CursorState,
        found: list[MessageState],
        batch: PopBatch,
        now: int,
    ) -> Span:
        lease_id = batch.lease_ids[place]
        offsets = [message.offset for message in found]
        cursor.lease_id, cursor.lease_end = lease_id, offsets[-1]
        if lease_id is None:
            cursor.lease_until, cursor.acked, cursor.deliveries, cursor.retries = None, offsets[-1], 0, 0
        else:
            cursor.lease_until = now + batch.lease_ms[place] * 1000
            cursor.deliveries += 1
        return Span(
            place + 1,
            offsets[0],
            tuple(offsets) if offsets[-1] - offsets[0] + 1 != len(offsets) else None,
            cursor.deliveries if lease_id is not None else 1,
            partition.next_offset,
            [message.transaction_id for message in found],
            [message.payload for message in found],
            tuple(message.created_us for message in found),
            extras(partition, found),
        )

    # Ack and extend.

    @_call
    async def ack(self, rows: list[AckRow]) -> list[Acked]:
        return self._ack(rows)

    def _ack(self, rows: list[AckRow]) -> list[Acked]:
        now = self.now()
        check_order(rows)
        outcomes = []
        for place, row in enumerate(rows, 1):
            assert row.lowest_signal() == row.retried, "failures go to ack_failed"
            cursor = self.cursors.get((row.partition_id, row.group))
            if cursor is None or not cursor.fenced(row.lease_id, now):
                continue
            if row.retried is not None and row.retried <= cursor.acked:
                continue
            outcomes.append(move(place, cursor, row))
        return outcomes

    @_call
    async def ack_failed(self, rows: list[AckRow]) -> list[Acked]:
        return self._ack_failed(rows)

    def _ack_failed(self, rows: list[AckRow]) -> list[Acked]:
        now = self.now()
        check_order(rows)
        outcomes = []
        for place, row in enumerate(rows, 1):
            cursor, partition = self.cursors.get((row.partition_id, row.group)), self.partitions.get(row.partition_id)
            signal = row.lowest_signal()
            assert signal is not None, "ack_failed is for failures"
            if cursor is None or partition is None or not cursor.fenced(row.lease_id, now) or signal <= cursor.acked:
                continue
            outcomes.append(self._fail(place, cursor, partition, row, signal, now))
        return outcomes

    def _fail(
        self, place: int, cursor: CursorState, partition: PartitionState, row: AckRow, signal: int, now: int
    ) -> Acked:
        options, was = partition.queue.effective, cursor.acked
        exhausted = row.failed == signal and cursor.retries >= int(str(options["retryLimit"]))
        cursor.lease_id = cursor.lease_until = None
        if row.dead == signal or exhausted:
            kept = options["deadLetterQueue"] or options["dlqAfterMaxRetries"]
            number = self._bury(partition, signal, row, cursor.retries) if kept else None
            cursor.acked, cursor.retries = signal, 0
            cursor.deliveries = 0 if signal >= cursor.lease_end else cursor.deliveries
            return Acked(place, was, signal, True, number, signal, None)
        cursor.acked = base(cursor.acked, row.completed, signal)
        held_ms = None
        if row.failed == signal:
            cursor.retries += 1
            explicit = partition.queue.options.get("retryDelay")
            held_ms = int(str(explicit)) if explicit is not None else None
        if held_ms:
            cursor.lease_until = now + held_ms * 1000
        return Acked(place, was, cursor.acked, True, None, None, held_ms)

    def _bury(self, partition: PartitionState, offset: int, row: AckRow, retries: int) -> int | None:
        message = partition.at(offset)
        if message is None:
            return None
        letter = DeadLetter(
            self._next_id("dead letter"),
            partition.id,
            offset,
            row.group,
            message.transaction_id,
            message.payload,
            row.error if row.error is not None else b"Retries exhausted",
            retries,
        )
        self.dead_letters.append(letter)
        return letter.id

    @_call
    async def transact(self, batch: PushBatch | None, plain: list[AckRow], failures: list[AckRow]) -> Transacted:
        if batch is not None:
            await self._wait_for_locks(batch)
        saved = copy.deepcopy((self.partitions, self.cursors, self.dead_letters))
        try:
            stored = self._store_or_refuse(batch) if batch is not None else []
            acked, failed = self._ack(plain), self._ack_failed(failures)
            if (len(acked), len(failed)) != (len(plain), len(failures)):
                raise errors.TransactionRefused("an ack changed nothing", reason="ack_rejected")
        except errors.QueenError:
            self.partitions, self.cursors, self.dead_letters = saved
            raise
        return Transacted(stored, acked, failed)

    def _store_or_refuse(self, batch: PushBatch) -> list[Stored]:
        stored = self._store_thoroughly(batch)
        gone = next((n for n, row in enumerate(stored) if row.offset is None), None)
        if gone is not None:
            raise errors.TransactionRefused("partition is gone", reason="gone", position=gone)
        known = foreign_duplicate(batch, stored)
        if known is not None:
            raise errors.TransactionRefused("transaction id is stored already", reason="duplicate", position=known)
        return stored

    @_call
    async def extend(
        self, lease_ids: list[bytes], partition_ids: list[int], lease_ms: list[int]
    ) -> list[tuple[int, int]]:
        now = self.now()
        extended = []
        for place, (lease_id, number, own_ms) in enumerate(zip(lease_ids, partition_ids, lease_ms, strict=True), 1):
            numbers = self.leases.get(lease_id, ([], 0))[0] if number == 0 else [number]
            for (partition_id, _), cursor in self.cursors.items():
                if partition_id in numbers and cursor.lease_id == lease_id and cursor.held(now):
                    cursor.lease_until = max(cursor.lease_until or 0, now + own_ms * 1000)
                    extended.append((place, cursor.lease_until))
        return extended

    # Cursors and places.

    @_call
    async def examine(self, partition_ids: list[int], groups: list[bytes]) -> list[Standing]:
        now = self.now()
        pairs = zip(partition_ids, groups, strict=True)
        return [standing(self.partitions.get(pair[0]), self.cursors.get(pair), now) for pair in pairs]

    @_call
    async def open_cursors(self, partition_ids: list[int], groups: list[bytes]) -> None:
        for number, group in zip(partition_ids, groups, strict=True):
            partition = self.partitions.get(number)
            if partition is None or (number, group) in self.cursors:
                continue
            start = self.subscriptions.get((partition.queue.id, group.decode()))
            first = partition.first_offset if start is None else partition.offset_at(start)
            self.cursors[number, group] = CursorState(first - 1, first - 1)

    @_call
    async def next_epoch(self, partition_ids: list[int], groups: list[bytes]) -> None:
        """There is but one epoch."""

    @_call
    async def locate(
        self, partition_ids: list[int], transaction_ids: list[bytes], low: list[int], high: list[int]
    ) -> list[int | None]:
        seen: Counter[tuple[int, bytes]] = Counter()
        found: list[int | None] = []
        for number, transaction_id, above, top in zip(partition_ids, transaction_ids, low, high, strict=True):
            nth = seen[number, transaction_id]
            seen[number, transaction_id] += 1
            partition = self.partitions.get(number)
            offsets = [m.offset for m in partition.by_transaction.get(transaction_id, ())] if partition else []
            ahead = [offset for offset in offsets if above < offset <= top]
            behind = [offset for offset in offsets if 0 <= offset <= above]
            found.append(ahead[nth] if nth < len(ahead) else max(behind, default=None))
        return found

    @_call
    async def resolve(self, queues: list[bytes], partitions: list[bytes]) -> list[Resolved]:
        rows = []
        for queue, name in zip(queues, partitions, strict=True):
            state = self._ensure(queue.decode())
            partition = self._find(state, name.decode())
            if partition is None:
                partition = PartitionState(self._next_id("partition"), state, name.decode())
                self.partitions[partition.id] = partition
            rows.append(Resolved(state.id, partition.id, partition.epoch, state.guarding))
        return rows

    @_call
    async def undelivered(self, queue_ids: list[int], afters: list[int], limit: int) -> list[Fill]:
        pages = dict(zip(queue_ids, afters, strict=True))
        return fills(self.partitions, self.cursors, self.subscriptions, pages, limit, self.now())

    @_call
    async def ready_partitions(self, queue_id: int, group: str, after: int, limit: int) -> list[ReadyRow]:
        now = self.now()
        mine = [p for n, p in sorted(self.partitions.items()) if n > after and p.queue.id == queue_id]
        rows = []
        for partition in mine[:limit]:
            cursor = self.cursors.get((partition.id, group.encode()))
            acked, held_ms = (cursor.acked, ms_left(cursor, now)) if cursor else (None, None)
            rows.append(ReadyRow(partition.id, partition.name, partition.epoch, partition.next_offset, acked, held_ms))
        return rows

    @_call
    async def partition_names(self, partition_ids: list[int]) -> list[PartitionRow]:
        found = [self.partitions[number] for number in partition_ids if number in self.partitions]
        return [PartitionRow(p.id, p.queue.id, p.queue.name, p.name, p.epoch, p.queue.guarding) for p in found]

    # Queues and groups.

    @_call
    async def subscribe(self, queue_id: int, group: str, mode: str, start_at: str | None) -> None:
        self.subscriptions.setdefault((queue_id, group), start_us(mode, start_at, self.now()))

    @_call
    async def ensure_queue(self, name: str) -> QueueRow:
        return self._row(self._ensure(name))

    @_call
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
        found = queues_like(self.queues, name, namespace, task, search)
        return [self._row(queue) for queue in found[offset : offset + limit]]

    @_call
    async def queues_by_id(self, queue_ids: list[int]) -> list[QueueRow]:
        return [self._row(queue) for queue in self.queues.values() if queue.id in queue_ids]

    @_call
    async def skip_gaps(self, partition_ids: list[int], groups: list[bytes]) -> int:
        now, pairs = self.now(), zip(partition_ids, groups, strict=True)
        return sum(skip_gap(self.cursors.get(pair), self.partitions.get(pair[0]), now) for pair in pairs)

    @_call
    async def forget_leases(self, older_than_s: int) -> int:
        return forget_leases(self.leases, self.cursors.values(), self.now(), older_than_s)

    def _ensure(self, name: str) -> QueueState:
        state = self.queues.get(name)
        if state is None:
            namespace, task = [*name.split("."), ""][:2]
            state = self.queues[name] = QueueState(self._next_id("queue"), name, namespace, task)
        return state

    def _find(self, queue: QueueState, name: str) -> PartitionState | None:
        return next((p for p in self.partitions.values() if p.queue is queue and p.name == name), None)

    def _row(self, queue: QueueState) -> QueueRow:
        created_at = EPOCH_2000 + timedelta(microseconds=START_US)
        return QueueRow(queue.id, queue.name, queue.namespace, queue.task, queue.effective, created_at)

    def _next_id(self, kind: str) -> int:
        return next(self._ids.setdefault(kind, itertools.count(1)))
