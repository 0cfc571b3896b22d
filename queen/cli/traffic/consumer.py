"""Pops messages, writes them out, and acks what was written.

Invariants
- A message is acked only after its line was written: at least once, never lost. What was leased but not written since
  nobody reads any more is given back (`retry`), so that others get it at once.
- The lines of a partition come out in order: a batch is written whole, and its partitions are leased until the ack.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import msgspec

from queen.cli.traffic.budget import Budget, Pulse
from queen.cli.traffic.stop import Stop, finish
from queen.cli.traffic.tally import Tally
from queen.client import Client, LeasedBatch, Message
from queen.errors import QueenError

GRACE_S = 10.0
_WAIT_MS = 30_000
_ANSWER_GRACE_S = 0.25

Write = Callable[[bytes], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Intake:
    """What to take and when to end (None: no bound)."""

    queue: str
    partition: str | None = None
    group: str | None = None
    batch: int = 100
    partitions: int = 10
    concurrency: int = 1
    count: int | None = None
    duration_s: float | None = None
    until_empty: bool = False
    ack: bool = True
    envelope: bool = False
    handler_ms: float = 0.0
    lease_seconds: int | None = None
    subscription_mode: str | None = None


class Consumer:
    """One run. `tally` counts `messages` (written out), `acked`, `redelivered`, `failed` (acks refused) and
    `returned` (given back, since nobody read their lines)."""

    def __init__(self, client: Client, intake: Intake, write: Write, tally: Tally, stop: Stop) -> None:
        self._client = client
        self._intake = intake
        self._write = write
        self._tally = tally
        self._stop = stop
        self._budget = Budget(intake.count)
        self._writing = asyncio.Lock()
        self._busy = 0
        self._handled = 0
        self._freed = Pulse()

    async def run(self) -> None:
        """Consume until the count or the time is used up, the queue is empty (if asked), or the run is to end."""
        loop = asyncio.get_running_loop()
        timer = None
        if self._intake.duration_s is not None:
            timer = loop.call_later(self._intake.duration_s, self._stop.request, "duration")
        workers = [asyncio.create_task(self._work()) for _ in range(self._intake.concurrency)]
        try:
            await finish(workers, self._stop, GRACE_S)
        finally:
            if timer is not None:
                timer.cancel()

    async def _work(self) -> None:
        while not self._stop.requested:
            wanted = await self._stop.race(self._budget.reserve(self._intake.batch))
            if not wanted:
                return
            used = 0
            try:
                used = await self._step(wanted)
            except QueenError as error:
                self._stop.request("error", error=error)
            finally:
                self._budget.settle(wanted, used)

    async def _step(self, wanted: int) -> int:
        """One pop and all that follows; returns how many messages were written out."""
        handled = self._handled
        self._busy += 1
        try:
            batch = await self._take(wanted)
            if batch is None:
                return 0
            if batch.messages:
                try:
                    return await self._handle(batch)
                finally:
                    self._handled += 1
        finally:
            self._busy -= 1
            self._freed.fire()
        await self._found_nothing(handled)
        return 0

    async def _take(self, wanted: int) -> LeasedBatch | None:
        """The answer to a pop; None when the run is to end. An answer that is on its way is still waited for, since
        what it leased would stay away from everybody until the lease ends."""
        began_at = time.perf_counter()
        batch = await self._stop.race(self._pop(wanted), grace_s=_ANSWER_GRACE_S)
        if batch is not None and batch.messages:
            self._tally.requests["pop"].record(began_at)
        return batch

    async def _pop(self, wanted: int) -> LeasedBatch:
        intake = self._intake
        return await self._client.pop(
            intake.queue,
            partition=intake.partition,
            group=intake.group,
            batch=wanted,
            partitions=intake.partitions,
            wait=not intake.until_empty,
            wait_ms=_WAIT_MS,
            lease_seconds=intake.lease_seconds,
            subscription_mode=intake.subscription_mode,
        )

    async def _found_nothing(self, handled: int) -> None:
        """With --until-empty the run is over, unless another worker is still at it: its partitions may have more.
        The same holds when one has finished since this worker's pop began, with `handled` batches done by then."""
        if not self._intake.until_empty:
            return
        if self._busy:
            await self._stop.race(self._freed.wait())
        elif self._handled == handled:
            self._stop.request("empty")

    async def _handle(self, batch: LeasedBatch) -> int:
        try:
            async with self._writing:
                await self._write(self._lines(batch))
        except BrokenPipeError:
            self._stop.request("closed pipe")
            await self._give_back(batch.messages)
            return 0
        self._written(batch.messages)
        if self._intake.handler_ms:
            await self._stop.race(asyncio.sleep(self._intake.handler_ms * len(batch.messages) / 1000))
        if self._intake.ack:
            await self._ack(batch.messages)
        return len(batch.messages)

    def _written(self, messages: Sequence[Message]) -> None:
        self._tally.count("messages", len(messages))
        self._tally.count("redelivered", sum(message.delivery_attempt > 1 for message in messages))

    async def _ack(self, messages: Sequence[Message]) -> None:
        began_at = time.perf_counter()
        results = await self._client.ack(messages)
        self._tally.requests["ack"].record(began_at)
        for result in results:
            self._tally.count("acked" if result.success else "failed")
            if not result.success:
                self._tally.note_error(result.error or "refused")

    async def _give_back(self, messages: Sequence[Message]) -> None:
        self._tally.count("returned", len(messages))
        await self._client.ack(messages, "retry")

    def _lines(self, batch: LeasedBatch) -> bytes:
        documents = batch.envelopes if self._intake.envelope else [bytes(message.data) for message in batch.messages]
        return b"".join(_one_line(document) + b"\n" for document in documents)


def _one_line(document: bytes) -> bytes:
    """JSON on one line. Line ends can only stand between tokens, so taking the white space out changes no value."""
    if b"\n" in document or b"\r" in document:
        return msgspec.json.format(document, indent=-1)
    return document
