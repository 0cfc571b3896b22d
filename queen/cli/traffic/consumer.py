"""Pops messages and hands each batch to a handler, with several pops in flight, until the run is to end.

Knows when to begin and when to end. What is done with a batch, and how it is settled, is the handler's.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from queen.cli.traffic.budget import Budget, Pulse
from queen.cli.traffic.stop import Stop, finish
from queen.cli.traffic.tally import Tally
from queen.client import Client, LeasedBatch
from queen.errors import QueenError

GRACE_S = 10.0
_WAIT_MS = 30_000
_ANSWER_GRACE_S = 0.25

Handle = Callable[[LeasedBatch], Awaitable[int]]
"""Works on a batch that is not empty and settles it; returns how many of its messages count as taken."""


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
    auto_ack: bool = False
    lease_seconds: int | None = None
    subscription_mode: str | None = None


class Consumer:
    """One run; times the pops. What the handler counts is in its own class."""

    def __init__(self, client: Client, intake: Intake, handle: Handle, tally: Tally, stop: Stop) -> None:
        self._client = client
        self._intake = intake
        self._handle = handle
        self._tally = tally
        self._stop = stop
        self._budget = Budget(intake.count)
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
        """One pop and all that follows; returns how many messages were taken."""
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
            auto_ack=intake.auto_ack,
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
