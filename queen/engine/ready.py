"""Which partitions have work for a group, and who waits for it. One `ReadySet` per (queue, group).

A hint only ever means "look": a pop takes partitions from here, and the database decides. States of a partition in a
ready set: ready (in `ready`), held (in `held`: a pop is looking at it, or it is leased, or held back), or neither
(nothing known to be there). The transitions:

    offer    a push, a sweep, a returned lease          neither → ready, and one waiter is woken
    take     a pop picks it up                          ready → held
    hold     it is leased, or held back                      → held, with a new end
    free     its lease ended, or the pop got nothing    held → ready if there is more, else neither

Waiters are woken one per partition, first come first served, those who want that very partition before the others.
A woken waiter looks again; if it has gone meanwhile, `nudge` passes its turn on. So a lost hint costs one sweep and
never a message.

A hold has an end after which it is not believed, so that no mishap can hide a partition for good.

What a read of the database says of leases is old when it arrives: the partition may have been freed or held meanwhile.
So reads are announced (`begin_read`, `end_read`), and what was freed or held in between stands in `changed`: there the
read is not believed.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable
from typing import TYPE_CHECKING

from queen import errors

LOOK_TAKES_AT_MOST_S = 90.0

if TYPE_CHECKING:
    from queen.engine.catalog import Partition, Queue


class Waiter:
    """A parked poll. It may stand in several ready sets; the first to wake it takes it out of all."""

    __slots__ = ("future", "partition_id", "sets")

    def __init__(self, sets: list[ReadySet], partition_id: int | None, *, first: bool = False) -> None:
        self.sets = sets
        self.partition_id = partition_id
        self.future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        for ready in sets:
            ready.park(self, first=first)

    def wake(self, look: bool) -> None:
        """End the wait: `look` again, or the time is up."""
        self.leave()
        if not self.future.done():
            self.future.set_result(look)

    def leave(self) -> None:
        """Stand in no line any more."""
        for ready in self.sets:
            ready.unpark(self)


class ReadySet:
    """The partitions of one queue with work for one group, and the polls that wait for it."""

    __slots__ = (
        "_reads",
        "acked",
        "back",
        "by_partition",
        "changed",
        "closed",
        "delayed",
        "epochs",
        "group",
        "group_bytes",
        "held",
        "locked",
        "page",
        "pauses",
        "queue",
        "ready",
        "starts",
        "sweep_after",
        "sweeping",
        "swept",
        "turn",
        "used_at",
        "waiters",
    )

    def __init__(self, queue: Queue, group: str) -> None:
        self.queue = queue
        self.group = group
        self.group_bytes = group.encode()
        self.ready: dict[int, Partition] = {}
        self.acked: dict[int, int] = {}  # how far some of `ready` are acked, so that their depth is known
        self.held: dict[int, float] = {}  # until when, on the loop's clock
        self.back: dict[int, Partition] = {}  # those of `held` that wait for a time, and for no lease of this server
        self.pauses: dict[int, float] = {}  # of those held elsewhere: the wait before the last look
        self.delayed: dict[int, Partition] = {}  # those held back by the age of their first message
        self.locked: dict[int, int] = {}  # how often in a row nothing was leased and nothing seemed to be in the way
        self.epochs: dict[int, int] = {}  # where a cursor stands that is behind the partition's newest epoch
        self.waiters: OrderedDict[Waiter, None] = OrderedDict()
        self.by_partition: dict[int, OrderedDict[Waiter, None]] = {}
        self.swept = False
        self.turn = 0  # when a pop over several queues took from it last, by the count of such pops
        self.sweep_after = 0
        self.sweeping: asyncio.Task[None] | None = None
        self.page: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.used_at = 0.0
        self.closed = False
        self.starts = 0  # how often cursors were set to another place: what was asked for before knows nothing of it
        self.changed: set[int] = set()
        self._reads = 0

    def offer(self, partition: Partition, before: int = 0) -> None:
        """There may be work in this partition; with `before`, where it ended until now, so much at least, because all
        that nobody has or offers is acked as a rule."""
        if partition.id in self.ready or self.is_held(partition.id):
            return  # in ready: a waiter was woken for it already
        self.ready[partition.id] = partition
        if before:
            self.acked[partition.id] = before - 1
        self._wake_one(partition.id)

    def is_held(self, partition_id: int) -> bool:
        """Does somebody have the partition, as far as is known here?"""
        until = self.held.get(partition_id)
        return until is not None and until > asyncio.get_running_loop().time()

    def take(self, count: int, messages: int, only: int | None) -> tuple[list[Partition], int]:
        """Up to `count` partitions, the longest waiting first, or just the one asked for; no more than may be needed
        for so many messages, so that the others are left for the next pop. And how many messages these hold at least,
        as far as is known. They are held afterwards."""
        found = 0
        if only is not None:
            keys = [only] if only in self.ready else []
        else:
            keys = []
            for key, partition in self.ready.items():
                if len(keys) >= count or found >= messages:
                    break
                keys.append(key)
                found += partition.head - self.acked[key] - 1 if key in self.acked else 1
        taken = [self.ready.pop(key) for key in keys]
        for key in keys:
            self.acked.pop(key, None)
        if taken:
            until = asyncio.get_running_loop().time() + LOOK_TAKES_AT_MOST_S
            for partition in taken:
                self.held[partition.id] = until
        return taken, found

    def free(self, partition: Partition, *, more: bool, acked: int | None = None) -> None:
        """Nobody holds the partition any more; `more` says whether something is left in it, behind `acked` if that is
        known."""
        if self._reads:
            self.changed.add(partition.id)
        self.held.pop(partition.id, None)
        if self.back:
            self.back.pop(partition.id, None)
        if self.delayed:
            self.delayed.pop(partition.id, None)
        if more:
            self.offer(partition, 0 if acked is None else acked + 1)

    def look_again(self) -> None:
        """What held partitions back by age has changed: they are ready until somebody has looked."""
        for partition in list(self.delayed.values()):
            self.free(partition, more=True)

    def freed_elsewhere(self, partition: Partition, acked: int, ours: bool) -> None:
        """Another server settled a lease: one of `ours`, or one for which the partition was held back here."""
        if ours or partition.id in self.back:
            self.pauses.pop(partition.id, None)
            self.free(partition, more=acked + 1 < partition.head)
            return
        if self._reads:
            self.changed.add(partition.id)
        if acked + 1 < partition.head:
            self.offer(partition)

    def begin_read(self) -> None:
        """A read of cursors begins whose answer will be applied to this set."""
        self._reads += 1

    def end_read(self) -> None:
        """The answer was applied."""
        self._reads -= 1
        if not self._reads:
            self.changed.clear()

    def hold(self, partition_id: int, until: float) -> None:
        """Nothing can be leased here until then."""
        if self._reads:
            self.changed.add(partition_id)
        self.ready.pop(partition_id, None)
        self.acked.pop(partition_id, None)
        if self.delayed:
            self.delayed.pop(partition_id, None)
        self.held[partition_id] = until
        if self.back:
            self.back.pop(partition_id, None)

    def hold_back(self, partition: Partition, until: float) -> None:
        """Nothing can be leased here until then, and the reason may go away earlier: see `reconsider`."""
        self.hold(partition.id, until)
        self.back[partition.id] = partition

    def reconsider(self) -> None:
        """The options of the queue changed, or leases may have ended unheard of: look at all that is held back."""
        self.pauses.clear()
        for partition in list(self.back.values()):
            self.free(partition, more=True)

    def wants(self, partition_id: int) -> bool:
        """Does a poll wait that this partition could serve?"""
        return bool(self.waiters) or partition_id in self.by_partition

    def forget(self, partition_id: int) -> None:
        """The partition is gone."""
        self.ready.pop(partition_id, None)
        self.acked.pop(partition_id, None)
        self.held.pop(partition_id, None)
        self.back.pop(partition_id, None)
        self.pauses.pop(partition_id, None)
        self.delayed.pop(partition_id, None)
        self.epochs.pop(partition_id, None)
        self.locked.pop(partition_id, None)

    def start_anew(self, partition: Partition | None = None) -> None:
        """The group's cursors, or the one on a partition, were set to another place: nothing that is known holds."""
        self.starts += 1
        if partition is None:
            self.swept = False
            for known in (self.ready, self.acked, self.held, self.back, self.pauses, self.delayed, self.epochs):
                known.clear()
            return
        self.forget(partition.id)
        if self._reads:
            self.changed.add(partition.id)
        self.offer(partition)

    def nudge(self) -> None:
        """Work and waiters may stand side by side after a woken one left: wake as many as there is work for."""
        if not self.ready or not (self.waiters or self.by_partition):
            return
        for partition_id in list(self.ready):
            self._wake_one(partition_id)

    def close(self) -> None:
        """The queue or the group is gone: everyone looks again."""
        self.closed = True
        self.ready.clear()
        self.acked.clear()
        self.held.clear()
        self.back.clear()
        self.pauses.clear()
        self.delayed.clear()
        for waiter in list(self._all_waiters()):
            waiter.wake(True)

    def turn_page(self) -> None:
        """A page of a sweep is through: whoever waits for it looks, and the next page has a future of its own."""
        page, self.page = self.page, asyncio.get_running_loop().create_future()
        if not page.done():
            page.set_result(None)

    def fail_page(self, error: errors.QueenError) -> None:
        """The sweep broke off."""
        page, self.page = self.page, asyncio.get_running_loop().create_future()
        if not page.done():
            page.set_exception(error)
            page.exception()  # Nobody may be waiting; that is no reason to complain at the end.

    def dismiss(self) -> None:
        """The server stops: every parked poll ends empty."""
        for waiter in list(self._all_waiters()):
            waiter.wake(False)

    def park(self, waiter: Waiter, *, first: bool = False) -> None:
        """Put a waiter at the end of its line; `first`: at its head, for one that was woken in vain."""
        if waiter.partition_id is None:
            line = self.waiters
        else:
            line = self.by_partition.setdefault(waiter.partition_id, OrderedDict())
        line[waiter] = None
        if first:
            line.move_to_end(waiter, last=False)

    def unpark(self, waiter: Waiter) -> None:
        """Take a waiter out of its line."""
        if waiter.partition_id is None:
            self.waiters.pop(waiter, None)
            return
        line = self.by_partition.get(waiter.partition_id)
        if line is not None:
            line.pop(waiter, None)
            if not line:
                del self.by_partition[waiter.partition_id]

    @property
    def parked(self) -> int:
        """How many polls wait here."""
        return len(self.waiters) + sum(len(line) for line in self.by_partition.values())

    def _wake_one(self, partition_id: int) -> None:
        line = self.by_partition.get(partition_id) or self.waiters
        if line:
            next(iter(line)).wake(True)

    def _all_waiters(self) -> Iterable[Waiter]:
        yield from self.waiters
        for line in self.by_partition.values():
            yield from line
