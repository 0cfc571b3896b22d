"""The leases this server handed out: which transaction ids stand where, and when each ends.

Memory only, and only a help: an ack that finds its lease here needs no look-up, and a lease that runs out here makes
its partitions ready again. A lease that was forgotten, or handed out by another server, is settled by the database.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import OrderedDict

from queen.engine.catalog import Partition
from queen.engine.ready import ReadySet
from queen.engine.stats import Stats
from queen.store.base import Span

_LOOK_AGAIN_S, _LOOK_AGAIN_MAX_S = 1.0, 5.0
_GRACE_S = 1.0
_HELD_BACK_S_MAX = 600.0


class LeasedSpan:
    """What one partition contributed to a lease."""

    __slots__ = (
        "_positions",
        "_repeated",
        "first_offset",
        "last_offset",
        "offsets",
        "partition",
        "ready",
        "transaction_ids",
    )

    def __init__(self, ready: ReadySet, partition: Partition, span: Span) -> None:
        self.ready = ready
        self.partition = partition
        self.first_offset = span.first_offset
        self.offsets = span.offsets
        self.transaction_ids = span.transaction_ids
        self.last_offset = span.offsets[-1] if span.offsets else span.first_offset + len(span.transaction_ids) - 1
        self._positions: dict[bytes, int] | None = None
        self._repeated: dict[bytes, list[int]] | None = None

    def offsets_of(self, transaction_ids: list[bytes]) -> list[int | None]:
        """Where transaction ids stand in this span, None for those that do not.

        An id that stands at several offsets (deduplication off) means the lowest, and repeated in one call the next.
        """
        if self._positions is None:
            self._positions = self._index()
        if self._repeated is None:
            return [self._positions.get(transaction_id) for transaction_id in transaction_ids]
        return self._next_ones(transaction_ids, self._repeated)

    def _index(self) -> dict[bytes, int]:
        """The lowest offset of each id; `_repeated` gets all offsets when some id has several."""
        count = len(self.transaction_ids)
        offsets = self.offsets or range(self.first_offset, self.first_offset + count)
        # Backwards, so that of equal ids the lowest offset is what stays.
        positions = dict(zip(reversed(self.transaction_ids), reversed(offsets), strict=True))
        if len(positions) < count:
            self._repeated = {}
            for transaction_id, offset in zip(self.transaction_ids, offsets, strict=True):
                self._repeated.setdefault(transaction_id, []).append(offset)
        return positions

    def _next_ones(self, transaction_ids: list[bytes], repeated: dict[bytes, list[int]]) -> list[int | None]:
        seen: dict[bytes, int] = {}
        found: list[int | None] = []
        for transaction_id in transaction_ids:
            offsets = repeated.get(transaction_id)
            nth = seen[transaction_id] = seen.get(transaction_id, -1) + 1
            found.append(offsets[min(nth, len(offsets) - 1)] if offsets else None)
        return found


class Lease:
    """One lease id: its group, its spans by partition, and the end of it on this process's clock."""

    __slots__ = ("group", "id", "messages", "spans", "until")

    def __init__(self, lease_id: str, group: str, until: float) -> None:
        self.id = lease_id
        self.group = group
        self.until = until
        self.spans: dict[int, LeasedSpan] = {}
        self.messages = 0


class Leases:
    """All leases of this server, bounded by the number of messages they cover."""

    def __init__(self, stats: Stats, messages_max: int) -> None:
        self._counters = stats.counters
        self._messages_max = messages_max
        self._messages = 0
        self._leases: OrderedDict[str, Lease] = OrderedDict()
        self._ends: list[tuple[float, int, Lease]] = []
        self._held: list[tuple[float, int, ReadySet, Partition]] = []
        self._sequence = itertools.count()
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0  # not asked of the handle: uvloop's has no `when` if the time is now

    def __len__(self) -> int:
        return len(self._leases)

    def get(self, lease_id: str) -> Lease | None:
        """The lease, if this server handed it out and it is not settled."""
        return self._leases.get(lease_id)

    def add(self, lease: Lease) -> None:
        """Remember a lease; the oldest ones make room when too many messages are covered."""
        for span in lease.spans.values():
            span.ready.hold(span.partition.id, lease.until + _GRACE_S)
            if span.ready.pauses:
                span.ready.pauses.pop(span.partition.id, None)
        lease.messages = sum([len(span.transaction_ids) for span in lease.spans.values()])
        self._leases[lease.id] = lease
        self._messages += lease.messages
        heapq.heappush(self._ends, (lease.until, next(self._sequence), lease))
        if len(self._ends) > 2 * len(self._leases) + 1000:
            # Most leases are settled long before their end; without this the heap keeps them until then.
            self._ends = [(own.until, next(self._sequence), own) for own in self._leases.values()]
            heapq.heapify(self._ends)
        self._arm()
        while self._messages > self._messages_max and len(self._leases) > 1:
            # Its partitions come back by the sweep after its end; its acks are looked up.
            _, oldest = self._leases.popitem(last=False)
            self._messages -= oldest.messages
            for span in oldest.spans.values():
                self.hold(span.ready, span.partition, oldest.until - self._loop.time())

    def settle(self, lease: Lease, partition_id: int) -> None:
        """The lease is over for one partition."""
        lease.spans.pop(partition_id, None)
        if not lease.spans and self._leases.pop(lease.id, None) is not None:
            self._messages -= lease.messages

    def settled_elsewhere(self, lease_id: str, partition_id: int) -> bool:
        """Another server settled a lease for this partition. Was it one of ours?"""
        lease = self._leases.get(lease_id)
        if lease is None or partition_id not in lease.spans:
            return False
        self.settle(lease, partition_id)
        return True

    def forget(self, ready: ReadySet, partition_id: int = 0) -> None:
        """The leases of this set were ended by no ack: those on one partition, or on all for 0."""
        for lease in list(self._leases.values()):
            if lease.group != ready.group:
                continue
            for number, span in list(lease.spans.items()):
                if span.ready is ready and partition_id in (0, number):
                    self.settle(lease, number)

    def extended(self, lease_id: str, lease_ms: int) -> None:
        """The database moved the end of this lease."""
        lease = self._leases.get(lease_id)
        if lease is not None:
            lease.until = max(lease.until, self._loop.time() + lease_ms / 1000)
            for span in lease.spans.values():
                span.ready.hold(span.partition.id, lease.until + _GRACE_S)

    def hold_elsewhere(self, ready: ReadySet, partition: Partition, held_ms: int) -> None:
        """A read saw a lease that is not ours, or a retry delay.

        Its early end is announced. As announcements may be lost, it is looked at again anyway, less and less often.
        """
        if partition.id in ready.changed:
            ready.free(partition, more=True)  # The read is older than what happened here.
            return
        pause = ready.pauses.get(partition.id, _LOOK_AGAIN_S)
        ready.pauses[partition.id] = min(2 * pause, _LOOK_AGAIN_MAX_S)
        self.hold(ready, partition, min(held_ms / 1000, pause))

    def hold(self, ready: ReadySet, partition: Partition, seconds: float) -> None:
        """Nothing can be leased here before `seconds` have passed."""
        until = self._loop.time() + seconds
        ready.hold_back(partition, until + _GRACE_S)
        heapq.heappush(self._held, (until, next(self._sequence), ready, partition))
        self._arm()

    def hold_back(self, ready: ReadySet, partition: Partition, held_ms: int) -> None:
        """The first message is too young for another `held_ms`, by the database's clock.

        A long hold is cut: the look in between costs little, and no clock that was set can hide messages for long.
        """
        self.hold(ready, partition, min(held_ms / 1000, _HELD_BACK_S_MAX))
        ready.delayed[partition.id] = partition

    def close(self) -> None:
        """No timer rings any more."""
        if self._timer is not None:
            self._timer.cancel()

    def _arm(self) -> None:
        """One timer, at the earliest end."""
        at = min(heap[0][0] for heap in (self._held, self._ends) if heap)
        if self._timer is None or at < self._timer_at:
            if self._timer is not None:
                self._timer.cancel()
            self._timer, self._timer_at = self._loop.call_at(at, self._expire), at

    def _expire(self) -> None:
        """Make ready again what ran out by now."""
        now = self._loop.time()
        while self._held and self._held[0][0] <= now:
            until, _, ready, partition = heapq.heappop(self._held)
            if ready.held.get(partition.id) == until + _GRACE_S:  # Else something else holds it by now, or nothing.
                ready.free(partition, more=True)
        while self._ends and self._ends[0][0] <= now:
            _, _, lease = heapq.heappop(self._ends)
            if self._leases.get(lease.id) is not lease:
                continue
            if lease.until > now:
                heapq.heappush(self._ends, (lease.until, next(self._sequence), lease))
                continue
            self._counters.leases_expired += 1
            for span in list(lease.spans.values()):
                self.settle(lease, span.partition.id)
                span.ready.free(span.partition, more=True)
        self._timer = None
        if self._held or self._ends:
            self._arm()
