"""What the options of a queue ask of its pushes before they are stored: room below maxSize, encrypted payloads.

Only queues that have such an option come here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from copy import copy
from typing import TYPE_CHECKING

from queen.engine.room import Room, Rooms
from queen.engine.sealing import Seals

if TYPE_CHECKING:
    from queen.engine.catalog import Partition, Queue
    from queen.engine.push import PushChunk
    from queen.model import NewMessage


class Guard:
    """Looks at pushes of queues that are `guarded`."""

    def __init__(self, rooms: Rooms, seals: Seals) -> None:
        self._rooms = rooms
        self._seals = seals

    async def enter(self, chunks: list[PushChunk]) -> dict[Room, int]:
        """Book room for these, and encrypt what has to be. `leave` must follow.

        Raises QueueFull when one of the queues has no room: then nothing of the request may be stored.
        """
        wanted: Counter[Queue] = Counter()
        for chunk in chunks:
            if chunk.partition.queue.room is not None:
                wanted[chunk.partition.queue] += chunk.weight
        taken = await self._rooms.take(wanted) if wanted else {}
        for chunk in chunks:
            if chunk.partition.queue.encrypted:
                before = sum(len(message.payload) for message in chunk.messages)
                chunk.messages = [self.sealed(message, chunk.partition) for message in chunk.messages]
                chunk.size += sum(len(message.payload) for message in chunk.messages) - before
        return taken

    def leave(self, taken: Mapping[Room, int], chunks: list[PushChunk]) -> None:
        """The push is over, for good or bad."""
        if not taken:
            return
        stored: Counter[Room] = Counter()
        for chunk in chunks:
            room = chunk.partition.queue.room
            if room is not None and chunk.settled and chunk.error is None:
                stored[room] += chunk.weight - sum(row.duplicate for row in chunk.stored or ())
        self._rooms.give_back(taken, stored)

    async def take(self, wanted: Mapping[Queue, int]) -> dict[Room, int]:
        """Book room for a transaction; see `Rooms.take`."""
        return await self._rooms.take(wanted)

    def give_back(self, taken: Mapping[Room, int], stored: Mapping[Room, int]) -> None:
        """The transaction is over; see `Rooms.give_back`."""
        self._rooms.give_back(taken, stored)

    def sealed(self, message: NewMessage, partition: Partition) -> NewMessage:
        """A copy with its payload encrypted for its place. The caller's own stays: it may push it once more."""
        found = copy(message)
        found.payload = self._seals.seal(message.payload, partition, message.transaction_id)
        return found
