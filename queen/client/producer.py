"""Gathers messages and pushes them in batches. Bounded, in order, and nothing is lost silently.

    put → buffer of a lane → one push in flight → the next …       lanes side by side, a partition in one lane

Invariants
- A lane has one push in flight, and a partition belongs to one lane: the order of the puts is the order stored.
- `put` waits while the buffer is full, in messages or in bytes.
- Every message that was taken ends stored or in the list that an error hands back. After a message that was not
  stored nothing more is sent until the caller has been told: what comes behind would be stored before it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import NamedTuple, Self, TypedDict

from queen.client.messages import NewMessage, Pushed, encode_message
from queen.client.plane import MessagePlane
from queen.client.tasks import cancel
from queen.errors import InvalidRequest, MessagesNotStored, QueenError

log = logging.getLogger(__name__)

_PUSH_BYTES_MAX = 4 << 20
_STORED = ("queued", "duplicate", "buffered")


class ProducerOptions(TypedDict, total=False):
    """How to gather. Whatever is left out has the default that stands with it."""

    batch: int
    """Most messages of one push. 100."""
    linger_ms: float
    """How long a message waits for others to join its push, in milliseconds. 20."""
    buffer_max: int
    """Most messages that wait or are under way. 10,000."""
    buffer_bytes_max: int
    """The same in bytes of JSON; a single larger message is taken when nothing else waits. 64 MiB."""
    concurrency: int
    """Lanes: pushes under way at once. 4."""


class Unstored(NamedTuple):
    """A message that is not stored, and why. `unknown`: it was sent and no answer came, so it may be stored after all;
    putting the same object again is safe, since it keeps its transaction id."""

    message: NewMessage
    reason: str
    unknown: bool = False


@dataclass(slots=True)
class Produced:
    """Messages so far: stored, and of these known before under the same transaction id."""

    stored: int = 0
    duplicates: int = 0


class _Waiting(NamedTuple):
    message: NewMessage
    encoded: bytes


class _Lane:
    """Messages that wait for one sender, in order. `fed` is set while there are some, `full` when a push is full."""

    __slots__ = ("fed", "full", "waiting")

    def __init__(self) -> None:
        self.waiting: deque[_Waiting] = deque()
        self.fed = asyncio.Event()
        self.full = asyncio.Event()


class Producer:
    """One producer; an async context manager that stores the rest when it is left. Safe for many tasks at once."""

    def __init__(
        self,
        client: MessagePlane,
        *,
        batch: int = 100,
        linger_ms: float = 20,
        buffer_max: int = 10_000,
        buffer_bytes_max: int = 64 << 20,
        concurrency: int = 4,
    ) -> None:
        if min(batch, buffer_max, buffer_bytes_max, concurrency) < 1 or linger_ms < 0:
            raise InvalidRequest("batch, the bounds of the buffer and concurrency are at least 1, linger_ms 0")
        self._client = client
        self._batch = batch
        self._linger_s = linger_ms / 1000
        self._buffer_max = buffer_max
        self._bytes_max = buffer_bytes_max
        self._lanes = [_Lane() for _ in range(concurrency)]
        self._senders: list[asyncio.Task[None]] = []
        self._count = 0
        self._bytes = 0
        self._unstored: list[Unstored] = []
        self._cause: Exception | None = None
        self._changed = asyncio.Condition()
        self._flushing = 0
        self._closed = False
        self.produced = Produced()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def pending(self) -> int:
        """Messages that wait or are under way."""
        return self._count

    async def put(self, message: NewMessage) -> None:
        """Take a message to be stored soon; waits while the buffer is full. When this raises, the message was not
        taken: InvalidRequest for a payload that cannot be JSON, MessagesNotStored when earlier messages were not
        stored."""
        item = _Waiting(message, encode_message(message))
        async with self._changed:
            await self._changed.wait_for(lambda: self._has_room(len(item.encoded)))
            self._raise_unstored()
            if self._closed:
                raise InvalidRequest("this producer is closed")
            self._take(item)

    async def put_all(self, messages: Iterable[NewMessage]) -> None:
        """Take messages one after the other. When this raises, those before the one at fault were taken."""
        for message in messages:
            await self.put(message)

    async def flush(self) -> None:
        """Wait until everything taken is stored; what other tasks put meanwhile as well. Raises MessagesNotStored when
        something is not: `unstored` then holds all of it, in order, and the producer goes on with what is put next."""
        self._hurry(1)
        try:
            async with self._changed:
                await self._changed.wait_for(lambda: self._count == 0)
                self._raise_unstored()
        finally:
            self._hurry(-1)

    async def close(self) -> None:
        """Store the rest and end. Raises like `flush`; cancelled, it ends at once, and what was not stored is told to
        the log. A second call does nothing."""
        if self._closed:
            return
        self._closed = True
        try:
            await self.flush()
        finally:
            await asyncio.gather(*map(cancel, self._senders))
            if self._count:
                log.error("producer_closed unstored=%d", self._count)

    def _has_room(self, size: int) -> bool:
        """May a put go on: to take its message, or to be told that it cannot?"""
        if self._unstored:
            # When nothing is under way any more the list is whole.
            return not self._count
        if self._closed or not self._count:
            return True
        return self._count < self._buffer_max and self._bytes + size <= self._bytes_max

    def _take(self, item: _Waiting) -> None:
        if not self._senders:
            self._senders = [asyncio.create_task(self._send(lane)) for lane in self._lanes]
        self._count += 1
        self._bytes += len(item.encoded)
        lane = self._lanes[hash((item.message.queue, item.message.partition)) % len(self._lanes)]
        lane.waiting.append(item)
        lane.fed.set()
        if len(lane.waiting) >= self._batch or self._flushing:
            lane.full.set()

    def _hurry(self, change: int) -> None:
        """While somebody flushes, nothing lingers."""
        self._flushing += change
        if self._flushing:
            for lane in self._lanes:
                lane.full.set()

    async def _send(self, lane: _Lane) -> None:
        while True:
            await lane.fed.wait()
            if not lane.full.is_set() and self._linger_s:
                try:
                    async with asyncio.timeout(self._linger_s):
                        await lane.full.wait()
                except TimeoutError:
                    pass
            await self._push(self._next_batch(lane))

    def _next_batch(self, lane: _Lane) -> list[_Waiting]:
        batch: list[_Waiting] = []
        size = 0
        while lane.waiting and len(batch) < self._batch:
            size += len(lane.waiting[0].encoded)
            if batch and size > _PUSH_BYTES_MAX:
                break
            batch.append(lane.waiting.popleft())
        if not lane.waiting:
            lane.fed.clear()
        if len(lane.waiting) < self._batch and not self._flushing:
            lane.full.clear()
        return batch

    async def _push(self, batch: list[_Waiting]) -> None:
        try:
            if self._unstored:
                self._hold_back(batch)
            else:
                self._note(batch, await self._client.push_encoded([item.encoded for item in batch]))
        except Exception as error:  # Whatever it is, the caller must hear of these messages.
            self._cause = self._cause or error
            unknown = not isinstance(error, QueenError) or error.retryable
            self._unstored += [Unstored(item.message, str(error), unknown) for item in batch]
        async with self._changed:
            self._count -= len(batch)
            self._bytes -= sum(len(item.encoded) for item in batch)
            self._changed.notify_all()

    def _hold_back(self, batch: list[_Waiting]) -> None:
        reason = "not sent, because an earlier message was not stored"
        self._unstored += [Unstored(item.message, reason) for item in batch]

    def _note(self, batch: list[_Waiting], results: list[Pushed]) -> None:
        for item, result in zip(batch, results, strict=True):
            if result.status in _STORED:
                self.produced.stored += 1
                self.produced.duplicates += result.status == "duplicate"
            else:
                self._unstored.append(Unstored(item.message, result.error or f"status {result.status!r}"))

    def _raise_unstored(self) -> None:
        if self._unstored:
            unstored, self._unstored = self._unstored, []
            cause, self._cause = self._cause, None
            first = unstored[0]
            text = f"{len(unstored)} messages were not stored; the first: {first.reason}"
            raise MessagesNotStored(text, unstored=unstored) from cause
