"""What the engine knows by name: queues and partitions with their ids, kept so that a warm push looks nothing up.

A cache over the store: it may be behind (another server may have created or deleted something), never wrong about
what an id means, because ids are not used twice. Also the home of each queue's ready sets.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection, Hashable, Iterable, Sequence
from typing import Any, TypeVar

from queen import errors, model
from queen.engine.batcher import Batcher
from queen.engine.outbox import Outbox
from queen.engine.ready import ReadySet
from queen.engine.room import Room
from queen.engine.tally import Tally
from queen.store.base import QueueRow, Resolved, Store

_READS_MAX = 3

T = TypeVar("T")


class Queue:
    """A queue as this server knows it. `options` is None until a pop or an administrator asked for them."""

    __slots__ = ("delay_ms", "encrypted", "fill_ms", "groups", "guarded", "id", "json_name", "name", "namespace",
                 "options", "outbox", "partitions", "priority", "room", "tally", "task", "window_ms")  # fmt: skip

    def __init__(self, queue_id: int, name: str, outbox: Outbox | None = None) -> None:
        self.id = queue_id
        self.outbox = outbox
        self.name = name
        self.json_name = json.dumps(name, ensure_ascii=False).encode()
        self.namespace = ""
        self.task = ""
        self.options: dict[str, Any] | None = None
        self.delay_ms = 0
        self.window_ms = 0
        self.fill_ms = 0
        self.priority = 0
        self.encrypted = False
        self.room: Room | None = None
        """How full it is, if it has a maxSize."""
        self.guarded = False
        """Do pushes have to be looked at because of one of the two?"""
        self.partitions: dict[str, Partition] = {}
        self.groups: dict[str, ReadySet] = {}
        self.tally: Tally | None = None
        """What was done with it since that was last written down; None: nothing."""

    def take_options(self, row: QueueRow) -> None:
        """Remember what the store says of this queue. What is held back by other options is looked at again."""
        known, before = self.options, (self.delay_ms, self.window_ms)
        self.namespace, self.task, self.options = row.namespace, row.task, dict(row.options)
        self.delay_ms = int(self.options["delayedProcessing"]) * 1000
        self.window_ms = int(self.options["windowBuffer"]) * 1000
        self.fill_ms = int(self.options["minPopWaitTime"])
        self.priority = int(self.options["priority"])
        self.guard(self.options)
        for ready in self.groups.values():
            if before != (self.delay_ms, self.window_ms):
                ready.look_again()
            if known is not None and known != self.options:
                ready.reconsider()

    def guard(self, options: dict[str, Any]) -> None:
        """Take over the options that pushes have to know; also before the others are asked for."""
        self.encrypted = bool(options["encryptionEnabled"])
        size_max = int(options["maxSize"])
        if not size_max:
            self.room = None
        elif self.room is None:
            self.room = Room(self.id, size_max)
        else:
            self.room.size_max = size_max
        self.guarded = self.encrypted or self.room is not None

    @property
    def lease_ms(self) -> int:
        """Length of a lease whose pop names none."""
        assert self.options is not None, "options are loaded before a pop"
        return int(self.options["leaseTime"]) * 1000

    @property
    def deduplicates(self) -> bool:
        """Whether a message that is pushed again under its transaction id is found; options must be loaded."""
        return self.options is not None and int(self.options["dedupWindowSeconds"]) > 0


class Partition:
    """A partition as this server knows it.

    `head` is the offset after the newest message this server has heard of, `epoch` that of the newest message.
    """

    __slots__ = ("epoch", "head", "id", "id_prefix", "id_text", "json_name", "name", "queue")

    def __init__(self, partition_id: int, queue: Queue, name: str, epoch: int) -> None:
        self.id = partition_id
        self.queue = queue
        self.name = name
        self.json_name = json.dumps(name, ensure_ascii=False).encode()
        self.epoch = epoch
        self.head = 0
        self.id_text = model.encode_id(model.PARTITION, partition_id)
        self.id_prefix = model.message_id_prefix(partition_id)

    def stored(self, last_offset: int) -> None:
        """A message was stored here: tell every group that reads the queue, and other servers if there are any."""
        self.heard(last_offset + 1)
        outbox = self.queue.outbox
        if outbox is not None and outbox.open:
            outbox.stored(self)

    def heard(self, head: int) -> None:
        """Messages were stored up to before `head`, here or by another server: tell the groups of this one."""
        before = self.head
        if head > before:
            self.head = head
        for ready in self.queue.groups.values():
            ready.offer(self, before)


class _Lookup:
    """One (queue, partition) pair that waits for its ids."""

    __slots__ = ("future", "key", "pair", "size", "weight")

    def __init__(self, key: tuple[str, str], future: asyncio.Future[Partition]) -> None:
        self.pair = key
        self.key: Hashable = key
        self.weight = 1
        self.size = 0
        self.future = future

    def fail(self, error: errors.QueenError) -> None:
        if not self.future.done():
            self.future.set_exception(error)


def _ignore(_: Queue) -> None:
    """Nobody waits for new queues."""


class Catalog:
    """Names → ids, created on first use. Concurrent look-ups share a call."""

    def __init__(self, store: Store, partitions_max: int, outbox: Outbox | None = None) -> None:
        self._store = store
        self._outbox = outbox
        self._outdated = 0
        self.on_new: Callable[[Queue], None] = _ignore
        self._queues_by_id: dict[int, Queue] = {}
        self._partitions_max = partitions_max
        self._queues: dict[str, Queue] = {}
        self._by_id: dict[int, Partition] = {}
        self._lookups: Batcher[_Lookup] = Batcher(
            "resolve", self._resolve, flushes_max=1, weight_max=1000, bytes_max=1 << 30, merge=True
        )

    def queue(self, name: str) -> Queue | None:
        """The queue if it is known here."""
        return self._queues.get(name)

    def queues(self) -> Iterable[Queue]:
        """Every queue known here."""
        return self._queues.values()

    def partition(self, queue: str, name: str) -> Partition | None:
        """The partition if it is known here. Costs two look-ups in memory."""
        found = self._queues.get(queue)
        return found.partitions.get(name) if found is not None else None

    @property
    def announces(self) -> bool:
        """Are other servers told of what is stored in the partitions known here?"""
        return self._outbox is not None and self._outbox.open

    def queue_by_id(self, queue_id: int) -> Queue | None:
        """The queue if it is known here."""
        return self._queues_by_id.get(queue_id)

    def by_id(self, partition_id: int) -> Partition | None:
        """The partition if it is known here."""
        return self._by_id.get(partition_id)

    def note_heads(self, partition_ids: Sequence[int], heads: Sequence[int]) -> None:
        """Messages were stored in these partitions, up to before these offsets; those not known here are left out."""
        for partition_id, head in zip(partition_ids, heads, strict=True):
            partition = self.by_id(partition_id)
            if partition is not None:
                partition.stored(head - 1)

    async def ensure_partition(self, queue: str, name: str) -> Partition:
        """The partition, created in the database when it is not there."""
        found = self.partition(queue, name)
        if found is not None:
            return found
        future: asyncio.Future[Partition] = asyncio.get_running_loop().create_future()
        self._lookups.submit(_Lookup((queue, name), future))
        return await future

    async def ensure_partitions(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Get to know (queue, partition) pairs, all in one call; created in the database where they are not there."""
        unknown = [pair for pair in dict.fromkeys(pairs) if self.partition(*pair) is None]
        if unknown:
            await asyncio.gather(*[self.ensure_partition(queue, name) for queue, name in unknown])

    async def ensure_queue(self, name: str) -> Queue:
        """The queue with its options, created in the database when it is not there."""
        queue = self._queues.get(name)
        if queue is None or queue.options is None:
            queue = self.learn(await self._up_to_date(lambda: self._store.ensure_queue(name)))
        return queue

    async def reload(self, queue_ids: Collection[int], wanted: Callable[[QueueRow], bool] | None = None) -> list[Queue]:
        """Read these queues again, after they were changed; those that are gone are forgotten.

        One that is not known here is remembered if it is `wanted`.
        """
        self.outdate()
        rows = await self._store.queues_by_id(list(queue_ids))
        for queue_id in set(queue_ids) - {row.queue_id for row in rows}:
            gone = self._queues_by_id.get(queue_id)
            if gone is not None:
                self.forget_queue(gone.name)
        known = self._queues_by_id
        return [self.learn(row) for row in rows if row.queue_id in known or (wanted is not None and wanted(row))]

    def outdate(self) -> None:
        """Queues were changed: what is being read of any of them just now may be what was true before."""
        self._outdated += 1

    async def find_partitions(self, partition_ids: Collection[int]) -> None:
        """Get to know partitions by id; those that do not exist stay unknown."""
        unknown = [number for number in partition_ids if number not in self._by_id]
        if unknown:
            for row in await self._up_to_date(lambda: self._store.partition_names(unknown)):
                queue = self._known_queue(row.queue_id, row.queue, row.options)
                self.add(queue, row.partition_id, row.partition, row.epoch)

    async def matching(self, namespace: str | None, task: str | None) -> list[Queue]:
        """The queues of a namespace and a task (None: any), from the store."""
        return [self.learn(row) for row in await self._store.find_queues(namespace=namespace, task=task)]

    def learn(self, row: QueueRow) -> Queue:
        """Take over what the store says of a queue."""
        queue = self._known_queue(row.queue_id, row.name)
        queue.take_options(row)
        return queue

    def add(self, queue: Queue, partition_id: int, name: str, epoch: int) -> Partition:
        """Remember a partition; the oldest known ones make room when there are too many."""
        partition = self._by_id.get(partition_id)
        if partition is None:
            partition = Partition(partition_id, queue, name, epoch)
            queue.partitions[name] = partition
            self._by_id[partition_id] = partition
            if len(self._by_id) > self._partitions_max:
                self._forget_oldest()
        return partition

    def forget_partition(self, partition: Partition) -> None:
        """The partition is gone, or its queue is another one now: look it up again next time."""
        self._by_id.pop(partition.id, None)
        partition.queue.partitions.pop(partition.name, None)
        for ready in partition.queue.groups.values():
            ready.forget(partition.id)

    def forget_queue(self, name: str) -> None:
        """The queue was deleted: nothing that was known of it holds, and whoever waits looks again."""
        self.outdate()
        queue = self._queues.pop(name, None)
        if queue is None:
            return
        del self._queues_by_id[queue.id]
        for partition in queue.partitions.values():
            self._by_id.pop(partition.id, None)
        for ready in queue.groups.values():
            ready.close()

    async def _up_to_date(self, read: Callable[[], Awaitable[T]]) -> T:
        """What is read; once more when something was changed while it was on its way, perhaps this."""
        for _ in range(_READS_MAX):
            outdated = self._outdated
            found = await read()
            if outdated == self._outdated:
                break
        return found

    def _known_queue(self, queue_id: int, name: str, options: dict[str, Any] | None = None) -> Queue:
        """`options`: those that pushes have to know, as read just now."""
        queue = self._queues.get(name)
        if queue is not None and queue.id != queue_id:
            self.forget_queue(name)
            queue = None
        if queue is None:
            queue = self._queues[name] = self._queues_by_id[queue_id] = Queue(queue_id, name, self._outbox)
            self.on_new(queue)
        if options is not None and queue.options is None:
            queue.guard(options)
        return queue

    def _forget_oldest(self) -> None:
        for number in list(self._by_id)[: max(1, self._partitions_max // 10)]:
            self.forget_partition(self._by_id[number])

    async def _resolve(self, lookups: list[_Lookup]) -> Collection[Hashable]:
        pairs = list(dict.fromkeys(lookup.pair for lookup in lookups))
        queues, partitions = [q.encode() for q, _ in pairs], [p.encode() for _, p in pairs]
        rows = await self._up_to_date(lambda: self._store.resolve(queues, partitions))
        found = dict(zip(pairs, rows, strict=True))
        for lookup in lookups:
            if not lookup.future.done():
                lookup.future.set_result(self._add_resolved(lookup.pair, found))
        return ()

    def _add_resolved(self, key: tuple[str, str], found: dict[tuple[str, str], Resolved]) -> Partition:
        row = found[key]
        queue = self._known_queue(row.queue_id, key[0], row.options)
        return self.add(queue, row.partition_id, key[1], row.epoch)
