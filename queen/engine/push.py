"""Push: sort a request's messages by partition, gather them with those of other requests, store, report.

    items → chunks, one per partition (PushChunk) → batcher, keyed by partition → one store call → outcomes

A chunk is stored as a whole or not at all, and keeps its order. Messages of one partition never overtake each other:
the batcher lets one flush at a time hold a partition.

Nothing that takes longer delays the others. A flush that meets a duplicate is set aside, and sorted out without
waiting for locks. A partition whose row somebody else has locked is set aside by itself and waits for it, in a call
of its own; a few such calls may wait at a time, so that they never take all connections. A flush whose connection
broke before the answer is set aside too, and repeated (`queen.engine.repeat`).
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine, Hashable
from functools import partial
from itertools import groupby
from operator import attrgetter
from typing import TypeVar

from queen import errors
from queen.engine.batcher import Batcher
from queen.engine.catalog import Catalog, Partition
from queen.engine.guard import Guard
from queen.engine.limits import Limits
from queen.engine.mode import operation_bytes_max, operation_messages_max
from queen.engine.repeat import Doubt, claim, until_known
from queen.engine.stats import Stats
from queen.model import NewMessage
from queen.settings import EngineSettings
from queen.store.base import PushBatch, Store, Stored

log = logging.getLogger(__name__)

_ATTEMPTS_MAX = 4
_SORTING_MAX = 2
_REPEATING_MAX = 2
_CONTENTION_PAUSE_S = 0.05

T = TypeVar("T")


class PushChunk:
    """The messages of one request for one partition, and after the flush what became of them.

    `base` is the first offset when all were stored side by side; else `stored` says it one by one; else `error`.
    """

    __slots__ = ("base", "error", "has_due", "key", "messages", "partition", "positions", "request", "retries",
                 "settled", "size", "stored", "weight")  # fmt: skip

    def __init__(self, partition: Partition, request: PushRequest) -> None:
        self.partition = partition
        self.key: Hashable = partition.id
        self.request: PushRequest | None = request
        """Who waits for it; None when it is settled, so that the two do not keep each other and their payloads."""
        self.messages: list[NewMessage] = []
        self.positions: list[int] = []
        self.weight = 0
        self.size = 0
        self.retries = 0
        self.settled = False
        self.has_due = False
        self.base = -1
        self.stored: list[Stored] | None = None
        self.error: errors.QueenError | None = None

    def add(self, position: int, message: NewMessage) -> None:
        """Append a message; `position` is its place in the request."""
        self.messages.append(message)
        self.positions.append(position)
        self.weight += 1
        self.size += len(message.payload) + len(message.transaction_id)
        if message.due is not None:
            self.has_due = True

    def store_from(self, base: int) -> None:
        """All messages were stored, the first one at `base`."""
        self.base = base
        self.partition.stored(base + self.weight - 1)
        self._settle()

    def store_each(self, stored: list[Stored]) -> None:
        """The messages were stored, or found, one by one."""
        self.stored = stored
        # Those outside the order, at negative offsets, are nothing to deliver yet.
        fresh = [row.offset for row in stored if not row.duplicate and row.offset is not None and row.offset >= 0]
        if fresh:
            self.partition.stored(max(fresh))
        self._settle()

    def fail(self, error: errors.QueenError) -> None:
        """Nothing of this chunk was stored, unless that is known already: a flush may break off in its middle."""
        if not self.settled:
            self.error = error
            self._settle()

    def _settle(self) -> None:
        if not self.settled:
            self.settled = True
            request, self.request = self.request, None
            assert request is not None, "nobody takes it away but this"
            request.chunk_done()


class PushRequest:
    """One push call: its chunks, and the moment when all of them are settled."""

    __slots__ = ("admitted_ns", "chunks", "done", "left", "limits", "size", "stored_ns")

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.admitted_ns = self.stored_ns = 0
        self.chunks: list[PushChunk] = []
        self.left = 0
        self.size = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def chunk_done(self) -> None:
        """One more chunk is settled. The bytes are given back here, also when the caller has left meanwhile."""
        self.left -= 1
        if not self.left:
            self.stored_ns = time.perf_counter_ns()
            self.limits.release_push(self.size)
            if not self.done.done():
                self.done.set_result(None)


class Push:
    """The push verb of the engine."""

    def __init__(
        self,
        store: Store,
        catalog: Catalog,
        limits: Limits,
        stats: Stats,
        settings: EngineSettings,
        waits_max: int,
        on_due: Callable[[int], None],
        guard: Guard,
    ) -> None:
        """`on_due` is told of scheduled messages that were stored: in how many ms the first of a chunk is due."""
        self._on_due = on_due
        self._guard = guard
        self._store = store
        self._catalog = catalog
        self._limits = limits
        self._counters = stats.counters
        self._tallies = stats.tallies
        self._insert_us = stats.insert_us
        self._messages_max = operation_messages_max(settings)
        self._repeat_s = settings.push_repeat_ms_max / 1000
        self._sorting = asyncio.Semaphore(_SORTING_MAX)
        self._repeating = asyncio.Semaphore(_REPEATING_MAX)
        self._waiting = asyncio.Semaphore(waits_max)
        self._asides: dict[asyncio.Task[None], list[PushChunk]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.batcher: Batcher[PushChunk] = Batcher(
            "push",
            self._flush,
            flushes_max=settings.push_flushes_max,
            weight_max=self._messages_max,
            bytes_max=operation_bytes_max(settings),
            merge=True,
        )

    async def push(self, messages: list[NewMessage]) -> PushRequest:
        """Store messages; returns when each chunk is settled. Raises what refuses the request as a whole."""
        request = PushRequest(self._limits)
        if not messages:
            return request
        await self._split(request, messages)
        if any([chunk.partition.queue.guarded for chunk in request.chunks]):
            taken = await self._guard.enter(request.chunks)
            try:
                await self._store_all(request)
            finally:
                self._guard.leave(taken, request.chunks)
        else:
            await self._store_all(request)
        return request

    async def _store_all(self, request: PushRequest) -> None:
        request.size = sum([chunk.size for chunk in request.chunks])
        self._limits.admit_push(request.size)
        request.admitted_ns = time.perf_counter_ns()
        request.left = len(request.chunks)
        for chunk in request.chunks:
            self.batcher.submit(chunk)
        await request.done
        self._count(request)

    def abandon(self, error: errors.QueenError) -> None:
        """Fail what is in line, in flight and set aside; nobody waits for it any longer."""
        self.batcher.abandon(error)
        for task, chunks in self._asides.items():
            _fail(chunks, error)
            task.cancel()

    async def _split(self, request: PushRequest, messages: list[NewMessage]) -> None:
        # First, so that nothing is created for a request that is refused.
        self._limits.check_payload(max([len(message.payload) for message in messages]))
        chunks: dict[Partition, PushChunk] = {}
        chunk: PushChunk | None = None
        for position, message in enumerate(messages):
            # Neighbours mostly share a partition: look it up again only when it changes.
            if (
                chunk is None
                or message.partition != chunk.partition.name
                or message.queue != chunk.partition.queue.name
            ):
                partition = self._catalog.partition(message.queue, message.partition)
                if partition is None:
                    # Where one is unknown more may follow: one call for all of them.
                    await self._catalog.ensure_partitions((m.queue, m.partition) for m in messages[position:])
                    partition = await self._catalog.ensure_partition(message.queue, message.partition)
                chunk = chunks.get(partition)
                if chunk is None:
                    chunk = chunks[partition] = PushChunk(partition, request)
            chunk.add(position, message)
        request.chunks = list(chunks.values())

    def _count(self, request: PushRequest) -> None:
        counters = self._counters
        counters.push_requests += 1
        if not any([chunk.error for chunk in request.chunks]):
            self._insert_us.record((request.stored_ns - request.admitted_ns) // 1000)
        mark = self._tallies.next_mark()
        for chunk in request.chunks:
            queue = chunk.partition.queue
            tally = queue.tally or self._tallies.of(queue)
            if tally.mark != mark:
                tally.mark = mark
                tally.push_requests += 1
            if chunk.error is not None:
                counters.push_failed += chunk.weight
            elif chunk.stored is None:
                counters.push_messages += chunk.weight
                tally.push_messages += chunk.weight
            else:
                duplicates = sum(row.duplicate for row in chunk.stored)
                counters.push_duplicates += duplicates
                counters.push_messages += chunk.weight - duplicates
                tally.push_messages += chunk.weight - duplicates
                if chunk.has_due:
                    counters.push_scheduled += sum(row.due_ms is not None for row in chunk.stored)

    async def _flush(self, chunks: list[PushChunk]) -> Collection[Hashable]:
        """The fast way, which waits for no lock. What needs more than it leaves the flush with its partitions."""
        if chunks[0].weight > self._messages_max:
            return self._set_aside(chunks, self._waiting, self._flush_large(chunks[0]))
        chunks.sort(key=attrgetter("partition.id"))
        scheduled = {chunk.key for chunk in chunks if chunk.has_due}
        if not scheduled:
            return await self._flush_plain(chunks)
        # The fast way knows no places outside the order. All chunks of such a partition go, so that none overtakes.
        apart = [chunk for chunk in chunks if chunk.key in scheduled]
        kept = set(self._set_aside(apart, self._sorting, self._flush_scheduled(apart)))
        plain = [chunk for chunk in chunks if chunk.key not in scheduled]
        try:
            kept.update(await self._flush_plain(plain) if plain else ())
        except errors.QueenError as error:
            _fail(plain, error)  # Theirs alone: the others are on their way.
        return kept

    async def _flush_plain(self, chunks: list[PushChunk]) -> Collection[Hashable]:
        batch, groups = _assemble(chunks)
        heads = _heads(groups)
        try:
            return self._settle(groups, await self._store.push(batch))
        except (errors.DuplicateTransaction, errors.Contention):
            return self._set_aside(chunks, self._sorting, self._flush_thoroughly(chunks, wait=False))
        except errors.InvalidRequest as error:
            # One message that PostgreSQL cannot store fails alone, never with its neighbours.
            return self._set_aside(chunks, self._sorting, self._flush_apart(chunks, error))
        except errors.StoreUnavailable as error:
            doubt = self._doubt(heads, error)
            return self._set_aside(chunks, self._repeating, self._repeat(chunks, doubt, wait=False))

    async def _flush_scheduled(self, chunks: list[PushChunk]) -> None:
        try:
            await self._flush_thoroughly(chunks, wait=False)
        except errors.InvalidRequest as error:
            await self._flush_apart(chunks, error)

    def _settle(self, groups: list[list[PushChunk]], bases: tuple[int, ...]) -> Collection[Hashable]:
        kept: set[Hashable] = set()
        for group, base in zip(groups, bases, strict=True):
            if base < 0:
                # Locked by somebody else, or gone.
                kept.update(self._wait_for(group))
                continue
            for chunk in group:
                chunk.store_from(base)
                base += chunk.weight
        return kept

    def _wait_for(self, group: list[PushChunk], doubt: Doubt | None = None) -> Collection[Hashable]:
        """Wait for the row of one partition that somebody else has locked."""
        return self._set_aside(group, self._waiting, self._flush_thoroughly(group, wait=True, doubt=doubt))

    def _set_aside(
        self, chunks: list[PushChunk], slots: asyncio.Semaphore, work: Coroutine[None, None, None]
    ) -> Collection[Hashable]:
        """Go on outside the common flushes, a few at a time; the partitions are kept until it is done."""
        keys = {chunk.key for chunk in chunks}
        task = asyncio.get_running_loop().create_task(self._aside(chunks, slots, work))
        self._asides[task] = chunks
        task.add_done_callback(partial(self._aside_ended, keys, work))
        return keys

    async def _aside(
        self, chunks: list[PushChunk], slots: asyncio.Semaphore, work: Coroutine[None, None, None]
    ) -> None:
        try:
            async with slots:
                await work
        except errors.QueenError as error:
            _fail(chunks, error)
        except Exception:
            log.exception("flush failed entries=%d", len(chunks))
            _fail(chunks, errors.QueenError("internal error; the log of the server has the details"))

    def _aside_ended(
        self, keys: Collection[Hashable], work: Coroutine[None, None, None], task: asyncio.Task[None]
    ) -> None:
        del self._asides[task]
        work.close()  # A task that is cancelled early never awaits it.
        # What was set aside again, to wait for a lock, is still kept.
        kept = {chunk.key for chunks in self._asides.values() for chunk in chunks}
        for key in keys:
            if key not in kept:
                self.batcher.release(key)

    async def _flush_thoroughly(self, chunks: list[PushChunk], *, wait: bool, doubt: Doubt | None = None) -> None:
        """Store with a search for duplicates. Partitions that could not be had are waited for, or are gone.

        With `doubt`, this repeats a flush whose outcome is unknown.
        """
        batch, groups = _assemble(chunks)
        heads = _heads(groups)
        try:
            stored = await self._surely(lambda: self._store.push_deduplicating(batch, wait), doubt)
        except errors.StoreUnavailable as error:
            if doubt is not None:
                raise
            await self._repeat(chunks, self._doubt(heads, error), wait=wait)
            return
        position = 0
        for group in groups:
            if stored[position].offset is None and not wait:
                self._wait_for(group, doubt)
                position += sum([chunk.weight for chunk in group])
                continue
            for chunk in group:
                rows = stored[position : position + chunk.weight]
                position += chunk.weight
                self._settle_each(chunk, rows, doubt)

    def _settle_each(self, chunk: PushChunk, rows: list[Stored], doubt: Doubt | None) -> None:
        if rows[0].offset is None:
            self._start_over(chunk)
            return
        chunk.store_each(rows if doubt is None else claim(rows, doubt.heads[chunk.partition.id]))
        if chunk.has_due:
            # A repetition learns nothing of when those are due that the first try stored: look.
            dues_ms = [row.due_ms for row in rows if row.due_ms is not None] + ([0] if doubt is not None else [])
            if dues_ms:
                self._on_due(min(dues_ms))

    def _doubt(self, heads: dict[int, int], error: errors.StoreUnavailable) -> Doubt:
        """What to repeat by. Raises the error again when nothing was sent, or pushes are not to be repeated."""
        if not error.unknown or not self._repeat_s:
            raise error
        return Doubt(heads, asyncio.get_running_loop().time() + self._repeat_s, error)

    async def _repeat(self, chunks: list[PushChunk], doubt: Doubt, *, wait: bool) -> None:
        """Store what may be stored already. Queues without deduplication cannot be repeated and fail."""
        self._counters.push_repeats += 1
        queues = {chunk.partition.queue for chunk in chunks}
        if any([queue.options is None for queue in queues]):
            names = sorted(queue.name for queue in queues)
            await until_known(lambda: self._load_options(names), doubt)
        safe = []
        for chunk in chunks:
            queue = self._catalog.queue(chunk.partition.queue.name) or chunk.partition.queue
            if queue.deduplicates:
                safe.append(chunk)
            else:
                chunk.fail(doubt.unrepeatable(queue.name))
        large = [chunk for chunk in safe if chunk.weight > self._messages_max]
        if large:
            await self._flush_large(large[0], doubt)
        elif safe:
            await self._flush_thoroughly(safe, wait=wait, doubt=doubt)

    async def _load_options(self, names: list[str]) -> None:
        for name in names:
            await self._catalog.ensure_queue(name)

    async def _surely(self, call: Callable[[], Awaitable[T]], doubt: Doubt | None) -> T:
        if doubt is None:
            return await self._patiently(call)
        return await until_known(lambda: self._patiently(call), doubt)

    async def _patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        """Repeat a call that PostgreSQL gave up because several waited for each other; nothing of it was kept."""
        for _ in range(_ATTEMPTS_MAX - 1):
            try:
                return await call()
            except errors.Contention:
                await asyncio.sleep(random.uniform(0, _CONTENTION_PAUSE_S))
        return await call()

    def _start_over(self, chunk: PushChunk) -> None:
        self._catalog.forget_partition(chunk.partition)
        chunk.retries += 1
        if chunk.retries > _ATTEMPTS_MAX:
            chunk.fail(errors.NotFound(f"partition {chunk.partition.name!r} vanishes as fast as it is created"))
            return
        task = asyncio.get_running_loop().create_task(self._resubmit(chunk))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _resubmit(self, chunk: PushChunk) -> None:
        try:
            known = chunk.partition
            # The queue may be a new one under the same name; ask for both again.
            if self._catalog.queue(known.queue.name) is known.queue:
                self._catalog.forget_queue(known.queue.name)
            chunk.partition = await self._catalog.ensure_partition(known.queue.name, known.name)
            chunk.key = chunk.partition.id
        except errors.QueenError as error:
            chunk.fail(error)
            return
        self.batcher.submit(chunk)

    async def _flush_apart(self, chunks: list[PushChunk], error: errors.InvalidRequest) -> None:
        if len(chunks) == 1:
            chunks[0].fail(error)
            return
        for chunk in chunks:
            try:
                await self._flush_thoroughly([chunk], wait=False)
            except errors.QueenError as own:
                chunk.fail(own)

    async def _flush_large(self, chunk: PushChunk, doubt: Doubt | None = None) -> None:
        """More than one operation's worth for one partition: several operations in one transaction."""
        size = self._messages_max
        parts = [chunk.messages[start : start + size] for start in range(0, chunk.weight, size)]
        batches = [_one_partition(chunk.partition.id, part, chunk.has_due) for part in parts]
        heads = _heads([[chunk]])
        try:
            results = await self._surely(lambda: self._store.push_together(batches), doubt)
        except errors.StoreUnavailable as error:
            if doubt is not None:
                raise
            await self._repeat([chunk], self._doubt(heads, error), wait=True)
            return
        self._settle_each(chunk, list(itertools.chain.from_iterable(results)), doubt)


def _fail(chunks: list[PushChunk], error: errors.QueenError) -> None:
    for chunk in chunks:
        chunk.fail(error)


def _heads(groups: list[list[PushChunk]]) -> dict[int, int]:
    """Where the partitions of a flush end, as far as known here."""
    return {group[0].partition.id: group[0].partition.head for group in groups}


def _assemble(chunks: list[PushChunk]) -> tuple[PushBatch, list[list[PushChunk]]]:
    """Chunks, sorted by partition, as the arrays of one call; and the chunks of each partition."""
    groups = [list(group) for _, group in groupby(chunks, key=attrgetter("partition.id"))]
    messages: list[NewMessage] = []
    counts: list[int] = []
    places: list[int] = []
    for place, group in enumerate(groups, 1):
        before = len(messages)
        for chunk in group:
            messages += chunk.messages
        counts.append(len(messages) - before)
        places += [place] * counts[-1]
    has_due = any([chunk.has_due for chunk in chunks])
    return _batch([group[0].partition.id for group in groups], counts, places, messages, has_due), groups


def assemble(placed: list[tuple[int, NewMessage]]) -> PushBatch:
    """Messages with their partitions' ids, sorted by these, as the arrays of one call."""
    ids: list[int] = []
    counts: list[int] = []
    places: list[int] = []
    for partition_id, _ in placed:
        if not ids or ids[-1] != partition_id:
            ids.append(partition_id)
            counts.append(0)
        counts[-1] += 1
        places.append(len(ids))
    has_due = any([message.due is not None for _, message in placed])
    return _batch(ids, counts, places, [message for _, message in placed], has_due)


def _one_partition(partition_id: int, messages: list[NewMessage], has_due: bool) -> PushBatch:
    return _batch([partition_id], [len(messages)], [1] * len(messages), messages, has_due)


def _batch(
    partition_ids: list[int], counts: list[int], places: list[int], messages: list[NewMessage], has_due: bool
) -> PushBatch:
    trace_ids = [message.trace_id for message in messages]
    subs = [message.producer_sub for message in messages]
    return PushBatch(
        partition_ids,
        counts,
        places,
        [message.transaction_id for message in messages],
        [message.payload for message in messages],
        trace_ids if any(trace_ids) else None,
        subs if any(subs) else None,
        [message.due for message in messages] if has_due else None,
    )
