"""maxSize: whether a queue has room for a push. A full one refuses at once; nothing here waits for room.

    messages of a push → `Rooms.take` → QueueFull, or booked as in flight → `Rooms.give_back` with how many were stored

How full a queue is = what its slowest group waited for at the last reading (`undelivered.sql`)
                      + what this server stored since that reading began + what it has in flight.

So it is never too low by what this server stored, and too low by what others stored since the reading: with several
servers a queue may get fuller than its maxSize by about what they store in that time. Readings are made in the
background, many queues in a call, and only of queues with the option that somebody pushed to lately; a page of
partitions a call, and the less often the longer they take. What is known of a queue that nobody pushed to for a while
says nothing any more: the next push waits a moment for a reading, and goes on without it when that takes long.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from queen import errors
from queen.store.base import Store

if TYPE_CHECKING:
    from queen.engine.catalog import Queue

log = logging.getLogger(__name__)

TICK_S = 0.25
"""A queue without room is read this often."""
_READ_EVERY_S = 1.0
_STALE_S = 5.0
_WAIT_S = 0.25
"""Longest wait of a push for the reading of a queue of which nothing is known; one of many partitions takes longer."""
_REST_TIMES, _STALE_TIMES = 10, 30
"""A queue is not read for so many times as long as its last reading took, and is stale after so many times."""
_PUSHED_LATELY_S = 10.0
_QUEUES_PER_CALL = 50
_PARTITIONS_PER_CALL, _PARTITIONS_MIN = 10_000, 200
"""Of all queues of a call together, and of each at least."""
_RETRY_AFTER_MS = 1000


class Room:
    """How full one queue is, as far as this server knows."""

    __slots__ = ("asked_at", "began_at", "depth", "flying", "is_full", "queue_id", "read_at", "reading", "size_max",
                 "stored", "took_s")  # fmt: skip

    def __init__(self, queue_id: int, size_max: int) -> None:
        self.queue_id = queue_id
        self.size_max = size_max
        self.depth = 0
        self.stored = 0
        self.flying = 0
        self.is_full = False
        self.asked_at = self.began_at = self.read_at = float("-inf")  # on the loop's clock
        self.took_s = 0.0
        self.reading: asyncio.Task[None] | None = None

    @property
    def used(self) -> int:
        """How many messages its slowest group waits for, in flight included."""
        return self.depth + self.stored + self.flying


class Rooms:
    """The rooms of this server's queues."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._loop = asyncio.get_running_loop()
        self._active: dict[int, Room] = {}

    async def take(self, wanted: Mapping[Queue, int]) -> dict[Room, int]:
        """Book room for so many messages in each of these queues; `give_back` must follow.

        Raises QueueFull when one of them has not enough: then nothing is booked. Raises what the store raises.
        """
        asked = [(queue, queue.room, count) for queue, count in wanted.items() if queue.room is not None]
        now = self._loop.time()
        for _, room, _ in asked:
            room.asked_at = now
            self._active[room.queue_id] = room
            if now - room.read_at > max(_STALE_S, _STALE_TIMES * room.took_s):
                await self._learn(room)
        for queue, room, count in asked:
            if room.used + count > room.size_max:
                room.is_full = True
                raise _full(queue, room, count)
        for _, room, count in asked:
            room.flying += count
        return {room: count for _, room, count in asked}

    def give_back(self, taken: Mapping[Room, int], stored: Mapping[Room, int]) -> None:
        """What was booked is not in flight any more; `stored` says how much of it is in the queue now."""
        for room, count in taken.items():
            room.flying -= count
            room.stored += stored.get(room, 0)

    async def tick(self) -> None:
        """Read the rooms that are in use and were not read for long enough; no call when there are none."""
        now = self._loop.time()
        due = []
        for number, room in list(self._active.items()):
            if now - room.asked_at > _PUSHED_LATELY_S:
                del self._active[number]
            elif room.reading is None and now - room.read_at >= max(
                0 if room.is_full else _READ_EVERY_S, _REST_TIMES * room.took_s
            ):
                due.append(room)
        for first in range(0, len(due), _QUEUES_PER_CALL):
            # Some may be on their way by now, for a push that could not wait for this.
            rooms = [room for room in due[first : first + _QUEUES_PER_CALL] if room.reading is None]
            if not rooms:
                continue
            try:
                await asyncio.shield(self._begin(rooms))
            except errors.StoreUnavailable as error:
                log.debug("cannot read how full queues are error=%s", error.message)  # The pool tells of an outage.
                return

    async def _learn(self, room: Room) -> None:
        """Wait for a reading, as long as it is young. Raises what the store raises."""
        reading = self._begin([room])
        left = room.began_at + _WAIT_S - self._loop.time()
        if left > 0:
            done, _ = await asyncio.wait({reading}, timeout=left)
            for task in done:
                task.result()

    def _begin(self, rooms: list[Room]) -> asyncio.Task[None]:
        """Read these; one that is being read is not read once more."""
        if len(rooms) == 1 and rooms[0].reading is not None:
            return rooms[0].reading
        task = self._loop.create_task(self._read(rooms))
        for room in rooms:
            room.reading, room.began_at = task, self._loop.time()
        task.add_done_callback(_forget_failure)
        return task

    async def _read(self, rooms: list[Room]) -> None:
        began_at = self._loop.time()
        before = {room: room.stored for room in rooms}
        try:
            depths = await self._depths([room.queue_id for room in rooms])
        finally:
            for room in rooms:
                room.reading = None
        for room, stored in before.items():
            room.depth = depths.get(room.queue_id, 0)
            # What was stored while it was read may be in both numbers until the next time.
            room.stored -= stored
            room.read_at = self._loop.time()
            room.took_s = room.read_at - began_at
            room.is_full = room.used >= room.size_max

    async def _depths(self, queue_ids: list[int]) -> dict[int, int]:
        """What the slowest group of each queue waits for."""
        kept: dict[int, int] = {}
        passed: dict[int, dict[str, int]] = {}
        afters = dict.fromkeys(queue_ids, 0)
        while afters:
            limit = max(_PARTITIONS_MIN, _PARTITIONS_PER_CALL // len(afters))
            rows = await self._store.undelivered(list(afters), list(afters.values()), limit)
            afters = {}
            for queue_id, group, messages, last in rows:
                if group is None:
                    kept[queue_id] = kept.get(queue_id, 0) + messages
                    if last is not None:
                        afters[queue_id] = last
                else:
                    groups = passed.setdefault(queue_id, {})
                    groups[group] = groups.get(group, 0) + messages
        return {
            queue_id: messages - min(passed.get(queue_id, {}).values(), default=0)
            for queue_id, messages in kept.items()
        }


def _full(queue: Queue, room: Room, count: int) -> errors.QueueFull:
    if count > room.size_max:
        return errors.QueueFull(
            f"{count} messages for queue {queue.name!r}, whose maxSize is {room.size_max}",
            hint="split the request, or raise maxSize of the queue",
            retry_after_ms=_RETRY_AFTER_MS,
        )
    return errors.QueueFull(
        f"queue {queue.name!r} is full: {room.used} messages wait for its slowest consumer group, "
        f"{room.size_max} is its maxSize",
        hint="send again after Retry-After; consume faster, delete groups that nobody uses, or raise maxSize",
        retry_after_ms=_RETRY_AFTER_MS,
    )


def _forget_failure(task: asyncio.Task[None]) -> None:
    """Whoever began it may have left; a failure that nobody takes is no reason to complain."""
    if not task.cancelled():
        task.exception()
