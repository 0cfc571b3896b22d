"""The memory of a sink: queues, partitions, cursors of groups and leases, with faults at the counted message.

It keeps the rules that the ledger judges: order within a partition, one lease per partition and group, an ack by
position, redelivery when a lease ends. It knows no bytes of HTTP and keeps nothing.
"""

from __future__ import annotations

import itertools
import time
import uuid
from collections import deque

from queen.bench import sink_faults
from queen.bench.sink_faults import Faults

RETRY_LIMIT = 3
MESSAGES_MAX = 2_000_000
"""Messages held; a push beyond it is refused as overloaded."""


class Cursor:
    """Of one group in one partition. `position` is the next message to be done, `high` the next one never delivered."""

    __slots__ = ("failures", "high", "in_ready", "lease", "partition", "position", "tries", "until")

    def __init__(self, partition: Partition) -> None:
        self.partition = partition
        self.position = self.high = partition.base
        self.lease, self.until = "", 0.0
        self.in_ready = False
        self.tries = self.failures = 0


class Partition:
    __slots__ = ("base", "cursors", "id", "messages", "name")

    def __init__(self, name: str) -> None:
        self.name, self.id = name, str(uuid.uuid4())
        self.base = 0
        self.messages: deque[tuple[str, bytes]] = deque()
        self.cursors: dict[str, Cursor] = {}

    @property
    def end(self) -> int:
        return self.base + len(self.messages)

    def trim(self) -> int:
        """Forget what all groups have done; how many."""
        done = min(cursor.position for cursor in self.cursors.values()) - self.base
        for _ in range(done):
            self.messages.popleft()
        self.base += max(0, done)
        return max(0, done)


class Given(list[tuple[Partition, str, bytes, int]]):
    """What a pop got: partition, transaction id, payload, attempt. And under which lease."""

    lease = ""


class Queue:
    def __init__(self, name: str) -> None:
        self.name = name
        self.partitions: dict[str, Partition] = {}
        self.by_id: dict[str, Partition] = {}
        self.ready: dict[str, deque[Cursor]] = {}
        self.leased: set[Cursor] = set()


class Store:
    """All queues. `light`: what nobody has asked for by the first push is counted and forgotten."""

    def __init__(self, faults: Faults, *, light: bool) -> None:
        self.faults, self.light = faults, light
        self.queues: dict[str, Queue] = {}
        self.stored = self.held = 0
        self._leases = itertools.count(1)

    def queue(self, name: str) -> Queue:
        if name not in self.queues:
            self.queues[name] = Queue(name)
        return self.queues[name]

    def push(self, queue: Queue, name: str, transaction: str, data: bytes) -> Partition:
        """Store one message, or have the fault that is due."""
        partition = queue.partitions.get(name)
        if partition is None:
            partition = queue.partitions[name] = Partition(name)
            queue.by_id[partition.id] = partition
            for group in queue.ready:
                partition.cursors[group] = Cursor(partition)
        self.stored += 1
        self._store(partition, transaction, data)
        for group, cursor in partition.cursors.items():
            self._offer(queue, group, cursor)
        return partition

    def _store(self, partition: Partition, transaction: str, data: bytes) -> None:
        faults, number, messages = self.faults, self.stored, partition.messages
        if faults.drop and number % faults.drop == 0:
            return
        if faults.corrupt and number >= faults.corrupt:
            faults.corrupt, data = 0, sink_faults.corrupted(data)
        added = [(transaction, data)]
        if faults.duplicate and number >= faults.duplicate:
            faults.duplicate = 0
            added.append((transaction, data))
        if faults.ghost and number >= faults.ghost:
            faults.ghost = 0
            added += [sink_faults.ghost(transaction, data), sink_faults.foreign(transaction, data)]
        messages.extend(added)
        self.held += len(added)
        if faults.swap and number >= faults.swap and self._is_waiting(partition, 2):
            faults.swap = 0
            messages[-1], messages[-2] = messages[-2], messages[-1]

    def _is_waiting(self, partition: Partition, count: int) -> bool:
        high = max((cursor.high for cursor in partition.cursors.values()), default=0)
        return partition.end - max(high, partition.base) >= count

    def _offer(self, queue: Queue, group: str, cursor: Cursor) -> None:
        if not cursor.lease and not cursor.in_ready and cursor.position < cursor.partition.end:
            cursor.in_ready = True
            queue.ready[group].append(cursor)

    def pop(self, queue: Queue, group: str, batch: int, spread: int, lease_s: float, auto: bool) -> Given:
        """At most `batch` messages of at most `spread` partitions; empty when there is nothing."""
        ready = self._ready(queue, group)
        given = Given()
        given.lease = "" if auto else str(uuid.UUID(int=next(self._leases)))
        claimed = 0
        while ready and claimed < spread and len(given) < batch:
            cursor = ready.popleft()
            cursor.in_ready = False
            claimed += self._claim(queue, cursor, given, batch - len(given), lease_s)
            if auto:
                self._offer(queue, group, cursor)
        return given

    def _claim(self, queue: Queue, cursor: Cursor, given: Given, most: int, lease_s: float) -> int:
        partition, start = cursor.partition, cursor.position
        stop = min(start + most, partition.end)
        if stop <= start:
            return 0
        offset = start - partition.base
        for place, (transaction, data) in enumerate(
            itertools.islice(partition.messages, offset, stop - partition.base)
        ):
            attempt = cursor.tries + 2 if start + place < cursor.high else 1
            given.append((partition, transaction, data, attempt))
        cursor.tries = cursor.tries + 1 if start < cursor.high else 0
        cursor.high = max(cursor.high, stop)
        if given.lease:
            cursor.lease, cursor.until = given.lease, time.monotonic() + lease_s
            queue.leased.add(cursor)
        else:
            self._move(cursor, stop)
        faults = self.faults
        if faults.early and self.stored >= faults.early and given.lease and stop < partition.end:
            # The rest goes to somebody else while this part is leased.
            faults.early = 0
            cursor.lease, cursor.position = "", stop
            queue.leased.discard(cursor)
            self._offer(queue, next(g for g, c in partition.cursors.items() if c is cursor), cursor)
        return 1

    def _ready(self, queue: Queue, group: str) -> deque[Cursor]:
        found = queue.ready.get(group)
        if found is None:
            found = queue.ready[group] = deque()
            for partition in queue.partitions.values():
                cursor = partition.cursors[group] = Cursor(partition)
                self._offer(queue, group, cursor)
        return found

    def _move(self, cursor: Cursor, position: int) -> None:
        cursor.position = max(cursor.position, position)
        self.held -= cursor.partition.trim()

    def ack(self, queue: Queue, group: str, partition: Partition, lease: str, items: list[tuple[str, str]]) -> bool:
        """Items are (transaction id, status), in order. False: the lease is over, and nothing was done."""
        cursor = partition.cursors[group]
        if cursor.lease != lease:
            # After the `early` fault the first part's lease is not the cursor's any longer: let it pass.
            return cursor.position >= cursor.high or self._passed(cursor, items)
        for transaction, status in items:
            if status in ("retry", "failed"):
                self._give_back(queue, group, cursor, status)
                return True
            while cursor.position < cursor.high:
                found = partition.messages[cursor.position - partition.base][0] == transaction
                self._move(cursor, cursor.position + 1)
                if found:
                    cursor.tries = cursor.failures = 0
                    break
        if cursor.position >= cursor.high:
            self._release(queue, group, cursor)
        return True

    def _passed(self, cursor: Cursor, items: list[tuple[str, str]]) -> bool:
        live = itertools.islice(cursor.partition.messages, max(0, cursor.position - cursor.partition.base), None)
        waiting = {transaction for transaction, _ in live}
        return all(transaction not in waiting for transaction, _ in items)

    def _give_back(self, queue: Queue, group: str, cursor: Cursor, status: str) -> None:
        if status == "failed":
            cursor.failures += 1
            if cursor.failures > RETRY_LIMIT:
                cursor.failures = cursor.tries = 0
                self._move(cursor, cursor.position + 1)
        self._release(queue, group, cursor)

    def _release(self, queue: Queue, group: str, cursor: Cursor) -> None:
        cursor.lease = ""
        queue.leased.discard(cursor)
        self._offer(queue, group, cursor)

    def expire(self) -> None:
        """End the leases whose time is over."""
        now = time.monotonic()
        for queue in self.queues.values():
            for cursor in [cursor for cursor in queue.leased if cursor.until <= now]:
                group = next(g for g, c in cursor.partition.cursors.items() if c is cursor)
                self._release(queue, group, cursor)
