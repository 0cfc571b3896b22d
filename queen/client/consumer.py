"""Takes messages of a queue and hands each to a handler, until it is told to stop.

    pop → handler, message by message → acks → pop → …     by `concurrency` workers side by side

Invariants
- A message is completed only when its handler has returned. Acks are sent when a batch is done, and in a long batch
  about once a second.
- When a handler raises, its message is settled as `on_error` says, and what stands behind it in its partition is not
  handled but comes again after it: the order holds.
- While a batch is worked on its lease is extended. When the lease is lost, nothing more of the batch is handled.
- However a run ends, what was done is acked and what was not begun is given back, as far as a server can be reached.
  What it cannot be told comes again when the lease ends: at least once, never lost.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Literal, TypedDict

from queen.client.lease import Lease, kept
from queen.client.messages import Ack, LeasedBatch, Message
from queen.client.plane import MessagePlane
from queen.client.retry import RetryPolicy, pause_ms
from queen.client.tasks import cancel, race
from queen.errors import InvalidRequest, QueenError

log = logging.getLogger(__name__)

Handler = Callable[[Message], Awaitable[object]]
OnError = Literal["failed", "retry", "dlq"]

_ANSWER_GRACE_S = 0.25
_FAREWELL_S = 2.0
_ACK_AFTER_S = 1.0
_ERROR_LENGTH_MAX = 1000
_PAUSES: Final = RetryPolicy(wait_ms=200, wait_ms_max=5_000)
_EMPTY_PAUSE_S = 1.0
_WAIT_MS_MIN = 100  # Polls that hardly wait would be a storm.


class ConsumeOptions(TypedDict, total=False):
    """How to consume. Whatever is left out has the default that stands with it."""

    group: str | None
    """The consumer group. None: all consumers without a group share the messages."""
    partition: str | None
    """Take from this partition only. None: from all."""
    concurrency: int
    """How many batches are worked on at once, each by one worker. 1."""
    batch: int
    """Most messages that a worker takes at a time. 100."""
    partitions: int
    """Most partitions they are taken from, 0 for no bound. 10."""
    wait_ms: int
    """How long the server waits for messages to come, in milliseconds, at least 100. 30,000."""
    lease_seconds: int
    """Length of a lease, in seconds. It is extended while a batch is worked on, so this is how long the messages of a
    consumer that died stay away from the others. 60."""
    on_error: OnError
    """What becomes of a message whose handler raised: `failed` (again, then a dead letter when the queue's `retryLimit`
    is used up), `retry` (again, without end) or `dlq` (a dead letter at once). `failed`."""
    subscription_mode: str | None
    """Where a new group starts: `all` or `new`. None: as the server is set."""


@dataclass(slots=True)
class Consumed:
    """What a run has done so far, in messages. `lost`: handled, but the ack was refused or could not be sent, so they
    come again. `returned`: taken and given back without having been handled."""

    handled: int = 0
    failed: int = 0
    returned: int = 0
    lost: int = 0


@dataclass(slots=True)
class _Round:
    """One batch in hand: `at` is the place of the next message, `acks` wait to be sent."""

    messages: Sequence[Message]
    acks: list[Ack]
    failed: set[str]
    at: int = 0
    completed: int = 0
    sent_at: float = 0.0

    def left(self) -> list[Message]:
        """What was not begun, but for what stands behind a failed one: the server gives that back by itself."""
        return [message for message in self.messages[self.at :] if message.partition_id not in self.failed]


class Consumer:
    """One run. `consumed` has the counts, also while it runs."""

    def __init__(
        self,
        client: MessagePlane,
        queue: str,
        handler: Handler,
        stop: asyncio.Event,
        *,
        group: str | None = None,
        partition: str | None = None,
        concurrency: int = 1,
        batch: int = 100,
        partitions: int = 10,
        wait_ms: int = 30_000,
        lease_seconds: int = 60,
        on_error: OnError = "failed",
        subscription_mode: str | None = None,
    ) -> None:
        if min(concurrency, batch, lease_seconds) < 1 or partitions < 0 or wait_ms < _WAIT_MS_MIN:
            bounds = f"concurrency, batch and lease_seconds are at least 1, partitions 0, wait_ms {_WAIT_MS_MIN}"
            raise InvalidRequest(bounds)
        self._client = client
        self._queue = queue
        self._handler = handler
        self._stop = stop
        self._group = group
        self._partition = partition
        self._concurrency = concurrency
        self._batch = batch
        self._partitions = partitions
        self._wait_ms = wait_ms
        self._lease_s = lease_seconds
        self._on_error = on_error
        self._mode = subscription_mode
        self.consumed = Consumed()

    async def run(self) -> Consumed:
        """Consume until `stop` is set. Raises what cannot pass by itself, such as AccessDenied; an outage passes."""
        workers = [asyncio.create_task(self._work()) for _ in range(self._concurrency)]
        try:
            await asyncio.wait(workers, return_when=asyncio.FIRST_EXCEPTION)
            for worker in workers:
                if worker.done():
                    worker.result()
        finally:
            await asyncio.gather(*map(cancel, workers))
        return self.consumed

    async def _work(self) -> None:
        in_vain = 0
        while not self._stop.is_set():
            began_at = time.monotonic()
            try:
                batch = await race(self._pop(), self._stop, _ANSWER_GRACE_S)
                if batch is None:
                    return
                if batch.messages:
                    in_vain = 0 if await self._handle(batch) else in_vain + 1
                elif time.monotonic() - began_at < min(_EMPTY_PAUSE_S, self._wait_ms / 2000):
                    # It did not wait: pops may be paused there. That must not become a storm.
                    await race(asyncio.sleep(_EMPTY_PAUSE_S), self._stop)
            except QueenError as error:
                self._check_passes(error)
                in_vain += 1
            if in_vain:
                await race(asyncio.sleep(pause_ms(_PAUSES, in_vain, None) / 1000), self._stop)

    async def _pop(self) -> LeasedBatch:
        return await self._client.pop(
            self._queue,
            partition=self._partition,
            group=self._group,
            batch=self._batch,
            partitions=self._partitions,
            wait=True,
            wait_ms=self._wait_ms,
            lease_seconds=self._lease_s,
            subscription_mode=self._mode,
        )

    async def _handle(self, batch: LeasedBatch) -> bool:
        """Work on a batch to its end. False when nothing came of it but failures."""
        round_ = _Round(batch.messages, [], set(), sent_at=time.monotonic())
        try:
            async with kept(self._client, batch.lease_id, self._lease_s) as lease:
                await self._handle_each(round_, lease)
            await self._settle(round_, [] if lease.lost else round_.left())
        except asyncio.CancelledError:
            with suppress(QueenError, TimeoutError):
                async with asyncio.timeout(_FAREWELL_S):
                    await self._settle(round_, round_.left())
            raise
        return round_.completed > 0 or not round_.failed

    async def _handle_each(self, round_: _Round, lease: Lease) -> None:
        while round_.at < len(round_.messages) and not lease.lost and not self._stop.is_set():
            message = round_.messages[round_.at]
            if message.partition_id not in round_.failed:
                await self._handle_one(round_, message)
            round_.at += 1
            if round_.acks and time.monotonic() - round_.sent_at > _ACK_AFTER_S:
                await self._settle(round_)

    async def _handle_one(self, round_: _Round, message: Message) -> None:
        try:
            await self._handler(message)
        except Exception as error:
            text = f"{type(error).__name__}: {error}"[:_ERROR_LENGTH_MAX]
            log.warning("handler_failed queue=%s message=%s", self._queue, message.id, exc_info=error)
            round_.acks.append(Ack(message, self._on_error, text))
            round_.failed.add(message.partition_id)
            self.consumed.failed += 1
        else:
            round_.acks.append(Ack(message))
            round_.completed += 1
            self.consumed.handled += 1

    async def _settle(self, round_: _Round, left: Sequence[Message] = ()) -> None:
        """Send the acks that wait, and give back what is `left`. Acks that were cut off wait again: twice is once."""
        acks, round_.acks, round_.sent_at = round_.acks, [], time.monotonic()
        try:
            results = await self._client.settle([*acks, *(Ack(message, "retry") for message in left)])
        except QueenError as error:
            self.consumed.lost += _completions(acks)
            self._check_passes(error)
            return
        except asyncio.CancelledError:
            round_.acks = acks
            raise
        self.consumed.returned += len(left)
        refused = [(ack, result) for ack, result in zip(acks, results, strict=False) if not result.success]
        if refused:
            self.consumed.lost += _completions([ack for ack, _ in refused])
            log.warning("acks_refused queue=%s count=%d error=%s", self._queue, len(refused), refused[0][1].error)

    def _check_passes(self, error: QueenError) -> None:
        """An outage passes by itself. A refusal does not, nor does a server that was never there."""
        if not error.retryable or not self._client.reached:
            raise error
        log.warning("consumer_waits queue=%s error=%s", self._queue, error.message)


def _completions(acks: Sequence[Ack]) -> int:
    return sum(ack.status == "completed" for ack in acks)
