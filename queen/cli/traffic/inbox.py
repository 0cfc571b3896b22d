"""The bounded waiting line in front of one lane: messages in, batches out, order kept.

A batch leaves when it is full, when the oldest message has lingered long enough, or when the line is closed. The lane
takes the next batch only after the answer to the last one, so batches grow by themselves while a push is in flight.
Bounds: a batch holds at most `batch` messages and about `BATCH_BYTES_MAX`; the line holds at most two batches.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress

from queen.client import NewMessage

BATCH_BYTES_MAX = 8 * 1024 * 1024
Entry = tuple[NewMessage, int]
"""A message and about how many bytes it takes in the request."""


class Inbox:
    """One producer of messages, one lane that takes them."""

    def __init__(self, batch: int, linger_s: float) -> None:
        self._batch = batch
        self._linger_s = linger_s
        self._entries: deque[Entry] = deque()
        self._bytes = 0
        self._closed = False
        self._changed = asyncio.Event()
        self._space = asyncio.Event()

    @property
    def is_full(self) -> bool:
        """Would `put` wait?"""
        return len(self._entries) >= 2 * self._batch or self._bytes >= 2 * BATCH_BYTES_MAX

    async def put(self, entry: Entry) -> None:
        """Add a message; waits while the line is full."""
        while self.is_full:
            self._space.clear()
            await self._space.wait()
        self._entries.append(entry)
        self._bytes += entry[1]
        if len(self._entries) == 1 or self._full():
            self._changed.set()

    def close(self) -> None:
        """Nothing more will come; what is in the line still leaves."""
        self._closed = True
        self._changed.set()

    def abandon(self) -> int:
        """Close and drop what is in the line; returns how many messages that were."""
        dropped = len(self._entries)
        self._entries.clear()
        self._bytes = 0
        self.close()
        self._space.set()
        return dropped

    async def take(self) -> list[NewMessage]:
        """The next batch; empty when the line is closed and drained."""
        while not self._entries and not self._closed:
            self._changed.clear()
            await self._changed.wait()
        if not self._full() and not self._closed:
            await self._linger()
        batch = self._cut()
        self._space.set()
        return batch

    async def _linger(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._linger_s):
                while not self._full() and not self._closed:
                    self._changed.clear()
                    await self._changed.wait()

    def _full(self) -> bool:
        return len(self._entries) >= self._batch or self._bytes >= BATCH_BYTES_MAX

    def _cut(self) -> list[NewMessage]:
        """Up to a batch from the front, below the byte bound; a single message above the bound goes alone."""
        batch: list[NewMessage] = []
        size = 0
        while (
            self._entries and len(batch) < self._batch and (not batch or size + self._entries[0][1] <= BATCH_BYTES_MAX)
        ):
            message, message_bytes = self._entries.popleft()
            batch.append(message)
            size += message_bytes
        self._bytes -= size
        return batch
